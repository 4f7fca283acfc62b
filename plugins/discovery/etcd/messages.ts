/**
 * The messages of etcd's JSON gateway, validated: keys and values in base64, 64-bit numbers as strings, and
 * zero, false and empty left out. Pure.
 *
 * @module
 */
import { isRecord, quote } from "../../../src/model/node.ts";

/** Raised when an answer is not etcd's. */
export class MalformedAnswerError extends Error {
  override name = "MalformedAnswerError";
}

/** Which store answered, and its revision. */
export interface Header {
  readonly clusterId: string;
  readonly revision: number;
  readonly term: number;
}

/** A key, and its value. */
export interface KeyValue {
  /** The key's bytes, in base64 as the gateway writes them. */
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** `0` if it has none. */
  readonly lease: string;
}

/** The keys of a range. */
export interface RangeAnswer {
  readonly header: Header;
  readonly keyValues: readonly KeyValue[];
  /** How many keys the range has, those that were left out included. */
  readonly count: number;
  /** Whether there are more keys than were requested. */
  readonly hasMore: boolean;
}

/** A change of one key. */
export type KeyEvent =
  | { readonly type: "put"; readonly keyValue: KeyValue }
  | { readonly type: "delete"; readonly key: string; readonly modRevision: number };

/** One line of a watch. */
export type WatchLine =
  | { readonly type: "created"; readonly watchId: string; readonly header: Header }
  | {
    readonly type: "events";
    readonly watchId: string;
    readonly events: readonly KeyEvent[];
    readonly isWhole: boolean;
  }
  | { readonly type: "canceled"; readonly watchId: string; readonly reason: string }
  | { readonly type: "error"; readonly code: number; readonly message: string };

/** Encodes a key for the gateway: standard base64. */
export function encodeKey(key: string): string {
  return new TextEncoder().encode(key).toBase64();
}

/** Encodes the end of the range of all keys with a prefix, for the gateway. */
export function encodePrefixEnd(prefix: string): string {
  const bytes = new TextEncoder().encode(prefix);
  // No byte of UTF-8 is 0xff, so the last one can always be incremented.
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
  return bytes.toBase64();
}

/** Decodes a key; bytes that are not UTF-8 are replaced. */
export function decodeKey(key: string): string {
  return new TextDecoder().decode(bytesOf(key));
}

/** Reads the answer to `/v3/kv/range`. */
export function readRange(answer: unknown): RangeAnswer {
  const { header, kvs, count, more } = recordOf(answer);
  return {
    header: readHeader(header),
    keyValues: listOf(kvs).map(readKeyValue),
    count: integerOf(count),
    hasMore: more === true,
  };
}

/** Reads the answer to `/v3/kv/txn`: whether its conditions held, and the answers of its ranges. */
export function readTransaction(
  answer: unknown,
): { readonly succeeded: boolean; readonly ranges: readonly RangeAnswer[] } {
  const { header, succeeded, responses } = recordOf(answer);
  const ranges = listOf(responses).flatMap((response) => {
    const { response_range: range } = recordOf(response);
    // The header of a part contains only a revision.
    return range === undefined ? [] : [readRange({ ...recordOf(range), header })];
  });
  return { succeeded: succeeded === true, ranges };
}

/** Reads the answer to `/v3/lease/grant`: the lease's id, and its actual time to live. */
export function readGrant(answer: unknown): { readonly id: string; readonly ttlMs: number } {
  const { ID: id, TTL: ttl } = recordOf(answer);
  return { id: leaseOf(id), ttlMs: integerOf(ttl) * 1_000 };
}

/** Reads the answer to `/v3/lease/keepalive`: whether the lease still exists. */
export function readKeepalive(line: unknown): boolean {
  const { result } = recordOf(line);
  return integerOf(recordOf(result).TTL) > 0;
}

/** Reads one line of `/v3/watch`. */
export function readWatchLine(line: string): WatchLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw malformed("a watch line must be JSON", line);
  }
  const { result, error } = recordOf(value);
  if (error !== undefined) return { type: "error", ...readError(error) };
  const { header, watch_id = "0", created, canceled, cancel_reason, compact_revision, events, fragment } = recordOf(
    result,
  );
  const watchId = String(watch_id);
  if (canceled === true) {
    const compacted = compact_revision === undefined ? "" : `compacted up to revision ${integerOf(compact_revision)}`;
    const reason = [cancel_reason, compacted].filter((each) => typeof each === "string" && each !== "").join("; ");
    return { type: "canceled", watchId, reason: reason || "no reason given" };
  }
  if (created === true) return { type: "created", watchId, header: readHeader(header) };
  return { type: "events", watchId, events: listOf(events).map(readEvent), isWhole: fragment !== true };
}

/** Reads an error, in an answer or in a line of a stream. */
export function readError(value: unknown): { readonly code: number; readonly message: string } {
  const record = isRecord(value) ? value : {};
  const code = record.code ?? record.grpc_code;
  const { message, error } = record;
  const text = [message, error].find((each) => typeof each === "string");
  return { code: typeof code === "number" ? code : -1, message: typeof text === "string" ? text.slice(0, 300) : "" };
}

function readHeader(value: unknown): Header {
  const { cluster_id, revision, raft_term } = recordOf(value);
  if (typeof cluster_id !== "string") throw malformed("cluster_id must be a string", cluster_id);
  return { clusterId: cluster_id, revision: integerOf(revision), term: integerOf(raft_term) };
}

function readEvent(value: unknown): KeyEvent {
  const { type, kv } = recordOf(value);
  if (type !== "DELETE") return { type: "put", keyValue: readKeyValue(kv) };
  const { key, mod_revision } = recordOf(kv);
  return { type: "delete", key: keyOf(key), modRevision: integerOf(mod_revision) };
}

function readKeyValue(value: unknown): KeyValue {
  const { key, value: bytes = "", create_revision, mod_revision, lease = "0" } = recordOf(value);
  return {
    key: keyOf(key),
    value: bytesOf(bytes),
    createRevision: integerOf(create_revision),
    modRevision: integerOf(mod_revision),
    lease: leaseOf(lease),
  };
}

/** The id of a lease: 64 bits, which JSON carries as a string. */
function leaseOf(value: unknown): string {
  if (typeof value !== "string" || !/^-?[0-9]{1,20}$/.test(value)) {
    throw malformed("a lease ID must be a string of digits", value);
  }
  return value;
}

function keyOf(value: unknown): string {
  if (typeof value !== "string" || value === "") throw malformed("a key must be base64", value);
  return value;
}

function bytesOf(value: unknown): Uint8Array {
  if (typeof value !== "string") throw malformed("keys and values must be base64", value);
  try {
    return Uint8Array.fromBase64(value);
  } catch {
    throw malformed("keys and values must be base64", value);
  }
}

function integerOf(value: unknown): number {
  const number = value === undefined ? 0 : typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number)) return number;
  throw malformed("revisions and TTLs must be integers", value);
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed("must contain a list", value);
  return value;
}

function recordOf(value: unknown): Record<string, unknown> {
  if (!isRecord(value)) throw malformed("must contain an object", value);
  return value;
}

function malformed(wanted: string, value: unknown): MalformedAnswerError {
  return new MalformedAnswerError(`Invalid response from etcd: ${wanted}; received ${quote(value)}`);
}
