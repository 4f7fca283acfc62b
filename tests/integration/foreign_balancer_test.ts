/**
 * Third-party balancer plugins: one beside HAProxy, and the containment of
 * plugins that misbehave.
 *
 * @module
 */
import assert from "node:assert/strict";
import { stringify } from "yaml";
import { Traffic } from "../../examples/demo/traffic.ts";
import { Executor } from "../../src/balance/executor.ts";
import type { BalancerSources, Step } from "../../src/plugin/contract.ts";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { EdgeBox, edgeSource, oddBalancerSource } from "../support/foreign_balancer.ts";
import { freePort } from "../support/free_port.ts";
import { NameServer } from "../support/dnsmasq.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { hashOf, PluginServer, servedBelow } from "../support/plugin_server.ts";
import { setUp } from "../setup.ts";

const CHECKS = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } };

Deno.test("a cluster is served by HAProxy and by an nginx whose plugin came by URL, and neither fails a request", async () => {
  await setUp(["haproxy", "nginx"]);
  await using host = new TestHost();
  await using nginx = new EdgeBox();
  await using one = new WebService();
  await using two = new WebService();
  const source = await edgeSource();
  const second = { ...source, "mod.ts": `${source["mod.ts"]}// Another version, which renders the same.\n` };
  const hangs = {
    "mod.ts": source["mod.ts"]?.replace(
      "function render(",
      "function render(...given) { throw new Error('out of order'); }\nfunction renderNot(",
    ) ?? "",
    "schema.ts": source["schema.ts"] ?? "",
  };
  await using server = new PluginServer({
    ...servedBelow("/1", source),
    ...servedBelow("/2", second),
    ...servedBelow("/3", hangs),
  });
  const use = async (version: number, modules: Readonly<Record<string, string>>) =>
    await host.write("plugins", {
      balancers: {
        edge: { url: server.url(`/${version}/mod.ts`), sha256: await hashOf(modules), allow: nginx.allow },
      },
    });
  await use(1, source);
  await host.configure();
  await host.write("lighthouse", { plugin_cache: host.dir.file("plugins") });
  await host.write("balancers/edge", nginx.file);
  const ports = { haproxy: freePort(), edge: freePort() };
  await host.write("services/web", { discovery: "file", ports: [one.port, two.port], checks: CHECKS });
  await host.write("clusters/web", {
    discovery: "file",
    haproxy: { port: ports.haproxy, backend: ["mode http"] },
    edge: { port: ports.edge },
  });
  // Both are registered before there is a writer, or nginx would start with one, and reload for the other.
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await reporter.event("registration.registered", {}, { times: 2 });
  await using writer = Lighthouse.start("writer", host.configDir);
  const untilServing = async (expected: readonly number[]) => {
    await host.untilServing("web", expected);
    await nginx.untilServing(expected).catch((error) => {
      throw new Error(`${error.message}\n${writer.log}`);
    });
  };
  await untilServing([one.port, two.port]);
  {
    await using viaHaproxy = new Traffic({ port: ports.haproxy, clients: 2, pauseMs: 5 });
    await using viaNginx = new Traffic({ port: ports.edge, clients: 2, pauseMs: 5 });
    two.healthy = false;
    await untilServing([one.port]);
    two.healthy = true;
    await untilServing([one.port, two.port]);
    await eventually(
      "both have answered through both",
      () => [viaHaproxy, viaNginx].every(({ count }) => count.answers.size >= 2 && count.sent > 20),
    );
    for (const { count } of [viaHaproxy, viaNginx]) assert.deepEqual(count.reasons, []);
  }

  const running = await nginx.text();
  await use(2, second);
  await writer.event("plugin.loaded", { plugin: "balancer/edge" }, { times: 2 });
  await writer.event("config.applied", {}, { times: 2 });
  two.healthy = false;
  await host.untilServing("web", [one.port]);
  await nginx.untilServing([one.port]);
  two.healthy = true;
  await untilServing([one.port, two.port]);
  // Each change of members was one reload, the swap of the plugin none.
  assert.equal(await nginx.text(), running);
  await writer.event("balancer.reloaded", { balancer: "edge" }, { times: 4 });
  assert.equal(writer.count("balancer.reloaded", { balancer: "edge" }), 4, writer.log);
  assert.equal(writer.count("balancer.replaced"), 0, "an old worker is not taken for one that somebody started");

  await use(3, hangs);
  await writer.event("config.invalid", {
    file: /balancers\/edge\.yaml$/,
    line: 1,
    msg: /Cannot use the plugin of balancer edge: uncaught error: out of order/,
  });
  two.healthy = false;
  await untilServing([one.port]);

  // Neither waits for the other.
  const pid = await host.haproxy.pid();
  Deno.kill(pid, "SIGSTOP");
  two.healthy = true;
  await nginx.untilServing([one.port, two.port]);
  Deno.kill(pid, "SIGCONT");
  await untilServing([one.port, two.port]);
});

