import type { Json, Node } from "../../../mod.ts";
import { isRecord, nodeName } from "../../../src/model/node.ts";
import { childOf } from "../children.ts";
import { type ParsedEntry, parseEntry } from "../entry.ts";
import { readObject } from "../node_json.ts";
import { encodeJson, type Format } from "./format.ts";
import { optionsIn, optionsOf } from "./string_map.ts";

/** The class that Spring Cloud deserializes a payload as. */
const PAYLOAD_CLASS = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance";

/** Curator's service instances, and those of Spring Cloud, which keep a map of strings in the payload. */
export function curator(cluster: string): Format {
  return {
    read: (_name, data, options) => childOf(parse(data), data, options),
    write: (node) => ({ name: nodeName(node), data: encodeJson(entryOf(node, cluster)) }),
    nameOf: nodeName,
    isForeign: true,
  };
}

function parse(data: Uint8Array): ParsedEntry | undefined {
  const read = readObject(data);
  if (!read.ok) return read;
  const { address, port, sslPort, payload, enabled } = read.value;
  const map = isRecord(payload) && isRecord(payload.metadata) ? payload.metadata : {};
  const status = typeof map.instance_status === "string" ? map.instance_status.toUpperCase() : "UP";
  if (status !== "UP" && status !== "OUT_OF_SERVICE") return undefined;
  return parseEntry({
    ip: address,
    port: port ?? sslPort,
    state: enabled === false || status === "OUT_OF_SERVICE" ? "drain" : undefined,
    ...optionsIn(map),
  });
}

/** A payload is written only if it is needed: its class is unknown to clients without Spring. */
function entryOf(node: Node, cluster: string): Json {
  const id = nodeName(node);
  const metadata = optionsOf(node);
  return {
    name: cluster,
    id,
    address: node.ip,
    port: node.port,
    sslPort: null,
    payload: Object.keys(metadata).length === 0 ? null : { "@class": PAYLOAD_CLASS, id, name: cluster, metadata },
    registrationTimeUTC: 0,
    serviceType: "DYNAMIC",
    uriSpec: null,
    // Clients of older versions do not know the key, so it is written only if needed.
    ...node.state === "drain" && { enabled: false },
  };
}
