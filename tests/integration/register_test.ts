import assert from "node:assert/strict";
import { type CliResult, runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** Runs until a signal ends it. */
const FOREVER = ["sh", "-c", "while :; do sleep 0.05; done"];

function register(host: TestHost, discovery: string, rest: readonly string[]): readonly string[] {
  return ["register", host.configDir, discovery, "web", "127.0.0.1:8001", "--name", "app.test", ...rest];
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("register keeps a node while its command runs, and deregisters it before it returns the status", async () => {
  await using host = new TestHost();
  await host.configure();
  const file = `${host.registryDir}/web/app.test:8001.json`;
  const script = `until [ -e '${file}' ]; do sleep 0.05; done; cat '${file}'; exit 7`;
  const { code, stdout } = await runCli(
    register(host, "file", ["--metadata", '{"color":"blue"}', "--ttl", "9s", "--", "sh", "-c", script]),
  );
  assert.equal(code, 7);
  const { host: name, ip, port, metadata, ttl } = JSON.parse(stdout);
  assert.deepEqual({ name, ip, port, metadata, ttl }, {
    name: "app.test",
    ip: "127.0.0.1",
    port: 8001,
    metadata: { color: "blue" },
    ttl: 9,
  });
  assert.equal(await exists(file), false);
});

Deno.test.each(
  [
    { signal: "SIGTERM", trap: "TERM" },
    { signal: "SIGINT", trap: "INT" },
    { signal: "SIGHUP", trap: "HUP" },
  ] as const,
)("register forwards $signal, and goes on while its command does", async ({ signal, trap }) => {
  await using host = new TestHost();
  await host.configure();
  const file = `${host.registryDir}/web/app.test:8001.json`;
  const [release, script] = [
    host.dir.file("release"),
    `trap 'echo got ${trap}' ${trap}; echo ready;
    until [ -e '${host.dir.file("release")}' ]; do sleep 0.05; done; exit 3`,
  ];
  await using running = Lighthouse.startCommand(register(host, "file", ["--", "sh", "-c", script]));
  await eventually("the node is registered", async () => running.output.includes("ready") && await exists(file));
  running.kill(signal);
  await eventually("the command has heard it", () => running.output.includes(`got ${trap}`));
  assert.equal(await exists(file), true);
  await host.dir.write("release", "");
  assert.equal(await running.ended(), 3, release);
  assert.equal(await exists(file), false);
});

Deno.test("register returns 128 + n for a command ended by signal n", async () => {
  await using host = new TestHost();
  await host.configure();
  assert.equal((await runCli(register(host, "file", ["--", "sh", "-c", "kill -9 $$"]))).code, 137);
  await using running = Lighthouse.startCommand(register(host, "file", ["--", ...FOREVER]));
  const file = `${host.registryDir}/web/app.test:8001.json`;
  await eventually("the node is registered", () => exists(file));
  running.kill("SIGTERM");
  assert.equal(await running.ended(), 143);
  assert.equal(await exists(file), false);
});

Deno.test("register keeps a node in etcd and in ZooKeeper, in a session of its own", async () => {
  await using etcd = await Etcd.start();
  await using zookeeper = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using host = new TestHost();
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  await host.write("discovery/zookeeper", { hosts: [zookeeper.address], path: "/lighthouse" });
  await using inEtcd = Lighthouse.startCommand(register(host, "etcd", ["--ttl", "33s", "--", ...FOREVER]));
  await using inZooKeeper = Lighthouse.startCommand(register(host, "zookeeper", ["--", ...FOREVER]));
  const key = "/lighthouse/services/web/app.test:8001";
  const keys = async () => await etcd.keys("/lighthouse/services/web/");
  await eventually("the key is there", async () => (await keys()).includes(key));
  const [lease = ""] = (await etcd.ctl("lease", "list")).trim().split("\n").slice(-1);
  assert.match(await etcd.ctl("lease", "timetolive", lease), /granted with TTL\(33s\)/);
  const znode = "/lighthouse/web/app.test:8001";
  await eventually("the znode is there", async () => await kazoo.look(znode) !== null);
  assert.notEqual((await kazoo.look(znode))?.ephemeralOwner, "0");
  for (const running of [inEtcd, inZooKeeper]) {
    running.kill("SIGTERM");
    assert.equal(await running.ended(), 143);
  }
  assert.equal((await keys()).includes(key), false);
  assert.equal(await kazoo.look(znode), null);
});

Deno.test("register --format writes the value in other tools' formats", async () => {
  await using etcd = await Etcd.start();
  await using host = new TestHost();
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  await using _running = Lighthouse.startCommand(register(host, "etcd", ["--format", "address", "--", ...FOREVER]));
  await eventually("the address is the value", async () => {
    const values = await etcd.ctl("get", "--prefix", "--print-value-only", "/lighthouse/services/web/");
    return values.trim() === "127.0.0.1:8001";
  });
});

Deno.test("register runs its command while the registry is down, and registers once it is up", async () => {
  await using etcd = await Etcd.start();
  await etcd.end("SIGTERM");
  await using host = new TestHost();
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  await using running = Lighthouse.startCommand(
    register(host, "etcd", ["--", "sh", "-c", "echo ready; while :; do sleep 0.05; done"]),
  );
  await eventually("the command runs", () => running.output === "ready\n");
  await eventually("the failure is logged", () => running.log.includes("registration.failed"));
  await etcd.start();
  const key = "/lighthouse/services/web/app.test:8001";
  await eventually("the key is there", async () => (await etcd.keys("/lighthouse/services/web/")).includes(key));
  running.kill("SIGTERM");
  assert.equal(await running.ended(), 143);
  assert.equal((await etcd.keys("/lighthouse/services/web/")).includes(key), false);
});

Deno.test("register --check keeps a node registered only while the check passes", async () => {
  await using host = new TestHost();
  await host.configure();
  await using service = new WebService();
  service.healthy = false;
  const file = `${host.registryDir}/web/app.test:${service.port}.json`;
  await using _running = Lighthouse.startCommand([
    ...["register", host.configDir, "file", "web", `127.0.0.1:${service.port}`, "--name", "app.test"],
    ...["--check", "http:uri=/health,fall=1", "--", ...FOREVER],
  ]);
  await eventually("the service is probed", () => service.probes > 0);
  assert.equal(await exists(file), false);
  service.healthy = true;
  await eventually("the node is registered", () => exists(file));
  service.healthy = false;
  await eventually("the node is deregistered", async () => !await exists(file));
});

Deno.test("register starts no command when it cannot make the registration", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/list", { type: "static" });
  const started = host.dir.file("started");
  const rejected = async (args: readonly string[], want: RegExp, code = 125) => {
    const result: CliResult = await runCli([...args, "--", "touch", started]);
    assert.match(result.stderr, want);
    assert.equal(result.code, code);
    assert.equal(await exists(started), false);
  };
  await rejected(register(host, "fiel", []), /No valid discovery\/fiel\.yaml[^]*command not started/);
  await rejected(register(host, "list", []), /cannot register/);
  await host.write("discovery/elsewhere", { type: "file", path: host.registryDir });
  await rejected(register(host, "elsewhere", ["--format", "unheard-of"]), /elsewhere/);
  await rejected(register(host, "file", ["--check", "htpt"]), /htpt/);
  await rejected(register(host, "file", ["--check", "http:urii=/"]), /urii/);
  await rejected(register(host, "list", ["--ttl", "2s"]), /Cannot apply --ttl/);
  await rejected(register(host, "file", ["--metadata", "[]"]), /a JSON object/, 2);
  await rejected(["register", host.configDir, "file", "web", "app.test:80"], /an IP address and a port/, 2);
  const missing = await runCli(register(host, "file", ["--", `${started}-no-such-program`]));
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /^Cannot run .*no-such-program/);
});
