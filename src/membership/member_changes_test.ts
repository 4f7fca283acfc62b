import assert from "node:assert/strict";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterMembers } from "./live_topology.ts";
import { memberChanges } from "./member_changes.ts";

function node(host: string, given: Partial<Node> = {}): Node {
  return { host, ip: "10.0.0.1", port: 80, metadata: {}, ...given };
}

function members(nodes: readonly Node[], source = "zk"): ClusterMembers {
  return { nodes, origins: new Map(nodes.map((each) => [nodeName(each), { source, sinceMs: 0 }])) };
}

Deno.test("memberChanges() names which nodes joined, left and changed, with their sources", () => {
  const [a, b] = [node("a"), node("b")];
  const before = members([a, b, node("c")]);
  const now = members([a, node("b", { ip: "10.0.0.2", weight: 5 }), node("c"), node("d")], "etcd");
  assert.deepEqual(memberChanges(before, now), { joined: "d:80 (etcd)", altered: "b:80 (ip, weight)" });
  assert.deepEqual(memberChanges(before, members([b])), { left: "a:80 (zk), c:80 (zk)" });
  assert.deepEqual(memberChanges(before, before), {});
});

Deno.test("memberChanges() lists fifty names, and how many more there are", () => {
  const many = members(Array.from({ length: 60 }, (_, i) => node(`n${i}`)));
  const { joined = "" } = memberChanges(members([]), many);
  assert.equal(joined.split(", ").length, 51);
  assert.match(joined, /, and 10 more$/);
});
