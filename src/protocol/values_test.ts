import assert from "node:assert/strict";
import { joinNodes } from "./values.ts";

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
  assert.deepEqual(refused, ["Two nodes have the name c:80"]);
});
