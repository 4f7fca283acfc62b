import assert from "node:assert/strict";
import { encodeNode } from "../../plugins/discovery/node_json.ts";
import { clusterSchema, schema } from "../../plugins/discovery/etcd/config.ts";
import { EtcdSession, type SessionOptions } from "../../plugins/discovery/etcd/session.ts";
import { type Clock, systemClock } from "../../src/kernel/clock.ts";
import { delay } from "../../src/kernel/delay.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { PluginHost } from "../../src/supervisor/plugin_host.ts";
import { Follower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { makeCertificates } from "../support/certificates.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A session's config, as in a file. */
function options(config: Readonly<Record<string, unknown>>, more: Partial<SessionOptions> = {}): SessionOptions {
  const result = schema["~standard"].validate({ session_timeout: 3, ...config });
  if ("issues" in result) throw new Error(result.issues.map(({ message }) => message).join("; "));
  return { ...result.value, ...more };
}

async function open(config: Readonly<Record<string, unknown>>, more?: Partial<SessionOptions>) {
  const context = new RecordingContext();
  const session = await EtcdSession.open(options(config, more), context);
  return { context, session, [Symbol.asyncDispose]: () => session[Symbol.asyncDispose]() };
}

/** The number of nodes in a cluster, for each answer in which it existed. */
function sizes({ snapshots }: Follower): readonly number[] {
  return snapshots.filter(({ exists }) => exists).map(({ nodes }) => nodes.length);
}

const WEB = "/lighthouse/services/web/";

Deno.test("a node is registered, changed, seen and removed with its session, each with one event", async () => {
  await using etcd = await Etcd.start();
  await using writer = await open({ endpoints: [etcd.address] });
  await using reporter = await open({ endpoints: [`http://${etcd.address}`] });
  await using follower = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await follower.has(8001);
  await reporter.session.register("web", up(testNode(8002)), soon());
  await follower.has(8001, 8002);
  const revision = async () =>
    JSON.parse(await etcd.ctl("endpoint", "status", "--write-out=json"))[0].Status.header.revision;
  const before = await revision();
  await reporter.session.register("web", up(testNode(8002)), soon());
  assert.equal(await revision(), before, "an unchanged node is not written again");
  await reporter.session.register("web", up(testNode(8002, { colour: "blue" })), soon());
  await eventually("the change is seen", () => follower.snapshots.at(-1)?.nodes[1]?.metadata.colour === "blue");
  await reporter.session.deregister("web", up(testNode(8001)), soon());
  await follower.has(8002);
  await reporter.session[Symbol.asyncDispose]();
  await follower.has();
  assert.deepEqual(await etcd.keys(WEB), [WEB], "the cluster stays known");
});

/** A metric of etcd. */
async function metric(etcd: Etcd, name: string): Promise<number> {
  const text = await (await fetch(`http://${etcd.address}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? NaN);
}

Deno.test("100 clusters share one stream, and a change to one is delivered without a read", async () => {
  await using etcd = await Etcd.start();
  // Exclude the session's renewals from the counts below.
  await using reporter = await open({ endpoints: [etcd.address], session_timeout: 600 });
  const clusters = Array.from({ length: 100 }, (_, at) => `cluster${at}`);
  for (const cluster of clusters) await reporter.session.register(cluster, up(testNode(8001)), soon());
  await using writer = await open({ endpoints: [etcd.address] });
  await using stack = new AsyncDisposableStack();
  const followers = clusters.map((cluster) => stack.use(new Follower(writer.session, cluster)));
  for (const follower of followers) await follower.has(8001);
  const watches = async () => [
    await metric(etcd, "etcd_debugging_mvcc_watch_stream_total"),
    await metric(etcd, "etcd_debugging_mvcc_watcher_total"),
  ];
  await eventually("all are watched by one stream", async () => {
    const found = await watches();
    if (String(found) === "1,100") return true;
    throw new Error(`${found} ${writer.context.lines}`);
  });
  const reads = await metric(etcd, "etcd_debugging_mvcc_range_total");
  await etcd.ctl(
    "put",
    "/lighthouse/services/cluster7/web.test:8002",
    new TextDecoder().decode(encodeNode(testNode(8002))),
  );
  await followers[7]!.has(8001, 8002);
  assert.equal(await metric(etcd, "etcd_debugging_mvcc_range_total"), reads, "nothing is read");
  assert.ok(followers.every(({ snapshots }, at) => snapshots.length === (at === 7 ? 2 : 1)));
});

Deno.test("a change that was missed and compacted is read, and an unchanged cluster reports nothing", async () => {
  await using etcd = await Etcd.start();
  await using proxy = TcpProxy.start(etcd.port);
  await using reporter = await open({ endpoints: [etcd.address] });
  for (const cluster of ["web", "idle"]) await reporter.session.register(cluster, up(testNode(8001)), soon());
  await using writer = await open({ endpoints: [proxy.address] });
  await using web = new Follower(writer.session, "web");
  await using idle = new Follower(writer.session, "idle");
  for (const follower of [web, idle]) await follower.has(8001);
  proxy.refuse();
  await reporter.session.register("web", up(testNode(8002)), soon());
  await reporter.session.deregister("web", up(testNode(8001)), soon());
  const [{ Status: { header } }] = JSON.parse(await etcd.ctl("endpoint", "status", "--write-out=json"));
  await etcd.ctl("compact", String(header.revision));
  await eventually("etcd is reported as unreachable", () => writer.context.states.at(-1) === "disconnected");
  proxy.resume();
  await web.has(8002);
  assert.equal(idle.snapshots.length, 1);
  await reporter.session.register("web", up(testNode(8003)), soon());
  await web.has(8002, 8003);
});

Deno.test("a watch from a compacted revision continues from the current state", async () => {
  await using etcd = await Etcd.start();
  await using reporter = await open({ endpoints: [etcd.address] });
  await reporter.session.register("web", up(testNode(8001)), soon());
  await using writer = await open({ endpoints: [etcd.address] });
  await using web = new Follower(writer.session, "web");
  await web.has(8001);
  for (let at = 0; at < 5; at++) await etcd.ctl("put", "/elsewhere", String(at));
  const [{ Status: { header } }] = JSON.parse(await etcd.ctl("endpoint", "status", "--write-out=json"));
  await etcd.ctl("compact", String(header.revision));
  // Another cluster causes the stream to be opened again, from the known revisions.
  await using other = new Follower(writer.session, "other");
  await reporter.session.register("other", up(testNode(9001)), soon());
  await other.has(9001);
  await reporter.session.register("web", up(testNode(8002)), soon());
  await web.has(8001, 8002);
  assert.equal(web.snapshots.length, 2);
});

Deno.test("nodes are registered again after a revoked lease, a deleted key, and an emptied store", async () => {
  await using etcd = await Etcd.start();
  await using reporter = await open({ endpoints: [etcd.address] });
  const nodes = [8001, 8002].map((port) => testNode(port));
  for (const node of nodes) await reporter.session.register("web", up(node), soon());
  const wanted = [WEB, `${WEB}web.test:8001`, `${WEB}web.test:8002`];
  const untilBack = () =>
    eventually("all are back", async () => JSON.stringify(await etcd.keys(WEB)) === JSON.stringify(wanted));
  const [, lease = ""] = /([0-9a-f]{10,})/.exec(await etcd.ctl("lease", "list")) ?? [];
  await etcd.ctl("lease", "revoke", lease);
  assert.deepEqual(await etcd.keys(WEB), [WEB]);
  await untilBack();
  await etcd.ctl("del", `${WEB}web.test:8002`);
  await untilBack();
  await etcd.wipe();
  await etcd.start();
  await eventually("all are back", async () => (await etcd.keys(`${WEB}w`)).length === 2);
  // The host renews its registrations periodically.
  for (const node of nodes) await reporter.session.register("web", up(node), soon());
  await untilBack();
});

Deno.test("a cluster whose store was emptied exists again with its first node, whichever is registered first", async () => {
  await using etcd = await Etcd.start();
  // No renewal finds the lost lease first.
  await using reporter = await open({ endpoints: [etcd.address], session_timeout: 600 });
  await reporter.session.register("web", up(testNode(8001)), soon());
  const [, lease = ""] = /([0-9a-f]{10,})/.exec(await etcd.ctl("lease", "list")) ?? [];
  await etcd.ctl("lease", "revoke", lease);
  await etcd.ctl("del", "--prefix", WEB);
  await reporter.session.register("web", up(testNode(8002)), soon());
  assert.deepEqual(await etcd.keys(WEB), [WEB, `${WEB}web.test:8002`]);
});

Deno.test("a server that ends each watch stream at once is asked with growing delays", async () => {
  await using etcd = await Etcd.start();
  await using cutting = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const body = await request.text();
    const { status, body: answer } = await fetch(`http://${etcd.address}${pathname}`, { method: "POST", body });
    if (pathname !== "/v3/watch") return new Response(answer, { status });
    const reader = answer?.getReader();
    const { value } = await reader?.read() ?? {};
    await reader?.cancel();
    return new Response(value, { status });
  });
  const waitsMs: number[] = [];
  const clock: Clock = {
    now: () => systemClock.now(),
    after(ms, job) {
      waitsMs.push(ms);
      return systemClock.after(ms, job);
    },
  };
  // No other wait is as long as the longest before the next stream.
  const config = { endpoints: [`127.0.0.1:${cutting.addr.port}`], session_timeout: 600 };
  await using reader = await open(config, { clock, random: () => 0.99 });
  await using _follower = new Follower(reader.session, "web");
  await eventually("it is waited for long", () => waitsMs.some((ms) => ms > 1_000 && ms < 2_000), {
    deadlineMs: 20_000,
  });
});

