import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { type LogStream, Outlet, type Target } from "./outlet.ts";

/** A target that does what a test says. */
class TestTarget implements Target {
  readonly written: string[] = [];
  /** Why it takes nothing. */
  fault: string | undefined;
  /** What a write waits for. */
  gate: PromiseWithResolvers<void> | undefined;
  tries = 0;
  closed = false;

  async open(): Promise<LogStream> {
    this.tries++;
    await this.gate?.promise;
    if (this.fault !== undefined) throw new Error(this.fault);
    return {
      write: (bytes) => Promise.resolve(this.written.push(new TextDecoder().decode(bytes))).then(() => bytes.length),
    };
  }

  close(): void {
    this.closed = true;
    this.gate?.reject(new Error("interrupted"));
  }
}

function setUp() {
  const clock = new FakeClock();
  const target = new TestTarget();
  const told: string[] = [];
  const outlet = new Outlet(target, {
    clock,
    onFailure: (reason) => told.push(`failed: ${reason}`),
    onRecovery: (dropped) => told.push(`works: ${dropped}`),
  });
  const put = (text: string) => outlet.put(new TextEncoder().encode(text));
  return { clock, target, told, outlet, put };
}

/** Lets all that is ready run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("Outlet writes lines in order, and queues those that arrive meanwhile", async () => {
  const { target, put, outlet } = setUp();
  target.gate = Promise.withResolvers();
  put("a");
  put("b");
  await settle();
  put("c");
  target.gate.resolve();
  await outlet.close({ deadlineMs: 1_000 });
  assert.deepEqual(target.written, ["a", "b", "c"]);
  assert.ok(target.closed);
});

Deno.test("Outlet reports a failure once, retries, and reports the recovery", async () => {
  const { target, put, told, clock, outlet } = setUp();
  target.fault = "disk full";
  put("a");
  await settle();
  for (let i = 0; i < 5; i++) {
    clock.advance(60_000);
    await settle();
  }
  assert.equal(target.tries, 6);
  assert.deepEqual(told, ["failed: disk full"]);
  target.fault = undefined;
  clock.advance(60_000);
  await settle();
  assert.deepEqual(told, ["failed: disk full", "works: 0"]);
  assert.deepEqual(target.written, ["a"]);
  await outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet waits longer after each failure, and never more than half a minute", async () => {
  const { target, put, clock, outlet } = setUp();
  target.fault = "away";
  put("a");
  await settle();
  const waits: number[] = [];
  for (let waited = 0, tries = target.tries; waits.length < 9; waited += 500) {
    clock.advance(500);
    await settle();
    if (target.tries === tries) continue;
    waits.push(waited + 500);
    [waited, tries] = [-500, target.tries];
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  await outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet queues a limited amount, and counts dropped lines", async () => {
  const { target, put, told, clock, outlet } = setUp();
  target.fault = "away";
  for (let i = 0; i < 12_000; i++) put(String(i));
  await settle();
  const large = setUp();
  large.target.fault = "away";
  for (let i = 0; i < 100; i++) large.put("x".repeat(100_000));
  await settle();
  for (const each of [target, large.target]) each.fault = undefined;
  clock.advance(500);
  large.clock.advance(500);
  await settle();
  assert.deepEqual(told, ["failed: away", "works: 2000"]);
  assert.deepEqual([target.written.length, target.written.at(-1)], [10_000, "9999"]);
  assert.deepEqual(large.told, ["failed: away", "works: 90"]);
  await outlet.close({ deadlineMs: 1_000 });
  await large.outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet reports a write that takes too long, and interrupts it", async () => {
  const { target, put, told, clock, outlet } = setUp();
  target.gate = Promise.withResolvers();
  put("a");
  await settle();
  clock.advance(10_000);
  await settle();
  assert.deepEqual(told, ["failed: the target accepted no data for 10s"]);
  target.gate = undefined;
  clock.advance(60_000);
  await settle();
  assert.deepEqual(target.written, ["a"]);
  await outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet closes at its deadline, whatever the target does, and drops later lines", async () => {
  const { target, put, clock, outlet } = setUp();
  target.gate = Promise.withResolvers();
  put("a");
  await settle();
  const closed = outlet.close({ deadlineMs: 2_000 });
  clock.advance(2_000);
  await closed;
  put("late");
  assert.ok(target.closed);
  await settle();
  assert.deepEqual(target.written, []);
  assert.equal(clock.pending, 0);
});

Deno.test("Outlet retries a failing target once before it closes", async () => {
  const { target, put, clock, outlet } = setUp();
  target.fault = "away";
  put("a");
  await settle();
  target.fault = undefined;
  await outlet.close({ deadlineMs: 2_000 });
  assert.deepEqual(target.written, ["a"]);
  assert.equal(clock.pending, 0);
});

Deno.test("Outlet starts when its previous outlet has ended", async () => {
  const gone = Promise.withResolvers<void>();
  const target = new TestTarget();
  const outlet = new Outlet(target, { clock: new FakeClock(), after: gone.promise, onFailure() {}, onRecovery() {} });
  outlet.put(new TextEncoder().encode("a"));
  await settle();
  assert.equal(target.tries, 0);
  gone.resolve();
  await outlet.close({ deadlineMs: 1_000 });
  assert.deepEqual(target.written, ["a"]);
});

Deno.test("Outlet writes the rest of a line after a failure, and nothing twice", async () => {
  const clock = new FakeClock();
  const written: string[] = [];
  let room = 4;
  const write = (bytes: Uint8Array) => {
    if (room === 0) return Promise.reject(new Error("disk full"));
    const taken = bytes.subarray(0, room);
    written.push(new TextDecoder().decode(taken));
    room -= taken.length;
    return Promise.resolve(taken.length);
  };
  const target = { open: () => Promise.resolve({ write }), close() {} };
  const outlet = new Outlet(target, { clock, onFailure() {}, onRecovery() {} });
  for (const line of ["one\n", "two\n", "three\n"]) outlet.put(new TextEncoder().encode(line));
  await settle();
  room = 2;
  clock.advance(500);
  await settle();
  room = 100;
  clock.advance(1_000);
  await outlet.close({ deadlineMs: 1_000 });
  assert.equal(written.join(""), "one\ntwo\nthree\n");
});
