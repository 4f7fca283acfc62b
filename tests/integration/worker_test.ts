import assert from "node:assert/strict";
import { describeWith } from "../../src/app/describe.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { WorkerError } from "../../src/protocol/wire_error.ts";
import { Describer } from "../../src/supervisor/describer.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import {
  liveWorkerCount,
  PluginHost,
  WorkerDeadError,
  WorkerDeadlineError,
  type WorkerEvent,
} from "../../src/supervisor/plugin_host.ts";
import { startThread } from "../../src/supervisor/thread.ts";
import { BUILTINS } from "../../workers/builtins.ts";
import { eventually } from "../support/eventually.ts";
import { checkModule, dataModule, discoveryModule } from "../support/plugin_source.ts";

/** Pings often, but gives a worker on a busy machine time to answer. */
const PATIENT = { everyMs: 50, missesMax: 400 };
/** Only for tests of silence. */
const QUICK = { everyMs: 50, missesMax: 3 };
const WAIT = { deadlineMs: 60_000 };

/** Hosts a module; collects what it sends and why it died. */
function host(module: string, permissions: Deno.PermissionOptionsObject | "none" = "none", heartbeat = PATIENT) {
  const events: WorkerEvent[] = [];
  const deaths: string[] = [];
  const refused: string[] = [];
  const made = new PluginHost({
    name: "test worker",
    module,
    permissions,
    clock: systemClock,
    heartbeat,
    onEvent: (event) => events.push(event),
    onDeath: (reason) => deaths.push(reason),
    onRefused: (reason) => refused.push(reason),
  });
  return Object.assign(made, { events, deaths, refused });
}

async function startCheck(made: PluginHost, target = "127.0.0.1:1"): Promise<void> {
  await made.loaded();
  const scope = { instance: "check", target };
  await made.call({ type: "start", instance: "check", config: {}, scope }, WAIT);
}

Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

Deno.test("PluginHost runs a probe within its permissions", async () => {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("ok"));
  const target = `127.0.0.1:${server.addr.port}`;
  const module = checkModule(`(await Deno.connect({ hostname: "127.0.0.1", port: ${server.addr.port} })).close();
    return { status: "pass" };`);
  await using made = host(module, toDenoPermissions({ net: [target] }));
  await startCheck(made, target);
  const answer = await made.call({ type: "probe", instance: "check", timeoutMs: 5_000 }, WAIT);
  assert.ok(answer.type === "outcome", JSON.stringify(answer));
  assert.deepEqual(answer.outcome, { status: "pass" });
});

Deno.test.each([
  { what: "another address", code: `await Deno.connect({ hostname: "127.0.0.1", port: 2 })` },
  { what: "the same port of another name", code: `await Deno.connect({ hostname: "localhost", port: 1 })` },
  { what: "a file", code: `await Deno.readTextFile("/etc/passwd")` },
  { what: "the environment", code: `Deno.env.get("HOME")` },
  { what: "a program", code: `new Deno.Command("true").outputSync()` },
  { what: "a module from elsewhere", code: `await import("http://127.0.0.1:1/mod.ts")` },
])("PluginHost denies $what to a plugin that did not request it", async ({ code }) => {
  await using made = host(
    checkModule(`${code}; return { status: "pass" };`),
    toDenoPermissions({ net: ["127.0.0.1:1"] }),
  );
  await startCheck(made);
  const refusal = await made.call({ type: "probe", instance: "check", timeoutMs: 5_000 }, WAIT).then(
    (answer) => assert.fail(JSON.stringify(answer)),
    (error) => error,
  );
  assert.ok(refusal instanceof WorkerError, String(refusal));
  assert.match(refusal.kind, /NotCapable|TypeError/);
});

Deno.test("PluginHost: a third-party plugin cannot create workers of its own", async () => {
  const code = `new Worker("data:text/javascript,", { type: "module", deno: { permissions: { read: true } } });`;
  await using made = host(checkModule(`${code} return { status: "pass" };`), toDenoPermissions({}));
  await startCheck(made);
  await assert.rejects(
    made.call({ type: "probe", instance: "check", timeoutMs: 5_000 }, WAIT),
    /Worker is not defined/,
  );
});

