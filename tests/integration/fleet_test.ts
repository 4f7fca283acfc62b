import assert from "node:assert/strict";
import { Tally } from "../../src/metrics/tally.ts";
import { samplesOf } from "../support/metric_samples.ts";
import fc from "fast-check";
import { type Clock, systemClock } from "../../src/kernel/clock.ts";
import { delay } from "../../src/kernel/delay.ts";
import type { Answer } from "../../src/protocol/messages.ts";
import { Fleet, type Threads } from "../../src/supervisor/fleet.ts";
import { liveWorkerCount, WorkerDeadError, type WorkerEvent } from "../../src/supervisor/plugin_host.ts";
import type { PluginInstance } from "../../src/plugin/instance.ts";
import { groupInstances, type WorkerSpec } from "../../src/supervisor/reconcile.ts";
import { Room } from "../../src/supervisor/room.ts";
import { startThread } from "../../src/supervisor/thread.ts";
import { eventually } from "../support/eventually.ts";
import { checkModule, dataModule, discoveryModule } from "../support/plugin_source.ts";
import { isSilent, ScriptedServer } from "../support/scripted_server.ts";

/** A clock on which a second takes 50 ms, for tests of long waits. */
const QUICK: Clock = {
  now: () => systemClock.now() * 20,
  after: (ms, callback) => systemClock.after(ms / 20, callback),
};
const WAIT = { deadlineMs: 60_000 };
const KEY = "discovery zoo";

/** What a fleet reported, and the means to delay it. */
class Bench implements AsyncDisposable {
  readonly said: string[] = [];
  /** The info records: event and worker. */
  readonly news: string[] = [];
  readonly events: WorkerEvent[] = [];
  readonly tally = new Tally();
  /** Set to keep the fleet from retiring a replaced worker. */
  ready: (key: string) => Promise<void> | void = () => {};
  readonly fleet: Fleet;

  constructor({ clock = systemClock, threads }: { clock?: Clock; threads?: Threads } = {}) {
    const record = (level: string) => (message: string, properties: Readonly<Record<string, unknown>> = {}) =>
      void this.said.push(`${level}: ${message}${properties.reason === undefined ? "" : `: ${properties.reason}`}`);
    this.fleet = new Fleet({
      clock,
      random: () => 0,
      threads,
      // Five seconds between two pings by either clock: on a busy machine a quarter of a second proves nothing.
      heartbeat: { everyMs: clock === QUICK ? 100_000 : 5_000, missesMax: 3 },
      meter: this.tally,
      log: {
        debug() {},
        info: (_, { event, worker } = {}) => void this.news.push(`${event} ${worker}`),
        warn: record("warn"),
        error: record("error"),
      },
      events: {
        onEvent: (_key, event) => void this.events.push(event),
        onReady: (key) => {
          this.said.push(`ready ${key}`);
          return this.ready(key);
        },
        onDown: (key) => void this.said.push(`down ${key}`),
        onStuck: (threads) => void this.said.push(`stuck ${threads}`),
      },
    });
  }

  /** How often something was reported. */
  count(what: string | RegExp): number {
    return this.said.filter((line) => typeof what === "string" ? line === what : what.test(line)).length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.fleet[Symbol.asyncDispose]();
  }
}

/** Probes; returns the detail of a pass. */
async function probe(bench: Bench, id = "check a"): Promise<string> {
  const answer: Answer = await bench.fleet.call(id, { type: "probe", instance: id, timeoutMs: 15_000 }, WAIT);
  assert.ok(answer.type === "outcome", JSON.stringify(answer));
  return answer.outcome.status === "pass" ? answer.outcome.detail ?? "" : `failed: ${answer.outcome.reason}`;
}

/** A check that answers with its config, after a delay of its own. */
const ECHO = checkModule(
  `if (config.takesMs) await new Promise((resolve) => setTimeout(resolve, config.takesMs));
   if (config.dies) { setTimeout(() => { throw new Error("as configured") }); await new Promise(() => {}); }
   return { status: "pass", detail: config.says };`,
);
/** One that loads slowly. */
const SLOW = `await new Promise((resolve) => setTimeout(resolve, 50));`;

