import assert from "node:assert/strict";
import { systemClock } from "./clock.ts";
import { FakeClock } from "./fake_clock.ts";

Deno.test("systemClock calls back after the time given, unless it is cancelled", async () => {
  const startMs = systemClock.now();
  const called = Promise.withResolvers<number>();
  const cancel = systemClock.after(1, () => assert.fail("it was cancelled"));
  cancel();
  systemClock.after(20, () => called.resolve(systemClock.now()));
  assert.ok(await called.promise - startMs >= 19);
});

Deno.test.each([{ ms: 2 ** 31 }, { ms: Infinity }])("systemClock does not fire at once for $ms ms", ({ ms }) => {
  const cancel = systemClock.after(ms, () => assert.fail("it was called at once"));
  return new Promise<void>((resolve) =>
    systemClock.after(20, () => {
      cancel();
      resolve();
    })
  );
});

Deno.test("FakeClock runs due timers in order, each at its time", () => {
  const clock = new FakeClock();
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name} at ${clock.now()}`);
  clock.after(30, note("late"));
  clock.after(10, note("early"));
  clock.after(10, () => clock.after(5, note("made on the way")));
  const cancel = clock.after(20, note("cancelled"));
  cancel();
  assert.equal(clock.pending, 3);
  clock.advance(29);
  assert.deepEqual(seen, ["early at 10", "made on the way at 15"]);
  clock.advance(1);
  assert.deepEqual(seen.at(-1), "late at 30");
  assert.equal(clock.pending, 0);
});

Deno.test("FakeClock never goes back, even for a negative wait", () => {
  const clock = new FakeClock();
  clock.advance(100);
  clock.after(-50, () => assert.equal(clock.now(), 100));
  clock.advance(1);
  assert.equal(clock.now(), 101);
});
