import assert from "node:assert/strict";
import etcdPlugin from "../../plugins/discovery/etcd/mod.ts";
import type { FormatSection } from "../../plugins/discovery/formats/table.ts";
import zookeeperPlugin from "../../plugins/discovery/zookeeper/mod.ts";
import type { DiscoveryPlugin, DiscoverySession, Node } from "../../mod.ts";
import { Follower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { NameServer } from "../support/dnsmasq.ts";
import { configured } from "../support/probe.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

let zookeeper: ZooKeeper;
let etcd: Etcd;
Deno.test.beforeAll(async () => {
  [zookeeper, etcd] = await Promise.all([ZooKeeper.start(), Etcd.start({ args: ["--enable-v2"] })]);
});
Deno.test.afterAll(async () => {
  for (const each of [zookeeper, etcd]) await each[Symbol.asyncDispose]();
});

/** A session, and its reports. */
type Opened = DiscoverySession & { readonly context: RecordingContext };

async function open<C>(plugin: DiscoveryPlugin<C>, config: Readonly<Record<string, unknown>>): Promise<Opened> {
  const context = new RecordingContext();
  const session = await plugin.open(await configured(plugin, config), context);
  return Object.assign(session, { context });
}

const openZooKeeper = (chroot = "") =>
  open(zookeeperPlugin as DiscoveryPlugin, {
    hosts: `${zookeeper.address}${chroot}`,
    path: "/lighthouse",
    session_timeout: 5,
  });
const openEtcd = (api = "v3") => open(etcdPlugin as DiscoveryPlugin, { endpoints: [etcd.address], api });

/** A section of a cluster's or a service's file, as the plugin parses it. */
async function section(raw: Readonly<Record<string, unknown>>): Promise<{ readonly config: FormatSection }> {
  const result = await zookeeperPlugin.service?.["~standard"].validate(raw);
  const cluster = await zookeeperPlugin.cluster?.["~standard"].validate(raw);
  const [value] = [result, cluster].flatMap((each) => each !== undefined && "value" in each ? [each.value] : []);
  assert.ok(value !== undefined, JSON.stringify(result));
  return { config: value as FormatSection };
}

/** Writes a key with API 2, as nerve does: sequentially named if it is a directory. */
async function curlV2(method: "PUT" | "POST", key: string, value: string): Promise<void> {
  const url = `http://${etcd.address}/v2/keys${key}`;
  const args = ["--silent", "--fail", "-X", method, url, "--data-urlencode", `value=${value}`];
  const { success } = await new Deno.Command("curl", { args, stdin: "null" }).output();
  assert.ok(success, url);
}

/** Writes a key with the gateway of API 3. */
async function curlV3(key: string, value: string): Promise<void> {
  const encoded = (text: string) => new TextEncoder().encode(text).toBase64();
  const body = JSON.stringify({ key: encoded(key), value: encoded(value) });
  const args = ["--silent", "--fail", `http://${etcd.address}/v3/kv/put`, "--data", body];
  const { success } = await new Deno.Command("curl", { args, stdin: "null" }).output();
  assert.ok(success, key);
}

/** The parts of a node that a test compares. */
function shown({ ip, port, weight, state, zone, labels, metadata }: Node): readonly unknown[] {
  return [`${ip}:${port}`, weight, state, zone, labels, metadata];
}

/** Other tools' values, by format; and the node that each is read as, sorted by address. */
const ENTRIES: Readonly<
  Record<string, {
    readonly section?: Readonly<Record<string, unknown>>;
    readonly entries: Readonly<Record<string, unknown>>;
    readonly wanted: readonly (readonly unknown[])[];
  }>
> = {
  nerve: {
    entries: {
      "i-1_0000000001": { host: "10.0.0.1", port: 80, name: "i-1", weight: 50, labels: { az: "a" } },
      "i-2_": { host: "10.0.0.2", port: 80, name: "i-2", weight: 0 },
      [encodedName({ host: "10.0.0.3", port: 80, name: "i-3", haproxy_server_options: "weight 7\nserver evil" })]: "",
      "broken": "{",
    },
    wanted: [
      ["10.0.0.1:80", 50, undefined, undefined, { az: "a" }, { name: "i-1" }],
      ["10.0.0.2:80", undefined, "drain", undefined, undefined, { name: "i-2" }],
      ["10.0.0.3:80", 7, undefined, undefined, undefined, { name: "i-3" }],
    ],
  },
  serverset: {
    section: { endpoint: "http" },
    entries: {
      "member_0000000001": member("10.0.0.1", "ALIVE"),
      "member_0000000002": member("10.0.0.2", "STOPPING"),
      "member_0000000003": member("10.0.0.3", "STARTING"),
      "member_0000000004": { status: "ALIVE", serviceEndpoint: { host: "10.0.0.4", port: 1 } },
      "vector_0000000001": { vector: [] },
    },
    wanted: [
      ["10.0.0.1:80", undefined, undefined, undefined, undefined, { ports: { http: 80, admin: 81 }, shard: 2 }],
      ["10.0.0.2:80", undefined, "drain", undefined, undefined, { ports: { http: 80, admin: 81 }, shard: 2 }],
    ],
  },
  curator: {
    entries: {
      "5d1c": { name: "web", id: "5d1c", address: "10.0.0.1", port: 80, payload: null, serviceType: "DYNAMIC" },
      "6d1c": {
        ...{ name: "web", id: "6d1c", address: "10.0.0.2", port: 80 },
        payload: { "@class": "x", metadata: { instance_status: "OUT_OF_SERVICE", weight: "5", zone: "b" } },
      },
    },
    wanted: [
      ["10.0.0.1:80", undefined, undefined, undefined, undefined, {}],
      ["10.0.0.2:80", 5, "drain", "b", undefined, {}],
    ],
  },
  "mesos-master": {
    entries: {
      "json.info_0000000007": { address: { ip: "10.0.0.7", port: 5050 } },
      "json.info_0000000003": { address: { ip: "10.0.0.3", port: 5050 }, version: "1.11.0" },
      "log_replicas": "x",
    },
    wanted: [["10.0.0.3:5050", undefined, undefined, undefined, undefined, { version: "1.11.0" }]],
  },
  json: {
    section: { fields: { ip: "addr", port: "port", weight: "w", zone: "az", state: "s" } },
    entries: {
      one: { addr: "10.0.0.1", port: 80, w: 9, az: "a", s: "up" },
      two: { addr: "10.0.0.2", port: "80", s: "draining" },
    },
    wanted: [
      ["10.0.0.1:80", 9, undefined, "a", undefined, {}],
      ["10.0.0.2:80", undefined, "drain", undefined, undefined, {}],
    ],
  },
};

function member(host: string, status: string): unknown {
  const additionalEndpoints = { http: { host, port: 80 }, admin: { host, port: 81 } };
  return { status, serviceEndpoint: { host, port: 8080 }, additionalEndpoints, shard: 2 };
}

function encodedName(value: unknown): string {
  const text = new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url" });
  return `base64_${text.length}_${text}_0000000009`;
}

const text = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);

