/**
 * `traffic.health` with real processes: this host checks the nodes, and a
 * HAProxy without checks sends requests to those that pass.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { NamedServer } from "../support/haproxy.ts";
import { countAnswers, get, HttpLoad } from "../support/http_load.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";
import { NginxBox } from "../support/nginx.ts";
import { StatusClient } from "../support/status_client.ts";

/** A server whose checks fail on demand, while it still answers requests with its name. */
class Patient extends NamedServer {
  isHealthy = true;
  /** The number of checks answered. */
  probes = 0;

  constructor(name: string) {
    super(name, (request) => {
      if (new URL(request.url).pathname !== "/health") return true;
      this.probes++;
      return this.isHealthy;
    });
  }
}

const HEALTH = { interval: 0.3, http: { uri: "/health", rise: 2, fall: 2, timeout: 10 } };

/** A host whose HAProxy has no checks, and whose writer checks the nodes of the cluster `web`. */
class Stage implements AsyncDisposable {
  readonly port = freePort();
  readonly host = new TestHost();
  readonly status = new StatusClient();
  readonly patients: readonly Patient[];
  writer: Lighthouse | undefined;

  constructor(...names: readonly string[]) {
    this.patients = names.map((name) => new Patient(name));
  }

  get admin(): string {
    return `unix:${this.host.dir.file("admin.sock")}`;
  }

  async configure(): Promise<void> {
    await this.host.configure();
    await this.host.write("discovery/static", {});
  }

  async serve(
    traffic: Record<string, unknown>,
    nodes: readonly Record<string, unknown>[] = this.patients.map(nodeOf),
    haproxy: Record<string, unknown> = {},
  ): Promise<void> {
    await this.host.write("clusters/web", {
      discovery: "static",
      static: { nodes },
      traffic,
      haproxy: { port: this.port, backend: ["mode http", "timeout connect 5s", "timeout server 60s"], ...haproxy },
    });
  }

  start(): Lighthouse {
    return this.writer = Lighthouse.start("writer", this.host.configDir, [
      "--admin",
      this.admin,
      ...this.status.flags,
    ]);
  }

  /** HAProxy's weights, by name. */
  async weights(): Promise<Record<string, number>> {
    const { running } = await this.host.haproxy.observe();
    const servers = [...running?.backends.get("web")?.values() ?? []];
    return Object.fromEntries(servers.map(({ name, weight }) => [name.replace(/:.*/, ""), weight]));
  }

  async untilWeights(wanted: Readonly<Record<string, number>>): Promise<void> {
    let seen: unknown;
    await eventually(`the weights are ${JSON.stringify(wanted)}`, async () => {
      seen = await this.weights().catch(String);
      assert.deepEqual(seen, wanted);
      return true;
    }).catch(() => assert.deepEqual(seen, wanted, this.writer?.log));
  }

  /** The output of explain for the cluster. */
  async explain(): Promise<string> {
    const { code, stdout, stderr } = await runCli(["explain", this.host.configDir, "web", "--admin", this.admin]);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer?.stop();
    await this.host[Symbol.asyncDispose]();
    for (const patient of this.patients) await patient[Symbol.asyncDispose]();
  }
}

function nodeOf({ name, port }: NamedServer): Record<string, unknown> {
  return { host: name, address: "127.0.0.1", port };
}

Deno.test("failing nodes get no requests, all keep their shares if all fail, and no request fails", async () => {
  await using stage = new Stage("a.test", "b.test", "c.test");
  const [a, b, c] = stage.patients;
  assert(a !== undefined && b !== undefined && c !== undefined);
  await stage.configure();
  await stage.serve({ health: HEALTH });
  const writer = stage.start();
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 256 });
  const load = new HttpLoad(stage.port, 2);
  await eventually("all are checked", () => stage.patients.every(({ probes }) => probes > 2));
  b.isHealthy = false;
  await stage.untilWeights({ "a.test": 256, "b.test": 0, "c.test": 256 });
  await writer.event("node.failing", { cluster: "web", nodes: "1", names: `b.test:${b.port}` });
  assert.match(
    await stage.explain(),
    /^ {2}b\.test:\d+ {2}failing its check {2}share 0 % {2}weight 0 {2}100 \(default\) × health 0 \(http: Got status 503, expected 200-299\) = 0 /m,
  );
  const counts = await countAnswers(stage.port, 2_000);
  assert.equal(counts["b.test"], undefined);
  assert(Math.abs((counts["a.test"] ?? 0) - 1_000) < 100, JSON.stringify(counts));
  // A HAProxy that somebody else starts has the full weight: this corrects itself.
  assert.match(await Deno.readTextFile(stage.host.haproxy.configFile), /server b\.test:\d+ (?!.*weight 0)/);
  [a.isHealthy, c.isHealthy] = [false, false];
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 256 });
  await eventually(
    "explain says so",
    async () =>
      /^ {2}a\.test:\d+ {2}in rotation .* × health 1 \(ignored because too few nodes pass: http: Got status 503, expected 200-299\) /m
        .test(await stage.explain()),
  );
  a.isHealthy = true;
  await stage.untilWeights({ "a.test": 256, "b.test": 0, "c.test": 0 });
  [b.isHealthy, c.isHealthy] = [true, true];
  await stage.untilWeights({ "a.test": 256, "b.test": 256, "c.test": 256 });
  await writer.event("node.passing", { cluster: "web" });
  await load.more(100);
  assert.deepEqual((await load.stop()).failed, []);
  assert.equal(writer.count("balancer.reloaded"), 0);
});