Deno.test("PluginHost: a throw in a probe is an answer, and the worker lives on", async () => {
  await using made = host(checkModule(`throw new TypeError("no idea")`));
  await startCheck(made);
  await assert.rejects(made.call({ type: "probe", instance: "check", timeoutMs: 5_000 }, WAIT), (error) => {
    assert.ok(error instanceof WorkerError);
    assert.equal(error.kind, "TypeError");
    return /no idea/.test(error.message);
  });
  assert.equal((await made.call({ type: "ping" }, WAIT)).type, "pong");
});

Deno.test("PluginHost: a throw outside of any call kills the worker, not the process", async () => {
  await using made = host(checkModule("", { top: `setTimeout(() => { throw new Error("out of the blue") }, 20);` }));
  await eventually("the death is reported", () => made.deaths.length === 1);
  assert.match(made.deaths[0] ?? "", /out of the blue/);
  await assert.rejects(made.call({ type: "ping" }, WAIT), WorkerDeadError);
});

Deno.test("PluginHost: a plugin's output is logged, without terminal control characters", async () => {
  await using made = host(
    checkModule(`console.error("\\x1b[31mred\\nlevel=error forged", 7); return { status: "pass" };`),
  );
  await startCheck(made);
  await made.call({ type: "probe", instance: "check", timeoutMs: 5_000 }, WAIT);
  const record = made.events.find((event) => event.type === "log");
  assert.ok(record?.type === "log");
  assert.equal(record.level, "warn");
  assert.match(record.message, /red.*forged 7$/);
  // deno-lint-ignore no-control-regex -- the log must contain no control characters.
  assert.doesNotMatch(record.message, /[\u0000-\u001f]/);
});

Deno.test("PluginHost reports why a module cannot be loaded", async () => {
  await using made = host(dataModule(`throw new Error("broken at load")`));
  await assert.rejects(made.loaded(), /cannot load the plugin: broken at load/);
  await using unknown = host("builtin:check/nothing");
  await assert.rejects(unknown.loaded(), /no such built-in plugin/);
});

Deno.test("PluginHost: a worker that closes itself is detected by its missing heartbeats", async () => {
  await using made = host(checkModule("", { top: `setTimeout(() => self.close(), 20);` }), "none", QUICK);
  await eventually("the death is reported", () => made.deaths.length === 1);
  assert.match(made.deaths[0] ?? "", /no response to 3 pings/);
});

Deno.test("PluginHost: a probe that never ends fails at its deadline, and the next one can run", async () => {
  await using made = host(checkModule(`await new Promise(() => setTimeout(() => {}, 1e8));`));
  await startCheck(made);
  for (let i = 0; i < 2; i++) {
    const answer = await made.call({ type: "probe", instance: "check", timeoutMs: 50 }, WAIT);
    assert.ok(answer.type === "outcome");
    assert.deepEqual(answer.outcome, { status: "fail", reason: "No response within 50ms" });
  }
});

Deno.test("PluginHost: a call has a deadline of its own", async () => {
  await using made = host(checkModule(`await new Promise(() => {});`));
  await startCheck(made);
  await assert.rejects(
    made.call({ type: "probe", instance: "check", timeoutMs: 60_000 }, { deadlineMs: 50 }),
    WorkerDeadlineError,
  );
});

Deno.test("PluginHost: an aborted call aborts the plugin's signal", async () => {
  const module = checkModule(`await new Promise((resolve) => signal.addEventListener("abort", resolve));
    log.warn("saw the abort"); return { status: "pass" };`);
  await using made = host(module);
  await startCheck(made);
  const controller = new AbortController();
  const probing = made.call({ type: "probe", instance: "check", timeoutMs: 60_000 }, {
    ...WAIT,
    signal: controller.signal,
  });
  controller.abort(new Error("enough"));
  await assert.rejects(probing, /enough/);
  await eventually("the plugin saw it", () => made.events.some((event) => event.type === "log"));
});

