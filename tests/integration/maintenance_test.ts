/** docs/maintenance.md, command by command, and drains of a host's own nodes, with a real HAProxy under load. */
import assert from "node:assert/strict";
import { type CliResult, runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { kill } from "../support/haproxy.ts";
import { get, HttpLoad } from "../support/http_load.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { readWalkthrough } from "../support/walkthrough.ts";

/** A writer and two reporters, as if on two hosts: this one, and `other.test`. */
class Site implements AsyncDisposable {
  readonly host = new TestHost();
  readonly other = new TestHost();
  readonly port = freePort();
  readonly one = new WebService();
  readonly two = new WebService();
  readonly running: Lighthouse[] = [];

  socket(role: "writer" | "reporter"): string {
    return this.host.dir.file(`${role}.sock`);
  }

  async start(): Promise<void> {
    for (const [host, service] of [[this.host, this.one], [this.other, this.two]] as const) {
      await host.configure();
      await host.write("discovery/file", { path: this.host.registryDir, ttl: 5 });
      await host.write("services/web", {
        discovery: "file",
        port: service.port,
        checks: { interval: 1, http: { uri: "/health", rise: 1, fall: 2 } },
      });
    }
    await this.host.write("lighthouse", { drained_file: this.host.dir.file("drained") });
    await this.host.write("clusters/web", {
      discovery: "file",
      haproxy: { port: this.port, backend: ["mode http", "timeout connect 5s", "timeout server 60s"] },
    });
    this.running.push(
      Lighthouse.start("reporter", this.other.configDir, ["--host", "two.test", "--ip", "127.0.0.1"], {
        isTold: false,
      }),
      Lighthouse.start("writer", this.host.configDir, ["--admin", `unix:${this.socket("writer")}`]),
    );
    await this.startReporter();
    await this.host.untilServing("web", [this.one.port, this.two.port]);
  }

  async startReporter(): Promise<Lighthouse> {
    const flags = ["--host", "one.test", "--ip", "127.0.0.1", "--admin", `unix:${this.socket("reporter")}`];
    const reporter = Lighthouse.start("reporter", this.host.configDir, flags, { isTold: false });
    this.running.push(reporter);
    await reporter.event("admin.listening");
    return reporter;
  }

  /** Runs a command of the page, with the test's hosts in place of the page's. */
  async run(command: string): Promise<CliResult> {
    const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
    const args = words.slice(1).map((word) =>
      word.replace("/etc/lighthouse", this.host.configDir).replace("/run/lighthouse", this.host.dir.path)
    );
    const role = args.includes("--local") ? "reporter" : "writer";
    const admin = args.includes("--admin") ? [] : ["--admin", `unix:${this.socket(role)}`];
    return await runCli([...args, ...admin], { deadlineMs: 120_000 });
  }

  async do(command: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(command);
    assert.equal(code, 0, `${command}: ${stderr}\n${this.running.map(({ log }) => log).join("\n")}`);
    return stdout;
  }

  /** Waits until HAProxy sends new requests to exactly these. */
  async untilServing(...services: readonly WebService[]): Promise<void> {
    await eventually(`${services.length} of the services get requests`, async () => {
      const { running } = await this.host.haproxy.observe();
      const ready = [...running?.backends.get("web")?.values() ?? []]
        .filter(({ draining, inMaintenance, down }) => !draining && !inMaintenance && !down);
      return JSON.stringify(ready.map(({ port }) => port).toSorted()) ===
        JSON.stringify(services.map(({ port }) => port).toSorted());
    }).catch((error) => {
      throw new Error(`${error.message}\n${this.running.map(({ log }) => log).join("\n")}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.running) await each.stop();
    await this.one[Symbol.asyncDispose]();
    await this.two[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
    await this.other[Symbol.asyncDispose]();
  }
}

Deno.test("docs/maintenance.md: each command prints the page's output, and no request fails", async () => {
  await using site = new Site();
  await site.start();
  const load = new HttpLoad(site.port, 2);
  const steps = readWalkthrough(await Deno.readTextFile(new URL("../../docs/maintenance.md", import.meta.url)));
  assert.ok(steps.length >= 7, `${steps.length} steps`);
  for (const { script, expected = "", line } of steps) {
    const printed = await site.do(script);
    const pattern = expected.split(/<(?:port|time|name)>/).map(RegExp.escape).join("\\S+");
    assert.match(printed.trimEnd(), new RegExp(`^${pattern}$`), `docs/maintenance.md:${line}`);
    if (script.includes(" drain ")) {
      await site.untilServing(site.two);
      const { probes } = site.one;
      await load.more(50);
      assert.ok(site.one.probes >= probes);
    }
    if (script.includes(" undrain ")) await site.untilServing(site.one, site.two);
  }
  await load.more(50);
  assert.deepEqual((await load.stop()).failed, []);
});

Deno.test("drain --local survives a restart of the reporter and ends when revoked, without a failed request", async () => {
  await using site = new Site();
  await site.start();
  const load = new HttpLoad(site.port, 2);
  await site.do(`lighthouse drain /etc/lighthouse --local web --reason "work"`);
  await site.untilServing(site.two);
  const reporter = site.running.at(-1);
  assert(reporter !== undefined);
  kill(reporter.pid);
  await reporter.ended();
  const again = await site.startReporter();
  await again.event("registration.registered");
  await load.more(100);
  await site.untilServing(site.two);
  const missing = await site.run("lighthouse drain /etc/lighthouse --local wbe");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /Cannot drain-local wbe: no such service; did you mean web\?|did you mean web/);
  await site.do("lighthouse undrain /etc/lighthouse --local web");
  await site.untilServing(site.one, site.two);
  await site.do("lighthouse drain /etc/lighthouse --local --deregister --for 1h");
  await eventually("it is not registered", async () => {
    const listed = await runCli(["nodes", site.host.configDir, "web", "--source", "file"]);
    return !listed.stdout.includes("one.test") && listed.stdout.includes("two.test");
  });
  await site.do("lighthouse undrain /etc/lighthouse --local");
  await site.untilServing(site.one, site.two);
  assert.deepEqual((await load.stop()).failed, []);
});

Deno.test("--wait reports the remaining connections at its timeout, and returns when they have ended", async () => {
  await using site = new Site();
  await site.start();
  // As a long-standing client has it: past HAProxy, to the service itself.
  const client = await Deno.connect({ hostname: "127.0.0.1", port: site.one.port });
  const { code, stderr } = await site.run("lighthouse drain /etc/lighthouse --local --wait --wait-timeout 1s");
  assert.equal(code, 1, stderr);
  // On a busy machine a connection of a check may be counted, too.
  assert.match(stderr, new RegExp(`^web:${site.one.port} still has [0-9]+ established connections?$`, "m"));
  assert.match(stderr, /Timed out after 1s \(--wait-timeout\) waiting for 5s without established connections/);
  await site.untilServing(site.two);
  await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
  assert.match(await new Response(client.readable).text(), /hello from/);
  assert.match(
    await site.do("lighthouse drain /etc/lighthouse --local --wait"),
    /No established connections for 5s/,
  );
  assert.match(await get(site.port), new RegExp(`hello from ${site.two.port}`));
});

Deno.test("a process with both roles keeps drain --local through a kill and a restart, with a balancer or without one", async () => {
  for (const hasBalancer of [false, true]) {
    await using host = new TestHost();
    await using service = new WebService();
    await host.configure();
    if (!hasBalancer) await host.remove("balancers/haproxy");
    await host.write("services/web", {
      discovery: "file",
      port: service.port,
      checks: { interval: 1, http: { uri: "/health", rise: 1, fall: 2 } },
    });
    await host.write("lighthouse", { drained_file: host.dir.file("drained") });
    const admin = ["--admin", `unix:${host.dir.file("admin.sock")}`];
    const isDraining = async () => {
      const entry = `${host.registryDir}/web/test.host:${service.port}.json`;
      return /"state":\s*"drain"/.test(await Deno.readTextFile(entry).catch(() => ""));
    };
    {
      const running = Lighthouse.start("run", host.configDir, admin);
      await running.event("registration.registered");
      const drained = await runCli(["drain", host.configDir, "--local", "--reason", "work", ...admin]);
      assert.equal(drained.code, 0, drained.stderr);
      assert.doesNotMatch(drained.stderr, /does not outlive/);
      await eventually("it drains", isDraining);
      kill(running.pid);
      await running.ended();
    }
    await Deno.remove(host.registryDir, { recursive: true });
    await using again = Lighthouse.start("run", host.configDir, admin);
    await again.event("override.read", { local: 1 });
    await again.event("registration.registered");
    await eventually("it drains again", isDraining);
    const undrained = await runCli(["undrain", host.configDir, "--local", ...admin]);
    assert.equal(undrained.code, 0, undrained.stderr);
    await eventually("it takes requests", async () => !await isDraining());
  }
});

Deno.test.each([
  { words: ["drain", "web"], says: /drain requires a CLUSTER and a NODE or HOST, or --local/ },
  { words: ["drain", "web", "one.test", "--deregister"], says: /--deregister requires --local/ },
  { words: ["undrain", "web", "one.test", "--local"], says: /undrain --local accepts only a service name/ },
  { words: ["drain", "--local", "--force"], says: /--force cannot be combined with --local/ },
])("a usage error gets one line and exit status 2: $words", async ({ words: [verb = "", ...rest], says }) => {
  const { code, stderr } = await runCli([verb, "/etc/lighthouse", ...rest]);
  assert.equal(code, 2);
  assert.match(stderr, says);
});
