import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../kernel/fake_clock.ts";
import { foreignBudgets, LoopBudget } from "./loop_budget.ts";

Deno.test("LoopBudget grants at most its share of the time, whatever is charged", () => {
  fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 900, noNaN: true }), { minLength: 1 }), (costs) => {
    const budget = new LoopBudget({ part: 0.1, burstMs: 200 });
    let [nowMs, taken] = [0, 0];
    for (const tookMs of costs) {
      nowMs += budget.waitMs(nowMs) + tookMs;
      taken += tookMs;
      budget.charge(tookMs, nowMs);
    }
    // All but the last charge was paid for, or part of the burst.
    const last = costs.at(-1) ?? 0;
    assert.ok(taken - last <= 200 + 0.1 * nowMs + 1e-6, `${taken} of ${nowMs}`);
  }));
});

Deno.test("LoopBudget lets a suspended process continue after ten seconds", () => {
  const budget = new LoopBudget({ part: 0.1, burstMs: 200 });
  budget.charge(3_600_000, 3_600_000);
  assert.equal(budget.waitMs(3_600_000), 10_000);
  assert.equal(budget.waitMs(3_610_000), 0);
});

Deno.test("foreignBudgets() are the same for all workers of one main loop", () => {
  const clock = new FakeClock();
  assert.equal(foreignBudgets(clock), foreignBudgets(clock));
  assert.notEqual(foreignBudgets(clock), foreignBudgets(new FakeClock()));
});
