/**
 * The balancer `template`, with a real registry, real programs and the real writer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { OutputHost } from "../support/output_host.ts";

const TEMPLATE = "{% for n in cluster.web.nodes %}server {{ n.address }}\n{% endfor %}";

/** A host with a template that is checked and loaded by scripts, which record what they see. */
async function prepare(host: OutputHost, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await host.prepare();
  await host.dir.write("config/templates/app.liquid", TEMPLATE);
  const check = await host.script("check", `! grep -q rejected "$1"`);
  const broken = host.dir.file("broken");
  const reload = await host.script(
    "reload",
    `cat ${host.dir.file("app.conf")} >> ${host.dir.file("loaded")}; echo . >> ${
      host.dir.file("loaded")
    }; [ ! -e ${broken} ]`,
  );
  await host.write("balancers/app", {
    type: "template",
    clusters: "all",
    files: [{
      template: "templates/app.liquid",
      dest: host.dir.file("app.conf"),
      check_command: [check, "%"],
      reload_command: [reload],
      ...more,
    }],
  });
}

Deno.test("a template is rendered, checked, installed and loaded with each change of its members and of itself", async () => {
  await using host = new OutputHost();
  await prepare(host, { mode: "0640" });
  await host.addNode("web", 8001);
  {
    await using writer = Lighthouse.start("writer", host.configDir);
    const log = () => writer.log;
    await host.untilSays("app.conf", "server 127.0.0.1:8001\n", log);
    await host.untilSays("loaded", "server 127.0.0.1:8001\n.\n", log);
    assert.equal(((await Deno.stat(host.dir.file("app.conf"))).mode ?? 0) & 0o777, 0o640);
    await host.addNode("web", 8002);
    await host.untilSays("app.conf", "server 127.0.0.1:8001\nserver 127.0.0.1:8002\n", log);
    await host.dir.write("config/templates/app.liquid", `# two\n${TEMPLATE}`);
    await host.untilSays("app.conf", "# two\nserver 127.0.0.1:8001\nserver 127.0.0.1:8002\n", log);
    await Deno.writeTextFile(host.dir.file("app.conf"), "by hand\n");
    await host.untilSays("app.conf", "# two\nserver 127.0.0.1:8001\nserver 127.0.0.1:8002\n", log);
    await Deno.chmod(host.dir.file("app.conf"), 0o600);
    await eventually(
      "its mode is corrected",
      async () => (((await Deno.stat(host.dir.file("app.conf"))).mode ?? 0) & 0o777) === 0o640,
    );
  }
  const loaded = await host.read("loaded");
  await using writer = Lighthouse.start("writer", host.configDir);
  await writer.event("config.applied");
  await host.addNode("web", 8003);
  await eventually("the writer goes on", async () => (await host.read("app.conf")).includes("8003"));
  await eventually("it is loaded", async () => (await host.read("loaded")).endsWith(":8003\n.\n"));
  assert.equal(
    (await host.read("loaded")).slice(loaded.length).split(".\n").length,
    2,
    "a writer that starts loads nothing that was loaded",
  );
});

Deno.test("a rejected or invalid template leaves its file alone and is reported with its location", async () => {
  await using host = new OutputHost();
  await prepare(host);
  await host.addNode("web", 8001);
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilSays("app.conf", "server 127.0.0.1:8001\n", () => writer.log);
  await host.dir.write("config/templates/app.liquid", "rejected\n");
  await writer.event("balancer.failed");
  await host.dir.write("config/templates/app.liquid", "{{ cluster.web.nodes | sort_of }}\n");
  const { msg = "" } = await writer.event("balancer.not_rendered");
  assert.match(
    msg,
    /balancers\/app.yaml:1:\d+: Cannot render .*app.conf: templates\/app.liquid:1:1: undefined filter: sort_of/,
  );
  assert.equal(await host.read("app.conf"), "server 127.0.0.1:8001\n");
  const checked = await runCli(["check", host.configDir]);
  assert.match(
    checked.stdout,
    /balancers\/app.yaml:1:\d+: error: .*templates\/app.liquid:1:1: undefined filter: sort_of/,
  );
  assert.equal(checked.code, 1);
});