Deno.test("a node that another session has taken over is left alone by renewals and by release", async () => {
  await using etcd = await Etcd.start();
  await using old = await open({ endpoints: [etcd.address], session_timeout: 2 });
  await using next = await open({ endpoints: [etcd.address] });
  await old.session.register("web", up(testNode(8001)), soon());
  const taken = await next.session.register("web", up({ ...testNode(8001), ip: "127.0.0.9" }), soon());
  assert.deepEqual(taken, { takenFrom: "127.0.0.1" });
  await eventually(
    "the old one has noticed",
    () => old.context.lines.some((line) => /taken over by another/.test(line)),
  );
  await old.session.deregisterOwn("web", up(testNode(8001)), soon());
  await old.session[Symbol.asyncDispose]();
  assert.match(await etcd.ctl("get", `${WEB}web.test:8001`), /127\.0\.0\.9/);
  await next.session.deregisterOwn("web", up(testNode(8001)), soon());
  assert.deepEqual(await etcd.keys(WEB), [WEB]);
});

Deno.test("a session without renewals ends with its lease", async () => {
  await using etcd = await Etcd.start();
  await using proxy = TcpProxy.start(etcd.port);
  await using reporter = await open({ endpoints: [proxy.address], session_timeout: 2 });
  await using writer = await open({ endpoints: [etcd.address] });
  await using web = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  proxy.pause();
  await web.has();
  proxy.resume();
  await web.has(8001);
});

