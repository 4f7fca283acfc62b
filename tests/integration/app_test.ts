import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const CHECKS = { interval: 0.1, http: { uri: "/health", rise: 2, fall: 2 } };

/** Writes one service of these ports, and the cluster through which this host consumes it; returns the cluster's local port. */
async function configureWeb(host: TestHost, ports: readonly number[], discovery = "file"): Promise<number> {
  const port = freePort();
  await host.write("services/web", { discovery, ports, checks: CHECKS });
  await host.write("clusters/web", { discovery, haproxy: { port, backend: ["mode http"] } });
  return port;
}

/** Writes the same over a ZooKeeper; returns the cluster's local port. */
async function configureOverZookeeper(host: TestHost, server: ZooKeeper, ports: readonly number[]): Promise<number> {
  await host.write("balancers/haproxy", host.haproxy.file);
  await host.write("discovery/zookeeper", { hosts: [server.address], path: "/lighthouse/services" });
  return await configureWeb(host, ports, "zookeeper");
}

async function get(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text.trim();
}

Deno.test("reporter and writer: traffic follows health, without a reload", async () => {
  await using host = new TestHost();
  await using one = new WebService();
  await using two = new WebService();
  await host.configure();
  const port = await configureWeb(host, [one.port, two.port]);
  await using writer = Lighthouse.start("writer", host.configDir);
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await host.untilServing("web", [one.port, two.port]);
  assert.match(await get(port), /hello from/);
  const pid = await host.haproxy.pid();

  one.healthy = false;
  await host.untilServing("web", [two.port]);
  assert.equal(await get(port), `hello from ${two.port}`);
  one.healthy = true;
  await host.untilServing("web", [one.port, two.port]);

  await using three = new WebService();
  await host.write("services/web", { discovery: "file", ports: [one.port, two.port, three.port], checks: CHECKS });
  await host.untilServing("web", [one.port, two.port, three.port]);
  assert.equal(await host.haproxy.pid(), pid, "no reload for any of it");

  assert.equal(await reporter.stop(), 0, reporter.log);
  await host.untilServing("web", []);
  assert.equal(await writer.stop(), 0, writer.log);
  assert.equal(await host.haproxy.pid(), pid, "HAProxy outlives the writer");
});

Deno.test("reporter and writer in one process do the same", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  const port = await configureWeb(host, [web.port]);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  assert.equal(await get(port), `hello from ${web.port}`);
  assert.equal(await both.stop(), 0, both.log);
  assert.equal(both.count("registration.draining"), 0, "without deregister_grace there is no wait");
  const left = await Array.fromAsync(Deno.readDir(`${host.registryDir}/web`), ({ name }) => name);
  assert.deepEqual(left.filter((name) => name.endsWith(".json")), []);
});

Deno.test("an invalid file affects only itself, is reported with its line, and applies once it is fixed", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await using other = new WebService();
  await host.configure();
  await configureWeb(host, [web.port]);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  const pid = await host.haproxy.pid();

  await host.write("services/web", "discovery: file\nport: 80\nchecks:\n  interval: often\n");
  await both.event("config.invalid", { file: /services\/web\.yaml$/, line: 4, column: 13, msg: /checks\.interval/ });
  await host.write("services/other", {
    discovery: "file",
    port: other.port,
    checks: { interval: 0.1, http: { uri: 7, rise: 1, fall: 1 } },
  });
  await both.event("config.invalid", { file: /services\/other\.yaml$/, line: 1, msg: /uri/ });
  await host.write("clusters/other", { discovery: "file", haproxy: { port: freePort(), backend: ["mode http"] } });
  await host.write("services/other", { discovery: "file", port: other.port, checks: CHECKS });
  await both.event("config.valid", { file: /services\/other\.yaml$/ });
  await host.untilServing("other", [other.port]);
  assert.deepEqual(await host.serving("web"), [web.port], "the last good value stays");
  assert.notEqual(await host.haproxy.pid(), pid, "a new cluster is a reload");
  await both.event("balancer.reloaded");
});

Deno.test("a service stays registered while its check is edited, and is deregistered with its file", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  await configureWeb(host, [web.port]);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  for (const rise of [3, 4, 5]) {
    const http = { uri: `/health?${rise}`, rise, fall: 2 };
    await host.write("services/web", { discovery: "file", port: web.port, checks: { interval: 0.1, http } });
    const { probes } = web;
    await eventually("the service is still probed", () => web.probes > probes + 5);
    assert.deepEqual(await host.serving("web"), [web.port]);
  }
  assert.equal(both.count("registration.deregistered"), 0, both.log);
  await host.remove("services/web");
  await host.untilServing("web", []);
});

Deno.test("a writer that starts while the registry is unreachable serves the members of the last file", async () => {
  await using server = await ZooKeeper.start();
  await using host = new TestHost();
  await using web = new WebService();
  const port = await configureOverZookeeper(host, server, [web.port]);
  await using reporter = Lighthouse.start("reporter", host.configDir);
  {
    await using first = Lighthouse.start("writer", host.configDir);
    await host.untilServing("web", [web.port]);
    await eventually(
      "the file has it",
      async () => (await Deno.readTextFile(host.haproxy.configFile)).includes(`:${web.port} `),
    );
    assert.equal(await first.stop(), 0);
  }
  await server.kill();
  await using second = Lighthouse.start("writer", host.configDir);
  await second.event("cluster.silent");
  assert.deepEqual(await host.serving("web"), [web.port]);
  assert.equal(await get(port), `hello from ${web.port}`);
  await server.start();
  await second.event("registry.connected");
  await reporter.event("registry.connected", {}, { times: 2 });
  assert.deepEqual(await host.serving("web"), [web.port]);
});

