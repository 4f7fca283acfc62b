import assert from "node:assert/strict";
import type { Node } from "../model/node.ts";
import { planBridge } from "./bridge_plan.ts";

function node(port: number, more: Partial<Node> = {}): Node {
  return { host: "a.int", ip: "10.0.0.1", port, metadata: {}, ...more };
}

const NONE: ReadonlySet<string> = new Set();

Deno.test("a bridge registers missing nodes in the target, and leaves those of others", () => {
  const other = node(2, { host: "10.0.0.1" });
  assert.deepEqual(
    planBridge({ source: [node(2), node(1)], target: [other, node(3)], own: NONE, removeOthers: false }),
    { register: [node(1)], remove: [], others: [node(3)] },
  );
});

Deno.test("a bridge removes others only once the target has a node of the source", () => {
  const view = { source: [node(1)], own: NONE, removeOthers: true };
  assert.deepEqual(planBridge({ ...view, target: [node(3)] }), { register: [node(1)], remove: [], others: [node(3)] });
  assert.deepEqual(planBridge({ ...view, target: [node(3), node(1)] }), {
    register: [],
    remove: [node(3)],
    others: [],
  });
});

Deno.test("a bridge keeps its own nodes: those of the source, and others until one of these exists", () => {
  const own = new Set(["10.0.0.1:1"]);
  const view = { own, removeOthers: false };
  assert.deepEqual(planBridge({ ...view, source: [node(1)], target: [node(1)] })?.register, [node(1)]);
  assert.deepEqual(planBridge({ ...view, source: [node(2)], target: [node(1)] })?.register, [node(1), node(2)]);
  assert.deepEqual(planBridge({ ...view, source: [node(2)], target: [node(1), node(2)] })?.register, []);
});

Deno.test("a bridge plans nothing for an empty source", () => {
  assert.equal(planBridge({ source: [], target: [node(1)], own: NONE, removeOthers: true }), undefined);
});
