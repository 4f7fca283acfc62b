import assert from "node:assert/strict";
import { FakeClock } from "./fake_clock.ts";
import { Slices } from "./slices.ts";

Deno.test("Slices: a slice ends after some milliseconds, and other work runs before the next", async () => {
  const clock = new FakeClock();
  const slices = new Slices(clock);
  assert.equal(slices.isOver, false);
  clock.advance(50);
  assert.equal(slices.isOver, true);
  const order: string[] = [];
  clock.after(0, () => order.push("a probe that is due"));
  const next = slices.next().then(() => order.push("the next slice"));
  clock.advance(0);
  await next;
  assert.deepEqual(order, ["a probe that is due", "the next slice"]);
  assert.equal(slices.isOver, false);
});