Deno.test("a lease survives the registration of many nodes in a slow etcd", async () => {
  await using etcd = await Etcd.start();
  await using slow = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const body = await request.text();
      if (pathname === "/v3/kv/txn") await delay(200, { clock: systemClock, signal: request.signal });
      const { status, body: answer } = await fetch(`http://${etcd.address}${pathname}`, { method: "POST", body });
      return new Response(answer, { status });
    },
  );
  await using writer = await open({ endpoints: [etcd.address] });
  await using follower = new Follower(writer.session, "web");
  // One after the other they take twice the time of the lease.
  await using reporter = await open({ endpoints: [`127.0.0.1:${slow.addr.port}`], session_timeout: 2 });
  const ports = Array.from({ length: 20 }, (_, at) => 8001 + at);
  await Promise.all(ports.map((port) => reporter.session.register("web", up(testNode(port)), soon())));
  await follower.has(...ports);
  assert.deepEqual(sizes(follower), sizes(follower).toSorted((a, b) => a - b), "no node is lost meanwhile");
});

Deno.test("a silent server is replaced by the next one, and members stay", async () => {
  await using members = await Etcd.cluster();
  const leader = await leaderOf(members);
  const [first = leader, second = leader] = members.filter((each) => each !== leader);
  await using writer = await open({ endpoints: [first.address, second.address], session_timeout: 3 });
  await using reporter = await open({ endpoints: [leader.address, second.address], session_timeout: 3 });
  await using web = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  first.pause();
  await reporter.session.register("web", up(testNode(8002)), soon());
  await web.has(8001, 8002);
  assert.deepEqual(sizes(web), [1, 2]);
  assert.ok(!writer.context.states.includes("disconnected"), "etcd was reachable all the time");
  first.resume();
});

async function leaderOf(members: readonly Etcd[]): Promise<Etcd> {
  return await eventually("one leads", async () => {
    for (const member of members) if (member.pid !== undefined && await member.leads()) return member;
    return undefined;
  });
}

Deno.test("the leader of three is killed: no node is lost, and changes continue", async () => {
  await using members = await Etcd.cluster();
  const endpoints = members.map(({ address }) => address);
  await using writer = await open({ endpoints });
  await using reporter = await open({ endpoints: endpoints.toReversed() });
  await using web = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  const leader = await leaderOf(members);
  await leader.end("SIGKILL");
  await leaderOf(members);
  await reporter.session.register("web", up(testNode(8002)), soon());
  await web.has(8001, 8002);
  await leader.start();
  await reporter.session.register("web", up(testNode(8003)), soon());
  await web.has(8001, 8002, 8003);
  assert.deepEqual(sizes(web), [1, 2, 3]);
});

Deno.test("a member without a leader is left, and removes no nodes", async () => {
  await using members = await Etcd.cluster();
  await using writer = await open({ endpoints: [members[0]!.address] });
  await using reporter = await open({ endpoints: [members[0]!.address] });
  await using web = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  for (const member of members.slice(1)) await member.end("SIGKILL");
  await eventually("etcd is reported as unreachable", () => writer.context.states.at(-1) === "disconnected");
  await Promise.all(members.slice(1).map((member) => member.start()));
  await eventually("it is reachable", () => writer.context.states.at(-1) === "connected");
  await reporter.session.register("web", up(testNode(8002)), soon());
  await web.has(8001, 8002);
  assert.deepEqual(sizes(web), [1, 2]);
});

