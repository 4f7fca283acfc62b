import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const BASE = "/lighthouse/services";

/** Two clusters over ZooKeeper, each with a healthy service, and a writer. */
class Stage implements AsyncDisposable {
  private constructor(
    readonly host: TestHost,
    readonly kazoo: KazooPeer,
    readonly writer: Lighthouse,
    readonly victim: WebService,
    readonly bystander: WebService,
    readonly stack: AsyncDisposableStack,
  ) {}

  static async set(): Promise<Stage> {
    await using stack = new AsyncDisposableStack();
    const zookeeper = stack.use(await ZooKeeper.start());
    const host = stack.use(new TestHost());
    const kazoo = stack.use(await KazooPeer.start(zookeeper.address));
    await host.write("balancers/haproxy", host.haproxy.file);
    await host.write("discovery/zookeeper", { hosts: [zookeeper.address], path: BASE });
    for (const cluster of ["web", "quiet"]) {
      const section = { port: freePort(), backend: ["mode http"] };
      await host.write(`clusters/${cluster}`, { discovery: "zookeeper", max_nodes: 500, haproxy: section });
    }
    const victim = stack.use(new WebService());
    const bystander = stack.use(new WebService());
    await kazoo.write("put", `${BASE}/web/good:${victim.port}`, await kazoo.payload(victim.port, { host: "good" }));
    const other = await kazoo.payload(bystander.port, { host: "other" });
    await kazoo.write("put", `${BASE}/quiet/other:${bystander.port}`, other);
    const writer = stack.use(Lighthouse.start("writer", host.configDir));
    await host.untilServing("web", [victim.port]);
    await host.untilServing("quiet", [bystander.port]);
    return new Stage(host, kazoo, writer, victim, bystander, stack.move());
  }

  /** Adds a node to the other cluster, and waits until it is served: the writer still works. */
  async otherClusterGoesOn(): Promise<void> {
    await using third = new WebService();
    const path = `${BASE}/quiet/third:${third.port}`;
    await this.kazoo.write("put", path, await this.kazoo.payload(third.port, { host: "third" }));
    await this.host.untilServing("quiet", [this.bystander.port, third.port]);
    await this.kazoo.ask("delete", { path });
    await this.host.untilServing("quiet", [this.bystander.port]);
  }