function instance(id: string, config: unknown, module = ECHO): PluginInstance {
  return {
    id,
    kind: id.startsWith("discovery") ? "discovery" : "check",
    module,
    config,
    scope: { instance: id },
    granted: {},
  };
}

function check(
  says: string,
  { module = ECHO, ...config }: { module?: string; [key: string]: unknown } = {},
): WorkerSpec {
  return alone(instance("check a", { says, ...config }, module));
}

function alone(one: PluginInstance): WorkerSpec {
  const [spec] = groupInstances([one], "worker");
  assert.ok(spec);
  return spec;
}

/** A discovery whose session consists of `members`, and that runs `top` when it is opened. */
function discovery(
  members: string,
  { opening = "", config = {} }: { opening?: string; config?: unknown } = {},
): WorkerSpec {
  return alone(instance(KEY, config, discoveryModule(`...(() => { ${opening} })(), ${members}`)));
}

/** Snapshots of one node named after the sender; the next is sent 5 ms after the last was acknowledged. */
function speaker(name: string): string {
  return `async *watch(cluster) { for (let port = 1;; port++) {
    yield { exists: true, epoch: "1", nodes: [{ host: "${name}", ip: "10.0.0.1", port: 1 + port % 9, metadata: {} }] };
    await new Promise((resolve) => setTimeout(resolve, 5)); } }`;
}

/** Watches a cluster and consumes its snapshots, as the app does. */
function watchAll(bench: Bench): void {
  bench.ready = () => bench.fleet.post(KEY, { type: "watch", cluster: "web" });
  bench.events.push = function (event: WorkerEvent) {
    if (event.type === "snapshot") bench.fleet.post(KEY, { type: "taken", cluster: "web" });
    return Array.prototype.push.call(this, event);
  };
}

/** The senders in order, each once per series: `old new`. */
function speakers(bench: Bench): string {
  const names = bench.events.flatMap((event) => event.type === "snapshot" ? [event.snapshot.nodes[0]?.host] : []);
  return names.filter((name, i) => name !== names[i - 1]).join(" ");
}

Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

Deno.test("Fleet replaces a worker whose session has ended, although the session never closes", async () => {
  await using bench = new Bench();
  const members = `ended: new Promise((resolve) => setTimeout(() => resolve("expired"), 20)),
    [Symbol.asyncDispose]: () => new Promise(() => {}), async *watch() { await new Promise(() => {}); }`;
  bench.fleet.apply([discovery(members)]);
  await eventually("the end is heard", () => bench.count(/session ended: expired$/) > 0);
  await eventually("another worker serves", () => bench.count(`ready ${KEY}`) > 1);
});

Deno.test("Fleet starts desired instances, and a call waits for a starting worker", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("hello")]);
  assert.deepEqual([...bench.fleet.status], [["check a", "starting"]]);
  assert.equal(await probe(bench), "hello");
  assert.deepEqual([...bench.fleet.status], [["check a", "serving"]]);
  bench.fleet.apply([check("hello")]);
  assert.equal(await probe(bench), "hello");
  assert.deepEqual(bench.said, ["ready check a"], "what is equal is left alone");
});

Deno.test("Fleet rejects calls for instances that are not desired or cannot start", async () => {
  await using bench = new Bench();
  await assert.rejects(probe(bench), WorkerDeadError);
  bench.fleet.apply([check("x", { module: dataModule(`throw new Error("broken at load")`) })]);
  await assert.rejects(probe(bench), /broken at load/);
  await assert.rejects(probe(bench), /broken at load/);
  assert.match(bench.fleet.status.get("check a") ?? "", /broken at load/);
});

Deno.test("Fleet.workers shows since when a worker serves, or since when none has served stably", async () => {
  await using bench = new Bench({ clock: QUICK });
  bench.fleet.apply(groupInstances([instance("check a", { dies: true })], "worker"));
  const seen = () => bench.fleet.workers.get("check a");
  assert.equal(seen()?.down, "starting");
  await eventually("it serves", () => seen()?.down === undefined);
  const servesSinceMs = seen()?.sinceMs ?? -Infinity;
  await probe(bench).catch(() => {});
  await eventually("it is down, and has been from the start", () => {
    const { down, sinceMs } = seen() ?? {};
    return down?.includes("as configured") === true && sinceMs !== undefined && sinceMs < servesSinceMs;
  });
});

