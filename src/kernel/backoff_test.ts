import assert from "node:assert/strict";
import fc from "fast-check";
import { backoffMs } from "./backoff.ts";
import { seededRandom } from "./random.ts";

const OPTIONS = { firstMs: 200, maxMs: 10_000 };

Deno.test("backoffMs() doubles its ceiling with each attempt up to maxMs", () => {
  const ceilings = [0, 1, 2, 3, 4, 5, 6, 7].map((attempt) => backoffMs(attempt, OPTIONS, () => 1));
  assert.deepEqual(ceilings, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
});

Deno.test("backoffMs() is jittered from a tenth of its ceiling on", () => {
  assert.equal(backoffMs(0, OPTIONS, () => 0), 20);
  assert.equal(Math.round(backoffMs(0, OPTIONS, () => 0.5)), 110);
});

Deno.test("backoffMs() is never a hot loop and never above maxMs, however many attempts", () => {
  fc.assert(fc.property(fc.nat(), fc.integer(), (attempt, seed) => {
    const waitMs = backoffMs(attempt, OPTIONS, seededRandom(seed));
    assert.ok(waitMs >= 20 && waitMs <= 10_000, `${attempt}: ${waitMs}`);
  }));
});
