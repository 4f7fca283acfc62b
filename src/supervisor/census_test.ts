import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { ThreadCensus } from "./census.ts";

/** A census of simulated threads, on a fake clock. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly told: number[] = [];
  threads: number | undefined = 0;
  live = 0;
  looks = 0;
  fails = false;
  readonly census = new ThreadCensus({
    clock: this.clock,
    log: SILENT,
    countThreads: () => {
      this.looks++;
      return this.fails ? Promise.reject(new Error("no")) : Promise.resolve(this.threads);
    },
    countLive: () => this.live,
    onStuck: (threads) => this.told.push(threads),
  });

  /** Advances time second by second. */
  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      this.clock.advance(1_000);
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.census[Symbol.asyncDispose]();
  }
}

Deno.test("ThreadCensus reports a thread found by two consecutive counts", async () => {
  await using bench = new Bench();
  [bench.threads, bench.live] = [3, 2];
  bench.census.noteEnd();
  await bench.pass(3);
  assert.deepEqual(bench.told, []);
  await bench.pass(2);
  assert.deepEqual(bench.told, [1]);
  assert.equal(bench.census.stuck, 1);
});

Deno.test("ThreadCensus ignores a thread that only ends slowly", async () => {
  await using bench = new Bench();
  bench.threads = 1;
  bench.census.noteEnd();
  await bench.pass(3);
  bench.threads = 0;
  await bench.pass(100);
  assert.deepEqual(bench.told, []);
});

Deno.test("ThreadCensus keeps counting while workers end all the time", async () => {
  await using bench = new Bench();
  for (let second = 0; second < 20; second++) {
    bench.threads = second;
    bench.census.noteEnd();
    await bench.pass(1);
  }
  assert.ok(bench.census.stuck > 10, `${bench.census.stuck}`);
});

Deno.test("ThreadCensus does not mistake workers that start or end during a count for stuck ones", async () => {
  await using bench = new Bench();
  const { census } = bench;
  for (let round = 0; round < 10; round++) {
    // A worker just started has its thread before it is counted; one just ended still has it.
    Object.defineProperty(bench, "threads", {
      configurable: true,
      get: () => {
        census.noteEnd();
        return 1;
      },
    });
    await bench.pass(4);
  }
  assert.deepEqual(bench.told, []);
});

Deno.test("ThreadCensus counts periodically, and notices when a thread has ended", async () => {
  await using bench = new Bench();
  bench.threads = 2;
  await bench.pass(63);
  assert.deepEqual(bench.told, [2], "no end was recorded");
  bench.threads = 0;
  await bench.pass(70);
  assert.deepEqual(bench.told, [2, 0]);
  const { looks } = bench;
  await bench.pass(600);
  assert.ok(bench.looks - looks <= 11, "no needless counts");
});

Deno.test("ThreadCensus works where threads cannot be counted", async () => {
  await using bench = new Bench();
  bench.threads = undefined;
  bench.census.noteEnd();
  await bench.pass(5);
  bench.fails = true;
  await bench.pass(130);
  assert.deepEqual(bench.told, []);
  [bench.fails, bench.threads] = [false, 1];
  await bench.pass(65);
  assert.deepEqual(bench.told, [1]);
});

Deno.test("ThreadCensus leaves no timer when it is disposed of", async () => {
  const bench = new Bench();
  bench.census.noteEnd();
  await bench.pass(2);
  await bench.census[Symbol.asyncDispose]();
  assert.equal(bench.clock.pending, 0);
  bench.census.noteEnd();
  assert.equal(bench.clock.pending, 0);
});

Deno.test("ThreadCensus counts again soon after a count during which a worker started or ended", async () => {
  await using bench = new Bench();
  [bench.threads, bench.live] = [1, 0];
  let looks = 0;
  // A worker that starts during the first count hides the stuck thread.
  Object.defineProperty(bench, "live", { configurable: true, get: () => looks++ === 1 ? 1 : 0 });
  bench.census.noteEnd();
  await bench.pass(7);
  assert.deepEqual(bench.told, [1]);
});

Deno.test("ThreadCensus confirms an end by two agreeing counts, and by none that fails or is ambiguous", async () => {
  await using bench = new Bench();
  bench.threads = 1;
  bench.fails = true;
  bench.census.noteEnd();
  await bench.pass(9);
  assert.equal(bench.census.settledEnds, 0);
  bench.fails = false;
  await bench.pass(4);
  assert.deepEqual([bench.census.ends, bench.census.settledEnds], [1, 0], "one look found a thread more");
  await bench.pass(2);
  assert.deepEqual([bench.census.ends, bench.census.settledEnds], [1, 1]);
  assert.deepEqual(bench.told, [1]);
});
