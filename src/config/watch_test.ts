import assert from "node:assert/strict";
import fc from "fast-check";
import { paceAfter } from "./watch.ts";

Deno.test("paceAfter() keeps the pace of a small directory, and limits the share of time for a large one", () => {
  const usual = { quietMs: 30, maxMs: 200 };
  assert.deepEqual(paceAfter(20, usual), usual);
  assert.deepEqual(paceAfter(400, usual), { quietMs: 100, maxMs: 1_600 });
  assert.deepEqual(paceAfter(60_000, usual), { quietMs: 250, maxMs: 5_000 });
  fc.assert(fc.property(fc.nat(100_000), (tookMs) => {
    const { quietMs, maxMs } = paceAfter(tookMs, usual);
    assert.ok(quietMs >= 30 && maxMs >= 200 && quietMs <= maxMs);
  }));
});
