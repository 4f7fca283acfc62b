import assert from "node:assert/strict";
import { delay } from "./delay.ts";
import { FakeClock } from "./fake_clock.ts";

Deno.test("delay() resolves at its time, not earlier", async () => {
  const clock = new FakeClock();
  let resolved = false;
  const waiting = delay(100, { clock, signal: new AbortController().signal }).then(() => resolved = true);
  clock.advance(99);
  await Promise.resolve();
  assert.equal(resolved, false);
  clock.advance(1);
  await waiting;
  assert.equal(resolved, true);
});

Deno.test("delay() rejects with the signal's reason as soon as it is aborted, and cancels its timer", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const waiting = delay(100, { clock, signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  assert.equal(clock.pending, 0);
  await assert.rejects(delay(1, { clock, signal: controller.signal }), /enough/);
  assert.equal(clock.pending, 0);
});
