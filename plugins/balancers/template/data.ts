/**
 * The data of templates: the clusters with their nodes, the host, and keys of a registry.
 *
 * @module
 */
import type { Node, Wanted, WantedCluster, WantedNode } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import { nodeName } from "../../../src/model/node.ts";

/** A node, as templates see it: a missing value is `null`, so that templates can test for it. */
export interface TemplateNode {
  readonly name: string;
  readonly host: string;
  readonly ip: string;
  readonly port: number;
  readonly address: string;
  readonly weight: number | null;
  readonly share: number;
  readonly state: WantedNode["state"];
  readonly pool: WantedNode["pool"];
  readonly fallback: boolean;
  readonly from: string | null;
  readonly zone: string | null;
  readonly priority: number | null;
  readonly labels: NonNullable<Node["labels"]>;
  readonly metadata: Node["metadata"];
}

/** A cluster, as templates see it. */
export interface TemplateCluster {
  readonly name: string;
  readonly meta_cluster: string | null;
  readonly nodes: readonly TemplateNode[];
  readonly ready: readonly TemplateNode[];
}

/** The data that all templates of a balancer share. */
export interface TemplateData {
  readonly clusters: readonly TemplateCluster[];
  readonly cluster: { readonly [name: string]: TemplateCluster };
  readonly host: { readonly fqdn: string; readonly ip: string; readonly zone: string | null };
}

/** Makes the data of templates; `onUse` is called with the clusters that a template reads. */
export function dataOf(
  { clusters, host: { fqdn, ip, zone } }: Wanted,
  onUse: (cluster: string) => void = () => {},
): TemplateData {
  const all = clusters.map(clusterOf);
  const cluster: Record<string, TemplateCluster> = {};
  for (const each of all) {
    const get = () => {
      onUse(each.name);
      return each;
    };
    Object.defineProperty(cluster, each.name, { enumerable: true, get });
  }
  return {
    get clusters() {
      for (const { name } of all) onUse(name);
      return all;
    },
    cluster,
    host: { fqdn, ip, zone: zone ?? null },
  };
}

function clusterOf({ name, metaCluster, nodes }: WantedCluster): TemplateCluster {
  const total = nodes.reduce((sum, each) => sum + pull(each), 0);
  const ready = nodes.map(isReady);
  const all = nodes.map((each): TemplateNode => {
    const { node, state, pool, isFallback = false, from } = each;
    const { host, ip, port, zone, priority, labels, metadata } = node;
    return {
      name: nodeName(node),
      host,
      ip,
      port,
      address: formatEndpoint({ host: ip, port }),
      weight: each.settledWeight ?? each.weight ?? null,
      share: total === 0 ? 0 : Math.round(10_000 * pull(each) / total) / 100,
      state,
      pool,
      fallback: isFallback,
      from: from ?? null,
      zone: zone ?? null,
      priority: priority ?? null,
      labels: labels ?? {},
      metadata,
    };
  });
  return { name, meta_cluster: metaCluster ?? null, nodes: all, ready: all.filter((_, i) => ready[i]) };
}

function isReady({ state, pool, weight }: WantedNode): boolean {
  return state === "ready" && pool === "primary" && weight !== 0;
}

/** A node's share of the requests, as a number relative to the others. */
function pull(each: WantedNode): number {
  return isReady(each) ? each.settledWeight ?? each.weight ?? 1 : 0;
}
