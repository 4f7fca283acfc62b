/**
 * What a registry holds of a cluster, as nodes: the part that is the same for
 * all registries. Pure.
 *
 * @module
 */

import type { ClusterFacts, Node, Registration, Takeover } from "../../mod.ts";
import { applyChange } from "../../src/model/membership_change.ts";
import { nodeName, quote } from "../../src/model/node.ts";
import type { ParsedEntry } from "./entry.ts";
import { decodeNode } from "./node_json.ts";

/** What is known of one entry of a cluster: a znode, a file. */
export interface Child {
  /** Its data as it was read last; empty if it is so large that it is not kept, as nobody reads its metadata. */
  readonly data: Uint8Array;
  /** How many bytes of it are kept. */
  readonly size: number;
  /** The node that its data says; `undefined` if it says none. */
  readonly node: Node | undefined;
  /** Why it says none; `undefined` too for an entry that is well-formed and stands for no node at present. */
  readonly fault: string | undefined;
  /** The node, with a host name in the place of its address, where that is the only fault. */
  readonly unresolved?: Node | undefined;
}

/** What the entries of a cluster say together. */
export interface ComposedNodes {
  /** One for each name, sorted by it. */
  readonly nodes: readonly Node[];
  /** What an operator should look at, by the entry's name. */
  readonly faults: ReadonlyMap<string, string>;
  /** What is left out of the nodes as the cluster has too much of it; `undefined` if nothing is. */
  readonly excess: string | undefined;
}

/** How an entry is read. */
export interface ReadChildOptions {
  /** Whether nobody reads metadata. */
  readonly withoutMetadata?: boolean | undefined;
  /** What was known of the entry: a node that says the same stays the same value. */
  readonly before?: Child | undefined;
}

/** How entries are composed. */
export interface ComposeOptions {
  readonly mayRepeat?: boolean | undefined;
  readonly withNames?: boolean | undefined;
}

/** So many bytes of an entry are kept where nobody reads its metadata, to see that it did not change. */
const DATA_KEPT_MAX = 4_096;

/** So many bytes of a cluster's entries are kept: with a thousand nodes, 8 KiB for each. */
export const CLUSTER_BYTES_MAX = 8 * 1024 * 1024;

/** The most faults that are logged one by one; a registry full of rubbish must not fill the log. */
const FAULTS_LOGGED_MAX = 5;

/** Reads an entry's data. */
export function readChild(data: Uint8Array, { withoutMetadata, before }: ReadChildOptions = {}): Child {
  return childOf(decodeNode(data, { withoutMetadata }), data, { withoutMetadata, before });
}

/** An entry with what its data was parsed to; `undefined` if that stands for no node at present. */
export function childOf(
  parsed: ParsedEntry | undefined,
  data: Uint8Array,
  { withoutMetadata, before }: ReadChildOptions = {},
): Child {
  const kept = withoutMetadata && data.length > DATA_KEPT_MAX ? new Uint8Array(0) : data;
  // Frozen, so that the worker validates each once, and not all of them after each change of one.
  const bare = (node: Node) => Object.freeze(withoutMetadata ? { ...node, metadata: {} } : node);
  if (!parsed?.ok) {
    const fault = { data: kept, size: kept.length, node: undefined, fault: parsed?.reason };
    if (parsed?.unresolved === undefined) return fault;
    const named = bare(parsed.unresolved);
    return { ...fault, unresolved: sameNode(before?.unresolved, named) ? before?.unresolved : named };
  }
  const read = bare(parsed.node);
  const node = sameNode(before?.node, read) ? before?.node : read;
  return { data: kept, size: kept.length, node, fault: undefined };
}

/** An entry that may not be read. */
export function sealedChild(fault: string): Child {
  return { data: new Uint8Array(0), size: 0, node: undefined, fault };
}

