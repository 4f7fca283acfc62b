/**
 * Validation of the values in a message.
 *
 * @module
 */
import { isPlainObject, toPrintableLine } from "../kernel/quote.ts";
import { frozenNode, isRecord, type Node, nodeName, parseNode, quote } from "../model/node.ts";
import type { KeysEntry, PermissionRequest, ProbeOutcome } from "../plugin/contract.ts";
import { errorText } from "./wire_error.ts";

/** Maximum length of a plugin's string in a log or a status. */
export const TEXT_LENGTH_MAX = 2_000;
/** Maximum number of properties of a log record. */
const PROPERTIES_MAX = 20;
/** Maximum length of the key of such a property. */
const KEY_LENGTH_MAX = 80;
/** Maximum length of a list in a permission request, or of issues. */
export const LIST_LENGTH_MAX = 1_000;
/** Maximum depth of a config. */
const CONFIG_DEPTH_MAX = 100;
/** Maximum number of values of a config, counting repeated ones each time: a list may contain one list many times. */
const CONFIG_VALUES_MAX = 100_000;

/** Maximum number of nodes of a snapshot. */
export const NODES_MAX = 100_000;

/** Maximum number of keys of a prefix. */
export const KEYS_MAX = 10_000;

/** Thrown for an invalid message. */
export class InvalidMessage extends Error {}

/** Validates an object. */
export function record(value: unknown, key: string): Record<string, unknown> {
  if (!isRecord(value)) throw new InvalidMessage(`${key} must be an object; received ${quote(value)}`);
  return value;
}

/** Validates a list with at most `lengthMax` entries. */
export function listOf(value: unknown, key: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new InvalidMessage(`${key} must be a list; received ${quote(value)}`);
  if (value.length > lengthMax) {
    throw new InvalidMessage(`${key} must have at most ${lengthMax} entries; received ${value.length}`);
  }
  // `map` would skip the holes of a list.
  return Array.from(value);
}

/**
 * Validates a config: it is kept, compared and sent on as JSON, so it must be JSON data, plus keys
 * that are `undefined`. A list with holes is rejected: `JSON.stringify` would write each of four
 * billion.
 */
export function plain(config: unknown): unknown {
  let left = CONFIG_VALUES_MAX;
  const isPlain = (value: unknown, levels: number): boolean => {
    if (levels === 0 || left-- <= 0) return false;
    if (value === null || ["string", "boolean", "undefined"].includes(typeof value)) return true;
    if (typeof value === "number") return Number.isFinite(value);
    if (typeof value !== "object") return false;
    if (Array.isArray(value)) {
      return value.length <= left &&
        value.keys().every((i) => Object.hasOwn(value, i) && isPlain(value[i], levels - 1));
    }
    return isPlainObject(value) && Object.values(value).every((inner) => isPlain(inner, levels - 1));
  };
  if (!isPlain(config, CONFIG_DEPTH_MAX)) throw new InvalidMessage("config must be JSON data");
  return config;
}

/** A granted string must be exactly the requested one, not a cleaned version of it. */
export function exactText(value: unknown, key: string): string {
  const cleaned = text(value, key);
  if (cleaned !== value) {
    throw new InvalidMessage(
      `${key} must be a string without control characters, of at most ${TEXT_LENGTH_MAX} characters; received ${
        quote(value)
      }`,
    );
  }
  return cleaned;
}

/** Validates a string, truncated and on one line. */
export function text(value: unknown, key: string): string {
  if (typeof value !== "string") throw new InvalidMessage(`${key} must be a string; received ${quote(value)}`);
  return clean(value);
}

/** Removes characters that could forge a log line, colour a terminal or reverse its text. */
export function clean(text: string): string {
  return toPrintableLine(text.slice(0, TEXT_LENGTH_MAX));
}

/** Validates a finite number. */
export function number(value: unknown, key: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new InvalidMessage(`${key} must be a number; received ${quote(value)}`);
  }
  return value;
}

/** Validates a permission request: lists of unchanged strings. */
export function permissions(value: unknown): PermissionRequest {
  if (!isRecord(value) || !isPlainObject(value)) {
    throw new InvalidMessage("A permission request must be an object whose values are lists");
  }
  const request: Record<string, readonly string[]> = {};
  for (const [kind, wanted] of Object.entries(value)) {
    if (!["net", "read", "write", "env", "run"].includes(kind)) {
      throw new InvalidMessage(`Unknown permission ${quote(kind)}: expected net, read, write, env or run`);
    }
    request[kind] = listOf(wanted, kind, LIST_LENGTH_MAX).map((entry) => exactText(entry, kind));
  }
  return request;
}

