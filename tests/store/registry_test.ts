import assert from "node:assert/strict";
import lighthouse from "../../plugins/discovery/lighthouse/mod.ts";
import type { LighthouseConfig } from "../../plugins/discovery/lighthouse/config.ts";
import type { Instances } from "../../plugins/discovery/lighthouse/instances.ts";
import { OwnLease } from "../../plugins/discovery/lighthouse/own_lease.ts";
import { LighthouseSession } from "../../plugins/discovery/lighthouse/session.ts";
import { abortable } from "../../src/kernel/within.ts";
import { makeCertificates } from "../support/certificates.ts";
import { GuardedFollower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { configured } from "../support/probe.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TempDir } from "../support/temp_dir.ts";
import { Network } from "./network.ts";
import { StoreProcess } from "./process.ts";
import { TestStore } from "./stage.ts";

/** A session and everything it reports. */
type TestSession = LighthouseSession & { readonly context: RecordingContext };

/** Opens a session at stores, or at proxies before them, with short leases. */
async function open(
  hosts: readonly (TestStore | TcpProxy | string)[],
  config: Partial<LighthouseConfig> = {},
): Promise<TestSession> {
  const context = new RecordingContext();
  const addresses = hosts.map((host) =>
    typeof host === "string" ? host : `127.0.0.1:${host instanceof TestStore ? host.server.address.port : host.port}`
  );
  const options = { hosts: addresses, path: ["services"], ttlMs: 2_000, ...config };
  return Object.assign(await LighthouseSession.open(options, context), { context });
}

/** A process that registers a node, if it has a port, and watches the cluster. */
class Client implements AsyncDisposable {
  /** The ports of each snapshot. */
  readonly seen: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;

  constructor(hosts: string, { ttlMs = 2_000, port, within = [] }: {
    readonly ttlMs?: number;
    readonly port?: number;
    readonly within?: readonly string[];
  } = {}) {
    const script = new URL("../support/store_client.ts", import.meta.url).pathname;
    const own = port === undefined ? [] : [String(port)];
    const [program = "", ...args] = [
      ...within,
      Deno.execPath(),
      ...["run", "--no-prompt", `--allow-net=${hosts}`, "--allow-env", script, hosts, String(ttlMs), ...own],
    ];
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped" }).spawn();
    this.#child = child;
    this.#read = (async () => {
      let text = "";
      for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
        const lines = (text + piece).split("\n");
        text = lines.pop() ?? "";
        this.seen.push(...lines);
      }
    })();
  }

  /** Waits until the last snapshot has exactly these ports. */
  async has(...ports: readonly number[]): Promise<void> {
    await eventually(`${ports} are seen`, () => {
      assert.equal(this.seen.at(-1), ports.join(","));
      return true;
    }, { deadlineMs: 60_000 });
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch {
      // Already killed.
    }
    await this.#child.status;
    await this.#read;
  }
}

Deno.test("lighthouse: a registered node appears, changes, and is removed with its session", async () => {
  await using store = await TestStore.start();
  await using reader = await open([store]);
  await using follower = new GuardedFollower(reader, "web");
  await using writer = await open([store], { ttlMs: 20_000 });
  await writer.register("web", up(testNode(1)), soon());
  await follower.has(1);
  await writer.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
  await writer.register("web", up(testNode(2, { zone: "é" })), soon());
  await eventually("the metadata is seen", () => follower.snapshots.at(-1)?.nodes[1]?.metadata.zone === "é");
  assert.deepEqual(follower.snapshots.at(-1)?.nodes, [testNode(1), testNode(2, { zone: "é" })]);
  await writer.deregister("web", up(testNode(1)), soon());
  await follower.has(2);
  await writer[Symbol.asyncDispose]();
  await writer[Symbol.asyncDispose]();
  await follower.has();
  assert.deepEqual(JSON.parse((await store.ask("GET /lease")).text), []);
  await assert.rejects(writer.register("web", up(testNode(1)), soon()), /the session is closed/);
});