Deno.test("Fleet.call() aborts with its signal while a worker is starting", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("x", { module: checkModule("", { top: "await new Promise(() => {});" }) })]);
  const controller = new AbortController();
  const request = { type: "probe", instance: "check a", timeoutMs: 1 } as const;
  const calling = bench.fleet.call("check a", request, { ...WAIT, signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(calling, /enough/);
});

Deno.test("Fleet replaces a worker make-before-break: the old worker serves until the new one does", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("old")]);
  assert.equal(await probe(bench), "old");
  const module = checkModule(`return { status: "pass", detail: config.says };`, { top: SLOW });
  bench.fleet.apply([check("new", { module })]);
  const seen = new Set<string>();
  await eventually("the new one serves", async () => seen.add(await probe(bench)).has("new"), { everyMs: 1 });
  for (let i = 0; i < 20; i++) seen.add(await probe(bench));
  assert.deepEqual([...seen], ["old", "new"]);
  await eventually("the old one is gone", () => liveWorkerCount() === 1);
  assert.equal(bench.count(/down/), 0);
});

Deno.test("Fleet: a probe in flight when its worker is replaced is answered by the new one", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("old", { takesMs: 1e8 })]);
  await eventually("it serves", () => bench.count("ready check a") === 1);
  const probing = probe(bench);
  bench.fleet.apply([check("new")]);
  assert.equal(await probing, "new");
});

Deno.test("Fleet leaves the old worker serving while the new one cannot start, and keeps trying", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("old")]);
  assert.equal(await probe(bench), "old");
  bench.fleet.apply([check("new", { module: dataModule(`throw new Error("broken at load")`) })]);
  await eventually("it was tried again", () => bench.count(/^warn: Cannot replace a worker.*broken at load/) >= 2);
  assert.equal(await probe(bench), "old");
  assert.equal(bench.fleet.status.get("check a"), "serving");
  assert.equal(bench.count(/down/), 0, "nobody is down");
  assert.match(bench.fleet.workers.get("check a")?.outdated?.reason ?? "", /broken at load/);
  bench.fleet.apply([check("newer")]);
  await eventually("a later one takes over", async () => await probe(bench) === "newer");
  assert.equal(bench.fleet.workers.get("check a")?.outdated, undefined);
});

Deno.test("Fleet logs the start of a worker whose corrected config ends a fault, and no other first start", async () => {
  await using bench = new Bench();
  const broken = check("broken", { module: dataModule(`throw new Error("broken at load")`) });
  bench.fleet.apply([broken]);
  await eventually("it cannot start", () => bench.count(/^warn: Cannot start a worker/) > 0);
  assert.deepEqual(bench.news, []);
  bench.fleet.apply([check("right")]);
  await eventually("it is in service", async () => await probe(bench) === "right");
  assert.deepEqual(bench.news.splice(0), ["worker.started check a"]);
  bench.fleet.apply([check("other")]);
  await eventually("it is replaced", async () => await probe(bench) === "other");
  assert.deepEqual(bench.news, []);
  bench.fleet.apply([broken]);
  await eventually("it cannot be replaced", () => bench.count(/^warn: Cannot replace a worker/) > 0);
  bench.fleet.apply([check("other")]);
  await eventually("the fault is over", () => bench.news.length > 0);
  assert.deepEqual(bench.news, ["worker.started check a"]);
});

Deno.test("Fleet restarts the old worker while the new one cannot start", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("old", { dies: false })]);
  await probe(bench);
  // Each probe is the worker's last, so that it has always served before it crashes.
  const crashing = checkModule(`setTimeout(() => { throw new Error("it crashed"); }, 0);
    return { status: "pass", detail: "old" };`);
  bench.fleet.apply([check("old", { module: crashing })]);
  await eventually("the crashing one serves", () => bench.count("ready check a") === 2);
  bench.fleet.apply([check("new", { module: dataModule(`throw new Error("broken at load")`) })]);
  await eventually("it crashed, and serves again", async () => {
    const answer = await probe(bench).catch(() => undefined);
    return answer === "old" && bench.count(/it crashed/) >= 2;
  });
});

