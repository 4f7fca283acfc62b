/**
 * Values of a message, taken as far as they may be believed.
 *
 * @module
 */
import { isPlainObject, toPrintableLine } from "../kernel/quote.ts";
import { isRecord, type Node, nodeName, parseNode, quote } from "../model/node.ts";
import type { KeysEntry, PermissionRequest, ProbeOutcome } from "../plugin/contract.ts";
import { errorText } from "./wire_error.ts";

/** No string of a plugin is longer in a log or a status. */
export const TEXT_LENGTH_MAX = 2_000;
/** No more properties of a log record are kept. */
const PROPERTIES_MAX = 20;
/** No key of a log record's property is longer. */
const KEY_LENGTH_MAX = 80;
/** No list in a permission request or of issues is longer. */
export const LIST_LENGTH_MAX = 1_000;
/** A config is nested no deeper. */
const CONFIG_DEPTH_MAX = 100;
/** A config has no more values, counted where they stand: one list that stands in itself many times is many. */
const CONFIG_VALUES_MAX = 100_000;

/** No snapshot may have more nodes. */
export const NODES_MAX = 100_000;

/** No prefix may have more keys. */
export const KEYS_MAX = 10_000;

/** Raised when a message cannot be believed at all. */
export class InvalidMessage extends Error {}

/** Takes an object. */
export function record(value: unknown, key: string): Record<string, unknown> {
  if (!isRecord(value)) throw new InvalidMessage(`${key} must be an object: current value is ${quote(value)}`);
  return value;
}

/** Takes a list of at most so many entries. */
export function listOf(value: unknown, key: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new InvalidMessage(`${key} must be a list: current value is ${quote(value)}`);
  if (value.length > lengthMax) {
    throw new InvalidMessage(`${key} must have at most ${lengthMax} entries: it has ${value.length}`);
  }
  // A list may have holes, over which `map` would pass.
  return Array.from(value);
}

/**
 * Accepts a config: it is kept, compared and sent on as JSON, so it must be
 * what JSON can say, with keys that are `undefined` besides. A list with holes
 * is none: `JSON.stringify` would write each of four thousand million.
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
  if (!isPlain(config, CONFIG_DEPTH_MAX)) throw new InvalidMessage("config must be plain data, as JSON can say it");
  return config;
}

/** A text that is granted must be what was asked for, not what is left of it. */
export function exactText(value: unknown, key: string): string {
  const cleaned = text(value, key);
  if (cleaned !== value) {
    throw new InvalidMessage(
      `${key} must be a text without control characters of at most ${TEXT_LENGTH_MAX}: current value is ${
        quote(value)
      }`,
    );
  }
  return cleaned;
}

/** Takes a text, shortened and fit for a line. */
export function text(value: unknown, key: string): string {
  if (typeof value !== "string") throw new InvalidMessage(`${key} must be a string: current value is ${quote(value)}`);
  return clean(value);
}

/** Takes what could forge a log line, colour a terminal or turn its text round out of a text. */
export function clean(text: string): string {
  return toPrintableLine(text.slice(0, TEXT_LENGTH_MAX));
}

/** Takes a finite number. */
export function number(value: unknown, key: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new InvalidMessage(`${key} must be a number: current value is ${quote(value)}`);
  }
  return value;
}

/** Takes a permission request: lists of texts as they are. */
export function permissions(value: unknown): PermissionRequest {
  if (!isRecord(value) || !isPlainObject(value)) {
    throw new InvalidMessage("A permission request must be an object of lists");
  }
  const request: Record<string, readonly string[]> = {};
  for (const [kind, wanted] of Object.entries(value)) {
    if (!["net", "read", "write", "env", "run"].includes(kind)) {
      throw new InvalidMessage(`Cannot ask for the permission ${quote(kind)}: want net, read, write, env or run`);
    }
    request[kind] = listOf(wanted, kind, LIST_LENGTH_MAX).map((entry) => exactText(entry, kind));
  }
  return request;
}

/** Takes keys with their values, which are data and stay as they are; sorted by key. */
export function keysOf(value: unknown): readonly KeysEntry[] {
  let last = "";
  return listOf(value, "entries", KEYS_MAX).map((entry) => {
    const { key, value } = record(entry, "entry");
    if (typeof key !== "string" || key.length > TEXT_LENGTH_MAX) {
      throw new InvalidMessage(
        `key must be a string of at most ${TEXT_LENGTH_MAX} characters: current value is ${quote(key)}`,
      );
    }
    if (typeof value !== "string") throw new InvalidMessage(`The value of ${quote(key)} must be a string`);
    if (key < last) throw new InvalidMessage(`entries must be sorted by key: ${quote(key)} is after ${quote(last)}`);
    last = key;
    return { key, value };
  });
}

/** Takes a probe's outcome; what is none is a failure that says so. */
export function outcome(value: unknown): ProbeOutcome {
  if (isRecord(value) && value.status === "pass") {
    return value.detail === undefined ? { status: "pass" } : { status: "pass", detail: text(value.detail, "detail") };
  }
  if (isRecord(value) && (value.status === "fail" || value.status === "unknown")) {
    return { status: value.status, reason: text(value.reason, "reason") };
  }
  // A plugin that answers nonsense has not shown that the service is well.
  return { status: "fail", reason: `The check answered ${quote(value)}, want { status: "pass" | "fail" | "unknown" }` };
}

/** Takes a log record's properties: the first 20, each a number, a boolean or a short string. */
export function shorten(properties: unknown): Record<string, unknown> {
  // Of bytes each would be a property.
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

/** Takes nodes, sorted by name; one that cannot be believed is left out and named in `refused`. */
export function nodesOf(value: unknown, refused: string[]): readonly Node[] {
  return joinNodes(portionOf(value, refused), refused);
}

/**
 * Takes nodes in the order in which they come. A worker that has found for
 * itself that one cannot be believed says why in its place: `{ refused }`.
 */
export function portionOf(value: unknown, refused: string[]): readonly Node[] {
  const nodes: Node[] = [];
  for (const raw of listOf(value, "nodes", NODES_MAX)) {
    const parsed = parseNode(raw);
    if (parsed.ok) nodes.push(parsed.node);
    else refused.push(isRecord(raw) && typeof raw.refused === "string" ? clean(raw.refused) : parsed.reason);
  }
  return nodes;
}

/**
 * Sorts nodes by name; the second of two nodes of one name is left out and
 * named in `refused`. Nodes that are sorted already, as a worker sends them,
 * stay the same list: to sort 100,000 nodes again holds the main loop for a
 * quarter of a second.
 */
export function joinNodes(all: readonly Node[], refused: string[]): readonly Node[] {
  if (isSorted(all)) return all;
  const named = all.map((node) => ({ name: nodeName(node), node }));
  named.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return named.filter(({ name }, i) => {
    const isTwice = name === named[i - 1]?.name;
    if (isTwice) refused.push(`Two nodes have the name ${name}`);
    return !isTwice;
  }).map(({ node }) => node);
}

/** Whether each node has a name of its own, later than the one before. */
function isSorted(nodes: readonly Node[]): boolean {
  let last = "";
  return nodes.every((node) => {
    const name = nodeName(node);
    const isLater = name > last;
    last = name;
    return isLater;
  });
}
