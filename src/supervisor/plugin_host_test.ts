import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { PluginKind } from "../plugin/source.ts";
import type { ToWorker } from "../protocol/messages.ts";
import { PluginHost, WorkerDeadError, WorkerDeadlineError, type WorkerEvent } from "./plugin_host.ts";
import type { ThreadEvents } from "./thread.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";

/** A host whose worker sends what a test dictates, also what no real worker could send. */
class Forged implements AsyncDisposable {
  readonly events: WorkerEvent[] = [];
  readonly posted: ToWorker[] = [];
  readonly deaths: string[] = [];
  readonly refused: string[] = [];
  readonly clock: FakeClock;
  readonly host: PluginHost;
  readonly tally = new Tally();
  thread!: ThreadEvents;
  isEnded = false;

  /** `tookMs`: how long a request and each message take. */
  constructor(kind?: PluginKind, { tookMs = 0, clock = new FakeClock() } = {}) {
    this.clock = clock;
    this.host = new PluginHost({
      name: "forged",
      module: "data:text/javascript,",
      permissions: "none",
      clock: this.clock,
      meter: this.tally,
      ...kind && { kind },
      startThread: (_options, events) => {
        this.thread = events;
        const post = (message: ToWorker) => {
          if (message.type === "introduce") this.clock.advance(tookMs);
          this.posted.push(message);
        };
        return { post, end: () => void (this.isEnded = true) };
      },
      onEvent: (event) => {
        this.clock.advance(tookMs);
        this.events.push(event);
      },
      onDeath: (reason) => this.deaths.push(reason),
      onRefused: (reason) => this.refused.push(reason),
    });
  }

  say(message: unknown): void {
    this.thread.onMessage(JSON.stringify(message));
  }

  snapshot(cluster: string, nodes: readonly unknown[] = []): void {
    this.say({ type: "snapshot", snapshot: { cluster, nodes, exists: true, epoch: "1" } });
  }

  count(type: ToWorker["type"]): number {
    return this.posted.filter((message) => message.type === type).length;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.host.stop({ graceMs: 0 });
  }
}

/** Runs everything that needs no time. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** A list of 4,294,967,295 holes. */
function holes(): unknown[] {
  const list: unknown[] = [];
  list.length = 2 ** 32 - 1;
  return list;
}

Deno.test.each([
  { what: "an object", said: { type: "pong", seq: 1 }, fault: /a string that contains JSON/ },
  { what: "bytes", said: new Uint8Array(5e7), fault: /a string that contains JSON/ },
  { what: "a map", said: new Map([[1, 1]]), fault: /a string that contains JSON/ },
  { what: "a stream", said: new ReadableStream(), fault: /a string that contains JSON/ },
  { what: "a list of holes", said: holes(), fault: /a string that contains JSON/ },
  { what: "no JSON", said: "{", fault: /a string that contains JSON/ },
  {
    what: "a long string",
    said: "x".repeat(3 * 1024 * 1024),
    fault: /at most 2097152 characters; received 3145728/,
  },
  { what: "nothing", said: "null", fault: /A message must be an object/ },
  { what: "an unknown type", said: `{"type":"root"}`, fault: /Unknown message type/ },
  { what: "an answer without a number", said: `{"type":"ack"}`, fault: /seq must be a number/ },
  {
    what: "a snapshot without a cluster",
    said: `{"type":"snapshot","snapshot":{"nodes":[]}}`,
    fault: /cluster must be/,
  },
  { what: "endlessly nested values", said: "[".repeat(1e6), fault: /a string that contains JSON/ },
])("PluginHost ends a worker that sends $what", async ({ said, fault }) => {
  await using forged = new Forged();
  forged.thread.onMessage(said);
  assert.match(forged.deaths.join(), /^sent an invalid message: /);
  assert.match(forged.deaths.join(), fault);
  assert.ok(forged.isEnded);
});

