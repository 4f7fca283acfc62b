/**
 * A membership as a change to the previous one: what a worker sends of a cluster
 * whose snapshot the host has.
 *
 * @module
 */
import { type Node, nodeName } from "./node.ts";

/**
 * Applies a change to nodes sorted by name, in one pass: unchanged nodes keep their identity, and are
 * compared only where needed to find the place of changed ones. `added` may replace nodes, and is
 * sorted by name.
 */
export function applyChange(
  base: readonly Node[],
  { added, removed }: { readonly added: readonly Node[]; readonly removed: readonly string[] },
): readonly Node[] {
  if (added.length === 0 && removed.length === 0) return base;
  const changes = new Map<string, Node | undefined>(removed.map((name) => [name, undefined]));
  for (const node of added) changes.set(nodeName(node), node);
  const sorted = [...changes].sort(([a], [b]) => a < b ? -1 : 1);
  const parts: (readonly Node[])[] = [];
  let from = 0;
  for (const [name, node] of sorted) {
    const at = placeOf(name, base, from);
    parts.push(base.slice(from, at));
    if (node !== undefined) parts.push([node]);
    const found = base[at];
    from = found !== undefined && nodeName(found) === name ? at + 1 : at;
  }
  parts.push(base.slice(from));
  return ([] as Node[]).concat(...parts);
}

/** The first place, from `from` on, whose name is not before this one. */
function placeOf(name: string, nodes: readonly Node[], from: number): number {
  let [low, high] = [from, nodes.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const node = nodes[middle];
    if (node !== undefined && nodeName(node) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
