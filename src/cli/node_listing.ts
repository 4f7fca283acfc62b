/**
 * Which nodes `nodes` prints, how each looks, and what has changed from one
 * answer of a registry to the next. Pure.
 *
 * @module
 */
import { escapeUnprintable } from "../kernel/quote.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { HostFacts } from "../plugin/contract.ts";

/** Which nodes of a cluster are omitted. */
export interface Selection {
  /** The host whose nodes are omitted, if any. */
  readonly without?: HostFacts | undefined;
  /** Whether one node is enough. */
  readonly one: boolean;
}

/**
 * Selects nodes, sorted by name. One is the first that is `ready`, or the first of all: every host that asks chooses the
 * same unless it is that node's own. Pure.
 */
export function selectNodes(nodes: readonly Node[], { without, one }: Selection): readonly Node[] {
  const others = nodes.filter((node) => without === undefined || !isOf(node, without));
  const sorted = others.toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
  if (!one) return sorted;
  const first = sorted.find(({ state = "ready" }) => state === "ready") ?? sorted[0];
  return first === undefined ? [] : [first];
}

/** Whether a node is one of a host: by its name, or by one of its addresses. */
function isOf({ host, ip }: Node, { fqdn, ip: own, addresses = [] }: HostFacts): boolean {
  return host === fqdn || ip === own || addresses.includes(ip);
}

/** A change of a node. */
export interface NodeChange {
  /** `+`: added; `-`: removed; `~`: changed. */
  readonly sign: "+" | "-" | "~";
  readonly node: Node;
}

/** Compares two lists of nodes by name: first removed, then added and changed nodes. Pure. */
export function changesOf(before: readonly Node[], after: readonly Node[]): readonly NodeChange[] {
  const known = new Map(before.map((node) => [nodeName(node), node]));
  const names = new Set(after.map(nodeName));
  const gone = before.filter((node) => !names.has(nodeName(node))).map((node): NodeChange => ({ sign: "-", node }));
  const news = after.flatMap((node): NodeChange[] => {
    const last = known.get(nodeName(node));
    if (last === undefined) return [{ sign: "+", node }];
    return JSON.stringify(last) === JSON.stringify(node) ? [] : [{ sign: "~", node }];
  });
  return [...gone, ...news];
}

/** A part of a line: text as it stands, or what a node says. */
type Part = string | { readonly of: Field };

/** Reads a field of a node, or of the sources that have it. */
type Field = (node: Node, sources?: readonly string[]) => unknown;

/** How a node's line is made. */
export type Template = readonly Part[];

const FIELDS: Readonly<Record<string, Field>> = {
  address: formatAddress,
  ip: ({ ip }) => ip,
  host: ({ host }) => host,
  port: ({ port }) => port,
  name: nodeName,
  weight: ({ weight }) => weight,
  state: ({ state = "ready" }) => state,
  zone: ({ zone }) => zone,
  priority: ({ priority }) => priority,
  sources: (_node, sources) => sources?.join(","),
};

/** The fields that a template may name, for messages. */
export const TEMPLATE_FIELDS: string = [...Object.keys(FIELDS), "labels.NAME", "metadata.KEY"]
  .map((name) => `{${name}}`).join(" ");

/** Reads a template such as `{ip}:{port}`; `undefined` if it names no field or one that nodes do not have. */
export function parseTemplate(text: string): Template | undefined {
  const parts = text.split(/(\{[^{}]*\})/).filter((part) => part !== "").map((part): Part | undefined => {
    const name = /^\{([^{}]*)\}$/.exec(part)?.[1];
    if (name === undefined) return /[{}]/.test(part) ? undefined : part.replaceAll("\\t", "\t");
    const of = fieldOf(name);
    return of && { of };
  });
  const isWhole = (part: Part | undefined): part is Part => part !== undefined;
  return parts.every(isWhole) && parts.some((part) => typeof part !== "string") ? parts : undefined;
}

function fieldOf(name: string): Field | undefined {
  if (Object.hasOwn(FIELDS, name)) return FIELDS[name];
  const [, kind, key = ""] = /^(labels|metadata)\.(.+)$/.exec(name) ?? [];
  if (kind === "labels") return ({ labels = {} }) => Object.hasOwn(labels, key) ? labels[key] : undefined;
  if (kind === "metadata") return ({ metadata }) => Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  return undefined;
}

/** Formats a node as a line; absent fields are empty. Values come from a registry and are escaped. */
export function formatNode(node: Node, template: Template | undefined, sources?: readonly string[]): string {
  if (template === undefined) return describeNode(node, sources);
  return template.map((part) => typeof part === "string" ? part : textOf(part.of(node, sources))).join("");
}

function textOf(value: unknown): string {
  if (value === undefined) return "";
  return escapeUnprintable(typeof value === "string" ? value : JSON.stringify(value));
}

/** Writes an object as one line of JSON whose every character is printable. */
export function formatJson(value: unknown): string {
  return escapeUnprintable(JSON.stringify(value));
}

function describeNode(node: Node, sources: readonly string[] | undefined): string {
  const { host, weight, state = "ready", zone, priority } = node;
  const said = [
    ...state === "ready" ? [] : [`state=${state}`],
    ...weight === undefined ? [] : [`weight=${weight}`],
    ...zone === undefined ? [] : [`zone=${zone}`],
    ...priority === undefined ? [] : [`priority=${priority}`],
    ...sources === undefined ? [] : [`sources=${sources.join(",")}`],
  ];
  return [formatAddress(node), host, ...said].join(" ");
}

function formatAddress({ ip, port }: Node): string {
  return formatEndpoint({ host: ip, port });
}