Deno.test.each([{ kind: "check" }, { kind: "balancer" }] as const)(
  "PluginHost ends a $kind that sends messages of a discovery",
  async ({ kind }) => {
    for (
      const said of [
        { type: "snapshot", snapshot: { cluster: "web", nodes: [], exists: true, epoch: "1" } },
        { type: "nodes", cluster: "web", nodes: [] },
        { type: "lost", cluster: "web", error: { name: "E", message: "x" } },
        { type: "ended", reason: "mine" },
        { type: "keys", stream: 1, entries: [], exists: true, epoch: "1" },
        { type: "keysLost", stream: 1, error: { name: "E", message: "x" } },
        { type: "connection", state: "disconnected", detail: "x" },
      ]
    ) {
      await using forged = new Forged(kind);
      forged.say(said);
      assert.match(forged.deaths.join(), new RegExp(`^sent ${said.type}, which a ${kind} may not send$`));
      assert.deepEqual(forged.events, []);
    }
  },
);

Deno.test("PluginHost ends a worker that keeps sending after its share is used up", async () => {
  for (const said of [{ type: "pong", seq: -1 }, { type: "log", instance: "", level: "info", message: "x" }]) {
    await using forged = new Forged();
    for (let i = 0; i < 20_000 && !forged.isEnded; i++) forged.say(said);
    assert.deepEqual(forged.deaths, ["sent too many messages without waiting for acknowledgements"]);
  }
});

Deno.test("PluginHost ends a worker that does not wait for the acknowledgement of its snapshots", async () => {
  await using forged = new Forged("discovery");
  for (let i = 0; i < 20_000 && !forged.isEnded; i++) forged.snapshot(`c${i}`);
  assert.deepEqual(forged.deaths, ["did not wait for its snapshots to be accepted"]);
});

/** A registry's answer about keys, as a worker sends it. */
function keysOf(stream: number, ...keys: readonly string[]) {
  const entries = keys.map((key) => ({ key, value: `value of ${key}` }));
  return { type: "keys", stream, entries, exists: true, epoch: "1" };
}

Deno.test("PluginHost watches a prefix at the pace of the reader, until the reader ends", async () => {
  await using forged = new Forged("discovery");
  const leaving = new AbortController();
  const following = forged.host.keys("/proxy/", leaving.signal);
  const first = following.next();
  assert.deepEqual(forged.posted, [{ type: "keys", stream: 1, prefix: "/proxy/" }]);
  forged.say(keysOf(1, "a", "b"));
  const { value } = await first;
  assert.deepEqual(value?.entries.map(({ key }) => key), ["a", "b"]);
  assert.deepEqual([forged.count("more"), forged.count("takenKeys")], [1, 0], "it was taken, and is not read yet");
  const second = following.next();
  await settled();
  assert.equal(forged.count("takenKeys"), 1);
  forged.say(keysOf(1));
  assert.deepEqual((await second).value?.entries, []);
  const third = following.next();
  leaving.abort(new Error("enough"));
  await assert.rejects(third, /enough/);
  assert.equal(forged.count("endKeys"), 1);
  forged.say(keysOf(1, "late"));
  assert.deepEqual(forged.deaths, [], "messages in flight are dropped");
});

Deno.test.each([
  {
    what: "the plugin cannot continue",
    befalls: (forged: Forged) => forged.say({ type: "keysLost", stream: 1, error: { name: "E", message: "no luck" } }),
    fault: /no luck/,
  },
  {
    what: "the session has ended",
    befalls: (forged: Forged) => forged.say({ type: "ended", reason: "expired" }),
    fault: /session ended: expired/,
  },
  { what: "the worker dies", befalls: (forged: Forged) => forged.host.kill("crashed"), fault: /crashed/ },
])("PluginHost throws from a watched prefix when $what, after the pending answers", async ({ befalls, fault }) => {
  await using forged = new Forged("discovery");
  const following = forged.host.keys("/", new AbortController().signal);
  const first = following.next();
  forged.say(keysOf(1, "a"));
  befalls(forged);
  assert.equal((await first).value?.entries.length, 1);
  await assert.rejects(following.next(), fault);
  assert.equal(forged.count("endKeys"), 0, "nothing to end");
});

Deno.test("PluginHost ends a worker that does not wait until its keys are read", async () => {
  await using forged = new Forged("discovery");
  const first = forged.host.keys("/", new AbortController().signal).next();
  forged.say(keysOf(1, "a"));
  forged.say(keysOf(1, "b"));
  assert.deepEqual(forged.deaths, ["did not wait for its keys to be accepted"]);
  assert.equal((await first).value?.entries[0]?.key, "a");
});