Deno.test("check reports what the program of a third-party balancer rejects with the source file, line and column", async () => {
  await setUp(["nginx"]);
  await using host = new TestHost();
  await using nginx = new EdgeBox();
  const url = new URL("../support/edge_balancer/mod.ts", import.meta.url).href;
  await host.write("plugins", { balancers: { edge: { url, allow: nginx.allow } } });
  await host.write("discovery/file", { path: host.registryDir });
  await host.write("balancers/edge", nginx.file);
  const lines = ["keepalive_timeout 3s", "nonsense on"];
  await host.write("clusters/web", stringify({ discovery: "file", edge: { port: freePort(), lines } }));
  const { code, stdout } = await runCli(["check", host.configDir]);
  assert.equal(code, 1, stdout);
  assert.match(stdout, /clusters\/web\.yaml:6:7: error: rejected by edge: unknown directive "nonsense"/);
});

Deno.test("Executor sends a signal to no process of another program", async () => {
  const step: Step = { do: "reload", reason: "a test", listens: [], how: { signal: "SIGUSR2", pid: Deno.pid } };
  const sources: BalancerSources = {
    kind: "process",
    contact: { by: "http", socket: "/none", queries: [] },
    file: "/none",
    program: "/usr/sbin/nginx",
    reloadIntervalMs: 0,
  };
  const [outcome] = await new Executor().execute([step], sources, new AbortController().signal);
  assert(outcome?.ok === false);
  assert.match(outcome.failure.message, new RegExp(`process ${Deno.pid} is deno; must be nginx`));
});

