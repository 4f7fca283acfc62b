/** The admin interface and its commands, with a real writer and a real HAProxy. */
import assert from "node:assert/strict";
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { NO_ORDERS } from "../../src/model/override.ts";
import { AdminServer } from "../../src/admin/admin_server.ts";
import type { AdminCommand } from "../../src/admin/command.ts";
import { makeCertificates } from "../support/certificates.ts";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { kill } from "../support/haproxy.ts";
import { HttpLoad } from "../support/http_load.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { OperatorStage } from "../support/operator_stage.ts";
import { TempDir } from "../support/temp_dir.ts";

/** The members of `web` in `show servers state`: `name state weight`, sorted. */
async function membersOf({ host }: OperatorStage): Promise<readonly string[]> {
  const { running } = await host.haproxy.observe();
  return [...running?.backends.get("web")?.values() ?? []].map(({ name, inMaintenance, draining, weight }) =>
    `${name.split(":")[0]} ${inMaintenance ? "maint" : draining ? "drain" : "ready"} ${weight}`
  ).toSorted();
}

async function untilMembers(stage: OperatorStage, members: readonly string[]): Promise<void> {
  let seen: readonly string[] = [];
  await eventually(`the members are ${members}`, async () => {
    seen = await membersOf(stage).catch(() => []);
    return JSON.stringify(seen) === JSON.stringify(members);
  }).catch((error) => {
    throw new Error(`${error.message}: ${seen}\n${stage.writer?.log}`);
  });
}

Deno.test("the admin interface is a socket for its user only, and is off by default", async () => {
  await using stage = new OperatorStage(["one.test", "two.test"]);
  await stage.configure();
  await stage.start();
  assert.equal((await Deno.lstat(stage.socket)).mode! & 0o777, 0o600);
  assert.equal(await stage.do("overrides"), "");
  const { role, dir, overrides } = JSON.parse(await stage.do("overrides", "--json"));
  assert.deepEqual([role, dir, overrides], ["writer", stage.host.configDir, []]);
  // Another config directory means another process.
  const elsewhere = await runCli(["overrides", "/tmp", "--admin", `unix:${stage.socket}`]);
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.stderr, /Cannot use the writer at unix:\S+: config directory is \S+, not \/tmp/);
  await stage.writer?.stop();
  await assert.rejects(Deno.lstat(stage.socket), Deno.errors.NotFound);
  const { code, stderr } = await stage.run("drain", "web", "one.test");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^No admin interface responds \(unix:\S+: no such socket\); start the writer with --admin unix:/,
  );
});