/**
 * Makes a membership of all entries. Of several that say the same
 * name the one that is called so is taken, or else the first by name: a
 * balancer refuses a config that has a server twice. Where entries are
 * numbered (`mayRepeat`), one that says just the same as another is no fault.
 * With `withNames`, neither is a host name in the place of an address: whoever
 * asked for it resolves it.
 */
export function composeNodes(
  children: ReadonlyMap<string, Child>,
  { mayRepeat = false, withNames = false }: ComposeOptions = {},
): ComposedNodes {
  const faults = new Map<string, string>();
  const chosen = new Map<string, Named & { readonly child: string }>();
  for (const [child, entry] of sortedBy([...children], ([name]) => name)) {
    const { fault, size } = entry;
    const node = entry.node ?? (withNames ? entry.unresolved : undefined);
    if (node === undefined) {
      if (fault !== undefined) faults.set(child, fault);
      continue;
    }
    const name = nameOf(node);
    const other = chosen.get(name);
    if (other !== undefined) {
      const loser = child === name ? other.child : child;
      const isSame = mayRepeat && sameNode(node, other.node);
      if (!isSame) faults.set(loser, `It says the same node as another: ${quote(name)}`);
      if (loser === child) continue;
    }
    chosen.set(name, { child, name, node, size });
  }
  const sorted = sortedBy([...chosen.values()], ({ name }) => name);
  const nodes: Node[] = [];
  const bared: Node[] = [];
  let bytes = 0;
  for (const { node, size } of sorted) {
    bytes += size;
    const isExcess = bytes > CLUSTER_BYTES_MAX && Object.keys(node.metadata).length > 0;
    nodes.push(isExcess ? { ...node, metadata: {} } : node);
    if (isExcess) bared.push(node);
  }
  const [first] = bared;
  const excess = first && `The nodes have more than ${CLUSTER_BYTES_MAX} bytes: the metadata of ${bared.length} of ` +
      `${nodes.length} nodes is left out, from ${quote(nodeName(first))} on; all of them are served`;
  return { nodes, faults, excess };
}

/**
 * The membership of one cluster over time: what {@linkcode composeNodes} makes of its entries, at the cost of those
 * that have changed. An entry that has changed must be another value.
 */
export class Composition {
  readonly #options: ComposeOptions;
  /** The entries that it was composed of. */
  #children = new Map<string, Child>();
  #composed: ComposedNodes = { nodes: [], faults: new Map(), excess: undefined };
  /** How many bytes are kept of those that say a node. */
  #bytes = 0;
  /** The names of the nodes; `undefined` where an entry counts for others too: a name is there twice, or more bytes than are kept. */
  #names: Set<string> | undefined = new Set();

  constructor(options: ComposeOptions = {}) {
    this.#options = options;
  }

  /** Composes the entries that there are now. */
  compose(children: ReadonlyMap<string, Child>): ComposedNodes {
    this.#composed = this.#composeChanged(children) ?? this.#composeAll(children);
    return this.#composed;
  }

