import assert from "node:assert/strict";
import { FakeClock } from "./fake_clock.ts";
import { Timetable } from "./timetable.ts";

Deno.test("Timetable calls back at each point in time, with one timer for all calls of a point", () => {
  const clock = new FakeClock();
  const timetable = new Timetable(clock);
  const called: string[] = [];
  for (const [name, atMs] of [["a", 100], ["b", 200], ["c", 100]] as const) {
    timetable.at(atMs, () => called.push(`${name} at ${clock.now()}`));
  }
  assert.equal(clock.pending, 2);
  clock.advance(100);
  assert.deepEqual(called, ["a at 100", "c at 100"]);
  clock.advance(100);
  assert.deepEqual(called, ["a at 100", "c at 100", "b at 200"]);
  assert.equal(clock.pending, 0);
});

Deno.test("Timetable calls back at once for a point in the past, and for the present point from within a call", () => {
  const clock = new FakeClock();
  clock.advance(50);
  const timetable = new Timetable(clock);
  let calls = 0;
  timetable.at(50, () => {
    calls++;
    timetable.at(50, () => calls++);
  });
  timetable.at(10, () => calls++);
  clock.advance(0);
  assert.equal(calls, 3);
});

Deno.test("Timetable keeps no timer once all calls of a point are cancelled", () => {
  const clock = new FakeClock();
  const timetable = new Timetable(clock);
  const called: string[] = [];
  const cancelA = timetable.at(100, () => called.push("a"));
  const cancelB = timetable.at(100, () => called.push("b"));
  cancelA();
  cancelA();
  assert.equal(clock.pending, 1);
  cancelB();
  assert.equal(clock.pending, 0);
  // A point that is set again is another one: an old cancellation does not end it.
  timetable.at(100, () => called.push("c"));
  cancelB();
  clock.advance(100);
  assert.deepEqual(called, ["c"]);
});
