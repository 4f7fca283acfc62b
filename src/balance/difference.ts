import { isDeepStrictEqual } from "node:util";
import { SortedLists } from "../kernel/sorted_lists.ts";
import { nodeName } from "../model/node.ts";
import type {
  ClusterChange,
  MemberChange,
  MembersChange,
  Wanted,
  WantedCluster,
  WantedNode,
} from "../plugin/contract.ts";

const MEMBERS = new SortedLists<WantedNode>(({ node }) => nodeName(node));

/**
 * How the members of two desired states differ; `undefined` if more than members differs, or they cannot be
 * compared member by member. Parts that are the same value in both are not compared further. Pure.
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
  return MEMBERS.differences(before, now)?.filter(({ before, now }) =>
    before === undefined || now === undefined || !isSame(before, now)
  );
}

/** Whether two values have the same keys, and the same value for each but one. */
function isSame<T extends object>(one: T, other: T, except?: keyof T): boolean {
  for (const key in one) if (key !== except && !isSameValue(one[key], other[key])) return false;
  for (const key in other) if (!(key in one) && other[key] !== undefined) return false;
  return true;
}

function isSameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  // A balancer may write in the order that it reads, which the first comparison does not cover, nor the
  // second the contents of a map.
  return typeof one === "object" && isDeepStrictEqual(one, other) && JSON.stringify(one) === JSON.stringify(other);
}
