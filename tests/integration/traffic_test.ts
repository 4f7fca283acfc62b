/**
 * `traffic:` with a real writer and a real HAProxy: the distribution of requests,
 * the effect of a restart of either, and that no request fails.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { kill, NamedServer } from "../support/haproxy.ts";
import { countAnswers, get, HttpLoad } from "../support/http_load.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

/** The number of requests from which shares are measured. */
const REQUESTS = 20_000;

/** A host whose cluster `web` has its nodes in its own file. */
class Stage implements AsyncDisposable {
  readonly port = freePort();
  readonly host = new TestHost();
  readonly servers: NamedServer[] = [];
  #haproxy: Record<string, unknown> = { port: this.port, server_options: "check inter 200ms fall 1 rise 1" };

  /** Starts servers of these names. */
  async begin(...names: readonly string[]): Promise<this> {
    this.servers.push(...names.map((name) => new NamedServer(name)));
    await this.host.configure();
    await this.host.write("discovery/static", {});
    await this.host.write("host", { zone: "here" });
    return this;
  }

  /** Writes the cluster's file with the fields of each node, by name. */
  async says(
    traffic: Record<string, unknown> | undefined,
    nodes: Readonly<Record<string, Record<string, unknown>>>,
    haproxy: Record<string, unknown> = {},
  ): Promise<void> {
    const all = Object.entries(nodes).map(([name, more]) => {
      const server = this.servers.find((each) => each.name === name);
      assert(server !== undefined);
      return { host: name, address: "127.0.0.1", port: server.port, ...more };
    });
    this.#haproxy = { ...this.#haproxy, ...haproxy };
    await this.host.write("clusters/web", {
      discovery: "static",
      ...traffic && { traffic },
      static: { nodes: all },
      haproxy: this.#haproxy,
    });
  }

  /** The weights of the servers to which HAProxy sends requests, by name. */
  async weights(): Promise<Record<string, number>> {
    const { running } = await this.host.haproxy.observe();
    const servers = [...running?.backends.get("web")?.values() ?? []];
    return Object.fromEntries(
      servers.filter(({ down, inMaintenance, draining }) => !down && !inMaintenance && !draining)
        .map(({ name, weight }) => [name.replace(/:.*/, ""), weight]),
    );
  }

  /** Waits until the servers have exactly these weights. */
  async untilWeights(wanted: Readonly<Record<string, number>>): Promise<void> {
    let seen: unknown;
    await eventually(`the weights are ${JSON.stringify(wanted)}`, async () => {
      seen = await this.weights().catch(String);
      assert.deepEqual(seen, wanted);
      return true;
    }).catch(() => assert.deepEqual(seen, wanted));
  }

