import type { Json, Node } from "../../../mod.ts";
import { nodeName } from "../../../src/model/node.ts";
import { childOf } from "../children.ts";
import { type ParsedEntry, parseEntry } from "../entry.ts";
import { metadataOf, readObject } from "../node_json.ts";
import { encodeJson, type Format, numberOf, unusable } from "./format.ts";

/** The parts of a node that a field may hold. */
export const FIELD_NAMES = ["ip", "port", "host", "weight", "zone", "state", "labels", "priority", "metadata"] as const;

/** Which field of an entry holds which part of a node; an absent part has none. */
export type JsonFields = { readonly [name in typeof FIELD_NAMES[number]]?: string | undefined };

/** The words for each state, the written one first. */
const STATES: readonly (readonly [NonNullable<Node["state"]>, readonly string[]])[] = [
  ["ready", ["ready", "up"]],
  ["drain", ["drain", "draining"]],
];

/** An object of JSON with configurable field names; `port` is the default for entries without one. */
export function json({ fields, port }: { readonly fields: JsonFields; readonly port: number | undefined }): Format {
  return {
    read: (_name, data, options) => childOf(parse(data, { fields, port }), data, options),
    write: (node) =>
      node.state === "drain" && fields.state === undefined
        ? undefined
        : { name: nodeName(node), data: encodeJson(fieldsOf(node, fields)) },
    nameOf: nodeName,
    isForeign: true,
  };
}

function parse(
  data: Uint8Array,
  { fields, port }: { readonly fields: JsonFields; readonly port: number | undefined },
): ParsedEntry {
  const read = readObject(data);
  if (!read.ok) return read;
  const value = (name: keyof JsonFields): unknown => {
    const field = fields[name];
    return field !== undefined && Object.hasOwn(read.value, field) ? read.value[field] : undefined;
  };
  const state = value("state");
  const known = STATES.find(([, words]) => typeof state === "string" && words.includes(state.toLowerCase()))?.[0];
  if (state !== undefined && state !== null && known === undefined) {
    return unusable(`${fields.state} must be ready, up, drain or draining`, state);
  }
  return parseEntry({
    host: value("host"),
    ip: value("ip"),
    port: numberOf(value("port") ?? port),
    weight: numberOf(value("weight")),
    zone: value("zone"),
    state: known === "ready" ? undefined : known,
    labels: value("labels"),
    priority: numberOf(value("priority")),
    metadata: metadataOf(value("metadata")),
  });
}

function fieldsOf(node: Node, fields: JsonFields): Json {
  const values = { ...node, state: node.state ?? "ready" };
  return Object.fromEntries(FIELD_NAMES.flatMap((name): [string, Json][] => {
    const [field, value] = [fields[name], values[name]];
    return field === undefined || value === undefined ? [] : [[field, value]];
  }));
}