Deno.test("Fleet restarts a dead worker, and reports it as down meanwhile", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("x", { dies: true })]);
  await assert.rejects(probe(bench), /as configured/);
  await assert.rejects(probe(bench), /as configured/, "the call is rejected at once while none serves");
  await eventually("another one serves", () => bench.count("ready check a") === 2);
  assert.deepEqual(bench.said.map((line) => line.replace(/: uncaught error.*/, "")), [
    "ready check a",
    "warn: Worker ended; starting another",
    "down check a",
    "ready check a",
  ]);
  const samples = samplesOf(bench.tally.collect());
  assert.equal(samples['lighthouse_worker_restarts_total{worker="check a"}'], 1);
  assert.equal(samples['lighthouse_worker_boots_total{kind="check",result="ok"}'], 2);
  assert.equal(samples['lighthouse_worker_boot_duration_seconds_count{kind="check"}'], 2);
});

Deno.test("Fleet backs off from a worker that dies repeatedly", async () => {
  await using bench = new Bench();
  const startMs = performance.now();
  bench.fleet.apply([check("x", { module: dataModule(`throw new Error("broken at load")`) })]);
  // At the shortest jitter the waits are 50, 100 and 200 ms.
  await eventually("four tries", () => bench.count(/Cannot start a worker; retrying/) === 4);
  assert.ok(performance.now() - startMs >= 349);
  const samples = samplesOf(bench.tally.collect());
  assert.ok((samples['lighthouse_worker_boots_total{kind="check",result="error"}'] ?? 0) >= 4);
  assert.equal(samples['lighthouse_worker_restarts_total{worker="check a"}'], undefined);
});

Deno.test("Fleet stops instances that are no longer desired, with a limited time to close", async () => {
  await using bench = new Bench({ clock: QUICK });
  bench.fleet.apply([
    discovery(`async *watch() {}, async [Symbol.asyncDispose]() { log.info("closed"); await new Promise(() => {}); }`),
  ]);
  await eventually("it serves", () => bench.count(`ready ${KEY}`) === 1);
  bench.fleet.apply([]);
  assert.equal(bench.fleet.status.size, 0);
  await eventually("it was let close", () => bench.events.some(({ type }) => type === "log"));
  await eventually("it is gone all the same", () => liveWorkerCount() === 0);
});

Deno.test("Fleet can be disposed of at any moment, and accepts no instances afterwards", async () => {
  for (const waitMs of [0, 5, 20, 40, 60]) {
    const bench = new Bench();
    const module = checkModule("", { top: SLOW });
    bench.fleet.apply(Array.from({ length: 6 }, (_, i) => alone(instance(`check ${i}`, {}, module))));
    await delay(waitMs, { clock: systemClock, signal: new AbortController().signal });
    bench.fleet.apply([check("replaced"), ...[1, 2].map((i) => alone(instance(`check ${i}`, { other: i }, module)))]);
    await bench[Symbol.asyncDispose]();
    assert.equal(liveWorkerCount(), 0);
    bench.fleet.apply([check("late")]);
    assert.equal(liveWorkerCount(), 0);
    await assert.rejects(probe(bench), WorkerDeadError);
  }
});

Deno.test("Fleet boots a bounded number of workers at once", async () => {
  await using bench = new Bench();
  const module = checkModule("return { status: 'pass' };", { top: SLOW });
  let most = 0;
  bench.fleet.apply(Array.from({ length: 12 }, (_, i) => alone(instance(`check ${i}`, {}, module))));
  await eventually("all are ready", () => {
    most = Math.max(most, liveWorkerCount() - bench.said.length);
    return bench.said.length === 12;
  }, { everyMs: 1 });
  assert.ok(most > 1 && most <= 4, `${most} at once`);
});

Deno.test("Fleet serves several instances with one shared worker, each with its own config", async () => {
  await using bench = new Bench();
  const [a, b] = [instance("check a", { says: "a" }), instance("check b", { says: "b", takesMs: 50 })];
  bench.fleet.apply(groupInstances([a, b], "shared"));
  assert.deepEqual(await Promise.all([probe(bench, "check a"), probe(bench, "check b")]), ["a", "b"]);
  assert.equal(liveWorkerCount(), 1);
  // An edit of one replaces the worker of both; calls in flight for the other must not fail.
  const probing = probe(bench, "check b");
  bench.fleet.apply(groupInstances([instance("check a", { says: "edited" }), b], "shared"));
  await eventually("it is replaced", async () => await probe(bench, "check a") === "edited");
  assert.equal(await probing, "b");
});

