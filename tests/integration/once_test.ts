/**
 * `writer --once`: everything is applied, and the process ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { freePort } from "../support/free_port.ts";
import { OutputHost } from "../support/output_host.ts";

const ANNOUNCED = ["--host", "test.host", "--ip", "127.0.0.1"];

function once(host: OutputHost, ...flags: readonly string[]) {
  return runCli(["writer", host.configDir, "--once", ...ANNOUNCED, ...flags], { deadlineMs: 180_000 });
}

Deno.test("writer --once starts HAProxy with the members of a directory, and ends; a second run changes nothing", async () => {
  await setUp(["haproxy"]);
  await using host = new OutputHost();
  await host.configure();
  await host.write("clusters/web", { discovery: "file", haproxy: { port: freePort(), backend: ["mode http"] } });
  await host.addNode("web", 8001);
  const first = await once(host);
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(await host.serving("web"), [8001]);
  await host.addNode("web", 8002);
  const second = await once(host);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(await host.serving("web"), [8001, 8002]);
  assert.doesNotMatch(second.stderr, /balancer.(?:started|reloaded)/);
  assert.match(await Deno.readTextFile(host.haproxy.configFile), /a\.test:8002/);
});

Deno.test("writer --once renders templates from etcd's keys; with --no-reload it only writes files, and a later run reloads", async () => {
  await setUp(["etcd", "haproxy"]);
  await using etcd = await Etcd.start();
  await using host = new OutputHost();
  await host.configure();
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  await host.write("clusters/web", { discovery: "etcd", haproxy: { port: freePort(), backend: ["mode http"] } });
  const node = JSON.stringify({ host: "a.test", ip: "127.0.0.1", port: 8001, metadata: {} });
  await etcd.ctl("put", "/lighthouse/services/web/a.test:8001", node);
  await etcd.ctl("put", "/app/db", "db1");
  const reload = await host.script("reload", `echo x >> ${host.dir.file("reloads")}`);
  await host.write("balancers/app", {
    type: "template",
    clusters: "all",
    files: [{
      text: "{{ keys | get: 'db' }} {{ cluster.web.ready[0].address }}\n",
      dest: host.dir.file("app.conf"),
      keys: { discovery: "etcd", prefix: "/app" },
      reload_command: [reload],
    }],
  });
  const files = await once(host, "--no-reload");
  assert.equal(files.code, 0, files.stderr);
  assert.equal(await host.read("app.conf"), "db1 127.0.0.1:8001\n");
  assert.equal(await host.read("reloads"), "");
  assert.match(await Deno.readTextFile(host.haproxy.configFile), /a\.test:8001/);
  await assert.rejects(Deno.stat(host.haproxy.socketFile), Deno.errors.NotFound, "HAProxy is not started");
  const whole = await once(host);
  assert.equal(whole.code, 0, whole.stderr);
  assert.equal(await host.read("reloads"), "x\n");
  assert.deepEqual(await host.serving("web"), [8001]);
});

Deno.test("writer --once names a registry that does not answer in time, and writes nothing", async () => {
  await using host = new OutputHost();
  await host.prepare();
  await host.write("discovery/etcd", { endpoints: [`127.0.0.1:${freePort()}`] });
  await host.write("clusters/api", { discovery: "etcd" });
  await host.addNode("web", 8001);
  await host.write("balancers/app", {
    type: "template",
    clusters: "all",
    files: [
      { text: "x", dest: host.dir.file("app.conf") },
      { text: "y", dest: host.dir.file("keys.conf"), keys: { discovery: "etcd", prefix: "/app" } },
    ],
  });
  const { code, stderr } = await once(host, "--timeout", "12s");
  assert.equal(code, 1, stderr);
  assert.match(
    stderr,
    /event=once.failed reason="timed out after 12s: no registry has reported cluster api, keys etcd:\/app"/,
  );
  assert.equal(await host.read("app.conf"), "");
});

Deno.test("writer --once exits with 1 for a rejected file and for an invalid config, with the reason", async () => {
  await using host = new OutputHost();
  await host.prepare();
  await host.addNode("web", 8001);
  const check = await host.script("check", 'echo "no good"; exit 1');
  const file = { text: "x", dest: host.dir.file("app.conf"), check_command: [check, "%"] };
  await host.write("balancers/app", { type: "template", clusters: "all", files: [file] });
  const refused = await once(host);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /event=once.failed reason="app: .*no good/);
  await host.write("balancers/app", { type: "template", clusters: "all", files: [{ ...file, mode: "rw" }] });
  const invalid = await once(host);
  assert.equal(invalid.code, 1);
  assert.match(
    invalid.stderr,
    /event=once.failed reason=".*balancers\/app.yaml:1:\d+: error: Cannot use files\[0\].mode/,
  );
  const usage = await runCli(["writer", host.configDir, "--no-reload"]);
  assert.equal(usage.code, 2);
  assert.match(usage.stderr, /--no-reload requires --once/);
});
