import assert from "node:assert/strict";
import fc from "fast-check";
import { nodeName } from "../../src/model/node.ts";
import { type Child, composeMembership, newsOfFaults, readChild, sameNodes, sealedChild } from "./membership.ts";
import { encodeNode } from "./node_json.ts";

function child(host: string, ip = "10.0.0.1"): Child {
  return readChild(encodeNode({ host, ip, port: 80, metadata: {} }));
}

function namesOf(children: Record<string, Child>): readonly string[] {
  return composeMembership(new Map(Object.entries(children))).nodes.map(nodeName);
}

Deno.test("composeMembership() sorts by name, whatever order and names the entries have", () => {
  assert.deepEqual(namesOf({ "1": child("c"), "2": child("a"), "3": child("b") }), ["a:80", "b:80", "c:80"]);
});

Deno.test("composeMembership() leaves out what is no node, and says why", () => {
  const children = new Map([["a:80", child("a")], ["b", readChild(new Uint8Array())], ["c", sealedChild("Sealed")]]);
  const { nodes, faults } = composeMembership(children);
  assert.deepEqual(nodes.map(nodeName), ["a:80"]);
  assert.deepEqual([...faults], [["b", "Cannot use the node as it is empty"], ["c", "Sealed"]]);
});

Deno.test.each([
  { why: "the one that is called so", names: ["0", "a:80", "z"], taken: "a:80" },
  { why: "the first by name if none is", names: ["z", "m", "n"], taken: "m" },
])("composeMembership() takes of several entries with one name $why", ({ names, taken }) => {
  const ips = new Map<string, string>(names.map((name, at) => [name, `10.0.0.${at}`]));
  fc.assert(fc.property(fc.shuffledSubarray<string>([...names], { minLength: names.length }), (shuffled) => {
    const { nodes, faults } = composeMembership(new Map(shuffled.map((name) => [name, child("a", ips.get(name))])));
    assert.deepEqual(nodes.map(({ ip }) => ip), [ips.get(taken)]);
    assert.deepEqual([...faults.keys()].toSorted(), names.filter((name) => name !== taken).toSorted());
  }));
});

Deno.test("newsOfFaults() tells each fault once, and few of many", () => {
  const faults = new Map(["a", "b"].map((name) => [name, "no node"]));
  assert.deepEqual(newsOfFaults(new Map(), faults), ['"a": no node', '"b": no node']);
  assert.deepEqual(newsOfFaults(faults, new Map([["a", "no node"], ["b", "empty"]])), ['"b": empty']);
  assert.deepEqual(newsOfFaults(faults, faults), []);
  const many = new Map(Array.from({ length: 100 }, (_, at) => [String(at), "x"]));
  assert.equal(newsOfFaults(new Map(), many).length, 6);
  assert.equal(newsOfFaults(new Map(), many).at(-1), "95 more are left out likewise");
});

Deno.test("sameNodes() compares what the nodes say", () => {
  const { node } = child("a");
  assert.ok(node !== undefined);
  assert.ok(sameNodes([node], [node]));
  assert.ok(sameNodes([node], [{ ...node, metadata: {} }]));
  assert.ok(!sameNodes([node], [{ ...node, ip: "10.0.0.2" }]));
  assert.ok(!sameNodes(undefined, []));
  assert.ok(!sameNodes([node], []));
});