Deno.test("Fleet switches from dedicated to shared workers, and back, without a failed call", async () => {
  await using bench = new Bench();
  const instances = ["a", "b", "c"].map((name) => instance(`check ${name}`, { says: name }));
  const ask = async () => {
    for (const { id } of instances) assert.equal(`check ${await probe(bench, id)}`, id);
  };
  for (const isolation of ["worker", "shared", "worker"] as const) {
    bench.fleet.apply(groupInstances(instances, isolation));
    for (let i = 0; i < 10; i++) await ask();
    await eventually("the others are gone", () => liveWorkerCount() === (isolation === "worker" ? 3 : 1));
  }
});

Deno.test("Fleet opens an ended session again, in a new worker", async () => {
  await using bench = new Bench();
  watchAll(bench);
  bench.fleet.apply([
    discovery(`${speaker("zoo")}, ended: new Promise((resolve) => setTimeout(() => resolve("expired"), 200))`),
  ]);
  await eventually(
    "it ends twice",
    () => bench.count(/Worker ended; starting another: session ended: expired/) === 2,
  );
  const [first, ...more] = bench.said.filter((line) => !line.startsWith("warn"));
  assert.deepEqual([first, ...more.slice(0, 3)], [`ready ${KEY}`, `down ${KEY}`, `ready ${KEY}`, `down ${KEY}`]);
});

Deno.test("Fleet reports nothing of a replacement connection before it has reached its registry", async () => {
  await using bench = new Bench();
  watchAll(bench);
  bench.fleet.apply([discovery(speaker("old"), { opening: `connection("connected", "old");` })]);
  await eventually("the old one speaks", () => speakers(bench) === "old");
  bench.fleet.apply([
    discovery(speaker("new"), {
      opening: `connection("disconnected", "new is away"); log.info("new has something to say");
        setTimeout(() => connection("connected", "new"), 200);`,
    }),
  ]);
  await eventually("the new one speaks", () => speakers(bench) === "old new");
  const states = bench.events.flatMap((event) => event.type === "connection" ? [`${event.state} ${event.detail}`] : []);
  assert.deepEqual(states, ["connected old", "connected new"]);
  assert.ok(bench.events.some((event) => event.type === "log"), "its log is forwarded nevertheless");
  assert.equal(bench.count(/^warn: New registry connection failed/), 1);
  await eventually("the old one is gone", () => liveWorkerCount() === 1);
  assert.equal(speakers(bench), "old new");
});

Deno.test("Fleet leaves the old connection serving while the new one reports its registry as unreachable", async () => {
  await using bench = new Bench({ clock: QUICK });
  watchAll(bench);
  bench.fleet.apply([discovery(speaker("old"), { opening: `connection("connected", "old");` })]);
  await eventually("the old one speaks", () => speakers(bench) === "old");
  bench.fleet.apply([discovery(speaker("new"), { opening: `connection("disconnected", "wrong address");` })]);
  await delay(40_000, { clock: QUICK, signal: new AbortController().signal });
  assert.equal(speakers(bench), "old");
  assert.equal(bench.count(`ready ${KEY}`), 1);
});

Deno.test("Fleet switches to a new connection that stays silent after a while", async () => {
  await using bench = new Bench({ clock: QUICK });
  watchAll(bench);
  bench.fleet.apply([discovery(speaker("old"))]);
  await eventually("the old one speaks", () => speakers(bench) === "old");
  bench.fleet.apply([discovery(speaker("new"))]);
  await eventually("the new one speaks", () => speakers(bench) === "old new");
});

