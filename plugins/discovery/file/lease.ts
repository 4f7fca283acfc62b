/**
 * The files of the registry: their contents, and how long they count. Pure.
 *
 * @module
 */
import type { Node } from "../../../mod.ts";
import { isRecord } from "../../../src/model/node.ts";
import { type Child, readChild, type ReadChildOptions } from "../children.ts";
import { nodeOptions } from "../node_json.ts";

/** Who registered a node, and for how long after each sign of life. */
export interface Lease {
  /** The session. */
  readonly owner: string;
  /** How long a lease lasts without renewal. */
  readonly ttlMs: number;
}

/** A parsed file. */
export interface NodeFile extends Child {
  /** `undefined` for a file that was written by hand: it stays until it is removed. */
  readonly lease: Lease | undefined;
}

/** What changes when a file is written or its lease renewed. */
export interface Stamp {
  /** Another number is another file. */
  readonly inode: number;
  /** Renewed together with the lease. */
  readonly modifiedMs: number;
  /** In bytes. */
  readonly size: number;
}

/** How long a file has shown no sign of life. */
export interface Sighting {
  /** The file as last seen. */
  readonly stamp: Stamp;
  /** For how long it was seen like that. */
  readonly silentMs: number;
}

/** The limits of a lease. */
const TTL_MS = { min: 100, max: 3_600_000 };

/** Encodes a node and its lease as readable text. */
export function formatNodeFile(node: Node, { owner, ttlMs }: Lease): string {
  const { host, ip, port, peer, metadata } = node;
  const entry = { host, ip, port, peer, metadata, ...nodeOptions(node), owner, ttl: ttlMs / 1_000 };
  return `${JSON.stringify(entry, null, 2)}\n`;
}

/** Parses a file's contents; never throws. */
export function readNodeFile(data: Uint8Array, options?: ReadChildOptions): NodeFile {
  const child = readChild(data, options);
  const isNode = child.node !== undefined || child.unresolved !== undefined;
  return { ...child, lease: isNode ? readLease(data) : undefined };
}

/**
 * Notes that a file was seen. Silence is what a reader has watched itself, not a difference of clocks: a
 * clock that jumps or a machine that sleeps ends no lease. Only a file that is seen for the first time is
 * judged by its age, so that a starting reader does not serve ended nodes; and then it counts as just ended,
 * for nobody has watched it.
 *
 * @param before what was known about the file
 * @param watchedMs for how long the reader has really watched since it looked last
 */
export function see(
  before: Sighting | undefined,
  stamp: Stamp,
  { watchedMs, wallMs, ttlMs }: { readonly watchedMs: number; readonly wallMs: number; readonly ttlMs: number },
): Sighting {
  if (before === undefined) {
    return { stamp, silentMs: Math.min(ttlMs, Math.max(0, wallMs - stamp.modifiedMs)) };
  }
  const isSame = sameStamp(before.stamp, stamp);
  return { stamp, silentMs: isSame ? before.silentMs + watchedMs : 0 };
}

/** Whether a file shows no change. */
export function sameStamp(a: Stamp, b: Stamp): boolean {
  return a.inode === b.inode && a.modifiedMs === b.modifiedMs && a.size === b.size;
}

/** Whether a file's lease has expired. */
export function isOver(lease: Lease | undefined, { silentMs }: Sighting): boolean {
  return lease !== undefined && silentMs >= lease.ttlMs;
}

function readLease(data: Uint8Array): Lease | undefined {
  const value: unknown = JSON.parse(new TextDecoder().decode(data));
  if (!isRecord(value) || typeof value.owner !== "string") return undefined;
  const ttlMs = typeof value.ttl === "number" && value.ttl > 0 ? value.ttl * 1_000 : TTL_MS.min;
  return { owner: value.owner, ttlMs: Math.min(TTL_MS.max, Math.max(TTL_MS.min, ttlMs)) };
}
