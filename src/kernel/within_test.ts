import assert from "node:assert/strict";
import { FakeClock } from "./fake_clock.ts";
import { abortable, within } from "./within.ts";

const late = () => new Error("too late");
const never = new Promise<never>(() => {});

Deno.test("within() returns the promise's result, and leaves no timer", async () => {
  const clock = new FakeClock();
  assert.equal(await within(Promise.resolve("yes"), 100, { clock, late }), "yes");
  await assert.rejects(within(Promise.reject(new Error("no")), 100, { clock, late }), /no/);
  assert.equal(clock.pending, 0);
});

Deno.test("within() throws at its deadline", async () => {
  const clock = new FakeClock();
  const waiting = within(never, 100, { clock, late });
  clock.advance(100);
  await assert.rejects(waiting, /too late/);
});

Deno.test("within() throws the signal's reason as soon as it is aborted, and leaves no timer", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const waiting = within(never, 100, { clock, late, signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(within(never, 100, { clock, late, signal: controller.signal }), /enough/);
  assert.equal(clock.pending, 0);
});

Deno.test("within() and abortable() ignore a late rejection", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const failing = Promise.withResolvers<never>();
  const waiting = [
    within(failing.promise, 100, { clock, late, signal: controller.signal }),
    abortable(failing.promise, controller.signal),
  ];
  controller.abort(new Error("enough"));
  for (const each of waiting) await assert.rejects(each, /enough/);
  failing.reject(new Error("unheard"));
  await Promise.resolve();
});

Deno.test("abortable() returns the promise's result, or throws the signal's reason", async () => {
  const controller = new AbortController();
  assert.equal(await abortable(Promise.resolve("yes"), controller.signal), "yes");
  const waiting = abortable(never, controller.signal);
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(abortable(Promise.resolve("yes").then(() => never), controller.signal), /enough/);
});

Deno.test("abortable() throws the given error on abort, and ignores the promise afterwards", async () => {
  const controller = new AbortController();
  assert.equal(await abortable(Promise.resolve(1), controller.signal, () => new Error("late")), 1);
  const slow = Promise.withResolvers<number>();
  const racing = abortable(slow.promise, controller.signal, () => new Error("late"));
  controller.abort();
  await assert.rejects(racing, /late/);
  slow.reject(new Error("Nobody hears this"));
  await assert.rejects(abortable(slow.promise, controller.signal, () => new Error("late")), /late/);
});
