import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { BalancerSources, Seen } from "../plugin/contract.ts";
import { type Birth, Serving } from "./serving.ts";

const NEVER = new AbortController().signal;
const START: Birth = { do: "start", reason: "nobody answers", run: ["haproxy"] };
const BY_ASKING = { ask: "/run/master.sock", command: "reload", took: "yes", failed: "no" };
const BY_MASTER: Birth = { do: "reload", reason: "frontend web", listens: [], how: BY_ASKING };

function at(place: string): BalancerSources {
  return {
    kind: "process",
    contact: { by: "http", socket: `/run/${place}.sock`, queries: [] },
    file: `/etc/${place}.cfg`,
    program: "haproxy",
    reloadIntervalMs: 0,
  };
}

/** What is seen of a process: its pid is its answer. */
function seen(pid: number | undefined, more: Omit<Seen, "answers"> = {}): Seen {
  return { ...pid === undefined ? {} : { answers: [`${pid}`] }, ...more };
}

/** One who knows who serves, on a clock that stands still, in a world where `here` says what is seen at each socket. */
class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  readonly here = new Map<string, Seen>();
  readonly dismissed: number[] = [];
  /** Who is not there to be dismissed. */
  readonly absent = new Set<number>();
  readonly attended: { readonly end: () => void; readonly signal: AbortSignal }[] = [];
  ends = 0;
  readonly serving = new Serving({
    name: "haproxy",
    balancer: { pid: ([pid]) => pid === undefined ? undefined : Number(pid) },
    effects: {
      observe: ({ file }) => Promise.resolve(this.here.get(file) ?? {}),
      watchSocket: (_, signal) =>
        new Promise((end) => {
          this.attended.push({ end, signal });
          signal.addEventListener("abort", () => end(), { once: true });
        }),
      softStop: (pid) => {
        if (!this.absent.has(pid)) this.dismissed.push(pid);
        return Promise.resolve(!this.absent.has(pid));
      },
    },
    clock: this.clock,
    log: this.log,
    attendAgainMs: 5_000,
    onEnd: () => void this.ends++,
  });

  /** Says what is seen at a place. */
  set(place: string, seen: Seen): void {
    this.here.set(at(place).file, seen);
  }

  /** Looks at a place, and takes note of who serves there. */
  async see(place: string): Promise<Seen> {
    const found = await this.serving.look(at(place), NEVER);
    await this.serving.meet(found, at(place));
    return found;
  }

  /** Lets time pass until a promise is settled; answers how much. */
  async until<T>(promise: Promise<T>): Promise<{ readonly result: T; readonly tookMs: number }> {
    const began = this.clock.now();
    let isOver = false;
    const settled = promise.finally(() => isOver = true);
    // It is awaited below, once the time is spent.
    settled.catch(() => {});
    for (let ms = 0; ms < 60_000; ms += 10) {
      for (let turn = 0; turn < 20; turn++) await undefined;
      if (isOver) break;
      this.clock.advance(10);
    }
    return { result: await settled, tookMs: this.clock.now() - began };
  }
}

Deno.test("Serving asks the process to leave beside which somebody started another one", async () => {
  const bench = new Bench();
  bench.set("web", seen(10));
  await bench.see("web");
  bench.set("web", seen(11));
  await bench.see("web");
  assert.deepEqual(bench.dismissed, [10]);
  assert.deepEqual(bench.log.take(), [
    "info haproxy: process 11 serves, which somebody else has started",
    "info haproxy: process 10, which served before, is asked to leave",
  ]);
});

Deno.test("Serving asks no master to leave that made the new process, and nobody whose pid means nothing here", async () => {
  const bench = new Bench();
  bench.set("web", seen(10, { masterPid: 9 }));
  await bench.see("web");
  bench.set("web", seen(11, { masterPid: 9 }));
  await bench.see("web");
  bench.set("api", seen(20, { isContained: true }));
  await bench.see("api");
  // The one before was the master's; then comes one after the one that is out of reach.
  assert.deepEqual(bench.dismissed, [9]);
  bench.set("api", seen(21, { isContained: true }));
  await bench.see("api");
  assert.deepEqual(bench.dismissed, [9]);
});

Deno.test("Serving hears of the end of the process at once, and of one that ends the talk and lives on now and then", async () => {
  const bench = new Bench();
  bench.set("web", seen(10));
  await bench.see("web");
  await bench.see("web");
  assert.equal(bench.attended.length, 1);
  bench.attended[0]?.end();
  await bench.see("web");
  assert.equal(bench.ends, 1);
  assert.equal(bench.attended.length, 1, "it was asked just now");
  bench.clock.advance(5_000);
  await bench.see("web");
  assert.equal(bench.attended.length, 2);
  bench.set("web", seen(11));
  await bench.see("web");
  assert(bench.attended[1]?.signal.aborted);
  assert.equal(bench.attended.length, 3);
  await bench.serving.end();
  assert(bench.attended[2]?.signal.aborted);
  assert.equal(bench.ends, 1);
});