Deno.test("a reload that fails is tried again, and with rollback the previous version is loaded in the meantime", async () => {
  await using host = new OutputHost();
  await prepare(host, { rollback: true });
  await host.addNode("web", 8001);
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilSays("loaded", "server 127.0.0.1:8001\n.\n", () => writer.log);
  await host.dir.write("broken", "");
  await host.addNode("web", 8002);
  const { msg = "" } = await writer.event("balancer.failed");
  assert.match(msg, /previous version of .*app.conf restored and not loaded/);
  await host.untilSays("app.conf", "server 127.0.0.1:8001\n");
  assert.equal(await host.read("app.conf.previous"), "server 127.0.0.1:8001\n");
  await Deno.remove(host.dir.file("broken"));
  await host.untilSays("app.conf", "server 127.0.0.1:8001\nserver 127.0.0.1:8002\n", () => writer.log);
  assert.equal(await host.read("app.conf.previous"), "server 127.0.0.1:8001\n");
});

Deno.test("a file whose reload fails delays no other", async () => {
  await using host = new OutputHost();
  await host.prepare();
  await host.addNode("web", 8001);
  const fails = await host.script("fails", `echo x >> ${host.dir.file("tries")}; exit 1`);
  await host.write("balancers/app", {
    type: "template",
    clusters: ["web"],
    files: [
      { text: "a {{ cluster.web.nodes | size }}", dest: host.dir.file("a"), reload_command: [fails] },
      { text: "b {{ cluster.web.nodes | size }}", dest: host.dir.file("b") },
    ],
  });
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilSays("b", "b 1", () => writer.log);
  await writer.event("balancer.failed");
  await host.addNode("web", 8002);
  await host.untilSays("b", "b 2", () => writer.log);
  await host.untilSays("a", "a 2", () => writer.log);
  await eventually("the reload is tried again", async () => (await host.read("tries")).length >= 8);
});

Deno.test("keys of etcd are a tree for a template: a missing key is named and leaves the file alone, and an unreachable etcd changes nothing", async () => {
  await setUp(["etcd"]);
  await using etcd = await Etcd.start();
  await using host = new OutputHost();
  await host.prepare();
  await host.addNode("web", 8001);
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  await host.write("balancers/app", {
    type: "template",
    clusters: "all",
    files: [{
      text: "{{ keys | get: '/db/host' }} {{ keys | ls: '/up' | join: ',' }} {{ cluster.web.nodes | size }}\n",
      dest: host.dir.file("app.conf"),
      keys: { discovery: "etcd", prefix: "/app" },
    }],
  });
  await etcd.ctl("put", "/app/db/host", "db1");
  await etcd.ctl("put", "/app/up/a", "1");
  await using writer = Lighthouse.start("writer", host.configDir);
  const log = () => writer.log;
  await host.untilSays("app.conf", "db1 a 1\n", log);
  await etcd.ctl("put", "/app/up/b", "2");
  await host.untilSays("app.conf", "db1 a,b 1\n", log);
  await etcd.ctl("del", "/app/db/host");
  const { msg = "" } = await writer.event("balancer.not_rendered");
  assert.match(msg, /Cannot render .*app.conf: etcd has no key \/app\/db\/host/);
  assert.equal(await host.read("app.conf"), "db1 a,b 1\n");
  await etcd.ctl("put", "/app/db/host", "db2");
  await host.untilSays("app.conf", "db2 a,b 1\n", log);
  await etcd.end("SIGKILL");
  await host.addNode("web", 8002);
  await host.untilSays("app.conf", "db2 a,b 2\n", log);
});

Deno.test("plan prints how a file would change, and writes nothing", async () => {
  await using host = new OutputHost();
  await prepare(host);
  await host.addNode("web", 8001);
  await host.dir.write("app.conf", "server 127.0.0.1:9\n");
  const { code, stdout, stderr } = await runCli(["plan", host.configDir]);
  assert.equal(code, 0, stderr);
  const path = host.dir.file("app.conf");
  assert.ok(
    stdout.includes(`--- ${path}\n+++ ${path}\n@@ -1 +1 @@\n-server 127.0.0.1:9\n+server 127.0.0.1:8001\n`),
    stdout,
  );
  assert.match(
    stdout,
    /# {3}install .*app.conf, after validation with: .*check %\n# {3}notify \(.*app.conf changed\): .*reload/,
  );
  assert.equal(await host.read("app.conf"), "server 127.0.0.1:9\n");
});
