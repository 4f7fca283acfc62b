import assert from "node:assert/strict";
import { issuesOf, probe } from "../../../tests/support/probe.ts";
import noop from "./mod.ts";

const TARGET = "127.0.0.1:1";

Deno.test("noop passes, and fails when configured to", async () => {
  assert.equal((await probe(noop, {}, TARGET)).status, "pass");
  assert.equal((await probe(noop, { status: "pass" }, TARGET)).status, "pass");
  assert.deepEqual(await probe(noop, { status: "fail" }, TARGET), {
    status: "fail",
    reason: "Fails as configured (noop with status: fail)",
  });
});

Deno.test("noop requests no permission", () => {
  assert.deepEqual(noop.permissions({ status: "pass" }, { instance: "web:8000/noop", target: "web:8000" }), {});
});

Deno.test("noop rejects another status", async () => {
  const [issue] = await issuesOf(noop, { status: "maybe" });
  assert.equal(issue?.message, 'Cannot use status: must be "pass" or "fail"; current value is "maybe"');
});