Deno.test("Serving leaves the start of one that has gone to others for a while, longer if it had a master, and of one never seen to nobody", async () => {
  const bench = new Bench();
  assert.equal(bench.serving.startableAt(false), -Infinity);
  bench.set("web", seen(10));
  await bench.see("web");
  bench.clock.advance(1_000);
  assert.equal(bench.serving.startableAt(true), 1_300);
  bench.clock.advance(100);
  assert.equal(bench.serving.startableAt(true), 1_300, "it has been gone since then");
  assert.equal(bench.serving.startableAt(true, [7]), 4_000, "another that does not answer may only have begun");
  bench.set("web", seen(11, { masterPid: 9 }));
  await bench.see("web");
  assert.equal(bench.serving.startableAt(true), 4_100);
});

Deno.test("Serving sees a takeover by another pid, and looks past who leaves for two seconds", async () => {
  const bench = new Bench();
  const before = seen(10);
  bench.set("web", before);
  await bench.see("web");
  bench.clock.after(500, () => bench.set("web", seen(11, { oldWorkers: [10, 8] })));
  const takeover = await bench.until(bench.serving.awaitTakeover(BY_MASTER, before, at("web"), NEVER));
  assert.deepEqual(takeover, { result: { ok: true, pid: 11, oldWorkers: [8], beside: [] }, tookMs: 500 });
  bench.set("web", seen(10));
  bench.clock.after(300, () => bench.set("web", seen(11)));
  const look = await bench.until(bench.see("web"));
  assert.deepEqual(look, { result: seen(11), tookMs: 300 });
  // From then on it is no echo: whoever answers serves.
  bench.set("web", seen(10));
  const { result, tookMs } = await bench.until(bench.serving.look(at("web"), NEVER));
  assert.deepEqual(result, seen(10));
  assert.equal(tookMs, 2_000 - 300);
  assert.deepEqual(bench.dismissed, []);
});

Deno.test("Serving asks those to leave that came while it started one, but no orphans once more", async () => {
  const bench = new Bench();
  bench.absent.add(5);
  bench.set("web", seen(11, { oldWorkers: [4, 5, 6] }));
  const { result } = await bench.until(
    bench.serving.awaitTakeover(START, seen(undefined, { orphans: [4] }), at("web"), NEVER),
  );
  assert(result.ok);
  assert.deepEqual(result.beside, [5, 6]);
  await bench.serving.completeTakeover(result, at("web"));
  assert.deepEqual(bench.dismissed, [6]);
  assert.deepEqual(bench.log.take(), [
    "info haproxy: process 11 serves; older ones still have connections: 4, 5, 6",
    "info haproxy: process 6, which was started at the same time, is asked to leave",
  ]);
});

Deno.test("Serving takes a started process for dead that nobody hears for a second, unless it is somebody else's to start", async () => {
  const cases: readonly [Birth, number, RegExp][] = [
    [START, 1_010, /^Cannot start haproxy: its process ended within 1000 ms$/],
    [{ ...START, deadlineMs: 30_000 }, 10_010, /^Cannot start haproxy: no new process answered at \/run\/web.sock /],
    [BY_MASTER, 10_010, /^Cannot reload haproxy: no new process answered at \/run\/web.sock within 10000 ms$/],
  ];
  for (const [step, expectedMs, message] of cases) {
    const bench = new Bench();
    const { result, tookMs } = await bench.until(bench.serving.awaitTakeover(step, seen(10), at("web"), NEVER));
    assert(!result.ok);
    assert.equal(result.step, step);
    assert.equal(result.failure.kind, "program");
    assert.match(result.failure.message, message);
    assert.equal(tookMs, expectedMs);
  }
});

Deno.test("Serving does not take the process of before for the new one, and ends when it is told to", async () => {
  const bench = new Bench();
  const stop = new AbortController();
  bench.set("web", seen(10));
  bench.clock.after(700, () => stop.abort(new Error("the end")));
  const awaited = bench.serving.awaitTakeover(BY_MASTER, seen(10), at("web"), stop.signal);
  await assert.rejects(bench.until(awaited), /the end/);
  assert.equal(bench.clock.now(), 700);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("Serving finds who serves on where the balancer was before it moved, by its master", async () => {
  const bench = new Bench();
  bench.serving.settle(at("old"));
  bench.set("old", seen(10, { masterPid: 9, orphans: [30] }));
  bench.set("new", seen(undefined, { orphans: [40, 8] }));
  assert.deepEqual((await bench.serving.look(at("new"), NEVER)).orphans, [8, 9, 30, 40]);
  // Who answers at the new place has taken over.
  bench.set("new", seen(11));
  assert.deepEqual(await bench.serving.look(at("new"), NEVER), seen(11));
});

Deno.test("Serving refuses to go on when who serves at the place of before is out of reach", async () => {
  const bench = new Bench();
  bench.serving.settle(at("old"));
  bench.set("old", seen(10, { isContained: true }));
  await assert.rejects(
    bench.serving.look(at("new"), NEVER),
    /^Error: nobody answers at \/run\/new.sock, and process 10, which answers at \/run\/old.sock as before, is not one/,
  );
});