for (const [format, { section: more, entries, wanted }] of Object.entries(ENTRIES)) {
  const isRead = async (session: Opened, path: string) => {
    await using follower = new Follower(session, "web", await section({ path, format, ...more }));
    await eventually("they are read", () => {
      if (follower.error !== undefined) throw follower.error;
      const seen = (follower.snapshots.at(-1)?.nodes ?? []).map(shown);
      assert.deepEqual(seen, wanted);
      return true;
    });
    const lines = session.context.lines.join("\n");
    if ("broken" in entries) assert.match(lines, /Entry skipped .*"broken"/);
    assert.doesNotMatch(lines, /vector_|log_replicas|member_0000000003/);
  };

  Deno.test(`zookeeper reads the ${format} format as kazoo writes it, even below a chroot`, async () => {
    await using kazoo = await KazooPeer.start(zookeeper.address);
    for (const [name, value] of Object.entries(entries)) {
      await kazoo.make(`/chroot/read/${format}/${name}`, text(value));
    }
    await using session = await openZooKeeper();
    await isRead(session, `/chroot/read/${format}`);
    await using below = await openZooKeeper("/chroot");
    await isRead(below, `/read/${format}`);
  });

  Deno.test(`etcd reads the ${format} format as etcdctl and curl write it`, async () => {
    for (const [at, [name, value]] of Object.entries(entries).entries()) {
      const key = `/read/${format}/${name}`;
      if (at % 2 === 0) await etcd.ctl("put", key, "--", text(value));
      else await curlV3(key, text(value));
      await curlV2("PUT", key, text(value));
    }
    for (const api of ["v3", "v2"]) {
      await using session = await openEtcd(api);
      await isRead(session, `/read/${format}`);
    }
  });
}

