/**
 * Which members of a cluster joined, left and changed, by name, as log records and the history show it. Pure.
 *
 * @module
 */
import { type Node, nodeName, SORTED_NODES } from "../model/node.ts";
import type { ClusterMembers } from "./live_topology.ts";

/** How many names of each kind are listed. */
const NAMES_MAX = 50;

/** The changes of a cluster's members, each kind as one string; a kind without changes is absent. */
export interface MemberChanges {
  /** The new members, each with its source: `web01:8080 (zookeeper)`. */
  readonly joined?: string;
  /** The members that left, each with its former source. */
  readonly left?: string;
  /** The members that changed, each with its changed keys: `web01:8080 (ip, weight)`. */
  readonly altered?: string;
}

/** Compares the members of a cluster with its previous ones. */
export function memberChanges(before: ClusterMembers, now: ClusterMembers): MemberChanges {
  const [fresh, lost] = others(before.nodes, now.nodes);
  const gone = new Map(lost.map((node) => [nodeName(node), node]));
  const [joined, altered]: [string[], string[]] = [[], []];
  for (const node of fresh) {
    const name = nodeName(node);
    const was = gone.get(name);
    gone.delete(name);
    if (was === undefined) joined.push(withSource(name, now));
    else {
      const keys = differing(was, node);
      if (keys.length > 0) altered.push(`${name} (${keys.join(", ")})`);
    }
  }
  const left = [...gone.keys()].map((name) => withSource(name, before));
  return {
    ...joined.length > 0 && { joined: list(joined) },
    ...left.length > 0 && { left: list(left) },
    ...altered.length > 0 && { altered: list(altered) },
  };
}

/** The nodes that are not identical objects in both lists: most of them are. */
function others(
  before: readonly Node[],
  now: readonly Node[],
): readonly [fresh: readonly Node[], lost: readonly Node[]] {
  const differences = SORTED_NODES.differences(before, now);
  if (differences !== undefined) {
    return [differences.flatMap(({ now = [] }) => now), differences.flatMap(({ before = [] }) => before)];
  }
  const same = new Set<Node>(before);
  return [now.filter((node) => !same.delete(node)), [...same]];
}

function withSource(name: string, { origins }: ClusterMembers): string {
  const source = origins.get(name)?.source;
  return source === undefined ? name : `${name} (${source})`;
}

function differing(a: Node, b: Node): readonly string[] {
  const [was, is] = [a, b] as unknown as readonly [Record<string, unknown>, Record<string, unknown>];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((key) => JSON.stringify(was[key]) !== JSON.stringify(is[key]));
}

function list(names: readonly string[]): string {
  const more = names.length > NAMES_MAX ? `, and ${names.length - NAMES_MAX} more` : "";
  return names.slice(0, NAMES_MAX).join(", ") + more;
}