Deno.test("PluginHost aborts a notifier at its deadline, and waits at most one more second", async () => {
  await using forged = new Forged("notifier");
  const notifying = forged.host.notify("pager", [], { timeoutMs: 5_000 });
  const rejected = assert.rejects(notifying, WorkerDeadlineError);
  forged.clock.advance(5_000);
  assert.equal(forged.count("abort"), 1);
  forged.clock.advance(1_000);
  await rejected;
});

Deno.test("PluginHost makes a worker wait for as long as its messages took", async () => {
  await using forged = new Forged("discovery");
  const nodes = Array.from({ length: 500 }, (_, i) => ({ host: `h${i}`, ip: "10.0.0.1", port: 1, metadata: {} }));
  let said = 0;
  while (forged.count("more") === said) {
    forged.snapshot("web", nodes);
    said++;
  }
  assert.ok(said > 100, "a burst is allowed after a quiet time");
  forged.clock.advance(10);
  assert.equal(forged.count("more"), said, "it may continue after a wait");
  assert.deepEqual(forged.deaths, []);
});

Deno.test("PluginHost joins the portions of a snapshot, and ends a worker that mixes them", async () => {
  const node = (host: string) => ({ host, ip: "10.0.0.1", port: 1, metadata: {} });
  await using forged = new Forged("discovery");
  forged.say({ type: "nodes", cluster: "web", nodes: [node("c"), { refused: "no\nnode" }] });
  forged.say({ type: "nodes", cluster: "web", nodes: [node("a"), node("c")] });
  assert.equal(forged.events.length, 0);
  forged.snapshot("web", [node("b")]);
  const [event] = forged.events;
  assert.ok(event?.type === "snapshot");
  assert.deepEqual(event.snapshot.nodes.map(({ host }) => host), ["a", "b", "c"]);
  assert.deepEqual(forged.refused, ["web: no node", "web: Two nodes have the same name, c:1"]);
  forged.say({ type: "nodes", cluster: "web", nodes: [] });
  forged.snapshot("other");
  assert.match(forged.deaths.join(), /inconsistent portions of a snapshot/);
});

const A = { host: "a", ip: "10.0.0.1", port: 1, metadata: {} };
const CHANGE = {
  type: "change",
  cluster: "web",
  number: 2,
  base: 1,
  added: [],
  removed: [],
  isSameRefused: true,
  exists: true,
  epoch: "1",
};

Deno.test.each([
  { what: "names another base", change: { base: 7 } },
  { what: "names a base below zero", change: { base: -1 } },
  { what: "names itself as its base", change: { number: 1e300, base: 1e300 } },
  { what: "removes something other than a name", change: { removed: [7] } },
  { what: "removes a list-like object with only a length", change: { removed: { length: 2 ** 32 - 1 } } },
  { what: "adds something other than a list", change: { added: { 0: A, length: 1 } } },
  { what: "does not say whether the cluster exists", change: { exists: "true" } },
  { what: "has no epoch", change: { epoch: null } },
  { what: "has an infinite lease", change: { leaseMs: 1e12 } },
])("PluginHost ends a worker whose change $what", async ({ change }) => {
  await using forged = new Forged("discovery");
  forged.host.post({ type: "watch", cluster: "web", withoutMetadata: false });
  forged.say({ type: "snapshot", number: 1, snapshot: { cluster: "web", nodes: [A], exists: true, epoch: "1" } });
  forged.say({ ...CHANGE, ...change });
  assert.equal(forged.deaths.length, 1);
  assert.equal(forged.events.length, 1, "the last good snapshot stays");
});