Deno.test("etcd reads nerve's sequentially named keys", async () => {
  const value = { host: "10.0.0.1", port: 80, name: "i-1" };
  await curlV2("POST", "/nerve/web/i-1", JSON.stringify(value));
  await curlV2("POST", "/nerve/web/i-2", JSON.stringify({ ...value, host: "10.0.0.2" }));
  await using session = await openEtcd("v2");
  await using follower = new Follower(session, "web", await section({ path: "/nerve/web", format: "nerve" }));
  await eventually("both are read", () => follower.snapshots.at(-1)?.nodes.length === 2);
});

/** The value written for a node that is up, and for one that drains. */
const WRITTEN: Readonly<
  Record<string, {
    readonly section?: Readonly<Record<string, unknown>>;
    readonly name: RegExp;
    readonly inEtcd: string;
    readonly up: unknown;
    readonly draining: unknown;
  }>
> = {
  nerve: {
    name: /^web\.test_[0-9]{10}$/,
    inEtcd: "web.test:8001",
    up: { host: "127.0.0.1", port: 8001, name: "web.test", weight: 7 },
    draining: { host: "127.0.0.1", port: 8001, name: "web.test", weight: 0 },
  },
  serverset: {
    section: { endpoint: "http", shard: 4 },
    name: /^member_[0-9]{10}$/,
    inEtcd: "member_web.test:8001",
    up: { ...writtenMember("ALIVE"), metadata: { weight: "7" } },
    draining: { ...writtenMember("STOPPING"), metadata: { weight: "7" } },
  },
  curator: {
    name: /^web\.test:8001$/,
    inEtcd: "web.test:8001",
    up: writtenInstance({}),
    draining: writtenInstance({ enabled: false }),
  },
  json: {
    section: { fields: { ip: "addr", weight: "w", state: "s" } },
    name: /^web\.test:8001$/,
    inEtcd: "web.test:8001",
    up: { addr: "127.0.0.1", port: 8001, w: 7, s: "ready" },
    draining: { addr: "127.0.0.1", port: 8001, w: 7, s: "drain" },
  },
  address: { name: /^web\.test:8001$/, inEtcd: "web.test:8001", up: "127.0.0.1:8001", draining: undefined },
  key: {
    section: { port: 8001 },
    name: /^127\.0\.0\.1$/,
    inEtcd: "127.0.0.1",
    up: "127.0.0.1:8001",
    draining: undefined,
  },
};

function writtenMember(status: string): Readonly<Record<string, unknown>> {
  const endpoint = { host: "127.0.0.1", port: 8001 };
  return { status, serviceEndpoint: endpoint, additionalEndpoints: { http: endpoint }, shard: 4 };
}

function writtenInstance(more: Readonly<Record<string, unknown>>): unknown {
  const id = "web.test:8001";
  const metadata = { weight: "7" };
  return {
    ...{ name: "web", id, address: "127.0.0.1", port: 8001, sslPort: null },
    payload: { "@class": "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance", id, name: "web", metadata },
    ...{ registrationTimeUTC: 0, serviceType: "DYNAMIC", uriSpec: null, ...more },
  };
}

const parsed = (value: string | undefined) => value?.startsWith("{") ? JSON.parse(value) : value;

for (const [format, { section: more, name, inEtcd, up: wantedUp, draining }] of Object.entries(WRITTEN)) {
  const node: Node = { ...testNode(8001), weight: 7 };

  Deno.test(`zookeeper writes the ${format} format so that kazoo can read it, changes an entry in place, and removes it`, async () => {
    await using kazoo = await KazooPeer.start(zookeeper.address);
    const path = `/write/${format}`;
    const options = await section({ path, format, ...more });
    await using session = await openZooKeeper();
    const entries = async () => Object.entries(await kazoo.readAll(path));
    await session.register?.("web", { ...up(node), ...options }, soon());
    const [[first = "", value] = []] = await entries();
    assert.match(first, name);
    assert.deepEqual(parsed(value), wantedUp);
    assert.notEqual((await kazoo.look(`${path}/${first}`))?.ephemeralOwner, "0");
    await session.register?.("web", { ...up(node), ...options }, soon());
    assert.deepEqual((await entries()).map(([each]) => each), [first]);
    assert.equal((await kazoo.look(`${path}/${first}`))?.version, 0, "an unchanged node is not written again");
    await session.register?.("web", { node, state: "draining", ...options }, soon());
    assert.deepEqual(
      (await entries()).map(([each, data]) => [each, parsed(data)]),
      draining === undefined ? [] : [[first, draining]],
    );
    await session.deregister?.("web", { ...up(node), ...options }, soon());
    assert.deepEqual(await entries(), []);
    await session.register?.("web", { ...up(node), ...options }, soon());
    await session[Symbol.asyncDispose]();
    assert.deepEqual(await entries(), []);
  });

  Deno.test(`etcd writes the ${format} format so that etcdctl can read it, changes an entry in place, and removes it`, async () => {
    const path = `/write/${format}`;
    const options = await section({ path, format, ...more });
    await using session = await openEtcd();
    const value = async () => {
      const found = (await etcd.ctl("get", "--print-value-only", `${path}/${inEtcd}`)).trimEnd();
      return parsed(found === "" ? undefined : found);
    };
    await session.register?.("web", { ...up(node), ...options }, soon());
    assert.deepEqual(await etcd.keys(`${path}/`), [`${path}/${inEtcd}`]);
    assert.deepEqual(await value(), wantedUp);
    await session.register?.("web", { node, state: "draining", ...options }, soon());
    assert.deepEqual(await value(), draining);
    await session.deregister?.("web", { ...up(node), ...options }, soon());
    assert.deepEqual(await etcd.keys(`${path}/`), []);
  });
}

