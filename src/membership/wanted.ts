/**
 * What each balancer is asked to serve, derived from the accepted config and the known members. Pure.
 *
 * @module
 */
import type { Accepted, AcceptedBalancer, AcceptedCluster } from "../config/accepted.ts";
import { carriedAlong } from "../kernel/sorted_lists.ts";
import { type Node, SORTED_NODES } from "../model/node.ts";
import { exclusions, type NodesOverride, overridesOf } from "../model/override.ts";
import type { ClusterName } from "../model/topology.ts";
import { readsMetadata } from "../model/traffic.ts";
import type { HostFacts, KeysPlace, Wanted, WantedCluster, WantedKeys, WantedNode } from "../plugin/contract.ts";
import {
  hasFallback,
  hasPriorities,
  type NodeShare,
  type Shares,
  shareTraffic,
  type TrafficInput,
} from "../traffic/shares.ts";

/** The names of the clusters of a config, which may differ from their file names. Pure. */
export function clusterNames({ clusters }: Pick<Accepted, "clusters">): ReadonlySet<ClusterName> {
  return new Set([...clusters.values()].map(({ cluster }) => cluster.name));
}

/** Whether nobody reads the metadata of nodes, so that workers need not send it. Pure. */
export function needsNoMetadata({ balancers, clusters }: Pick<Accepted, "balancers" | "clusters">): boolean {
  return [...balancers.values()].every(({ plugin }) => plugin.ignoresMetadata === true) &&
    [...clusters.values()].every(({ cluster: { traffic } }) => traffic === undefined || !readsMetadata(traffic));
}

/** What a member is to get, by its node's own keys. Pure. */
export function wantedNode(node: Node): WantedNode {
  const { weight, state = "ready" } = node;
  return { node, ...weight !== undefined && { weight }, state, pool: "primary" };
}

/** What a member is to get, by the share that was decided. Pure. */
export function wantedShare(
  { node, weight, settledWeight, state, pool, isFallback, from }: NodeShare,
): WantedNode {
  return {
    node,
    ...weight !== undefined && { weight },
    ...settledWeight !== undefined && settledWeight !== weight && { settledWeight },
    state,
    pool,
    ...isFallback && { isFallback },
    ...from !== undefined && { from },
  };
}

/** A cluster whose requests a balancer is to share. */
export interface ShareRequest extends Pick<TrafficInput, "nodes" | "overflow" | "overrides"> {
  readonly balancer: string;
  readonly cluster: AcceptedCluster;
  readonly host: Pick<HostFacts, "zone">;
}

/** Decides what the nodes of a cluster get from a balancer. */
export type Share = (request: ShareRequest) => Shares;

/** Decides for a time at which every transition is over: no node is new, and none is down. Pure. */
export const shareSettled: Share = ({ balancer, cluster: { cluster, movesKeys }, host: { zone }, ...nodes }) =>
  shareTraffic({
    nowMs: 0,
    startedMs: -Infinity,
    policy: cluster.traffic,
    zone,
    isHashed: movesKeys?.has(balancer),
    ...nodes,
  });

/**
 * How a balancer is to share a cluster's requests; `undefined` if it has no policy, no override and no
 * priorities. Pure.
 */
export function shareRequest(
  balancer: string,
  cluster: AcceptedCluster,
  { clusters, members, host, overrides }: {
    readonly clusters: Accepted["clusters"];
    readonly members: ReadonlyMap<ClusterName, readonly Node[]>;
    readonly host: Pick<HostFacts, "zone">;
    readonly overrides: readonly NodesOverride[];
  },
): ShareRequest | undefined {
  const { name, traffic, defaultServers } = cluster.cluster;
  const known = members.get(name) ?? [];
  const nodes = known.length > 0 ? known : defaultServers;
  const own = overridesOf(overrides, name, nodes);
  if (traffic === undefined && own.size === 0 && !hasPriorities(nodes)) return undefined;
  const names = clusterNames({ clusters });
  const overflow = (traffic?.overflow?.clusters ?? []).filter((each) => each !== name && names.has(each));
  return {
    balancer,
    cluster,
    host,
    nodes,
    overflow: overflow.map((name) => ({ name, nodes: members.get(name) ?? [] })),
    // A node of both clusters is a member, and gets what is decided for that.
    overrides: new Map([
      ...overflow.flatMap((each) => [...overridesOf(overrides, each, members.get(each) ?? [])]),
      ...own,
    ]),
  };
}

/** Whether a balancer renders a cluster. Pure. */
export function rendersCluster(
  name: string,
  { inputs }: Pick<AcceptedBalancer, "inputs">,
  { cluster, sections }: Pick<AcceptedCluster, "cluster" | "sections">,
): boolean {
  const { clusters = [] } = inputs ?? {};
  return sections.has(name) || clusters === "all" || clusters.includes(cluster.name);
}

/** Finds the keys under a prefix; `undefined` while its registry has not answered. */
export type FindKeys = (place: KeysPlace) => WantedKeys["entries"] | undefined;

/** The section of a cluster that a balancer renders without one: always the same value. */
const NO_SECTION = Object.freeze({});

