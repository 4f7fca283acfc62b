/**
 * The files of `services/` in a reporter, over a real registry: each key, and the
 * changes of a file while the reporter runs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { isSilent, ScriptedServer } from "../support/scripted_server.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const HTTP = { uri: "/health", rise: 1, fall: 1 };

/** A file of `services/` with one fast check. */
function service(more: Record<string, unknown>): Record<string, unknown> {
  return { discovery: "file", checks: { interval: 0.1, http: HTTP }, ...more };
}

/** A host whose registry is a directory. */
async function fileHost(): Promise<TestHost> {
  const host = new TestHost();
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  return host;
}

/** A host whose registry is a ZooKeeper. */
async function zookeeperHost(server: ZooKeeper): Promise<TestHost> {
  const host = new TestHost();
  await host.write("discovery/zookeeper", { hosts: [server.address], path: "/lighthouse/services" });
  return host;
}

/** Returns the nodes of a cluster in the registry's directory: `name:port`, sorted. */
async function registered(host: TestHost, cluster: string): Promise<readonly string[]> {
  try {
    const names = await Array.fromAsync(Deno.readDir(`${host.registryDir}/${cluster}`), ({ name }) => name);
    return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length)).toSorted();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function untilRegistered(host: TestHost, cluster: string, ports: readonly number[]): Promise<void> {
  await eventually(`${cluster} has the ports ${ports}`, async () => {
    assert.deepEqual(await registered(host, cluster), ports.map((port) => `test.host:${port}`).toSorted());
    return true;
  });
}

Deno.test("each port of several services has its own status", async () => {
  await using host = await fileHost();
  await using one = new WebService();
  await using two = new WebService();
  await using three = new WebService();
  await host.write("services/web", service({ ports: [one.port, String(two.port)] }));
  await host.write("services/other", service({ port: String(three.port), name: "api" }));
  two.healthy = false;
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [one.port]);
  await untilRegistered(host, "api", [three.port]);
  [one.healthy, two.healthy] = [false, true];
  await untilRegistered(host, "web", [two.port]);
  await untilRegistered(host, "api", [three.port]);
  assert.doesNotMatch(reporter.log, /level=error/);
});

Deno.test("a service is checked at its host, which is not announced", async () => {
  await using host = await fileHost();
  const { promise: probed, resolve } = Promise.withResolvers<string>();
  await using server = Deno.serve({ hostname: "127.0.0.7", port: 0, onListen() {} }, (request) => {
    resolve(request.headers.get("host") ?? "");
    return new Response();
  });
  const { port } = server.addr;
  await host.write("services/web", service({ port, host: "127.0.0.7" }));
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [port]);
  assert.equal(await probed, `127.0.0.7:${port}`);
  const node = await Deno.readTextFile(`${host.registryDir}/web/test.host:${port}.json`);
  assert.doesNotMatch(node, /127\.0\.0\.7/);
});

Deno.test("a service without checks is up, which is logged once", async () => {
  await using host = await fileHost();
  const port = freePort();
  await host.write("services/web", service({ port, checks: { interval: 0.1 } }));
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [port]);
  await reporter.event("service.unchecked", { service: `web:${port}` });
  await host.write("services/web", service({ port }));
  await untilRegistered(host, "web", []);
  assert.equal(reporter.count("service.unchecked"), 1);
});

Deno.test("a check runs at its interval, and each check has its own rise and fall", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  const checks = { interval: 0.05, http: { ...HTTP, rise: 3, fall: 5 }, tcp: { rise: 1, fall: 1 } };
  await host.write("services/web", service({ port: web.port, checks }));
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [web.port]);
  assert.ok(reporter.count("check.up", { check: "http", passed: 3 }) > 0, reporter.log);
  assert.ok(reporter.count("check.up", { check: "tcp", passed: 1 }) > 0, reporter.log);
  web.healthy = false;
  await untilRegistered(host, "web", []);
  assert.ok(reporter.count("check.down", { check: "http", failed: 5 }) > 0, reporter.log);
  assert.equal(reporter.count("check.down", { check: "tcp" }), 0, reporter.log);
});

