/**
 * Which members of a cluster came, left and changed, by name, as a log record
 * and the history say it. Pure.
 *
 * @module
 */
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterMembers } from "./live_topology.ts";

/** So many names of each kind are listed. */
const NAMES_MAX = 50;

/** The changes of a cluster's members, each kind as one string; a kind of which there are none is absent. */
export interface MemberChanges {
  /** The members that are new, each with its source: `web01:8080 (zookeeper)`. */
  readonly joined?: string;
  /** The members that are gone, each with the source that had it. */
  readonly left?: string;
  /** The members of which something else is said, each with what that is: `web01:8080 (ip, weight)`. */
  readonly altered?: string;
}

/** Compares what a cluster has with what it had. */
export function memberChanges(before: ClusterMembers, now: ClusterMembers): MemberChanges {
  const same = new Set<Node>(before.nodes);
  // Most members are the very same objects: only the others are compared by name.
  const fresh = now.nodes.filter((node) => !same.delete(node));
  const gone = new Map([...same].map((node) => [nodeName(node), node]));
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
