/** The daemon's status at `--status`, under each fault. */
import assert from "node:assert/strict";
import type { Status } from "../../src/status/status_shape.ts";
import { kill } from "../support/haproxy.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { checkModule } from "../support/plugin_source.ts";
import { StatusClient } from "../support/status_client.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const BACKEND = { haproxy: { backend: ["mode http"] } };
const CHECKS = { interval: 0.2, http: { uri: "/health", rise: 1, fall: 2 } };

/** Whether the writer serves a cluster as its registry reports it now. */
function isCurrent({ clusters, balancers }: Status, name = "web"): boolean {
  const served = balancers["haproxy"]?.clusters[name]?.members;
  return clusters[name]?.state === "current" && clusters[name].members === served;
}

Deno.test("status: while ZooKeeper is silent or down, the age grows, members stay, and health is degraded, not failing", async () => {
  await using zookeeper = await ZooKeeper.start();
  await using host = new TestHost();
  await host.configure();
  await host.remove("discovery/file");
  await host.write("discovery/zookeeper", {
    hosts: [zookeeper.address],
    path: "/lighthouse/services",
    session_timeout: 8,
    auth: { username: "lighthouse", password: "correct-horse-battery" },
  });
  await using web = new WebService();
  await host.write("services/web", { discovery: "zookeeper", port: web.port, checks: CHECKS });
  await host.write("clusters/web", { discovery: "zookeeper", ...BACKEND });
  const client = new StatusClient();
  await using _both = Lighthouse.start("run", host.configDir, client.flags);
  const before = await client.until(
    "it serves and is registered",
    (status) =>
      isCurrent(status) && status.balancers["haproxy"]?.inForce === true &&
      status.services[`web:${web.port}`]?.registration?.done === true,
  );
  assert.deepEqual(await client.health(), { code: 200, status: "ok" });
  assert.equal(before.clusters["web"]?.nodes, 1);
  assert.equal(before.services[`web:${web.port}`]?.status, "up");

  for (
    const [lose, back] of [[() => zookeeper.pause(), () => zookeeper.resume()], [
      () => zookeeper.kill(),
      () => zookeeper.start(),
    ]] as const
  ) {
    await lose();
    const first = await client.until("it is stale", ({ clusters }) => clusters["web"]?.state === "stale");
    const later = await client.until(
      "it is stale for longer",
      ({ clusters }) => (clusters["web"]?.forSeconds ?? 0) > (first.clusters["web"]?.forSeconds ?? Infinity),
    );
    assert.equal(later.discovery["zookeeper"]?.registry, "disconnected");
    assert.equal(typeof later.clusters["web"]?.reason, "string");
    assert.equal(later.clusters["web"]?.members, before.clusters["web"]?.members, "the members stay");
    const { code, status, reasons, degraded = [] } = await client.health();
    assert.deepEqual([code, status, reasons], [200, "ok", undefined]);
    assert.match(degraded.join("\n"), /Registry zookeeper has been unreachable for \d+m?s/);
    assert.match(degraded.join("\n"), /Cluster web has been stale for \d+m?s/);
    await back();
    const after = await client.until("it is as its registry says, with nothing changed", isCurrent);
    assert.equal(after.clusters["web"]?.members, before.clusters["web"]?.members);
    assert.equal(after.discovery["zookeeper"]?.registry, "connected");
  }
  assert.doesNotMatch(JSON.stringify(await client.status()), /correct-horse/);
});

