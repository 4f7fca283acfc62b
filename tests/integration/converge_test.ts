/**
 * Changes to a real HAProxy and its file behind the writer's back, which are
 * reverted: each time the log names the drift and the action.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Executor } from "../../src/balance/executor.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, kill, localNode, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { frontendName } from "../support/haproxy_version.ts";
import { get, HttpLoad } from "../support/http_load.ts";

/** Runs a program as in a container: in a PID namespace of its own, which ends with its first process. */
const CONTAINED = ["--pid", "--fork", "--kill-child"];

/** Whether such a namespace can be made here. */
const MAY_CONTAIN = new Deno.Command("unshare", { args: [...CONTAINED, "true"], stdin: "null" }).outputSync().success;

Deno.test("manual changes of members are reverted, and the log names each difference", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 100 });
  const nodes = ["a", "b", "c", "d", "e"].map((name, index) => localNode(20_001 + index, `${name}.test`));
  await running.apply(box.wanted({ web: { section: { port: freePort() }, nodes } }));
  const healthy = await box.serving("web");
  await eventually("the writer has seen everything in sync", () => running.turns.some(({ converged }) => converged));
  for (
    const [done, told] of [
      ["set server web/a.test:20001 state maint", "web/a.test:20001 is in maintenance"],
      ["set server web/b.test:20002 state drain", "web/b.test:20002 is draining"],
      [
        "set server web/c.test:20003 addr 127.0.0.9 port 9",
        "web/c.test:20003 is at 127.0.0.9:9 instead of 127.0.0.1:20003",
      ],
      ["set server web/d.test:20004 health down", "web/d.test:20004 is down without a health check"],
      ["add server web/intruder:1 127.0.0.1:1", undefined],
    ] as const
  ) {
    await box.ask(done);
    if (told === undefined) continue;
    const { level } = await running.event("balancer.drift", { found: new RegExp(told) });
    assert.equal(level, "warn");
  }
  await box.ask("set server web/e.test:20005 state maint", "del server web/e.test:20005");
  // HAProxy answers others between two commands: the writer may look after the first, and revert that.
  await running.event("balancer.drift", { found: /web\/e\.test:20005 is (?:missing|in maintenance)/ });
  await eventually("everything is restored", async () => {
    const { running: seen } = await box.observe();
    assert.deepEqual(await box.serving("web"), healthy);
    assert.equal(seen?.backends.get("web")?.size, 5);
    return [...seen?.backends.get("web")?.values() ?? []].every(({ down }) => !down);
  });
  assert.equal(running.reloads, 1);
});

Deno.test("a frontend closed by hand is reopened: a disabled frontend at once, a shut-down frontend by a reload", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: [server.node] } }));
  await eventually("the writer has seen everything in sync", () => running.turns.some(({ converged }) => converged));
  const pid = await box.pid();
  await box.ask(`disable frontend ${frontendName("web")}`);
  await running.event("balancer.drift", { found: `frontend ${frontendName("web")} is disabled` });
  await eventually("the frontend serves again", async () => await get(section.port) === "app.test");
  assert.equal(await box.pid(), pid);
  await box.ask(`shutdown frontend ${frontendName("web")}`);
  await running.event("balancer.reloaded", { reason: new RegExp(`^frontend ${frontendName("web")} was shut down`) });
  await eventually("the frontend serves again", async () => await get(section.port) === "app.test");
  await eventually("that was one reload", () => running.reloads === 2);
});

Deno.test("the writer's own changes are not reported as drift", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 50 });
  const section = { port: freePort(), drain_timeout: 1 };
  const nodes = [localNode(20_001, "a.test"), localNode(20_002, "b.test")];
  await running.apply(box.wanted({ web: { section, nodes } }));
  await running.apply(box.wanted({ web: { section, nodes: nodes.slice(1) } }));
  await eventually("the server is gone", async () => (await box.observe()).running?.backends.get("web")?.size === 1);
  await eventually("the file follows", async () => !(await Deno.readTextFile(box.configFile)).includes("a.test"));
  assert.equal(running.count("balancer.drift"), 0, running.log.join("\n"));
});

Deno.test("a deleted or edited config file is restored, and the log reports it", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 100 });
  await running.apply(box.wanted({ web: { section: { port: freePort() }, nodes: [localNode(20_001)] } }));
  const text = await Deno.readTextFile(box.configFile);
  const isBack = () => eventually("the file is restored", async () => await Deno.readTextFile(box.configFile) === text);
  await Deno.writeTextFile(box.configFile, `${text}\n# a hand was here\n`);
  await isBack();
  await running.event("balancer.drift", { found: /haproxy\.cfg changed$/ });
  await Deno.remove(box.configFile);
  await isBack();
  await running.event("balancer.drift", { found: /haproxy\.cfg removed$/ });
  assert.equal(running.reloads, 1);
});