Deno.test("an unreachable registry empties no cluster", async () => {
  await using server = await ZooKeeper.start();
  await using host = new TestHost();
  await using web = new WebService();
  const port = await configureOverZookeeper(host, server, [web.port]);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  // The reporter creates the cluster's znode before that of its first node: an empty cluster may be seen in between.
  const emptied = both.count("cluster.changed", { nodes: 0 });
  await server.kill();
  const lost = await both.event("registry.unreachable");
  assert.equal(await get(port), `hello from ${web.port}`);
  await server.start();
  await both.event("registry.connected", {}, { after: lost });
  assert.equal(await get(port), `hello from ${web.port}`);
  assert.deepEqual(await host.serving("web"), [web.port]);
  assert.equal(both.count("cluster.changed", { nodes: 0 }), emptied, both.log);
});

Deno.test("a cluster removed from the config and added again while the registry is unreachable keeps its members", async () => {
  await using server = await ZooKeeper.start();
  await using host = new TestHost();
  await using web = new WebService();
  const port = await configureOverZookeeper(host, server, [web.port]);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  await server.kill();
  await both.event("registry.unreachable");
  await host.remove("clusters/web");
  const without = await both.event("config.applied", { clusters: 0 });
  await host.write("clusters/web", { discovery: "zookeeper", haproxy: { port, backend: ["mode http"] } });
  await both.event("config.applied", { clusters: 1 }, { after: without });
  await host.untilServing("web", [web.port]);
});

Deno.test("a writer that starts without its file and its registry takes the members from the running HAProxy", async () => {
  await using server = await ZooKeeper.start();
  await using host = new TestHost();
  await using web = new WebService();
  const port = await configureOverZookeeper(host, server, [web.port]);
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  {
    await using first = Lighthouse.start("writer", host.configDir);
    await host.untilServing("web", [web.port]);
    assert.equal(await first.stop(), 0, first.log);
  }
  await server.kill();
  await Deno.remove(host.haproxy.configFile);
  await using second = Lighthouse.start("writer", host.configDir);
  await second.event("cluster.last_known", { cluster: "web" });
  await second.event("cluster.silent");
  await eventually(
    "the file is there again",
    async () => (await Deno.readTextFile(host.haproxy.configFile)).includes(`:${web.port} `),
  );
  assert.deepEqual(await host.serving("web"), [web.port]);
  assert.equal(await get(port), `hello from ${web.port}`);
});

Deno.test("no password reaches the log or the plan", async () => {
  await using host = new TestHost();
  await host.configure();
  const frontend = ["stats auth admin:hunter2", "http-request set-header X-Token hunter2 if nonsense"];
  const write = (lines: readonly string[]) =>
    host.write("clusters/web", {
      discovery: "file",
      haproxy: { port: freePort(), frontend: lines, backend: ["mode http"] },
    });
  await write(frontend);
  await using writer = Lighthouse.start("writer", host.configDir, ["--log-level", "debug"]);
  const rejected = await writer.event("balancer.config_rejected", { level: "error" });
  await write(frontend.slice(0, 1));
  await writer.event("balancer.notice", { msg: /is passed to HAProxy/ }, { after: rejected });
  assert.doesNotMatch(writer.log, /hunter2/);
});

Deno.test("shared isolation runs all checks of a plugin in one worker, and can be switched while running", async () => {
  await using host = new TestHost();
  await using one = new WebService();
  await using two = new WebService();
  await host.configure();
  await configureWeb(host, [one.port, two.port]);
  await host.write("lighthouse", { isolation: "shared" });
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [one.port, two.port]);
  assert.ok(both.count("config.applied", { workers: 2 }) > 0, both.log);
  await host.write("lighthouse", { isolation: "worker" });
  await both.event("config.applied", { workers: 3 });
  const { probes } = one;
  await eventually("the service is still probed", () => one.probes > probes + 5);
  assert.deepEqual(await host.serving("web"), [one.port, two.port].toSorted());
  assert.equal(both.count("service.down"), 0, both.log);
});

Deno.test("a missing config directory is reported at startup, exit status 1", async () => {
  const lighthouse = Lighthouse.start("run", "/nonexistent/config");
  assert.equal(await lighthouse.ended(), 1);
  assert.match(lighthouse.log, /Cannot read the config directory/);
});

Deno.test("SIGHUP reloads the config; SIGINT stops the process like SIGTERM", async () => {
  await using host = new TestHost();
  await host.configure();
  await using writer = Lighthouse.start("writer", host.configDir, ["--log-level", "debug"]);
  await writer.event("config.applied");
  writer.kill("SIGHUP");
  writer.kill("SIGINT");
  assert.equal(await writer.ended(), 0, writer.log);
});