  /** Sends many requests, and checks their distribution against the weights. */
  async measure(shares: Readonly<Record<string, number>>): Promise<void> {
    const counts = await countAnswers(this.port, REQUESTS);
    for (const [name, share] of Object.entries(shares)) {
      const part = (counts[name] ?? 0) / REQUESTS;
      assert(Math.abs(part - share) < 0.05, `${name} got ${part}, not ${share}: ${JSON.stringify(counts)}`);
      if (share === 0) assert.equal(counts[name], undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}

Deno.test("requests are shared by weights from metadata, a change applies at once, and 0 drains; no request fails", async () => {
  await using stage = await new Stage().begin("a.test", "b.test", "c.test");
  const weigh = (a: number, b: number, c: number) => ({
    "a.test": { metadata: { weight: a } },
    "b.test": { metadata: { weight: b } },
    "c.test": { metadata: { weight: c } },
  });
  const traffic = { weight: { from: "metadata.weight" } };
  await stage.says(traffic, weigh(100, 300, 0));
  await using _writer = Lighthouse.start("writer", stage.host.configDir);
  await stage.untilWeights({ "a.test": 85, "b.test": 256 });
  await stage.measure({ "a.test": 0.25, "b.test": 0.75, "c.test": 0 });
  const load = new HttpLoad(stage.port, 2);
  await stage.says(traffic, weigh(300, 100, 100));
  await stage.untilWeights({ "a.test": 256, "b.test": 85, "c.test": 85 });
  await load.more(100);
  assert.deepEqual((await load.stop()).failed, []);
  await stage.measure({ "a.test": 0.6, "b.test": 0.2, "c.test": 0.2 });
});

Deno.test("a new node ramps up without a reload or a failed request, and its ramp continues through a restart of the writer", async () => {
  await using stage = await new Stage().begin("a.test", "b.test", "c.test");
  const traffic = { slow_start: { delay: "1s", ramp: "30s", from: "10%" } };
  await stage.says(traffic, { "a.test": {}, "b.test": {} });
  const seen: number[] = [];
  {
    await using writer = Lighthouse.start("writer", stage.host.configDir);
    await stage.untilWeights({ "a.test": 256, "b.test": 256 });
    const pid = await stage.host.haproxy.pid();
    const load = new HttpLoad(stage.port, 2);
    await stage.says(traffic, { "a.test": {}, "b.test": {}, "c.test": {} });
    await eventually("it has a quarter of its share", async () => {
      const { "c.test": weight } = await stage.weights();
      if (weight !== undefined && weight !== seen.at(-1)) seen.push(weight);
      return (seen.at(-1) ?? 0) >= 64;
    });
    assert.deepEqual(seen, seen.toSorted((a, b) => a - b));
    assert((seen[0] ?? 256) <= 26, `${seen}`);
    assert.deepEqual((await load.stop()).failed, []);
    assert.equal(await stage.host.haproxy.pid(), pid, "no reload");
    const text = await Deno.readTextFile(stage.host.haproxy.configFile);
    assert.match(text, /server c\.test:\d+ .* weight 256 # lighthouse: share=256$/m);
    await writer.stop();
  }
  await using _again = Lighthouse.start("writer", stage.host.configDir);
  // The ramp neither starts over nor is complete.
  await eventually("the ramp continues", async () => {
    const { "c.test": weight } = await stage.weights();
    if (weight !== undefined && weight !== seen.at(-1)) seen.push(weight);
    return (seen.at(-1) ?? 0) === 256;
  }, { deadlineMs: 60_000 });
  assert.deepEqual(seen, seen.toSorted((a, b) => a - b));
  assert(seen.filter((weight) => weight > 64 && weight < 256).length > 5, `${seen}`);
});

Deno.test("a HAProxy started by hand sends a ramping node its full share until the writer's next poll, and a drained one nothing", async () => {
  await using stage = await new Stage().begin("a.test", "b.test", "c.test");
  const nodes = { "a.test": {}, "b.test": { metadata: { weight: 50 } }, "c.test": { metadata: { weight: 0 } } };
  const traffic = { weight: { from: "metadata.weight" } };
  await stage.says(traffic, nodes);
  {
    await using _writer = Lighthouse.start("writer", stage.host.configDir);
    await stage.untilWeights({ "a.test": 256, "b.test": 128 });
    await eventually(
      "the file says it",
      async () => / weight 128 # lighthouse: share=128/.test(await Deno.readTextFile(stage.host.haproxy.configFile)),
    );
  }
  const { haproxy } = stage.host;
  for (const pid of haproxy.processes()) kill(pid);
  await eventually("it is gone", () => haproxy.processes().length === 0);
  await haproxy.run("-D", "-f", haproxy.configFile, "-p", haproxy.pidFile, "-L", "test.host");
  await stage.measure({ "a.test": 2 / 3, "b.test": 1 / 3, "c.test": 0 });
});

/** A server whose checks fail on demand, while it still answers requests with its name. */
class Patient extends NamedServer {
  isHealthy = true;

  constructor(name: string) {
    super(name, (request) => new URL(request.url).pathname !== "/health" || this.isHealthy);
  }
}

// A late answer is no failure: all of a test run in one process.
const CHECKED = {
  backend: ["option httpchk GET /health", "timeout check 10s"],
  server_options: "check inter 100ms fall 1 rise 1",
};

Deno.test("requests stay in the zone, spill over in part when local nodes fail, and completely when all have; no request fails", async () => {
  await using stage = await new Stage().begin();
  const patients = ["a.test", "b.test", "c.test", "r.test", "s.test"].map((name) => new Patient(name));
  stage.servers.push(...patients);
  const zones = { "a.test": "here", "b.test": "here", "c.test": "here", "r.test": "there", "s.test": "there" };
  const nodes = Object.fromEntries(Object.entries(zones).map(([name, zone]) => [name, { zone }]));
  await stage.says({ zones: { spill_below: "100%" } }, nodes, CHECKED);
  await using writer = Lighthouse.start("writer", stage.host.configDir);
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 256, "r.test": 0, "s.test": 0 });
  const pid = await stage.host.haproxy.pid();
  const local = 1 / 3;
  await stage.measure({ "a.test": local, "b.test": local, "c.test": local, "r.test": 0, "s.test": 0 });
  const load = new HttpLoad(stage.port, 2);
  const [a, b, c] = patients as [Patient, Patient, Patient];
  a.isHealthy = false;
  // Two of three are ready: a third goes to the other zone.
  await stage.untilWeights({ "b.test": 256, "c.test": 256, "r.test": 128, "s.test": 128 });
  await stage.measure({ "a.test": 0, "b.test": 1 / 3, "c.test": 1 / 3, "r.test": 1 / 6, "s.test": 1 / 6 });
  [b.isHealthy, c.isHealthy] = [false, false];
  await stage.untilWeights({ "r.test": 256, "s.test": 256 });
  await stage.measure({ "a.test": 0, "b.test": 0, "c.test": 0, "r.test": 0.5, "s.test": 0.5 });
  [a.isHealthy, b.isHealthy, c.isHealthy] = [true, true, true];
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 256, "r.test": 0, "s.test": 0 });
  assert.deepEqual((await load.stop()).failed, []);
  assert.equal(await stage.host.haproxy.pid(), pid, "no reload");
  await writer.stop();
  // Without a writer HAProxy itself fails over, and back.
  const lonely = new HttpLoad(stage.port, 2);
  [a.isHealthy, b.isHealthy, c.isHealthy] = [false, false, false];
  await eventually("others answer", async () => /^[rs]\.test$/.test(await get(stage.port)));
  a.isHealthy = true;
  await eventually("a local one answers", async () => await get(stage.port) === "a.test");
  const { failed } = await lonely.stop();
  assert.deepEqual(failed, []);
  // A HAProxy started by hand sends nothing to the other zone.
  [b.isHealthy, c.isHealthy] = [true, true];
  const { haproxy } = stage.host;
  for (const pid of haproxy.processes()) kill(pid);
  await eventually("it is gone", () => haproxy.processes().length === 0);
  await haproxy.run("-D", "-f", haproxy.configFile, "-p", haproxy.pidFile, "-L", "test.host");
  await stage.measure({ "a.test": local, "b.test": local, "c.test": local, "r.test": 0, "s.test": 0 });
});

