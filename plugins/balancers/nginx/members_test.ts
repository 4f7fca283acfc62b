import assert from "node:assert/strict";
import type { WantedNode } from "../../../mod.ts";
import { clusterSchema } from "./config.ts";
import { adopt, clusterComment, clusterOf, FIRST_LINE, membersOf, serverLine } from "./members.ts";

function node(host: string, more: Partial<WantedNode> = {}): WantedNode {
  return { node: { host, ip: "192.0.2.1", port: 80, metadata: {} }, state: "ready", pool: "primary", ...more };
}

function membersFrom(nodes: readonly WantedNode[]) {
  const result = clusterSchema["~standard"].validate({});
  assert("value" in result);
  return membersOf({ name: "web", config: result.value as never, nodes });
}

Deno.test.each([
  { nodes: [node("a"), node("b", { state: "drain" })], host: "a" },
  { nodes: [node("a", { state: "drain" }), node("b")], host: "b" },
  { nodes: [node("a"), node("b", { weight: 0 })], host: "a" },
  { nodes: [node("a", { pool: "overflow", isFallback: true }), node("b", { state: "drain" })], host: "a" },
])("membersOf() keeps the serving one of two nodes with one address: $host", ({ nodes, host }) => {
  const { members, isEmpty } = membersFrom(nodes);
  assert.deepEqual(members.map(({ wanted, role }) => [wanted.node.host, role]), [[host, "serves"]]);
  assert.equal(isEmpty, false);
});

Deno.test("membersOf() lets a spare serve while the only serving node is left out", () => {
  const spare = node("a", { pool: "overflow", isFallback: true });
  const unsafe = node("b; }", {});
  const { members } = membersFrom([spare, { ...unsafe, node: { ...unsafe.node, ip: "192.0.2.2" } }]);
  assert.deepEqual(members.map(({ role }) => role), ["serves"]);
});

Deno.test("adopt() reads back the members of a cluster whose nodes are all drained", () => {
  const drained = node("a.test", { state: "drain" });
  const wanted = { ...drained, node: { ...drained.node, state: "drain" as const } };
  const line = serverLine({ wanted, role: "down" });
  const file = `${FIRST_LINE}\n  ${clusterComment("web")}\n  # ${line}\n`;
  assert.deepEqual([...adopt(file)], [["web", [wanted.node]]]);
});

Deno.test("clusterOf() ignores a comment that is not a JSON string", () => {
  assert.equal(clusterOf('# cluster "a" or "b"'), undefined);
  assert.equal(clusterOf('# cluster "a"'), "a");
});
