import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeNode, encodeNode } from "../../plugins/discovery/node_json.ts";
import { nodeName } from "../../src/model/node.ts";
import { nearly, RUNS } from "./mutation.ts";

const GOOD = new TextDecoder().decode(encodeNode({
  host: "web-1.example.com",
  ip: "10.0.0.1",
  port: 8000,
  peer: { name: "web-1.example.com", ip: "10.0.0.1", port: 1024 },
  metadata: { rack: "b2", tags: ["a", 1, null, { deep: true }] },
}));

/** What may stand in a config line and in a socket command as one word. */
const ONE_WORD = /^[A-Za-z0-9._:\-]+$/;

function check(bytes: Uint8Array): void {
  const parsed = decodeNode(bytes);
  if (!parsed.ok) return void assert.ok(parsed.reason.length > 0);
  const { node } = parsed;
  for (const word of [nodeName(node), node.ip, node.peer?.name ?? "none", node.peer?.ip ?? "none"]) {
    assert.match(word, ONE_WORD);
  }
  assert.ok(Number.isInteger(node.port) && node.port >= 1 && node.port <= 65_535);
  // What is read is what would be written, so that nothing hides in it.
  assert.deepEqual(decodeNode(encodeNode(node)), parsed);
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
}

Deno.test("what nearly is the payload of a znode is a node that can do no harm, or refused with a reason", () => {
  const payload = nearly(GOOD, GOOD.replaceAll('"', "'"), "{}", "[]", "");
  fc.assert(fc.property(payload, (text) => check(new TextEncoder().encode(text))), { numRuns: RUNS });
});

Deno.test("whatever bytes a znode has, reading them does not throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => check(bytes)), { numRuns: RUNS });
});
