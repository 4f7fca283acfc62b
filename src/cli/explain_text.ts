import type { Explained, ExplainedCluster, ExplainedNode } from "../admin/explained.ts";

/** What to explain: all clusters, one, or one node of it by its name, host or address. */
export interface ExplainTarget {
  readonly cluster?: string | undefined;
  readonly node?: string | undefined;
}

/** Picks what was asked for. Pure. */
export function pickExplained({ clusters, ...rest }: Explained, { cluster, node }: ExplainTarget): Explained {
  const isMeant = ({ name, address }: ExplainedNode) =>
    node === undefined || [name, address, name.replace(/:[0-9]+$/, "")].includes(node);
  return {
    ...rest,
    clusters: clusters.filter((each) => cluster === undefined || each.cluster === cluster)
      .map((each) => ({ ...each, nodes: each.nodes.filter(isMeant) })),
  };
}

/** A line for each cluster and each of its nodes. Pure. */
export function* explainText(picked: Explained, { node }: ExplainTarget): Generator<string> {
  for (const cluster of picked.clusters) {
    yield headOf(cluster);
    for (const each of cluster.nodes) yield `  ${lineOf(each)}`;
    if (cluster.nodes.length === 0) {
      const why = cluster.balancer === null
        ? "no balancer has a section for it"
        : node === undefined
        ? "it has no nodes"
        : `${node} is not registered in ${cluster.discovery}`;
      yield `  ${why}${cluster.reason === null ? "" : `; ${cluster.state}: ${cluster.reason}`}`;
    }
  }
}

function headOf({ cluster, balancer, state, reason, discovery, changesInSeconds, nodes }: ExplainedCluster): string {
  return [
    cluster,
    ...balancer === null ? [] : [`balancer ${balancer}`],
    `discovery ${discovery}`,
    reason === null ? state : `${state}: ${reason}`,
    ...nodes.length === 0 ? [] : [`${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`],
    ...changesInSeconds === null ? [] : [`next change in ${changesInSeconds}s`],
  ].join("  ");
}

function lineOf(node: ExplainedNode): string {
  const { name, from, source, since, share, weight, factors, override } = node;
  const product = factors.map(({ name, value, detail }, i) =>
    `${i === 0 ? "" : `${name} `}${number(value)}${detail === null ? "" : ` (${detail})`}`
  ).join(" × ");
  const total = factors.reduce((all, { value }) => all * value, 1);
  return [
    name,
    rotation(node),
    ...share === null ? [] : [`share ${number(share * 100)} %`],
    weight === null ? "default weight" : `weight ${weight}`,
    ...product === "" ? [] : [`${product} = ${number(total)}`],
    ...override === null ? [] : [
      `by ${override.author}${override.reason === null ? "" : `: ${override.reason}`}${
        override.until === null ? "" : ` (until ${override.until})`
      }`,
    ],
    ...from === null ? [] : [`of cluster ${from}`],
    ...source === null ? [] : [`from ${source}`],
    ...since === null ? [] : [`since ${since}`],
  ].join("  ");
}

function rotation({ state, waits, down, weight, share }: ExplainedNode): string {
  if (state === "maint") return "maintenance";
  if (state === "drain") return "draining";
  if (down === true) return "DOWN in the balancer";
  if (waits) return "waiting (others are preferred)";
  return weight === 0 || share === 0 ? "waiting (slow start)" : "in rotation";
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100);
}
