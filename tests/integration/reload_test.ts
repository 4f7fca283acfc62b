/**
 * Reloads of a real HAProxy: the three ways, their failures, and the safety of
 * unrelated processes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import { validateDirectory } from "../../src/app/validate.ts";
import { Executor } from "../../src/balance/executor.ts";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, kill, localNode, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { HAPROXY_VERSION, isHaproxyAtLeast } from "../support/haproxy_version.ts";
import { get, HttpLoad } from "../support/http_load.ts";
import { TempDir } from "../support/temp_dir.ts";

Deno.test("master_socket: HAProxy is started with a master of its own, which reloads without a failed request", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const file = { master_socket: box.path("master.sock") };
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }, file));
  const { masterPid } = (await box.observe()).running ?? {};
  assert(masterPid !== undefined);
  const load = new HttpLoad(port);
  for (let round = 0; round < 3; round++) {
    await running.apply(box.wanted({ web, [`more${round}`]: { section: { port: freePort() } } }, file));
    await load.more(100);
  }
  const { failed } = await load.stop();
  assert.deepEqual(failed, []);
  assert.equal((await box.observe()).running?.masterPid, masterPid);
  const asked = running.turns.flatMap(({ steps }) => steps).flatMap((step) =>
    step.do === "reload" ? ["ask" in step.how ? step.how.ask : step.how] : []
  );
  assert.deepEqual(asked, Array(3).fill(file.master_socket), running.log.join("\n"));
});

Deno.test("master_socket: a failed reload is reported at once, and the last good file and process stay", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const file = { master_socket: box.path("master.sock") };
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }, file));
  const [pid, text] = [await box.pid(), await Deno.readTextFile(box.configFile)];
  // A fault that the check cannot find: a socket where nothing can be created.
  const frontend = [`bind unix@${box.path("nowhere")}/socket`];
  running.writer.put(box.wanted({ web, bad: { section: { port: freePort(), frontend } } }, file));
  await running.event("balancer.config_rejected", { level: "error" });
  assert.equal(await box.pid(), pid);
  assert.equal(await get(port), "app.test");
  await eventually("the file is the last good one", async () => await Deno.readTextFile(box.configFile) === text);
  await running.apply(box.wanted({ web, good: { section: { port: freePort() } } }, file));
  assert.notEqual(await box.pid(), pid);
});

for (const way of ["master_socket", "a daemon"]) {
  Deno.test(`${way}: repeated failed reloads leave process, socket and members, and are not reported as manual edits of the file`, async () => {
    await using box = new HaproxyBox({ restart_interval: 0 });
    await using one = new NamedServer("one.test");
    await using two = new NamedServer("two.test");
    await using running = new RunningWriter({ reconcileMs: 200 });
    const port = freePort();
    const file = way === "a daemon" ? {} : { master_socket: box.path("master.sock") };
    const web = { section: { port }, nodes: [one.node] };
    await running.apply(box.wanted({ web }, file));
    const owner = async () => {
      const { running } = await box.observe();
      return running?.masterPid ?? running?.pid;
    };
    const before = await owner();
    assert(before !== undefined);
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    // A name is not resolved before the reload, so HAProxy itself fails. Each is another config, and tried at once.
    const failures = () => running.count("balancer.config_rejected");
    for (let round = 1; round <= 3; round++) {
      const options = ["mode http", `timeout client ${round}s`];
      const proxies = { taken: { port: taken.addr.port, bind_address: "localhost", upstreams: [], options } };
      running.writer.put(
        box.wanted({ web: { ...web, nodes: round % 2 === 0 ? [one.node] : [two.node] } }, { ...file, proxies }),
      );
      await eventually("the reload has failed", () => failures() >= round);
      const name = round % 2 === 0 ? one.name : two.name;
      await eventually("the member of today serves", async () => (await box.serving("web")).join().startsWith(name));
    }
    // No new desired state arrives: the next poll finds the file that the writer itself has restored.
    const tries = failures();
    await eventually("the last config was tried again", () => failures() > tries);
    await eventually("the member serves", async () => await get(port) === "two.test");
    assert.equal(await owner(), before, running.log.join("\n"));
    // The writer has restored the file itself, and from HAProxy 3.1 on has the master start a worker with a socket at once.
    assert.equal(running.count("balancer.drift") + running.count("balancer.restarted"), 0, running.log.join("\n"));
    const loud = running.log.filter((line) => !line.startsWith("debug "));
    assert.deepEqual(loud.filter((line) => /exited with code/.test(line)), []);
  });
}

for (const way of ["master_socket", "a daemon"]) {
  Deno.test({
    name:
      `${way}: what HAProxy warns of as it is started as root is logged once for each text, over reloads and restarts`,
    // Before 3.3 HAProxy does not report that.
    ignore: !isHaproxyAtLeast(3, 3) || Deno.uid() !== 0,
    fn: async () => {
      await using box = new HaproxyBox({ restart_interval: 0 });
      await using running = new RunningWriter({ reconcileMs: 200 });
      const file = way === "a daemon" ? {} : { master_socket: box.path("master.sock") };
      const web = { section: { port: freePort() } };
      await running.apply(box.wanted({ web }, file));
      for (const name of ["api", "more"]) {
        await running.apply(box.wanted({ web, [name]: { section: { port: freePort() } } }, file));
      }
      const { running: process } = await box.observe();
      assert(process !== undefined);
      for (const pid of [process.masterPid, process.pid]) if (pid !== undefined) kill(pid);
      await running.event("balancer.restarted");
      await eventually("another one serves", async () => await box.pid() !== process.pid);
      const texts = (level: string) =>
        running.log.filter((line) => line.startsWith(`${level} `) && / started as (?:the )?root/.test(line))
          .map((line) => line.slice(level.length).replaceAll(/\([0-9]+\)/g, "()")).toSorted();
      const [first, second, ...more] = texts("warn");
      assert.match(first ?? "", /without any 'chroot'/);
      assert.match(second ?? "", /does not make use of 'user'/);
      assert.deepEqual(more, []);
      assert(texts("debug").length >= 4, "it was said again");
    },
  });
}

Deno.test({
  name: "a HAProxy that drops root, with user, group and chroot, warns of nothing, is reloaded and gets its members",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    await using box = new HaproxyBox({ restart_interval: 0 });
    await using server = new NamedServer("app.test");
    await using running = new RunningWriter();
    const empty = box.path("empty");
    await Deno.mkdir(empty);
    const file = { global: ["user nobody", "group nogroup", `chroot ${empty}`] };
    const web = { section: { port: freePort() } };
    await running.apply(box.wanted({ web }, file));
    await running.apply(box.wanted({ web: { ...web, nodes: [server.node] } }, file));
    await eventually("the member serves", async () => await get(web.section.port) === "app.test");
    const more = { section: { port: freePort() }, nodes: [server.node] };
    const load = new HttpLoad(web.section.port);
    await running.apply(box.wanted({ web: { ...web, nodes: [server.node] }, more }, file));
    assert.deepEqual((await load.stop()).failed, []);
    assert.equal(await get(more.section.port), "app.test");
    assert.equal(running.reloads, 2);
    assert.deepEqual(running.log.filter((line) => /^warn .*\broot\b/.test(line)), []);
  },
});

Deno.test("master_socket: a daemon without a master is replaced by one with a master", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }));
  const load = new HttpLoad(port);
  const file = { master_socket: box.path("master.sock") };
  await running.apply(box.wanted({ web, more: { section: { port: freePort() } } }, file));
  assert.deepEqual((await load.stop()).failed, []);
  assert.notEqual((await box.observe()).running?.masterPid, undefined);
});

Deno.test("reload_command: it starts and reloads HAProxy, and the writer waits for the new process", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const script = box.path("manager");
  // The behaviour of a service manager: start, or have the master reload.
  await Deno.writeTextFile(
    script,
    `#!/bin/sh
echo "$*" >> ${box.path("calls")}
if kill -USR2 "$(cat ${box.pidFile})" 2>/dev/null; then exit 0; fi
exec haproxy -W -D -f ${box.configFile} -p ${box.pidFile} -L lb.test
`,
    { mode: 0o755 },
  );
  const file = { reload_command: [script, "reload-or-restart", "haproxy"] };
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }, file));
  const load = new HttpLoad(port);
  await running.apply(box.wanted({ web, more: { section: { port: freePort() } } }, file));
  assert.deepEqual((await load.stop()).failed, []);
  const calls = await Deno.readTextFile(box.path("calls"));
  assert.equal(calls, "reload-or-restart haproxy\n".repeat(2), running.log.join("\n"));
  assert.equal(running.reloads, 2);
});

Deno.test("reload_command: a hanging command is killed at its deadline, logged and retried, and everything else continues meanwhile", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter({ reconcileMs: 200 });
  const script = box.path("manager");
  await Deno.writeTextFile(script, `#!/bin/sh\necho $$ >> ${box.path("pids")}\nexec sleep 60\n`, { mode: 0o755 });
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [one.node] } }));
  const [pid, text] = [await box.pid(), await Deno.readTextFile(box.configFile)];
  const file = { reload_command: [script], reload_timeout: 1 };
  const more = { section: { port: freePort() } };
  running.writer.put(box.wanted({ web: { section: { port }, nodes: [two.node] }, more }, file));
  await running.event("balancer.failed", { level: "error", msg: "Cannot reload the balancer: did not exit within 1s" });
  assert.equal(await Deno.readTextFile(box.configFile), text);
  await eventually("the new member serves", async () => await get(port) === "two.test");
  await eventually("it is tried again", async () => (await Deno.readTextFile(box.path("pids"))).split("\n").length > 2);
  assert.equal(await box.pid(), pid);
  await running.stop();
  for (const hung of (await Deno.readTextFile(box.path("pids"))).trim().split("\n")) {
    await eventually("it is ended", () => {
      try {
        Deno.kill(Number(hung), "SIGCONT");
        return false;
      } catch {
        return true;
      }
    });
  }
});

Deno.test("a pid file with another process's pid causes no signal, with any reload method", async () => {
  for (const file of [{}, { master_socket: "master.sock" }]) {
    await using box = new HaproxyBox({ restart_interval: 0 });
    await using server = new NamedServer("app.test");
    await using running = new RunningWriter();
    const own = file.master_socket === undefined ? {} : { master_socket: box.path(file.master_socket) };
    const web = { section: { port: freePort() }, nodes: [server.node] };
    await running.apply(box.wanted({ web }, own));
    // SIGUSR1 and SIGUSR2 end it.
    const stranger = new Deno.Command("sleep", { args: ["600"] }).spawn();
    await Deno.writeTextFile(box.pidFile, `${stranger.pid}\n`);
    await running.apply(box.wanted({ web, more: { section: { port: freePort() } } }, own));
    kill(await box.pid());
    await running.apply(box.wanted({ web, more: { section: { port: freePort() } }, third: {} }, own));
    // The process gets this signal only if it has had none yet.
    stranger.kill("SIGTERM");
    assert.equal((await stranger.status).signal, "SIGTERM");
  }
});

Deno.test("servers known to be down get no request from a new process before its own first check", async () => {
  await using box = new HaproxyBox({ restart_interval: 0, defaults: ["mode http", "timeout connect 1s", "retries 0"] });
  await using up = new NamedServer("up.test");
  await using running = new RunningWriter();
  const section = (inter: string) => ({ port, server_options: `check inter ${inter} rise 1 fall 1` });
  const port = freePort();
  const dead = localNode(freePort(), "dead.test");
  const nodes = [up.node, dead];
  await running.apply(box.wanted({ web: { section: section("100ms"), nodes } }));
  const isDown = async () => (await box.observe()).running?.backends.get("web")?.get(`dead.test:${dead.port}`)?.down;
  await eventually("the other is down", isDown);
  // The new process would assume it up for a minute.
  await running.apply(box.wanted({ web: { section: section("60s"), nodes } }));
  assert.equal(running.reloads, 2);
  assert.equal(await isDown(), true);
  const load = new HttpLoad(port, 1);
  await load.more(50);
  assert.deepEqual((await load.stop()).failed, []);
  assert.ok(
    running.count("balancer.commands", { count: 1, commands: /^set server web\/dead\.test:\d+ health down/ }) > 0,
  );
});

Deno.test("a maxconn beyond the limit of open files is rejected before HAProxy gets it", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }));
  const [pid, text] = [await box.pid(), await Deno.readTextFile(box.configFile)];
  // More than any process may have: HAProxy's own check passes, and a start would fail.
  const wanted = box.wanted({ web }, { global: ["maxconn 999999999"] });
  const { text: candidate } = render({ ...wanted, version: HAPROXY_VERSION });
  await Deno.writeTextFile(box.path("candidate"), candidate);
  await box.run("-c", "-f", box.path("candidate"));
  running.writer.put(wanted);
  await running.event("balancer.config_rejected", {
    level: "error",
    msg: /at least 2000000011 open files.*limit is \d+.*maxconn/,
  });
  assert.equal(await box.pid(), pid);
  assert.equal(await Deno.readTextFile(box.configFile), text);
  assert.equal(await get(port), "app.test");
});

Deno.test("a second writer for one HAProxy reports the first and changes nothing, and takes over when the first has ended", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  const section = { port: freePort() };
  using first = new Executor({ isSole: true });
  using second = new Executor({ isSole: true });
  await using running = new RunningWriter({ effects: first, reconcileMs: 100 });
  await using waiting = new RunningWriter({ effects: second, reconcileMs: 100 });
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }));
  waiting.writer.put(box.wanted({ web: { section, nodes: [two.node] } }));
  await waiting.event("writer.standby", {
    msg: new RegExp(`process ${Deno.pid} manages this balancer, and holds the lock .*\\.lock`),
  });
  assert.equal(await get(section.port), "one.test");
  assert.deepEqual(waiting.turns.flatMap(({ steps }) => steps), []);
  await running.stop();
  first[Symbol.dispose]();
  await eventually("the second has it", async () => await get(section.port) === "two.test");
  await waiting.event("writer.active");
});

Deno.test("a spare writer reports itself as one while idle, and signals no process that somebody else starts", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  const wanted = box.wanted({ web: { section: { port: freePort() }, nodes: [one.node] } });
  using first = new Executor({ isSole: true });
  using second = new Executor({ isSole: true });
  await using running = new RunningWriter({ effects: first, reconcileMs: 600_000 });
  await using waiting = new RunningWriter({ effects: second, reconcileMs: 50 });
  await running.apply(wanted);
  await waiting.apply(wanted);
  await waiting.event("writer.standby");
  const before = await box.pid();
  await box.run("-D", "-f", box.configFile, "-p", box.pidFile);
  await waiting.event("balancer.replaced");
  const looks = waiting.writer.standing.turnedMs ?? 0;
  await eventually("the spare has looked again", () => (waiting.writer.standing.turnedMs ?? 0) > looks + 200);
  assert.equal(waiting.count("balancer.dismissed"), 0, waiting.log.join("\n"));
  assert(box.processes().includes(before));
});

Deno.test("commands are held from the file write until the new process responds, and none is lost", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const script = box.path("manager");
  // Long enough for members to change before the new process is up.
  await Deno.writeTextFile(
    script,
    `#!/bin/sh
touch ${box.path("asked")}
sleep 1
exec haproxy -D -f ${box.configFile} -p ${box.pidFile} -x ${box.socketFile} -sf "$(cat ${box.pidFile})" -L lb.test
`,
    { mode: 0o755 },
  );
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }));
  const file = { reload_command: [script] };
  const more = { section: { port: freePort() } };
  running.writer.put(box.wanted({ web: { section, nodes: [one.node] }, more }, file));
  await eventually("the reload has begun", () => Deno.stat(box.path("asked")));
  await running.apply(box.wanted({ web: { section, nodes: [one.node, two.node] }, more }, file));
  const done = running.turns.flatMap(({ steps }) => steps).map((step) =>
    step.do === "command" ? step.command.split(" ").slice(0, 2).join(" ") : step.do
  );
  assert.deepEqual(done.slice(0, 6), ["install", "start", "install", "reload", "add server", "set server"]);
  assert.equal((await box.serving("web")).length, 2);
});

Deno.test("old workers with connections are logged when the next worker serves, and counted until they exit", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), backend: ["mode tcp"], frontend: ["mode tcp"] };
  const web = { section, nodes: [localNode(listener.addr.port)] };
  await running.apply(box.wanted({ web }));
  const first = await box.pid();
  const client = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
  using _accepted = await listener.accept();
  await running.apply(box.wanted({ web, more: {} }));
  assert.equal(running.count("balancer.serving", { old: /./ }), 0, running.log.join("\n"));
  await running.apply(box.wanted({ web, third: {} }));
  await running.event("balancer.serving", { old: first });
  await eventually("the old worker is known", () => running.writer.standing.oldWorkers.includes(first));
  client.close();
  await eventually("nobody is left", () => running.writer.standing.oldWorkers.length === 0);
});

Deno.test("reload_jitter: a reload is delayed by a random time, and members join and leave meanwhile", async () => {
  await using box = new HaproxyBox({ restart_interval: 0, reload_jitter: 3_600 });
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }));
  running.writer.put(box.wanted({ web: { section, nodes: [two.node] }, more: {} }));
  await eventually("the new member serves", async () => await get(section.port) === "two.test");
  assert.equal(running.reloads, 1);
});

Deno.test("check reports a maxconn beyond the limit of open files, with its line", async () => {
  await using dir = new TempDir();
  await dir.write("config/discovery/zookeeper.yaml", "hosts: [127.0.0.1:2181]\npath: /lighthouse\n");
  await dir.write("config/clusters/web.yaml", "discovery: zookeeper\nhaproxy: {port: 8000}\n");
  const places = ["config_file", "socket_file", "pid_file"].map((key) => `${key}: ${dir.file(key)}\n`).join("");
  await dir.write("config/balancers/haproxy.yaml", `${places}global:\n  - maxconn 999999999\n`);
  const { diagnostics } = await validateDirectory(dir.file("config"), { role: "check" });
  const told = diagnostics.map((diagnostic) => formatDiagnostic(diagnostic)).join("\n");
  assert.match(
    told,
    /balancers\/haproxy\.yaml:5:5: error: rejected by haproxy: at least 2000000011 open files/,
  );
});
