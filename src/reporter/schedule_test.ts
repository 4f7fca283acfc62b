import assert from "node:assert/strict";
import fc from "fast-check";
import { firstDelayMs, nextDueMs, startMs } from "./schedule.ts";

Deno.test("firstDelayMs() is within the interval and within one second", () => {
  assert.equal(firstDelayMs(200, () => 0.5), 90);
  assert.equal(firstDelayMs(60_000, () => 0.5), 450);
});

Deno.test.each([
  { why: "keeps the rate", tookMs: 30, then: 1_000 },
  { why: "continues at once when a probe took exactly the interval", tookMs: 1_000, then: 1_000 },
  { why: "skips the tick that a slow probe missed", tookMs: 1_200, then: 2_000 },
])("nextDueMs() $why", ({ tookMs, then }) => {
  assert.equal(nextDueMs({ dueMs: 5_000, endedMs: 5_000 + tookMs, intervalMs: 1_000 }), 5_000 + then);
});

Deno.test("nextDueMs() always lands on a tick of the interval", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 10_000 }), (tookMs, intervalMs) => {
      const dueMs = nextDueMs({ dueMs: 0, endedMs: tookMs, intervalMs });
      assert.ok(dueMs >= tookMs && dueMs <= Math.max(intervalMs, tookMs + intervalMs));
      assert.equal(dueMs % intervalMs, 0);
    }),
  );
});

Deno.test.each([
  { intervalMs: 1_000, dueMs: 1_234, then: 1_300 },
  { intervalMs: 60_000, dueMs: 1_300, then: 1_300 },
  { intervalMs: 200, dueMs: 1_234, then: 1_240 },
])("startMs() is the next slot of an interval of $intervalMs ms", ({ intervalMs, dueMs, then }) => {
  assert.equal(startMs(dueMs, intervalMs), then);
});

Deno.test("startMs() delays no probe by more than a tenth of the interval, or 100 ms", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 10, max: 100_000 }), (dueMs, intervalMs) => {
      const lateMs = startMs(dueMs, intervalMs) - dueMs;
      assert.ok(lateMs > -1e-6 && lateMs < Math.min(100, intervalMs / 10) + 1e-6, `${lateMs}`);
    }),
  );
});

Deno.test("the first probe of all checks comes within their interval, and within a second", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 10, max: 100_000 }),
      fc.nat(100_000),
      (chance, intervalMs, nowMs) => {
        const at = startMs(nowMs + firstDelayMs(intervalMs, () => chance), intervalMs);
        assert.ok(at - nowMs <= Math.min(intervalMs, 1_000) + 1e-6, `${at - nowMs}`);
      },
    ),
  );
});