Deno.test("PluginHost accepts the valid parts of a change: valid nodes, unique names, a one-line epoch", async () => {
  await using forged = new Forged("discovery");
  forged.host.post({ type: "watch", cluster: "web", withoutMetadata: false });
  forged.say({ ...CHANGE, added: [A] });
  assert.deepEqual([forged.events, forged.deaths], [[], []], "a change without a base belongs to an ended watch");
  forged.say({ type: "snapshot", number: 1, snapshot: { cluster: "web", nodes: [A], exists: true, epoch: "1" } });
  const hostile = [
    { ...A, host: "b", weight: 1e9 },
    { ...A, host: "c", zone: "z\n" },
    { ...A, host: "d", labels: { x: "\u202e" } },
    { ...A, host: "e", labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, "x"])) },
  ];
  const removed = Array.from({ length: 1_000 }, (_, i) => `nobody${i}:1`);
  forged.say({
    ...CHANGE,
    isSameRefused: false,
    added: [{ ...A, port: 2 }, { ...A, port: 2 }, ...hostile],
    removed,
    epoch: "x\n".repeat(20_000),
  });
  assert.deepEqual(forged.deaths, []);
  const [, said] = forged.events;
  assert.ok(said?.type === "snapshot");
  assert.deepEqual(said.snapshot.nodes.map(({ host, port }) => `${host}:${port}`), ["a:1", "a:2"]);
  assert.ok(said.snapshot.epoch.length <= 16_000);
  assert.doesNotMatch(said.snapshot.epoch, /\p{Cc}/u);
  assert.match(forged.refused.join("\n"), /^web: .*weight must be[^]*\nweb: 2 more nodes rejected$/);
});

Deno.test("PluginHost passes on the newest state of a connection, also from a worker that does not wait", async () => {
  await using forged = new Forged("discovery");
  for (let i = 0; i < 1_001; i++) {
    forged.say({ type: "connection", state: i % 2 ? "disconnected" : "connected", detail: `${i}` });
  }
  assert.equal(forged.events.length, 1);
  forged.clock.advance(1_000);
  const details = forged.events.map((event) => event.type === "connection" ? event.detail : "");
  assert.deepEqual(details, ["0", "1000"]);
});

Deno.test("PluginHost ends a worker that sends past its port, or reports being loaded twice", async () => {
  await using noisy = new Forged();
  noisy.thread.onNoise();
  assert.deepEqual(noisy.deaths, ["sent a message outside its MessagePort"]);
  await using twice = new Forged();
  for (let i = 0; i < 2; i++) twice.say({ type: "loaded", kind: "check", apiVersion: 1, name: "x" });
  assert.deepEqual(twice.deaths, ["reported twice that the plugin is loaded"]);
});

Deno.test("PluginHost limits all workers together to a tenth of the main loop's time", async () => {
  const clock = new FakeClock();
  await using one = new Forged("discovery", { tookMs: 100, clock });
  await using other = new Forged("discovery", { tookMs: 100, clock });
  for (const forged of [one, other]) forged.snapshot("web");
  assert.deepEqual([one.count("more"), other.count("more")], [1, 1], "a burst is allowed after a quiet time");
  for (const forged of [one, other]) forged.snapshot("web");
  assert.deepEqual([one.count("more"), other.count("more")], [1, 1]);
  clock.advance(1_000);
  assert.deepEqual([one.count("more"), other.count("more")], [2, 1], "one continues, then the other");
  clock.advance(1_000);
  assert.deepEqual([one.count("more"), other.count("more")], [2, 2]);
  assert.deepEqual([...one.deaths, ...other.deaths], [], "time ends no worker: the machine may be slow");
});

Deno.test("PluginHost sends a balancer's request once earlier ones are paid for, and starts the deadline then", async () => {
  await using forged = new Forged("balancer", { tookMs: 100 });
  const ask = () => forged.host.call({ type: "introduce" }, { deadlineMs: 500 });
  for (const seq of [1, 2, 3]) {
    const asked = ask();
    await settled();
    forged.say({ type: "ack", seq });
    await asked;
  }
  assert.equal(forged.count("introduce"), 3);
  const [late, never] = [ask(), ask()];
  await settled();
  assert.equal(forged.count("introduce"), 3);
  forged.clock.advance(800);
  await settled();
  assert.equal(forged.count("introduce"), 5);
  forged.say({ type: "ack", seq: 4 });
  assert.deepEqual(await late, { type: "ack" });
  forged.clock.advance(500);
  await assert.rejects(never, WorkerDeadlineError);
});

Deno.test("PluginHost drops a request to a balancer whose caller aborts while earlier ones are paid for", async () => {
  await using forged = new Forged("balancer", { tookMs: 1_000 });
  const caller = new AbortController();
  const ask = () => forged.host.call({ type: "introduce" }, { deadlineMs: 5_000, signal: caller.signal });
  const first = ask();
  await settled();
  forged.say({ type: "ack", seq: 1 });
  await first;
  const second = assert.rejects(ask(), /no longer needed/);
  await settled();
  caller.abort(new Error("no longer needed"));
  await second;
  assert.equal(forged.count("introduce"), 1);
});

