import { isDeepStrictEqual } from "node:util";
import { nodeName } from "../model/node.ts";
import type {
  ClusterChange,
  MemberChange,
  MembersChange,
  Wanted,
  WantedCluster,
  WantedNode,
} from "../plugin/contract.ts";

/** Lists of members that are known to be sorted by name, each name once: so is one that differs in little from such a list. */
const sorted = new WeakSet<readonly WantedNode[]>();

/**
 * How the members of two desired states differ; `undefined` if they differ in
 * more than that, or cannot be compared member by member. What is one value in
 * both is compared by that alone. Pure.
 */
export function differenceOf<C, K>(before: Wanted<C, K>, now: Wanted<C, K>): MembersChange<C, K> | undefined {
  if (before.clusters.length !== now.clusters.length || !isSame(before, now, "clusters")) return undefined;
  const clusters: ClusterChange<K>[] = [];
  for (const [at, cluster] of now.clusters.entries()) {
    const previous = before.clusters[at];
    if (previous === cluster) continue;
    if (previous === undefined || !isSame(previous, cluster, "nodes")) return undefined;
    const members = membersChanged(previous, cluster);
    if (members === undefined) return undefined;
    if (members.length > 0) clusters.push({ cluster, members });
  }
  return { wanted: now, clusters };
}

function membersChanged(
  { nodes: before }: WantedCluster,
  { nodes: now }: WantedCluster,
): readonly MemberChange[] | undefined {
  if (before === now) return [];
  if (!isSorted(before)) return undefined;
  const most = Math.min(before.length, now.length);
  let [head, tail] = [0, 0];
  while (head < most && isSameMember(before[head], now[head])) head++;
  while (tail < most - head && isSameMember(before[before.length - 1 - tail], now[now.length - 1 - tail])) tail++;
  // What stands around the part that differs is sorted, so that part and its neighbors are enough to look at.
  if (!areAscending(now, Math.max(0, head - 1), Math.min(now.length, now.length - tail + 1))) return undefined;
  sorted.add(now);
  const changes: MemberChange[] = [];
  let [i, j] = [head, head];
  while (i < before.length - tail || j < now.length - tail) {
    const left = i < before.length - tail ? before[i] : undefined;
    const right = j < now.length - tail ? now[j] : undefined;
    const order = left === undefined ? 1 : right === undefined ? -1 : compareNames(left, right);
    if (order <= 0) i++;
    if (order >= 0) j++;
    if (order === 0 && isSameMember(left, right)) continue;
    changes.push({ before: order <= 0 ? left : undefined, now: order >= 0 ? right : undefined });
  }
  return changes;
}

function isSorted(nodes: readonly WantedNode[]): boolean {
  if (sorted.has(nodes)) return true;
  if (!areAscending(nodes, 0, nodes.length)) return false;
  sorted.add(nodes);
  return true;
}

function areAscending(nodes: readonly WantedNode[], from: number, to: number): boolean {
  for (let at = from + 1; at < to; at++) {
    if (compareNames(nodes[at - 1] as WantedNode, nodes[at] as WantedNode) >= 0) return false;
  }
  return true;
}

function compareNames({ node: a }: WantedNode, { node: b }: WantedNode): number {
  const [one, other] = [nodeName(a), nodeName(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function isSameMember(one: WantedNode | undefined, other: WantedNode | undefined): boolean {
  if (one === other) return true;
  return one !== undefined && other !== undefined && isSame(one, other);
}

/** Whether two values have the same keys, and the same value for each but one. */
function isSame<T extends object>(one: T, other: T, except?: keyof T): boolean {
  for (const key in one) if (key !== except && !isSameValue(one[key], other[key])) return false;
  for (const key in other) if (!(key in one) && other[key] !== undefined) return false;
  return true;
}

function isSameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  // A balancer may write in the order it reads, which the first alone does not compare, nor the second what is in a map.
  return typeof one === "object" && isDeepStrictEqual(one, other) && JSON.stringify(one) === JSON.stringify(other);
}
