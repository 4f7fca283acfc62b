/**
 * Run by `addresses_test.ts` in a network namespace with an `/etc/hosts` of its
 * own, where names have several addresses. The workers are permitted `name:port`
 * and nothing else.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../../src/kernel/clock.ts";
import { toDenoPermissions } from "../../../src/supervisor/permissions.ts";
import { HttpClient } from "../../../src/http/client.ts";
import { PluginHost, type WorkerEvent } from "../../../src/supervisor/plugin_host.ts";
import { type Certificates, makeCertificates } from "../../support/certificates.ts";
import { testNode, up } from "../../support/discovery.ts";
import { Etcd } from "../../support/etcd.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/free_port.ts";
import { GrpcServer } from "../../support/grpc_server.ts";
import { Serf } from "../../support/serf.ts";
import { PostgresServer } from "../../support/postgres.ts";
import { startInWorker } from "../../support/probe_in_worker.ts";
import { RedisServer } from "../../support/redis.ts";
import { TcpProxy } from "../../support/tcp_proxy.ts";
import { TempDir } from "../../support/temp_dir.ts";
import { ZooKeeper } from "../../support/zookeeper.ts";
import { StoreProcess } from "../../store/process.ts";
import { HOLE, HOLE_PORT, LIVE } from "./names.ts";

const NAMES = ["first", "second"] as const;

let dir: TempDir;
let pem: Certificates;
Deno.test.beforeAll(async () => {
  dir = new TempDir("lighthouse-addresses-");
  pem = await makeCertificates(dir);
});
Deno.test.afterAll(() => dir[Symbol.asyncDispose]());

/** A worker that follows a registry, with everything it reports. */
type RegistryWorker = PluginHost & { readonly events: readonly WorkerEvent[]; connections(): readonly string[] };

/** Starts a discovery plugin that is permitted one `name:port`. */
async function follow(
  name: "etcd" | "lighthouse" | "serf" | "zookeeper",
  config: unknown,
  granted: string,
): Promise<RegistryWorker> {
  const events: WorkerEvent[] = [];
  const host = new PluginHost({
    name,
    module: `builtin:discovery/${name}`,
    permissions: toDenoPermissions({ net: [granted] }),
    clock: systemClock,
    onEvent: (event) => events.push(event),
  });
  await host.loaded();
  await host.call({ type: "start", instance: name, config, scope: { instance: name } }, { deadlineMs: 10_000 });
  host.post({ type: "watch", cluster: "web" });
  const connections = () => events.flatMap((event) => event.type === "connection" ? [`${event.state}`] : []);
  return Object.assign(host, { events, connections });
}

function zookeeperAt(address: string, sessionTimeoutMs: number) {
  return follow("zookeeper", { hosts: [address], path: "/services", sessionTimeoutMs, acl: "open" }, address);
}

/** Serves a target for each check at 127.0.0.1; returns their ports with the config of the check. */
async function serveAll(stack: AsyncDisposableStack) {
  const tls = { key: pem.key, certificate: pem.good };
  const key = await Deno.readTextFile(pem.key);
  const cert = await Deno.readTextFile(pem.good);
  const web = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response());
  const secure = Deno.serve({ port: 0, hostname: "127.0.0.1", key, cert, onListen() {} }, () => new Response());
  stack.defer(() => web.shutdown());
  stack.defer(() => secure.shutdown());
  const redis = stack.use(
    await RedisServer.start([`tls-cert-file ${pem.good}`, `tls-key-file ${pem.key}`, "tls-auth-clients no"], {
      tls: true,
    }),
  );
  const [grpc, grpcs] = [stack.use(await GrpcServer.start()), stack.use(await GrpcServer.start({ tls }))];
  const postgres = stack.use(await PostgresServer.start({ tls }));
  const portOf = (target: string) => Number(target.slice(target.lastIndexOf(":") + 1));
  const trust = { ca: pem.ca, server_name: "localhost" };
  return [
    { check: "tcp", config: {}, port: web.addr.port },
    { check: "http", config: { uri: "/" }, port: web.addr.port },
    { check: "http", config: { uri: "/", https: true, ...trust }, port: secure.addr.port },
    { check: "redis", config: { tls: true, ...trust }, port: redis.port },
    { check: "grpc", config: {}, port: portOf(grpc.target) },
    { check: "grpc", config: { tls: true, ...trust }, port: portOf(grpcs.target) },
    {
      check: "postgres",
      config: { user: "health", password: "s3cret", database: "postgres", tls: true, ...trust },
      port: portOf(postgres.target),
    },
  ];
}