Deno.test("a worker started by an external reload is detected, and gets the current members under load", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const file = { master_socket: box.path("master.sock") };
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }, file));
  const { masterPid } = (await box.observe()).running ?? {};
  assert(masterPid !== undefined);
  const load = new HttpLoad(section.port);
  // The file does not have the second member yet when somebody reloads.
  running.writer.put(box.wanted({ web: { section, nodes: [one.node, two.node] } }, file));
  await eventually("both serve", async () => (await box.serving("web")).length === 2);
  const pid = await box.pid();
  kill(masterPid, "SIGUSR2");
  await eventually("another worker serves", async () => await box.pid() !== pid);
  await eventually("both serve", async () => (await box.serving("web")).length === 2);
  await running.event("balancer.replaced");
  await load.more(50);
  assert.deepEqual((await load.stop()).failed, []);
});

/** An executor whose observations can be delayed. */
class BlindExecutor extends Executor {
  #open: Promise<void> = Promise.resolve();

  /** Delays observations; returns what ends that. */
  close(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open = promise;
    return resolve;
  }

  override async observe(...asked: Parameters<Executor["observe"]>): ReturnType<Executor["observe"]> {
    await this.#open;
    return await super.observe(...asked);
  }
}

Deno.test("a HAProxy that a service manager has restarted is brought up to date, without another reload", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  const effects = new BlindExecutor();
  await using running = new RunningWriter({ effects, reconcileMs: 100 });
  const section = { port: freePort() };
  const wanted = box.wanted({ web: { section, nodes: [one.node] } });
  await running.apply(wanted);
  const [old] = box.processes();
  assert(old !== undefined);
  // Stopped and started between two polls, within the time that the writer waits for a missing HAProxy.
  const see = effects.close();
  kill(old);
  await box.run("-W", "-D", "-f", box.configFile, "-p", box.pidFile, "-L", "lb.test");
  await eventually("the new one answers", async () => (await box.observe()).running !== undefined);
  see();
  await running.event("balancer.replaced");
  await running.apply(wanted);
  assert.equal(await get(section.port), "one.test");
  assert.equal(running.reloads, 1);
});

Deno.test("when a service manager and the writer start HAProxy at the same moment, one of the two processes exits", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort() };
  // The writer's program finds that another one was faster, by so little that the writer did not see it.
  const program = box.path("haproxy");
  const manager = `-W -D -f ${box.configFile} -p ${box.pidFile} -L lb.test`;
  await Deno.writeTextFile(program, `#!/bin/sh\n[ "$1" = -D ] && haproxy ${manager}\nexec haproxy "$@"\n`, {
    mode: 0o755,
  });
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }, { program }));
  await running.event("balancer.dismissed");
  await eventually("one is left", () => box.processes().length === 1);
  assert.equal(await get(section.port), "one.test");
  assert.equal((await box.observe()).running?.pid, box.processes()[0]);
});

Deno.test("a HAProxy in a container with a file of the same name is not replaced by the writer", {
  ignore: !MAY_CONTAIN,
}, async () => {
  await using box = new HaproxyBox();
  await Deno.writeTextFile(box.configFile, `listen other\n\tmode tcp\n\tbind 127.0.0.1:${freePort()}\n`);
  const args = [...CONTAINED, "haproxy", "-W", "-db", "-f", box.configFile];
  await using container = new Deno.Command("unshare", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  const before = await eventually("it runs", () => box.processes().length === 2 ? box.processes() : false);
  await using running = new RunningWriter({ reconcileMs: 100 });
  await running.apply(box.wanted({ web: {} }));
  await running.apply(box.wanted({ web: {}, more: {} }));
  assert.deepEqual(box.processes().filter((pid) => before.includes(pid)), before);
  assert.doesNotMatch(running.log.join("\n"), /relieving|Soft-stopping|old workers/);
  container.kill("SIGKILL");
});

Deno.test("a cluster without nodes keeps its listener, and responds with 503 at once", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using running = new RunningWriter();
  const section = { port: freePort() };
  for (const nodes of [[], [one.node], []]) {
    await running.apply(box.wanted({ web: { section, nodes } }));
    const response = await fetch(`http://127.0.0.1:${section.port}/`, { signal: AbortSignal.timeout(60_000) });
    await response.body?.cancel();
    assert.equal(response.status, nodes.length === 0 ? 503 : 200);
  }
  assert.equal(running.reloads, 1);
});
