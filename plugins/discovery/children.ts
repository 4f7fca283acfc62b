/**
 * Turns what a registry holds of a cluster into nodes: the part that is the same for all registries. Pure.
 *
 * @module
 */

import type { ClusterFacts, Node, Registration, Takeover } from "../../mod.ts";
import { applyChange } from "../../src/model/membership_change.ts";
import { nodeName, quote } from "../../src/model/node.ts";
import type { ParsedEntry } from "./entry.ts";
import { decodeNode } from "./node_json.ts";

/** What is known about one entry of a cluster: a znode, a file. */
export interface Child {
  /** Its data as last read; empty if it is too large to keep and nobody reads its metadata. */
  readonly data: Uint8Array;
  /** How many bytes of it are kept. */
  readonly size: number;
  /** The node in its data; `undefined` if there is none. */
  readonly node: Node | undefined;
  /**
   * Why there is no node; `undefined` too for an entry that is well-formed and stands for no node at present.
   */
  readonly fault: string | undefined;
  /** The node with a host name as its address, where that is the only fault. */
  readonly unresolved?: Node | undefined;
}

/** An entry with its name. */
export type NamedChild = readonly [name: string, child: Child];

/** Entries that differ from the last ones: a changed entry is in both lists. */
export interface ChangedChildren {
  readonly come: readonly NamedChild[];
  readonly gone: readonly NamedChild[];
}

/** The current entries of a cluster by name, and which of them have changed since they were last composed. */
export class NotedChildren<Of extends Child> {
  readonly #current = new Map<string, Of>();
  /** The changed entries, as they were when last composed. */
  readonly #before = new Map<string, Of | undefined>();

  /** The current entries. */
  get current(): ReadonlyMap<string, Of> {
    return this.#current;
  }

  /** Notes an entry as it is now, or that there is none; returns whether that is a change. */
  note(name: string, child: Of | undefined): boolean {
    const last = this.#current.get(name);
    if (child === last) return false;
    if (!this.#before.has(name)) this.#before.set(name, last);
    if (child === undefined) this.#current.delete(name);
    else this.#current.set(name, child);
    return true;
  }

  /** The entries that differ from when this was last called. */
  takeChanged(): ChangedChildren {
    const come: NamedChild[] = [];
    const gone: NamedChild[] = [];
    for (const [name, before] of this.#before) {
      const now = this.#current.get(name);
      if (now === before) continue;
      if (now !== undefined) come.push([name, now]);
      if (before !== undefined) gone.push([name, before]);
    }
    this.#before.clear();
    return { come, gone };
  }
}

/** The result of all entries of a cluster. */
export interface ComposedNodes {
  /** One for each name, sorted by it. */
  readonly nodes: readonly Node[];
  /** Faults for the operator, by the entry's name. */
  readonly faults: ReadonlyMap<string, string>;
  /** What is left out of the nodes as the cluster is too large; `undefined` if nothing is. */
  readonly excess: string | undefined;
}

/** How an entry is read. */
export interface ReadChildOptions {
  /** Whether nobody reads metadata. */
  readonly withoutMetadata?: boolean | undefined;
  /** What was known about the entry: a node with the same data stays the same value. */
  readonly before?: Child | undefined;
}

/** How entries are composed. */
export interface ComposeOptions {
  readonly mayRepeat?: boolean | undefined;
  readonly withNames?: boolean | undefined;
}

/** How many bytes of an entry are kept where nobody reads its metadata, to detect changes. */
const DATA_KEPT_MAX = 4_096;

/** How many bytes of a cluster's entries are kept: with a thousand nodes, 8 KiB for each. */
export const CLUSTER_BYTES_MAX = 8 * 1024 * 1024;

/** The most faults that are logged one by one; a registry full of invalid entries must not fill the log. */
const FAULTS_LOGGED_MAX = 5;

/** Reads an entry's data. */
export function readChild(data: Uint8Array, { withoutMetadata, before }: ReadChildOptions = {}): Child {
  return childOf(decodeNode(data, { withoutMetadata }), data, { withoutMetadata, before });
}

/** An entry with the result of parsing its data; `undefined` if that stands for no node at present. */
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

/** An entry that is not read. */
export function sealedChild(fault: string): Child {
  return { data: new Uint8Array(0), size: 0, node: undefined, fault };
}

/**
 * Composes all entries into members. Of several with the same name, the entry with that name is used, or else
 * the first by name: a balancer rejects a config with a duplicate server. Where entries are numbered
 * (`mayRepeat`), an identical duplicate is no fault. With `withNames`, a host name as the address is no fault
 * either: the caller resolves it.
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
      if (!isSame) faults.set(loser, `Duplicate of another entry: ${quote(name)}`);
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
  const excess = first &&
    `Nodes exceed ${CLUSTER_BYTES_MAX} bytes: metadata of ${bared.length} of ${nodes.length} nodes omitted, ` +
      `starting with ${quote(nodeName(first))}; all nodes are served`;
  return { nodes, faults, excess };
}

/**
 * The members of one cluster over time: the result of {@linkcode composeNodes} for its entries, at the cost
 * of those that have changed. An entry that has changed must be another value.
 */
export class Composition {
  readonly #options: ComposeOptions;
  /** The entries that it was composed of. */
  #children = new Map<string, Child>();
  #composed: ComposedNodes = { nodes: [], faults: new Map(), excess: undefined };
  /** How many bytes are kept of entries with a node. */
  #bytes = 0;
  /**
   * The names of the nodes; `undefined` where an entry affects others: a name is there twice, or more bytes
   * than are kept.
   */
  #names: Set<string> | undefined = new Set();

