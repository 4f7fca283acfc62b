import assert from "node:assert/strict";
import fc from "fast-check";
import { firstDelayMs, nextDelayMs } from "./schedule.ts";

Deno.test("firstDelayMs() is a part of the interval, and at most of a second", () => {
  assert.equal(firstDelayMs(200, () => 0.5), 100);
  assert.equal(firstDelayMs(60_000, () => 0.5), 500);
});

Deno.test.each([
  { why: "keeps the rate", tookMs: 30, then: 970 },
  { why: "continues at once when a probe took exactly the interval", tookMs: 1_000, then: 0 },
  { why: "skips the tick that a slow probe missed", tookMs: 1_200, then: 800 },
])("nextDelayMs() $why", ({ tookMs, then }) => {
  assert.equal(nextDelayMs({ startedMs: 5_000, endedMs: 5_000 + tookMs, intervalMs: 1_000 }), then);
});

Deno.test("nextDelayMs() always lands on a tick of the interval", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 10_000 }), (tookMs, intervalMs) => {
      const delayMs = nextDelayMs({ startedMs: 0, endedMs: tookMs, intervalMs });
      assert.ok(delayMs >= 0 && delayMs <= intervalMs);
      assert.equal((tookMs + delayMs) % intervalMs, 0);
    }),
  );
});
