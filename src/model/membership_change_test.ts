import assert from "node:assert/strict";
import fc from "fast-check";
import { type Node, nodeName } from "./node.ts";
import { applyChange } from "./membership_change.ts";

const node = (port: number, ip = "10.0.0.1"): Node => ({ host: "a", ip, port, metadata: {} });

/** Nodes of these ports, sorted by name. */
function nodes(ports: Iterable<number>, ip?: string): readonly Node[] {
  return [...new Set(ports)].map((port) => node(port, ip)).toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
}

Deno.test("applyChange() keeps the identity of unchanged nodes, in order", () => {
  const base = nodes([1, 3, 5]);
  const next = applyChange(base, { added: nodes([2, 3], "10.0.0.2"), removed: ["a:5", "a:7"] });
  assert.deepEqual(next, [node(1), node(2, "10.0.0.2"), node(3, "10.0.0.2")]);
  assert.equal(next[0], base[0]);
  assert.equal(applyChange(base, { added: [], removed: [] }), base);
});

Deno.test("applyChange() gives the same result as a whole snapshot, for any change", () => {
  const ports = fc.array(fc.integer({ min: 1, max: 200 }));
  fc.assert(fc.property(ports, ports, ports, (before, added, removed) => {
    const wanted = new Map(nodes(before).map((each) => [nodeName(each), each]));
    for (const port of removed) wanted.delete(`a:${port}`);
    for (const each of nodes(added, "10.0.0.2")) wanted.set(nodeName(each), each);
    const next = applyChange(nodes(before), {
      added: nodes(added, "10.0.0.2"),
      removed: removed.map((port) => `a:${port}`),
    });
    assert.deepEqual(next, [...wanted].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, each]) => each));
  }));
});
