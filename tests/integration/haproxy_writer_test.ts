import assert from "node:assert/strict";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import { Executor } from "../../src/balance/executor.ts";
import { preview } from "../../src/balance/preview.ts";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { BalancerEffects } from "../../src/balance/effects.ts";
import { wantedNode } from "../../src/membership/wanted.ts";
import type { Node } from "../../src/model/node.ts";
import type { WantedNode } from "../../src/plugin/contract.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { get, HttpLoad } from "../support/http_load.ts";
import { HaproxyBox, kill, localNode, NamedServer, RunningWriter, TEST_FQDN } from "../support/haproxy.ts";
import { frontendName, HAPROXY_VERSION, isHaproxyAtLeast } from "../support/haproxy_version.ts";

/** Many nodes, on ports where nobody needs to listen. */
function nodes(count: number): Node[] {
  return Array.from({ length: count }, (_, index) => localNode(20_001 + index, `n${index}.test`));
}

/** The expected names of a cluster's servers. */
function names(of: readonly Node[]): string[] {
  return of.map(({ host, ip, port }) => `${host}:${port} ${ip}:${port}`).toSorted();
}

Deno.test("the writer starts HAProxy, and a client is served", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [server.node] } }));
  assert.equal(await get(port), "app.test");
  assert.equal(running.reloads, 1);
});

Deno.test("the writer changes members without a reload: the process and its connections stay", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const port = freePort();
  const section = { port, backend: ["mode http", "balance roundrobin"] };
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }));
  const pid = await box.pid();
  await running.apply(box.wanted({ web: { section, nodes: [one.node, two.node] } }));
  assert.deepEqual(new Set([await get(port), await get(port)]), new Set(["one.test", "two.test"]));
  await running.apply(box.wanted({ web: { section, nodes: [two.node] } }));
  assert.deepEqual([await get(port), await get(port)], ["two.test", "two.test"]);
  assert.equal(await box.pid(), pid);
  assert.equal(running.reloads, 1);
});

Deno.test("the writer adds and removes a thousand nodes of one snapshot without a reload", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section } }));
  const many = nodes(1_000);
  await running.apply(box.wanted({ web: { section, nodes: many } }));
  assert.deepEqual(await box.serving("web"), names(many));
  await running.apply(box.wanted({ web: { section, nodes: many.slice(0, 3) } }));
  assert.deepEqual(await box.serving("web"), names(many.slice(0, 3)));
  assert.equal(running.reloads, 1);
});

Deno.test("a server with a health check is down until its check has passed", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const section = { port, server_options: "check inter 300ms rise 1 fall 1" };
  await running.apply(box.wanted({ web: { section } }));
  const dead = localNode(freePort(), "dead.test");
  await running.apply(box.wanted({ web: { section, nodes: [dead] } }));
  await assert.rejects(get(port), /503/);
  await running.apply(box.wanted({ web: { section, nodes: [dead, server.node] } }));
  await eventually("the check has passed", async () => await get(port) === "app.test");
  assert.equal(running.reloads, 1);
});

Deno.test("the file matches the running servers: a manual restart gives the same servers", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const section = { port: freePort(), backend: ["balance uri", "hash-type consistent"] };
  await running.apply(box.wanted({ web: { section, nodes: nodes(2) } }));
  const wanted = box.wanted({ web: { section, nodes: nodes(40).slice(1) } });
  await running.apply(wanted);
  const before = await eventually("the file follows", async () => {
    const text = await Deno.readTextFile(box.configFile);
    return text === render({ ...wanted, version: HAPROXY_VERSION }).text && text;
  });
  const ids = async () =>
    [...(await box.observe()).running?.backends.get("web")?.values() ?? []]
      .map(({ name, id }) => `${name} ${id}`).toSorted();
  const [served, placed] = [await box.serving("web"), await ids()];
  await running.stop();
  const old = await box.pid();
  kill(old, "SIGUSR1");
  await eventually("the old process has left", () => !box.processes().includes(old));
  await box.run("-D", "-f", box.configFile, "-p", box.pidFile);
  assert.deepEqual(await box.serving("web"), served);
  assert.deepEqual(await ids(), placed);
  assert.equal(await Deno.readTextFile(box.configFile), before);
});

