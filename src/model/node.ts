import { quote } from "../kernel/quote.ts";
import { isHostName, isIpv4, isIpv6, isPort } from "./endpoint.ts";

export { quote };

/** A value that JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The load balancer of a node's host. */
export interface Peer {
  /** The name it answers to (`haproxy -L`). */
  readonly name: string;
  /** Its address. */
  readonly ip: string;
  /** The port of its peers listener. */
  readonly port: number;
}

/** One member of a cluster, as a registry knows it. */
export interface Node {
  /** The fully qualified name of its host. */
  readonly host: string;
  /** Its address: IPv4 or IPv6 without brackets. */
  readonly ip: string;
  /** Where it listens. */
  readonly port: number;
  /** The balancer of its host; absent in what other tools wrote. */
  readonly peer?: Peer | undefined;
  /** What its service file says of it. */
  readonly metadata: { readonly [key: string]: Json };
}

/** The name of a node, unique in its cluster: what a registry and HAProxy call it. */
export function nodeName(node: Pick<Node, "host" | "port">): string {
  return `${node.host}:${node.port}`;
}

/** The port that the predecessor gives every peer. */
export const PEER_PORT = 1024;

/** The most characters that a node's metadata may have as JSON. */
export const METADATA_LENGTH_MAX = 65_536;

/** Metadata may be nested so deep: far beyond use, and far from any stack's end. */
const METADATA_DEPTH_MAX = 100;

/** What {@linkcode parseNode} answers. */
export type ParsedNode =
  | { readonly ok: true; readonly node: Node }
  | { readonly ok: false; readonly reason: string };

/**
 * Validates a node that came from outside: a registry, a worker, a file. Only
 * what can neither break out of a config line nor out of a socket command
 * passes; the reason names the key and quotes the value, shortened.
 */
export function parseNode(value: unknown): ParsedNode {
  if (!isRecord(value)) return refuse("a node must be an object", value);
  const { host, ip, peer } = value;
  if (typeof ip !== "string" || !(isIpv4(ip) || isIpv6(ip))) return refuse("ip must be an IPv4 or IPv6 address", ip);
  const port = parsePort(value.port);
  if (port === undefined) return refuse("port must be an integer from 1 to 65535", value.port);
  const name = host ?? ip;
  if (typeof name !== "string" || !(isHostName(name) || isIpv6(name))) return refuse("host must be a host name", host);
  const metadata = value.metadata ?? {};
  if (!isRecord(metadata) || !isPlain(metadata)) {
    return refuse("metadata must be an object of what JSON can say", metadata);
  }
  if (JSON.stringify(metadata).length > METADATA_LENGTH_MAX) {
    return refuse(`metadata must be at most ${METADATA_LENGTH_MAX} characters`, "too long to show");
  }
  const node = { host: name, ip, port, metadata };
  if (peer === undefined || peer === null) return { ok: true, node };
  if (!isRecord(peer)) return refuse("peer must be an object", peer);
  if (typeof peer.name !== "string" || !isHostName(peer.name)) {
    return refuse("peer.name must be a host name", peer.name);
  }
  if (typeof peer.ip !== "string" || !(isIpv4(peer.ip) || isIpv6(peer.ip))) {
    return refuse("peer.ip must be an IPv4 or IPv6 address", peer.ip);
  }
  const peerPort = parsePort(peer.port ?? PEER_PORT);
  if (peerPort === undefined) return refuse("peer.port must be an integer from 1 to 65535", peer.port);
  return { ok: true, node: { ...node, peer: { name: peer.name, ip: peer.ip, port: peerPort } } };
}

/** Reads a port given as a number or as digits, as the predecessor does. */
export function parsePort(value: unknown): number | undefined {
  const port = typeof value === "string" && /^[0-9]{1,5}$/.test(value) ? Number(value) : value;
  return isPort(port) ? port : undefined;
}

/** Whether a value is an object with keys, not a list and not null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Whether metadata is plain data all through: what a worker sends may hold
 * maps, dates, big integers and circles. Values are counted where they stand,
 * for one list may stand in itself many times.
 */
function isPlain(metadata: object): metadata is { readonly [key: string]: Json } {
  let left = METADATA_LENGTH_MAX;
  const isJson = (value: unknown, levels: number): boolean => {
    if (levels === 0 || left-- === 0) return false;
    if (value === null || ["string", "number", "boolean"].includes(typeof value)) return true;
    if (typeof value !== "object") return false;
    const prototype = Object.getPrototypeOf(value);
    if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return false;
    // Through an iterator, which does not pass over the holes of a list.
    return (Array.isArray(value) ? value : Object.values(value)).values().every((inner) => isJson(inner, levels - 1));
  };
  return isJson(metadata, METADATA_DEPTH_MAX);
}

function refuse(wanted: string, value: unknown): ParsedNode {
  return { ok: false, reason: `Cannot use the node as ${wanted}: current value is ${quote(value)}` };
}
