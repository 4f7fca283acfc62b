import assert from "node:assert/strict";
import { joinNodes, portionOf } from "./values.ts";

const node = (host: string, ip = "10.0.0.1") => ({ host, ip, port: 80, metadata: {} });

Deno.test("joinNodes() returns sorted nodes unchanged", () => {
  const nodes = ["a", "b", "c"].map((host) => node(host));
  const refused: string[] = [];
  assert.equal(joinNodes(nodes, refused), nodes);
  assert.deepEqual(refused, []);
});

Deno.test("joinNodes() sorts nodes, and leaves out duplicates", () => {
  const refused: string[] = [];
  const nodes = joinNodes([node("c"), node("a"), node("c", "10.0.0.2"), node("b")], refused);
  assert.deepEqual(nodes, ["a", "b", "c"].map((host) => node(host)));
  assert.deepEqual(refused, ["Two nodes have the same name, c:80"]);
});

Deno.test("portionOf() gives out nodes that nobody can change, as many parts share each", () => {
  const peer = { name: "a", ip: "10.0.0.1", port: 1_024 };
  const said = { ...node("a"), peer, labels: { rack: "b" }, metadata: { deep: [{ er: 1 }] } };
  const [shared] = portionOf([said], []);
  const parts = [shared, shared?.peer, shared?.labels, shared?.metadata, (shared?.metadata.deep as unknown[])[0]];
  for (const part of parts) assert.ok(part !== undefined && Object.isFrozen(part), JSON.stringify(part));
});
