import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { BalancerSources, Seen } from "../plugin/contract.ts";
import {
  type Birth,
  type Look,
  NO_PROCESS,
  type Processes,
  withLook,
  withStartable,
  withTakeover,
} from "./processes.ts";
import { Serving, type Takeover } from "./serving.ts";

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

/**
 * Finds who serves, on a clock that stands still, in a world where `here` maps each socket to what is seen
 * there.
 */
class Bench {
  readonly clock = new FakeClock();
  readonly here = new Map<string, Seen>();
  /** Processes to stop, as another one serves beside them. */
  readonly beside: number[] = [];
  processes: Processes = NO_PROCESS;
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
    },
    clock: this.clock,
    attendAgainMs: 5_000,
    onEnd: () => void this.ends++,
  });

  /** Sets what is seen at a place. */
  set(place: string, seen: Seen): void {
    this.here.set(at(place).file, seen);
  }

  /** Looks at a place, and notes who serves there. */
  async see(place: string): Promise<Seen> {
    const look = await this.look(place);
    const { processes, beside } = withLook(this.processes, look);
    this.processes = processes;
    if (beside !== undefined) this.beside.push(beside);
    this.serving.watchSocket(look);
    return look.seen;
  }

  look(place: string): Promise<Look> {
    return this.serving.look(this.processes, at(place), NEVER);
  }

  /** Waits until a process other than the seen one serves. */
  async awaitTakeover(step: Birth, pid: number | undefined, seen: Seen = {}, signal = NEVER): Promise<Takeover> {
    const before = { sources: at("web"), seen, pid };
    const takeover = await this.serving.awaitTakeover(step, before, signal);
    if (takeover.ok) {
      this.processes = withTakeover(this.processes, before, { ...takeover, serves: step.serves }, this.clock.now());
    }
    return takeover;
  }

  /** Advances the clock until a promise is settled; returns how far. */
  async until<T>(promise: Promise<T>): Promise<{ readonly result: T; readonly tookMs: number }> {
    const began = this.clock.now();
    let isOver = false;
    const settled = promise.finally(() => isOver = true);
    // It is awaited below, once the time has passed.
    settled.catch(() => {});
    for (let ms = 0; ms < 60_000; ms += 10) {
      for (let turn = 0; turn < 20; turn++) await undefined;
      if (isOver) break;
      this.clock.advance(10);
    }
    return { result: await settled, tookMs: this.clock.now() - began };
  }
}

Deno.test("Processes: a process beside which somebody started another one is to stop", async () => {
  const bench = new Bench();
  bench.set("web", seen(10));
  await bench.see("web");
  const { replaced, beside } = withLook(bench.processes, { seen: seen(11), pid: 11 });
  assert.deepEqual({ replaced, beside }, { replaced: true, beside: 10 });
});

Deno.test("Processes: neither the master that made the new process nor a process with a foreign pid is to stop", async () => {
  const bench = new Bench();
  bench.set("web", seen(10, { masterPid: 9 }));
  await bench.see("web");
  bench.set("web", seen(11, { masterPid: 9 }));
  await bench.see("web");
  bench.set("api", seen(20, { isContained: true }));
  await bench.see("api");
  // The previous process was the master's; then comes one after the one that is in a container.
  assert.deepEqual(bench.beside, [9]);
  bench.set("api", seen(21, { isContained: true }));
  await bench.see("api");
  assert.deepEqual(bench.beside, [9]);
});

