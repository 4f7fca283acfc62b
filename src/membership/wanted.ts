/**
 * What each balancer is asked to serve, derived from the accepted config and
 * the members that are known. Pure.
 *
 * @module
 */
import type { Accepted, AcceptedBalancer, AcceptedCluster } from "../config/accepted.ts";
import type { Node } from "../model/node.ts";
import { exclusions, type NodesOverride, overridesOf } from "../model/override.ts";
import type { ClusterName } from "../model/topology.ts";
import { readsMetadata } from "../model/traffic.ts";
import type { HostFacts, Wanted, WantedNode } from "../plugin/contract.ts";
import {
  hasFallback,
  hasPriorities,
  type NodeShare,
  type Shares,
  shareTraffic,
  type TrafficInput,
} from "../traffic/shares.ts";

/** What the clusters of a config are called, which need not be what their files are. Pure. */
export function clusterNames({ clusters }: Pick<Accepted, "clusters">): ReadonlySet<ClusterName> {
  return new Set([...clusters.values()].map(({ cluster }) => cluster.name));
}

/** Whether nobody reads the metadata of nodes, so that no worker need send it. Pure. */
export function needsNoMetadata({ balancers, clusters }: Pick<Accepted, "balancers" | "clusters">): boolean {
  return [...balancers.values()].every(({ plugin }) => plugin.ignoresMetadata === true) &&
    [...clusters.values()].every(({ cluster: { traffic } }) => traffic === undefined || !readsMetadata(traffic));
}

/** What a member is to get, by what its node says of itself. Pure. */
export function wantedNode(node: Node): WantedNode {
  const { weight, state = "ready" } = node;
  return { node, ...weight !== undefined && { weight }, state, pool: "primary" };
}

/** What a member is to get, by what was decided of its share. Pure. */
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

/** Decides for a time at which nothing passes: no node is new, and none is down. Pure. */
export const shareSettled: Share = ({ balancer, cluster: { cluster, movesKeys }, host: { zone }, ...nodes }) =>
  shareTraffic({
    nowMs: 0,
    startedMs: -Infinity,
    policy: cluster.traffic,
    zone,
    isHashed: movesKeys?.has(balancer),
    ...nodes,
  });

/** What of a cluster's requests a balancer is to share; `undefined` if it has no policy, no override and no priorities. Pure. */
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
    // A node of both clusters is a member, and has what is said of that.
    overrides: new Map([
      ...overflow.flatMap((each) => [...overridesOf(overrides, each, members.get(each) ?? [])]),
      ...own,
    ]),
  };
}

/** What one balancer is asked to serve; `overrides` are what operators say, and holds now. Pure, if `share` is. */
export function composeWanted(
  name: string,
  balancer: AcceptedBalancer,
  { clusters, unknownClusters }: Pick<Accepted, "clusters" | "unknownClusters">,
  members: ReadonlyMap<ClusterName, readonly Node[]>,
  host: HostFacts,
  share: Share = shareSettled,
  overrides: readonly NodesOverride[] = [],
): Wanted {
  const said = [...[...clusters.values()].flatMap(({ cluster }) => exclusions(cluster)), ...overrides];
  const wanted = [...clusters.values()].flatMap((accepted) => {
    const { cluster, sections } = accepted;
    if (!sections.has(name)) return [];
    const known = members.get(cluster.name) ?? [];
    const request = shareRequest(name, accepted, { clusters, members, host, overrides: said });
    const nodes = request === undefined
      ? (known.length > 0 ? known : cluster.defaultServers).map(wantedNode)
      : share(request).nodes.map(wantedShare);
    return [{
      name: cluster.name,
      metaCluster: cluster.metaCluster,
      config: sections.get(name),
      nodes,
      ...hasFallback(cluster.traffic, host.zone) && { hasFallback: true },
    }];
  });
  return {
    config: balancer.config,
    host,
    clusters: wanted.toSorted((a, b) => a.name < b.name ? -1 : 1),
    ...unknownClusters.length > 0 && { unknown: unknownClusters },
  };
}
