import type { Node } from "../../src/model/node.ts";

/**
 * Memberships, each of which adds or removes one node of the previous one; at
 * least half of the nodes stay. The last one has all of them.
 */
export function* churn(nodes: readonly Node[], changes: number): Generator<readonly Node[]> {
  let members = nodes;
  for (let i = 0; i < changes - 1; i++) {
    const node = nodes[i % nodes.length] as Node;
    members = members.includes(node) && members.length > nodes.length / 2
      ? members.filter((member) => member !== node)
      : [...members.filter((member) => member !== node), node];
    yield members;
  }
  yield nodes;
}