Deno.test("status: an invalid file is shown with its location and without its passwords, and does not fail health", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("clusters/web", { discovery: "file", ...BACKEND });
  const redis = { port: 1, password: "correct-horse-battery", rise: 1, fall: 1 };
  await host.write("services/db", { discovery: "file", port: 1, checks: { interval: 1, redis } });
  const client = new StatusClient();
  await using _both = Lighthouse.start("run", host.configDir, client.flags);
  const before = await client.until(
    "it is at work",
    ({ balancers, services }) => balancers["haproxy"]?.inForce === true && services["db:1"]?.status === "down",
  );
  assert.deepEqual([before.config.errors, before.config.findings], [0, []]);

  await host.write(
    "services/db",
    'discovery: file\nport: one\nchecks:\n  redis: {password: "correct-horse-battery", rise: x}\n',
  );
  const after = await client.until("the bad file is shown", ({ config }) => config.errors > 0);
  assert.match(after.config.findings.join("\n"), /services\/db\.yaml:2:\d+: error: /);
  assert.ok("db:1" in after.services, "its last valid version stays active");
  const health = await client.health();
  assert.deepEqual([health.code, health.status], [200, "ok"]);
  assert.match(health.degraded?.join("\n") ?? "", /The config has \d+ errors?; the last valid version stays active/);
  assert.doesNotMatch(JSON.stringify([before, after, health]), /correct-horse/);

  await host.write("services/db", "discovery: file\nport: 1\nchecks: {interval: 1, redis: {rise: 1, fall: 1}}\n");
  await client.until("the corrected file is active", ({ config }) => config.errors === 0);
});

Deno.test("status: a removed config directory is shown as unreadable, and its last valid version stays active", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("clusters/web", { discovery: "file", ...BACKEND });
  const client = new StatusClient();
  await using _writer = Lighthouse.start("writer", host.configDir, client.flags);
  await client.until("it is at work", ({ balancers }) => balancers["haproxy"]?.inForce === true);
  await Deno.rename(host.configDir, `${host.configDir}.away`);
  const { clusters } = await client.until("it is unreadable", ({ config }) => config.unreadable !== null);
  assert.deepEqual(Object.keys(clusters), ["web"]);
  const { code, degraded } = await client.health();
  assert.equal(code, 200, "a restarted writer could not start");
  assert.match(degraded?.join("\n") ?? "", /Cannot read the config directory/);
  await Deno.rename(`${host.configDir}.away`, host.configDir);
  await client.until("it is read again", ({ config }) => config.unreadable === null);
});

Deno.test("status: writers show equal digests for a cluster if they serve the same members, and different digests otherwise", async () => {
  await using reporting = new TestHost();
  await reporting.configure();
  await using one = new WebService();
  await using two = new WebService();
  const service = (ports: readonly number[]) => ({ discovery: "file", ports, checks: CHECKS });
  await reporting.write("services/web", service([one.port]));
  await using _reporter = Lighthouse.start("reporter", reporting.configDir);

  await using stack = new AsyncDisposableStack();
  const clients: StatusClient[] = [];
  for (let i = 0; i < 2; i++) {
    const host = stack.use(new TestHost());
    await host.configure();
    await host.write("discovery/file", { path: reporting.registryDir, ttl: 2 });
    await host.write("clusters/web", { discovery: "file", ...BACKEND });
    const client = new StatusClient();
    stack.use(Lighthouse.start("writer", host.configDir, client.flags));
    clients.push(client);
  }
  /** Waits until all balancers serve this many members; returns their digests. */
  const served = async (nodes: number) =>
    await Promise.all(clients.map(async (client) => {
      const { balancers } = await client.until(`${nodes} are served`, ({ balancers }) =>
        balancers["haproxy"]?.clusters["web"]?.nodes === nodes);
      return balancers["haproxy"]?.clusters["web"]?.members;
    }));
  const before = await served(1);
  assert.equal(before[0], before[1]);
  await reporting.write("services/web", service([one.port, two.port]));
  const after = await served(2);
  assert.equal(after[0], after[1]);
  assert.notEqual(before[0], after[0]);
});

Deno.test("status: a silent HAProxy is shown, and health is degraded, not failing", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("clusters/web", { discovery: "file", ...BACKEND });
  const client = new StatusClient();
  await using _writer = Lighthouse.start("writer", host.configDir, client.flags);
  const before = await client.until("it is at work", ({ balancers }) => balancers["haproxy"]?.inForce === true);
  assert.deepEqual([before.balancers["haproxy"]?.starts, before.balancers["haproxy"]?.reloads], [1, 0]);
  assert.match(before.balancers["haproxy"]?.lastReload?.text ?? "", /no process responds on/);
  const pid = await host.haproxy.pid();
  Deno.kill(pid, "SIGSTOP");
  try {
    const { balancers: { haproxy } } = await client.until(
      "it is not applied",
      ({ balancers }) => balancers["haproxy"]?.inForce === false,
    );
    assert.match(haproxy?.lastError?.text ?? "", /^Cannot observe haproxy: /);
    await client.until("it was not seen for longer than it was looked for", ({ balancers }) => {
      const { seenSeconds, lookedSeconds } = balancers["haproxy"] ?? {};
      return typeof seenSeconds === "number" && typeof lookedSeconds === "number" && seenSeconds > lookedSeconds;
    });
    assert.equal((await client.health()).code, 200, "a restart of the writer would not help");
  } finally {
    kill(pid, "SIGCONT");
  }
  await client.until("the config is applied again", ({ balancers }) => balancers["haproxy"]?.inForce === true);
  assert.deepEqual(await client.health(), { code: 200, status: "ok" });
});