Deno.test("a node that cannot be checked keeps its share, and a node whose process has ended gets no requests", async () => {
  await using stage = new Stage("a.test", "b.test", "c.test");
  const [a, b, c] = stage.patients;
  assert(a !== undefined && b !== undefined && c !== undefined);
  await stage.configure();
  const named = { ports: { admin: freePort() } };
  const health = { interval: 0.3, tcp: { rise: 1, fall: 2, port_name: "admin", timeout: 10 } };
  // One is checked at a port without a listener, one names none.
  await stage.serve({ health }, [
    { ...nodeOf(a), metadata: { ports: { admin: a.port } } },
    { ...nodeOf(b), metadata: named },
    nodeOf(c),
  ]);
  const writer = stage.start();
  await stage.untilWeights({ "a.test": 256, "b.test": 0, "c.test": 256 });
  await writer.event("node.unknown", { cluster: "web", names: `c.test:${c.port}` });
  assert.match(
    await stage.explain(),
    /^ {2}c\.test:\d+ {2}in rotation {2}share 50 % .* × health 1 \(unknown: the node has no port admin in metadata\.ports\) /m,
  );
});

Deno.test("50 nodes share a worker, and verdicts survive the replacement of workers as nodes come and go", async () => {
  await using stage = new Stage("a.test", "sick.test");
  const [a, sick] = stage.patients;
  assert(a !== undefined && sick !== undefined);
  await stage.configure();
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...nodeOf(a), host: `n${String(i).padStart(3, "0")}.test` }));
  sick.isHealthy = false;
  await stage.serve({ health: { ...HEALTH, interval: 1 } }, [...many(101), nodeOf(sick)]);
  const writer = stage.start();
  const weight = async () => (await stage.weights())["sick.test"];
  await eventually("the sick one is out", async () => await weight() === 0);
  const workers = async () =>
    Object.entries((await stage.status.status()).workers).filter(([key, { serving }]) =>
      key.startsWith("health web/http ") && serving
    ).length;
  await eventually("three workers serve", async () => await workers() === 3);
  // While workers are replaced the failing node stays out: it is polled all the time.
  let [looks, isOver] = [0, false];
  const watching = (async () => {
    for (; !isOver; looks++) assert([0, undefined].includes(await weight()), `it gets requests\n${writer.log}`);
  })();
  watching.catch(() => {});
  for (const count of [100, 90, 130, 20]) {
    await stage.serve({ health: { ...HEALTH, interval: 1 } }, [...many(count), nodeOf(sick)]);
    await eventually(`${count} nodes`, async () => Object.keys(await stage.weights()).length === count + 1);
  }
  await eventually("two workers are enough", async () => await workers() <= 2);
  isOver = true;
  await watching;
  assert(looks > 10, `${looks}`);
  assert.equal(writer.count("worker.ended"), 0);
  assert.equal(writer.count("node.passing"), 0);
});

Deno.test("nginx, which has no health checks, sends requests only to passing nodes, and the others are marked down in its file", async () => {
  await setUp(["nginx"]);
  await using box = new NginxBox();
  await using stage = new Stage("a.test", "b.test");
  const [a, b] = stage.patients;
  assert(a !== undefined && b !== undefined);
  await stage.host.write("balancers/nginx", box.file);
  await stage.host.write("discovery/static", {});
  await stage.host.write("clusters/web", {
    discovery: "static",
    static: { nodes: stage.patients.map(nodeOf) },
    traffic: { health: HEALTH },
    nginx: { listen: `127.0.0.1:${stage.port}` },
  });
  stage.start();
  await eventually("it serves", async () => await get(stage.port).catch(() => "") !== "");
  const load = new HttpLoad(stage.port, 2);
  const whoAnswers = async () => Object.keys(await countAnswers(stage.port, 200).catch(() => ({}))).toSorted().join();
  await eventually("both answer", async () => await whoAnswers() === "a.test,b.test");
  b.isHealthy = false;
  await eventually("one answers", async () => await whoAnswers() === "a.test");
  assert.match(await box.text(), new RegExp(`server 127\\.0\\.0\\.1:${b.port}.* down`));
  a.isHealthy = false;
  await eventually("all fail, and both answer", async () => await whoAnswers() === "a.test,b.test");
  a.isHealthy = true;
  await eventually("one answers again", async () => await whoAnswers() === "a.test");
  assert.deepEqual((await load.stop()).failed, []);
});