Deno.test("a rejected config leaves the last valid config running, with the current members", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [one.node] } }));
  const pid = await box.pid();
  running.writer.put(box.wanted({ web: { section: { port, backend: ["timeout server xyz"] }, nodes: [two.node] } }));
  await running.event("balancer.config_rejected", { level: "error", cluster: "web", msg: /timeout server xyz/ });
  await eventually("the new member serves", async () => await get(port) === "two.test");
  assert.equal(await box.pid(), pid);
  await eventually("the file follows", async () => (await Deno.readTextFile(box.configFile)).includes("two.test"));
  await box.run("-c", "-f", box.configFile);
});

Deno.test("a cluster whose config HAProxy rejects does not prevent the others from starting", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  running.writer.put(box.wanted({
    bad: { section: { port: freePort(), frontend: ["timeout client xyz"] } },
    web: { section: { port }, nodes: [server.node] },
  }));
  await eventually("the good cluster serves", async () => await get(port) === "app.test");
});

Deno.test("a port in use by another program affects only its own cluster, and no connection is cut", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const taken = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }));
  {
    using _other = Deno.listen({ hostname: "127.0.0.1", port: taken });
    const good = await Deno.readTextFile(box.configFile);
    const pid = await box.pid();
    running.writer.put(box.wanted({ web, late: { section: { port: taken }, nodes: [server.node] } }));
    await running.event("balancer.address_taken", {
      level: "error",
      cluster: "late",
      fate: "put aside",
      msg: new RegExp(
        `Reload aborted: cannot bind 127.0.0.1:${taken}: address already in use \\(held by deno, pid ${Deno.pid}\\)`,
      ),
    });
    assert.equal(await get(port), "app.test");
    assert.equal(await box.pid(), pid);
    assert.equal(await Deno.readTextFile(box.configFile), good);
    // Changes of other clusters' structure continue.
    const more = freePort();
    running.writer.put(box.wanted({
      web,
      late: { section: { port: taken }, nodes: [server.node] },
      more: { section: { port: more }, nodes: [server.node] },
    }));
    await eventually("the third cluster serves", async () => await get(more) === "app.test");
  }
  await eventually("the late cluster is served once its port is free", async () => await get(taken) === "app.test");
});

Deno.test("a node that is this HAProxy itself gets no request: one request stays one, and the node is among the notices", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const [port, other] = [freePort(), freePort()];
  const section = { port, backend: ["option redispatch", "retries 3"] };
  const itself = [localNode(port, "lb.test"), localNode(other, "lb.test")];
  await running.apply(
    box.wanted({ web: { section, nodes: itself }, api: { section: { port: other }, nodes: itself } }),
  );
  const requests = async () => {
    const [stat = ""] = await box.ask("show stat -1 1 -1");
    const [header = "", ...rows] = stat.split("\n").map((row) => row.split(","));
    const totalAt = header.indexOf("req_tot");
    return rows.reduce((sum, row) => sum + Number(row[totalAt] ?? 0), 0);
  };
  await assert.rejects(get(port), /503/);
  assert.equal(await requests(), 1);
  const web = running.writer.standing.notices.map(({ text }) => text).filter((text) =>
    text.startsWith("Cluster web: ")
  );
  assert.deepEqual(
    web,
    [other, port].toSorted().map((port) =>
      `Cluster web: node lb.test:${port} at 127.0.0.1 is skipped: it is this HAProxy itself, ` +
      `which listens on 127.0.0.1:${port}`
    ),
  );
  await running.apply(
    box.wanted({ web: { section, nodes: [...itself, server.node] }, api: { section: { port: other }, nodes: itself } }),
  );
  for (let i = 0; i < 4; i++) assert.equal(await get(port), "app.test");
});

Deno.test("setting an unchanged address gets an expected answer, in the words of each HAProxy", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: nodes(1) } }));
  const moved = nodes(1).map((node) => ({ ...node, ip: "127.0.0.2" }));
  const wanted = { ...box.wanted({ web: { section, nodes: moved } }), version: HAPROXY_VERSION };
  const steps = await haproxy.plan(wanted, await haproxy.render(wanted), await box.observe(), { reload: true });
  const step = steps.find((step) => step.do === "command");
  assert(step?.do === "command" && step.command.includes(" addr 127.0.0.2 "), JSON.stringify(steps));
  const isExpected = (answer: string) => step.expect.some((expected) => new RegExp(`^(?:${expected})$`).test(answer));
  const answers = await box.ask(step.command.replace("127.0.0.2", "127.0.0.1"), step.command);
  assert.deepEqual(answers.filter((answer) => !isExpected(answer)), []);
  assert.match(answers[0] ?? "", isHaproxyAtLeast(3, 0) ? /^nothing changed/ : /^no need to change/);
});

