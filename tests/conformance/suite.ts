/**
 * What every check and discovery plugin must do, whoever wrote it. A plugin is
 * tested through the very path that runs it: described without permissions,
 * judged by the policy, run in a worker with what it was granted.
 *
 * An author calls {@linkcode checkConforms} or {@linkcode discoveryConforms}
 * from a test file of their own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { systemClock } from "../../src/kernel/clock.ts";
import type { Node } from "../../src/model/node.ts";
import type { ProbeOutcome, Scope } from "../../src/plugin/contract.ts";
import { decide } from "../../src/plugin/policy.ts";
import type { PluginSource } from "../../src/plugin/source.ts";
import { type Described, Describer } from "../../src/supervisor/describer.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { liveWorkerCount, PluginHost, type WorkerEvent } from "../../src/supervisor/plugin_host.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { isSilent, ScriptedServer, sends } from "../support/scripted_server.ts";

/** What both kinds of subjects say. */
interface Subject {
  /** What a worker is told to load: `builtin:kind/name` or a `data:` URL. */
  readonly source: PluginSource;
  /** The name that the plugin bears. */
  readonly name: string;
}

/** A check under test. */
export interface CheckSubject extends Subject {
  /** A valid config, with which the check waits for an answer. */
  readonly config: unknown;
  /** Starts a server that is well in the eyes of this config. */
  readonly healthy: () => Promise<{ readonly target: string } & AsyncDisposable> | ScriptedServer;
  /** How it reaches its target, TCP unless told: by datagrams, or not at all as it looks elsewhere. */
  readonly over?: "tcp" | "udp" | "nothing";
  /** Of a check that does not reach its target: a valid config with which a probe waits without an end, if it can. */
  readonly endless?: unknown;
}

/** A registry that a discovery method is tested with. */
export interface Registry extends AsyncDisposable {
  /** A valid config for it. */
  readonly config: unknown;
}

/** A discovery method under test. */
export interface DiscoverySubject extends Subject {
  /** Starts an empty registry. */
  readonly registry: () => Promise<Registry>;
  /** A valid config for a registry at an address where something answers, but no registry; if it has addresses at all. */
  readonly elsewhere?: (address: string) => unknown;
}

const WAIT = { deadlineMs: 20_000 };
/** After an abort, everything is closed within 200 ms; a busy machine gets more before a test fails. */
const STOPPED_WITHIN_MS = 5_000;