Deno.test("status: a check whose worker hangs or dies makes health fail, with the reason", async () => {
  await using host = new TestHost();
  await host.configure();
  const service = (type: string, port: number) => ({
    discovery: "file",
    port,
    checks: { interval: 0.1, made_up: { type, rise: 1, fall: 1, timeout: 0.1 } },
  });
  await host.write("services/good", service("good", 1));
  const client = new StatusClient();
  const modules = {
    good: checkModule(`return { status: "pass", detail: "yes" };`),
    dies: checkModule(`queueMicrotask(() => { throw new Error("out of luck") }); await new Promise(() => {});`),
    busy: checkModule(`for (;;);`),
  };
  await using _both = Lighthouse.startWith(modules, host.configDir, { status: client.address });
  await client.until("the good one is up", ({ services }) => services["good:1"]?.status === "up");
  await client.untilHealth("all is well", ({ code }) => code === 200);

  await host.write("services/dies", service("dies", 2));
  const dead = await client.untilHealth(
    "the dead worker is reported",
    ({ reasons }) =>
      reasons?.some((reason) =>
        /^Worker check dies:2\/made_up has not been in service for .*out of luck/.test(reason)
      ) ??
        false,
  );
  assert.deepEqual([dead.code, dead.status], [503, "failing"]);
  const { services } = await client.status();
  assert.match(services["dies:2"]?.checks[0]?.unknown?.text ?? "", /./);
  assert.equal(services["dies:2"]?.status, "unknown");
  assert.equal(services["good:1"]?.status, "up");
  await host.remove("services/dies");
  await client.untilHealth("what is not wanted any more is no failure", ({ code }) => code === 200);

  await host.write("services/busy", service("busy", 3));
  const hung = await client.untilHealth(
    "the thread is reported",
    ({ reasons }) => reasons?.some((reason) => reason === "1 worker thread cannot be stopped") ?? false,
  );
  assert.equal(hung.code, 503);
  const status = await client.until(
    "the reason is reported",
    ({ workers }) => /^hung/.test(workers["check busy:3/made_up"]?.reason ?? ""),
  );
  assert.equal(status.stuckThreads, 1);
  assert.equal(status.services["good:1"]?.status, "up");
});

Deno.test("status: a web page cannot read the status, and the server stops with the daemon", async () => {
  await using host = new TestHost();
  await host.configure();
  const client = new StatusClient();
  const writer = Lighthouse.start("writer", host.configDir, client.flags);
  await client.until("it answers", () => true);
  const asked = async (host: string) => {
    const args = [
      "-s",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "-H",
      `Host: ${host}`,
      `http://${client.address}/status`,
    ];
    return new TextDecoder().decode((await new Deno.Command("curl", { args }).output()).stdout);
  };
  assert.deepEqual([await asked("evil.example"), await asked(client.address)], ["421", "200"]);
  assert.equal(await writer.stop(), 0, writer.log);
  await assert.rejects(client.ask("/status"), TypeError);
});

Deno.test("status: an unavailable address is reported, and the daemon does not start", async () => {
  await using host = new TestHost();
  await host.configure();
  await using web = new WebService();
  await using writer = Lighthouse.start("writer", host.configDir, ["--status", `127.0.0.1:${web.port}`]);
  assert.equal(await writer.ended(), 1);
  assert.match(writer.log, new RegExp(`Cannot serve status at 127\\.0\\.0\\.1:${web.port}: `));
  assert.deepEqual(host.haproxy.processes(), [], "nothing was begun");
});