Deno.test("B1: a corrected file is applied, and so are later edits", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  await using other = new WebService();
  await host.write("services/web", "port: [\n");
  await host.write("other-tool", "a: 1\n");
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await reporter.event("config.invalid", { file: /services\/web\.yaml$/ });
  await host.write("other-tool", "a: 2\n");
  await host.write("services/web", service({ port: web.port }));
  await untilRegistered(host, "web", [web.port]);
  // Written slowly: half a file first.
  const file = await Deno.open(`${host.configDir}/services/other.yaml`, { create: true, write: true });
  const text = new TextEncoder().encode(JSON.stringify(service({ port: other.port })));
  await file.write(text.subarray(0, 20));
  await reporter.event("config.invalid", { file: /services\/other\.yaml$/ });
  await file.write(text.subarray(20));
  file.close();
  await untilRegistered(host, "other", [other.port]);
});

Deno.test("B2: removed services are deregistered, whatever their names, and the rest are still checked", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  await using stays = new WebService();
  const many = Array.from({ length: 9 }, (_, i) => `s${i}`);
  for (const name of many) await host.write(`services/${name}`, service({ port: web.port }));
  await host.write("services/file", service({ port: web.port, name: "named" }));
  await host.write("services/stays", service({ port: stays.port }));
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  for (const name of [...many, "named"]) await untilRegistered(host, name, [web.port]);
  await untilRegistered(host, "stays", [stays.port]);
  for (const name of [...many, "file"]) await host.remove(`services/${name}`);
  for (const name of [...many, "named"]) await untilRegistered(host, name, []);
  const { probes } = web;
  stays.healthy = false;
  await untilRegistered(host, "stays", []);
  assert.ok(web.probes <= probes + 1, "nobody asks the others any more");
});

Deno.test("B4a: a hanging check fails at its deadline, and delays neither other checks nor the reporter's shutdown", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  await using silent = new ScriptedServer(isSilent);
  for (let i = 0; i < 9; i++) {
    const checks = { interval: 0.1, tcp: { query: "hello", response: "you", timeout: 0.3, rise: 1, fall: 1 } };
    await host.write(`services/hangs${i}`, service({ port: silent.port, checks }));
  }
  await host.write("services/web", service({ port: web.port }));
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [web.port]);
  await reporter.event("check.down", { service: /hangs8/ });
  web.healthy = false;
  await untilRegistered(host, "web", []);
  assert.equal(await reporter.stop(), 0, reporter.log);
});

Deno.test("B8: a port that is removed and added again is registered again", async () => {
  await using host = await fileHost();
  await using one = new WebService();
  await using two = new WebService();
  await host.write("services/web", service({ ports: [one.port, two.port] }));
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [one.port, two.port]);
  await host.write("services/web", service({ ports: [one.port] }));
  await untilRegistered(host, "web", [one.port]);
  await host.write("services/web", service({ ports: [one.port, two.port] }));
  await untilRegistered(host, "web", [one.port, two.port]);
  assert.equal(
    reporter.count("registration.deregistered", { node: new RegExp(`:${one.port}$`) }),
    0,
    "the other port is not touched",
  );
});

Deno.test("B17: a file rewritten with the same content deregisters nothing, regardless of rise", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  const file = service({ port: web.port, checks: { interval: 0.1, http: { ...HTTP, rise: 5 } } });
  await host.write("services/web", file);
  await using reporter = Lighthouse.start("reporter", host.configDir, ["--log-level", "debug"]);
  await untilRegistered(host, "web", [web.port]);
  const probesOn = async () => {
    const { probes } = web;
    await eventually("it is probed on", () => web.probes > probes + 6);
    assert.deepEqual(await registered(host, "web"), [`test.host:${web.port}`]);
  };
  await host.write("services/web", file);
  await probesOn();
  await host.dir.write("config/services/web.new", JSON.stringify(file));
  await Deno.rename(`${host.configDir}/services/web.new`, `${host.configDir}/services/web.yaml`);
  await probesOn();
  await host.write("services/web", {
    ...file,
    checks: { interval: 0.1, http: { ...HTTP, rise: 7, uri: "/health?new" } },
  });
  await probesOn();
  assert.doesNotMatch(reporter.log, /event=(?:registration\.deregistered|check\.down|service\.down)/);
});