/** Validates keys and their values, which stay unchanged; sorted by key. */
export function keysOf(value: unknown): readonly KeysEntry[] {
  let last = "";
  return listOf(value, "entries", KEYS_MAX).map((entry) => {
    const { key, value } = record(entry, "entry");
    if (typeof key !== "string" || key.length > TEXT_LENGTH_MAX) {
      throw new InvalidMessage(
        `key must be a string of at most ${TEXT_LENGTH_MAX} characters; received ${quote(key)}`,
      );
    }
    if (typeof value !== "string") throw new InvalidMessage(`The value of ${quote(key)} must be a string`);
    if (key < last) throw new InvalidMessage(`entries must be sorted by key: ${quote(key)} is after ${quote(last)}`);
    last = key;
    return { key, value };
  });
}

/** Validates a probe's outcome; an invalid one becomes a failure. */
export function outcome(value: unknown): ProbeOutcome {
  if (isRecord(value) && value.status === "pass") {
    return value.detail === undefined ? { status: "pass" } : { status: "pass", detail: text(value.detail, "detail") };
  }
  if (isRecord(value) && (value.status === "fail" || value.status === "unknown")) {
    return { status: value.status, reason: text(value.reason, "reason") };
  }
  // A plugin with an invalid answer has not shown that the service is healthy.
  return { status: "fail", reason: `invalid outcome ${quote(value)}: must be { status: "pass" | "fail" | "unknown" }` };
}

/** Validates a log record's properties: the first 20, each a number, a boolean or a short string. */
export function shorten(properties: unknown): Record<string, unknown> {
  // Each byte of an array would be a property.
  if (!isRecord(properties) || !isPlainObject(properties)) return {};
  const kept = Object.keys(properties).slice(0, PROPERTIES_MAX);
  return Object.fromEntries(kept.map((key) => {
    const value = properties[key];
    const isShort = (typeof value === "number" && Number.isFinite(value)) || typeof value === "boolean";
    return [clean(key.slice(0, KEY_LENGTH_MAX)), isShort ? value : clean(toText(value))];
  }));
}

function toText(value: unknown): string {
  if (typeof value === "string") return value;
  return value instanceof Error ? errorText(value) : quote(value);
}

/** Validates nodes, sorted by name; invalid ones are left out and named in `refused`. */
export function nodesOf(value: unknown, refused: string[]): readonly Node[] {
  return joinNodes(portionOf(value, refused), refused);
}

/**
 * Validates nodes in their given order. A worker that has found a node to be invalid sends the reason
 * in its place: `{ refused }`.
 */
export function portionOf(value: unknown, refused: string[]): readonly Node[] {
  const nodes: Node[] = [];
  for (const raw of listOf(value, "nodes", NODES_MAX)) {
    const parsed = parseNode(raw);
    // Many parts share it, and know it by its identity.
    if (parsed.ok) nodes.push(frozenNode(parsed.node));
    else refused.push(isRecord(raw) && typeof raw.refused === "string" ? clean(raw.refused) : parsed.reason);
  }
  return nodes;
}

/**
 * Sorts nodes by name; the second of two nodes of one name is left out and named in `refused`. Nodes
 * that are sorted already, as workers send them, stay the same list: sorting 100,000 nodes again would
 * block the main loop for a quarter of a second.
 */
export function joinNodes(all: readonly Node[], refused: string[]): readonly Node[] {
  if (isSorted(all)) return all;
  const named = all.map((node) => ({ name: nodeName(node), node }));
  named.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return named.filter(({ name }, i) => {
    const isTwice = name === named[i - 1]?.name;
    if (isTwice) refused.push(`Two nodes have the same name, ${name}`);
    return !isTwice;
  }).map(({ node }) => node);
}

/** Whether the names of the nodes are unique and ascending. */
function isSorted(nodes: readonly Node[]): boolean {
  let last = "";
  return nodes.every((node) => {
    const name = nodeName(node);
    const isLater = name > last;
    last = name;
    return isLater;
  });
}