Deno.test("an overflow cluster without a section of its own serves the missing share, and all requests when nobody else does", async () => {
  await using stage = await new Stage().begin();
  const patients = ["a.test", "b.test", "o.test"].map((name) => new Patient(name));
  stage.servers.push(...patients);
  const [a, b, o] = patients as [Patient, Patient, Patient];
  const spare = { host: "o.test", address: "127.0.0.1", port: o.port };
  await stage.host.write("clusters/backup", { discovery: "static", static: { nodes: [spare] } });
  const traffic = { overflow: { clusters: ["backup"], below: "100%" } };
  await stage.says(traffic, { "a.test": {}, "b.test": {} }, CHECKED);
  const admin = `unix:${stage.host.dir.file("admin.sock")}`;
  await using writer = Lighthouse.start("writer", stage.host.configDir, ["--admin", admin]);
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "o.test": 0 });
  await stage.measure({ "a.test": 0.5, "b.test": 0.5, "o.test": 0 });
  const explain = () => explainShares(stage, admin);
  assert.deepEqual(await explain(), { "a.test": 0.5, "b.test": 0.5, "o.test": 0 });
  const load = new HttpLoad(stage.port, 2);
  b.isHealthy = false;
  await stage.untilWeights({ "a.test": 256, "o.test": 256 });
  await stage.measure(await explain());
  a.isHealthy = false;
  await stage.untilWeights({ "o.test": 256 });
  await stage.measure({ "o.test": 1 });
  // A removed node counts for an hour: its share is still missing.
  [a.isHealthy, b.isHealthy] = [true, true];
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "o.test": 0 });
  await stage.says(traffic, { "a.test": {} });
  await stage.untilWeights({ "a.test": 256, "o.test": 256 });
  await stage.says(traffic, {});
  await stage.untilWeights({ "o.test": 256 });
  await stage.measure({ "o.test": 1 });
  await stage.says(traffic, { "a.test": {}, "b.test": {} });
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "o.test": 0 });
  assert.deepEqual((await load.stop()).failed, []);
  await eventually(
    "the file has it wait",
    async () => / pool=overflow from=backup$/m.test(await Deno.readTextFile(stage.host.haproxy.configFile)),
  );
  await writer.stop();
  // With its own registry unreachable, a writer that starts does not take the spare node for a member.
  await stage.host.write("discovery/static", "{");
  await using again = Lighthouse.start("writer", stage.host.configDir);
  await again.event("cluster.last_known", { cluster: "web", nodes: 2 });
});

