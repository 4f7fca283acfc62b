/**
 * Values of a message, taken as far as they may be believed.
 *
 * @module
 */
import { isRecord, type Node, nodeName, parseNode, quote } from "../model/node.ts";
import type { PermissionRequest } from "../plugin/contract.ts";

/** No text of a plugin is longer in a log or a status. */
const TEXT_LENGTH_MAX = 2_000;
/** No list in a permission request or of issues is longer. */
export const LIST_LENGTH_MAX = 1_000;
/** A config is nested no deeper. */
const CONFIG_DEPTH_MAX = 100;
/** A config has no more values, counted where they stand: one list that stands in itself many times is many. */
const CONFIG_VALUES_MAX = 100_000;

/** No snapshot may have more nodes. */
export const NODES_MAX = 100_000;

/** Raised when a message cannot be believed at all. */
export class Fault extends Error {}

/** Takes an object. */
export function record(value: unknown, key: string): Record<string, unknown> {
  if (!isRecord(value)) throw new Fault(`${key} must be an object: current value is ${quote(value)}`);
  return value;
}

/** Takes a list of at most so many entries. */
export function listOf(value: unknown, key: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new Fault(`${key} must be a list: current value is ${quote(value)}`);
  if (value.length > lengthMax) {
    throw new Fault(`${key} must have at most ${lengthMax} entries: it has ${value.length}`);
  }
  // A list may have holes, over which `map` would pass.
  return Array.from(value);
}

/** A config is kept, compared and sent on: it must be what JSON can say, with keys that are `undefined` besides. */
export function plain(config: unknown): unknown {
  let left = CONFIG_VALUES_MAX;
  const isPlain = (value: unknown, levels: number): boolean => {
    if (levels === 0 || left-- === 0) return false;
    if (typeof value !== "object" || value === null) return typeof value !== "bigint";
    const prototype = Object.getPrototypeOf(value);
    if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return false;
    return Object.values(value).every((inner) => isPlain(inner, levels - 1));
  };
  if (!isPlain(config, CONFIG_DEPTH_MAX)) throw new Fault("config must be plain data, as JSON can say it");
  return config;
}

/** A text that is granted must be what was asked for, not what is left of it. */
export function exactText(value: unknown, key: string): string {
  const cleaned = text(value, key);
  if (cleaned !== value) {
    throw new Fault(
      `${key} must be a text without control characters of at most ${TEXT_LENGTH_MAX}: current value is ${
        quote(value)
      }`,
    );
  }
  return cleaned;
}

/** Takes a text, shortened and fit for a line. */
export function text(value: unknown, key: string): string {
  if (typeof value !== "string") throw new Fault(`${key} must be a string: current value is ${quote(value)}`);
  return clean(value);
}

/** Takes what could forge a log line or a terminal's colour out of a text. */
export function clean(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are just what is looked for.
  return text.slice(0, TEXT_LENGTH_MAX).replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
}

/** Takes a finite number. */
export function number(value: unknown, key: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new Fault(`${key} must be a number: current value is ${quote(value)}`);
  }
  return value;
}

/** Takes a permission request: lists of texts as they are. */
export function permissions(value: unknown): PermissionRequest {
  if (!isRecord(value)) throw new Fault("A permission request must be an object of lists");
  const request: Record<string, readonly string[]> = {};
  for (const [kind, wanted] of Object.entries(value)) {
    if (!["net", "read", "write", "env", "run"].includes(kind)) {
      throw new Fault(`Cannot ask for the permission ${quote(kind)}: want net, read, write, env or run`);
    }
    request[kind] = listOf(wanted, kind, LIST_LENGTH_MAX).map((entry) => exactText(entry, kind));
  }
  return request;
}

/** Takes nodes, sorted by name; one that cannot be believed is left out and named in `refused`. */
export function nodesOf(value: unknown, refused: string[]): readonly Node[] {
  const nodes = new Map<string, Node>();
  for (const raw of listOf(value, "nodes", NODES_MAX)) {
    const parsed = parseNode(raw);
    if (!parsed.ok) refused.push(parsed.reason);
    else if (nodes.has(nodeName(parsed.node))) refused.push(`Two nodes have the name ${nodeName(parsed.node)}`);
    else nodes.set(nodeName(parsed.node), parsed.node);
  }
  return sortNodes([...nodes.values()]);
}

/** Sorts nodes by name, as every topology has them. */
function sortNodes(nodes: readonly Node[]): readonly Node[] {
  const named = nodes.map((node) => ({ name: nodeName(node), node }));
  named.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return named.map(({ node }) => node);
}