Deno.test("each check passes though the first address of a name refuses connections", async () => {
  await using stack = new AsyncDisposableStack();
  for (const { check, config, port } of await serveAll(stack)) {
    for (const name of NAMES) {
      // At the port of the server itself, its address answers; at any other, only the proxy does.
      await using proxy = name === "second"
        ? undefined
        : TcpProxy.start(port, { at: { hostname: LIVE[name], port: 0 } });
      const target = `${name}.test:${proxy?.port ?? port}`;
      await using worker = await startInWorker(check, config, target);
      const outcome = await worker.probe();
      assert.equal(
        outcome.status,
        "pass",
        `${check} ${JSON.stringify(config)} at ${target}: ${JSON.stringify(outcome)}`,
      );
    }
  }
});

Deno.test("each check fails at once when all addresses of a name refuse connections", async () => {
  const trust = { ca: pem.ca, server_name: "localhost" };
  const checks = [
    { check: "tcp", config: {} },
    { check: "http", config: { uri: "/" } },
    { check: "http", config: { uri: "/", https: true, ...trust } },
    { check: "redis", config: { tls: true, ...trust } },
    { check: "grpc", config: {} },
    { check: "grpc", config: { tls: true, ...trust } },
    { check: "postgres", config: { user: "health", tls: true, ...trust } },
  ];
  for (const { check, config } of checks) {
    for (const name of NAMES) {
      const target = `${name}.test:${freePort()}`;
      await using worker = await startInWorker(check, config, target);
      assert.deepEqual(await worker.probe(), { status: "fail", reason: `Connection refused at ${target}` });
    }
  }
});

Deno.test("each check gets past an address that drops packets", async () => {
  await using stack = new AsyncDisposableStack();
  for (const { check, config, port } of await serveAll(stack)) {
    await using _proxy = TcpProxy.start(port, { at: { hostname: LIVE.first, port: HOLE_PORT } });
    await using worker = await startInWorker(check, config, `hole.test:${HOLE_PORT}`);
    assert.equal((await worker.probe()).status, "pass", `${check} ${JSON.stringify(config)}`);
  }
});

Deno.test.each([
  { what: "refuses connections", name: "first.test", at: LIVE.first, port: 0 },
  { what: "refuses connections, in the other order", name: "second.test", at: LIVE.second, port: 0 },
  { what: "drops packets", name: "hole.test", at: LIVE.first, port: HOLE_PORT },
])("ZooKeeper is reached by a name whose first address $what", async ({ name, at, port }) => {
  await using zk = await ZooKeeper.start();
  await using proxy = TcpProxy.start(zk.port, { at: { hostname: at, port } });
  await using worker = await zookeeperAt(`${name}:${proxy.port}`, 10_000);
  await eventually("ZooKeeper is connected", () => worker.connections().at(-1) === "connected");
  const registration = up(testNode(1));
  await worker.call({ type: "register", cluster: "web", registration, timeoutMs: 10_000 }, { deadlineMs: 10_000 });
});

Deno.test("a ZooKeeper session survives the loss of its address while two others answer", async () => {
  await using zk = await ZooKeeper.start();
  const port = freePort();
  await using stack = new AsyncDisposableStack();
  const proxies = ["127.0.0.21", "127.0.0.22", "127.0.0.23"].map((hostname) =>
    stack.use(TcpProxy.start(zk.port, { at: { hostname, port } }))
  );
  await using worker = await zookeeperAt(`three.test:${port}`, 5_000);
  const registration = up(testNode(1));
  await worker.call({ type: "register", cluster: "web", registration, timeoutMs: 10_000 }, { deadlineMs: 10_000 });
  const nodes = () => {
    // The first answer may be that the cluster does not exist yet.
    worker.post({ type: "taken", cluster: "web" });
    return worker.events.findLast((event) => event.type === "snapshot")?.snapshot.nodes.length;
  };
  await eventually("the node is seen", () => nodes() === 1);
  const used = proxies.find(({ connections }) => connections > 0);
  assert.ok(used !== undefined);
  await used[Symbol.asyncDispose]();
  await eventually("ZooKeeper is connected again", () => worker.connections().length >= 3);
  assert.deepEqual(worker.connections(), ["connected", "disconnected", "connected"]);
  const sessions = worker.events.flatMap((event) =>
    event.type === "connection" ? event.detail.match(/session 0x\w+/) ?? [] : []
  );
  assert.equal(sessions.length, 2);
  assert.equal(sessions[0], sessions[1], "the session is the same, and the node with it");
});

