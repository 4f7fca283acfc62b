import assert from "node:assert/strict";
import { eventually } from "../../tests/support/eventually.ts";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { Tally } from "../metrics/tally.ts";
import { Publishers } from "./publishers.ts";
import { datagramsOf } from "./send.ts";
import type { PublisherTarget } from "./target.ts";

const AGENT: PublisherTarget = {
  type: "statsd",
  host: "127.0.0.1",
  port: 8_125,
  intervalMs: 10_000,
  prefix: undefined,
  tags: {},
};

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  readonly tally = new Tally();
  readonly sent: string[][] = [];
  /** Aborted sends. */
  aborted = 0;
  send: (lines: readonly string[], signal: AbortSignal) => Promise<void> = (lines) => {
    this.sent.push(lines.map((line) => line.replace(/\|.*/, "")));
    return Promise.resolve();
  };
  readonly publishers = new Publishers({
    clock: this.clock,
    wallNow: () => 0,
    random: () => 0.5,
    log: this.log,
    meter: this.tally,
    collect: () => ({ families: this.tally.collect(), host: "web01", role: "writer" }),
    send: (_target, lines, signal) => this.send(lines, signal),
  });

  hang(): void {
    this.send = (_lines, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          this.aborted++;
          reject(signal.reason);
        }, { once: true });
      });
  }

  count(by: number): void {
    this.tally.count("lighthouse_watch_failures_total", { cluster: "web" }, by);
  }

  /** Lets a time pass until something is so. */
  async pass(ms: number, what: string, is: () => boolean): Promise<void> {
    let hasPassed = false;
    await eventually(what, () => {
      if (!hasPassed) this.clock.advance(ms);
      hasPassed = true;
      return is();
    });
  }

  published(result: string): number | undefined {
    return this.tally.collect().flatMap(({ series }) => series)
      .find(({ labels }) => labels === `publisher="agent",result="${result}"`)?.value;
  }

  get events(): readonly unknown[] {
    return this.log.records.filter(({ level }) => level !== "debug").map(({ properties }) => properties?.event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.publishers[Symbol.asyncDispose]();
  }
}

const mine = (lines: readonly string[] | undefined) => lines?.filter((line) => /watch_failures/.test(line));

Deno.test("Publishers send at their interval, and the last values at the end", async () => {
  const bench = new Bench();
  bench.count(1);
  bench.publishers.apply(new Map([["agent", AGENT]]));
  await bench.pass(0, "it waits", () => true);
  await bench.pass(5_000, "the first publication", () => bench.sent.length === 1);
  bench.count(2);
  await bench.pass(10_000, "the second publication", () => bench.sent.length === 2);
  bench.count(4);
  await bench[Symbol.asyncDispose]();
  assert.deepEqual(bench.sent.map(mine), [1, 2, 4].map((by) => [`lighthouse_watch_failures_total:${by}`]));
  assert.deepEqual(bench.events, []);
});

Deno.test("Publishers drop and count samples that cannot be sent within the deadline, log it once, and send later increments", async () => {
  await using bench = new Bench();
  const send = bench.send;
  bench.count(3);
  bench.hang();
  bench.publishers.apply(new Map([["agent", AGENT]]));
  await bench.pass(0, "it waits", () => true);
  await bench.pass(5_000, "it sends", () => bench.aborted === 0);
  await bench.pass(5_000, "the deadline", () => bench.aborted === 1);
  await bench.pass(10_000, "the next publication", () => true);
  await bench.pass(5_000, "its deadline", () => bench.aborted === 2);
  bench.send = send;
  await bench.pass(10_000, "it works", () => bench.sent.length === 1);
  await eventually("it is logged", () => bench.events.length === 2);
  assert.deepEqual(bench.events, ["publisher.failed", "publisher.sent"]);
  assert.deepEqual(mine(bench.sent[0]), ["lighthouse_watch_failures_total:3"]);
  // The second publication had the count of what was dropped in the first, too.
  assert.equal(bench.published("dropped"), 3);
});

Deno.test("Publishers keep a publisher that an edit does not change, and end a removed one silently", async () => {
  await using bench = new Bench();
  bench.count(1);
  bench.hang();
  bench.publishers.apply(new Map([["agent", AGENT]]));
  await bench.pass(0, "it waits", () => true);
  await bench.pass(5_000, "it sends", () => true);
  bench.publishers.apply(new Map([["agent", { ...AGENT }]]));
  await bench.pass(0, "nothing ends", () => bench.aborted === 0);
  bench.publishers.apply(new Map());
  await eventually("it is given up", () => bench.aborted === 1);
  assert.deepEqual(bench.events, []);
});

Deno.test("datagramsOf() joins lines to datagrams below every MTU, and splits none", () => {
  const lines = Array.from({ length: 100 }, (_, i) => `é`.repeat(i));
  const datagrams = datagramsOf(lines.filter((line) => line !== ""));
  assert.ok(datagrams.length > 1 && datagrams.every(({ length }) => length <= 1_432));
  assert.deepEqual(datagrams.flatMap((each) => new TextDecoder().decode(each).split("\n")), lines.slice(1));
});
