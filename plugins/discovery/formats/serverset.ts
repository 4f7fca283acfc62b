import type { Json, Node } from "../../../mod.ts";
import { isRecord, nodeName, parsePort, quote } from "../../../src/model/node.ts";
import { childOf } from "../children.ts";
import { type ParsedEntry, parseEntry } from "../entry.ts";
import { readObject } from "../node_json.ts";
import { encodeJson, type Format, unusable } from "./format.ts";
import { optionsIn, optionsOf } from "./string_map.ts";

/** Which part of a serverset is a cluster. */
export interface ServersetOptions {
  /** The additional endpoint to connect to; the service endpoint if absent. */
  readonly endpoint?: string | undefined;
  /** The prefix of members' names; others are weights, or another tool's. */
  readonly memberPrefix: string;
  /** The one shard whose members are read, and that is written. */
  readonly shard?: number | undefined;
}

/** Finagle's and Aurora's: an endpoint, further ones by name, a status and a shard. */
export function serverset(options: ServersetOptions): Format {
  const { memberPrefix } = options;
  return {
    select: (names) => names.filter((name) => name.startsWith(memberPrefix)),
    read: (_name, data, read) => childOf(parse(data, options), data, read),
    write: (node) => ({ name: `${memberPrefix}${nodeName(node)}`, data: encodeJson(entryOf(node, options)) }),
    nameOf: (node) => `${memberPrefix}${nodeName(node)}`,
    sequenceOf: () => memberPrefix,
    isForeign: true,
  };
}

function parse(data: Uint8Array, { endpoint, shard: wantedShard }: ServersetOptions): ParsedEntry | undefined {
  const read = readObject(data);
  if (!read.ok) return read;
  const { status = "ALIVE", serviceEndpoint, shard, metadata } = read.value;
  if (typeof status !== "string") return unusable("status must be a string", status);
  // Its clients connect to ALIVE only; a stopping member keeps its connections.
  if (status !== "ALIVE" && status !== "STOPPING") return undefined;
  if (wantedShard !== undefined && shard !== wantedShard) return undefined;
  const more = isRecord(read.value.additionalEndpoints) ? read.value.additionalEndpoints : {};
  const chosen = endpoint === undefined ? serviceEndpoint : Object.hasOwn(more, endpoint) ? more[endpoint] : undefined;
  if (!isRecord(chosen)) {
    return endpoint === undefined
      ? unusable("serviceEndpoint must be an object", chosen)
      : unusable(`additionalEndpoints must contain ${quote(endpoint)}`, Object.keys(more).join(", "));
  }
  const ports = Object.entries(more).flatMap(([name, one]) => {
    const port = isRecord(one) ? parsePort(one.port) : undefined;
    return port === undefined ? [] : [[name, port] as const];
  });
  return parseEntry({
    ip: chosen.host,
    port: chosen.port,
    state: status === "STOPPING" ? "drain" : undefined,
    ...optionsIn(metadata),
    metadata: {
      ...ports.length > 0 && { ports: Object.fromEntries(ports) },
      ...Number.isSafeInteger(shard) && { shard },
    },
  });
}

function entryOf(node: Node, { endpoint, shard: wantedShard }: ServersetOptions): Json {
  const shard = wantedShard ?? node.metadata.shard;
  const at = (port: number) => ({ host: node.ip, port });
  const { ports } = node.metadata;
  const named = Object.entries(isRecord(ports) ? ports : {}).flatMap(([name, given]) => {
    const port = parsePort(given);
    return port === undefined ? [] : [[name, at(port)] as const];
  });
  const metadata = optionsOf(node);
  return {
    status: node.state === "drain" ? "STOPPING" : "ALIVE",
    serviceEndpoint: at(node.port),
    additionalEndpoints: { ...Object.fromEntries(named), ...endpoint !== undefined && { [endpoint]: at(node.port) } },
    ...typeof shard === "number" && Number.isSafeInteger(shard) && { shard },
    ...Object.keys(metadata).length > 0 && { metadata },
  };
}
