import { isPlainObject, quote } from "../kernel/quote.ts";
import { SortedLists } from "../kernel/sorted_lists.ts";
import { isHostName, isIpv4, isIpv6, isPort } from "./endpoint.ts";

export { quote };

/** JSON data. */
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

/** One member of a cluster. */
export interface Node {
  /** The fully qualified name of its host. */
  readonly host: string;
  /** Its address: IPv4 or IPv6 without brackets. A plugin resolves the host names of its registry. */
  readonly ip: string;
  /** The TCP or UDP port, from 1 to 65535. */
  readonly port: number;
  /** The balancer of its host; absent in nodes of other tools. */
  readonly peer?: Peer | undefined;
  /** The metadata of its service file. */
  readonly metadata: { readonly [key: string]: Json };
  /** Its share of the traffic, an integer from 0 to 256; if absent, the balancer's default. */
  readonly weight?: number | undefined;
  /** Absent: `ready`. */
  readonly state?: NodeState | undefined;
  /** Its zone, for example `eu-west-1a`. */
  readonly zone?: string | undefined;
  /** Short strings for selecting nodes, sorted by name. */
  readonly labels?: { readonly [name: string]: string } | undefined;
  /** An integer from 0: lower numbers are preferred. */
  readonly priority?: number | undefined;
}

/** `ready`: accepts new connections. `drain`: keeps its connections, gets no new ones. */
export type NodeState = "ready" | "drain";

/** The largest weight, as in HAProxy. */
export const WEIGHT_MAX = 256;

/** The largest priority. */
export const PRIORITY_MAX = 65_535;

/** Maximum number of labels of a node. */
export const LABELS_MAX = 64;

/** Maximum length of a label's name, and of its value. */
export const LABEL_LENGTH_MAX = 256;

/** The name of a node, unique in its cluster, in registries and HAProxy. */
export function nodeName(node: Pick<Node, "host" | "port">): string {
  return `${node.host}:${node.port}`;
}

/** Lists of nodes that are sorted by name, as memberships are. */
export const SORTED_NODES = new SortedLists<Node>(nodeName);

/**
 * Freezes a node that nobody else has, with all that it holds: whoever finds the same value again finds the same node,
 * and what was made of it stays true.
 */
export function frozenNode(node: Node): Node {
  return freeze(node);
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  for (const key in value) freeze(value[key]);
  return Object.freeze(value);
}

/** The port of every peer in 1.0. */
export const PEER_PORT = 1024;

/** Maximum length of a node's metadata as JSON. */
export const METADATA_LENGTH_MAX = 65_536;

/** Maximum depth of metadata: far beyond real use, and far from a stack overflow. */
const METADATA_DEPTH_MAX = 100;

/** Result of {@linkcode parseNode}. */
export type ParsedNode =
  | { readonly ok: true; readonly node: Node }
  | { readonly ok: false; readonly reason: string };

/**
 * Validates a node from outside: a registry, a worker, a file. It passes only if it can break out of
 * neither a config line nor a socket command; otherwise the reason names the key and quotes the value,
 * truncated.
 */
export function parseNode(value: unknown): ParsedNode {
  if (!isRecord(value)) return refuse("a node must be an object", value);
  const { host, ip, peer } = value;
  if (typeof ip !== "string" || !(isIpv4(ip) || isIpv6(ip))) return refuseAddress("ip", ip);
  const port = parsePort(value.port);
  if (port === undefined) return refuse("port must be an integer from 1 to 65535", value.port);
  const name = host ?? ip;
  if (typeof name !== "string" || !(isHostName(name) || isIpv6(name))) return refuse("host must be a host name", host);
  const metadata = value.metadata ?? {};
  if (!isRecord(metadata) || !isPlain(metadata)) {
    return refuse("metadata must be a JSON object", metadata);
  }
  const { length } = JSON.stringify(metadata);
  if (length > METADATA_LENGTH_MAX) {
    const wanted = `metadata must be at most ${METADATA_LENGTH_MAX} characters`;
    return { ok: false, reason: `Invalid node: ${wanted}; received ${length} characters` };
  }
  const options = parseOptions(value);
  if (typeof options === "string") return { ok: false, reason: options };
  const node = { host: name, ip, port, metadata, ...options };
  if (peer === undefined || peer === null) return { ok: true, node };
  if (!isRecord(peer)) return refuse("peer must be an object", peer);
  if (typeof peer.name !== "string" || !isHostName(peer.name)) {
    return refuse("peer.name must be a host name", peer.name);
  }
  if (typeof peer.ip !== "string" || !(isIpv4(peer.ip) || isIpv6(peer.ip))) {
    return refuseAddress("peer.ip", peer.ip);
  }
  const peerPort = parsePort(peer.port ?? PEER_PORT);
  if (peerPort === undefined) return refuse("peer.port must be an integer from 1 to 65535", peer.port);
  return { ok: true, node: { ...node, peer: { name: peer.name, ip: peer.ip, port: peerPort } } };
}