Deno.test("lighthouse: the node of a killed process is removed with its lease, and the node of a suspended process returns", async () => {
  await using store = await TestStore.start();
  await using reader = await open([store]);
  await using follower = new GuardedFollower(reader, "web");
  const hosts = `127.0.0.1:${store.server.address.port}`;
  await using first = new Client(hosts, { port: 1 });
  await using second = new Client(hosts, { port: 2 });
  await follower.has(1, 2);
  first.kill("SIGKILL");
  await follower.has(2);
  second.kill("SIGSTOP");
  await follower.has();
  second.kill("SIGCONT");
  await follower.has(2);
});

Deno.test("lighthouse: a node that another session registered stays with it, whoever renews", async () => {
  await using store = await TestStore.start();
  await using before = await open([store], { ttlMs: 1_000 });
  await using after = await open([store]);
  await before.register("web", up(testNode(1)), soon());
  await before.register("web", up(testNode(2)), soon());
  await after.register("web", up(testNode(1)), soon());
  await eventually(
    "it is noticed",
    () => before.context.lines.some((line) => line.includes("taken over by another session")),
  );
  const { version } = store.server.store.copy;
  await before.register("web", up(testNode(2)), soon());
  assert.deepEqual(store.server.store.copy.version, version, "nothing is written");
  const leases = [...store.server.store.copy.leases.values()].map(({ keys }) => keys).toSorted();
  assert.deepEqual(leases, [["/services/web/web.test%3A1"], ["/services/web/web.test%3A2"]]);
});

Deno.test("lighthouse: manual changes are reverted by the next renewal", async () => {
  await using store = await TestStore.start();
  await using session = await open([store], { ttlMs: 1_000 });
  await session.register("web", up(testNode(1)), soon());
  await using follower = new GuardedFollower(session, "web");
  await follower.has(1);
  await store.commit([["PUT", "/services/web/web.test%3A1", { by: "hand" }]]);
  const isBack = () => follower.facts.at(-1)?.nodes.length === 1;
  await follower.isEmpty();
  await eventually("it is back", isBack);
  await store.commit([["DELETE", "/services/web/web.test%3A1"]]);
  await follower.isEmpty();
  await eventually("it is back again", isBack);
  assert.deepEqual(follower.counts, [1], "it never left");
});

Deno.test("lighthouse: a new watch reports the whole cluster at once, also if it is empty", async () => {
  await using store = await TestStore.start();
  await using session = await open([store], { ttlMs: 60_000 });
  await session.register("web", up(testNode(1)), soon());
  for (const ports of [[1], [1], []]) {
    if (ports.length === 0) await session.deregister("web", up(testNode(1)), soon());
    await using follower = new GuardedFollower(session, "web");
    await follower.has(...ports);
  }
});

Deno.test("lighthouse: a thousand nodes are registered and read at once", async () => {
  await using store = await TestStore.start();
  await using session = await open([store], { ttlMs: 30_000 });
  const ports = Array.from({ length: 1_000 }, (_, i) => 1_000 + i);
  const before = store.server.store.copy.version.sequence;
  await Promise.all(ports.map((port) => session.register("web", up(testNode(port)), soon())));
  assert.ok(store.server.store.copy.version.sequence - before < 10, "together, not one by one");
  await using reader = await open([store]);
  await using follower = new GuardedFollower(reader, "web");
  await follower.has(...ports);
  assert.deepEqual(follower.counts, [1_000]);
});