Deno.test("B17: a killed and restarted reporter deregisters nothing, regardless of rise", async () => {
  await using server = await ZooKeeper.start();
  await using host = await zookeeperHost(server);
  await using web = new WebService();
  const checks = { interval: 0.1, http: { ...HTTP, rise: 10 } };
  await host.write("services/web", { discovery: "zookeeper", port: web.port, checks });
  const first = Lighthouse.start("reporter", host.configDir);
  await first.event("registration.registered");
  first.kill("SIGKILL");
  await first.ended();
  await using kazoo = await KazooPeer.start(server.address);
  const path = `/lighthouse/services/web/test.host:${web.port}`;
  const { ephemeralOwner } = await kazoo.look(path) ?? assert.fail("the old session's node is there");
  await using second = Lighthouse.start("reporter", host.configDir);
  await eventually("the node is the new session's, and was never away", async () => {
    const seen = await kazoo.look(path);
    assert.notEqual(seen, null);
    return seen?.ephemeralOwner !== ephemeralOwner;
  }, { everyMs: 2 });
  assert.doesNotMatch(second.log, /Deregistered/);
});

Deno.test("B22: checks run while ZooKeeper is unreachable at startup, and every service is registered once it responds", async () => {
  await using server = await ZooKeeper.start();
  await using host = await zookeeperHost(server);
  await using web = new WebService();
  await server.kill();
  const names = Array.from({ length: 12 }, (_, i) => `s${i}`);
  const checks = { interval: 0.1, http: HTTP };
  for (const name of names) {
    await host.write(`services/${name}`, { discovery: "zookeeper", port: web.port, checks });
  }
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await eventually("each is probed repeatedly", () => web.probes >= 10 * names.length);
  assert.equal(reporter.count("registration.registered"), 0, reporter.log);
  await server.start();
  for (const name of names) await reporter.event("registration.registered", { cluster: name });
});

Deno.test("B28: an editor's backup file is not a service, and renaming a file to .disabled disables its service", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  const text = JSON.stringify(service({ port: web.port }));
  for (const name of ["a.yaml~", ".b.yaml.swp", "c.conf", "#d.yaml#", "e.yaml.disabled"]) {
    await host.dir.write(`config/services/${name}`, text);
  }
  await host.write("services/quick", service({ port: web.port }));
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "quick", [web.port]);
  await Deno.rename(`${host.configDir}/services/quick.yaml`, `${host.configDir}/services/quick.yaml.disabled`);
  await untilRegistered(host, "quick", []);
  const clusters = await Array.fromAsync(Deno.readDir(host.registryDir), ({ name }) => name);
  assert.deepEqual(clusters.filter((name) => /^[a-z]/.test(name)), ["quick"], reporter.log);
});

Deno.test("B29: hosts corrected while ZooKeeper is unreachable are used at once", async () => {
  await using server = await ZooKeeper.start();
  await using host = await zookeeperHost(server);
  await using web = new WebService();
  const path = "/lighthouse/services";
  await host.write("discovery/zookeeper", { hosts: [`127.0.0.1:${freePort()}`], path });
  await host.write("services/web", { discovery: "zookeeper", port: web.port, checks: { interval: 0.1, http: HTTP } });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await reporter.event("registry.unreachable");
  await host.write("discovery/zookeeper", { hosts: [server.address], path });
  await reporter.event("registration.registered");
});

Deno.test("a service that names a missing discovery stays registered where it is, and moves once the discovery is added", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  await host.write("services/web", service({ port: web.port }));
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [web.port]);
  await host.write("services/web", service({ port: web.port, discovery: "fil" }));
  await reporter.event("config.suspect", { msg: /No discovery named fil: did you mean file\?/ });
  await reporter.event("registration.failed", {
    operation: "register",
    reason: /No valid discovery\/fil\.yaml/,
  });
  await untilRegistered(host, "web", [web.port]);
  const elsewhere = host.dir.file("elsewhere");
  await host.write("discovery/fil", { type: "file", path: elsewhere, ttl: 2 });
  await eventually("it is registered there", () => Deno.stat(`${elsewhere}/web/test.host:${web.port}.json`));
  await untilRegistered(host, "web", []);
});