Deno.test("drain, maint and weight change what nodes get without a reload, and are listed and revoked", async () => {
  await using stage = new OperatorStage(["one.test", "two.test", "three.test"]);
  await stage.configure();
  await stage.start();
  await untilMembers(stage, ["one.test ready 1", "three.test ready 1", "two.test ready 1"]);
  const load = new HttpLoad(stage.port);
  const [one] = stage.servers;
  assert.match(
    await stage.do("drain", "web", `one.test:${one?.port}`, "--for", "1h", "--reason", "kernel update"),
    /^web\/one\.test:\d+ drains for 1h, until \S+Z\n$/,
  );
  await untilMembers(stage, ["one.test drain 1", "three.test ready 1", "two.test ready 1"]);
  await stage.do("weight", "web", "two.test", "50%", "--author", "bob");
  await untilMembers(stage, ["one.test drain 256", "three.test ready 256", "two.test ready 128"]);
  await stage.do("maint", "web", `127.0.0.1:${one?.port}`);
  await untilMembers(stage, ["one.test maint 256", "three.test ready 256", "two.test ready 128"]);
  const lines = (await stage.do("overrides")).trim().split("\n");
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? "", /^web\/one\.test:\d+ {2}drain {2}until \S+Z \(\d+m?\d*s? left\) {2}\S+: kernel update$/);
  assert.match(lines[1] ?? "", /^web\/two\.test {2}weight 50% {2}until revoked {2}bob$/);
  await load.more(200);

  const missing = await stage.run("drain", "web", "oen.test");
  assert.deepEqual([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /Cannot drain oen\.test: no such node of cluster web \(known: one\.test:/);
  const cluster = await stage.run("drain", "wbe", "one.test");
  assert.match(cluster.stderr, /Cannot drain in cluster wbe: no such cluster; did you mean web\?/);
  const part = await stage.run("undrain", "web", `two.test:1`);
  assert.match(part.stderr, /no override in cluster web matches/);

  await stage.do("undrain", "web", "one.test");
  await stage.do("weight", "web", "two.test", "100%");
  await untilMembers(stage, ["one.test ready 1", "three.test ready 1", "two.test ready 1"]);
  assert.equal(await stage.do("overrides"), "");
  await load.more(200);
  assert.deepEqual((await load.stop()).failed, []);
  assert.equal(stage.writer?.count("balancer.reloaded"), 0);
});

Deno.test("the last ready node of a cluster is drained only with --force", async () => {
  await using stage = new OperatorStage(["one.test", "two.test"]);
  await stage.configure();
  await stage.start();
  await stage.do("drain", "web", "one.test");
  for (
    const args of [["drain", "web", "two.test"], ["maint", "web", "two.test"], ["weight", "web", "two.test", "0%"]]
  ) {
    const { code, stderr } = await stage.run(args[0] ?? "", ...args.slice(1));
    assert.equal(code, 1);
    assert.match(stderr, /Cannot \w+ two\.test: cluster web has no other ready node, .*use --force to proceed anyway/);
  }
  await stage.do("drain", "web", "two.test", "--force");
  await untilMembers(stage, ["one.test drain 1", "two.test drain 1"]);
});

Deno.test("nodes that the cluster's file excludes are drained without a reload until the file includes them again", async () => {
  await using stage = new OperatorStage(["one.test", "two.test"]);
  await stage.configure();
  const writer = await stage.start();
  await stage.serve(stage.servers, { exclude: ["one.test"] });
  await untilMembers(stage, ["one.test drain 1", "two.test ready 1"]);
  const { code, stderr } = await stage.run("undrain", "web", "one.test");
  assert.equal(code, 1);
  assert.match(stderr, /Cannot undrain one\.test: excluded by clusters\/web\.yaml; edit its exclude list/);
  assert.match((await stage.run("drain", "web", "two.test")).stderr, /no other ready node/);
  await stage.serve(stage.servers);
  await untilMembers(stage, ["one.test ready 1", "two.test ready 1"]);
  assert.equal(writer.count("balancer.reloaded"), 0);
});

Deno.test("overrides survive a restart of the writer and HAProxy, and expire", async () => {
  await using stage = new OperatorStage(["one.test", "two.test", "three.test"]);
  await stage.configure();
  await stage.start();
  await stage.do("drain", "web", "one.test", "--reason", "work");
  await stage.do("maint", "web", "two.test");
  const drained = ["one.test drain 1", "three.test ready 1", "two.test maint 1"];
  await untilMembers(stage, drained);
  await eventually("the file has it", async () => {
    const file = await Deno.readTextFile(stage.host.haproxy.configFile);
    return / disabled # lighthouse: state=maint/.test(file) && / weight 0 # lighthouse: drained/.test(file);
  });
  // Only HAProxy is running: what it serves comes from its file.
  await stage.writer?.stop();
  for (const pid of stage.host.haproxy.processes()) kill(pid);
  await eventually("HAProxy is gone", () => stage.host.haproxy.processes().length === 0);
  const { configFile, pidFile } = stage.host.haproxy;
  await stage.host.haproxy.run("-D", "-f", configFile, "-p", pidFile, "-L", "test.host");
  const load = new HttpLoad(stage.port);
  await load.more(100);
  assert.deepEqual((await membersOf(stage)).map((each) => each.replace(/\d+$/, "")), [
    "one.test ready ",
    "three.test ready ",
    "two.test maint ",
  ]);
  const writer = await stage.start([stage.ports[2] as number]);
  await writer.event("override.read", { overrides: "2" });
  await untilMembers(stage, drained);
  const planned = await runCli(["plan", stage.host.configDir, "--host", "test.host", "--ip", "127.0.0.1"]);
  assert.match(planned.stdout, /^# steps: none/m, planned.stdout);
  assert.match(planned.stdout, / disabled # lighthouse: state=maint/);
  // Killed, so that nothing is written at the end.
  kill(writer.pid);
  await writer.ended();
  await stage.start([stage.ports[2] as number]);
  await untilMembers(stage, drained);
  await stage.do("drain", "web", "one.test", "--for", "1s");
  await stage.do("maint", "web", "two.test", "--for", "1s");
  await untilMembers(stage, ["one.test ready 1", "three.test ready 1", "two.test ready 1"]);
  await load.more(100);
  assert.deepEqual((await load.stop()).failed, []);
});

Deno.test("while paused, HAProxy is not changed, reverted, reloaded or started; afterwards everything is reconciled", async () => {
  await using stage = new OperatorStage(["one.test", "two.test", "three.test"]);
  await stage.configure();
  await stage.start();
  const [one, two, three] = stage.servers;
  assert(one !== undefined && two !== undefined && three !== undefined);
  await stage.status.untilHealth("it is ok", ({ degraded }) => degraded === undefined);
  assert.match(
    await stage.do("pause", "haproxy", "--for", "30m", "--reason", "HAProxy upgrade", "--author", "bob"),
    /^Management of balancer haproxy is paused for 30m, until \S+\n$/,
  );
  const { degraded } = await stage.status.untilHealth("it is degraded", ({ degraded }) => degraded !== undefined);
  assert.match(degraded?.[0] ?? "", /^Management of balancer haproxy is paused by bob until \S+: HAProxy upgrade$/);
  const pid = await stage.host.haproxy.pid();
  const file = await Deno.readTextFile(stage.host.haproxy.configFile);
  await stage.host.haproxy.ask(`set server web/one.test:${one.port} state drain`);
  // Members and structure change, and the writer is restarted.
  await stage.serve([one, two], { haproxy: { port: stage.port, backend: ["mode http", "retries 5"] } });
  await stage.status.until("the change is known", ({ clusters }) => clusters["web"]?.nodes === 2);
  await stage.writer?.stop();
  await stage.start([two.port, three.port]);
  await stage.status.until("it looks", ({ balancers }) => (balancers["haproxy"]?.lookedSeconds ?? null) !== null);
  const looks = (await stage.status.status()).balancers["haproxy"];
  assert.equal(looks?.paused?.reason, "HAProxy upgrade");
  assert.equal(looks.inForce, false);
  assert.deepEqual(await membersOf(stage), ["one.test drain 1", "three.test ready 1", "two.test ready 1"]);
  assert.deepEqual([await stage.host.haproxy.pid(), await Deno.readTextFile(stage.host.haproxy.configFile)], [
    pid,
    file,
  ]);
  // Explain shows what HAProxy has, which differs from the writer's desired state.
  let explained = "";
  // After a restart the loss of a member must be confirmed first.
  await eventually(
    "the removed node is not a member",
    async () => (explained = await stage.do("explain", "web")).includes(" is not a member "),
  );
  assert.match(
    explained,
    /^web {2}balancer haproxy {2}management paused by bob: HAProxy upgrade \(until \S+\): no changes are applied {2}/m,
  );
  assert.match(
    explained,
    /^ {2}one\.test:\d+ {2}draining {2}share 0 % {2}weight \d+ {2}after the pause: in rotation /m,
  );
  assert.match(explained, /^ {2}two\.test:\d+ {2}in rotation {2}share 50 % {2}weight 1 /m);
  assert.match(
    explained,
    /^ {2}three\.test:\d+ {2}is not a member {2}haproxy has: in rotation {2}share 50 % {2}weight 1$/m,
  );
  // HAProxy ends: it is not started, and health fails.
  for (const each of stage.host.haproxy.processes()) kill(each);
  const { code, reasons } = await stage.status.untilHealth("it fails", ({ code }) => code === 503);
  assert.equal(code, 503);
  assert.match(
    reasons?.[0] ?? "",
    /^Balancer haproxy is not running, and will not be started while its management is paused$/,
  );
  assert.deepEqual(stage.host.haproxy.processes(), []);

  assert.match(await stage.do("resume"), /^Management of all balancers is resumed/);
  await untilMembers(stage, ["one.test ready 1", "two.test ready 1"]);
  assert.match(await Deno.readTextFile(stage.host.haproxy.configFile), /retries 5/);
  await stage.status.untilHealth("it is ok", ({ code, degraded }) => code === 200 && degraded === undefined);
  const again = await stage.run("resume");
  assert.deepEqual(again.code, 1);
  assert.match(again.stderr, /Cannot resume all balancers: management is not paused/);
});

Deno.test("a pause expires, and changes made by hand are reverted", async () => {
  await using stage = new OperatorStage(["one.test", "two.test"]);
  await stage.configure();
  const writer = await stage.start();
  await untilMembers(stage, ["one.test ready 1", "two.test ready 1"]);
  await stage.do("pause", "--for", "3s", "--reason", "a look");
  await stage.host.haproxy.ask(`set server web/one.test:${stage.servers[0]?.port} state drain`);
  await writer.event("override.expired", { override: "pause" });
  await untilMembers(stage, ["one.test ready 1", "two.test ready 1"]);
});

const AUTHORITY = "admin-write-0123456789", READER = "admin-read-0123456789";

Deno.test("a port accepts commands over TLS only with a token", async () => {
  await using dir = new TempDir();
  const { ca, good, key } = await makeCertificates(dir);
  const asked: AdminCommand[] = [];
  const lastVerb = () => asked.at(-1)?.verb;
  const operator = {
    role: "writer",
    dir: "/etc/lighthouse",
    orders: NO_ORDERS,
    unkept: undefined,
    connections: () => Promise.resolve({ ok: true, connections: {} } as const),
    carryOut: (command: AdminCommand) => {
      asked.push(command);
      return Promise.resolve({ ok: true, did: ["done"], warnings: [] } as const);
    },
  } as const;
  const tokensFile = await dir.write(
    "tokens.yaml",
    `- {name: ci, token: ${AUTHORITY}, access: write}\n- {name: eve, token: ${READER}, access: read}\n`,
  );
  const common = { operator, clock: systemClock, wallNow: Date.now, log: SILENT, openFilesMax: 1_024 };
  const at = { host: "127.0.0.1", port: 0 };
  const tls = { cert: good, key };
  for (const part of [{}, { tokensFile }, { tls }]) {
    await assert.rejects(
      AdminServer.start({ ...common, address: at, ...part }),
      /Cannot serve the admin interface at 127\.0\.0\.1:0: a port requires --admin-tls-cert, --admin-tls-key and --admin-tokens/,
    );
  }
  await using server = await AdminServer.start({ ...common, address: at, tokensFile, tls });
  assert("port" in server.address);
  const address = `localhost:${server.address.port}`;
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(ca)] });
  const post = async (token: string | undefined, body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`https://${address}/drain`, {
      client,
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: {
        "content-type": "application/json",
        ...token !== undefined && { authorization: `Bearer ${token}` },
        ...headers,
      },
    });
    return [response.status, await response.json()] as const;
  };
  const body = { cluster: "web", target: "one.test", author: "mallory" };
  assert.equal((await post(undefined, body))[0], 401);
  assert.equal((await post("admin-write-012345678", body))[0], 401);
  assert.deepEqual(await post(READER, body), [403, { error: "Cannot drain: token eve has read-only access" }]);
  assert.deepEqual(asked, []);
  assert.deepEqual(await post(AUTHORITY, body), [200, { did: ["done"], warnings: [] }]);
  // The author is the token's name, whatever the request claims.
  assert.deepEqual(asked, [{ verb: "drain", cluster: "web", target: "one.test", author: "ci", force: false }]);
  for (
    const [wrong, status, error] of [
      ["{", 400, /must be JSON/],
      [{ ...body, target: "a b" }, 400, /Cannot use target: must be a node .*; current value is "a b"/],
      [{ ...body, for: "1 week" }, 400, /Cannot use for: must be a duration/],
      [{ ...body, fro: "1h" }, 400, /Unknown key fro/],
      [{ cluster: "web" }, 400, /Missing key target/],
      [[], 400, /The body must be a map/],
      ["x".repeat(20_000), 413, /larger than 16384 bytes/],
    ] as const
  ) {
    const [code, said] = await post(AUTHORITY, wrong);
    assert.equal(code, status, JSON.stringify(said));
    assert.match(said.error, error);
  }
  assert.equal((await post(AUTHORITY, body, { "content-type": "text/plain" }))[0], 415);
  assert.equal(asked.length, 1);

  const cli = async (...args: readonly string[]) =>
    await runCli(["undrain", "/etc/lighthouse", "web", "one.test", "--admin", address, "--ca", ca, ...args]);
  assert.match((await cli()).stderr, /Cannot authenticate: unknown or missing token; send Authorization: Bearer TOKEN/);
  const token = await dir.write("token", `${AUTHORITY}\n`);
  const done = await cli("--token-file", token, "--json");
  assert.deepEqual([done.code, JSON.parse(done.stdout)], [0, { did: ["done"], warnings: [] }]);
  assert.equal(lastVerb(), "undrain");

  // Tokens are read again; an invalid file leaves the valid ones active.
  await dir.write("tokens.yaml", "- {name: ci}\n");
  await server.reload();
  assert.equal((await post(AUTHORITY, body))[0], 200);
  await dir.write("tokens.yaml", `- {name: ci, token: ${AUTHORITY}, access: read}\n`);
  await server.reload();
  assert.equal((await post(AUTHORITY, body))[0], 403);
});

Deno.test("a daemon that cannot serve its admin interface exits with status 1 and the reason", async () => {
  await using stage = new OperatorStage([]);
  await stage.configure();
  const writer = Lighthouse.start("writer", stage.host.configDir, ["--admin", "127.0.0.1:0"]);
  assert.equal(await writer.ended(), 1);
  await writer.event("admin.unavailable", {});
  assert.match(writer.log, /a port requires --admin-tls-cert/);
});
