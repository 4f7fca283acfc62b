import type {
  Explained,
  ExplainedCluster,
  ExplainedNode,
  ExplainedSource,
  NodeInBalancer,
} from "../admin/explained.ts";

/** The clusters and nodes to explain: all, one cluster, or one node of it by name, host or address. */
export interface ExplainTarget {
  readonly cluster?: string | undefined;
  readonly node?: string | undefined;
}

/** Selects the requested clusters and nodes. Pure. */
export function pickExplained({ clusters, ...rest }: Explained, { cluster, node }: ExplainTarget): Explained {
  const isMeant = ({ name, address }: Pick<ExplainedNode, "name" | "address">) =>
    node === undefined || [name, address, name.replace(/:[0-9]+$/, "")].includes(node);
  return {
    ...rest,
    clusters: clusters.filter((each) => cluster === undefined || each.cluster === cluster).map((each) => ({
      ...each,
      nodes: each.nodes.filter(isMeant),
      others: each.others.filter(({ name }) => isMeant({ name, address: name })),
    })),
  };
}

/** A line for each cluster and each of its nodes. Pure. */
export function* explainText(picked: Explained, { node }: ExplainTarget): Generator<string> {
  for (const cluster of picked.clusters) {
    yield headOf(cluster);
    for (const each of cluster.nodes) yield `  ${lineOf(each, cluster)}`;
    for (const each of cluster.others) yield `  ${each.name}  is not a member  ${hasWords(each.has, cluster)}`;
    if (cluster.nodes.length === 0) {
      const why = cluster.balancer === null
        ? "no balancer section in the cluster's file"
        : node === undefined
        ? "no nodes"
        : `${node} is not registered in ${cluster.discovery}`;
      yield `  ${why}${cluster.reason === null ? "" : `; ${cluster.state}: ${cluster.reason}`}`;
      for (const each of cluster.sources) yield* sourceLines(each, { node, host: picked.host });
    }
  }
}

/** The maximum number of rejected entries that are printed for one registry. */
const LEFT_OUT_MAX = 5;

/** Lines for the sources that do not have a node, with the entries they rejected. */
function* sourceLines(
  { source, registry, forSeconds, detail, nodes, leftOut }: ExplainedSource,
  { node, host }: { readonly node: string | undefined; readonly host: string | null },
): Generator<string> {
  yield "    " + [
    `registry ${source}${host === null ? "" : ` as read by ${host}`}`,
    `${registry}${forSeconds === null ? "" : ` for ${number(forSeconds)}s`}${detail === null ? "" : ` (${detail})`}`,
    ...nodes === null ? [] : [`${nodes} ${nodes === 1 ? "node" : "nodes"}`],
  ].join("  ");
  const named = leftOut.filter(({ reason }) => node !== undefined && reason.includes(node));
  for (const { reason, agoSeconds } of (named.length > 0 ? named : leftOut).slice(0, LEFT_OUT_MAX)) {
    yield `      invalid entry rejected ${number(agoSeconds)}s ago: ${reason}`;
  }
}

function headOf(
  { cluster, balancer, paused, silence, state, reason, discovery, changesInSeconds, nodes }: ExplainedCluster,
): string {
  return [
    cluster,
    ...balancer === null ? [] : [`balancer ${balancer}${silence === null ? "" : ` (not read: ${silence})`}`],
    ...paused === null ? [] : [`management paused ${saidBy(paused)}: no changes are applied`],
    `discovery ${discovery}`,
    reason === null ? state : `${state}: ${reason}`,
    ...nodes.length === 0 ? [] : [`${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`],
    ...changesInSeconds === null ? [] : [`next share change in ${changesInSeconds}s`],
  ].join("  ");
}

function lineOf(node: ExplainedNode, { balancer, paused }: Pick<ExplainedCluster, "balancer" | "paused">): string {
  const { name, from, source, since, share, weight, check, sessions, factors, override, has, down } = node;
  const wanted = [...shareWords({ share, weight, factors }), ...override === null ? [] : [saidBy(override)]];
  const isOther = has !== null && !isAsWanted(node, has);
  // In a pause the balancer decides who gets what, and what is wanted comes after it.
  const said = paused === null || has === null
    ? [rotation(node), ...wanted, ...isOther ? [hasWords(has, { balancer, down })] : []]
    : [...hasNow(has, { down }), ...isOther ? [`after the pause: ${[rotation(node), ...wanted].join("  ")}`] : []];
  return [
    name,
    ...said,
    ...check === null ? [] : [`check ${check}`],
    ...sessions === null ? [] : [`${sessions} ${sessions === 1 ? "session" : "sessions"}`],
    ...from === null ? [] : [`of cluster ${from}`],
    ...source === null ? [] : [`from ${source}`],
    ...since === null ? [] : [`since ${since}`],
  ].join("  ");
}

/** Whether a balancer sends a node what it is to get. */
function isAsWanted({ state, waits, weight }: ExplainedNode, has: NodeInBalancer): boolean {
  // Who drains or waits has a weight of 0 in a file, and gets nothing in either state.
  if (state === "drain" || waits || weight === 0) return has.state !== "maint" && has.share === 0;
  return state === has.state && (state === "maint" || weight === null || weight === has.weight);
}

/** What a balancer does with a node now. */
function hasNow(
  { state, weight, share }: NodeInBalancer,
  { down }: Pick<ExplainedNode, "down">,
): readonly string[] {
  if (state === "absent") return ["absent"];
  const waits = state === "ready" && weight === 0;
  return [rotation({ state, weight, share, waits, down }), ...shareWords({ share, weight, factors: [] })];
}

function hasWords(
  has: NodeInBalancer,
  { balancer, down = null }: { readonly balancer: string | null; readonly down?: ExplainedNode["down"] },
): string {
  return `${balancer} has: ${hasNow(has, { down }).join("  ")}`;
}

function saidBy({ author, reason, until }: NonNullable<ExplainedNode["override"]>): string {
  return `by ${author}${reason === null ? "" : `: ${reason}`}${until === null ? "" : ` (until ${until})`}`;
}

/** The share of a node, and the product that its weight is scaled from. */
export function* shareWords(
  { share, weight, factors }: Pick<ExplainedNode, "share" | "weight" | "factors">,
): Generator<string> {
  if (share !== null) yield `share ${number(share * 100)} %`;
  yield weight === null ? "default weight" : `weight ${weight}`;
  if (factors.length === 0) return;
  const product = factors.map(({ name, value, detail }, i) =>
    `${i === 0 ? "" : `${name} `}${number(value)}${detail === null ? "" : ` (${detail})`}`
  ).join(" × ");
  yield `${product} = ${number(factors.reduce((all, { value }) => all * value, 1))}`;
}

/** The state of a node in the balancer. */
export function rotation(
  { state, waits, down, weight, share, factors = [] }:
    & Pick<ExplainedNode, "state" | "waits" | "down" | "weight" | "share">
    & Partial<Pick<ExplainedNode, "factors">>,
): string {
  if (state === "maint") return "maintenance";
  if (state === "drain") return "draining";
  if (down === true) return "DOWN in the balancer";
  if (factors.some(({ name, value }) => name === "health" && value === 0)) return "failing its check";
  if (waits) return "standby (other nodes are preferred)";
  if (weight !== 0 && share !== 0) return "in rotation";
  if (factors.some(({ name }) => name === "slow_start")) return "waiting (slow start)";
  return `no requests (${factors.find(({ value }) => value === 0)?.name ?? "weight"} 0)`;
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100);
}
