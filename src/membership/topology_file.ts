/**
 * The last known members of all clusters, as a file: what a writer serves that
 * starts while its registry is away. The text names its format and bears a
 * checksum, so that a torn, edited or future file is told from a good one.
 *
 * @module
 */
import { type Node, parseNode } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { Sighting, Sightings, Stay } from "../traffic/sightings.ts";
import type { Origins } from "./live_topology.ts";
import type { SourceKey } from "./source_members.ts";
import { seal, unseal } from "./sealed_text.ts";

/** The first word of every file of this format; the one before it has no times. */
const FORMAT = "lighthouse-topology-2";
const OLD_FORMAT = "lighthouse-topology-1";

/** Members by cluster. */
export type Members = ReadonlyMap<ClusterName, readonly Node[]>;

/** When its registry last confirmed each cluster, in milliseconds of the wall clock. */
export type Confirmed = ReadonlyMap<ClusterName, number>;

/** The last good members of each source of clusters that have several, by cluster and source. */
export type SourcesOf = ReadonlyMap<ClusterName, ReadonlyMap<SourceKey, readonly Node[]>>;

/** What is remembered beside the members themselves. */
export interface Remembered {
  readonly confirmed: Confirmed;
  readonly origins: ReadonlyMap<ClusterName, Origins>;
  /** When nodes were members, of clusters that share requests by a policy. */
  readonly sightings: ReadonlyMap<ClusterName, Sightings>;
  /** What each source had, of clusters with several. */
  readonly sources: SourcesOf;
}

/** What {@linkcode decodeTopology} answers. */
export type DecodedTopology =
  | (Remembered & { readonly ok: true; readonly members: Members })
  | { readonly ok: false; readonly reason: string };

/** Writes members as text: a line with format and checksum, and one with JSON, its clusters sorted. */
export async function encodeTopology(
  members: Members,
  { confirmed = new Map(), origins = new Map(), sightings = new Map(), sources = new Map() }: Partial<Remembered> = {},
): Promise<string> {
  const sorted = <T>(map: ReadonlyMap<ClusterName, T>) =>
    Object.fromEntries([...map].toSorted(([a], [b]) => a < b ? -1 : 1));
  const from = [...origins].map(([cluster, each]) => [cluster, Object.fromEntries(each)] as const);
  const seen = [...sightings].map(([cluster, each]) => [cluster, Object.fromEntries(each)] as const);
  const by = [...sources].map(([cluster, each]) => [cluster, Object.fromEntries(each)] as const);
  // Who does not know origins, sightings and sources ignores them, so that the format stays the same.
  const body = JSON.stringify({
    clusters: sorted(members),
    confirmed: sorted(confirmed),
    origins: sorted(new Map(from)),
    ...seen.length > 0 && { sightings: sorted(new Map(seen)) },
    ...by.length > 0 && { sources: sorted(new Map(by)) },
  });
  return await seal(FORMAT, body);
}

/**
 * Reads members back; nothing of a file is believed that is not what
 * {@linkcode encodeTopology} wrote. Each node is held against the same rules
 * as one from a registry.
 */
export async function decodeTopology(text: string): Promise<DecodedTopology> {
  const sealed = await unseal(text, [FORMAT, OLD_FORMAT]);
  if (!sealed.ok) return sealed;
  const { format, body } = sealed;
  const whole = parseBody(body);
  const clusters = format === OLD_FORMAT ? whole : recordOf(whole?.clusters);
  if (clusters === undefined) return { ok: false, reason: "it holds no clusters" };
  const members = decodeMembers(clusters);
  if (typeof members === "string") return { ok: false, reason: members };
  const sources = new Map<ClusterName, Members>();
  for (const [cluster, each] of Object.entries(recordOf(whole?.sources) ?? {})) {
    const decoded = decodeMembers(recordOf(each) ?? {});
    if (typeof decoded === "string") return { ok: false, reason: decoded };
    sources.set(cluster, decoded);
  }
  const times = format === OLD_FORMAT ? undefined : recordOf(whole?.confirmed);
  const confirmed = Object.entries(times ?? {}).filter((entry): entry is [string, number] => Number.isFinite(entry[1]));
  return {
    ok: true,
    members,
    confirmed: new Map(confirmed),
    origins: decodeOrigins(recordOf(whole?.origins) ?? {}),
    sightings: decodeSightings(recordOf(whole?.sightings) ?? {}),
    sources,
  };
}

function decodeSightings(clusters: Readonly<Record<string, unknown>>): ReadonlyMap<ClusterName, Sightings> {
  return new Map(
    Object.entries(clusters).map(([cluster, nodes]) => {
      const sightings = Object.entries(recordOf(nodes) ?? {}).flatMap(([name, each]): [string, Sighting][] => {
        const { sinceMs, newSinceMs, leftMs, zone, earlier } = recordOf(each) ?? {};
        if (!isTime(sinceMs)) return [];
        const stays = Array.isArray(earlier) ? earlier.flatMap((stay) => decodeStay(stay)) : [];
        return [[name, {
          sinceMs,
          ...isTime(newSinceMs) && { newSinceMs },
          ...isTime(leftMs) && { leftMs },
          ...typeof zone === "string" && { zone },
          ...stays.length > 0 && { earlier: stays },
        }]];
      });
      return [cluster, new Map(sightings)];
    }),
  );
}

function decodeStay(stay: unknown): readonly Stay[] {
  const { sinceMs, leftMs } = recordOf(stay) ?? {};
  return isTime(sinceMs) && isTime(leftMs) ? [{ sinceMs, leftMs }] : [];
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** Reads lists of nodes; answers the reason if one of them is none. */
function decodeMembers(lists: Readonly<Record<string, unknown>>): Members | string {
  const members = new Map<string, readonly Node[]>();
  for (const [name, nodes] of Object.entries(lists)) {
    if (!Array.isArray(nodes)) return `cluster ${JSON.stringify(name)} is no list of nodes`;
    const parsed = nodes.map((node) => parseNode(node));
    const refused = parsed.find((each) => !each.ok);
    if (refused !== undefined && !refused.ok) return refused.reason;
    members.set(name, parsed.flatMap((each) => each.ok ? [each.node] : []));
  }
  return members;
}

function decodeOrigins(clusters: Readonly<Record<string, unknown>>): ReadonlyMap<ClusterName, Origins> {
  return new Map(
    Object.entries(clusters).map(([cluster, nodes]) => {
      const origins = Object.entries(recordOf(nodes) ?? {}).flatMap(([name, origin]) => {
        const { source, sinceMs } = recordOf(origin) ?? {};
        return typeof source === "string" && typeof sinceMs === "number" ? [[name, { source, sinceMs }] as const] : [];
      });
      return [cluster, new Map(origins)];
    }),
  );
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null ? value as Readonly<Record<string, unknown>> : undefined;
}

/** Parses the JSON; `undefined` if it is no object, which a right checksum does not rule out. */
function parseBody(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return recordOf(JSON.parse(body));
  } catch {
    return undefined;
  }
}
