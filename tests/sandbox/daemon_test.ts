/**
 * Attackers in the real daemon, all at once, from its plugins.yaml: each is
 * logged, and a good service beside them stays registered throughout.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { oddBalancerSource } from "../support/foreign_balancer.ts";
import { freePort } from "../support/free_port.ts";
import { ANNOUNCED, Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { hashOf, PluginServer } from "../support/plugin_server.ts";
import { type Attacker, attackerText } from "../support/sandbox.ts";
import { StatusClient } from "../support/status_client.ts";

/** Each attacker's code, and the log line that reports it. */
const ATTACKERS: Readonly<Record<string, Attacker & { readonly told: RegExp }>> = {
  closes: {
    probe: "self.close(); return new Promise(() => {});",
    told: /worker="check closes:\d+\/closes" reason="no response to 3 pings"/,
  },
  claims: {
    members: `kind: "discovery", capabilities: ["watch"], open() {},`,
    told: /Cannot use the plugin as a check: the plugin is a discovery/,
  },
  floods: {
    probe: "for (let i = 0; i < 20_000; i++) { log.info('noise', new Uint8Array(1e6)); } return new Promise(() => {});",
    told: /worker="check floods:\d+\/floods" reason="\d+ log records dropped in one second because of the rate limit"/,
  },
  forges: {
    top: `console.log("\x1b[31mtime=2026-11-30T00:00:00.000Z level=info logger=lighthouse msg=forged-at-the-top");`,
    probe:
      `console.dir("forged-later\\nlevel=error"); console.table([{ a: "\x1b]0;title\x07" }]); console.trace("forged");
      console.assert(false, "\x1b[2J"); console.clear(); console.group("forged"); return new Promise(() => {});`,
    told: /forged-later level=error/,
  },
  imports: { top: `import "npm:nobody-has-this-package";`, told: /plugins\.yaml.*npm:nobody-has-this-package/ },
  kills: {
    probe: "Deno.kill(Deno.pid, 'SIGKILL'); return { status: 'pass' };",
    told: /check=kills .*Deno\.kill is not a function|Deno\.kill is not a function.*kills/,
  },
  loops: { probe: "for (;;);", told: /event=worker\.kept_out worker="check loops:\d+\/loops"/ },
  never: {
    top: "await new Promise(() => {});",
    told: /plugins\.yaml.*not loaded within 10s/,
  },
  pollutes: {
    top: `Object.defineProperty(Object.prototype, "pollution", { get() { throw null; }, enumerable: true });`,
    probe: "throw new Proxy({}, { get() { throw null; } });",
    told: /pollutes/,
  },
  reads: {
    probe: "return { status: 'fail', reason: Deno.readTextFileSync('/etc/passwd') };",
    told: /Requires read access to \\?"\/etc\/passwd/,
  },
  throws: {
    probe: "setTimeout(() => { throw null; }); return new Promise(() => {});",
    told: /worker="check throws:\d+\/throws" reason="uncaught error: null"/,
  },
  wants: {
    permissions: `{ net: [target, "127.0.0.1:1"] }`,
    told: /net \\?"127\.0\.0\.1:1\\?" is not granted: allow\.net of check\/wants/,
  },
};

Deno.test("twelve attackers at once harm nobody: each is logged, and a good service stays registered", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  const names = Object.keys(ATTACKERS);
  await using server = new PluginServer(
    Object.fromEntries(names.map((name) => [`/${name}/mod.ts`, attackerText(ATTACKERS[name] ?? {})])),
  );
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  await host.write("services/good", {
    discovery: "file",
    port: service.port,
    checks: { interval: 0.2, http: { uri: "/health", rise: 1, fall: 1, timeout: 10 } },
  });
  const entries = await Promise.all(names.map(async (name) => {
    const sha256 = await hashOf({ "mod.ts": attackerText(ATTACKERS[name] ?? {}) });
    return [name, { url: server.url(`/${name}/mod.ts`), sha256 }] as const;
  }));
  await host.write("plugins", { checks: Object.fromEntries(entries) });
  for (const [i, name] of names.entries()) {
    const checks = { interval: 0.5, [name]: { rise: 1, fall: 1, timeout: 1 } };
    await host.write(`services/${name}`, { discovery: "file", port: 20_000 + i, checks });
  }
  await using reporter = Lighthouse.start("reporter", host.configDir, ["--log-format", "logfmt"]);
  const file = `${host.registryDir}/good/${ANNOUNCED.host}:${service.port}.json`;
  await eventually("the good service is registered", async () => (await Deno.stat(file)).isFile);
  using watcher = Deno.watchFs(`${host.registryDir}/good`, { recursive: false });
  const removals: string[] = [];
  const watching = (async () => {
    for await (const { kind, paths } of watcher) if (kind === "remove") removals.push(...paths);
  })();

  for (const [name, { told }] of Object.entries(ATTACKERS)) {
    await eventually(`${name} is logged`, () => told.test(reporter.log), { deadlineMs: 60_000 }).catch((error) => {
      throw new Error(`${error.message}\n${reporter.log}`);
    });
  }
  const probes = service.probes;
  await eventually("the good service is still probed", () => service.probes > probes + 3);
  assert.ok((await Deno.stat(file)).isFile);
  assert.deepEqual(removals.filter((path) => path === file), [], "it was never deregistered");
  assert.equal(
    reporter.count("worker.stuck"),
    1,
    "one thread is stuck, and is not started again",
  );
  const registered = (await Array.fromAsync(Deno.readDir(host.registryDir))).map(({ name }) => name);
  const others = registered.filter((name) => name in ATTACKERS);
  assert.deepEqual(others, [], "no attacker's service is registered");
  assert.equal(reporter.output, "", "nobody wrote to the daemon's output");
  watcher.close();
  await watching;
});