Deno.test("a sequential znode that another client deletes is created again once, with a new number, in the current session", async () => {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  const path = "/numbered/deleted";
  const options = await section({ path, format: "serverset" });
  await using session = await openZooKeeper();
  await session.register?.("web", { ...up(testNode(8001)), ...options }, soon());
  const [first = ""] = Object.keys(await kazoo.readAll(path));
  await kazoo.ask("delete", { path: `${path}/${first}` });
  const [second = ""] = await eventually("it is there again", async () => {
    const names = Object.keys(await kazoo.readAll(path));
    return names.length > 0 ? names : undefined;
  });
  assert.notEqual(second, first);
  await session.register?.("web", { ...up(testNode(8001)), ...options }, soon());
  assert.deepEqual(Object.keys(await kazoo.readAll(path)), [second]);
  await session.deregisterOwn?.("web", { ...up(testNode(8001)), ...options }, soon());
  assert.deepEqual(await kazoo.readAll(path), {});
});

Deno.test("a sequential znode of another session is taken over without a gap, left alone by release, and removed when its node is down", async () => {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  const path = "/numbered/moving";
  const options = await section({ path, format: "nerve" });
  const registration = { ...up(testNode(8001)), ...options };
  await kazoo.make(`${path}/web.test_`, JSON.stringify({ host: "127.0.0.1", port: 8001, name: "web.test" }), {
    ephemeral: true,
    sequence: true,
  });
  await kazoo.make(`${path}/web.test_`, JSON.stringify({ host: "127.0.0.2", port: 8001, name: "web.test" }), {
    sequence: true,
  });
  await using reader = await openZooKeeper();
  await using follower = new Follower(reader, "web", options);
  await follower.has(8001, 8001);
  await using old = await openZooKeeper();
  await using next = await openZooKeeper();
  await old.register?.("web", registration, soon());
  await next.register?.("web", registration, soon());
  assert.equal(Object.keys(await kazoo.readAll(path)).length, 2);
  await old.deregisterOwn?.("web", registration, soon());
  assert.equal(Object.keys(await kazoo.readAll(path)).length, 2);
  await old[Symbol.asyncDispose]();
  await reader.deregister?.("web", registration, soon());
  const left = Object.values(await kazoo.readAll(path)).map((value) => JSON.parse(value).host);
  assert.deepEqual(left, ["127.0.0.2"], "another address under the same name is another node");
  await eventually("it is gone", () => follower.snapshots.at(-1)?.nodes.length === 1);
  assert.deepEqual(follower.counts, [2, 1], "the node never left before");
  assert.doesNotMatch(reader.context.lines.join("\n"), /warn/);
});

Deno.test("200 members are read at once, and a registered member finds its own among them", async () => {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  const path = "/numbered/many";
  const options = await section({ path, format: "serverset" });
  for (let at = 0; at < 200; at++) {
    await kazoo.make(`${path}/member_`, text(member(`10.0.0.${at}`, "ALIVE")), { sequence: true });
  }
  await using session = await openZooKeeper();
  await session.register?.("web", { ...up(testNode(8001)), ...options }, soon());
  await using follower = new Follower(session, "web", options);
  await eventually("all are read", () => follower.snapshots.at(-1)?.nodes.length === 201);
  assert.equal(follower.snapshots.length, 1);
  await session.deregister?.("web", { ...up(testNode(8001)), ...options }, soon());
  await eventually("it is gone", () => follower.snapshots.at(-1)?.nodes.length === 200);
});