/** A store that answers one request at a time, with a delay; long polls wait for ever. */
class SlowStore implements AsyncDisposable {
  /** Number of pending requests, and its maximum since the last reset. */
  asked = 0;
  askedMax = 0;
  /** Number of requests so far. */
  askedEver = 0;
  /** Number of long polls so far, of each path. */
  readonly waits = new Map<string, number>();
  #last: Promise<void> = Promise.resolve();
  readonly #closing = Promise.withResolvers<void>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(eachMs: number) {
    const node = testNode(1);
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
      const { pathname, searchParams: query } = new URL(url);
      if (Number(query.get("timeout")) > 1) {
        this.waits.set(pathname, (this.waits.get(pathname) ?? 0) + 1);
        // Not ended with its connection: the runtime does not report each one that is cut.
        await this.#closing.promise;
        return new Response(null, { status: 503 });
      }
      this.askedEver++;
      this.askedMax = Math.max(this.askedMax, ++this.asked);
      await (this.#last = this.#last.then(() => new Promise((resolve) => setTimeout(resolve, eachMs))));
      this.asked--;
      const headers = { etag: `"1-${"a".repeat(32)}"` };
      if (query.has("watch")) return new Response(null, { status: 304, headers });
      return Response.json({ [`${node.host}:${node.port}`]: node }, { headers });
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.resolve();
    await this.#server.shutdown();
  }
}

Deno.test("lighthouse: all clusters are read in turn from a store slower than its timeout", async () => {
  const CLUSTERS = 200, AT_ONCE_MAX = 70;
  await using store = new SlowStore(5);
  await using proxy = TcpProxy.start(store.port);
  // The timeout is a second; reading all clusters takes longer.
  await using session = await open([proxy], { ttlMs: 3_000 });
  const seen = new Set<number>();
  const stop = new AbortController();
  const watching = Array.from({ length: CLUSTERS }, async (_, at) => {
    for await (const _facts of session.watch(`web${at}`, stop.signal)) seen.add(at);
  });
  const waited = (times: number) => store.waits.size === CLUSTERS && [...store.waits.values()].every((n) => n >= times);
  await eventually("all are read, and wait", () => seen.size === CLUSTERS && waited(1));
  assert.ok(store.askedMax <= AT_ONCE_MAX, `${store.askedMax} were asked for at once`);
  const { askedEver } = store;
  proxy.cut();
  await eventually("all wait again", () => waited(2));
  assert.ok(store.askedEver - askedEver >= CLUSTERS, "each was asked for at once before it waited");
  assert.ok(store.askedMax <= AT_ONCE_MAX, `${store.askedMax} were asked for at once after the cut`);
  stop.abort();
  await Promise.all(watching);
});

Deno.test("lighthouse: a missing cluster is awaited; an empty one exists", async () => {
  await using store = await TestStore.start({}, { services: { empty: {} } });
  await using session = await open([store]);
  await using follower = new GuardedFollower(session, "web");
  await using empty = new GuardedFollower(session, "empty");
  await eventually(
    "it waits",
    () => session.context.lines.some((line) => /Path does not exist path=.*\/web$/.test(line)),
  );
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  assert.deepEqual(follower.counts, [1], "an empty cluster was never told");
  await empty.has();
});

Deno.test("lighthouse: a removed path removes no members, and is watched when it returns", async () => {
  await using store = await TestStore.start();
  await using reader = await open([store]);
  await using follower = new GuardedFollower(reader, "web");
  await using first = await open([store]);
  await using second = await open([store], { ttlMs: 3_000 });
  await first.register("web", up(testNode(1)), soon());
  await second.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
  await store.commit([["DELETE", "/services"]]);
  await eventually("it is noticed", () => reader.context.lines.some((line) => line.includes("does not exist")));
  await eventually("both are there again", async () => {
    const { text } = await store.ask("GET /data/services/web");
    return Object.keys(JSON.parse(text)).length === 2;
  });
  await first.register("web", up(testNode(3)), soon());
  await follower.has(1, 2, 3);
  assert.ok(follower.snapshots.slice(1).every(({ nodes }) => nodes.length >= 2));
});

Deno.test("lighthouse: invalid nodes are skipped with one log line each, and valid ones are served", async () => {
  const web = {
    "web.test:1": testNode(1),
    empty: {},
    hostile: { ...testNode(9), host: "a\nshutdown" },
    list: [1],
    number: 7,
    twice: testNode(1),
  };
  await using store = await TestStore.start({}, { services: { web } });
  await using session = await open([store]);
  await using follower = new GuardedFollower(session, "web");
  await follower.has(1);
  const complaints = session.context.lines.filter((line) => line.startsWith("warn"));
  assert.equal(complaints.length, 5, complaints.join("\n"));
});

