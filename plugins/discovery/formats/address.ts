import type { Node } from "../../../mod.ts";
import { formatEndpoint, isIpv4, isIpv6, parseEndpoint } from "../../../src/model/endpoint.ts";
import { nodeName } from "../../../src/model/node.ts";
import { childOf } from "../children.ts";
import { type ParsedEntry, parseEntry } from "../entry.ts";
import { type Format, unusable } from "./format.ts";

/** An address as the entry's value, under any name; `port` is the default for addresses without one. */
export function inValue(port: number | undefined): Format {
  return {
    read: (_name, data, options) => childOf(parseAddress(new TextDecoder().decode(data).trim(), port), data, options),
    ...written(nodeName),
  };
}

/** An address as the entry's name, whatever its value; `port` is the default for addresses without one. */
export function inName(port: number | undefined): Format {
  const nameOf = (node: Node) => node.port === port ? node.ip : addressOf(node);
  return {
    read: (name, data, options) => childOf(parseAddress(name, port), data, options),
    ...written(nameOf),
  };
}

/** An address has neither a weight nor a state: a draining node has no entry. */
function written(nameOf: (node: Node) => string): Omit<Format, "read"> {
  return {
    write: (node) =>
      node.state === "drain" ? undefined : { name: nameOf(node), data: new TextEncoder().encode(addressOf(node)) },
    nameOf,
    isForeign: true,
  };
}

function addressOf({ ip, port }: Node): string {
  return formatEndpoint({ host: ip, port });
}

function parseAddress(text: string, port: number | undefined): ParsedEntry {
  const endpoint = isIpv4(text) || isIpv6(text) ? { host: text, port } : parseEndpoint(text);
  if (endpoint?.port !== undefined) return parseEntry({ ip: endpoint.host, port: endpoint.port });
  return unusable(
    port === undefined ? "must be an IP address with a port" : "must be an IP address, with or without a port",
    text,
  );
}