  /** The part of HAProxy's file for the attacked cluster. */
  async servers(): Promise<readonly string[]> {
    const file = await Deno.readTextFile(this.host.haproxy.configFile);
    const [, backend = ""] = file.split(/^backend web$/m);
    const [own = ""] = backend.split(/^(?:backend|frontend|listen|peers) /m);
    return [...own.matchAll(/^\s+server (.*)$/gm)].map(([, line = ""]) => line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}

const DEEP = "[".repeat(5_000) + "]".repeat(5_000);

/** Contents of hostile znodes; every one is left out. */
const PAYLOADS: Readonly<Record<string, string>> = {
  "a line feed in the host": '{"host":"evil\\n\\tserver evil 6.6.6.6:66","ip":"127.0.0.1","port":1}',
  "a command in the host": '{"host":"evil;shutdown sessions server web/good","ip":"127.0.0.1","port":1}',
  "spaces in the host": '{"host":"evil check inter 1","ip":"127.0.0.1","port":1}',
  "control characters in the host": '{"host":"evil\\u001b[2J\\u0000","ip":"127.0.0.1","port":1}',
  "options in the address": '{"host":"evil","ip":"127.0.0.1:1 backup","port":1}',
  "a name as the address": '{"host":"evil","ip":"attacker.test","port":1}',
  "a port that is none": '{"host":"evil","ip":"127.0.0.1","port":"1 weight 256"}',
  "a port out of range": '{"host":"evil","ip":"127.0.0.1","port":65536}',
  "a fraction as the port": '{"host":"evil","ip":"127.0.0.1","port":1.5}',
  "a hostile peer":
    '{"host":"evil","ip":"127.0.0.1","port":1,"peer":"{\\"name\\":\\"x\\\\n\\\\tbind :1\\",\\"ip\\":\\"1.2.3.4\\",\\"port\\":1}"}',
  "JSON that is too deep": DEEP,
  "a list": "[1,2,3]",
  "a number": "1e999",
  "no JSON": "\u0000\u0001\u0002",
  "nothing": "",
};

/** Invalid metadata is dropped, as its node is valid without it. */
const METADATA: readonly unknown[] = [`{"a":${DEEP}}`, "x".repeat(900_000), "\ud800", 7];

Deno.test("hostile znodes affect only themselves: not HAProxy's file, not its socket, not the log", async () => {
  await using stage = await Stage.set();
  const pid = await stage.host.haproxy.pid();
  let index = 0;
  for (const payload of Object.values(PAYLOADS)) {
    await stage.kazoo.write("put", `${BASE}/web/evil:${++index}`, new TextEncoder().encode(payload));
  }
  for (const [at, metadata] of METADATA.entries()) {
    const payload = JSON.stringify({ host: "odd", ip: "127.0.0.1", port: at + 1, metadata });
    await stage.kazoo.write("put", `${BASE}/web/odd:${at + 1}`, new TextEncoder().encode(payload));
  }
  // Names that are special in a config line, in a command, in a path or in JavaScript.
  for (
    const name of ["a b:1", "x;y:1", "..evil:1", "__proto__", "constructor", "evil%2f..:1", "\u202eevil:1", ":", "é:1"]
  ) {
    await stage.kazoo.write("put", `${BASE}/web/${name}`, new TextEncoder().encode("{}"));
  }
  // Keys that could pollute prototypes are data like any other.
  const polluting =
    '{"host":"fine","ip":"127.0.0.1","port":1,"__proto__":{"host":"evil"},"metadata":"{\\"__proto__\\":{\\"polluted\\":1},\\"constructor\\":{\\"prototype\\":{}}}"}';
  await stage.kazoo.write("put", `${BASE}/web/fine:1`, new TextEncoder().encode(polluting));
  await stage.host.untilServing("web", [stage.victim.port, 1, 1, 2, 3, 4]);
  await stage.otherClusterGoesOn();
  await eventually("the file follows", async () => (await stage.servers()).length === 6);
  assert.deepEqual((await stage.servers()).map((line) => line.split(":")[0]).toSorted(), [
    "fine",
    "good",
    "odd",
    "odd",
    "odd",
    "odd",
  ]);
  assert.equal(await stage.host.haproxy.pid(), pid, "and no reload for any of it");
  // Of many at once, some are logged as a number.
  const told = [...stage.writer.log.matchAll(/event=discovery\.entry_skipped .*?reason="?(?:(\d+) more)?/g)];
  const count = told.reduce((sum, [, more = "1"]) => sum + Number(more), 0);
  assert.equal(count, index + 9, "each is logged, once");
  // deno-lint-ignore no-control-regex -- the log must contain none.
  assert.doesNotMatch(stage.writer.log, /[\u0000-\u0009\u000b-\u001f\u202e]/, "and cannot write to a terminal");
  for (const line of stage.writer.log.split("\n")) assert.ok(line.length < 4_000, "nor fill the disk");
  assert.match(await (await fetch(`http://127.0.0.1:${stage.victim.port}/`)).text(), /hello/);
});

const EVIL = "evil\n\tserver evil 6.6.6.6:66";

/** Contents of hostile znodes in other tools' formats, by format and name; every one is left out, or served without any of its text. */
const FOREIGN: Readonly<
  Record<string, {
    readonly section?: Readonly<Record<string, unknown>>;
    readonly good: (port: number) => readonly [name: string, value: unknown];
    readonly evil: Readonly<Record<string, unknown>>;
  }>
> = {
  nerve: {
    good: (port) => [
      "good_0000000001",
      {
        host: "127.0.0.1",
        port,
        name: EVIL,
        haproxy_server_options: `${EVIL} check inter 1 maxconn 1`,
        labels: { a: "b c" },
      },
    ],
    evil: {
      "host_0000000002": { host: EVIL, port: 1 },
      "port_0000000003": { host: "127.0.0.1", port: "1 check" },
      "weight_0000000004": { host: "127.0.0.1", port: 1, weight: "256 backup" },
      "labels_0000000005": { host: "127.0.0.1", port: 1, labels: { a: EVIL } },
      "base64_4_!!!!_0000000006": {},
      "base64_99999_e30_0000000007": {},
      "__proto__": { host: { toString: 1 }, port: [1] },
      "deep_0000000008": DEEP,
    },
  },
  serverset: {
    section: { endpoint: "http" },
    good: (port) => [
      "member_0000000001",
      {
        status: "ALIVE",
        serviceEndpoint: { host: EVIL, port: 1 },
        additionalEndpoints: { http: { host: "127.0.0.1", port }, [EVIL]: { host: EVIL, port: 1 } },
        metadata: { weight: EVIL, zone: EVIL },
      },
    ],
    evil: {
      "member_0000000002": { status: EVIL, serviceEndpoint: { host: "127.0.0.1", port: 1 } },
      "member_0000000003": { status: "ALIVE", additionalEndpoints: { http: { host: EVIL, port: 1 } } },
      "member_0000000004": { status: "ALIVE", additionalEndpoints: [] },
      "member_0000000005": DEEP,
      "member_constructor": '{"additionalEndpoints":{"__proto__":{"http":{"host":"127.0.0.1","port":1}}}}',
    },
  },
  curator: {
    good: (port) => ["good", { address: "127.0.0.1", port, payload: { metadata: { zone: EVIL, weight: EVIL } } }],
    evil: {
      a: { address: EVIL, port: 1 },
      b: { address: "127.0.0.1", port: null, sslPort: EVIL },
      c: { address: "127.0.0.1", port: 1, payload: { metadata: { instance_status: EVIL } } },
    },
  },
  json: {
    section: { fields: { ip: "ip", port: "port", host: "h", weight: "w", zone: "z", state: "s", metadata: "m" } },
    good: (port) => ["good", { ip: "127.0.0.1", port, m: { a: EVIL } }],
    evil: {
      a: { ip: "127.0.0.1", port: 1, h: EVIL },
      b: { ip: "127.0.0.1", port: 1, w: EVIL },
      c: { ip: "127.0.0.1", port: 1, z: EVIL },
      d: { ip: "127.0.0.1", port: 1, s: EVIL },
    },
  },
};

Deno.test("hostile entries of other tools' formats affect only themselves, and none of their text reaches HAProxy", async () => {
  await using stage = await Stage.set();
  const write = async (path: string, value: unknown) =>
    void await stage.kazoo.make(path, typeof value === "string" ? value : JSON.stringify(value));
  for (const [format, { section, good, evil }] of Object.entries(FOREIGN)) {
    const path = `/foreign/${format}`;
    for (const [name, value] of Object.entries(evil)) await write(`${path}/${name}`, value);
    const [name, value] = good(stage.victim.port);
    await write(`${path}/${name}`, value);
    await stage.host.write(`clusters/${format}`, {
      discovery: "zookeeper",
      zookeeper: { path, format, ...section },
      haproxy: { port: freePort(), backend: ["mode http"] },
    });
  }
  for (const format of Object.keys(FOREIGN)) await stage.host.untilServing(format, [stage.victim.port]);
  await stage.otherClusterGoesOn();
  const file = await Deno.readTextFile(stage.host.haproxy.configFile);
  assert.doesNotMatch(file, /evil|6\.6\.6\.6|maxconn 1\b/);
  // deno-lint-ignore no-control-regex -- the log must contain none.
  assert.doesNotMatch(stage.writer.log, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  for (const line of stage.writer.log.split("\n")) assert.ok(line.length < 4_000);
});

Deno.test("two znodes that claim the same name become one server, and the znode with that name wins", async () => {
  await using stage = await Stage.set();
  const { port } = stage.victim;
  const claim = new TextEncoder().encode(JSON.stringify({ host: "good", ip: "127.6.6.6", port }));
  await stage.kazoo.write("put", `${BASE}/web/aaa-first:1`, claim);
  await stage.kazoo.write("put", `${BASE}/web/zzz-last:1`, claim);
  await stage.otherClusterGoesOn();
  assert.deepEqual(await stage.host.haproxy.serving("web"), [`good:${port} 127.0.0.1:${port}`]);
});

Deno.test("a cluster of 100,000 znodes is rejected, and the other clusters are unaffected", async () => {
  await using stage = await Stage.set();
  await stage.kazoo.ask("fill", { path: `${BASE}/web`, count: 100_000 });
  await stage.otherClusterGoesOn();
  await stage.writer.logged(/more nodes than max_nodes|cannot be read|event=cluster\.watch_failed/);
  assert.deepEqual(await stage.host.serving("web"), [stage.victim.port]);
  await stage.otherClusterGoesOn();
  const status = await Deno.readTextFile(`/proc/${stage.writer.pid}/status`);
  const megabytes = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024;
  assert.ok(megabytes < 1_024, `${megabytes} MB`);
});