Deno.test("lighthouse: a value that is not an object fails the watch, and is never read as members", async () => {
  await using store = await TestStore.start({}, { services: { web: ["no cluster"] } });
  await using session = await open([store]);
  const first = async () => (await session.watch("web", soon()).next()).value;
  for (let watch = 1; watch <= 2; watch++) await assert.rejects(first, /must be an object of nodes/);
  await store.commit([["PUT", "/services/web", { "web.test:1": testNode(1) }]]);
  assert.deepEqual((await first())?.nodes, [testNode(1)]);
  await store.commit([["PUT", "/services/web", "none either"]]);
  for (let watch = 1; watch <= 2; watch++) await assert.rejects(first, /must be an object of nodes/);
});

Deno.test("lighthouse: a change aborted before it is sent fails at once", async () => {
  const instances = { ask: () => Promise.reject(new Error("Nothing is to be sent")) } as unknown as Instances;
  const { log } = new RecordingContext();
  const lease = new OwnLease({ name: "test", ttlMs: 2_000, instances, log, signal: soon() });
  const late = AbortSignal.timeout(5_000);
  const set = lease.set("/services/web/web.test%3A1", {}, AbortSignal.abort(new Error("given up")));
  await assert.rejects(abortable(set, late), /given up/);
});

Deno.test("lighthouse: a killed and restarted store loses no member", async () => {
  await using dir = new TempDir("lighthouse-store-");
  const address = `127.0.0.1:${freePort()}`;
  const flags = ["--data.d", dir.path, "--bootstrap", "--bind", address];
  const first = new StoreProcess(flags);
  await first.event("store.listening");
  await using session = await open([address]);
  await using reader = await open([address]);
  await using follower = new GuardedFollower(reader, "web");
  await session.register("web", up(testNode(1)), soon());
  await session.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
  first.kill("SIGKILL");
  await first.ended();
  await eventually("it is noticed", () => reader.context.states.includes("disconnected"));
  await assert.rejects(session.register("web", up(testNode(3)), soon()), /Cannot reach the store: 127\.0\.0\.1:\d+: /);
  await using _second = new StoreProcess(flags);
  await eventually("it is reached", () => reader.context.states.at(-1) === "connected");
  await session.register("web", up(testNode(3)), soon());
  await follower.has(1, 2, 3);
  assert.deepEqual(follower.snapshots.slice(1).filter(({ nodes }) => nodes.length < 2), []);
});

Deno.test("lighthouse: a wiped store empties no cluster; only members that do not re-register are removed", async () => {
  const port = freePort();
  const bind = { host: "127.0.0.1", port };
  const before = await TestStore.start({ bind });
  await using reader = await open([before]);
  await using follower = new GuardedFollower(reader, "web");
  await using first = await open([before]);
  await using second = await open([before], { ttlMs: 3_000 });
  const third = await open([before], { ttlMs: 60_000 });
  for (const [i, session] of [first, second, third].entries()) {
    await session.register("web", up(testNode(i + 1)), soon());
  }
  await follower.has(1, 2, 3);
  await before[Symbol.asyncDispose]();
  await third[Symbol.asyncDispose]();
  const counted = follower.snapshots.length;
  await using _after = await TestStore.start({ bind });
  await follower.has(1, 2);
  assert.deepEqual(follower.snapshots.slice(counted).map(({ nodes }) => nodes.length), [2], "nobody left in between");
  assert.match(
    reader.context.lines.join("\n"),
    /warn Registry lost its history; keeping missing nodes for one lease path=\/services\/web /,
  );
});

/** Two instances of one store, each behind a network with faults. */
async function pair(stack: AsyncDisposableStack): Promise<readonly [TcpProxy, TcpProxy, TestStore, TestStore]> {
  const first = stack.use(await TestStore.start());
  const seeds = [`127.0.0.1:${first.server.address.port}`];
  const second = stack.use(await TestStore.start({ seeds }));
  return [
    stack.use(TcpProxy.start(first.server.address.port)),
    stack.use(TcpProxy.start(second.server.address.port)),
    first,
    second,
  ];
}