Deno.test("Fleet returns to the old worker if the new one dies before its owner is ready, and tries again", async () => {
  await using bench = new Bench();
  watchAll(bench);
  bench.fleet.apply([discovery(speaker("old"), { opening: `connection("connected", "old");` })]);
  await eventually("the old one speaks", () => speakers(bench) === "old");
  const held = Promise.withResolvers<void>();
  const watch = bench.ready;
  bench.ready = (key) => {
    void watch(key);
    return bench.count(`ready ${KEY}`) === 2 ? held.promise : undefined;
  };
  bench.fleet.apply([
    // It dies once its first message was acknowledged.
    discovery(
      speaker("new").replace("await new", `setTimeout(() => { throw new Error("it crashed"); }, 0); await new`),
      {
        opening: `connection("connected", "new");`,
      },
    ),
  ]);
  await eventually("the new one speaks", () => speakers(bench).startsWith("old new"));
  await eventually("the old one speaks again", () => speakers(bench).startsWith("old new old"));
  assert.equal(bench.count(/^warn: Cannot replace a worker.*it crashed/), 1);
  assert.equal(bench.count(/down/), 0);
  held.resolve();
});

Deno.test("Fleet has its owner start again when the old worker serves again, since requests meanwhile went to the new one", async () => {
  await using bench = new Bench();
  const heard = () =>
    new Set(bench.events.flatMap((event) => event.type === "snapshot" ? [event.snapshot.cluster] : []));
  const clusters = ["web"];
  bench.ready = () => {
    for (const cluster of clusters) bench.fleet.post(KEY, { type: "watch", cluster });
    return bench.count(`ready ${KEY}`) === 2 ? new Promise(() => {}) : undefined;
  };
  bench.fleet.apply([discovery(speaker("old"), { opening: `connection("connected", "old");` })]);
  await eventually("the old one speaks", () => speakers(bench) === "old");
  const dying = `async *watch(cluster) { if (cluster === "api") setTimeout(() => { throw new Error("it crashed"); }, 0);
    await new Promise(() => {}); }`;
  bench.fleet.apply([discovery(dying, { opening: `connection("connected", "new");` })]);
  await eventually("the new one serves", () => bench.count(`ready ${KEY}`) === 2);
  clusters.push("api");
  bench.fleet.post(KEY, { type: "watch", cluster: "api" });
  await eventually("the old one serves again", () => bench.count(/^warn: Cannot replace a worker/) === 1);
  await eventually("the old one watches what is new", () => heard().has("api"), { deadlineMs: 10_000 });
});

Deno.test("Fleet copes with an old worker that dies while the new one is not ready", async () => {
  await using bench = new Bench();
  watchAll(bench);
  // It dies once nobody has consumed from it for a while: after the new one took over, however busy the machine is.
  bench.fleet.apply([
    discovery(speaker("old").replace("yield", "self.takenMs = Date.now(); yield"), {
      opening: `connection("connected", "old"); self.takenMs = Date.now();
        setInterval(() => { if (Date.now() - self.takenMs > 2_000) throw new Error("it crashed"); }, 50);`,
    }),
  ]);
  await eventually("the old one speaks", () => speakers(bench) === "old");
  const held = Promise.withResolvers<void>();
  const watch = bench.ready;
  bench.ready = (key) => {
    void watch(key);
    return held.promise;
  };
  bench.fleet.apply([discovery(speaker("new"), { opening: `connection("connected", "new");` })]);
  await eventually("the new one speaks", () => speakers(bench) === "old new");
  await eventually("the old one died", () => liveWorkerCount() === 1);
  await delay(250, { clock: systemClock, signal: new AbortController().signal });
  held.resolve();
  const { length } = bench.events;
  await eventually("the new one continues", () => bench.events.length > length + 3);
  assert.equal(speakers(bench), "old new");
  assert.equal(bench.count(/down/), 0);
});

Deno.test("Fleet applies only the newest of many consecutive changes", async () => {
  await using bench = new Bench();
  bench.fleet.apply([check("0")]);
  assert.equal(await probe(bench), "0");
  for (let i = 1; i <= 10; i++) bench.fleet.apply([check(String(i))]);
  await eventually("the last one serves", async () => await probe(bench) === "10");
  await eventually("one is left", () => liveWorkerCount() === 1);
  assert.equal(bench.count("ready check a"), 2, "those in between never started");
});