Deno.test.each([
  {
    when: "loaded",
    attacker: { top: "for (;;);" },
    told: /plugins\.yaml.*hung .*\(not loaded within 10s\)/,
  },
  {
    when: "described",
    attacker: { permissions: "(() => { for (;;); })()" },
    told: /services\/loops\.yaml.*no response to describe within 5s/,
  },
])("an attacker that loops as it is $when runs once, and the daemon keeps working", async ({ attacker, told }) => {
  await using host = new TestHost();
  await using service = new WebService();
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  await host.write("services/good", {
    discovery: "file",
    port: service.port,
    checks: { interval: 0.2, http: { uri: "/health", rise: 1, fall: 1, timeout: 10 } },
  });
  await host.dir.write("config/loops.ts", attackerText(attacker));
  await host.write("plugins", { checks: { loops: { url: "loops.ts" } } });
  await host.write("services/loops", {
    discovery: "file",
    port: 20_000,
    checks: { interval: 1, loops: { rise: 1, fall: 1 } },
  });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  const file = `${host.registryDir}/good/${ANNOUNCED.host}:${service.port}.json`;
  await eventually("the good service is registered", async () => (await Deno.stat(file)).isFile);
  await reporter.logged(told);
  await eventually(
    "it is not run again",
    () => /thread stuck; not restarted|could not be stopped; the plugin stays disabled/.test(reporter.log),
    {
      deadlineMs: 60_000,
    },
  ).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
  for (let i = 0; i < 3; i++) {
    reporter.kill("SIGHUP");
    const probes = service.probes;
    await eventually("the good service is still probed", () => service.probes > probes + 5);
  }
  assert.equal(reporter.count("worker.stuck"), 1);
  assert.ok((await Deno.stat(file)).isFile);
});

Deno.test("a plugin that hung stays disabled after a restart until its record is removed", async () => {
  const client = new StatusClient();
  await using host = new TestHost();
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  await host.dir.write("config/loops.ts", attackerText({ permissions: "(() => { for (;;); })()" }));
  await host.write("plugins", { checks: { loops: { url: "loops.ts" } } });
  await host.write("services/loops", { discovery: "file", port: 20_000, checks: { loops: { rise: 1, fall: 1 } } });
  {
    await using first = Lighthouse.start("reporter", host.configDir, client.flags);
    await first.event("plugin.hung");
    assert.match((await client.status()).hungPlugins[0]?.file ?? "", /\/hung\/[0-9a-f]{64}$/);
  }
  const [hung] = await Array.fromAsync(Deno.readDir(host.dir.file("cache/hung")));
  assert.ok(hung !== undefined);
  {
    await using second = Lighthouse.start("reporter", host.configDir, client.flags);
    await second.event("config.invalid", {
      file: /plugins\.yaml$/,
      msg: /no response to describe.*stays disabled until it changes, or .*\/hung\/[0-9a-f]{64} is removed/,
    });
    assert.equal(second.count("worker.stuck"), 0, second.log);
    const { hungPlugins } = await client.status();
    assert.deepEqual(hungPlugins.map(({ plugin, file }) => [plugin, file]), [[
      "check/loops",
      host.dir.file(`cache/hung/${hung.name}`),
    ]]);
  }
  await Deno.remove(host.dir.file(`cache/hung/${hung.name}`));
  await using third = Lighthouse.start("reporter", host.configDir);
  await third.event("config.invalid", {
    file: /services\/loops\.yaml$/,
    msg: /no response to describe within 5s/,
  });
});

