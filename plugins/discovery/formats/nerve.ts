import type { Node } from "../../../mod.ts";
import { isRecord, nodeName, PRIORITY_MAX } from "../../../src/model/node.ts";
import { childOf } from "../children.ts";
import { type ParsedEntry, parseEntry } from "../entry.ts";
import { readObject } from "../node_json.ts";
import { encodeJson, type Format, numberOf, unusable } from "./format.ts";

/** The most characters of `haproxy_server_options` that are read. */
const OPTIONS_LENGTH_MAX = 1_024;

/**
 * SmartStack's: nodes of nerve under `<instance_id>_<number>`, or under a name that contains the value
 * itself. A weight of 0 is how its clients take a node out of rotation, so it is read and written as a
 * draining node.
 */
export const nerve: Format = {
  read: (name, data, options) => {
    const encoded = decodeName(name);
    return childOf(encoded?.ok === false ? encoded : parse(encoded?.bytes ?? data), data, options);
  },
  write: (node) => ({ name: nodeName(node), data: encodeJson(entryOf(node)) }),
  nameOf: nodeName,
  sequenceOf: ({ host }) => `${host}_`,
  isForeign: true,
  isNested: true,
};

/** The value that a name contains: `base64_<length>_<value>_<number>`; `undefined` for any other name. */
function decodeName(
  name: string,
): { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly reason: string } | undefined {
  const [, length = "", rest = ""] = /^base64_([0-9]{1,6})_(.*)$/s.exec(name) ?? [];
  if (length === "") return undefined;
  const text = rest.slice(0, Number(length));
  if (text.length !== Number(length) || !/^(?:_-?[0-9]*)?$/.test(rest.slice(text.length))) {
    return unusable(`the name must contain ${length} base64 characters`, name);
  }
  try {
    return { ok: true, bytes: Uint8Array.fromBase64(text, { alphabet: "base64url" }) };
  } catch {
    return unusable("the name must contain valid base64", name);
  }
}

function parse(data: Uint8Array): ParsedEntry {
  const read = readObject(data);
  if (!read.ok) return read;
  const { host, port, name, weight: given, labels, haproxy_server_options } = read.value;
  const options = serverOptions(haproxy_server_options);
  const weight = numberOf(given ?? options.weight);
  const isOut = weight === 0 || options.isDisabled;
  return parseEntry({
    ip: host,
    port: numberOf(port),
    weight: weight === 0 ? undefined : weight,
    state: isOut ? "drain" : undefined,
    priority: options.isBackup ? 1 : undefined,
    labels: isRecord(labels) ? Object.fromEntries(Object.entries(labels).map(asText)) : labels,
    metadata: typeof name === "string" ? { name: name.slice(0, OPTIONS_LENGTH_MAX) } : {},
  });
}

/** The words that are read from an entry: their meaning is used, and no word of it reaches a balancer. */
function serverOptions(
  given: unknown,
): { readonly weight?: string | undefined; readonly isDisabled: boolean; readonly isBackup: boolean } {
  const words = typeof given === "string" ? given.slice(0, OPTIONS_LENGTH_MAX).split(/\s+/) : [];
  const at = words.indexOf("weight");
  const weight = at === -1 ? undefined : words[at + 1];
  return {
    weight: weight !== undefined && /^[0-9]{1,3}$/.test(weight) ? weight : undefined,
    isDisabled: words.includes("disabled"),
    isBackup: words.includes("backup"),
  };
}

/** nerve writes what its config says; numbers and booleans there are strings here. */
function asText([name, value]: [string, unknown]): [string, unknown] {
  return [name, typeof value === "number" || typeof value === "boolean" ? String(value) : value];
}

function entryOf({ host, ip, port, weight, state, labels, priority = 0 }: Node): unknown {
  return {
    host: ip,
    port,
    name: host,
    ...state === "drain" ? { weight: 0 } : weight !== undefined && { weight },
    ...priority > 0 && priority <= PRIORITY_MAX && { haproxy_server_options: "backup" },
    ...labels !== undefined && { labels },
  };
}