Deno.test("Fleet contains a plugin of the wrong kind, and impossible permissions", async () => {
  await using bench = new Bench();
  bench.fleet.apply([
    alone(instance("check a", {}, discoveryModule("async *watch() {}"))),
    alone({ ...instance("check b", {}), granted: { net: [":8080"] } }),
    alone(instance("check c", { says: "c" })),
  ]);
  await assert.rejects(
    probe(bench, "check a"),
    /the plugin must be a check of API version \d+; it is a discovery of API version 1/,
  );
  await assert.rejects(probe(bench, "check b"), WorkerDeadError);
  assert.equal(await probe(bench, "check c"), "c");
});

Deno.test("Fleet ends a worker that does not start in time", async () => {
  await using bench = new Bench({ clock: QUICK });
  bench.fleet.apply([check("x", { module: checkModule("", { top: "await new Promise(() => {});" }) })]);
  await assert.rejects(probe(bench), /not started within 10s/);
});

Deno.test("Fleet converges on the desired instances from any previous ones", async () => {
  const change = fc.record({
    configs: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2", "3"), { maxKeys: 3 }),
    isolation: fc.constantFrom("worker" as const, "shared" as const),
    waitMs: fc.constantFrom(0, 0, 1, 15, 30),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 2, maxLength: 6 }), async (changes) => {
      await using bench = new Bench();
      for (const { configs, isolation, waitMs } of changes) {
        const instances = Object.entries(configs).map(([name, says]) => instance(`check ${name}`, { says }));
        bench.fleet.apply(groupInstances(instances, isolation));
        await delay(waitMs, { clock: systemClock, signal: new AbortController().signal });
      }
      const { configs = {}, isolation } = changes.at(-1) ?? {};
      const wanted = Object.entries(configs);
      for (const [name, says] of wanted) {
        await eventually("it serves as wanted", async () => await probe(bench, `check ${name}`) === says);
      }
      const workers = isolation === "shared" ? Math.min(1, wanted.length) : wanted.length;
      await eventually("no other is left", () => liveWorkerCount() === workers);
    }),
    { numRuns: 8 },
  );
});

Deno.test("Fleet counts stuck threads, and keeps working", async () => {
  // In a process of its own: a stuck thread would keep the test process from ending.
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-A", new URL("../support/stuck_fleet.ts", import.meta.url).pathname],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(180_000),
  }).spawn();
  const { code, stdout, stderr } = await child.output();
  assert.equal(new TextDecoder().decode(stdout), "stuck: 2\nit goes on: yes\n", new TextDecoder().decode(stderr));
  assert.equal(code, 75);
});

Deno.test("when open files run out, Fleet ends only the worker of the plugin with the most open files", async () => {
  await using server = new ScriptedServer(isSilent);
  const files = { open: 40, limit: 256 };
  const room = new Room({ clock: QUICK, read: () => Promise.resolve({ ...files }) });
  const threads = { start: startThread, count: () => Promise.resolve(undefined), room };
  await using bench = new Bench({ threads });
  const keeps = checkModule(
    `const [hostname, port] = config.at.split(":");
    kept.push(...await Promise.all(Array.from({ length: config.keeps }, () => Deno.connect({ hostname, port: Number(port) }))));
    return { status: "pass", detail: String(kept.length) };`,
    { top: "const kept = [];" },
  );
  const keeper = (id: string, count: number, module: string) =>
    alone({ ...instance(id, { at: server.target, keeps: count }, module), granted: { net: [server.target] } });
  // Another plugin by its source alone.
  bench.fleet.apply([
    keeper("check a", 40, keeps),
    keeper("check b", 2, `${keeps}//`),
    alone(instance("check c", { says: "echo" })),
  ]);
  assert.deepEqual([await probe(bench, "check a"), await probe(bench, "check b")], ["40", "2"]);
  files.open = 250;
  await eventually("it is ended", () => bench.count("down check a") === 1);
  assert.deepEqual(
    [
      bench.count(/Plugin has too many open files/),
      bench.count(/the worker held 40 of the process limit of 256 file descriptors/),
    ],
    [1, 1],
    bench.said.join("\n"),
  );
  files.open = 100;
  assert.equal(await probe(bench, "check c"), "echo");
  await eventually("it is started again", () => bench.count("ready check a") === 2);
  assert.equal(bench.count(/^down (?!check a)/), 0);
});