Deno.test({
  name: "a removed node with idle connections from HAProxy is deleted at the next poll at the latest",
  // Before 3.0 HAProxy has no command to wait, and 3.4 is the first version that needs it.
  ignore: !isHaproxyAtLeast(3, 0),
  fn: async () => {
    await using box = new HaproxyBox();
    await using one = new NamedServer("one.test");
    await using two = new NamedServer("two.test");
    await using running = new RunningWriter();
    const section = { port: freePort() };
    await running.apply(box.wanted({ web: { section, nodes: [one.node, two.node] } }));
    const load = new HttpLoad(section.port);
    await eventually("both serve", async () => {
      const names = await Promise.all(Array.from({ length: 8 }, () => get(section.port)));
      return new Set(names).size === 2;
    });
    assert.deepEqual((await load.stop()).failed, []);
    await running.apply(box.wanted({ web: { section, nodes: [two.node] } }));
    await eventually("it is gone", async () => (await box.observe()).running?.backends.get("web")?.size === 1);
    const deletions = running.log.filter((line) => line.includes(`del server web/one.test:${one.port}`));
    // HAProxy 3.4 closes idle connections a moment after the commands: the poll after every change deletes the server then.
    assert(deletions.length <= 2, deletions.join("\n"));
  },
});

Deno.test("a killed HAProxy is started again", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter({ reconcileMs: 200 });
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [server.node] } }));
  const pid = await box.pid();
  kill(pid);
  await eventually("another process serves", async () => await box.pid() !== pid);
  assert.equal(await get(port), "app.test");
});

Deno.test("a HAProxy whose socket was removed is replaced, not duplicated", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter({ reconcileMs: 200 });
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [server.node] } }));
  const pid = await box.pid();
  await Deno.remove(box.socketFile);
  await eventually("another process serves", async () => await box.pid() !== pid);
  await eventually("the old one has left", () => box.processes().length === 1);
  assert.equal(await get(port), "app.test");
});

Deno.test("manual changes of members are reverted", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 100 });
  const three = nodes(3);
  await running.apply(box.wanted({ web: { section: { port: freePort() }, nodes: three } }));
  const [first, second, third] = three.map(({ host, port }) => `web/${host}:${port}`);
  await box.ask(
    `set server ${first} state maint`,
    `set server ${second} addr 127.0.0.9 port 9`,
    `set server ${third} state maint`,
    `del server ${third}`,
    "add server web/intruder:1 127.0.0.1:1",
    "enable server web/intruder:1",
  );
  await eventually("all is as it was", async () => {
    assert.deepEqual(await box.serving("web"), names(three));
    return true;
  });
  assert.equal(running.reloads, 1);
});

Deno.test("a hostile name is left out, and the good nodes beside it are served", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const good = nodes(1);
  const evil = ["a\nshutdown sessions server web/x", "a;disable frontend web", "a b", "a/b", "", "x".repeat(300)]
    .map((host) => ({ ...localNode(20_000), host }));
  const addresses = ["127.0.0.1 enabled", "0.0.0.0", "evil.test", "1.2.3.4\n"].map((ip) => ({
    ...localNode(20_000),
    ip,
  }));
  await running.apply(box.wanted({ web: { section: { port: freePort() }, nodes: [...evil, ...good, ...addresses] } }));
  assert.deepEqual(await box.serving("web"), names(good));
  assert.equal(running.count("balancer.notice", { msg: /^Cluster web: node skipped/ }), 10);
});