  constructor(options: ComposeOptions = {}) {
    this.#options = options;
  }

  /** Composes the current entries. */
  compose(children: ReadonlyMap<string, Child>): ComposedNodes {
    return this.change(this.#differences(children), () => children);
  }

  /** Composes what differs from the last entries; `all` lists the current ones, if they are needed. */
  change(changed: ChangedChildren, all: () => ReadonlyMap<string, Child>): ComposedNodes {
    this.#composed = this.#composeChanged(changed) ?? this.#composeAll(all());
    return this.#composed;
  }

  #differences(children: ReadonlyMap<string, Child>): ChangedChildren {
    const before = this.#children;
    const come: NamedChild[] = [];
    const gone: NamedChild[] = [];
    let staying = 0;
    for (const entry of children) {
      const last = before.get(entry[0]);
      if (last !== undefined) staying++;
      if (last === entry[1]) continue;
      come.push(entry);
      if (last !== undefined) gone.push([entry[0], last]);
    }
    if (staying < before.size) { for (const entry of before) if (!children.has(entry[0])) gone.push(entry); }
    return { come, gone };
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

  /** Applies changes to the last result; `undefined` if everything has to be composed. */
  #composeChanged({ come, gone }: ChangedChildren): ComposedNodes | undefined {
    const [before, names] = [this.#children, this.#names];
    if (names === undefined) return undefined;
    if (come.length === 0 && gone.length === 0) return this.#composed;
    // Faults are in the order of the entries.
    const isFaulty = [...come, ...gone].some(([, child]) => this.#nodeOf(child) === undefined);
    if (isFaulty || come.length > (before.size + come.length - gone.length) / 2) return undefined;
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

/** The node as stored in a registry that keeps the state of a registration in the node. */
export function announcedNode({ node, state }: Registration): Node {
  return state === "draining" ? { ...node, state: "drain" } : node;
}

/** Why a node is taken over: no reason, unless it was announced with another address. */
export function takeover(before: Node | undefined, { ip }: Node): Takeover | undefined {
  return before === undefined || before.ip === ip ? undefined : { takenFrom: before.ip };
}

/** Whether two lists are equal; fast where they have identical values. */
export function sameNodes(a: readonly Node[] | undefined, b: readonly Node[]): boolean {
  return a !== undefined && a.length === b.length && a.every((node, at) => sameNode(node, b[at]));
}

/** Whether two answers of a registry are equal. */
export function sameFacts(a: ClusterFacts | undefined, b: ClusterFacts): boolean {
  return a !== undefined && a.exists === b.exists && a.epoch === b.epoch && sameNodes(a.nodes, b.nodes);
}

/** Whether two nodes are equal. */
export function sameNode(a: Node | undefined, b: Node | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Returns what to log about faults: those that are new, a few of them one by one. */
export function newsOfFaults(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): readonly string[] {
  const news = [...now].filter(([child, fault]) => before.get(child) !== fault);
  const lines = news.slice(0, FAULTS_LOGGED_MAX).map(([child, fault]) => `${quote(child)}: ${fault}`);
  const left = news.length - lines.length;
  return left === 0 ? lines : [...lines, `${left} more ${left === 1 ? "entry" : "entries"} skipped`];
}

/** A node, its name, and how many bytes of it are kept. */
interface Named extends Pick<Child, "size"> {
  readonly name: string;
  readonly node: Node;
}

/** The names of nodes, which do not change: a thousand of them are needed for each change of one. */
const names = new WeakMap<Node, string>();

function nameOf(node: Node): string {
  const known = names.get(node);
  if (known !== undefined) return known;
  const name = nodeName(node);
  if (Object.isFrozen(node)) names.set(node, name);
  return name;
}

/** Sorts a list that is mostly sorted already. */
function sortedBy<T>(list: T[], keyOf: (each: T) => string): T[] {
  const isSorted = list.every((each, at) => at === 0 || keyOf(list[at - 1] as T) <= keyOf(each));
  if (isSorted) return list;
  return list.sort((a, b) => {
    const [left, right] = [keyOf(a), keyOf(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  });
}