const ADDRESSES = [
  { what: "refuses connections", name: "first.test", at: LIVE.first, port: 0 },
  { what: "refuses connections, in the other order", name: "second.test", at: LIVE.second, port: 0 },
  { what: "drops packets", name: "hole.test", at: LIVE.first, port: HOLE_PORT },
] as const;

Deno.test.each(ADDRESSES)(
  "etcd and a serf agent are reached by a name whose first address $what",
  async ({ name, at, port }) => {
    await using etcd = await Etcd.start();
    await using serf = await Serf.start();
    for (
      const [plugin, server, config] of [
        [
          "etcd",
          etcd.port,
          (address: string) => ({ endpoints: [address], prefix: "/services", sessionTimeoutMs: 10_000 }),
        ],
        ["serf", serf.rpcPort, (address: string) => ({ address, refreshMs: 1_000, joinMs: 0 })],
      ] as const
    ) {
      await using proxy = TcpProxy.start(server, { at: { hostname: at, port } });
      const address = `${name}:${proxy.port}`;
      await using worker = await follow(plugin, config(address), address);
      await eventually(`${plugin} is connected`, () => worker.connections().at(-1) === "connected");
      const registration = up(testNode(1));
      await worker.call({ type: "register", cluster: "web", registration, timeoutMs: 10_000 }, { deadlineMs: 10_000 });
      await eventually("the node is seen", () => {
        const last = worker.events.findLast((event) => event.type === "snapshot");
        worker.post({ type: "taken", cluster: "web" });
        return last?.snapshot.nodes.length === 1;
      });
    }
  },
);

Deno.test("a store is reached by a name whose first address refuses connections", async () => {
  const port = freePort();
  const token = "0123456789abcdef";
  const tokens = await dir.write("tokens.yaml", `- {name: web, token: ${token}, read: [/], write: [/]}\n`);
  const flags = ["--data.d", dir.file("data.d"), "--bind", `127.0.0.1:${port}`, "--bootstrap", "--tokens", tokens];
  await using _store = new StoreProcess(flags);
  await using _proxy = TcpProxy.start(port, { at: { hostname: LIVE.first, port: port + 1 } });
  for (const address of [`first.test:${port + 1}`, `second.test:${port}`]) {
    const config = { hosts: [address], path: ["services"], ttlMs: 3_000, token };
    await using worker = await follow("lighthouse", config, address);
    await eventually(`${address} answers`, () => worker.connections().at(-1) === "connected");
  }
});

Deno.test("a request to an address that drops packets ends at its deadline and throws nothing later", async () => {
  using client = new HttpClient();
  const request = { method: "GET", path: "/", bytesMax: 100, signal: AbortSignal.timeout(100) } as const;
  await assert.rejects(client.ask({ host: HOLE, port: HOLE_PORT }, request), { name: "TimeoutError" });
});

Deno.test("the connections of a third-party plugin try all addresses, too", async () => {
  const answer = (request: Request) => {
    return request.headers.has("upgrade") ? Deno.upgradeWebSocket(request).response : new Response("here");
  };
  for (const name of NAMES) {
    await using server = Deno.serve({ hostname: LIVE[name], port: 0, onListen() {} }, answer);
    const address = `${name}.test:${server.addr.port}`;
    const code = `
      const [hostname, port] = "${address}".split(":");
      try {
        await (await fetch("http://${address}/")).text();
        (await Deno.connect({ hostname, port: Number(port) })).close();
        const socket = new WebSocket("ws://${address}/");
        await new Promise((resolve, reject) => [socket.onopen, socket.onerror] = [resolve, reject]);
        socket.close();
        postMessage("all connected");
      } catch (error) {
        postMessage(String(error.message));
      }`;
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(code)}`, {
      type: "module",
      deno: { permissions: { net: [address] } },
    });
    const said = await new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    worker.terminate();
    assert.equal(said, "all connected", address);
  }
});