/** The optional keys of a node, except `peer`. */
type NodeOptions = Pick<Node, "weight" | "state" | "zone" | "labels" | "priority">;

/** Parses the optional keys; returns the reason if one of them is wrong. `null` counts as absent. */
function parseOptions({ weight, state, zone, labels, priority }: Record<string, unknown>): NodeOptions | string {
  const options: { -readonly [key in keyof NodeOptions]: NodeOptions[key] } = {};
  const fault = (wanted: string, value: unknown) => `Invalid node: ${wanted}; received ${quote(value)}`;
  if (weight !== undefined && weight !== null) {
    if (!isIntegerUpTo(weight, WEIGHT_MAX)) return fault(`weight must be an integer from 0 to ${WEIGHT_MAX}`, weight);
    options.weight = weight;
  }
  if (state !== undefined && state !== null) {
    if (state !== "ready" && state !== "drain") return fault('state must be "ready" or "drain"', state);
    options.state = state;
  }
  if (zone !== undefined && zone !== null) {
    if (!isZone(zone)) return fault("zone must be 1 to 64 letters, digits, dots, hyphens and underscores", zone);
    options.zone = zone;
  }
  if (labels !== undefined && labels !== null) {
    const sorted = parseLabels(labels);
    if (sorted === undefined) {
      return fault(
        `labels must be an object of at most ${LABELS_MAX} strings of at most ${LABEL_LENGTH_MAX} printable characters`,
        labels,
      );
    }
    options.labels = sorted;
  }
  if (priority !== undefined && priority !== null) {
    if (!isIntegerUpTo(priority, PRIORITY_MAX)) {
      return fault(`priority must be an integer from 0 to ${PRIORITY_MAX}`, priority);
    }
    options.priority = priority;
  }
  return options;
}

/** Whether a value can name a zone. */
export function isZone(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9._-]{1,64}$/.test(value);
}

function isIntegerUpTo(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most && !Object.is(value, -0);
}

/** Validates labels, sorted by name, so that equal labels have equal JSON. */
export function parseLabels(value: unknown): { readonly [name: string]: string } | undefined {
  if (!isRecord(value) || !isPlainObject(value)) return undefined;
  const names = Object.keys(value);
  if (names.length > LABELS_MAX) return undefined;
  const entries = names.toSorted().map((name) => [name, value[name]] as const);
  const isGood = (entry: readonly [string, unknown]): entry is readonly [string, string] =>
    entry[0] !== "" && isLabelText(entry[0]) && isLabelText(entry[1]);
  return entries.every(isGood) ? Object.fromEntries(entries) : undefined;
}

function isLabelText(value: unknown): boolean {
  return typeof value === "string" && value.length <= LABEL_LENGTH_MAX &&
    !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(value);
}

/** Parses a port given as a number or as digits, as 1.0 does. */
export function parsePort(value: unknown): number | undefined {
  const port = typeof value === "string" && /^[0-9]{1,5}$/.test(value) ? Number(value) : value;
  return isPort(port) ? port : undefined;
}

/** Whether a value is an object with keys, not a list and not null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Whether metadata is JSON data throughout: a worker's message may contain maps, dates, big integers
 * and cycles. Values are counted at each occurrence, since one list may occur in itself many times.
 */
function isPlain(metadata: object): metadata is { readonly [key: string]: Json } {
  let left = METADATA_LENGTH_MAX;
  const isJson = (value: unknown, levels: number): boolean => {
    if (levels === 0 || left-- === 0) return false;
    if (value === null || ["string", "number", "boolean"].includes(typeof value)) return true;
    if (typeof value !== "object") return false;
    const prototype = Object.getPrototypeOf(value);
    if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return false;
    // With an iterator, which does not skip the holes of a list.
    return (Array.isArray(value) ? value : Object.values(value)).values().every((inner) => isJson(inner, levels - 1));
  };
  return isJson(metadata, METADATA_DEPTH_MAX);
}

/** Rejects an address; the plugin that reports the node has to resolve host names. */
function refuseAddress(key: string, value: unknown): ParsedNode {
  const wanted = `${key} must be an IPv4 or IPv6 address`;
  const isName = typeof value === "string" && isHostName(value) && /[a-z]/i.test(value);
  if (!isName) return refuse(wanted, value);
  return {
    ok: false,
    reason: `Invalid node: ${wanted}; received the unresolved host name ${quote(value)}`,
  };
}

function refuse(wanted: string, value: unknown): ParsedNode {
  return { ok: false, reason: `Invalid node: ${wanted}; received ${quote(value)}` };
}