Deno.test("a plugin that keeps failing leaves no thread behind, and the daemon keeps working", async () => {
  await using host = new TestHost();
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  const probe = `for (;;) dispatchEvent(new ErrorEvent("error", { error: new Error("again") }));`;
  await host.dir.write("config/fails.ts", attackerText({ probe }));
  await host.write("plugins", { checks: { fails: { url: "fails.ts" } } });
  await host.write("services/fails", {
    discovery: "file",
    port: 20_000,
    checks: { interval: 0.1, fails: { rise: 1, fall: 1 } },
  });
  await using reporter = Lighthouse.start("reporter", host.configDir, ["--log-format", "logfmt"]);
  await eventually("it is restarted", () => /uncaught error: again.* attempt=5$/m.test(reporter.log), {
    deadlineMs: 60_000,
  }).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
  assert.doesNotMatch(reporter.log, /Stuck worker thread/);
});

Deno.test("a balancer plugin that hung stays disabled after a restart, while HAProxy is still managed", async () => {
  await setUp(["haproxy"]);
  const client = new StatusClient();
  await using host = new TestHost();
  await using service = new WebService();
  await host.configure();
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  const folder = host.dir.file("odd");
  await host.dir.write("config/plugins/odd.js", oddBalancerSource(folder, "render: () => { for (;;); }"));
  await host.write("plugins", {
    balancers: {
      odd: {
        url: "plugins/odd.js",
        allow: { net: [`unix:${folder}/socket`], write: [`${folder}/file`], run: [`${folder}/check`] },
      },
    },
  });
  await host.write("balancers/odd", { odd: true });
  await host.write("services/web", {
    discovery: "file",
    port: service.port,
    checks: { interval: 0.2, http: { uri: "/health", rise: 1, fall: 1, timeout: 10 } },
  });
  const port = freePort();
  await host.write("clusters/web", { discovery: "file", haproxy: { port, backend: ["mode http"] }, odd: {} });
  {
    await using first = Lighthouse.start("run", host.configDir, client.flags);
    await first.logged(/Plugin hung; disabled until it changes or its record file is removed/);
    await host.untilServing("web", [service.port]);
  }
  await using second = Lighthouse.start("run", host.configDir, client.flags);
  await second.logged(
    /plugins\.yaml.*no response to decide.*stays disabled until it changes, or .*\/hung\/[0-9a-f]{64} is removed/,
  );
  await host.untilServing("web", [service.port]);
  assert.deepEqual((await client.status()).hungPlugins.map(({ plugin }) => plugin), ["balancer/odd"]);
  assert.doesNotMatch(second.log, /Stuck worker thread/);
});

/** A discovery of one node at a port. Its session never ends: dispose loops. */
const LOOPS_AT_ITS_END = `
const plugin: any = {
  kind: "discovery", apiVersion: 1, name: "loops", summary: "Loops", stability: "experimental", example: {},
  capabilities: ["watch"],
  config: { "~standard": { version: 1, vendor: "x", validate: (value: any) => ({ value }) } },
  permissions: () => ({}),
  async open(config: any, { connection }: any) {
    connection("connected");
    return {
      ended: new Promise(() => {}),
      async [Symbol.asyncDispose]() { for (;;); },
      async *watch() {
        yield { exists: true, epoch: "e", nodes: [{ host: "h", ip: "127.0.0.1", port: config.port, metadata: {} }] };
        await new Promise(() => {});
      },
    };
  },
};
export default plugin;
`;

Deno.test("a plugin that loops in dispose() causes one stuck thread: its second edit is rejected, and its worker keeps running", async () => {
  await setUp(["haproxy"]);
  const client = new StatusClient();
  await using host = new TestHost();
  await host.configure();
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.dir.write("config/loops.ts", LOOPS_AT_ITS_END);
  await host.write("plugins", { discovery: { loops: { url: "loops.ts" } } });
  const edit = (port: number) => host.write("discovery/loops", { port });
  const [first, second] = [freePort(), freePort()];
  await edit(first);
  await host.write("clusters/web", { discovery: "loops", haproxy: { port: freePort(), backend: ["mode http"] } });
  await using writer = Lighthouse.start("writer", host.configDir, client.flags);
  await host.untilServing("web", [first]);
  await edit(second);
  await host.untilServing("web", [second]);
  await edit(freePort());
  await writer.event("plugin.hung");
  await edit(freePort());
  await writer.event("config.invalid", {
    file: /discovery\/loops\.yaml$/,
    msg: /hung \(did not stop within 2s\), worker thread stuck; not restarted until/,
  });
  const { workers, stuckThreads } = await client.status();
  assert.equal(stuckThreads, 1, writer.log);
  assert.equal(workers["discovery loops"]?.serving, true);
  assert.deepEqual(await host.serving("web"), [second]);
  assert.equal(writer.count("worker.stuck"), 1, writer.log);
});