Deno.test.each([{ how: "refuse" }, { how: "pause" }] as const)(
  "lighthouse: an unreachable instance ($how) is replaced by the next one, and used again later",
  async ({ how }) => {
    await using stack = new AsyncDisposableStack();
    const [one, two, , second] = await pair(stack);
    await using session = await open([one, two]);
    await using reader = await open([one, two]);
    await using follower = new GuardedFollower(reader, "web");
    await session.register("web", up(testNode(1)), soon());
    await follower.has(1);
    await eventually("the other has it", () => second.server.store.copy.leases.size === 1);
    one[how]();
    await session.register("web", up(testNode(2)), soon());
    await follower.has(1, 2);
    assert.match(
      session.context.lines.join("\n"),
      new RegExp(`info Using another instance instance=127.0.0.1:${two.port}: .*`),
    );
    one.resume();
    await eventually(
      "used again",
      () =>
        session.context.lines.at(-1) ===
          `info Using another instance instance=127.0.0.1:${one.port}: preferred instance is available again`,
    );
    await session.deregister("web", up(testNode(1)), soon());
    await follower.has(2);
    assert.ok(follower.snapshots.slice(1).every(({ nodes }) => nodes.length > 0));
  },
);

Deno.test("lighthouse: a token for one cluster fails over and back", async () => {
  await using dir = new TempDir();
  const token = "web-rights-0123456789";
  const tokensFile = await dir.write("tokens.yaml", `- {name: web, token: ${token}, write: [/services/web]}\n`);
  await using first = await TestStore.start({ tokensFile });
  await using second = await TestStore.start({ tokensFile });
  await using proxy = TcpProxy.start(first.server.address.port);
  await using session = await open([proxy, second], { token });
  await session.register("web", up(testNode(1)), soon());
  proxy.refuse();
  await eventually("the other has it", () => second.server.store.copy.leases.size === 1);
  proxy.resume();
  await eventually(
    "it is returned to",
    () => session.context.lines.at(-1)?.endsWith("preferred instance is available again"),
  );
});

Deno.test("lighthouse: an instance that may not serve yet is skipped", async () => {
  await using waits = await TestStore.start({ loadLimit: { fromNowMs: -1 } });
  await using store = await TestStore.start();
  await using session = await open([waits, store]);
  await session.register("web", up(testNode(1)), soon());
  assert.equal(store.server.store.copy.leases.size, 1);
  assert.match(session.context.lines.join("\n"), /responded with 503/);
});

Deno.test("lighthouse: an instance that lags removes no member", async () => {
  await using ahead = await TestStore.start();
  await using behind = await TestStore.start({}, { services: { web: {} } });
  await using proxy = TcpProxy.start(ahead.server.address.port);
  await using session = await open([proxy, behind], { ttlMs: 3_000 });
  await using follower = new GuardedFollower(session, "web");
  const node = testNode(1);
  await ahead.commit([["PUT", "", { services: { web: { "web.test:1": node } } }]]);
  await follower.has(1);
  for (const n of [1, 2, 3]) await ahead.commit([["PUT", "/n", n]]);
  proxy.refuse();
  await eventually(
    "it is doubted",
    () => session.context.lines.some((line) => line.includes("Registry lost its history")),
  );
  await behind.ask("PUT /copy", (await ahead.ask("GET /copy")).text);
  await behind.commit([["PUT", "/services/web/web.test%3A2", testNode(2)]]);
  await follower.has(1, 2);
  assert.deepEqual(follower.counts, [1, 2]);
});