/** An etcd with users: `root`, and `lighthouse`, who may read and write below the prefix. */
async function withUsers(args: readonly string[] = []): Promise<Etcd> {
  // Hashing a password at the usual cost takes longer than etcdctl waits on a busy machine.
  const etcd = await Etcd.start({ args: ["--bcrypt-cost=4", ...args] });
  await etcd.ctl("user", "add", "root:toor");
  await etcd.ctl("user", "grant-role", "root", "root");
  await etcd.ctl("role", "add", "services");
  await etcd.ctl("role", "grant-permission", "services", "readwrite", "--prefix=true", "/lighthouse/services/");
  await etcd.ctl("user", "add", "lighthouse:secret");
  await etcd.ctl("user", "grant-role", "lighthouse", "services");
  await etcd.ctl("auth", "enable");
  return etcd;
}

const ROOT = ["--user=root:toor"];
const LIGHTHOUSE = { username: "lighthouse", password: "secret" };

Deno.test("an expired token is renewed, for requests and for watches", async () => {
  await using etcd = await withUsers(["--auth-token-ttl=1"]);
  const config = { endpoints: [etcd.address], session_timeout: 10, ...LIGHTHOUSE };
  await using writer = await open(config);
  await using reporter = await open(config);
  await using web = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  const asleep = performance.now();
  await eventually("the tokens have expired", () => performance.now() - asleep > 2_500);
  await using other = new Follower(writer.session, "other");
  await reporter.session.register("other", up(testNode(9001)), soon());
  await other.has(9001);
  await reporter.session.register("web", up(testNode(8002)), soon());
  await web.has(8001, 8002);
  assert.deepEqual([sizes(web), sizes(other)], [[1, 2], [1]]);
  assert.equal(web.error, undefined);
});

Deno.test("a restarted member has lost the token: a new one is requested", async () => {
  await using etcd = await withUsers();
  await using reporter = await open({ endpoints: [etcd.address], ...LIGHTHOUSE });
  await reporter.session.register("web", up(testNode(8001)), soon());
  await etcd.end("SIGTERM");
  await etcd.start();
  await reporter.session.register("web", up(testNode(8002)), soon());
  assert.equal((await etcd.ctl(...ROOT, "get", "--prefix", "--keys-only", `${WEB}w`)).match(/8002/)?.length, 1);
});

Deno.test("a revoked permission ends the watch with etcd's error, and removes no nodes", async () => {
  await using etcd = await withUsers();
  await using writer = await open({ endpoints: [etcd.address], ...LIGHTHOUSE }, { auditMs: 200 });
  await using reporter = await open({ endpoints: [etcd.address], ...LIGHTHOUSE, session_timeout: 30 });
  await reporter.session.register("web", up(testNode(8001)), soon());
  await using web = new Follower(writer.session, "web");
  await web.has(8001);
  await etcd.ctl(...ROOT, "role", "revoke-permission", "services", "--prefix=true", "/lighthouse/services/");
  await eventually("the watch is over", () => web.error !== undefined);
  assert.match(web.error?.message ?? "", /Cannot read \/lighthouse\/services\/web\/ from etcd: .*permission denied/);
  assert.equal(web.snapshots.length, 1);
  await assert.rejects(
    async () => await reporter.session.register("web", up(testNode(8002)), soon()),
    /permission denied/,
  );
  await etcd.ctl(
    ...ROOT,
    "role",
    "grant-permission",
    "services",
    "readwrite",
    "--prefix=true",
    "/lighthouse/services/",
  );
  await using again = new Follower(writer.session, "web");
  await again.has(8001);
  await reporter.session.register("web", up(testNode(8002)), soon());
  await again.has(8001, 8002);
});

Deno.test.each([
  {
    what: "a wrong password",
    given: { username: "lighthouse", password: "wrong" },
    says: /Cannot authenticate to etcd as lighthouse: .*invalid user ID or password/,
  },
  { what: "no user", given: {}, says: /user name is empty/ },
])("$what is reported with etcd's error", async ({ given, says }) => {
  await using etcd = await withUsers();
  await using session = await open({ endpoints: [etcd.address], ...given });
  await using web = new Follower(session.session, "web");
  await eventually("the watch is over", () => web.error !== undefined);
  assert.match(web.error?.message ?? "", says);
  await assert.rejects(async () => await session.session.register("web", up(testNode(8001)), soon()), says);
});

Deno.test("credentials that etcd does not need are ignored, which is logged", async () => {
  await using etcd = await Etcd.start();
  await using session = await open({ endpoints: [etcd.address], ...LIGHTHOUSE });
  await session.session.register("web", up(testNode(8001)), soon());
  assert.ok(session.context.lines.some((line) => /^info etcd authentication disabled/.test(line)));
});