Deno.test("a name that is special to HAProxy is an ordinary server name, or left out", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const served = [
    "FRONTEND",
    "BACKEND",
    "LISTEN",
    "server",
    "default-server",
    "none",
    "web",
    ["a".repeat(60), "b".repeat(60)].join("."),
  ];
  const leftOut = ["#", "-x", "a#b", "$(id)", "${HOME}", '"web"', "\\", "*", "@1", "a,b", "x".repeat(252)];
  const port = freePort();
  const nodes = [...served, ...leftOut].map((host) => ({ ...localNode(20_000), host }));
  await running.apply(box.wanted({ web: { section: { port }, nodes } }));
  const want = served.map((host) => ({ ...localNode(20_000), host }));
  assert.deepEqual(await box.serving("web"), names(want));
  assert.equal(running.reloads, 1);
  await running.apply(box.wanted({ web: { section: { port }, nodes: nodes.slice(1) } }));
  assert.deepEqual(await box.serving("web"), names(want.slice(1)));
  assert.equal(running.reloads, 1);
});

Deno.test("a server with an open connection gets no new ones at once, and is deleted when the connection ends", async () => {
  await using box = new HaproxyBox();
  using slow = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using other = new NamedServer("other.test");
  await using running = new RunningWriter({ reconcileMs: 200 });
  const port = freePort();
  const section = { port, backend: ["mode tcp"], frontend: ["mode tcp"] };
  const node = localNode(slow.addr.port, "slow.test");
  await running.apply(box.wanted({ web: { section, nodes: [node] } }));
  {
    using client = await Deno.connect({ hostname: "127.0.0.1", port });
    using accepted = await slow.accept();
    await running.apply(box.wanted({ web: { section, nodes: [other.node] } }));
    assert.deepEqual(await box.serving("web"), names([other.node]));
    // The open connection continues.
    await accepted.write(new TextEncoder().encode("still here"));
    const buffer = new Uint8Array(32);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, await client.read(buffer) ?? 0)), "still here");
    // From 3.4 on HAProxy warns of a start as root, which tests may do.
    const isOfRoot = /was started as (?:the )?root/;
    assert.deepEqual(running.log.filter((line) => /^(?:warn|error)/.test(line) && !isOfRoot.test(line)), []);
  }
  await eventually("the server is gone", async () => (await box.observe()).running?.backends.get("web")?.size === 1);
  assert.equal(running.reloads, 1);
});

Deno.test("a reload for a new cluster fails no request", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }));
  const load = new HttpLoad(port);
  for (let round = 0; round < 5; round++) {
    await running.apply(box.wanted({ web, [`more${round}`]: { section: { port: freePort() } } }));
    await load.more(100);
  }
  const { done, failed } = await load.stop();
  assert.equal(running.reloads, 6);
  assert.deepEqual(failed, []);
  assert(done >= 500, `${done}`);
});

Deno.test("the writer takes over a HAProxy started by 1.0", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  const port = freePort();
  // What 1.0 writes: no mark, and no passing of sockets.
  await Deno.writeTextFile(
    box.configFile,
    `#
# Auto-generated by Lighthouse (Fri Nov 20 08:41:42 2026)
#

global
	daemon
	stats socket ${box.socketFile} mode 600 level admin
	stats timeout 2m

defaults
	mode http
	timeout connect 2s
	timeout client 20s
	timeout server 20s

frontend ${frontendName("web")}
	bind 127.0.0.1:${port}
	default_backend web

backend web
	server app.test:${server.port} 127.0.0.1:${server.port}  
`,
  );
  await box.run("-f", box.configFile, "-p", box.pidFile, "-L", "lb.test");
  assert.equal(await get(port), "app.test");
  const old = await box.pid();
  await using running = new RunningWriter();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [server.node] } }));
  assert.notEqual(await box.pid(), old);
  await eventually("the old process has left", () => !box.processes().includes(old));
  assert.equal(await get(port), "app.test");
  assert.ok(
    running.count("balancer.reloaded", {
      reason: /^the running HAProxy was started from a config file that Lighthouse did not write/,
    }) > 0,
  );
});

Deno.test("a restarted writer finds its HAProxy and changes nothing", async () => {
  await using box = new HaproxyBox();
  const wanted = box.wanted({ web: { section: { port: freePort() }, nodes: nodes(3) } });
  {
    await using first = new RunningWriter();
    await first.apply(wanted);
  }
  const pid = await box.pid();
  await using second = new RunningWriter();
  await second.apply(wanted);
  assert.deepEqual(second.turns.flatMap((turn) => turn.steps), []);
  assert.equal(await box.pid(), pid);
});

