import nodeAssert from "node:assert/strict";
import { assert, AssertionError } from "./assert.ts";

Deno.test("assert() accepts a true invariant, and names a broken one", () => {
  assert(1 === 1, "one is one");
  nodeAssert.throws(() => assert("", "a reload has a reason"), (error) => {
    nodeAssert.ok(error instanceof AssertionError);
    nodeAssert.equal(error.name, "AssertionError");
    return error.message === "Broken invariant: a reload has a reason";
  });
});