Deno.test("an invalid node is left out with its reason, and the others are served", async () => {
  await using etcd = await Etcd.start();
  await using writer = await open({ endpoints: [etcd.address] });
  await using web = new Follower(writer.session, "web");
  const hostile = [
    ["nonsense", "nonsense"],
    ["injected", '{"host": "a\\nserver evil", "ip": "10.0.0.1", "port": 1}'],
    ["__proto__", '{"host": "x", "ip": "not an ip", "port": 1}'],
    ["sub/key", '{"host": "x", "ip": "10.0.0.1", "port": 1}'],
    ["empty", ""],
    ["huge", `{"host": "x", "ip": "10.0.0.1", "port": 1, "metadata": {"a": "${"x".repeat(100_000)}"}}`],
  ] as const;
  for (const [name, value] of hostile) await etcd.ctl("put", `${WEB}${name}`, value);
  await etcd.ctl("put", `${WEB}web.test:8001`, new TextDecoder().decode(encodeNode(testNode(8001))));
  await web.has(8001);
  for (const [name] of hostile) {
    const isTold = writer.context.lines.some((line) =>
      line.startsWith("warn Entry skipped") && line.includes(`"${name}"`)
    );
    assert.ok(isTold || writer.context.lines.some((line) => /more (?:entry|entries) skipped/.test(line)), name);
  }
});

Deno.test("TLS uses the configured CA, client certificate and server name", async () => {
  await using dir = new TempDir();
  const pem = await makeCertificates(dir);
  const args = ["--cert-file", pem.good, "--key-file", pem.key, "--client-cert-auth", "--trusted-ca-file", pem.ca];
  await using etcd = await Etcd.start({ args, scheme: "https", isOpen: false });
  const tls = { ca: pem.ca, cert: pem.good, key: pem.key };
  await using session = await open({
    endpoints: [`https://${etcd.address}`],
    tls: { ...tls, server_name: "localhost" },
  });
  await session.session.register("web", up(testNode(8001)), soon());
  await using web = new Follower(session.session, "web");
  await web.has(8001);
  for (
    const [wrong, says] of [
      [{ ...tls, server_name: "elsewhere.test" }, /certificate|NotValidForName|altnames/i],
      [{ cert: pem.good, key: pem.key }, /UnknownIssuer|certificate|issuer/i],
      [{ ca: pem.ca }, /certificate|closed|alert/i],
    ] as const
  ) {
    await using other = await open({ endpoints: [etcd.address], tls: wrong });
    await assert.rejects(async () => await other.session.register("web", up(testNode(8002)), soon()), says);
  }
  await assert.rejects(
    open({ endpoints: [etcd.address], tls: { ca: pem.key } }),
    /tls.ca .* must contain a PEM certificate/,
  );
});

Deno.test("a session over TLS can be closed at any moment, without an uncaught error", async () => {
  await using dir = new TempDir();
  const pem = await makeCertificates(dir);
  await using etcd = await Etcd.start({
    args: ["--cert-file", pem.good, "--key-file", pem.key],
    scheme: "https",
    isOpen: false,
  });
  const file = { endpoints: [`https://${etcd.address}`], tls: { ca: pem.ca, server_name: "localhost" } };
  for (let round = 0; round < 120; round++) {
    await using session = await open(file);
    await session.session.register("web", up(testNode(8001)), soon());
    await using web = new Follower(session.session, "web");
    if (round % 2 === 0) await web.has(8001);
    await delay(round % 20, { clock: systemClock, signal: soon() });
  }
});

Deno.test("an etcd restored from an older backup has another epoch, and is followed from its current state", async () => {
  await using etcd = await Etcd.start();
  await using reporter = await open({ endpoints: [etcd.address], session_timeout: 60 });
  await reporter.session.register("web", up(testNode(8001)), soon());
  await etcd.end("SIGTERM");
  await etcd.backUp();
  await etcd.start();
  await reporter.session.register("web", up(testNode(8002)), soon());
  await using writer = await open({ endpoints: [etcd.address] });
  await using web = new Follower(writer.session, "web");
  await web.has(8001, 8002);
  await etcd.end("SIGKILL");
  await etcd.restore();
  await etcd.start();
  await web.has(8001);
  await etcd.ctl("put", `${WEB}web.test:8003`, new TextDecoder().decode(encodeNode(testNode(8003))));
  await web.has(8001, 8003);
  const epochs = web.snapshots.map(({ epoch }) => epoch);
  assert.equal(new Set(epochs).size, 2);
  assert.notEqual(epochs[0], epochs[1], "the one that lacks a node is of another epoch");
  assert.equal(web.snapshots[1]?.leaseMs, 3_000);
  assert.ok(writer.context.lines.some((line) => /^warn Registry lost its history/.test(line)));
});

Deno.test("an emptied etcd has another epoch, in which the cluster does not exist", async () => {
  await using etcd = await Etcd.start();
  for (let at = 0; at < 3; at++) await etcd.ctl("put", "/elsewhere", "x");
  await etcd.ctl("put", `${WEB}web.test:8001`, new TextDecoder().decode(encodeNode(testNode(8001))));
  await using writer = await open({ endpoints: [etcd.address] });
  await using web = new Follower(writer.session, "web");
  await web.has(8001);
  await etcd.wipe();
  await etcd.start();
  await web.has();
  const [first, second] = web.snapshots;
  assert.deepEqual([first?.exists, second?.exists], [true, false]);
  assert.notEqual(first?.epoch, second?.epoch);
});