Deno.test("changed metadata is announced at once, without deregistration", async () => {
  await using server = await ZooKeeper.start();
  await using host = await zookeeperHost(server);
  await using web = new WebService();
  const file = { discovery: "zookeeper", port: web.port, checks: { interval: 0.1, http: HTTP } };
  await host.write("services/web", { ...file, metadata: { role: "master", zone: "é" } });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await reporter.event("registration.registered");
  await using kazoo = await KazooPeer.start(server.address);
  const path = `/lighthouse/services/web/test.host:${web.port}`;
  const data = async () =>
    new TextDecoder().decode(Uint8Array.fromBase64((await kazoo.look(path) ?? assert.fail("it is there")).data));
  assert.ok(
    (await data()).includes('"metadata": "{\\"role\\": \\"master\\", \\"zone\\": \\"\\\\u00e9\\"}"'),
    await data(),
  );
  await host.write("services/web", { ...file, metadata: { role: "slave" } });
  await eventually("the new metadata is there", async () => (await data()).includes("slave"), { everyMs: 2 });
  assert.equal(reporter.count("registration.deregistered"), 0, reporter.log);
});

Deno.test("a check removed from a file no longer runs", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  const tcp = { rise: 1, fall: 1 };
  await host.write("services/web", service({ port: web.port, checks: { interval: 0.1, tcp, http: HTTP } }));
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [web.port]);
  await host.write("services/web", service({ port: web.port, checks: { interval: 0.1, tcp } }));
  web.healthy = false;
  let probes = -1;
  await eventually("nobody asks any more", () => {
    const isStill = probes === web.probes;
    probes = web.probes;
    return isStill;
  }, { everyMs: 500 });
  await untilRegistered(host, "web", [web.port]);
});

Deno.test("a discovery whose path changes has every node under the new path before the old one is removed", async () => {
  await using server = await ZooKeeper.start();
  await using host = await zookeeperHost(server);
  await using web = new WebService();
  await host.write("services/web", { discovery: "zookeeper", port: web.port, checks: { interval: 0.1, http: HTTP } });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await reporter.event("registration.registered");
  await using kazoo = await KazooPeer.start(server.address);
  const at = (path: string) => kazoo.look(`${path}/web/test.host:${web.port}`);
  assert.notEqual(await at("/lighthouse/services"), null);
  await host.write("discovery/zookeeper", { hosts: [server.address], path: "/elsewhere" });
  await eventually("the node is gone from the old path", async () => {
    // Read in this order: a node missing in the old path must be in the new one.
    const [old, moved] = [await at("/lighthouse/services"), await at("/elsewhere")];
    assert.ok(old !== null || moved !== null, "it was nowhere for a moment");
    return old === null;
  }, { everyMs: 2 });
  assert.equal(reporter.count("service.down"), 0, reporter.log);
});

Deno.test("a second signal ends a reporter in its deregister_grace at once", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  await host.write("services/web", service({ port: web.port }));
  await host.write("lighthouse", { deregister_grace: 300 });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [web.port]);
  reporter.kill("SIGINT");
  await untilRegistered(host, "web", []);
  let code: number | undefined;
  void reporter.ended().then((ended) => code = ended);
  // Within a moment of the first it would count as the same Ctrl-C.
  await eventually("it has ended", () => {
    if (code === undefined) reporter.kill("SIGINT");
    return code !== undefined;
  }, { everyMs: 50 });
  assert.equal(code, 130, reporter.log);
  assert.equal(reporter.count("process.killed"), 1, reporter.log);
});

Deno.test("a stopped reporter deregisters its nodes, waits for deregister_grace, and exits cleanly", async () => {
  await using host = await fileHost();
  await using web = new WebService();
  await host.write("services/web", service({ port: web.port }));
  await host.write("lighthouse", { deregister_grace: 1.5 });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await untilRegistered(host, "web", [web.port]);
  reporter.kill("SIGTERM");
  await untilRegistered(host, "web", []);
  assert.equal(await reporter.ended(), 0);
  const at = async (event: string) => Date.parse(String((await reporter.event(event)).time));
  const stayedMs = await at("process.stopped") - await at("registration.draining");
  assert(stayedMs >= 1_400, `${stayedMs}`);
  assert.equal(reporter.count("registration.draining"), 1, reporter.log);
});