Deno.test("zookeeper resolves the host names of a serverset with resolve_names, and otherwise leaves them out", async () => {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using dns = await NameServer.start([
    "host-record=a.example,10.0.0.1",
    "host-record=b.example,::b",
    "local=/example/",
  ]);
  const path = "/named";
  for (const host of ["a.example", "b.example", "gone.example", "refused.test", "10.0.0.9"]) {
    await kazoo.make(`${path}/member_`, text(member(host, "ALIVE")), { sequence: true });
  }
  const options = await section({ path, format: "serverset" });
  for (const resolves of [true, false]) {
    const scope = { instance: "test", nameServers: [dns.target], searchDomains: [], ndots: 1 };
    const context = Object.assign(new RecordingContext(), { scope });
    const config = { hosts: zookeeper.address, path: "/lighthouse", resolve_names: resolves };
    await using session = await zookeeperPlugin.open(await configured(zookeeperPlugin, config), context);
    await using follower = new Follower(session, "web", options);
    await eventually("they are read", () => {
      if (follower.error !== undefined) throw follower.error;
      return follower.snapshots.length > 0;
    }, { deadlineMs: 15_000 });
    const seen = follower.snapshots[0]?.nodes.map(({ host, ip }) => `${host} ${ip}`);
    assert.deepEqual(seen, ["10.0.0.9 10.0.0.9", ...resolves ? ["a.example 10.0.0.1", "b.example ::b"] : []]);
    const lines = context.lines.join("\n");
    if (resolves) assert.match(lines, /Cannot resolve A refused.test: .*REFUSED/);
    assert.match(lines, resolves ? /Cannot resolve gone.example: no such name/ : /unresolved host name "gone.example"/);
  }
});

Deno.test("the next master in line is the node when the leader's znode is gone", async () => {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  const path = "/mesos";
  const put = (number: number) =>
    kazoo.make(
      `${path}/json.info_000000000${number}`,
      JSON.stringify({ address: { ip: `10.0.0.${number}`, port: 5050 } }),
    );
  for (const number of [4, 2]) await put(number);
  await using session = await openZooKeeper();
  await using follower = new Follower(session, "web", await section({ path, format: "mesos-master" }));
  const leader = (ip: string) =>
    eventually(`${ip} leads`, () => follower.snapshots.at(-1)?.nodes.map((node) => node.ip).join() === ip);
  await leader("10.0.0.2");
  await kazoo.ask("delete", { path: `${path}/json.info_0000000002` });
  await leader("10.0.0.4");
  await put(3);
  await leader("10.0.0.3");
});

Deno.test("keys() of zookeeper yields all znodes below a path as kazoo creates, changes and deletes them, and no directories", async () => {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using session = await openZooKeeper("/chroot");
  const all: unknown[] = [];
  const controller = new AbortController();
  const following = (async () => {
    for await (const { exists, entries } of session.keys?.("/templates/", controller.signal) ?? []) {
      all.push([exists, entries]);
    }
  })();
  const untilSaid = (wanted: unknown) =>
    eventually("they are said", () => {
      assert.deepEqual(all.at(-1), wanted);
      return true;
    });
  await untilSaid([false, []]);
  await kazoo.make("/chroot/templates/web/b", "2");
  await kazoo.make("/chroot/templates/web/a", "ü");
  await kazoo.make("/chroot/templates/empty", "");
  await kazoo.make("/chroot/templatesless", "not below");
  const entry = (key: string, value: string) => ({ key, value });
  await untilSaid([true, [entry("empty", ""), entry("web/a", "ü"), entry("web/b", "2")]]);
  await kazoo.ask("set", { path: "/chroot/templates/web/a", data: btoa("3") });
  await kazoo.ask("set", { path: "/chroot/templates/web", data: btoa("both") });
  await untilSaid([true, [entry("empty", ""), entry("web", "both"), entry("web/a", "3"), entry("web/b", "2")]]);
  for (const path of ["web/a", "web/b", "web", "empty"]) {
    await kazoo.ask("delete", { path: `/chroot/templates/${path}` });
  }
  await untilSaid([true, []]);
  await kazoo.ask("delete", { path: "/chroot/templates" });
  await untilSaid([false, []]);
  await kazoo.make("/chroot/templates/again/deep", "1");
  await untilSaid([true, [entry("again/deep", "1")]]);
  controller.abort();
  await following;
});