Deno.test("a cluster whose last node is deleted is empty, and one that never existed does not exist", async () => {
  await using etcd = await Etcd.start();
  await using writer = await open({ endpoints: [etcd.address] });
  await using never = new Follower(writer.session, "never");
  await never.has();
  assert.equal(never.snapshots[0]?.exists, false);
  // The writer of that node left no key that marks the cluster as existing.
  await etcd.ctl("put", `${WEB}web.test:8001`, new TextDecoder().decode(encodeNode(testNode(8001))));
  await using web = new Follower(writer.session, "web");
  await web.has(8001);
  await etcd.ctl("del", `${WEB}web.test:8001`);
  await web.has();
  assert.deepEqual(web.snapshots.map(({ exists }) => exists), [true, true]);
  assert.equal(new Set(web.snapshots.map(({ epoch }) => epoch)).size, 1);
});

Deno.test("a draining node stays, marked as draining", async () => {
  await using etcd = await Etcd.start();
  await using session = await open({ endpoints: [etcd.address] });
  await using web = new Follower(session.session, "web");
  const node = testNode(8001);
  await session.session.register("web", { node, state: "up" }, soon());
  await session.session.register("web", { node, state: "draining" }, soon());
  await eventually("it drains", () => web.snapshots.at(-1)?.nodes[0]?.state === "drain");
  await session.session.register("web", { node, state: "up" }, soon());
  await eventually("it is ready", () => web.snapshots.at(-1)?.nodes[0]?.state === undefined);
});

Deno.test("in a worker of its own it follows keys, with the permissions it requests", async () => {
  await using etcd = await Etcd.start();
  const config = options({ endpoints: [etcd.address] });
  await using host = new PluginHost({
    name: "etcd",
    kind: "discovery",
    module: "builtin:discovery/etcd",
    permissions: toDenoPermissions({ net: config.endpoints }),
    clock: systemClock,
  });
  await host.loaded();
  const scope = { instance: "etcd" };
  await host.call({ type: "start", instance: "etcd", config, scope }, { deadlineMs: 60_000 });
  const leaving = new AbortController();
  const following = host.keys("/proxy/", leaving.signal);
  assert.equal((await following.next()).value?.exists, false);
  await etcd.ctl("put", "/proxy/web", "ü");
  const { value } = await following.next();
  assert.deepEqual([value?.exists, value?.entries], [true, [{ key: "web", value: "ü" }]]);
  for (const key of ["/proxy/web", "/proxy/web2"]) {
    const body = JSON.stringify({ key: btoa(key), value: btoa("x".repeat(1_200_000)) });
    const answer = await fetch(`http://${etcd.address}/v3/kv/put`, { method: "POST", body });
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
  }
  await assert.rejects(async () => {
    for await (const facts of following) assert.ok(facts.entries.length <= 2);
  }, /at most 2097152 characters of JSON/);
  assert.equal(host.dead, undefined);
});

Deno.test("keys() yields all keys under a prefix with their values, and each change to them", async () => {
  await using etcd = await Etcd.start();
  await using session = await open({ endpoints: [etcd.address] });
  const all: unknown[] = [];
  const controller = new AbortController();
  const following = (async () => {
    for await (const facts of session.session.keys("/proxy/", controller.signal)) {
      all.push([facts.exists, facts.entries]);
    }
  })();
  const untilSaid = (wanted: unknown) =>
    eventually("they are said", () => JSON.stringify(all.at(-1)) === JSON.stringify(wanted));
  await untilSaid([false, []]);
  await etcd.ctl("put", "/proxy/web/b", "2");
  await etcd.ctl("put", "/proxy/web/a", "ü");
  await etcd.ctl("put", "/proxyless", "not below");
  await untilSaid([true, [{ key: "web/a", value: "ü" }, { key: "web/b", value: "2" }]]);
  await etcd.ctl("del", "--prefix", "/proxy/");
  await untilSaid([true, []]);
  controller.abort();
  await following;
});

/** An etcd with API 2 enabled. */
function startV2(): Promise<Etcd> {
  return Etcd.start({ args: ["--enable-v2"] });
}

/** Sends a request of API 2. */
async function v2(etcd: Etcd, method: string, key: string, form?: Readonly<Record<string, string>>): Promise<string> {
  const body = form === undefined ? null : new URLSearchParams(form);
  return await (await fetch(`http://${etcd.address}/v2/keys${key}`, { method, body })).text();
}