/** Registers the tests that both kinds share. */
function pluginConforms(kind: "check" | "discovery", { source, name }: Subject, scope: Scope, config: () => unknown) {
  const title = `${kind}/${name}`;

  Deno.test.afterEach(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

  Deno.test(`${title} loads without any permission, and says who it is`, async () => {
    await using host = new PluginHost({ name, module: source.module, permissions: "none", clock: systemClock });
    const { kind: saysKind, name: saysName, apiVersion } = await host.loaded();
    assert.deepEqual({ saysKind, saysName, apiVersion }, { saysKind: kind, saysName: name, apiVersion: 1 });
    assert.match(name, /^[a-z][a-z0-9_]*$/);
  });

  Deno.test(`${title} is described without any permission, the same each time, and asks for nothing wide`, async () => {
    const first = await describe(source, config(), scope);
    assert.ok(first.ok, JSON.stringify(first));
    assert.deepEqual(await describe(source, config(), scope), first);
    const grant = decide(first.permissions, { kind, source, scope });
    assert.ok(grant.ok, JSON.stringify(grant));
  });

  Deno.test(`${title} names an unknown key with its path, and the keys that it knows`, async () => {
    const described = await describe(source, { ...config() as object, nobody_knows_me: 1 }, scope);
    assert.ok(!described.ok);
    const issue = described.issues.find((each) => each.unknownKey !== undefined);
    assert.deepEqual(issue?.path, ["nobody_knows_me"], JSON.stringify(described.issues));
    assert.ok((issue?.unknownKey?.known ?? []).length > 0);
    assert.match(issue?.message ?? "", /nobody_knows_me/);
  });

  Deno.test(`${title} refuses what is no map at all, and does not throw at it`, async () => {
    for (const raw of [null, undefined, 1, true, "text", ["list"]]) {
      const described = await describe(source, raw, scope);
      assert.ok(!described.ok, `It took ${JSON.stringify(raw)}`);
      for (const { message } of described.issues) assert.match(message, /^(?!Cannot use the plugin)./);
    }
  });
}

async function describe(source: PluginSource, raw: unknown, scope: Scope): Promise<Described> {
  await using describer = new Describer({ clock: systemClock });
  return await describer.describe(source.module, raw, scope);
}

/** A worker with a started instance, and what it said. */
interface Started extends AsyncDisposable {
  readonly host: PluginHost;
  readonly events: readonly WorkerEvent[];
}

async function start(kind: "check" | "discovery", subject: Subject, raw: unknown, scope: Scope): Promise<Started> {
  const described = await describe(subject.source, raw, scope);
  assert.ok(described.ok, JSON.stringify(described));
  const events: WorkerEvent[] = [];
  const host = new PluginHost({
    name: scope.instance,
    module: subject.source.module,
    permissions: toDenoPermissions(described.permissions),
    clock: systemClock,
    onEvent: (event) => events.push(event),
  });
  await using stack = new AsyncDisposableStack();
  stack.use(host);
  await host.loaded();
  await host.call({ type: "start", instance: scope.instance, config: described.config, scope }, WAIT);
  assert.ok(decide(described.permissions, { kind, source: subject.source, scope }).ok);
  const owned = stack.move();
  return { host, events, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Registers the tests of a check. */
export function checkConforms(subject: CheckSubject): void {
  const { name, config, over = "tcp", endless } = subject;
  const title = `check/${name}`;
  const scopeOf = (target: string): Scope => ({ instance: `conformance/${name}`, target });

  pluginConforms("check", subject, scopeOf("127.0.0.1:1"), () => config);

  async function probe({ host }: Started, timeoutMs: number): Promise<ProbeOutcome> {
    const answer = await host.call({ type: "probe", instance: `conformance/${name}`, timeoutMs }, WAIT);
    assert.ok(answer.type === "outcome", JSON.stringify(answer));
    return answer.outcome;
  }

  Deno.test(`${title} passes on a healthy server with nothing but what it asked for, time and again`, async () => {
    await using server = await subject.healthy();
    await using started = await start("check", subject, config, scopeOf(server.target));
    for (let i = 0; i < 3; i++) {
      const outcome = await probe(started, 15_000);
      assert.equal(outcome.status, "pass", JSON.stringify(outcome));
    }
  });

  const target = over === "nothing" ? "nothing of the network" : "its target alone";
  Deno.test(`${title} asks for ${target}`, async () => {
    const described = await describe(subject.source, config, scopeOf("127.0.0.1:1"));
    assert.ok(described.ok);
    assert.deepEqual(described.permissions.net ?? [], over === "nothing" ? [] : ["127.0.0.1:1"]);
  });

  if (over === "udp") return stopsOnSilence();
  if (over === "nothing") return stopsWhenEndless();

  /** A socket that is bound and never answers: nobody but the probe knows whether it has been asked. */
  function stopsOnSilence(): void {
    Deno.test(`${title} stops at once when its deadline is over`, async () => {
      const silent = createSocket("udp4");
      await new Promise<void>((resolve) => silent.bind(0, "127.0.0.1", resolve));
      try {
        await using started = await start("check", subject, config, scopeOf(`127.0.0.1:${silent.address().port}`));
        let asked = 0;
        silent.on("message", () => asked++);
        const probing = probe(started, 1_000);
        await eventually("the server is asked", () => asked > 0);
        assert.deepEqual(await probing, { status: "fail", reason: "No answer within 1000 ms" });
        const again = probe(started, 15_000).catch(() => {});
        await started.host.stop({ graceMs: STOPPED_WITHIN_MS });
        await again;
      } finally {
        await new Promise<void>((resolve) => silent.close(() => resolve()));
      }
    });
  }

  function stopsWhenEndless(): void {
    if (endless === undefined) return;
    Deno.test(`${title} stops at once when its deadline is over, and lets its worker stop`, async () => {
      await using started = await start("check", subject, endless, scopeOf("127.0.0.1:1"));
      assert.deepEqual(await probe(started, 300), { status: "fail", reason: "No answer within 300 ms" });
      const again = probe(started, 15_000).catch(() => {});
      const began = performance.now();
      await started.host.stop({ graceMs: 2 * STOPPED_WITHIN_MS });
      assert.ok(performance.now() - began < STOPPED_WITHIN_MS, "it stopped by itself, not at the end of the grace");
      await again;
    });
  }

  Deno.test(`${title} fails where nobody listens, and says where`, async () => {
    const target = `127.0.0.1:${freePort()}`;
    await using started = await start("check", subject, config, scopeOf(target));
    const outcome = await probe(started, 15_000);
    assert.ok(outcome.status === "fail");
    assert.ok(outcome.reason.includes(target), outcome.reason);
  });

  Deno.test(`${title} fails on a server that talks nonsense or hangs up, and leaves nothing open`, async () => {
    const nonsense = ["", "\n", "\r\n\r\n", "\u0000\u0001\u0002\n", "?".repeat(100_000), "x\n".repeat(1_000)];
    let next = 0;
    await using server = new ScriptedServer((connection) => sends(nonsense[next++] ?? "")(connection));
    await using started = await start("check", subject, config, scopeOf(server.target));
    for (const _ of nonsense) assert.equal((await probe(started, 15_000)).status, "fail");
    assert.equal(server.accepted, nonsense.length);
    await eventually("all is closed", () => server.open === 0);
  });

  Deno.test(`${title} stops at once when its deadline is over, and leaves nothing open`, async () => {
    await using server = new ScriptedServer(isSilent);
    await using started = await start("check", subject, config, scopeOf(server.target));
    const probing = probe(started, 300);
    await eventually("the probe is connected", () => server.accepted === 1);
    assert.deepEqual(await probing, { status: "fail", reason: "No answer within 300 ms" });
    await eventually("all is closed", () => server.open === 0, { deadlineMs: STOPPED_WITHIN_MS });
    assert.equal((await started.host.call({ type: "ping" }, WAIT)).type, "pong");
  });

  Deno.test(`${title} lets its worker stop in the middle of a probe`, async () => {
    await using server = new ScriptedServer(isSilent);
    await using started = await start("check", subject, config, scopeOf(server.target));
    const probing = probe(started, 15_000).catch(() => {});
    await eventually("the probe is connected", () => server.open === 1);
    await started.host.stop({ graceMs: STOPPED_WITHIN_MS });
    await probing;
    await eventually("all is closed", () => server.open === 0, { deadlineMs: STOPPED_WITHIN_MS });
  });
}

const CLUSTER = "conformance";

function node(port: number): Node {
  return {
    host: "one.example",
    ip: "192.0.2.1",
    port,
    peer: { name: "one.example", ip: "192.0.2.1", port: 1024 },
    metadata: { role: "über", n: 1 },
  };
}

/** The members of the last snapshot, by port; `undefined` before the first. */
function lastPorts(events: readonly WorkerEvent[]): readonly number[] | undefined {
  const last = events.findLast((event) => event.type === "snapshot");
  return last?.type === "snapshot" ? last.snapshot.nodes.map(({ port }) => port).toSorted((a, b) => a - b) : undefined;
}

/** Registers the tests of a discovery method. */
export function discoveryConforms(subject: DiscoverySubject): void {
  const { name, elsewhere } = subject;
  const title = `discovery/${name}`;
  const scope: Scope = { instance: name };
  let sample: unknown;
  Deno.test.beforeAll(async () => {
    await using registry = await subject.registry();
    sample = registry.config;
  });

  pluginConforms("discovery", subject, scope, () => sample);

  /** Takes each snapshot as it comes, as the host does. */
  async function untilPorts({ host, events }: Started, wanted: readonly number[] | undefined): Promise<void> {
    await eventually(`the members are ${JSON.stringify(wanted)}`, () => {
      host.post({ type: "taken", cluster: CLUSTER });
      return JSON.stringify(lastPorts(events)) === JSON.stringify(wanted);
    });
  }

  const change = (started: Started, type: "register" | "deregister" | "release", port: number) =>
    started.host.call({ type, cluster: CLUSTER, node: node(port), timeoutMs: 15_000 }, WAIT);

  Deno.test(`${title} yields the whole membership first, and again after each change`, async () => {
    await using registry = await subject.registry();
    await using reporter = await start("discovery", subject, registry.config, scope);
    await change(reporter, "register", 8001);
    await change(reporter, "register", 8002);

    await using writer = await start("discovery", subject, registry.config, scope);
    writer.host.post({ type: "watch", cluster: CLUSTER });
    await eventually("a snapshot comes", () => lastPorts(writer.events) !== undefined);
    const [first] = writer.events.filter((event) => event.type === "snapshot");
    assert.ok(first?.type === "snapshot");
    assert.equal(first.snapshot.cluster, CLUSTER);
    assert.equal(first.snapshot.nodes.length, 2, "the first is whole");
    assert.deepEqual(first.snapshot.nodes.toSorted((a, b) => a.port - b.port), [node(8001), node(8002)]);

    await change(reporter, "register", 8003);
    await untilPorts(writer, [8001, 8002, 8003]);
    await change(reporter, "deregister", 8002);
    await untilPorts(writer, [8001, 8003]);
  });

  Deno.test(`${title}: to register twice is to register once, and to deregister what is not there is fine`, async () => {
    await using registry = await subject.registry();
    await using started = await start("discovery", subject, registry.config, scope);
    await change(started, "deregister", 8001);
    await change(started, "register", 8001);
    await change(started, "register", 8001);
    started.host.post({ type: "watch", cluster: CLUSTER });
    await untilPorts(started, [8001]);
    await change(started, "deregister", 8001);
    await change(started, "deregister", 8001);
    await untilPorts(started, []);
  });

  Deno.test(`${title}: release takes back what this session made known, and what is not there is fine`, async () => {
    await using registry = await subject.registry();
    await using started = await start("discovery", subject, registry.config, scope);
    await change(started, "release", 8001);
    await change(started, "register", 8001);
    started.host.post({ type: "watch", cluster: CLUSTER });
    await untilPorts(started, [8001]);
    await change(started, "release", 8001);
    await change(started, "release", 8001);
    await untilPorts(started, []);
  });

  Deno.test(`${title}: release leaves a node alone that another session has`, async () => {
    await using registry = await subject.registry();
    await using old = await start("discovery", subject, registry.config, scope);
    await using next = await start("discovery", subject, registry.config, scope);
    for (const port of [8001, 8002]) await change(old, "register", port);
    for (const port of [8001, 8003]) await change(next, "register", port);
    for (const port of [8001, 8002, 8003]) await change(old, "release", port);
    await using writer = await start("discovery", subject, registry.config, scope);
    writer.host.post({ type: "watch", cluster: CLUSTER });
    await untilPorts(writer, [8001, 8003]);
    await old.host.stop({ graceMs: STOPPED_WITHIN_MS });
    await change(next, "register", 8004);
    await untilPorts(writer, [8001, 8003, 8004]);
    await change(writer, "deregister", 8001);
    await untilPorts(writer, [8003, 8004]);
  });

  Deno.test(`${title}: what a session registered vanishes when it is closed`, async () => {
    await using registry = await subject.registry();
    await using writer = await start("discovery", subject, registry.config, scope);
    writer.host.post({ type: "watch", cluster: CLUSTER });
    const reporter = await start("discovery", subject, registry.config, scope);
    await change(reporter, "register", 8001);
    await untilPorts(writer, [8001]);
    await reporter.host.stop({ graceMs: STOPPED_WITHIN_MS });
    await untilPorts(writer, []);
  });

  Deno.test(`${title} stops in the middle of a watch`, async () => {
    await using registry = await subject.registry();
    await using started = await start("discovery", subject, registry.config, scope);
    started.host.post({ type: "watch", cluster: CLUSTER });
    const began = performance.now();
    await started.host.stop({ graceMs: 2 * STOPPED_WITHIN_MS });
    assert.ok(performance.now() - began < STOPPED_WITHIN_MS, "it stopped by itself, not at the end of the grace");
  });

  if (elsewhere === undefined) return;

  Deno.test(`${title} says nothing of members when the registry is out of reach, and stops all the same`, async () => {
    await using server = new ScriptedServer(sends("this is no registry\n"));
    await using started = await start("discovery", subject, elsewhere(server.target), scope);
    started.host.post({ type: "watch", cluster: CLUSTER });
    await eventually("it has tried to connect, and again", () => server.accepted >= 2);
    assert.equal(lastPorts(started.events), undefined);
    const began = performance.now();
    await started.host.stop({ graceMs: 2 * STOPPED_WITHIN_MS });
    assert.ok(performance.now() - began < STOPPED_WITHIN_MS, "it stopped by itself, not at the end of the grace");
  });
}
