/**
 * What the entries of a registry look like: each format reads what its own
 * clients write, and writes what they read.
 *
 * @module
 */
import type { Node } from "../../../mod.ts";
import { formatEndpoint, isIpv4, isIpv6, isPort, parseEndpoint } from "../../../src/model/endpoint.ts";
import { nodeName, parseNode, quote } from "../../../src/model/node.ts";
import { type Child, readChild, type ReadChildOptions } from "../children.ts";
import { encodeNode } from "../node_json.ts";

/** The names of the formats. */
export const FORMAT_NAMES = ["lighthouse", "address", "key"] as const;

/** The name of a format. */
export type FormatName = typeof FORMAT_NAMES[number];

/** How the entries of one cluster are read and written. */
export interface Format {
  /** Reads an entry; what it cannot be used for is its fault. */
  readonly read: (name: string, data: Uint8Array, options?: ReadChildOptions) => Child;
  /** The entry of a node; `undefined` if the format has no place for one that drains, which is removed then. */
  readonly write: (node: Node) => { readonly name: string; readonly data: Uint8Array } | undefined;
  /** The name of a node's entry. */
  readonly nameOf: (node: Node) => string;
  /** Whether other tools list the entries, so that there must be none but nodes. */
  readonly isForeign: boolean;
}

/** A node as JSON, under its name: all that a node has. */
const LIGHTHOUSE: Format = {
  read: (_name, data, options) => readChild(data, options),
  write: (node) => ({ name: nodeName(node), data: encodeNode(node) }),
  nameOf: nodeName,
  isForeign: false,
};

/** Answers the format of a name; `port` is that of all addresses that stand alone. */
export function formatOf(name: FormatName, port?: number): Format {
  if (name === "lighthouse") return LIGHTHOUSE;
  const nameOf = name === "address"
    ? nodeName
    : (node: Node) => node.port === port ? node.ip : formatEndpoint({ host: node.ip, port: node.port });
  return {
    read: (entry, data, { before } = {}) =>
      readAddress(name === "address" ? new TextDecoder().decode(data).trim() : entry, {
        port,
        data,
        before: before?.node,
      }),
    write: (node) =>
      node.state === "drain"
        ? undefined
        : { name: nameOf(node), data: new TextEncoder().encode(formatEndpoint({ host: node.ip, port: node.port })) },
    nameOf,
    isForeign: true,
  };
}

function readAddress(
  text: string,
  { port, data, before }: {
    readonly port: number | undefined;
    readonly data: Uint8Array;
    readonly before: Node | undefined;
  },
): Child {
  const endpoint = isIpv4(text) || isIpv6(text) ? { host: text, port } : parseEndpoint(text);
  const parsed = endpoint?.port !== undefined && isPort(endpoint.port)
    ? parseNode({ host: endpoint.host, ip: endpoint.host, port: endpoint.port, metadata: {} })
    : undefined;
  const size = data.length;
  if (parsed?.ok) {
    const isSame = before?.ip === parsed.node.ip && before.port === parsed.node.port;
    return { data, size, node: isSame ? before : parsed.node, fault: undefined };
  }
  const wanted = port === undefined ? "an IP address with its port" : "an IP address, with or without a port";
  const fault = parsed?.ok === false
    ? parsed.reason
    : `Cannot use the entry as it must be ${wanted}: current value is ${quote(text)}`;
  return { data, size, node: undefined, fault };
}