Deno.test("over API 2, nodes are registered, drained, taken over, renewed, and written again when somebody deletes them", async () => {
  await using etcd = await startV2();
  const config = { endpoints: [etcd.address], session_timeout: 2, api: "v2" };
  await using writer = await open(config);
  await using reporter = await open(config);
  await using web = new Follower(writer.session, "web");
  await using other = new Follower(writer.session, "other");
  await web.has();
  assert.equal(web.snapshots[0]?.exists, false);
  const node = testNode(8001);
  for (const each of [node, testNode(8002)]) await reporter.session.register("web", up(each), soon());
  await web.has(8001, 8002);
  await reporter.session.register("web", { node, state: "draining" }, soon());
  await eventually("it drains", () => web.snapshots.at(-1)?.nodes[0]?.state === "drain");
  await reporter.session.register("web", up(node), soon());
  const before = performance.now();
  await eventually("the time to live is over twice", () => performance.now() - before > 4_500);
  assert.deepEqual(web.ports, [8001, 8002], "they were renewed");
  const deleted = "/lighthouse/services/web/web.test:8002";
  const { node: { modifiedIndex } } = JSON.parse(await v2(etcd, "DELETE", deleted));
  // A renewal may be faster than the writer's next read, which then finds nothing missing.
  await eventually("it is written again", async () => {
    return JSON.parse(await v2(etcd, "GET", deleted)).node?.createdIndex > modifiedIndex;
  });
  await web.has(8001, 8002);
  await using next = await open(config);
  const taken = await next.session.register("web", up({ ...node, ip: "127.0.0.9" }), soon());
  assert.deepEqual(taken, { takenFrom: "127.0.0.1" });
  await reporter.session.deregisterOwn("web", up(node), soon());
  await eventually("it is the other's", () => web.snapshots.at(-1)?.nodes[0]?.ip === "127.0.0.9");
  await reporter.session[Symbol.asyncDispose]();
  await web.has(8001);
  await next.session.deregister("web", up(node), soon());
  await web.has();
  assert.equal(web.snapshots.at(-1)?.exists, true, "the directory stays");
  assert.ok(other.snapshots.every(({ exists }) => !exists));
});

Deno.test("over API 2, a node without renewals expires, and an emptied store has a new epoch", async () => {
  await using etcd = await startV2();
  await using proxy = TcpProxy.start(etcd.port);
  for (let at = 0; at < 5; at++) await v2(etcd, "PUT", "/elsewhere", { value: "x" });
  await using reporter = await open({ endpoints: [proxy.address], session_timeout: 2, api: "v2" });
  await using writer = await open({ endpoints: [etcd.address], api: "v2" });
  await using web = new Follower(writer.session, "web");
  await reporter.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  proxy.pause();
  await web.has();
  proxy.resume();
  await web.has(8001);
  const { epoch } = web.snapshots.at(-1)!;
  await reporter.session[Symbol.asyncDispose]();
  await etcd.wipe();
  await etcd.start();
  await eventually("it does not exist", () => web.snapshots.at(-1)?.exists === false);
  assert.notEqual(web.snapshots.at(-1)?.epoch, epoch);
});

Deno.test("over API 2, a change is delivered even if other changes have pushed it out of the history", async () => {
  await using etcd = await startV2();
  await using proxy = TcpProxy.start(etcd.port);
  await using writer = await open({ endpoints: [proxy.address], api: "v2" });
  await using reporter = await open({ endpoints: [etcd.address], session_timeout: 60, api: "v2" });
  await reporter.session.register("web", up(testNode(8001)), soon());
  await using web = new Follower(writer.session, "web");
  await web.has(8001);
  proxy.pause();
  await reporter.session.register("web", up(testNode(8002)), soon());
  for (let at = 0; at < 1_100; at += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => v2(etcd, "PUT", `/elsewhere/${at + i}`, { value: "x" })));
  }
  proxy.cut();
  proxy.resume();
  await web.has(8001, 8002);
  await reporter.session.deregister("web", up(testNode(8001)), soon());
  await web.has(8002);
});

Deno.test("over API 2, keys() yields all keys under a prefix with their values, and each change to them", async () => {
  await using etcd = await startV2();
  await using session = await open({ endpoints: [etcd.address], api: "v2" });
  const controller = new AbortController();
  const following = session.session.keys("/proxy/", controller.signal);
  const next = async () => {
    const { value } = await following.next();
    return value === undefined ? [] : [value.exists, value.entries];
  };
  assert.deepEqual(await next(), [false, []]);
  await v2(etcd, "PUT", "/proxy/web/b", { value: "2" });
  assert.deepEqual(await next(), [true, [{ key: "web/b", value: "2" }]]);
  await v2(etcd, "PUT", "/proxyless", { value: "not below" });
  await v2(etcd, "PUT", "/proxy/web/a", { value: "ü" });
  assert.deepEqual(await next(), [true, [{ key: "web/a", value: "ü" }, { key: "web/b", value: "2" }]]);
  await v2(etcd, "DELETE", "/proxy/web/b");
  assert.deepEqual(await next(), [true, [{ key: "web/a", value: "ü" }]]);
  controller.abort();
  assert.equal((await following.next()).done, true);
});

Deno.test("an etcd without API 2 is reported as such", async () => {
  await using etcd = await Etcd.start();
  await using session = await open({ endpoints: [etcd.address], api: "v2" });
  await eventually("it is reported", () => session.context.details.some((detail) => /--enable-v2/.test(detail)));
});