Deno.test("check rejects traffic where the balance has no weights, at the line of the balance", async () => {
  await using stage = await new Stage().begin("a.test");
  await stage.says({ slow_start: {} }, { "a.test": {} }, { backend: ["balance static-rr"] });
  const check = Lighthouse.startCommand(["check", stage.host.configDir]);
  assert.equal(await check.ended(), 1);
  assert.match(
    check.output,
    /clusters\/web\.yaml:1:\d+: error: Cannot apply traffic: "balance static-rr" cannot change weights at run time; use "balance roundrobin"/,
  );
});

/** The shares by name, according to explain. */
async function explainShares({ host }: Stage, admin: string): Promise<Record<string, number>> {
  const command = Lighthouse.startCommand(["explain", host.configDir, "web", "--json", "--admin", admin]);
  assert.equal(await command.ended(), 0, command.log);
  const { clusters: [{ nodes }] } = JSON.parse(command.output);
  return Object.fromEntries(
    nodes.map(({ name, share }: { name: string; share: number }) => [name.replace(/:.*/, ""), share]),
  );
}

Deno.test("in the middle of a ramp requests are shared as explain shows, also after a restart of HAProxy by hand", async () => {
  await using stage = await new Stage().begin("a.test", "b.test", "new.test");
  const traffic = { weight: { from: "metadata.weight" }, slow_start: { ramp: "1h", from: "50%" } };
  const old = { "a.test": {}, "b.test": { metadata: { weight: 200 } } };
  await stage.says(traffic, old);
  const admin = `unix:${stage.host.dir.file("admin.sock")}`;
  await using _writer = Lighthouse.start("writer", stage.host.configDir, ["--admin", admin]);
  await stage.untilWeights({ "a.test": 128, "b.test": 256 });
  await stage.says(traffic, { ...old, "new.test": { metadata: { weight: 200 } } });
  // The ramp adds one of 256 every 28 s: a busy machine may take that long.
  const untilRamping = () =>
    eventually("the new node is in its ramp", async () => {
      const { "new.test": weight = 0, ...others } = await stage.weights();
      assert.deepEqual(others, { "a.test": 128, "b.test": 256 });
      return weight >= 128 && weight < 140;
    });
  await untilRamping();
  // The writer reports a change once it has read it back; until then a new node is listed without a share.
  const shares = await eventually("explain shows the new node", async () => {
    const shown = await explainShares(stage, admin);
    return (shown["new.test"] ?? 0) > 0 ? shown : undefined;
  });
  await stage.measure(shares);
  await stage.measure({ "a.test": 0.25, "b.test": 0.5, "new.test": 0.25 });
  const { haproxy } = stage.host;
  await eventually(
    "the file has it",
    async () => (await Deno.readTextFile(haproxy.configFile)).includes("server new.test"),
  );
  const pid = await haproxy.pid();
  await haproxy.run("-D", "-f", haproxy.configFile, "-p", haproxy.pidFile, "-L", "test.host", "-sf", `${pid}`);
  await eventually("another process serves", async () => await haproxy.pid() !== pid);
  await untilRamping();
  await stage.measure({ "a.test": 0.25, "b.test": 0.5, "new.test": 0.25 });
});