Deno.test("a HAProxy with a master is reloaded through the master", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  const wanted = box.wanted({ web });
  await Deno.writeTextFile(box.configFile, render({ ...wanted, version: HAPROXY_VERSION }).text);
  await box.run("-W", "-D", "-f", box.configFile, "-p", box.pidFile, "-L", "lb.test");
  const master = Number((await Deno.readTextFile(box.pidFile)).trim());
  const old = await eventually("the worker answers", () => box.pid());
  assert.notEqual(old, master);
  await using running = new RunningWriter();
  const more = freePort();
  await running.apply(box.wanted({ web, more: { section: { port: more }, nodes: [server.node] } }));
  assert.notEqual(await box.pid(), old);
  assert.equal(await get(more), "app.test");
  assert(box.processes().includes(master));
  assert.match(JSON.stringify(running.turns.flatMap((turn) => turn.steps)), new RegExp(`SIGUSR2","pid":${master}`));
});

Deno.test("a new member of a backend without runtime additions takes a reload, which is logged", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using running = new RunningWriter();
  const section = { port: freePort(), backend: ["balance static-rr"] };
  await running.apply(box.wanted({ web: { section, nodes: nodes(1) } }));
  await running.apply(box.wanted({ web: { section, nodes: nodes(2) } }));
  assert.deepEqual(await box.serving("web"), names(nodes(2)));
  assert.equal(running.reloads, 2);
  assert.ok(
    running.count("balancer.reloaded", { reason: /^web\/n1\.test:20002: \W*balance static-rr\W+cannot add servers/ }) >
      0,
  );
  await running.apply(box.wanted({ web: { section, nodes: nodes(1) } }));
  assert.deepEqual(await box.serving("web"), names(nodes(1)));
  assert.equal(running.reloads, 2);
});

Deno.test("preview() returns the steps that a writer would take, and changes nothing", async () => {
  await using box = new HaproxyBox();
  const wanted = box.wanted({ web: { section: { port: freePort() }, nodes: nodes(1) } });
  const effects = new Executor();
  const signal = new AbortController().signal;
  const { steps, running, rendered } = await preview(wanted, { balancer: haproxy, effects, signal });
  assert.deepEqual(steps.map((step) => step.do), ["install", "start"]);
  assert.equal(running, false);
  assert.match(rendered.files.get(box.configFile)?.text ?? "", /^backend web$/m);
  assert.deepEqual(box.processes(), []);
  await assert.rejects(Deno.stat(box.configFile), Deno.errors.NotFound);
});

Deno.test("a missing directory is a clear error, and nothing is started", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const file = `${box.path("nowhere")}/haproxy.cfg`;
  running.writer.put(box.wanted({ web: {} }, { config_file: file }));
  await running.event("balancer.failed", {
    msg: /^Cannot install the file .*\/nowhere\/haproxy\.cfg: No such file or directory/,
  });
  assert.deepEqual(box.processes(), []);
});

Deno.test("a paused HAProxy is waited for, and synchronized when it resumes", async () => {
  await using box = new HaproxyBox();
  const effects = new Executor({ socketDeadlineMs: 200 });
  await using running = new RunningWriter({ effects, reconcileMs: 200 });
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section, nodes: nodes(1) } }));
  const pid = await box.pid();
  Deno.kill(pid, "SIGSTOP");
  running.writer.put(box.wanted({ web: { section, nodes: nodes(2) } }));
  await running.event("balancer.failed", { msg: /^Cannot observe haproxy: No response at .* within 200ms/ });
  Deno.kill(pid, "SIGCONT");
  await eventually("the members are those of today", async () => {
    assert.deepEqual(await box.serving("web"), names(nodes(2)));
    return true;
  });
  assert.equal(await box.pid(), pid);
});

Deno.test("a moved socket takes a new process, and leaves no old one behind", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }));
  const old = await box.pid();
  await running.apply(box.wanted({ web }, { socket_file: box.path("moved.sock") }));
  await eventually("one process is left, and it is another", () => {
    const pids = box.processes();
    return pids.length === 1 && pids[0] !== old;
  });
  assert.equal(await get(port), "app.test");
});

Deno.test("a socket and a config file moved together take a new process, and leave no old one behind", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [one.node] } }));
  const old = await box.pid();
  const moved = { socket_file: box.path("moved.sock"), config_file: box.path("moved.cfg") };
  await running.apply(box.wanted({ web: { section: { port }, nodes: [two.node] } }, moved));
  await eventually("one process is left, and it is another", () => {
    const pids = box.processes();
    return pids.length === 1 && pids[0] !== old;
  });
  assert.equal(await get(port), "two.test");
  assert.equal(running.reloads, 2);
  assert.match(running.log.join("\n"), new RegExp(`replacing orphan processes: ${old} `));
});

