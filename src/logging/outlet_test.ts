import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { type Line, Outlet, type Sink } from "./outlet.ts";

/** A sink that does what a test says. */
class TestSink implements Sink {
  readonly unfinished = false;
  readonly written: string[] = [];
  /** Why it takes nothing. */
  fault: string | undefined;
  /** What a write waits for. */
  gate: PromiseWithResolvers<void> | undefined;
  tries = 0;
  closed = false;

  async write(lines: readonly Line[]): Promise<number> {
    this.tries++;
    await this.gate?.promise;
    if (this.fault !== undefined) throw new Error(this.fault);
    this.written.push(...lines.map(({ text }) => text));
    return lines.length;
  }

  interrupt(): void {
    this.gate?.reject(new Error("interrupted"));
  }

  close(): void {
    this.closed = true;
  }
}

function setUp() {
  const clock = new FakeClock();
  const sink = new TestSink();
  const told: string[] = [];
  const outlet = new Outlet(sink, {
    clock,
    onFailure: (reason) => told.push(`failed: ${reason}`),
    onRecovery: (dropped) => told.push(`works: ${dropped}`),
  });
  const put = (text: string) => outlet.put({ text, level: 20 });
  return { clock, sink, told, outlet, put };
}

/** Lets all that is ready run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("Outlet writes lines in order, and holds those that come meanwhile", async () => {
  const { sink, put, outlet } = setUp();
  sink.gate = Promise.withResolvers();
  put("a");
  put("b");
  await settle();
  put("c");
  sink.gate.resolve();
  await outlet.close({ deadlineMs: 1_000 });
  assert.deepEqual(sink.written, ["a", "b", "c"]);
  assert.ok(sink.closed);
});

Deno.test("Outlet tells of a failure once, tries again, and says when it works", async () => {
  const { sink, put, told, clock, outlet } = setUp();
  sink.fault = "disk full";
  put("a");
  await settle();
  for (let i = 0; i < 5; i++) {
    clock.advance(60_000);
    await settle();
  }
  assert.equal(sink.tries, 6);
  assert.deepEqual(told, ["failed: disk full"]);
  sink.fault = undefined;
  clock.advance(60_000);
  await settle();
  assert.deepEqual(told, ["failed: disk full", "works: 0"]);
  assert.deepEqual(sink.written, ["a"]);
  await outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet waits longer after each failure, and never more than half a minute", async () => {
  const { sink, put, clock, outlet } = setUp();
  sink.fault = "away";
  put("a");
  await settle();
  const waits: number[] = [];
  for (let waited = 0, tries = sink.tries; waits.length < 9; waited += 500) {
    clock.advance(500);
    await settle();
    if (sink.tries === tries) continue;
    waits.push(waited + 500);
    [waited, tries] = [-500, sink.tries];
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  await outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet holds a bounded amount, and counts what it drops", async () => {
  const { sink, put, told, clock, outlet } = setUp();
  sink.fault = "away";
  for (let i = 0; i < 12_000; i++) put(String(i));
  await settle();
  const large = setUp();
  large.sink.fault = "away";
  for (let i = 0; i < 100; i++) large.put("x".repeat(100_000));
  await settle();
  for (const each of [sink, large.sink]) each.fault = undefined;
  clock.advance(500);
  large.clock.advance(500);
  await settle();
  assert.deepEqual(told, ["failed: away", "works: 2000"]);
  assert.deepEqual([sink.written.length, sink.written.at(-1)], [10_000, "9999"]);
  assert.deepEqual(large.told, ["failed: away", "works: 90"]);
  await outlet.close({ deadlineMs: 1_000 });
  await large.outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet tells of a write that takes too long, and interrupts it", async () => {
  const { sink, put, told, clock, outlet } = setUp();
  sink.gate = Promise.withResolvers();
  put("a");
  await settle();
  clock.advance(10_000);
  await settle();
  assert.deepEqual(told, ["failed: nothing was taken for 10 seconds"]);
  sink.gate = undefined;
  clock.advance(60_000);
  await settle();
  assert.deepEqual(sink.written, ["a"]);
  await outlet.close({ deadlineMs: 1_000 });
});

Deno.test("Outlet closes at its deadline, whatever the sink does, and drops what comes after", async () => {
  const { sink, put, clock, outlet } = setUp();
  sink.gate = Promise.withResolvers();
  put("a");
  await settle();
  const closed = outlet.close({ deadlineMs: 2_000 });
  clock.advance(2_000);
  await closed;
  put("late");
  assert.ok(sink.closed);
  await settle();
  assert.deepEqual(sink.written, []);
  assert.equal(clock.pending, 0);
});

Deno.test("Outlet tries a sink that fails once more before it closes", async () => {
  const { sink, put, clock, outlet } = setUp();
  sink.fault = "away";
  put("a");
  await settle();
  sink.fault = undefined;
  await outlet.close({ deadlineMs: 2_000 });
  assert.deepEqual(sink.written, ["a"]);
  assert.equal(clock.pending, 0);
});

Deno.test("Outlet begins when what it follows has let go", async () => {
  const gone = Promise.withResolvers<void>();
  const sink = new TestSink();
  const outlet = new Outlet(sink, { clock: new FakeClock(), after: gone.promise, onFailure() {}, onRecovery() {} });
  outlet.put({ text: "a", level: 20 });
  await settle();
  assert.equal(sink.tries, 0);
  gone.resolve();
  await outlet.close({ deadlineMs: 1_000 });
  assert.deepEqual(sink.written, ["a"]);
});