Deno.test("weights, a source, a ramp, zones and overflow together share requests as explain shows", async () => {
  await using stage = await new Stage().begin("far.test", "o.test", "new.test");
  const [a, b] = [new Patient("a.test"), new Patient("b.test")] as const;
  stage.servers.push(a, b);
  const nodeOf = (name: string, more: Record<string, unknown>) => ({
    host: name,
    address: "127.0.0.1",
    port: stage.servers.find((each) => each.name === name)?.port,
    ...more,
  });
  await stage.host.write("clusters/backup", { discovery: "static", static: { nodes: [nodeOf("o.test", {})] } });
  const write = (...more: readonly Record<string, unknown>[]) =>
    stage.host.write("clusters/web", {
      discovery: [
        { static: { nodes: [nodeOf("a.test", { zone: "here", metadata: { weight: 300 } }), ...more] } },
        {
          static: { nodes: [nodeOf("b.test", { zone: "here" }), nodeOf("far.test", { zone: "there" })] },
          traffic: { weight: 50 },
        },
      ],
      traffic: {
        weight: { from: "metadata.weight" },
        slow_start: { ramp: "1h", from: "50%" },
        zones: { spill_below: "100%" },
        overflow: { clusters: ["backup"], below: "100%" },
      },
      haproxy: { port: stage.port, ...CHECKED, server_options: "check inter 200ms fall 1 rise 1" },
    });
  await write();
  const admin = `unix:${stage.host.dir.file("admin.sock")}`;
  await using _writer = Lighthouse.start("writer", stage.host.configDir, ["--admin", admin]);
  await eventually("all are there", async () => Object.keys(await stage.weights().catch(() => ({}))).length === 4);
  await write(nodeOf("new.test", { zone: "here", metadata: { weight: 300 } }));
  const isSpread = (shares: Record<string, number>) =>
    ["a.test", "new.test", "far.test", "o.test"].every((name) => (shares[name] ?? 0) > 0.04);
  b.isHealthy = false;
  let shares: Record<string, number> = {};
  await eventually("requests go to all others", async () => isSpread(shares = await explainShares(stage, admin)));
  // By then the first checks of a new node are done: the shares stay constant.
  await untilSteady(async () => JSON.stringify(shares = await explainShares(stage, admin)));
  assert.equal(shares["b.test"], 0);
  await stage.measure(shares);
});

Deno.test("nodes of a second registry do not ramp when it is added or after a restart, but new ones do", async () => {
  await using etcd = await Etcd.start();
  await using stage = await new Stage().begin("a.test", "b.test", "c.test");
  await stage.host.write("discovery/etcd", { endpoints: [etcd.address], session_timeout: 2 });
  const nodeOf = (name: string) => {
    const { port } = stage.servers.find((each) => each.name === name) ?? assert.fail(name);
    return { host: name, address: "127.0.0.1", port };
  };
  const register = async (name: string) => {
    const { host, address: ip, port } = nodeOf(name);
    await etcd.ctl("put", `/lighthouse/services/web/${host}`, JSON.stringify({ host, ip, port }));
  };
  await register("b.test");
  const write = (...registries: readonly string[]) =>
    stage.host.write("clusters/web", {
      discovery: [{ static: { nodes: [nodeOf("a.test")] } }, ...registries],
      traffic: { slow_start: { ramp: "1h", from: "10%" } },
      haproxy: { port: stage.port, ...CHECKED },
    });
  await write();
  {
    await using writer = Lighthouse.start("writer", stage.host.configDir);
    await stage.untilWeights({ "a.test": 256 });
    await write("etcd");
    await stage.untilWeights({ "a.test": 256, "b.test": 256 });
    await register("c.test");
    await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 26 });
    await writer.stop();
  }
  {
    // The known nodes are persisted.
    await using writer = Lighthouse.start("writer", stage.host.configDir);
    await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 26 });
    await writer.stop();
  }
  // A writer without that knowledge takes all for old, whichever registry answers last.
  await Deno.remove(`${stage.host.haproxy.configFile}.topology`);
  for (const pid of stage.host.haproxy.processes()) kill(pid);
  await eventually("HAProxy is gone", () => stage.host.haproxy.processes().length === 0);
  await Deno.remove(stage.host.haproxy.configFile);
  await etcd.end("SIGTERM");
  await using _late = Lighthouse.start("writer", stage.host.configDir);
  await stage.untilWeights({ "a.test": 256 });
  await etcd.start();
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 256 });
  await stage.measure({ "a.test": 1 / 3, "b.test": 1 / 3, "c.test": 1 / 3 });
});

