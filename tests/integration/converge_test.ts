/**
 * What befalls a real HAProxy and its file behind the writer's back, and heals
 * by itself: each time the log says what was found and what was done.
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

/** Runs a program as a container does: it numbers its processes for itself, and all of them end with the first. */
const CONTAINED = ["--pid", "--fork", "--kill-child"];

/** Whether there can be one here. */
const MAY_CONTAIN = new Deno.Command("unshare", { args: [...CONTAINED, "true"], stdin: "null" }).outputSync().success;

Deno.test("what a hand has changed of members heals, and the log says which were otherwise, and how", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 100 });
  const nodes = ["a", "b", "c", "d", "e"].map((name, index) => localNode(20_001 + index, `${name}.test`));
  await running.apply(box.wanted({ web: { section: { port: freePort() }, nodes } }));
  const healthy = await box.serving("web");
  await eventually("it is looked at in peace", () => running.turns.some(({ converged }) => converged));
  for (
    const [done, told] of [
      ["set server web/a.test:20001 state maint", "web/a.test:20001 is in maintenance"],
      ["set server web/b.test:20002 state drain", "web/b.test:20002 is being drained"],
      [
        "set server web/c.test:20003 addr 127.0.0.9 port 9",
        "web/c.test:20003 is at 127.0.0.9:9 instead of 127.0.0.1:20003",
      ],
      ["set server web/d.test:20004 health down", "web/d.test:20004 is down, and has no check"],
      ["add server web/intruder:1 127.0.0.1:1", undefined],
    ] as const
  ) {
    await box.ask(done);
    if (told === undefined) continue;
    const { level } = await running.event("balancer.drift", { found: new RegExp(told) });
    assert.equal(level, "warn");
  }
  await box.ask("set server web/e.test:20005 state maint", "del server web/e.test:20005");
  await running.event("balancer.drift", { found: /web\/e\.test:20005 is missing/ });
  await eventually("all is as it was", async () => {
    const { running: seen } = await box.observe();
    assert.deepEqual(await box.serving("web"), healthy);
    assert.equal(seen?.backends.get("web")?.size, 5);
    return [...seen?.backends.get("web")?.values() ?? []].every(({ down }) => !down);
  });
  assert.equal(running.reloads, 1);
});

Deno.test("a frontend that a hand has closed is open again: one that was disabled at once, one that was shut down by a reload", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: [server.node] } }));
  await eventually("it is looked at in peace", () => running.turns.some(({ converged }) => converged));
  const pid = await box.pid();
  await box.ask(`disable frontend ${frontendName("web")}`);
  await running.event("balancer.drift", { found: `frontend ${frontendName("web")} is disabled` });
  await eventually("it serves again", async () => await get(section.port) === "app.test");
  assert.equal(await box.pid(), pid);
  await box.ask(`shutdown frontend ${frontendName("web")}`);
  await running.event("balancer.reloaded", { reason: new RegExp(`^frontend ${frontendName("web")} was shut down`) });
  await eventually("it serves again", async () => await get(section.port) === "app.test");
  await eventually("that was one reload", () => running.reloads === 2);
});

Deno.test("what the writer itself has changed is told to be nobody else's doing", async () => {
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

Deno.test("a config file that is deleted or edited is as it was, and the log says so", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 100 });
  await running.apply(box.wanted({ web: { section: { port: freePort() }, nodes: [localNode(20_001)] } }));
  const text = await Deno.readTextFile(box.configFile);
  const isBack = () => eventually("it is back", async () => await Deno.readTextFile(box.configFile) === text);
  await Deno.writeTextFile(box.configFile, `${text}\n# a hand was here\n`);
  await isBack();
  await running.event("balancer.drift", { found: /haproxy\.cfg was changed$/ });
  await Deno.remove(box.configFile);
  await isBack();
  await running.event("balancer.drift", { found: /haproxy\.cfg was removed$/ });
  assert.equal(running.reloads, 1);
});

Deno.test("a worker that somebody's reload replaced is seen, and has the members of today under load", async () => {
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
  // The file does not know of the second member yet when somebody reloads.
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

/** An executor whose eyes can be closed: a look begins once they are open again. */
class BlindExecutor extends Executor {
  #open: Promise<void> = Promise.resolve();

  /** Closes the eyes; answers what opens them. */
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
  // Stopped and started between two looks, as within the time that a HAProxy that is gone is given.
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

Deno.test("a HAProxy that a service manager starts at the same moment as the writer does leaves again", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort() };
  // What the writer runs finds that somebody was quicker, by so little that the writer did not see it.
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

Deno.test("a HAProxy in a container with a file of the same name is nobody that the writer would relieve", {
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
  assert.doesNotMatch(running.log.join("\n"), /relieving|asked to leave|older ones/);
  container.kill("SIGKILL");
});

Deno.test("a cluster without nodes is listened for, and answers 503 at once", async () => {
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
