import assert from "node:assert/strict";
import { Latest } from "./latest.ts";

const FOREVER = new AbortController().signal;

Deno.test("Latest returns the newest value and drops unread ones", async () => {
  const latest = new Latest<number>();
  assert.equal(latest.full, false);
  for (const value of [1, 2, 3]) latest.put(value);
  assert.equal(latest.full, true);
  assert.equal(await latest.take(FOREVER), 3);
  assert.equal(latest.full, false);
});

Deno.test("Latest.take() waits for a value", async () => {
  const latest = new Latest<string>();
  const taking = latest.take(FOREVER);
  latest.put("now");
  assert.equal(await taking, "now");
});

Deno.test("Latest returns undefined like any other value", async () => {
  const latest = new Latest<undefined>();
  latest.put(undefined);
  assert.equal(latest.full, true);
  assert.equal(await latest.take(FOREVER), undefined);
});

Deno.test("Latest.take() rejects with the signal's reason, before and while it waits", async () => {
  const latest = new Latest<number>();
  await assert.rejects(latest.take(AbortSignal.abort(new Error("too late"))), /too late/);
  const controller = new AbortController();
  const taking = latest.take(controller.signal);
  controller.abort(new Error("enough"));
  await assert.rejects(taking, /enough/);
});

Deno.test("Latest keeps a value that an aborted reader did not take", async () => {
  const latest = new Latest<number>();
  const controller = new AbortController();
  const taking = latest.take(controller.signal);
  latest.put(1);
  controller.abort(new Error("enough"));
  await assert.rejects(taking, /enough/);
  assert.equal(await latest.take(FOREVER), 1);
});

Deno.test("Latest gives each value to one of several readers, and an aborted one affects no other", async () => {
  const latest = new Latest<number>();
  const controller = new AbortController();
  const aborted = latest.take(controller.signal);
  const [first, second] = [latest.take(FOREVER), latest.take(FOREVER)];
  controller.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  latest.put(1);
  assert.equal(await first, 1);
  latest.put(2);
  assert.equal(await second, 2);
});

Deno.test("Latest.take() leaves no listener on a signal that outlives it", async () => {
  const latest = new Latest<number>();
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  for (let i = 0; i < 5; i++) {
    const taking = latest.take(signal);
    latest.put(i);
    await taking;
  }
  assert.equal(listeners, 0);
});