Deno.test("PluginHost: a flood of log records costs the host fifty per second, and the rest are counted", async () => {
  await using made = host(
    checkModule(`let isAborted = false; signal.addEventListener("abort", () => isAborted = true);
      while (!isAborted) {
        for (let i = 0; i < 1000; i++) log.info("x", new Uint8Array(1e6));
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      return { status: "pass" };`),
  );
  const startedMs = performance.now();
  await startCheck(made);
  const probing = made.call({ type: "probe", instance: "check", timeoutMs: 3_000 }, WAIT);
  assert.equal((await probing).type, "outcome");
  assert.deepEqual(made.deaths, []);
  // The plugin makes a thousand each turn. A busy machine takes longer than the probe's three seconds.
  const seconds = (performance.now() - startedMs) / 1_000;
  assert.ok(made.events.length <= 50 * (seconds + 2), `${made.events.length} log records in ${seconds} s`);
  assert.match(made.refused.join(), /\d{3,} log records dropped in one second because of the rate limit/);
});

Deno.test("PluginHost leaves bad nodes out of a snapshot and names them", async () => {
  const good = `{ host: "a.int", ip: "10.0.0.1", port: 80, metadata: {} }`;
  const bad = `{ host: "b\\n  server evil", ip: "10.0.0.2", port: 80, metadata: {} }`;
  const module = discoveryModule(
    `async *watch(cluster) { yield { exists: true, epoch: "1", nodes: [${bad}, ${good}, ${good}] }; await new Promise(() => {}); }`,
  );
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web" });
  const event = await eventually("a snapshot comes", () => made.events.find((event) => event.type === "snapshot"));
  assert.ok(event.type === "snapshot");
  assert.deepEqual(event.snapshot.nodes.map(({ host }) => host), ["a.int"]);
  assert.match(made.refused.join("\n"), /host must be a host name/);
  assert.match(made.refused.join("\n"), /Two nodes have the same name, a\.int:80/);
});