/** What a balancer is asked to serve besides config and members. */
export interface WantedParts {
  /** Knows the keys of registries. */
  readonly keys?: FindKeys | undefined;
  /**
   * Whether nothing is known about a cluster's members: no registry has reported since the start, and none
   * are kept.
   */
  readonly isUnheard?: ((cluster: AcceptedCluster) => boolean) | undefined;
}

/** What one balancer is asked to serve. Pure, if `share` and `keys` are. */
export function composeWanted(
  name: string,
  ...[balancer, accepted, members, host, share, overrides, parts]: Parameters<WantedComposer["compose"]>
): Wanted {
  return new WantedComposer(name).compose(balancer, accepted, members, host, share, overrides, parts);
}

/** A composed cluster. */
interface Composed {
  readonly cluster: WantedCluster;
  /**
   * The nodes that it was composed of, one by one; absent where a policy or an operator decides what they
   * get.
   */
  readonly of?: readonly Node[];
}

/**
 * Composes what one balancer is asked to serve, again and again: an unchanged cluster or member stays the
 * same value, so that a comparison of two desired states looks only at what differs.
 */
export class WantedComposer {
  readonly #name: string;
  #composed: ReadonlyMap<ClusterName, Composed> = new Map();

  /** Has composed nothing for the balancer of this name. */
  constructor(name: string) {
    this.#name = name;
  }

  /** What the balancer is asked to serve now, as {@linkcode composeWanted} defines it. */
  compose(
    balancer: AcceptedBalancer,
    { clusters, unknownClusters }: Pick<Accepted, "clusters" | "unknownClusters">,
    members: ReadonlyMap<ClusterName, readonly Node[]>,
    host: HostFacts,
    share: Share = shareSettled,
    overrides: readonly NodesOverride[] = [],
    { keys, isUnheard = () => false }: WantedParts = {},
  ): Wanted {
    const name = this.#name;
    const said = [...[...clusters.values()].flatMap(({ cluster }) => exclusions(cluster)), ...overrides];
    const composed = new Map<ClusterName, Composed>();
    for (const accepted of clusters.values()) {
      const { cluster, sections } = accepted;
      if (!rendersCluster(name, balancer, accepted)) continue;
      const before = this.#composed.get(cluster.name);
      const request = shareRequest(name, accepted, { clusters, members, host, overrides: said });
      const known = members.get(cluster.name) ?? [];
      const of = request === undefined ? (known.length > 0 ? known : cluster.defaultServers) : undefined;
      const nodes = request === undefined
        ? wantedNodes(of ?? [], before)
        : sameShares(share(request).nodes.map(wantedShare), before);
      const now = {
        name: cluster.name,
        metaCluster: cluster.metaCluster,
        config: sections.has(name) ? sections.get(name) : NO_SECTION,
        nodes,
        ...hasFallback(cluster.traffic, host.zone) && { hasFallback: true },
      };
      composed.set(cluster.name, {
        cluster: before !== undefined && isSameKeyed<WantedCluster>(before.cluster, now) ? before.cluster : now,
        ...of !== undefined && { of },
      });
    }
    this.#composed = composed;
    const unheard = balancer.inputs === undefined
      ? []
      : [...clusters.values()].filter((each) =>
        rendersCluster(name, balancer, each) && each.cluster.defaultServers.length === 0 && isUnheard(each)
      ).map(({ cluster }) => cluster.name);
    return {
      config: balancer.config,
      host,
      clusters: [...composed.values()].map(({ cluster }) => cluster).toSorted((a, b) => a.name < b.name ? -1 : 1),
      ...unheard.length > 0 && { unheard },
      ...balancer.inputs?.keys !== undefined && {
        keys: balancer.inputs.keys.flatMap((place) => {
          const entries = keys?.(place);
          return entries === undefined ? [] : [{ ...place, entries }];
        }),
      },
      ...unknownClusters.length > 0 && { unknown: unknownClusters },
    };
  }
}

/**
 * What members are to get, by their nodes' own keys; members composed of the same nodes are the same values.
 */
function wantedNodes(nodes: readonly Node[], before: Composed | undefined): readonly WantedNode[] {
  if (before?.of === nodes) return before.cluster.nodes;
  const differences = before?.of && SORTED_NODES.differences(before.of, nodes);
  if (before === undefined || differences === undefined) return nodes.map(wantedNode);
  return carriedAlong(before.cluster.nodes, differences, (node) => wantedNode(node));
}

/** Shares, where equal ones are replaced by the values that were composed earlier. */
function sameShares(now: readonly WantedNode[], before: Composed | undefined): readonly WantedNode[] {
  if (before === undefined) return now;
  const known = new Map(before.cluster.nodes.map((each) => [each.node, each]));
  const nodes = now.map((each) => {
    const last = known.get(each.node);
    return last !== undefined && isSameKeyed(last, each) ? last : each;
  });
  const { nodes: last } = before.cluster;
  return nodes.length === last.length && nodes.every((each, at) => each === last[at]) ? last : nodes;
}

/** Whether two values have identical values by their keys. */
function isSameKeyed<T extends object>(one: T, other: T): boolean {
  const keys = Object.keys(one) as (keyof T)[];
  return keys.length === Object.keys(other).length && keys.every((key) => key in other && one[key] === other[key]);
}