Deno.test("when a moved socket and config file are rejected, the old process keeps serving, with the current members", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [one.node] } }));
  const old = await box.pid();
  const moved = {
    socket_file: box.path("moved.sock"),
    config_file: box.path("moved.cfg"),
    defaults: ["timeout client xyz"],
  };
  running.writer.put(box.wanted({ web: { section: { port }, nodes: [two.node] } }, moved));
  await running.event("balancer.config_rejected", { level: "error" });
  await eventually("the new member serves", async () => await get(port) === "two.test");
  assert.deepEqual(box.processes(), [old]);
});

Deno.test("a moved config file takes a reload, which is logged, and one process serves from the new file", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const web = { section: { port }, nodes: [server.node] };
  await running.apply(box.wanted({ web }));
  const old = await box.pid();
  const file = box.path("moved.cfg");
  await running.apply(box.wanted({ web }, { config_file: file }));
  await eventually("one process is left, and it is another", () => {
    const pids = box.processes();
    return pids.length === 1 && pids[0] !== old;
  });
  const [pid] = box.processes();
  assert((await Deno.readTextFile(`/proc/${pid}/cmdline`)).split("\0").includes(file));
  assert.equal(await get(port), "app.test");
  assert.ok(running.count("balancer.reloaded", { reason: "config file moved" }) > 0);
  await running.apply(box.wanted({ web }, { config_file: file }));
  assert.equal(running.reloads, 2);
});

/** A program in place of HAProxy that forwards to it, but hangs if a shell pattern matches its arguments. */
async function hangingProgram(path: string, pattern: string, pids: string): Promise<string> {
  const script = `#!/bin/sh
case " $* " in ${pattern}) echo $$ >> ${pids}; exec sleep 300;; esac
exec haproxy "$@"
`;
  await Deno.writeTextFile(path, script, { mode: 0o755 });
  return path;
}

for (const [what, pattern] of [["check", "*' -c '*"], ["start", "*' -D '*"]] as const) {
  Deno.test(`a hanging ${what} does not delay the end of the writer, and is killed`, async () => {
    await using box = new HaproxyBox();
    // The hanging program outlasts this test by far: only the end of the writer can end it.
    await using running = new RunningWriter({ effects: new Executor({ programDeadlineMs: 200_000 }) });
    const pids = box.path("pids");
    const program = await hangingProgram(box.path("slow"), pattern, pids);
    // If the file exists already, a candidate is checked before it replaces the file.
    await Deno.writeTextFile(box.configFile, "# previous\n");
    running.writer.put(box.wanted({ web: { section: { port: freePort() } } }, { program }));
    const pid = await eventually(
      "it hangs",
      async () => Number(await Deno.readTextFile(pids).catch(() => "")) || undefined,
    );
    let isOver = false;
    void running.stop().then(() => isOver = true);
    await eventually("the writer has ended", () => isOver);
    assert.throws(() => Deno.kill(pid, "SIGCONT"), Deno.errors.NotFound);
    assert.equal(running.count("balancer.config_rejected"), 0, running.log.join("\n"));
  });

  Deno.test(`a hanging ${what} is not reported as a rejected config`, async () => {
    await using box = new HaproxyBox();
    await using running = new RunningWriter({ effects: new Executor({ programDeadlineMs: 300 }) });
    const program = await hangingProgram(box.path("slow"), pattern, box.path("pids"));
    await Deno.writeTextFile(box.configFile, "# previous\n");
    running.writer.put(box.wanted({ web: { section: { port: freePort() } } }, { program }));
    await running.event("balancer.failed", { level: "error", msg: /^Cannot .* did not exit within 300ms/ });
    assert.equal(running.count("balancer.config_rejected"), 0, running.log.join("\n"));
  });
}

