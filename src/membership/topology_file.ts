/**
 * The last known members of all clusters, as a file: what a writer serves that starts while its registry is
 * unreachable. The text names its format and has a checksum, so that a truncated, edited or future file is
 * recognized.
 *
 * @module
 */
import { type Node, parseNode } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { Sighting, Sightings, Stay } from "../traffic/sightings.ts";
import type { Origins } from "./live_topology.ts";
import type { SourceKey } from "./source_members.ts";
import { seal, unseal } from "./sealed_text.ts";

/** The first word of every file of this format; the previous format has no times. */
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
  /** When nodes were members, for clusters that share requests by a policy. */
  readonly sightings: ReadonlyMap<ClusterName, Sightings>;
  /** What each source had, for clusters with several. */
  readonly sources: SourcesOf;
}

/** The result of {@linkcode decodeTopology}. */
export type DecodedTopology =
  | (Remembered & { readonly ok: true; readonly members: Members })
  | { readonly ok: false; readonly reason: string };

/** How many values are encoded before other tasks get a turn: some tenths of a millisecond. */
const VALUES_AT_ONCE = 500;

/**
 * Encodes members: a line with format and checksum, and one with JSON, its clusters sorted. A long text is
 * built piece by piece: `rest` resolves when other tasks had a turn.
 */
export async function encodeTopology(
  members: Members,
  { confirmed = new Map(), origins = new Map(), sightings = new Map(), sources = new Map() }: Partial<Remembered> = {},
  rest: () => Promise<void> = () => Promise.resolve(),
): Promise<string> {
  const pieces = new Pieces(rest);
  const nodes = (list: readonly Node[]) => pieces.list(list);
  // Members that joined at one time from one source share an origin.
  const texts = new Map<unknown, string>();
  const textOf = (value: unknown) => {
    const text = texts.get(value) ?? JSON.stringify(value);
    texts.set(value, text);
    return text;
  };
  pieces.add('{"clusters":');
  await pieces.record(sorted(members), nodes);
  pieces.add(',"confirmed":');
  await pieces.values(sorted(confirmed), (value) => JSON.stringify(value));
  // A reader that does not know origins, sightings and sources ignores them, so the format stays the same.
  pieces.add(',"origins":');
  await pieces.record(sorted(origins), (each) => pieces.values(each, textOf));
  if (sightings.size > 0) {
    pieces.add(',"sightings":');
    await pieces.record(sorted(sightings), (each) => pieces.values(each, JSON.stringify));
  }
  if (sources.size > 0) {
    pieces.add(',"sources":');
    await pieces.record(sorted(sources), (each) => pieces.record(each, nodes));
  }
  pieces.add("}");
  return await seal(FORMAT, pieces.text);
}

/** A growing JSON text. */
class Pieces {
  text = "";
  readonly #rest: () => Promise<void>;
  #values = 0;

  constructor(rest: () => Promise<void>) {
    this.#rest = rest;
  }

  add(text: string): void {
    this.text += text;
  }

  /** Adds an object; `write` adds each of its values. */
  async record<T>(entries: Iterable<readonly [string, T]>, write: (value: T) => Promise<void>): Promise<void> {
    this.add("{");
    let comma = "";
    for (const [key, value] of entries) {
      this.add(`${comma}${JSON.stringify(key)}:`);
      comma = ",";
      await write(value);
    }
    this.add("}");
  }

  /** Adds an object of values whose texts are short. */
  async values<T>(entries: Iterable<readonly [string, T]>, textOf: (value: T) => string): Promise<void> {
    this.add("{");
    let comma = "";
    for (const [key, value] of entries) {
      this.add(`${comma}${JSON.stringify(key)}:${textOf(value)}`);
      comma = ",";
      if (++this.#values % VALUES_AT_ONCE === 0) await this.#rest();
    }
    this.add("}");
  }

  /** Adds a list. */
  async list(values: readonly unknown[]): Promise<void> {
    this.add("[");
    for (let at = 0; at < values.length; at += VALUES_AT_ONCE) {
      if (at > 0) await this.#rest();
      this.add(`${at > 0 ? "," : ""}${JSON.stringify(values.slice(at, at + VALUES_AT_ONCE)).slice(1, -1)}`);
    }
    this.add("]");
  }
}

function sorted<T>(map: ReadonlyMap<ClusterName, T>): readonly (readonly [ClusterName, T])[] {
  return [...map].toSorted(([a], [b]) => a < b ? -1 : 1);
}

/**
 * Decodes members; nothing is accepted of a file that {@linkcode encodeTopology} did not write. Each node is
 * checked against the same rules as one from a registry.
 */
export async function decodeTopology(text: string): Promise<DecodedTopology> {
  const sealed = await unseal(text, [FORMAT, OLD_FORMAT]);
  if (!sealed.ok) return sealed;
  const { format, body } = sealed;
  const whole = parseBody(body);
  const clusters = format === OLD_FORMAT ? whole : recordOf(whole?.clusters);
  if (clusters === undefined) return { ok: false, reason: "the file contains no clusters" };
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

/** Reads lists of nodes; returns the reason if one of them is invalid. */
function decodeMembers(lists: Readonly<Record<string, unknown>>): Members | string {
  const members = new Map<string, readonly Node[]>();
  for (const [name, nodes] of Object.entries(lists)) {
    if (!Array.isArray(nodes)) return `cluster ${JSON.stringify(name)} is not a list of nodes`;
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

/** Parses the JSON; `undefined` if it is not an object, which a correct checksum does not rule out. */
function parseBody(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return recordOf(JSON.parse(body));
  } catch {
    return undefined;
  }
}