Deno.test("a worker sends no unused metadata, whatever the plugin yields", async () => {
  const module = discoveryModule(`async *watch(cluster) {
    yield { exists: true, epoch: "1", nodes: [{ host: "a.int", ip: "10.0.0.1", port: 80, metadata: { note: "x".repeat(50_000) } }] };
    await new Promise(() => {}); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web", withoutMetadata: true });
  const event = await eventually("a snapshot comes", () => made.events.find((event) => event.type === "snapshot"));
  assert.ok(event.type === "snapshot");
  assert.deepEqual(event.snapshot.nodes.map(({ host, metadata }) => [host, metadata]), [["a.int", {}]]);
});

Deno.test("PluginHost reports an invalid node once for as long as it stays", async () => {
  const module = discoveryModule(`async *watch(cluster) {
    const bad = (host) => ({ host, ip: "10.0.0.1", port: 80, metadata: {} });
    for (const names of [["a b"], ["a b"], ["a b", "c d"], [], ["a b"], ["1 ", "2 ", "3 ", "4 ", "5 "]]) {
      yield { exists: true, epoch: "1", nodes: names.map(bad) };
    }
    await new Promise(() => {}); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web" });
  for (let count = 1; count <= 6; count++) {
    await eventually("a snapshot comes", () => made.events.length === count);
    made.post({ type: "taken", cluster: "web" });
  }
  const refusal = (name: string) => `web: Invalid node: host must be a host name; received ${JSON.stringify(name)}`;
  assert.deepEqual(made.refused, [
    refusal("a b"),
    refusal("c d"),
    refusal("a b"),
    ...["1 ", "2 ", "3 "].map(refusal),
    "web: 2 more nodes rejected",
  ]);
});

Deno.test.each([
  { what: "a value without a JSON form", metadata: "{ a: 1n }" },
  { what: "a cycle", metadata: "(() => { const x = {}; x.x = x; return x })()" },
  { what: "no end", metadata: "(() => { let x = {}; for (let i = 0; i < 60; i++) x = { a: x, b: x }; return x })()" },
])("PluginHost survives metadata with $what", async ({ metadata }) => {
  const module = discoveryModule(`async *watch(cluster) {
    yield { exists: true, epoch: "1", nodes: [{ host: "a", ip: "10.0.0.1", port: 80, metadata: ${metadata} }] };
    await new Promise(() => {}); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web" });
  await eventually("the node is rejected", () => made.refused.length === 1);
  assert.match(made.refused[0] ?? "", /metadata must be a JSON object/);
});

Deno.test("PluginHost receives the newest state of a connection, however many other messages there are", async () => {
  const module = discoveryModule("async *watch() {},", {
    open: `for (let i = 0; i < 5_000; i++) log.debug("noise " + i);
      for (let i = 0; i < 999; i++) connection(i % 2 ? "connected" : "disconnected", "flips");
      connection("connected", new TypeError("fetch failed", { cause: new Error("denied") }));`,
  });
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  const states = () => made.events.filter((event) => event.type === "connection");
  await eventually("the newest state comes", () => states().at(-1)?.detail === "TypeError: fetch failed: denied");
  assert.equal(states().at(-1)?.state, "connected");
  assert.ok(states().length <= 3, "intermediate states are not reported");
  assert.deepEqual(made.deaths, []);
});

Deno.test("PluginHost accepts the first snapshots of 20,000 clusters", async () => {
  const module = discoveryModule(`async *watch(cluster) {
    yield { exists: true, epoch: "1", nodes: [{ host: cluster, ip: "10.0.0.1", port: 80, metadata: {} }] };
    await new Promise(() => {}); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  const clusters = Array.from({ length: 20_000 }, (_, i) => `c${i}`);
  for (const cluster of clusters) made.post({ type: "watch", cluster });
  await eventually("all have come", () => made.events.length === clusters.length, { deadlineMs: 120_000 });
  assert.deepEqual(made.deaths, []);
  const heard = made.events.map((event) => event.type === "snapshot" ? event.snapshot.nodes[0]?.host : undefined);
  assert.deepEqual(new Set(heard), new Set(clusters));
});

Deno.test("PluginHost accepts a long snapshot as a whole, in any order of its nodes", async () => {
  const module = discoveryModule(`async *watch(cluster) {
    const nodes = Array.from({ length: 10_000 }, (_, i) => ({ host: "h" + i * 7919 % 10_000, ip: "10.0.0.1", port: 80,
      metadata: { note: "x".repeat(100) } }));
    yield { exists: true, epoch: "1", nodes: [...nodes, { ...nodes[0], ip: "10.0.0.2" }, { host: "a b" }] };
    yield { exists: true, epoch: "1", nodes: [] };
    await new Promise(() => {}); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web" });
  await eventually("it comes", () => made.events.length === 1);
  made.post({ type: "taken", cluster: "web" });
  await eventually("the next comes", () => made.events.length === 2);
  const [first, second] = made.events;
  assert.ok(first?.type === "snapshot" && second?.type === "snapshot");
  const names = first.snapshot.nodes.map(({ host, port }) => `${host}:${port}`);
  assert.equal(names.length, 10_000);
  assert.deepEqual(names, names.toSorted());
  assert.match(made.refused.join("\n"), /Two nodes have the same name, h0:80/);
  assert.match(made.refused.join("\n"), /Invalid node/);
  assert.deepEqual(second.snapshot, { cluster: "web", nodes: [], exists: true, epoch: "1" });
});

Deno.test("a worker sends nodes in order, whatever its plugin does to Array.prototype.sort", async () => {
  const module = discoveryModule(
    `async *watch(cluster) {
      yield { exists: true, epoch: "1", nodes: ["b", "c", "a"].map((host) => ({ host, ip: "10.0.0.1", port: 80, metadata: {} })) };
      await new Promise(() => {}); }`,
    { top: "Array.prototype.sort = function () { return this; };" },
  );
  const sent: unknown[] = [];
  await using made = new PluginHost({
    name: "test worker",
    module,
    permissions: "none",
    clock: systemClock,
    startThread: (options, events) =>
      startThread(options, { ...events, onMessage: (data) => void (sent.push(data), events.onMessage(data)) }),
  });
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web" });
  const message = await eventually("nodes come", () => sent.find((data) => String(data).includes(`"10.0.0.1"`)));
  assert.deepEqual([...String(message).matchAll(/"host":"(.)"/g)].map(([, host]) => host), ["a", "b", "c"]);
});

Deno.test.each([
  {
    what: "is too large",
    nodes: `new Array(100_000).fill({ host: "a", ip: "10.0.0.1", port: 80, metadata: { x: "x".repeat(30_000) } })`,
  },
  { what: "is not a list", nodes: `new Uint8Array(5e7)` },
])("PluginHost fails the watch of a cluster whose snapshot $what, and of no other", async ({ nodes }) => {
  const module = discoveryModule(`async *watch(cluster) {
    const good = [{ host: "a", ip: "10.0.0.1", port: 80, metadata: {} }];
    yield { exists: true, epoch: "1", nodes: cluster === "bad" ? ${nodes} : good };
    await new Promise(() => {}); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "bad" });
  const lost = await eventually("the failure is reported", () => made.events.find(({ type }) => type === "lost"), {
    deadlineMs: 60_000,
  });
  assert.ok(lost.type === "lost" && lost.cluster === "bad");
  assert.match(lost.error.message, /^(?:A snapshot must have|The "nodes" key of a snapshot must be) /);
  made.post({ type: "watch", cluster: "good" });
  await eventually("the other comes", () => made.events.some(({ type }) => type === "snapshot"));
  assert.deepEqual(made.deaths, []);
});

Deno.test("PluginHost: the next snapshot waits until the last was acknowledged", async () => {
  const module = discoveryModule(`async *watch(cluster) {
    for (let port = 1; port < 100; port++) yield { exists: true, epoch: "1", nodes: [{ host: "a", ip: "10.0.0.1", port, metadata: {} }] }; }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  made.post({ type: "watch", cluster: "web" });
  await eventually("the first comes", () => made.events.length === 1);
  await made.call({ type: "ping" }, WAIT);
  assert.equal(made.events.length, 1);
  made.post({ type: "taken", cluster: "web" });
  await eventually("the second comes", () => made.events.length === 2);
});

Deno.test("PluginHost: a watch that throws is reported as failed, and can be restarted", async () => {
  const module = discoveryModule(`async *watch() { throw new Error("registry is away"); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  for (let i = 1; i <= 2; i++) {
    made.post({ type: "watch", cluster: "web" });
    await eventually("the failure is reported", () => made.events.filter(({ type }) => type === "lost").length === i);
  }
});

Deno.test("PluginHost: the end of a session is reported, and a start opens the next", async () => {
  const module = discoveryModule(`ended: new Promise((resolve) => setTimeout(() => resolve("expired"), 20)),
    async *watch() { await new Promise(() => {}); },`);
  await using made = host(module);
  await made.loaded();
  for (let i = 1; i <= 2; i++) {
    await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
    await eventually("the end is reported", () => made.events.filter(({ type }) => type === "ended").length === i);
  }
});

Deno.test("PluginHost.stop() lets the plugin close its session, but not for longer than the grace", async () => {
  const closes = discoveryModule(`async *watch() {}, async [Symbol.asyncDispose]() { log.info("closed"); },`);
  const made = host(closes);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  await made.stop({ graceMs: 5_000 });
  assert.ok(made.events.some((event) => event.type === "log" && event.message === "closed"));
  assert.deepEqual(made.deaths, []);
  const hangs = host(
    discoveryModule(`async *watch() {}, async [Symbol.asyncDispose]() { await new Promise(() => {}); },`),
  );
  await hangs.loaded();
  await hangs.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  await hangs.stop({ graceMs: 2_000 });
  assert.deepEqual([hangs.dead, hangs.fellSilent], ["stopped", false], "its thread can be ended");
});

Deno.test("PluginHost.stop() rejects calls in flight at once: a stop is no answer", async () => {
  const made = host(checkModule(`await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return { status: "fail", reason: "aborted" };`));
  await startCheck(made);
  const probing = made.call({ type: "probe", instance: "check", timeoutMs: 60_000 }, WAIT);
  const stopping = made.stop({ graceMs: 5_000 });
  await assert.rejects(probing, WorkerDeadError);
  await assert.rejects(made.call({ type: "ping" }, WAIT), WorkerDeadError);
  await Promise.all([stopping, made.stop({ graceMs: 5_000 })]);
  assert.deepEqual(made.deaths, []);
});

Deno.test("PluginHost.stop() does not wait for a plugin that is not loaded", async () => {
  const made = host(checkModule("", { top: "await new Promise(() => {});" }));
  let isOver = false;
  void made.stop({ graceMs: 600_000 }).then(() => isOver = true);
  await eventually("it is stopped long before its grace is over", () => isOver);
  await assert.rejects(made.loaded(), WorkerDeadError);
});

Deno.test("Describer validates and requests permissions in a worker without any", async () => {
  await using describer = new Describer({ clock: systemClock });
  const scope = { instance: "check", target: "127.0.0.1:80" };
  const module = checkModule("");
  assert.deepEqual(await describer.describe(module, { uri: "/" }, scope), {
    ok: true,
    config: { uri: "/" },
    permissions: { net: ["127.0.0.1:80"] },
  });
  const nosy = checkModule("", { validate: `{ Deno.readTextFileSync("/etc/passwd") }` });
  const answer = await describer.describe(nosy, {}, scope);
  assert.ok(!answer.ok);
  assert.match(answer.issues[0]?.message ?? "", /Cannot use the plugin: .*(read access|NotCapable)/);
});

Deno.test("describeWith() describes a shipped plugin in the host as its worker would", async () => {
  await using describer = new Describer({ clock: systemClock });
  const describe = describeWith(describer);
  const scope = { instance: "x", target: "127.0.0.1:80" };
  for (const [name, load] of BUILTINS) {
    const { default: plugin } = await load();
    if (plugin.kind === "balancer") continue;
    for (const raw of [plugin.example, { ...plugin.example as object, no_such_key: 1 }, 7]) {
      const here = await describe(`builtin:${name}`, raw, scope);
      // Only data crosses to a worker and back: undefined stands for absence.
      assert.deepEqual(
        JSON.stringify(here),
        JSON.stringify(await describer.describe(`builtin:${name}`, raw, scope)),
        name,
      );
    }
  }
});

Deno.test("describeWith() describes a third-party plugin in a worker without permissions", async () => {
  await using describer = new Describer({ clock: systemClock });
  const nosy = checkModule("", { validate: `{ Deno.readTextFileSync("/etc/passwd") }` });
  const answer = await describeWith(describer)(nosy, {}, { instance: "x", target: "127.0.0.1:80" });
  assert.ok(!answer.ok);
  assert.match(answer.issues[0]?.message ?? "", /Cannot use the plugin: .*(read access|NotCapable)/);
});

Deno.test("Describer: a plugin cannot request a permission without a serializable form", async () => {
  await using describer = new Describer({ clock: systemClock });
  const scope = { instance: "check", target: "127.0.0.1:80" };
  const all = await describer.describe(checkModule("", { permissions: "net: true" }), {}, scope);
  assert.ok(!all.ok);
  assert.match(all.issues[0]?.message ?? "", /net must be a list/);
  const ffi = await describer.describe(checkModule("", { permissions: "ffi: ['/x']" }), {}, scope);
  assert.ok(!ffi.ok);
  assert.match(ffi.issues[0]?.message ?? "", /Unknown permission "ffi"/);
});

Deno.test("Describer survives a plugin whose answers are not plain data", async () => {
  await using describer = new Describer({ clock: systemClock });
  const scope = { instance: "check", target: "127.0.0.1:80" };
  for (const validate of ["({ value: { a: 1n } })", "({ value: new Map() })", "({ issues: new Array(3) })"]) {
    const answer = await describer.describe(checkModule("", { validate }), {}, scope);
    assert.ok(!answer.ok);
    assert.match(answer.issues[0]?.message ?? "", /Cannot use the plugin: /);
  }
  const holes = await describer.describe(checkModule("", { permissions: "net: new Array(1)" }), {}, scope);
  assert.ok(!holes.ok);
});

Deno.test("Describer aborts with its signal, for a plugin that never loads or never answers", async () => {
  for (const code of [{ top: "await new Promise(() => {});" }, { validate: "new Promise(() => {})" }]) {
    const controller = new AbortController();
    await using describer = new Describer({ clock: systemClock, signal: controller.signal });
    const describing = describer.describe(checkModule("", code), {}, { instance: "check" });
    controller.abort(new Error("enough"));
    const answer = await describing;
    assert.ok(!answer.ok);
    assert.match(answer.issues[0]?.message ?? "", /Cannot use the plugin: enough/);
  }
});

Deno.test("PluginHost follows keys under a prefix, and fails only a prefix with too many keys", async () => {
  const module = discoveryModule(`async *watch() {}, async *keys(prefix, signal) {
    const entry = { key: "a", value: "1" };
    yield { exists: true, epoch: "1", entries: prefix === "/many/" ? new Array(10_001).fill(entry)
      : prefix === "/long/" ? [{ key: "a", value: "x".repeat(3e6) }] : [entry] };
    yield { exists: true, epoch: "1", entries: [entry, { key: "b", value: "2" }] };
    await new Promise((resolve) => signal.addEventListener("abort", resolve)); }`);
  await using made = host(module);
  await made.loaded();
  await made.call({ type: "start", instance: "discovery", config: {}, scope: { instance: "discovery" } }, WAIT);
  const leaving = new AbortController();
  const good = made.keys("/good/", leaving.signal);
  assert.deepEqual((await good.next()).value?.entries, [{ key: "a", value: "1" }]);
  const tooMuch = {
    "/many/": /at most 10000 entries; received 10001/,
    "/long/": /at most 2097152 characters of JSON/,
  };
  for (const [prefix, fault] of Object.entries(tooMuch)) {
    await assert.rejects(made.keys(prefix, leaving.signal).next(), fault);
  }
  assert.deepEqual((await good.next()).value?.entries.map(({ key }) => key), ["a", "b"]);
  const last = assert.rejects(good.next(), /enough/);
  leaving.abort(new Error("enough"));
  await last;
  assert.deepEqual(made.deaths, []);
});

Deno.test("PluginHost has a notifier deliver events, reports failures, and aborts at its deadline", async () => {
  const module = dataModule(`
export default {
  kind: "notifier", apiVersion: 1, name: "made_up", summary: "", stability: "stable",
  config: { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } },
  permissions: () => ({}),
  async notify(events, { says }, signal) {
    const [{ event }] = events;
    if (event === "test.endless") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("given up"))));
    if (event !== "test.good") throw new Error(says + event);
  },
};`);
  await using made = host(module);
  await made.loaded();
  const scope = { instance: "pager" };
  await made.call({ type: "start", instance: "pager", config: { says: "no " }, scope }, WAIT);
  const notify = (event: string, timeoutMs = 60_000) =>
    made.notify("pager", [{ event, level: "warn", message: "", atMs: 0, fields: {} }], { timeoutMs });
  await notify("test.good");
  await assert.rejects(notify("test.bad"), /no test\.bad/);
  await assert.rejects(notify("test.endless", 50), /given up/);
  await notify("test.good");
});