Deno.test("a table shared with peers works even if this host is not a member, and while members join and leave", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using running = new RunningWriter();
  const port = freePort();
  const section = {
    port,
    backend: ["mode http", "stick-table type ip size 1k peers web", "stick on src"],
  };
  await running.apply(box.wanted({ web: { section } }));
  const peer = { name: "other.test", ip: "127.0.0.3", port: 1024 };
  await running.apply(box.wanted({ web: { section, nodes: nodes(2).map((node) => ({ ...node, peer })) } }));
  assert.deepEqual(await box.serving("web"), names(nodes(2)));
  assert.equal(running.reloads, 1);
  await eventually("the file has the peer", async () => {
    return (await Deno.readTextFile(box.configFile)).includes("\tpeer other.test 127.0.0.3:1024\n");
  });
  // A reload for another reason applies it.
  await running.apply(box.wanted({
    web: { section, nodes: nodes(1).map((node) => ({ ...node, peer })) },
    more: { section: { port: freePort() } },
  }));
  const [peers = ""] = await box.ask("show peers");
  assert.match(peers, /other\.test/);
});

Deno.test("members join and leave without a full poll of HAProxy, each change is read back, and the file is updated", async () => {
  await using box = new HaproxyBox();
  const executor = new Executor();
  let looks = 0;
  const changes: boolean[] = [];
  const effects: BalancerEffects = {
    observe: (...args) => {
      looks++;
      return executor.observe(...args);
    },
    watchSocket: (...args) => executor.watchSocket(...args),
    softStop: (...args) => executor.softStop(...args),
    version: (...args) => executor.version(...args),
    programFile: (program) => executor.programFile(program),
    execute: (...args) => executor.execute(...args),
    executeHeld: async (...args) => {
      const outcomes = await executor.executeHeld(...args);
      changes.push(outcomes.length === args[0].length && outcomes.every(({ ok }) => ok));
      return outcomes;
    },
  };
  await using running = new RunningWriter({ effects });
  // The frontend has the name of the backend, before HAProxy 3.1.
  const port = freePort();
  const wanted = (of: readonly (Node | WantedNode)[]) =>
    box.wanted({ web: { section: { port, backend: ["mode http"] }, nodes: of } });
  await running.apply(wanted(nodes(2)));
  await running.apply(wanted(nodes(2)));
  const [first, second, third] = nodes(3).map(wantedNode) as [WantedNode, WantedNode, WantedNode];
  looks = 0;
  await running.apply(wanted([first, second, third]));
  await running.apply(wanted([first, { ...second, weight: 7 }, { ...third, state: "drain" }]));
  await running.apply(wanted([first, { ...second, weight: 7 }]));
  assert.deepEqual([looks, changes], [0, [true, true, true]], running.log.join("\n"));
  assert.deepEqual(await box.serving("web"), names(nodes(2)));
  assert.equal((await box.observe()).running?.backends.get("web")?.get("n1.test:20002")?.weight, 7);
  await eventually("the file follows", async () => (await Deno.readTextFile(box.configFile)).includes(" weight 7"));
  assert(looks > 0);
  assert.equal(running.count("balancer.drift"), 0, running.log.join("\n"));
  assert.equal(running.reloads, 1);
});

Deno.test("new members reach the serving process even if the old process still responds after an external reload", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter({ reconcileMs: 60_000 });
  const wanted = (count: number) => box.wanted({ web: { section: { backend: ["mode http"] }, nodes: nodes(count) } });
  await running.apply(wanted(1));
  await running.apply(wanted(1));
  const pid = await box.pid();
  await box.run("-D", "-f", box.configFile, "-p", box.pidFile, "-L", TEST_FQDN, "-x", box.socketFile, "-sf", `${pid}`);
  await eventually("another process answers", async () => await box.pid() !== pid);
  await running.apply(wanted(3));
  assert.deepEqual(await box.serving("web"), names(nodes(3)));
});

Deno.test("members that join and leave fail no request, and keep the connections of the others", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter();
  const port = freePort();
  const section = { port, backend: ["mode http", "balance roundrobin"] };
  await running.apply(box.wanted({ web: { section, nodes: [one.node] } }));
  const load = new HttpLoad(port);
  for (let round = 0; round < 20; round++) {
    const members = round % 2 === 0 ? [one.node, two.node] : round % 4 === 1 ? [two.node] : [one.node];
    await running.apply(box.wanted({ web: { section, nodes: members } }));
    await load.more(20);
  }
  const { failed } = await load.stop();
  assert.deepEqual(failed, []);
  assert.equal(running.reloads, 1);
});
