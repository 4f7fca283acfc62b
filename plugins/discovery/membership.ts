/**
 * What a registry holds of a cluster, as nodes: the part that is the same for
 * all registries. Pure.
 *
 * @module
 */

import type { Node } from "../../mod.ts";
import { nodeName, quote } from "../../src/model/node.ts";
import { decodeNode } from "./node_json.ts";

/** What is known of one entry of a cluster: a znode, a file. */
export interface Child {
  /** Its data as it was read last. */
  readonly data: Uint8Array;
  /** The node that its data says; `undefined` if it says none. */
  readonly node: Node | undefined;
  /** Why it says none. */
  readonly fault: string | undefined;
}

/** What the entries of a cluster say together. */
export interface Membership {
  /** One for each name, sorted by it. */
  readonly nodes: readonly Node[];
  /** What an operator should look at, by the entry's name. */
  readonly faults: ReadonlyMap<string, string>;
}

/** The most faults that are logged one by one; a registry full of rubbish must not fill the log. */
const FAULTS_LOGGED_MAX = 5;

/** Reads an entry's data. */
export function readChild(data: Uint8Array): Child {
  const parsed = decodeNode(data);
  return parsed.ok ? { data, node: parsed.node, fault: undefined } : { data, node: undefined, fault: parsed.reason };
}

/** An entry that may not be read. */
export function sealedChild(fault: string): Child {
  return { data: new Uint8Array(0), node: undefined, fault };
}

/**
 * Makes a membership of all entries. Of several that say the same
 * name the one that is called so is taken, or else the first by name: a
 * balancer refuses a config that has a server twice.
 */
export function composeMembership(children: ReadonlyMap<string, Child>): Membership {
  const faults = new Map<string, string>();
  const chosen = new Map<string, { readonly child: string; readonly node: Node }>();
  for (const [child, { node, fault }] of [...children].toSorted(([a], [b]) => compare(a, b))) {
    if (node === undefined) {
      faults.set(child, fault ?? "It says nothing");
      continue;
    }
    const name = nodeName(node);
    const other = chosen.get(name);
    if (other !== undefined) {
      const loser = child === name ? other.child : child;
      faults.set(loser, `It says the same node as another: ${quote(name)}`);
      if (loser === child) continue;
    }
    chosen.set(name, { child, node });
  }
  const names = [...chosen.keys()].toSorted(compare);
  return { nodes: names.map((name) => chosen.get(name)?.node as Node), faults };
}

/** Whether two lists say the same; quick where they hold the very same values. */
export function sameNodes(a: readonly Node[] | undefined, b: readonly Node[]): boolean {
  return a !== undefined && a.length === b.length && a.every((node, at) => sameNode(node, b[at]));
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
