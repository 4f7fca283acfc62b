import assert from "node:assert/strict";
import fc from "fast-check";
import { MalformedAnswerError } from "./messages.ts";
import { readChange, readLeaves, readV2Error, v2Path } from "./v2_messages.ts";

const LEAF = { key: "/a/b/x", value: "1", modifiedIndex: 7 };

Deno.test("readLeaves() finds the keys of all directories", () => {
  const dir = (key: string, ...nodes: readonly unknown[]) => ({ key, dir: true, nodes });
  const node = dir("/a", dir("/a/b", LEAF), dir("/a/c"), { key: "/a/d", dir: true });
  assert.deepEqual(readLeaves({ action: "get", node }), [LEAF]);
  assert.deepEqual(readLeaves({ action: "get", node: LEAF }), [LEAF]);
});

Deno.test("readChange() returns which key has changed, and its previous value", () => {
  const { key, modifiedIndex } = LEAF;
  assert.deepEqual(readChange({ action: "set", node: LEAF }), { key, index: modifiedIndex, before: undefined });
  assert.deepEqual(readChange({ action: "expire", node: { key, modifiedIndex: 9 }, prevNode: LEAF }), {
    key,
    index: 9,
    before: LEAF,
  });
});

Deno.test("readV2Error() quotes etcd", () => {
  const error = { errorCode: 101, message: "Compare failed", cause: "[99 != 5]", index: 5 };
  assert.deepEqual(readV2Error(error), { code: 101, message: "Compare failed ([99 != 5])" });
  assert.deepEqual(readV2Error({ message: "Insufficient credentials" }), {
    code: 0,
    message: "Insufficient credentials",
  });
  assert.equal(readV2Error("404 page not found"), undefined);
});

Deno.test("v2Path() escapes each part of a key", () => {
  assert.equal(v2Path("/a b/[::1]:80"), "/v2/keys/a%20b/%5B%3A%3A1%5D%3A80");
  assert.equal(v2Path(""), "/v2/keys");
});

Deno.test("any answer is read, or rejected as not etcd's", () => {
  const keys = ["node", "nodes", "dir", "key", "value", "modifiedIndex", "prevNode", "message"];
  const hostile = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 5 }, fc.constantFrom(null, true, "", "/a", 1.5, 7, {}, []), tie("list"), tie("map")),
    list: fc.array(tie("value"), { maxLength: 3 }),
    map: fc.dictionary(fc.constantFrom(...keys), tie("value")),
  })).map;
  fc.assert(
    fc.property(fc.constantFrom(readLeaves, readChange, readV2Error), hostile, (read, value) => {
      try {
        read(value);
      } catch (error) {
        assert.ok(error instanceof MalformedAnswerError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