Deno.test("Serving notices the end of the process at once, and at intervals of one that closes the connection and lives on", async () => {
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

Deno.test("Processes: an absent balancer is left for others to start for a while, longer if it had a master, and for ever if it was never seen", async () => {
  const bench = new Bench();
  const startableAt = (ran: boolean, orphans?: readonly number[]) => {
    const [processes, at] = withStartable(bench.processes, { ran, orphans, nowMs: bench.clock.now() });
    bench.processes = processes;
    return at;
  };
  assert.equal(startableAt(false), -Infinity);
  bench.set("web", seen(10));
  await bench.see("web");
  bench.clock.advance(1_000);
  assert.equal(startableAt(true), 1_300);
  bench.clock.advance(100);
  assert.equal(startableAt(true), 1_300, "it has been gone since then");
  assert.equal(startableAt(true, [7]), 4_000, "another that does not answer may only have begun");
  bench.set("web", seen(11, { masterPid: 9 }));
  await bench.see("web");
  assert.equal(startableAt(true), 4_100);
});

Deno.test("Serving recognizes a reload by the answers, not by another pid, and ignores other answers for two seconds", async () => {
  const bench = new Bench();
  const answering = (answer: string): Seen => ({ answers: [answer], pid: 10 });
  const step: Birth = { do: "reload", reason: "x", listens: [], how: { signal: "SIGHUP", pid: 10 }, serves: "new" };
  bench.set("web", answering("11 old"));
  await bench.see("web");
  bench.clock.after(300, () => bench.set("web", answering("12 old")));
  bench.clock.after(500, () => bench.set("web", answering("12 new")));
  bench.clock.after(600, () => bench.set("web", answering("11 old")));
  bench.clock.after(700, () => bench.set("web", answering("12 new")));
  const { result, tookMs } = await bench.until(bench.awaitTakeover(step, 10));
  assert.equal(result.ok, true);
  // No old worker has answered for 150 ms.
  assert.equal(tookMs, 850);
  // An old worker answers once more.
  bench.set("web", answering("11 old"));
  bench.clock.after(100, () => bench.set("web", answering("12 new")));
  const { result: look } = await bench.until(bench.look("web"));
  assert.deepEqual(look.seen.answers, ["12 new"]);
  bench.clock.advance(2_000);
  bench.set("web", answering("11 old"));
  assert.deepEqual((await bench.look("web")).seen.answers, ["11 old"]);
});

Deno.test("Serving reports a failed reload if no answer proves it", async () => {
  const bench = new Bench();
  bench.set("web", { answers: ["11 old"], pid: 10 });
  await bench.see("web");
  const step: Birth = { do: "reload", reason: "x", listens: [], how: { signal: "SIGHUP", pid: 10 }, serves: "new" };
  const { result } = await bench.until(bench.awaitTakeover(step, 10));
  assert(!result.ok);
  assert.equal(
    result.failure.message,
    "Cannot reload haproxy: no response at /run/web.sock shows the new config within 10s; see the balancer's error log",
  );
});

Deno.test("Serving recognizes a takeover by another pid, and ignores the old process for two seconds", async () => {
  const bench = new Bench();
  bench.set("web", seen(10));
  await bench.see("web");
  const after = seen(11, { oldWorkers: [10, 8] });
  bench.clock.after(500, () => bench.set("web", after));
  const takeover = await bench.until(bench.awaitTakeover(BY_MASTER, 10));
  const expected = { ok: true, pid: 11, seen: after, oldWorkers: [8], beside: [] };
  assert.deepEqual(takeover, { result: expected, tookMs: 500 });
  bench.set("web", seen(10));
  bench.clock.after(300, () => bench.set("web", seen(11)));
  const look = await bench.until(bench.see("web"));
  assert.deepEqual(look, { result: seen(11), tookMs: 300 });
  // From then on it is not the old process exiting: whoever answers serves.
  bench.set("web", seen(10));
  const { result, tookMs } = await bench.until(bench.look("web"));
  assert.deepEqual([result.seen, result.pid], [seen(10), 10]);
  assert.equal(tookMs, 2_000 - 300);
  assert.deepEqual(bench.beside, []);
});

Deno.test("Serving lists the processes that appeared during a start, but not the orphans again", async () => {
  const bench = new Bench();
  bench.set("web", seen(11, { oldWorkers: [4, 5, 6] }));
  const { result } = await bench.until(bench.awaitTakeover(START, undefined, { orphans: [4] }));
  assert(result.ok);
  assert.deepEqual([result.oldWorkers, result.beside], [[4, 5, 6], [5, 6]]);
});

Deno.test("Serving counts a started process as dead if it does not listen within a second, unless somebody else starts it", async () => {
  const cases: readonly [Birth, number, RegExp][] = [
    [START, 1_010, /^Cannot start haproxy: process exited within 1s$/],
    [{ ...START, deadlineMs: 30_000 }, 10_010, /^Cannot start haproxy: no new process responded at \/run\/web.sock /],
    [BY_MASTER, 10_010, /^Cannot reload haproxy: no new process responded at \/run\/web.sock within 10s$/],
  ];
  for (const [step, expectedMs, message] of cases) {
    const bench = new Bench();
    const { result, tookMs } = await bench.until(bench.awaitTakeover(step, 10));
    assert(!result.ok);
    assert.equal(result.step, step);
    assert.equal(result.failure.kind, "program");
    assert.match(result.failure.message, message);
    assert.equal(tookMs, expectedMs);
  }
});

Deno.test("Serving does not take the previous process for the new one, and ends when it is aborted", async () => {
  const bench = new Bench();
  const stop = new AbortController();
  bench.set("web", seen(10));
  bench.clock.after(700, () => stop.abort(new Error("the end")));
  const awaited = bench.awaitTakeover(BY_MASTER, 10, seen(10), stop.signal);
  await assert.rejects(bench.until(awaited), /the end/);
  assert.equal(bench.clock.now(), 700);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("Serving finds by its master the process that still serves at the balancer's previous place", async () => {
  const bench = new Bench();
  bench.processes = { ...NO_PROCESS, settledAt: at("old") };
  bench.set("old", seen(10, { masterPid: 9, orphans: [30] }));
  bench.set("new", seen(undefined, { orphans: [40, 8] }));
  assert.deepEqual((await bench.look("new")).seen.orphans, [8, 9, 30, 40]);
  // The process that answers at the new place has taken over.
  bench.set("new", seen(11));
  assert.deepEqual((await bench.look("new")).seen, seen(11));
});

Deno.test("Serving fails when the process at the previous place is unreachable", async () => {
  const bench = new Bench();
  bench.processes = { ...NO_PROCESS, settledAt: at("old") };
  bench.set("old", seen(10, { isContained: true }));
  await assert.rejects(
    bench.look("new"),
    /^Error: no process responds at \/run\/new.sock, and process 10 at the previous \/run\/old.sock runs in a container/,
  );
});