Deno.test("over API 2, credentials are sent, and a missing permission is reported with etcd's error", async () => {
  await using etcd = await startV2();
  const root = { authorization: `Basic ${btoa("root:toor")}`, "content-type": "application/json" };
  const admin = async (method: string, path: string, body?: unknown) => {
    const init = { method, headers: root, body: body === undefined ? null : JSON.stringify(body) };
    const response = await fetch(`http://${etcd.address}/v2/auth/${path}`, init);
    const text = await response.text();
    assert(response.ok, `${method} ${path}: ${response.status} ${text}`);
  };
  const rights = ["/lighthouse/*"];
  await admin("PUT", "users/root", { user: "root", password: "toor" });
  await admin("PUT", "roles/services", { role: "services", permissions: { kv: { read: rights, write: rights } } });
  await admin("PUT", "users/lighthouse", { user: "lighthouse", password: "secret", roles: ["services"] });
  await admin("PUT", "enable");
  await admin("DELETE", "roles/guest");
  // Each request of API 2 hashes the password, on a busy machine for longer than a short session lasts.
  await using session = await open({ endpoints: [etcd.address], session_timeout: 60, api: "v2", ...LIGHTHOUSE });
  await using web = new Follower(session.session, "web");
  await session.session.register("web", up(testNode(8001)), soon());
  await web.has(8001);
  await using nobody = await open({ endpoints: [etcd.address], api: "v2" });
  await using denied = new Follower(nobody.session, "web");
  await eventually("the watch is over", () => denied.error !== undefined);
  assert.match(denied.error?.message ?? "", /Cannot read .* from etcd: .*Insufficient credentials/);
});

Deno.test("over API 2, changes are seen at once and no node is lost, however often etcd is killed and emptied", async () => {
  await using etcd = await startV2();
  const config = { endpoints: [etcd.address], session_timeout: 2, api: "v2" };
  await using writer = await open(config);
  await using reporter = await open(config);
  await using web = new Follower(writer.session, "web");
  const ports: number[] = [];
  for (let round = 0; round < 6; round++) {
    const port = 8001 + round;
    ports.push(port);
    // Registered while etcd is going down: whether that succeeded is unknown.
    const registering = reporter.session.register("web", up(testNode(port)), soon()).catch(() => {});
    if (round % 2 === 0) await etcd.end("SIGKILL");
    else await etcd.wipe();
    await registering;
    await etcd.start();
    await eventually("it is registered", async () => {
      await reporter.session.register("web", up(testNode(port)), soon());
      return true;
    });
    await web.has(...ports);
  }
});

/** The section of a cluster or a service, as in a file. */
function section(raw: unknown) {
  const result = clusterSchema["~standard"].validate(raw);
  if ("issues" in result) throw new Error(result.issues.map(({ message }) => message).join("; "));
  return { config: result.value };
}

Deno.test("addresses written by other tools are read by value and by key, and registrations are in the form they read", async () => {
  await using etcd = await Etcd.start();
  await using session = await open({ endpoints: [etcd.address] });
  const values = section({ path: "/proxy/frontend/web", format: "address" });
  const names = section({ path: "/cluster/web/", format: "key", port: 8080 });
  await using byValue = new Follower(session.session, "web", values);
  await using byName = new Follower(session.session, "web2", names);
  await etcd.ctl("put", "/proxy/frontend/web/one", "10.0.0.5:8080");
  await etcd.ctl("put", "/proxy/frontend/web/two", "web.example:8080");
  await etcd.ctl("put", "/cluster/web/10.0.0.6", "up");
  const addresses = ({ snapshots }: Follower) => (snapshots.at(-1)?.nodes ?? []).map(({ ip, port }) => `${ip}:${port}`);
  await eventually(
    "they are read",
    () => addresses(byValue).join() === "10.0.0.5:8080" && addresses(byName).join() === "10.0.0.6:8080",
  );
  assert.ok(session.context.lines.some((line) => /Entry skipped path=\/proxy\/frontend\/web\/: "two"/.test(line)));
  const node = testNode(8080);
  await session.session.register("web", { ...up(node), ...values }, soon());
  await session.session.register("web2", { ...up(node), ...names }, soon());
  assert.deepEqual(
    await etcd.keys("/proxy/frontend/web/"),
    ["one", "two", "web.test:8080"].map((name) => `/proxy/frontend/web/${name}`),
  );
  assert.match(await etcd.ctl("get", "/proxy/frontend/web/web.test:8080"), /\n127\.0\.0\.1:8080\n/);
  assert.deepEqual(await etcd.keys("/cluster/web/"), ["/cluster/web/10.0.0.6", "/cluster/web/127.0.0.1"]);
  // Neither format can mark a draining node: it is removed.
  await session.session.register("web", { node, state: "draining", ...values }, soon());
  await session.session.deregister("web2", { ...up(node), ...names }, soon());
  assert.deepEqual(await etcd.keys("/proxy/frontend/web/w"), []);
  assert.deepEqual(await etcd.keys("/cluster/web/1"), ["/cluster/web/10.0.0.6"]);
});