/** Misbehaviour of plugins, and the log record that reports it. */
const ATTACKS: readonly { readonly name: string; readonly members: string; readonly told: RegExp }[] = [
  {
    name: "elsewhere",
    members: `plan: () => [install("root::0:0::/:", { path: "/etc/lighthouse-attack" })]`,
    told: /Cannot install \\?"\/etc\/lighthouse-attack\\?" for balancer elsewhere: permission not granted/,
  },
  {
    name: "upwards",
    members: `plan: () => [install("", { path: dir + "/file/../../odd" })]`,
    told: /Cannot install .* for balancer upwards/,
  },
  {
    name: "shell",
    members: `plan: () => [install("x"), start("/bin/sh", "-c", "touch " + dir + "/pwned")]`,
    told: /Cannot run \\?"\/bin\/sh\\?" for balancer shell/,
  },
  {
    name: "check",
    members: `plan: () => [install("x", { check: ["/bin/sh", "-c", "touch " + dir + "/pwned", "%"] })]`,
    told: /Cannot run \\?"\/bin\/sh\\?" for balancer check/,
  },
  {
    name: "signal",
    members: `plan: () => [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: ${Deno.pid} } }]`,
    told: new RegExp(`Cannot signal process ${Deno.pid} \\(not a process of this balancer\\) for balancer signal`),
  },
  {
    name: "kill",
    members: `plan: () => [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGKILL", pid: ${Deno.pid} } }]`,
    told: /balancer kill: .*A signal must be one of SIGHUP/,
  },
  {
    name: "pidfile",
    members: `sources: () => ({
      kind: "process", file: dir + "/file", program: dir + "/check", reloadIntervalMs: 0,
      contact: { by: "pid", pidFile: dir + "/file", proof: "process" },
    }),
    observe: ({ files }) => files?.has(dir + "/file"),
    render: () => ({ files: new Map([[dir + "/file", { text: "${Deno.pid}" }]]), notices: [] }),
    plan: (wanted, rendered, isWritten) => isWritten
      ? [{ do: "reload", reason: "x", listens: [], how: { signal: "SIGTERM", pid: ${Deno.pid} } }]
      : [install("${Deno.pid}")]`,
    told: new RegExp(`Cannot signal process ${Deno.pid} \\(not a process of this balancer\\) for balancer pidfile`),
  },
  {
    name: "master",
    members: `plan: () => [{
      do: "reload", reason: "x", listens: [],
      how: { ask: "/run/docker.sock", command: "GET /", took: "a", failed: "b" },
    }]`,
    told: /Cannot query the master at \\?"\/run\/docker\.sock\\?" for balancer master/,
  },
  {
    name: "notice",
    members: `plan: () => [{ do: "notify", reason: "x", run: ["/bin/sh", "-c", "touch " + dir + "/pwned"] }]`,
    told: /Cannot run \\?"\/bin\/sh\\?" for balancer notice/,
  },
  {
    name: "child",
    members: `plan: () => [{ do: "supervise", name: "x", reason: "x", run: [dir + "/check"] }]`,
    told: /Cannot start the child process \\?"x\\?" \(not listed in its sources\) for balancer child/,
  },
  {
    name: "note",
    members: `sources: () => ({
      kind: "files", file: dir + "/file", reloadIntervalMs: 0, children: [{ name: "x", pidFile: dir + "/file" }],
    }),
    plan: () => [{ do: "supervise", name: "x", reason: "ends whatever the file names", run: [] }]`,
    told: /Cannot write the pid of a child process to \\?"[^"]*\/file\\?" \(must end in \.pid\) for balancer note/,
  },
  {
    name: "semicolon",
    members: `plan: () => [{ do: "command", command: "show info; shutdown sessions", expect: [".*"] }]`,
    told: /balancer semicolon: .*command must be one command, without a semicolon/,
  },
  {
    name: "pattern",
    members: `plan: () => [{ do: "command", command: "show info", expect: ["(a+)+b"] }]`,
    told: /balancer pattern: .*expect must have no group/,
  },
  {
    name: "long",
    members: `render: () => ({ files: new Map([[dir + "/file", { text: "x".repeat(100_000_000) }]]), notices: [] })`,
    told:
      /balancer long: uncaught error: A response must have at most 20971520 characters of JSON; received 1000001\d\d/,
  },
  { name: "hangs", members: `plan: () => { for (;;); }`, told: /balancer hangs: no response to decide within 5s/ },
  { name: "leaves", members: `plan: () => { close(); return []; }`, told: /balancer leaves: no response to decide/ },
  { name: "garbage", members: `plan: () => ({ do: "good" })`, told: /balancer garbage: .*steps must be a list/ },
  { name: "promise", members: `plan: async () => []`, told: /balancer promise: .*steps must be a list/ },
  { name: "throws", members: `observe() { throw { toString() { throw 1; } }; }`, told: /Cannot observe throws: / },
  {
    name: "reads",
    members:
      `render: () => ({ files: new Map([["x", { text: Deno.readTextFileSync("/etc/hostname") }]]), notices: [] })`,
    told: /balancer reads: uncaught error: Requires read access to \\?"\/etc\/hostname/,
  },
  {
    name: "wide",
    members: `permissions: () => ({ write: ["/etc"], env: ["HOME"] })`,
    told: /(?:requested permissions|Requested permissions were not granted): write .*\/etc.* is not granted/,
  },
  {
    name: "looks",
    members:
      `sources: () => ({ kind: "process", contact: { by: "http", socket: "/run/x", queries: [] }, file: "/etc/shadow", ` +
      `program: "/bin/sh", reloadIntervalMs: 0 })`,
    told: /Cannot write .*\/etc\/shadow.*, query the socket .*\/run\/x.*, run .*\/bin\/sh.* for balancer looks/,
  },
  {
    name: "judge",
    members: `cluster: { "~standard": { version: 1, vendor: "x", validate() { throw new Error("no judge") } } }`,
    told: /clusters\/web\.yaml:1:.* warning: Cannot use the plugin of balancer judge: uncaught error: no judge/,
  },
  {
    name: "deaf",
    members: `listens(config, section) { if (section !== undefined) throw new Error("no ears"); return []; }`,
    told: /clusters\/web\.yaml:1:.* warning: Cannot use the plugin of balancer deaf: uncaught error: no ears/,
  },
  {
    name: "loud",
    members: `plan() { for (let i = 0; i < 10_000; i++) console.log(i); return []; }`,
    told: /\d+ log records dropped in one second because of the rate limit/,
  },
  { name: "endless", members: `plan: () => [install("x")]`, told: /event=config\.applied/ },
  {
    name: "restless",
    members: `plan: () => [install(String(Math.random()))]`,
    told: /restless did not converge after 50/,
  },
];

