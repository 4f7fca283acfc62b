import assert from "node:assert/strict";
import zookeeper from "../../plugins/discovery/zookeeper/mod.ts";
import { type SessionOptions, ZooKeeperSession } from "../../plugins/discovery/zookeeper/session.ts";
import { ZooKeeperClient } from "../../plugins/discovery/zookeeper/client.ts";
import { type Acl, type Connection, ERROR, ZooKeeperError } from "../../plugins/discovery/zookeeper/connection.ts";
import { encodeNode, equalBytes } from "../../plugins/discovery/node_json.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import type { Endpoint } from "../../src/model/endpoint.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { liveWorkerCount, PluginHost, type WorkerEvent } from "../../src/supervisor/plugin_host.ts";
import { GuardedFollower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { configured } from "../support/probe.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const OPEN: readonly Acl[] = [{ permissions: 31, scheme: "world", id: "anyone" }];
const PATH = "/lighthouse/services";

/** A session with everything it reports. */
type TestSession = ZooKeeperSession & { readonly context: RecordingContext };

/** Opens a session at one server or several; its timeout is short. */
function open(hosts: Endpoint | readonly Endpoint[], options: Partial<SessionOptions> = {}): TestSession {
  const context = new RecordingContext();
  const session = new ZooKeeperSession({
    hosts: [hosts].flat(),
    path: PATH,
    sessionTimeoutMs: 2_000,
    acl: "open",
    ...options,
  }, context);
  return Object.assign(session, { context });
}

/** A client of somebody else, for arbitrary changes of znodes. */
async function connect(endpoint: Endpoint): Promise<Connection & AsyncDisposable> {
  const client = new ZooKeeperClient({
    hosts: [endpoint],
    sessionTimeoutMs: 10_000,
    clock: systemClock,
    random: systemRandom,
    onEvent() {},
    onConnected() {},
    onDisconnected() {},
    onOver() {},
  });
  const connection = await client.connected(soon());
  return Object.assign(connection, { [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() });
}

async function put(other: Connection, path: string, data: Uint8Array | string, ephemeral = true): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  await other.create(path, bytes, { ephemeral, acl: OPEN });
}

async function makePath(other: Connection, path: string): Promise<void> {
  const names = path.split("/").slice(1);
  for (const at of names.keys()) {
    await put(other, `/${names.slice(0, at + 1).join("/")}`, "", false).catch((error) => {
      if (!(error instanceof ZooKeeperError && error.code === ERROR.nodeExists)) throw error;
    });
  }
}

/** The session that owns a znode; 0 for none, `undefined` if the znode does not exist. */
async function ownerOf(other: Connection, path: string): Promise<bigint | undefined> {
  try {
    return (await other.getData(path, { watch: false })).stat.ephemeralOwner;
  } catch (error) {
    if (error instanceof ZooKeeperError && error.code === ERROR.noNode) return undefined;
    throw error;
  }
}

// One server for all tests that do it no harm; each has a cluster of its own.
let calm: ZooKeeper;
Deno.test.beforeAll(async () => {
  calm = await ZooKeeper.start();
});
Deno.test.afterAll(async () => {
  await calm[Symbol.asyncDispose]();
  assert.equal(liveWorkerCount(), 0, "every worker is stopped");
});

Deno.test("zookeeper: a registered node is seen, changed and removed with its session", async () => {
  await using reader = open(calm.address);
  await using follower = new GuardedFollower(reader, "life");
  const writer = open(calm.address);
  await writer.register("life", up(testNode(1)), soon());
  await follower.has(1);
  await writer.register("life", up(testNode(2)), soon());
  await follower.has(1, 2);
  await writer.register("life", up(testNode(2, { zone: "é" })), soon());
  await eventually("the metadata is seen", () => follower.snapshots.at(-1)?.nodes[1]?.metadata.zone === "é");
  await writer.deregister("life", up(testNode(1)), soon());
  await follower.has(2);
  await writer[Symbol.asyncDispose]();
  await follower.has();
});

Deno.test("zookeeper: registering again changes nothing, and deregistering a missing node succeeds", async () => {
  await using session = open(calm.address);
  await using other = await connect(calm.address);
  await session.register("again", up(testNode(1)), soon());
  const before = await other.getData(`${PATH}/again/web.test:1`, { watch: false });
  await session.register("again", up(testNode(1)), soon());
  assert.deepEqual(await other.getData(`${PATH}/again/web.test:1`, { watch: false }), before);
  await session.deregister("again", up(testNode(9)), soon());
  await session.deregister("nowhere", up(testNode(9)), soon());
});

Deno.test("zookeeper: many sessions may create the same path at the same time", async () => {
  const sessions = Array.from({ length: 5 }, () => open(calm.address));
  await Promise.all(sessions.map((session, port) => session.register("crowd", up(testNode(port + 1)), soon())));
  await using reader = open(calm.address);
  await using follower = new GuardedFollower(reader, "crowd");
  await follower.has(1, 2, 3, 4, 5);
  for (const session of sessions) await session[Symbol.asyncDispose]();
});

Deno.test("zookeeper: a node taken over from a live session stays when that session ends", async () => {
  await using other = await connect(calm.address);
  await using reader = open(calm.address);
  await using follower = new GuardedFollower(reader, "takeover");
  const old = open(calm.address);
  await old.register("takeover", up(testNode(1)), soon());
  await follower.has(1);
  await using next = open(calm.address);
  await next.register("takeover", up(testNode(1)), soon());
  const owner = await ownerOf(other, `${PATH}/takeover/web.test:1`);
  assert.match(next.context.lines.join("\n"), /Taking over node from another session .*session=session 0x/);
  assert.match(next.context.details.join("\n"), new RegExp(`0x${owner?.toString(16).padStart(16, "0")}`));
  await old[Symbol.asyncDispose]();
  assert.equal(await ownerOf(other, `${PATH}/takeover/web.test:1`), owner);
  assert.deepEqual(follower.ports, [1]);
  assert.ok(follower.counts.every((count) => count > 0), "it never left");
});

Deno.test("zookeeper: a node that another session has taken over stays when the old session deregisters", async () => {
  await using other = await connect(calm.address);
  await using old = open(calm.address);
  await using next = open(calm.address);
  const path = `${PATH}/release/web.test:1`;
  await old.register("deregisterOwn", up(testNode(1)), soon());
  await next.register("deregisterOwn", up(testNode(1)), soon());
  const owner = await ownerOf(other, path);
  await old.deregisterOwn("deregisterOwn", up(testNode(1)), soon());
  assert.equal(await ownerOf(other, path), owner);
  assert.match(old.context.lines.join("\n"), /Leaving node to another session path=.*web\.test:1 session=session 0x/);
  await next.deregisterOwn("deregisterOwn", up(testNode(1)), soon());
  assert.equal(await ownerOf(other, path), undefined);
  await next.deregisterOwn("deregisterOwn", up(testNode(1)), soon());
  await next.deregisterOwn("nowhere", up(testNode(1)), soon());
});

Deno.test("zookeeper: a persistent znode is never released, but removed when its node is down", async () => {
  await using other = await connect(calm.address);
  await using session = open(calm.address);
  const path = `${PATH}/lasting/web.test:1`;
  await makePath(other, `${PATH}/lasting`);
  await put(other, path, encodeNode(testNode(1)), false);
  await session.deregisterOwn("lasting", up(testNode(1)), soon());
  assert.equal(await ownerOf(other, path), 0n);
  await session.deregister("lasting", up(testNode(1)), soon());
  assert.equal(await ownerOf(other, path), undefined);
});

Deno.test("zookeeper: a node deleted or changed by hand is restored at once, with its parent znodes", async () => {
  await using other = await connect(calm.address);
  await using session = open(calm.address);
  const path = `${PATH}/mended/web.test:1`;
  await session.register("mended", up(testNode(1)), soon());
  const owner = await ownerOf(other, path);
  // Twice: a restored znode is watched as well.
  for (let round = 0; round < 2; round++) {
    await other.delete(path);
    await eventually("it is there again", async () => await ownerOf(other, path) === owner);
  }
  await other.delete(path);
  await other.delete(`${PATH}/mended`);
  await eventually("it is there again with its parent", async () => await ownerOf(other, path) === owner);
  await other.setData(path, new TextEncoder().encode("{"), { version: -1 });
  await eventually("it says again what it said", async () => {
    const { data } = await other.getData(path, { watch: false });
    return equalBytes(data, encodeNode(testNode(1)));
  });
  assert.match(
    session.context.lines.join("\n"),
    /warn Node deleted externally; registering again path=.*web\.test:1/,
  );
});

Deno.test("zookeeper: a node deleted while the connection was lost is restored with the next one", async () => {
  await using other = await connect(calm.address);
  await using proxy = TcpProxy.start(calm.port);
  await using session = open(proxy.address, { sessionTimeoutMs: 10_000 });
  const path = `${PATH}/mendedlater/web.test:1`;
  await session.register("mendedlater", up(testNode(1)), soon());
  const owner = await ownerOf(other, path);
  proxy.cut();
  await eventually("the loss is noticed", () => session.context.states.includes("disconnected"));
  await other.delete(path);
  await eventually("it is there again", async () => await ownerOf(other, path) === owner);
});

Deno.test("zookeeper: a deregistered or taken-over node is not restored", async () => {
  await using other = await connect(calm.address);
  await using session = open(calm.address);
  const paths = [1, 2, 3].map((port) => `${PATH}/unmended/web.test:${port}`);
  for (const port of [1, 2, 3, 4]) await session.register("unmended", up(testNode(port)), soon());
  for (const path of paths) await other.delete(path);
  await session.deregister("unmended", up(testNode(1)), soon());
  await session.deregisterOwn("unmended", up(testNode(2)), soon());
  await put(other, paths[2] as string, encodeNode(testNode(3)));
  // A node that is restored later shows that the time of the earlier ones has passed.
  await other.delete(`${PATH}/unmended/web.test:4`);
  for (let round = 0; round < 2; round++) {
    await eventually(
      "another is restored",
      async () => await ownerOf(other, `${PATH}/unmended/web.test:4`) !== undefined,
    );
    await other.delete(`${PATH}/unmended/web.test:4`);
  }
  const owners = await Promise.all(paths.map((path) => ownerOf(other, path)));
  assert.deepEqual(owners, [undefined, undefined, other.sessionId]);
});

Deno.test.each([{ config: undefined }, { config: { format: "serverset" } }])(
  "zookeeper: a node whose registration was aborted stays deregistered: $config",
  async ({ config }) => {
    const cluster = config === undefined ? "late" : "late-numbered";
    await using proxy = TcpProxy.start(calm.port);
    await using session = open(proxy.address, { sessionTimeoutMs: 20_000 });
    await using other = await connect(calm.address);
    const node = (port: number) => ({ ...up(testNode(port)), config });
    await session.register(cluster, node(1), soon());
    proxy.pause();
    await assert.rejects(session.register(cluster, node(2), AbortSignal.timeout(100)));
    const gone = session.deregister(cluster, node(2), soon());
    proxy.resume();
    await gone;
    // Earlier requests are complete by the time this one is answered.
    for (const port of [3, 4]) await session.register(cluster, node(port), soon());
    const children = await other.getChildren(`${PATH}/${cluster}`, { watch: false });
    assert.equal(children.length, 3, children.join(", "));
  },
);

Deno.test("zookeeper: a znode never has the version of the one it replaced", async () => {
  await using other = await connect(calm.address);
  const sessions = Array.from({ length: 4 }, () => open(calm.address));
  const path = `${PATH}/version/web.test:1`;
  let before: number | undefined;
  for (const session of sessions) {
    await session.register("version", up(testNode(1)), soon());
    const { stat, data } = await other.getData(path, { watch: false });
    assert.deepEqual(data, encodeNode(testNode(1)));
    assert.notEqual(stat.version, before);
    if (before !== undefined) await assert.rejects(other.delete(path, { version: before }), /bad version/);
    before = stat.version;
  }
  for (const session of sessions) await session[Symbol.asyncDispose]();
});

Deno.test("zookeeper: sessions that fight over one node all stop eventually", async () => {
  const sessions = Array.from({ length: 4 }, () => open(calm.address));
  const rounds = Array.from(
    { length: 25 },
    () => sessions.map((each) => each.register("fight", up(testNode(1)), soon())),
  );
  await Promise.all(rounds.flat());
  await using other = await connect(calm.address);
  assert.notEqual(await ownerOf(other, `${PATH}/fight/web.test:1`), undefined);
  for (const session of sessions) await session[Symbol.asyncDispose]();
});

Deno.test("zookeeper: a cluster that does not exist yet is watched, with its parents", async () => {
  await using reader = open(calm.address, { path: "/far/away" });
  await using follower = new GuardedFollower(reader, "late");
  await eventually("it waits", () => reader.context.lines.some((line) => line.includes("does not exist")));
  await using other = await connect(calm.address);
  await makePath(other, "/far/away/late");
  await put(other, "/far/away/late/web.test:1", encodeNode(testNode(1)));
  await follower.has(1);
  assert.deepEqual(follower.counts, [1], "an empty cluster was never reported");
});

Deno.test("zookeeper: an empty cluster exists", async () => {
  await using other = await connect(calm.address);
  await makePath(other, `${PATH}/empty`);
  await using reader = open(calm.address);
  await using follower = new GuardedFollower(reader, "empty");
  await follower.has();
});

Deno.test("zookeeper: a deleted cluster znode removes no nodes, and is watched again once it is recreated", async () => {
  await using proxy = TcpProxy.start(calm.port);
  await using other = await connect(calm.address);
  await using reader = open(proxy.address, { sessionTimeoutMs: 10_000 });
  const path = `${PATH}/deleted`;
  await makePath(other, path);
  await put(other, `${path}/web.test:1`, encodeNode(testNode(1)));
  await using follower = new GuardedFollower(reader, "deleted");
  await follower.has(1);
  proxy.refuse();
  await other.delete(`${path}/web.test:1`);
  await other.delete(path);
  proxy.resume();
  await eventually("it is missed", () => reader.context.lines.some((line) => line.includes("does not exist")));
  await makePath(other, path);
  await put(other, `${path}/web.test:2`, encodeNode(testNode(2)));
  await follower.has(2);
  // The previous node is held until the grace after a missing cluster has passed.
  assert.deepEqual(follower.counts, [1, 2, 1], "no node was removed earlier");
});

Deno.test("zookeeper: invalid znodes are skipped with one log line each, and the others are served", async () => {
  await using proxy = TcpProxy.start(calm.port);
  await using other = await connect(calm.address);
  await using reader = open(proxy.address);
  const path = `${PATH}/rubbish`;
  await makePath(other, path);
  await put(other, `${path}/web.test:1`, encodeNode(testNode(1)));
  await put(other, `${path}/empty`, "");
  await put(other, `${path}/binary`, Uint8Array.of(0, 255, 128));
  await put(other, `${path}/list`, "[]");
  await put(other, `${path}/hostile`, JSON.stringify({ host: "a b\nshutdown", ip: "127.0.0.1", port: 1 }));
  await put(other, `${path}/twice`, encodeNode(testNode(1)));
  await using follower = new GuardedFollower(reader, "rubbish");
  await follower.has(1);
  const complaints = () => reader.context.lines.filter((line) => line.startsWith("warn"));
  assert.equal(complaints().length, 5, complaints().join("\n"));
  proxy.cut();
  await eventually("it is back", () => reader.context.states.filter((state) => state === "connected").length === 2);
  await put(other, `${path}/web.test:2`, encodeNode(testNode(2)));
  await follower.has(1, 2);
  assert.equal(complaints().length, 5, complaints().join("\n"));
  await other.setData(`${path}/empty`, encodeNode(testNode(3)), { version: 0 });
  await follower.has(1, 2, 3);
});

Deno.test("zookeeper: a child that is deleted during a read causes no error", async () => {
  await using other = await connect(calm.address);
  await using reader = open(calm.address);
  const path = `${PATH}/storm`;
  await makePath(other, path);
  await using follower = new GuardedFollower(reader, "storm");
  const storm = Array.from({ length: 600 }, async (_, at) => {
    const child = `${path}/web.test:${at % 30 + 1}`;
    // A node that exists already, or no longer, is part of a storm.
    await (at % 7 < 4 ? put(other, child, encodeNode(testNode(at % 30 + 1))) : other.delete(child)).catch((error) =>
      assert.ok(error instanceof ZooKeeperError, String(error))
    );
    if (at % 20 === 0) await eventually("a breath", () => true);
  });
  await Promise.all(storm);
  const left = (await other.getChildren(path, { watch: false })).map((name) => Number(name.split(":")[1]));
  await follower.has(...left.toSorted((a, b) => `web.test:${a}` < `web.test:${b}` ? -1 : 1));
  assert.deepEqual(reader.context.lines.filter((line) => line.startsWith("warn")), []);
});

Deno.test("zookeeper: a thousand nodes are read at once; after a change, only the changed nodes are read", async () => {
  await using zk = await ZooKeeper.start();
  await using other = await connect(zk.address);
  const path = `${PATH}/large`;
  await makePath(other, path);
  await Promise.all(
    Array.from({ length: 1_000 }, (_, at) => put(other, `${path}/web.test:${at + 1}`, encodeNode(testNode(at + 1)))),
  );
  await using reader = open(zk.address, { sessionTimeoutMs: 20_000 });
  await using follower = new GuardedFollower(reader, "large");
  await eventually("all are there", () => follower.names?.length === 1_000);
  assert.equal(follower.snapshots.length, 1, "never a part of them");
  assert.deepEqual(follower.names, follower.names?.toSorted());
  const received = async () => Number(/Received: ([0-9]+)/.exec(await zk.ask("srvr"))?.[1]);
  const before = await received();
  await put(other, `${path}/web.test:1001`, encodeNode(testNode(1_001)));
  await eventually("the new one is there", () => follower.names?.length === 1_001);
  await other.delete(`${path}/web.test:7`);
  await eventually("the old one is gone", () => follower.names?.length === 1_000);
  assert.ok(await received() - before < 50, "of a thousand children few were read again");
});

Deno.test("zookeeper: a session without read permission gets an error; one with it is served", async () => {
  await using other = await connect(calm.address);
  await makePath(other, PATH);
  const auth = { scheme: "digest", secret: "web:s3cret" };
  const path = `${PATH}/private`;
  await using writer = open(calm.address, { auth, acl: "creator", path });
  await writer.register("web", up(testNode(1)), soon());
  await using member = open(calm.address, { auth, path });
  await using follower = new GuardedFollower(member, "web");
  await follower.has(1);
  await using stranger = open(calm.address, { path });
  await using refused = new GuardedFollower(stranger, "web");
  await eventually("the stranger is denied", () => /no auth/.test(refused.error?.message ?? ""));
  await assert.rejects(stranger.deregister("web", up(testNode(1)), soon()), /no auth/);
  const said = [writer, member, stranger].flatMap(({ context }) => [...context.lines, ...context.details]).join("\n");
  assert.doesNotMatch(said, /s3cret/);
});

Deno.test("zookeeper: with acl readable, all clients can read znodes, and only the owner can change them", async () => {
  await using other = await connect(calm.address);
  await makePath(other, PATH);
  const path = `${PATH}/public`;
  await using writer = open(calm.address, { auth: { scheme: "digest", secret: "web:s3cret" }, acl: "readable", path });
  await writer.register("web", up(testNode(1)), soon());
  await using stranger = open(calm.address, { path });
  await using follower = new GuardedFollower(stranger, "web");
  await follower.has(1);
  await assert.rejects(stranger.register("web", up(testNode(1, { mine: true })), soon()), /no auth/);
  await assert.rejects(stranger.register("web", up(testNode(2)), soon()), /no auth/);
});

Deno.test.each([{ cluster: "a/b" }, { cluster: ".." }, { cluster: "" }, { cluster: "a\u0000b" }])(
  "zookeeper: $cluster cannot be the name of a cluster",
  async ({ cluster }) => {
    await using session = open(calm.address);
    await assert.rejects(
      session.register(cluster, up(testNode(1)), soon()),
      /Cannot use cluster: must be a single path component/,
    );
    await using follower = new GuardedFollower(session, cluster);
    await eventually("the watch throws", () => follower.error instanceof TypeError);
  },
);

Deno.test("zookeeper: a killed and restarted server changes no members, and is read again", async () => {
  await using zk = await ZooKeeper.start();
  await using writer = open(zk.address, { sessionTimeoutMs: 10_000 });
  await using reader = open(zk.address, { sessionTimeoutMs: 10_000 });
  await using follower = new GuardedFollower(reader, "web");
  await writer.register("web", up(testNode(1)), soon());
  await follower.has(1);
  await zk.kill();
  await eventually("it is missed", () => reader.context.states.at(-1) === "disconnected");
  const pending = writer.register("web", up(testNode(2)), soon());
  await zk.start();
  await pending;
  await follower.has(1, 2);
  assert.deepEqual(follower.counts, [1, 2]);
  assert.deepEqual(reader.context.states, ["connected", "disconnected", "connected"]);
  const sessions = writer.context.details.map((detail) => /session \w+/.exec(detail)?.[0]).filter(Boolean);
  assert.equal(new Set(sessions).size, 1, "the session is the same");
});

Deno.test("zookeeper: a session waits for a server that is down when the session opens", async () => {
  await using zk = await ZooKeeper.start();
  await zk.stop();
  await using session = open(zk.address);
  await using follower = new GuardedFollower(session, "web");
  await eventually("it is missed", () => session.context.states[0] === "disconnected");
  const hurried = session.register("web", up(testNode(9)), AbortSignal.timeout(50));
  await assert.rejects(hurried, /ZooKeeper unreachable: .*refused/i);
  const patient = session.register("web", up(testNode(1)), soon());
  await zk.start();
  await patient;
  await follower.has(1);
});

Deno.test("zookeeper: members removed while the registry was unreachable are gone when it is back, after a second read", async () => {
  await using zk = await ZooKeeper.start();
  await using proxy = TcpProxy.start(zk.port);
  await using reader = open(proxy.address, { sessionTimeoutMs: 10_000 });
  await using follower = new GuardedFollower(reader, "web");
  const writer = open(zk.address);
  await writer.register("web", up(testNode(1)), soon());
  await follower.has(1);
  proxy.refuse();
  await writer[Symbol.asyncDispose]();
  await eventually("it is missed", () => reader.context.states.at(-1) === "disconnected");
  assert.deepEqual(follower.ports, [1], "unreachable is not empty");
  proxy.resume();
  await follower.has();
});

Deno.test("zookeeper: after a session expires, the next session registers its nodes again", async () => {
  await using proxy = TcpProxy.start(calm.port);
  await using observer = open(calm.address);
  await using observed = new GuardedFollower(observer, "expiry");
  await using session = open(proxy.address, { sessionTimeoutMs: 600 });
  await using follower = new GuardedFollower(session, "expiry");
  await session.register("expiry", up(testNode(1)), soon());
  await follower.has(1);
  await observed.has(1);
  proxy.pause();
  await observed.has();
  const pending = session.register("expiry", up(testNode(2)), soon());
  proxy.resume();
  assert.match(await session.ended, /session has expired/);
  await assert.rejects(pending, /Session ended: .* expired/);
  await eventually("the watch throws", () => /Session ended/.test(follower.error?.message ?? ""));
  assert.deepEqual(follower.counts, [1], "nothing was emptied");

  await using next = open(proxy.address);
  await using seen = new GuardedFollower(next, "expiry");
  await next.register("expiry", up(testNode(1)), soon());
  await seen.has(1);
});

Deno.test("zookeeper: a server paused for longer than the session costs only the session", async () => {
  await using zk = await ZooKeeper.start();
  await using session = open(zk.address, { sessionTimeoutMs: 600 });
  await using follower = new GuardedFollower(session, "web");
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  zk.pause();
  await eventually(
    "the silence is noticed",
    () => session.context.details.some((detail) => /stopped responding/.test(detail)),
  );
  const noticed = performance.now();
  await eventually("the session's time is over", () => performance.now() - noticed > 800);
  zk.resume();
  // Whether the server first accepts the client or first expires sessions is a matter of timing.
  let ended = false;
  void session.ended.then(() => ended = true);
  await eventually("the server has spoken", () => ended || session.context.states.at(-1) === "connected");
  assert.deepEqual(follower.counts, [1], "nothing was emptied");
  await using next = open(zk.address);
  await using seen = new GuardedFollower(next, "web");
  await next.register("web", up(testNode(1)), soon());
  await seen.has(1);
});

Deno.test("zookeeper: a registry that returns without its data ends the session and empties no cluster", async () => {
  await using zk = await ZooKeeper.start();
  await using session = open(zk.address, { sessionTimeoutMs: 600 });
  await using follower = new GuardedFollower(session, "web");
  for (let port = 1; port <= 5; port++) await session.register("web", up(testNode(port)), soon());
  await follower.has(1, 2, 3, 4, 5);
  await zk.wipe();
  await zk.start();
  assert.match(await session.ended, /no server has accepted the session|expired/);
  assert.deepEqual(follower.ports, [1, 2, 3, 4, 5]);
  await using next = open(zk.address);
  await next.register("web", up(testNode(1)), soon());
});

Deno.test("zookeeper: a silent server is replaced by another before the session expires", async () => {
  const [first, second] = [TcpProxy.start(calm.port), TcpProxy.start(calm.port)];
  await using _first = first;
  await using _second = second;
  await using session = open([first.address, second.address], { sessionTimeoutMs: 3_000 });
  await using follower = new GuardedFollower(session, "silent");
  await session.register("silent", up(testNode(1)), soon());
  await follower.has(1);
  const silent = session.context.details[0]?.startsWith(first.address) ? first : second;
  silent.pause();
  await eventually("it moved", () => session.context.states.filter((state) => state === "connected").length === 2);
  await using other = await connect(calm.address);
  const owner = await ownerOf(other, `${PATH}/silent/web.test:1`);
  assert.match(session.context.details.at(-1) ?? "", new RegExp(`0x${owner?.toString(16).padStart(16, "0")}`));
  await session.register("silent", up(testNode(2)), soon());
  await follower.has(1, 2);
});

Deno.test("zookeeper: fifty lost connections leak nothing on either side", async () => {
  await using zk = await ZooKeeper.start();
  await using proxy = TcpProxy.start(zk.port);
  // Without jitter the waits are the shortest.
  await using session = open(proxy.address, { sessionTimeoutMs: 10_000, random: () => 0 });
  await using other = await connect(zk.address);
  await using follower = new GuardedFollower(session, "web");
  await using missing = new GuardedFollower(session, "missing");
  for (let port = 1; port <= 20; port++) await session.register("web", up(testNode(port)), soon());
  await eventually("all are there", () => follower.ports?.length === 20);
  // One for each node, one for their list, and one for the missing path.
  const watches = async () => Number(/zk_watch_count\t([0-9]+)/.exec(await zk.ask("mntr"))?.[1]);
  await eventually("all watches are set", async () => await watches() === 22);
  const snapshots = follower.snapshots.length;
  for (let round = 1; round <= 50; round++) {
    const due = session.context.states.filter((state) => state === "connected").length + 1;
    proxy.cut();
    await eventually("it is back", () => {
      return session.context.states.filter((state) => state === "connected").length === due;
    }, { everyMs: 1 });
  }
  await eventually("all watches are set again, once", async () => await watches() === 22);
  assert.equal(proxy.connections, 1);
  assert.equal(follower.snapshots.length, snapshots, "nothing changed, so nothing was reported");
  assert.match(await zk.ask("wchs"), /^1 connections watching/);
  await put(other, `${PATH}/web/web.test:21`, encodeNode(testNode(21)));
  await eventually("a change is seen", () => follower.ports?.includes(21));
  assert.deepEqual(missing.snapshots, []);
});

Deno.test("zookeeper: more than 1 MB of watched paths are followed again after a server crash", async () => {
  await using zk = await ZooKeeper.start();
  await using other = await connect(zk.address);
  const path = `/production${PATH}/large`;
  await makePath(other, path);
  const ports = Array.from({ length: 12_000 }, (_, at) => at + 1);
  const host = "ip-10-100-3-7.eu-central-1.compute.internal.cluster-a.example.org";
  const create = (port: number) =>
    put(other, `${path}/${host}:${port}`, encodeNode({ ...testNode(port), host }), false);
  for (let at = 0; at < ports.length; at += 500) await Promise.all(ports.slice(at, at + 500).map(create));
  assert.ok(ports.length * `${path}/${host}:10000`.length > 1_048_575, "no single request could set all watches");
  await using session = open(zk.address, { path: `/production${PATH}`, sessionTimeoutMs: 30_000 });
  await using follower = new GuardedFollower(session, "large");
  await eventually("all are read", () => follower.ports?.length === ports.length);
  await zk.kill();
  await eventually("it is missed", () => session.context.states.at(-1) === "disconnected");
  await zk.start();
  await using again = await connect(zk.address);
  await put(again, `${path}/web.test:1`, encodeNode(testNode(1)));
  await eventually("a new member is seen", () => follower.ports?.length === ports.length + 1);
  assert.deepEqual(session.context.states, ["connected", "disconnected", "connected"]);
});

Deno.test("zookeeper: a request larger than jute.maxbuffer is rejected locally and keeps the connection", async () => {
  await using other = await connect(calm.address);
  await makePath(other, `${PATH}/heavy`);
  const path = `${PATH}/heavy/web.test:1`;
  const tooLarge = new Uint8Array(1_048_576);
  const refusal = /: request of 104\d{4} bytes exceeds jute\.maxbuffer \(1048575\)/;
  await assert.rejects(other.create(path, tooLarge, { ephemeral: true, acl: OPEN }), refusal);
  await put(other, path, "");
  await assert.rejects(other.setData(path, tooLarge, { version: 0 }), refusal);
  await assert.rejects(other.replace(path, tooLarge, { version: 0, acl: OPEN }), refusal);
  // Two thirds of the request limit: twice the data would be too much for one transaction.
  await other.replace(path, new Uint8Array(700_000), { version: 0, acl: OPEN });
  const { data, stat } = await other.getData(path, { watch: false });
  assert.deepEqual([data.length, stat.version, stat.ephemeralOwner], [700_000, 1, other.sessionId]);
});

Deno.test("zookeeper: a server that accepts and closes connections is retried, and logged as one outage", async () => {
  await using zk = await ZooKeeper.start();
  await using proxy = TcpProxy.start(zk.port);
  await using session = open(proxy.address, { sessionTimeoutMs: 10_000 });
  await using follower = new GuardedFollower(session, "web");
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  await zk.kill();
  const accepted = proxy.accepted;
  await eventually("it is asked again", () => proxy.accepted >= accepted + 6);
  assert.equal(
    session.context.states.filter((state) => state === "disconnected").length,
    1,
    "one outage, reported once",
  );
  await zk.start();
  await session.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
});

Deno.test("zookeeper: closing respects its deadline when nobody answers", async () => {
  await using proxy = TcpProxy.start(calm.port);
  const session = open(proxy.address, { sessionTimeoutMs: 60_000 });
  await session.register("closing", up(testNode(1)), soon());
  proxy.pause();
  await session[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
  await assert.rejects(session.register("closing", up(testNode(1)), soon()), /Session ended: closed/);
});

Deno.test("zookeeper: an aborted connection leaves its session to the timeout", async () => {
  const session = open(calm.address, { sessionTimeoutMs: 1_000 });
  await using reader = open(calm.address);
  await using follower = new GuardedFollower(reader, "given-up");
  await session.register("given-up", up(testNode(1)), soon());
  await follower.has(1);
  session.context.abort();
  await follower.has();
  await session[Symbol.asyncDispose]();
});

Deno.test("zookeeper: in a worker it works with the permissions it requests, and with no fewer", async () => {
  const config = await configured(zookeeper, { hosts: calm.address, path: `${PATH}/worker/`, session_timeout: 2 });
  const scope = { instance: "zookeeper" };
  const granted = toDenoPermissions(zookeeper.permissions(config, scope));
  assert.deepEqual(granted.net, [calm.address]);
  const start = async (permissions: Deno.PermissionOptionsObject) => {
    const events: WorkerEvent[] = [];
    const host: PluginHost = new PluginHost({
      name: "zookeeper",
      module: "builtin:discovery/zookeeper",
      permissions,
      clock: systemClock,
      onEvent: (event) => {
        events.push(event);
        if (event.type === "snapshot") host.post({ type: "taken", cluster: event.snapshot.cluster });
      },
    });
    await host.loaded();
    await host.call({ type: "start", instance: "zookeeper", config, scope }, { deadlineMs: 60_000 });
    return Object.assign(host, { events });
  };
  await using host = await start(granted);
  host.post({ type: "watch", cluster: "web" });
  const registration = up(testNode(1));
  await host.call({ type: "register", cluster: "web", registration, timeoutMs: 60_000 }, { deadlineMs: 60_000 });
  await eventually("the snapshot comes", () => {
    const last = host.events.findLast((event) => event.type === "snapshot");
    return last?.snapshot.nodes[0]?.port === 1;
  });

  await using other = await start(toDenoPermissions({ net: ["127.0.0.1:1"] }));
  const refusal = await eventually(
    "the connection is denied",
    () => other.events.find((event) => event.type === "connection"),
  );
  assert.match(refusal.detail, /Requires net access/);
});