Deno.test("lighthouse: a token without permission is rejected with a reason that hides the token; other registrations continue", async () => {
  await using dir = new TempDir();
  const token = "web-rights-0123456789";
  const tokensFile = await dir.write("tokens.yaml", `- {name: web, token: ${token}, write: [/services/web]}\n`);
  await using store = await TestStore.start({ tokensFile });
  await using session = await open([store], { token });
  const [allowed, barred] = await Promise.allSettled([
    session.register("web", up(testNode(1)), soon()),
    session.register("db", up(testNode(2)), soon()),
  ]);
  assert.equal(allowed.status, "fulfilled");
  assert.ok(barred.status === "rejected");
  assert.match(
    String(barred.reason),
    /Cannot register at 127.*: HTTP 403 Forbidden: Cannot change \/services\/db/,
  );
  await using unknown = await open([store], { token: "no-such-token-0123456" });
  await using follower = new GuardedFollower(unknown, "web");
  await eventually("rejected", () => follower.error !== undefined);
  assert.match(String(follower.error), /HTTP 401 Unauthorized/);
  const said = [...session.context.lines, ...unknown.context.lines, String(follower.error), String(barred.reason)];
  assert.ok(said.every((line) => !line.includes("0123456")));
});

Deno.test("lighthouse: TLS with a private CA; an instance with an untrusted certificate is rejected", async () => {
  await using dir = new TempDir();
  const { good, selfSigned, key, ca } = await makeCertificates(dir);
  await using store = await TestStore.start({ tls: { cert: good, key } });
  await using stranger = await TestStore.start({ tls: { cert: selfSigned, key } });
  await using session = await open([stranger, store], { ca });
  await session.register("web", up(testNode(1)), soon());
  assert.equal(stranger.server.store.copy.leases.size, 0);
  assert.equal(store.server.store.copy.leases.size, 1);
  await assert.rejects(open([store], { ca: key }), /must contain a PEM certificate/);
});

Deno.test("lighthouse: requests permission only for its hosts and the CA file", async () => {
  const config = { hosts: ["store01", "10.0.0.2:9000", "[::1]:8001"], path: "/a/b/", ca: "/etc/ca.pem" };
  const told = await configured<LighthouseConfig>(lighthouse, config);
  const hosts = ["store01:8001", "10.0.0.2:9000", "[::1]:8001"];
  assert.deepEqual(told, { hosts, path: ["a", "b"], ca: "/etc/ca.pem", ttlMs: 10_000, resolveNames: false });
  assert.deepEqual(lighthouse.permissions(told, { instance: "x" }), { net: hosts, read: ["/etc/ca.pem"] });
});

Deno.test("lighthouse: a partition removes no member on either side, and both sides see all members after it ends", async () => {
  await using dir = new TempDir("lighthouse-partition-");
  await using network = await Network.of(4);
  await using stack = new AsyncDisposableStack();
  const [first, second] = [1, 2].map((host) => `${network.address(host)}:8001`);
  for (const host of [1, 2]) {
    const joins = host === 1 ? ["--bootstrap"] : ["--seeds", String(first)];
    const flags = ["--data.d", dir.file(`${host}`), "--bind", `${network.address(host)}:8001`, "--insecure", ...joins];
    await stack.use(new StoreProcess(flags, { within: network.on(host) })).event("store.listening");
  }
  const client = (host: number, port?: number) => {
    const told = port === undefined ? {} : { port };
    return stack.use(new Client(`${first},${second}`, { ttlMs: 12_000, within: network.on(host), ...told }));
  };
  const clients = [client(3, 3), client(4, 4)];
  for (const each of clients) await each.has(3, 4);
  // An instance that knows of a newer version and cannot read it may not serve: it must have caught up first.
  {
    await using caughtUp = new Client(String(second), { within: network.on(2) });
    await caughtUp.has(3, 4);
  }
  const counted = clients.map(({ seen }) => seen.length);

  await network.plug(1, "down");
  const late = client(2, 2);
  for (const each of [...clients, late]) await each.has(2, 3, 4);
  await network.plug(1, "up");
  client(3, 5);
  for (const each of [...clients, late]) await each.has(2, 3, 4, 5);
  for (const [i, { seen }] of clients.entries()) {
    assert.ok(seen.slice(counted[i]).every((ports) => ports.includes("3,4")), seen.join(" | "));
  }
});
