import { formatEndpoint } from "../../../src/model/endpoint.ts";
import { parseNode, WEIGHT_MAX } from "../../../src/model/node.ts";
import type { ClusterName, Node, WantedCluster, WantedNode } from "../../../mod.ts";
import type { NginxCluster } from "./config.ts";

/** A member as a line of `upstream` needs it. */
export interface Member {
  readonly wanted: WantedNode;
  /** `serves`: gets requests. `backup`: gets them while no other serves. `down`: gets none. */
  readonly role: "serves" | "backup" | "down";
  /** Its weight; nginx's default of 1 if absent. */
  readonly weight?: number | undefined;
}

/** The members of a cluster, and whether any of them gets requests. */
export interface Members {
  readonly members: readonly Member[];
  readonly isEmpty: boolean;
  /** Whether nodes of the last resort are left out, as the cluster's balance does not support `backup`. */
  readonly lacksBackup: boolean;
}

/**
 * Derives what each member of a cluster gets. All of nginx's state is in its file, so the current weights
 * count. nginx supports no weight of 0, no upstream whose servers are all `backup`, and no `backup` with a
 * hash.
 */
export function membersOf({ nodes, config }: WantedCluster<NginxCluster>): Members {
  const takesBackup = !/^(?:hash |ip_hash$|random)/.test(config.balance);
  const isServing = ({ state, pool, weight }: WantedNode) => state === "ready" && pool === "primary" && weight !== 0;
  const isSpare = (node: WantedNode) => node.state === "ready" && node.isFallback === true && node.weight !== 0;
  const rankOf = (node: WantedNode) => isServing(node) ? 2 : isSpare(node) ? 1 : 0;
  const byAddress = new Map<string, WantedNode>();
  for (const wanted of nodes.filter(({ node }) => isSafe(node))) {
    const address = formatEndpoint(endpointOf(wanted.node));
    const other = byAddress.get(address);
    // Of two with one address, the one that takes requests counts.
    if (other === undefined || rankOf(wanted) >= rankOf(other)) byAddress.set(address, wanted);
  }
  const unique = [...byAddress.values()];
  const hasServing = unique.some(isServing);
  const members = unique.map((wanted): Member => {
    const { weight } = wanted;
    if (isServing(wanted) || (!hasServing && isSpare(wanted))) return { wanted, role: "serves", weight };
    return isSpare(wanted) && takesBackup ? { wanted, role: "backup", weight } : { wanted, role: "down" };
  });
  return {
    members: withSmallWeights(members),
    isEmpty: !members.some(({ role }) => role === "serves"),
    lacksBackup: !takesBackup && hasServing && unique.some((node) => !isServing(node) && isSpare(node)),
  };
}

/** Whether a node cannot break out of a line; the host checks that too. */
function isSafe(node: Node): boolean {
  return parseNode({ ...node, metadata: {} }).ok;
}

/**
 * Divides weights by their greatest common divisor: a ring has 160 places for each, and a large one costs
 * memory.
 */
function withSmallWeights(members: readonly Member[]): readonly Member[] {
  const weights = members.filter(({ role }) => role !== "down").map(({ weight = 1 }) => weight);
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  return members.map(({ weight, ...member }) => {
    const small = member.role === "down" ? 1 : (weight ?? 1) / (divisor || 1);
    return small === 1 ? member : { ...member, weight: small };
  });
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function endpointOf({ ip, port }: Node) {
  return { host: ip, port };
}

/** Renders the line of a member. The comment names its node, and what is to be read back. */
export function serverLine({ wanted: { node, state, pool, from }, role, weight }: Member): string {
  const parameters = [
    ...weight === undefined ? [] : [` weight=${weight}`],
    ...role === "serves" ? [] : [` ${role}`],
  ].join("");
  const said = [
    ...node.weight === undefined ? [] : [` weight=${node.weight}`],
    ...node.state === "drain" ? [" state=drain"] : state === "ready" ? [] : [` ${state}`],
    ...pool === "overflow" ? [" pool=overflow"] : [],
    ...from === undefined ? [] : [` from=${JSON.stringify(from)}`],
  ].join("");
  return `server ${formatEndpoint(endpointOf(node))}${parameters}; # ${node.host}${said}`;
}

/** A cluster starts with this comment. */
export function clusterComment(name: ClusterName): string {
  return `# cluster ${JSON.stringify(name).replaceAll(/[\u007f-\uffff]/g, escaped)}`;
}

/** The cluster that starts with a line. */
export function clusterOf(line: string): ClusterName | undefined {
  const name = /^ *# cluster (".*")$/.exec(line)?.[1];
  if (name === undefined) return undefined;
  try {
    return JSON.parse(name);
  } catch {
    // A line that was edited by hand.
    return undefined;
  }
}

/** JSON leaves Unicode's line separators as they are. */
function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * Reads the members of each cluster back from a file that was rendered here, so that a start while the
 * registry is unreachable continues with what was known.
 */
export function adopt(file: string): ReadonlyMap<ClusterName, readonly Node[]> {
  const members = new Map<ClusterName, Node[]>();
  if (!file.startsWith(FIRST_LINE)) return members;
  let cluster: Node[] = [];
  for (const line of file.split("\n")) {
    const name = clusterOf(line);
    if (name !== undefined) members.set(name, cluster = []);
    const [, v6, v4, port, host, said = ""] =
      /^ *(?:# )?server (?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]+)[^;]*; # (\S+)(.*)$/.exec(line) ?? [];
    if (host === undefined || / from=/.test(said)) continue;
    const weight = Number(/ weight=([0-9]{1,3})(?: |$)/.exec(said)?.[1] ?? NaN);
    const parsed = parseNode({
      host,
      ip: v6 ?? v4,
      port: Number(port),
      metadata: {},
      ...weight <= WEIGHT_MAX && { weight },
      ...(/ state=drain(?: |$)/).test(said) && { state: "drain" },
    });
    if (parsed.ok) cluster.push(parsed.node);
  }
  return members;
}

/** The first line of a rendered file. */
export const FIRST_LINE =
  "# Written by Lighthouse. Manual edits are reverted; edit the files in Lighthouse's config directory.";
