/**
 * What each balancer is asked to serve, derived from the accepted config and
 * the members that are known. Pure.
 *
 * @module
 */
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import type { Node } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { HostFacts, Wanted, WantedNode } from "../plugin/contract.ts";

/** What the clusters of a config are called, which need not be what their files are. Pure. */
export function clusterNames({ clusters }: Pick<Accepted, "clusters">): ReadonlySet<ClusterName> {
  return new Set([...clusters.values()].map(({ cluster }) => cluster.name));
}

/** Whether no balancer reads the metadata of nodes, so that no worker need send it. Pure. */
export function needsNoMetadata({ balancers }: Pick<Accepted, "balancers">): boolean {
  return [...balancers.values()].every(({ plugin }) => plugin.ignoresMetadata === true);
}

/** What a member is to get, by what its node says of itself. Pure. */
export function wantedNode(node: Node): WantedNode {
  const { weight, state = "ready" } = node;
  return { node, ...weight !== undefined && { weight }, state, pool: "primary" };
}

/** What one balancer is asked to serve. Pure. */
export function composeWanted(
  name: string,
  balancer: AcceptedBalancer,
  { clusters, unknownClusters }: Pick<Accepted, "clusters" | "unknownClusters">,
  members: ReadonlyMap<ClusterName, readonly Node[]>,
  host: HostFacts,
): Wanted {
  const wanted = [...clusters.values()].flatMap(({ cluster, sections }) => {
    if (!sections.has(name)) return [];
    const known = members.get(cluster.name) ?? [];
    const nodes = (known.length > 0 ? known : cluster.defaultServers).map(wantedNode);
    return [{ name: cluster.name, metaCluster: cluster.metaCluster, config: sections.get(name), nodes }];
  });
  return {
    config: balancer.config,
    host,
    clusters: wanted.toSorted((a, b) => a.name < b.name ? -1 : 1),
    ...unknownClusters.length > 0 && { unknown: unknownClusters },
  };
}