Deno.test("a node that nerve registers as backup waits without a reload, serves when no other is ready, and no request fails", async () => {
  await using etcd = await Etcd.start();
  await using stage = await new Stage().begin("a.test", "b.test", "spare.test");
  await stage.host.write("discovery/etcd", { endpoints: [etcd.address], session_timeout: 2 });
  const key = (name: string) => `/nerve/web/${name}_1`;
  const announce = async (name: string, more: Record<string, unknown> = {}) => {
    const { port } = stage.servers.find((each) => each.name === name) ?? assert.fail(name);
    await etcd.ctl("put", key(name), JSON.stringify({ host: "127.0.0.1", port, name, ...more }));
  };
  await announce("a.test");
  await announce("b.test");
  await announce("spare.test", { haproxy_server_options: "backup" });
  await stage.host.write("clusters/web", {
    discovery: "etcd",
    max_shrink_percent: 100,
    empty_grace: 0.1,
    etcd: { path: "/nerve/web", format: "nerve" },
    haproxy: { port: stage.port },
  });
  await using _writer = Lighthouse.start("writer", stage.host.configDir);
  const answers = async () => Object.keys(await countAnswers(stage.port, 200)).toSorted().join();
  const untilAnswer = (wanted: string) => eventually(`${wanted} answer`, async () => await answers() === wanted);
  await untilAnswer("a.test,b.test");
  const pid = await stage.host.haproxy.pid();
  const load = new HttpLoad(stage.port, 2);
  await etcd.ctl("del", key("a.test"));
  await untilAnswer("b.test");
  await announce("b.test", { weight: 0 });
  await untilAnswer("spare.test");
  await announce("a.test");
  await untilAnswer("a.test");
  await announce("a.test", { haproxy_server_options: "backup" });
  await untilAnswer("a.test,spare.test");
  await announce("b.test");
  await untilAnswer("b.test");
  const { done, failed } = await load.stop();
  assert.deepEqual(failed, []);
  assert.ok(done > 0);
  assert.equal(await stage.host.haproxy.pid(), pid, "no reload");
  await eventually(
    "the file has them wait",
    async () => (await Deno.readTextFile(stage.host.haproxy.configFile)).match(/ pool=overflow$/gm)?.length === 2,
  );
});

/** Waits until a value has been the same a dozen times in a row. */
async function untilSteady(read: () => Promise<string>): Promise<void> {
  let [last, times] = ["", 0];
  await eventually("it is steady", async () => {
    const now = await read();
    times = now === last ? times + 1 : 0;
    last = now;
    return times >= 12;
  });
}

Deno.test("a HAProxy restarted by hand sends nothing to an idle overflow pool", async () => {
  await using stage = await new Stage().begin("a.test", "b.test", "o.test");
  const spare = { host: "o.test", address: "127.0.0.1", port: stage.servers[2]?.port };
  await stage.host.write("clusters/backup", { discovery: "static", static: { nodes: [spare] } });
  await stage.says({ overflow: { clusters: ["backup"], below: "100%" } }, { "a.test": {}, "b.test": {} });
  const { haproxy } = stage.host;
  {
    await using writer = Lighthouse.start("writer", stage.host.configDir);
    await stage.untilWeights({ "a.test": 256, "b.test": 256, "o.test": 0 });
    await eventually(
      "the file has it",
      async () => (await Deno.readTextFile(haproxy.configFile)).includes("server o.test"),
    );
    await writer.stop();
  }
  for (const pid of haproxy.processes()) kill(pid);
  await eventually("it is gone", () => haproxy.processes().length === 0);
  await haproxy.run("-D", "-f", haproxy.configFile, "-p", haproxy.pidFile, "-L", "test.host");
  await stage.measure({ "a.test": 0.5, "b.test": 0.5, "o.test": 0 });
});