// In two halves, each a process: thirty workers that obstruct as they can take minutes on a busy machine.
const HALF = Math.ceil(ATTACKS.length / 2);

Deno.test.each([
  { part: "the first half", attacks: ATTACKS.slice(0, HALF) },
  { part: "the second half", attacks: ATTACKS.slice(HALF) },
])(
  "balancers with misbehaving plugins are each contained, and HAProxy is kept in sync: $part",
  async ({ attacks }) => {
    await setUp(["haproxy"]);
    await using host = new TestHost();
    await using one = new WebService();
    await using two = new WebService();
    await host.configure();
    await host.write("services/web", { discovery: "file", ports: [one.port, two.port], checks: CHECKS });
    const sections: Record<string, unknown> = { haproxy: { port: freePort(), backend: ["mode http"] } };
    const balancers: Record<string, unknown> = {};
    for (const { name, members } of attacks) {
      const dir = host.dir.file(`odd/${name}`);
      await host.dir.write(`odd/${name}/check`, '#!/bin/sh\necho >> "${0%/*}/runs"\n');
      await Deno.chmod(`${dir}/check`, 0o755);
      await host.dir.write(`config/plugins/${name}.js`, oddBalancerSource(dir, members));
      await host.write(`balancers/${name}`, { odd: true });
      balancers[name] = {
        url: `plugins/${name}.js`,
        allow: { net: [`unix:${dir}/socket`], write: [`${dir}/file`], run: [`${dir}/check`] },
      };
      sections[name] = {};
    }
    await host.write("plugins", { balancers });
    await host.write("clusters/web", { discovery: "file", ...sections });
    await using both = Lighthouse.start("run", host.configDir);
    await host.untilServing("web", [one.port, two.port]).catch((error) => {
      throw new Error(`${error.message}\n${both.log}`);
    });
    for (const { told } of attacks) await both.logged(told);
    two.healthy = false;
    await host.untilServing("web", [one.port]);
    two.healthy = true;
    await host.untilServing("web", [one.port, two.port]);
    await assert.rejects(Deno.stat("/etc/lighthouse-attack"), Deno.errors.NotFound);
    for (const { name } of attacks) {
      await assert.rejects(Deno.stat(host.dir.file(`odd/${name}/pwned`)), Deno.errors.NotFound);
    }
    if (!attacks.some(({ name }) => name === "endless")) return;
    // A plan that never converges is executed at growing intervals: in a loop it would be thousands of times.
    const runs = (await Deno.readTextFile(host.dir.file("odd/endless/runs"))).length;
    assert(runs < 200, `${runs}`);
  },
);

Deno.test("the example plugin for dnsmasq maintains the addresses of a cluster's name, and dnsmasq reads them", async () => {
  await setUp(["dnsmasq"]);
  await using host = new TestHost();
  await using one = new WebService();
  const [hosts, pidFile] = [host.dir.file("hosts"), host.dir.file("dnsmasq.pid")];
  await Deno.writeTextFile(hosts, "");
  const own = Deno.uid() === 0 ? ["user=root"] : [];
  await using server = await NameServer.start([`addn-hosts=${hosts}`, ...own]);
  await Deno.writeTextFile(pidFile, `${server.pid}\n`);
  const answer = async () => {
    const [hostname = "", port] = server.target.split(":");
    const nameServer = { ipAddr: hostname, port: Number(port) };
    return await Deno.resolveDns("web.test", "A", { nameServer }).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    });
  };
  assert.deepEqual(await answer(), []);
  const url = new URL("../../examples/plugins/dnsmasq/mod.ts", import.meta.url).href;
  await host.write("plugins", { balancers: { dnsmasq: { url, allow: { write: [hosts], run: ["/usr/bin/pkill"] } } } });
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  await host.write("balancers/dnsmasq", {
    hosts_file: hosts,
    notify: ["/usr/bin/pkill", "--signal", "HUP", "--pidfile", pidFile],
  });
  await host.write("services/web", { discovery: "file", port: one.port, checks: CHECKS });
  await host.write("clusters/web", { discovery: "file", dnsmasq: { name: "web.test" } });
  await using both = Lighthouse.start("run", host.configDir);
  await eventually("dnsmasq answers with the member", async () => (await answer())[0] === "127.0.0.1").catch(
    (error) => {
      throw new Error(`${error.message}\n${both.log}`);
    },
  );
  one.healthy = false;
  await eventually("the member is gone", async () => (await answer()).length === 0);
});