Deno.test("PluginHost sends no request to a balancer that ends while waiting", async () => {
  await using forged = new Forged("balancer", { tookMs: 1_000 });
  const asked = [];
  for (let i = 0; i < 2; i++) {
    asked.push(assert.rejects(forged.host.call({ type: "introduce" }, { deadlineMs: 5_000 }), WorkerDeadError));
    await settled();
  }
  assert.equal(forged.count("introduce"), 1);
  const ended = forged.host.stop({ graceMs: 0 });
  await Promise.all(asked);
  await ended;
  assert.equal(forged.count("introduce"), 1);
  assert.equal(forged.clock.pending, 0);
});

Deno.test.each([
  { what: "answers nothing", says: () => {}, dead: "did not stop within 2s", isSilent: true },
  {
    what: "is slow to close and answers a ping",
    says: (forged: Forged) => {
      const ping = forged.posted.at(-1);
      if (ping?.type === "ping") forged.say({ type: "pong", seq: ping.seq });
    },
    dead: "stopped",
    isSilent: false,
  },
])(
  "PluginHost.stop() distinguishes a hung worker from a slow one: a worker that $what",
  async ({ says, dead, isSilent }) => {
    await using forged = new Forged("discovery");
    forged.say({ type: "loaded", kind: "discovery", apiVersion: 1, name: "forged" });
    const stopped = forged.host.stop({ graceMs: 2_000 });
    forged.clock.advance(1_000);
    says(forged);
    forged.clock.advance(1_000);
    await stopped;
    assert.deepEqual([forged.host.dead, forged.host.fellSilent, forged.deaths], [dead, isSilent, []]);
    assert.equal(forged.clock.pending, 0);
  },
);

Deno.test("PluginHost drops log records unread when they take too much time, and reports how many", async () => {
  await using forged = new Forged("check", { tookMs: 50 });
  for (let i = 0; i < 10; i++) forged.say({ type: "log", instance: "", level: "info", message: `${i}` });
  const read = forged.events.length;
  assert.ok(read < 10 && read > 1, `${read}`);
  forged.clock.advance(1_000);
  forged.say({ type: "log", instance: "", level: "info", message: "x" });
  assert.equal(forged.events.length, read + 1);
  assert.deepEqual(forged.refused, [`${10 - read} log records dropped: logging them would take too long`]);
});

Deno.test("PluginHost counts rejections, once for a node that stays, and dropped log records", async () => {
  await using forged = new Forged("discovery");
  const [rejected, dropped] = [
    'lighthouse_worker_rejected_messages_total{kind="discovery"}',
    'lighthouse_worker_dropped_log_records_total{kind="discovery"}',
  ];
  for (let i = 0; i < 2; i++) forged.snapshot("web", [{ host: "a", ip: "no address", port: 1 }]);
  assert.equal(samplesOf(forged.tally.collect())[rejected], 1);
  forged.say({ type: "dropped", records: 12 });
  forged.say({ type: "dropped", records: 3 });
  assert.equal(samplesOf(forged.tally.collect())[dropped], 15);
  forged.thread.onMessage("{");
  assert.equal(samplesOf(forged.tally.collect())[rejected], 2);
});

Deno.test.each([
  { why: "is dead at the third consecutive miss", pings: "+---", death: ["no response to 3 pings"] },
  { why: "starts over after an answer", pings: "--+--+--", death: [] },
  { why: "starts over after any other message", pings: "--s--s--", death: [] },
])("PluginHost: a worker $why", async ({ pings, death }) => {
  await using forged = new Forged("check");
  for (const ping of pings) {
    while (forged.posted.at(-1)?.type !== "ping" && forged.deaths.length === 0) {
      forged.clock.advance(1_000);
      await settled();
    }
    const asked = forged.posted.pop();
    if (ping === "+" && asked?.type === "ping") forged.say({ type: "ack", seq: asked.seq });
    else {
      forged.clock.advance(1_000);
      if (ping === "s") forged.say({ type: "log", instance: "", level: "debug", message: "busy" });
      forged.clock.advance(4_000);
    }
    await settled();
  }
  assert.deepEqual(forged.deaths, death);
});