Deno.test("explain shows the result of HAProxy's check, the number of sessions, and why a node is absent", async () => {
  await using host = new TestHost();
  await using good = new NamedServer("good.test");
  const [port, deadPort] = [freePort(), freePort()];
  await host.configure();
  const put = (name: string, node: Record<string, unknown>) =>
    host.dir.write(`registry/web/${name}.json`, JSON.stringify(node));
  await put("good", { host: "good.test", ip: "127.0.0.1", port: good.port });
  await put("dead", { host: "dead.test", ip: "127.0.0.1", port: deadPort });
  await put("odd", { host: "odd.test", ip: "127.0.0.1", port: 0 });
  await host.write("clusters/web", {
    discovery: "file",
    haproxy: {
      port,
      frontend: ["mode tcp"],
      backend: ["mode tcp"],
      server_options: "check inter 200ms fall 1 rise 1",
    },
  });
  const admin = `unix:${host.dir.file("admin.sock")}`;
  await using _writer = Lighthouse.start("writer", host.configDir, ["--admin", admin]);
  const explain = async (target: string, ...flags: readonly string[]) => {
    const { code, stdout, stderr } = await runCli(["explain", host.configDir, target, "--admin", admin, ...flags]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await eventually("it serves", async () => await get(port).catch(() => "") === "good.test");
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  let text = "";
  // While a check runs, HAProxy has no result of the previous one.
  await eventually(
    "the check has found it down",
    async () => /DOWN .*Connection refused/.test(text = await explain("web")),
  );
  assert.match(
    text,
    /^ {2}dead\.test:\d+ {2}DOWN in the balancer .* check L4CON in \d+ms: Connection refused {2}0 sessions/m,
  );
  assert.match(text, /^ {2}good\.test:\d+ {2}in rotation .* check L4OK in \d+ms.* {2}[1-9]\d* sessions? {2}from file/m);
  assert.match(
    await explain("web/odd.test"),
    /^ {2}odd\.test is not registered in file\n {4}registry file as read by test\.host {2}connected for [\d.]+s.* {2}2 nodes\n {6}invalid entry rejected [\d.]+s ago: .*port must be an integer from 1 to 65535/m,
  );
  const { clusters: [{ nodes }], host: reader } = JSON.parse(await explain("web", "--json"));
  assert.equal(reader, "test.host");
  assert.deepEqual(nodes.map(({ down }: { down: boolean }) => down), [true, false]);
  for (const pid of host.haproxy.processes()) Deno.kill(pid, "SIGSTOP");
  assert.match(await explain("web"), /^web {2}balancer haproxy \(not read: .+\)/m);
  for (const pid of host.haproxy.processes()) Deno.kill(pid, "SIGCONT");
});

Deno.test("in the middle of a ramp, plan shows the shares that the writer sets now, and no contrary step", async () => {
  await using stage = await new Stage().begin("a.test", "b.test");
  const traffic = { slow_start: { delay: "1h" }, warm_up: 0 };
  await stage.says(traffic, { "a.test": {} });
  await using writer = Lighthouse.start("writer", stage.host.configDir);
  await stage.untilWeights({ "a.test": 256 });
  await stage.says(traffic, { "a.test": {}, "b.test": {} });
  await stage.untilWeights({ "a.test": 256, "b.test": 0 });
  const plan = async () => (await runCli(["plan", stage.host.configDir])).stdout;
  let text = "";
  // A moment later the writer persists since when a node is new, and then writes the new server into HAProxy's file.
  await eventually("nothing is to be done", async () => (text = await plan()).includes("# steps: none"))
    .catch(() => assert.fail(text));
  assert.match(text, /^# current shares of web:\n# {3}a\.test:\d+ {2}in rotation {2}share 100 % {2}weight 256 {2}/m);
  assert.match(text, /^# {3}b\.test:\d+ {2}waiting \(slow start\) {2}share 0 % {2}weight 0 {2}.* × slow_start 0 = 0$/m);
  // The results of HAProxy's checks count as they do for the writer.
  await stage.servers[0]?.[Symbol.asyncDispose]();
  await stage.untilWeights({ "b.test": 256 });
  await eventually("the other gets all", async () => (text = await plan()).includes("DOWN in the balancer  share 0 %"))
    .catch(() => assert.fail(text));
  assert.match(text, /^# {3}b\.test:\d+ {2}in rotation {2}share 100 % {2}weight 256 {2}/m);
  await writer.stop();
});
