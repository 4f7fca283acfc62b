/**
 * A node as the registries store it: JSON byte for byte as 1.0 writes it, so that both may share one
 * registry.
 *
 * @module
 */
import type { Json, Node } from "../../mod.ts";
import { isRecord } from "../../src/model/node.ts";
import { type ParsedEntry, parseEntry } from "./entry.ts";

/** How deep metadata may be nested: far beyond use, and far from any stack overflow. */
const DEPTH_MAX = 64;

/**
 * Encodes a node as 1.0 does: sorted keys, `", "` and `": "`, ASCII only, `peer` and `metadata` as JSON
 * within a string. A node without a peer is written without that key; 1.0 then uses the reader's own
 * balancer. 1.0 ignores keys that it does not know.
 */
export function encodeNode(node: Node): Uint8Array {
  const { host, ip, port, peer, metadata } = node;
  const payload: Record<string, Json> = { host, ip, metadata: toPythonJson(metadata), port, ...nodeOptions(node) };
  if (peer !== undefined) payload.peer = toPythonJson({ ip: peer.ip, name: peer.name, port: peer.port });
  return new TextEncoder().encode(toPythonJson(payload));
}

/** The optional keys of a node, except `peer`, as every registry of Lighthouse's own format has them. */
export function nodeOptions({ weight, state, zone, labels, priority }: NodeOptions): { readonly [key: string]: Json } {
  return {
    ...weight !== undefined && { weight },
    ...state !== undefined && { state },
    ...zone !== undefined && { zone },
    ...labels !== undefined && { labels },
    ...priority !== undefined && { priority },
  };
}

type NodeOptions = Pick<Node, "weight" | "state" | "zone" | "labels" | "priority">;

/**
 * Decodes a node from a registry; it may come from anybody. `peer` and `metadata` may be JSON within a string
 * or plain objects. Unreadable metadata costs only itself: 1.0 never reads it, and the node is served; where
 * nobody reads it, it is ignored. Never throws.
 */
export function decodeNode(
  bytes: Uint8Array,
  { withoutMetadata = false }: { readonly withoutMetadata?: boolean | undefined } = {},
): ParsedEntry {
  const read = readObject(bytes);
  if (!read.ok) return read;
  const { value } = read;
  const { host, ip, port, weight, state, zone, labels, priority } = value;
  const peer = typeof value.peer === "string" ? readJson(value.peer) : value.peer;
  const node = { host, ip, port, peer, weight, state, zone, labels, priority };
  return parseEntry({ ...node, metadata: withoutMetadata ? {} : metadataOf(value.metadata) });
}

/** Parses one JSON object; the reason says why it is not one. Never throws. */
export function readObject(
  bytes: Uint8Array,
): { readonly ok: true; readonly value: Record<string, unknown> } | { readonly ok: false; readonly reason: string } {
  if (bytes.length === 0) return refuse("empty");
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isRecord(value) ? { ok: true, value } : refuse("not a JSON object");
  } catch (error) {
    return refuse(error instanceof SyntaxError ? "not JSON" : "not UTF-8");
  }
}

/**
 * Metadata that was written as an object, or as JSON within a string; empty if it is neither, or nested too
 * deep.
 */
export function metadataOf(value: unknown): Record<string, unknown> {
  const written = typeof value === "string" ? readJson(value) : value;
  return isRecord(written) && depthOf(written) <= DEPTH_MAX ? written : {};
}

/**
 * Encodes JSON as Python's `json.dumps(value, sort_keys=True)`. A number without a fraction is written as an
 * integer, for YAML's `1.0` and `1` are the same number here; other numbers look as in Python (`1e-05`).
 */
export function toPythonJson(value: Json): string {
  if (typeof value === "string") return quoteAscii(value);
  if (typeof value === "number") return formatNumber(value);
  if (Array.isArray(value)) return `[${value.map(toPythonJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const entries = Object.entries(value).toSorted(([a], [b]) => compareByCodePoint(a, b));
  return `{${entries.map(([key, inner]) => `${quoteAscii(key)}: ${toPythonJson(inner)}`).join(", ")}}`;
}

/** Whether two payloads are the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function refuse(why: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason: `Invalid node: ${why}` };
}

/** Parses JSON; invalid text stays as it is and is rejected by the next check. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * How deep a value is nested, counted no further than needed. Iterates without recursion: the value is
 * hostile.
 */
function depthOf(value: unknown): number {
  let depth = 0;
  for (let level: unknown[] = [value]; level.length > 0 && depth <= DEPTH_MAX; depth++) {
    level = level.flatMap((one) => typeof one === "object" && one !== null ? Object.values(one) : []);
  }
  return depth;
}

function quoteAscii(text: string): string {
  // JSON leaves everything above the control characters as it is; Python escapes all that is not printable
  // ASCII.
  return JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function formatNumber(number: number): string {
  if (!Number.isFinite(number)) return "null";
  const text = String(number);
  if (Number.isInteger(number) || Math.abs(number) >= 1e-4) return text;
  // Python changes to exponents earlier, and gives them at least two digits.
  const [digits, exponent = ""] = number.toExponential().split("e-");
  return `${digits}e-${exponent.padStart(2, "0")}`;
}

/** Python sorts by code points; JavaScript by code units, which differ beyond U+FFFF. */
function compareByCodePoint(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
