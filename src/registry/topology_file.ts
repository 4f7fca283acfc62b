/**
 * The last known members of all clusters, as a file: what a writer serves that
 * starts while its registry is away. The text names its format and bears a
 * checksum, so that a torn, edited or future file is told from a good one.
 *
 * @module
 */
import { type Node, parseNode } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";

/** The first word of every file of this format. */
const FORMAT = "lighthouse-topology-1";

/** Members by cluster. */
export type Members = ReadonlyMap<ClusterName, readonly Node[]>;

/** What {@linkcode decodeTopology} answers. */
export type DecodedTopology =
  | { readonly ok: true; readonly members: Members }
  | { readonly ok: false; readonly reason: string };

/** Writes members as text: a line with format and checksum, and one with JSON, its clusters sorted. */
export async function encodeTopology(members: Members): Promise<string> {
  const clusters = Object.fromEntries([...members].toSorted(([a], [b]) => a < b ? -1 : 1));
  const body = JSON.stringify(clusters);
  return `${FORMAT} ${await sha256(body)}\n${body}\n`;
}

/**
 * Reads members back; nothing of a file is believed that is not what
 * {@linkcode encodeTopology} wrote. Each node is held against the same rules
 * as one from a registry.
 */
export async function decodeTopology(text: string): Promise<DecodedTopology> {
  const [head = "", body = "", ...rest] = text.split("\n");
  const [format, checksum] = head.split(" ");
  if (format !== FORMAT) return { ok: false, reason: `it is not of the format ${FORMAT}` };
  if (rest.length !== 1 || rest[0] !== "" || await sha256(body) !== checksum) {
    return { ok: false, reason: "its checksum is wrong: it is torn, or was edited" };
  }
  const clusters = parseBody(body);
  if (clusters === undefined) return { ok: false, reason: "it holds no clusters" };
  const members = new Map<ClusterName, readonly Node[]>();
  for (const [cluster, nodes] of Object.entries(clusters)) {
    if (!Array.isArray(nodes)) return { ok: false, reason: `cluster ${JSON.stringify(cluster)} is no list of nodes` };
    const parsed = nodes.map((node) => parseNode(node));
    const refused = parsed.find((each) => !each.ok);
    if (refused !== undefined && !refused.ok) return { ok: false, reason: refused.reason };
    members.set(cluster, parsed.flatMap((each) => each.ok ? [each.node] : []));
  }
  return { ok: true, members };
}

/** Parses the JSON; `undefined` if it is no object, which a right checksum does not rule out. */
function parseBody(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value as Readonly<Record<string, unknown>> : undefined;
  } catch {
    return undefined;
  }
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