  #composeAll(children: ReadonlyMap<string, Child>): ComposedNodes {
    const composed = composeNodes(children, this.#options);
    this.#children = new Map(children);
    const saying = [...children.values()].filter((child) => this.#nodeOf(child) !== undefined);
    this.#bytes = saying.reduce((sum, { size }) => sum + size, 0);
    const isPlain = composed.nodes.length === saying.length && composed.excess === undefined;
    this.#names = isPlain ? new Set(composed.nodes.map(nodeName)) : undefined;
    return composed;
  }

  /** Composes what has changed into what there was; `undefined` if all is to be composed. */
  #composeChanged(children: ReadonlyMap<string, Child>): ComposedNodes | undefined {
    const [before, names] = [this.#children, this.#names];
    if (names === undefined) return undefined;
    const come: [string, Child][] = [];
    const gone: [string, Child][] = [];
    let staying = 0;
    for (const entry of children) {
      const last = before.get(entry[0]);
      if (last !== undefined) staying++;
      if (last === entry[1]) continue;
      come.push(entry);
      if (last !== undefined) gone.push([entry[0], last]);
    }
    if (staying < before.size) { for (const entry of before) if (!children.has(entry[0])) gone.push(entry); }
    if (come.length === 0 && gone.length === 0) return this.#composed;
    // Faults stand in the order of the entries.
    const isFaulty = [...come, ...gone].some(([, child]) => this.#nodeOf(child) === undefined);
    if (isFaulty || come.length > children.size / 2) return undefined;
    const added = new Map<string, Node>();
    const removed = new Set<string>();
    for (const [entry, child] of gone) {
      before.delete(entry);
      this.#bytes -= child.size;
      const node = this.#nodeOf(child);
      if (node !== undefined) removed.add(nodeName(node));
    }
    for (const [entry, child] of come) {
      before.set(entry, child);
      this.#bytes += child.size;
      const node = this.#nodeOf(child);
      if (node === undefined) continue;
      const name = nodeName(node);
      if (added.has(name) || (names.has(name) && !removed.has(name))) return undefined;
      added.set(name, node);
    }
    if (this.#bytes > CLUSTER_BYTES_MAX) return undefined;
    for (const name of removed) names.delete(name);
    for (const name of added.keys()) names.add(name);
    const { nodes, faults, excess } = this.#composed;
    const change = {
      added: sortedBy([...added], ([name]) => name).map(([, node]) => node),
      removed: [...removed].filter((name) => !added.has(name)),
    };
    return { nodes: applyChange(nodes, change), faults, excess };
  }

  #nodeOf({ node, unresolved }: Child): Node | undefined {
    return node ?? (this.#options.withNames === true ? unresolved : undefined);
  }
}

/** The node as a registry holds it that keeps the state of a registration in the node. */
export function announcedNode({ node, state }: Registration): Node {
  return state === "draining" ? { ...node, state: "drain" } : node;
}

/** What taking a node over means: nothing, unless it was announced with another address. */
export function takeover(before: Node | undefined, { ip }: Node): Takeover | undefined {
  return before === undefined || before.ip === ip ? undefined : { takenFrom: before.ip };
}

/** Whether two lists say the same; quick where they hold the very same values. */
export function sameNodes(a: readonly Node[] | undefined, b: readonly Node[]): boolean {
  return a !== undefined && a.length === b.length && a.every((node, at) => sameNode(node, b[at]));
}

/** Whether two answers of a registry say the same. */
export function sameFacts(a: ClusterFacts | undefined, b: ClusterFacts): boolean {
  return a !== undefined && a.exists === b.exists && a.epoch === b.epoch && sameNodes(a.nodes, b.nodes);
}

/** Whether two nodes say the same. */
export function sameNode(a: Node | undefined, b: Node | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Answers what to log of faults: those that were not there before, a few of them one by one. */
export function newsOfFaults(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): readonly string[] {
  const news = [...now].filter(([child, fault]) => before.get(child) !== fault);
  const lines = news.slice(0, FAULTS_LOGGED_MAX).map(([child, fault]) => `${quote(child)}: ${fault}`);
  const left = news.length - lines.length;
  return left === 0 ? lines : [...lines, `${left} more are left out likewise`];
}

/** A node, what it is called, and how many bytes of it are kept. */
interface Named extends Pick<Child, "size"> {
  readonly name: string;
  readonly node: Node;
}

/** The names of nodes that do not change: a thousand of them are asked for with each change of one. */
const names = new WeakMap<Node, string>();

function nameOf(node: Node): string {
  const known = names.get(node);
  if (known !== undefined) return known;
  const name = nodeName(node);
  if (Object.isFrozen(node)) names.set(node, name);
  return name;
}

/** Sorts what mostly is sorted already. */
function sortedBy<T>(list: T[], keyOf: (each: T) => string): T[] {
  const isSorted = list.every((each, at) => at === 0 || keyOf(list[at - 1] as T) <= keyOf(each));
  if (isSorted) return list;
  return list.sort((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  });
}
