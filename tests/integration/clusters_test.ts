/**
 * The files of `clusters/` in a writer: several discovery methods side by side,
 * and references to files that do not exist yet.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const PATH = "/lighthouse/services";
const CHECKS = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } };

/** A file of `clusters/`. */
function cluster(discovery: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { discovery, haproxy: { port: freePort(), backend: ["mode http"] }, ...more };
}

/** Has kazoo register a node as 1.0 does. */
async function announce(kazoo: KazooPeer, name: string, port: number): Promise<void> {
  const peer = JSON.stringify({ ip: "127.0.0.1", name: "old.host", port: 1024 });
  const node = { host: "old.host", ip: "127.0.0.1", metadata: "{}", peer, port };
  await kazoo.write("put", `${PATH}/${name}/old.host:${port}`, new TextEncoder().encode(JSON.stringify(node)));
}

Deno.test("clusters of several discovery methods are served side by side", async () => {
  await using server = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(server.address);
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  await host.write("discovery/zookeeper", { hosts: [server.address], path: PATH });
  await host.write("discovery/second", { type: "file", path: host.dir.file("second"), ttl: 2 });
  await announce(kazoo, "old", 81);
  for (const discovery of ["file", "second"]) {
    await host.write(`services/${discovery}`, { discovery, port: web.port, checks: CHECKS });
    await host.write(`clusters/${discovery}`, cluster(discovery));
  }
  await host.write("clusters/old", cluster("zookeeper"));
  await using _both = Lighthouse.start("run", host.configDir);
  await host.untilServing("file", [web.port]);
  await host.untilServing("second", [web.port]);
  await host.untilServing("old", [81]);
});

Deno.test("a cluster that names a missing discovery is served once the discovery is added", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  const late = { type: "file", path: host.dir.file("late"), ttl: 2 };
  await host.write("clusters/web", cluster("late"));
  await host.write("services/web", { discovery: "late", port: web.port, checks: CHECKS });
  await using both = Lighthouse.start("run", host.configDir);
  await both.event("config.suspect", { msg: /No discovery named late: there is no discovery\/late\.yaml/ });
  await host.write("discovery/late", late);
  await host.untilServing("web", [web.port]);
  // Removing a discovery empties nothing, and adding it again is picked up.
  await host.remove("discovery/late");
  const withBoth = await both.event("config.applied", { discovery: 2 });
  await both.event("config.applied", { discovery: 1 }, { after: withBoth });
  assert.deepEqual(await host.serving("web"), [web.port]);
  await host.write("discovery/late", late);
  await using other = new WebService();
  await host.write("services/web", { discovery: "late", port: other.port, checks: CHECKS });
  await host.untilServing("web", [other.port]);
});

Deno.test("a cluster that names a missing balancer is served once the balancer is added", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  await host.write("services/web", { discovery: "file", port: web.port, checks: CHECKS });
  await host.write("clusters/web", cluster("file"));
  await using both = Lighthouse.start("run", host.configDir);
  await both.event("config.suspect", { msg: /No balancer named haproxy: there is no balancers\/haproxy\.yaml/ });
  await both.event("registration.registered");
  await host.write("balancers/haproxy", host.haproxy.file);
  await eventually("HAProxy is started", () => Deno.stat(host.haproxy.socketFile));
  await host.untilServing("web", [web.port]);
});

Deno.test("B5: a cluster moves from one discovery to another while it is served, without a reload", async () => {
  await using server = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(server.address);
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  await host.write("discovery/zookeeper", { hosts: [server.address], path: PATH });
  await host.write("services/web", { discovery: "file", port: web.port, checks: CHECKS });
  const file = cluster("file");
  await host.write("clusters/web", file);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  const pid = await host.haproxy.pid();
  // While the new registry has no nodes yet, the members stay.
  await host.write("clusters/web", { ...file, discovery: "zookeeper" });
  await both.event("config.applied", {}, { times: 2 });
  assert.deepEqual(await host.serving("web"), [web.port]);
  await announce(kazoo, "web", 81);
  await host.untilServing("web", [81]);
  await host.write("clusters/web", file);
  await host.untilServing("web", [web.port]);
  assert.equal(await host.haproxy.pid(), pid);
});

Deno.test("B20: a cluster that does not exist yet stays watched across restarts of ZooKeeper", async () => {
  await using server = await ZooKeeper.start();
  await using host = new TestHost();
  await host.write("balancers/haproxy", host.haproxy.file);
  await host.write("discovery/zookeeper", { hosts: [server.address], path: PATH });
  await host.write("clusters/web", cluster("zookeeper"));
  await using writer = Lighthouse.start("writer", host.configDir);
  await server.kill();
  await writer.event("registry.unreachable");
  await server.start();
  await server.kill();
  await server.start();
  await using kazoo = await KazooPeer.start(server.address);
  await announce(kazoo, "web", 81);
  await host.untilServing("web", [81]);
});

Deno.test("B27: a cluster removed while ZooKeeper is unreachable is removed at once, and the others continue", async () => {
  await using server = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(server.address);
  await using host = new TestHost();
  await host.write("balancers/haproxy", host.haproxy.file);
  await host.write("discovery/zookeeper", { hosts: [server.address], path: PATH });
  await host.write("clusters/web", cluster("zookeeper"));
  await host.write("clusters/pending", cluster("zookeeper"));
  await host.write("clusters/other", cluster("zookeeper"));
  await announce(kazoo, "web", 81);
  await announce(kazoo, "other", 82);
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [81]);
  await host.untilServing("other", [82]);
  await server.kill();
  await writer.event("registry.unreachable");
  await host.remove("clusters/web");
  await host.remove("clusters/pending");
  await eventually("it is gone", async () => !(await host.haproxy.ask("show backend")).join().includes("web"));
  assert.deepEqual(await host.serving("other"), [82]);
  assert.equal(await writer.stop(), 0, writer.log);
});

Deno.test("of two clusters with the same port, the first gets the port, and the other is reported and keeps its old port", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  const [one, two] = [cluster("file"), cluster("file")];
  for (const name of ["one", "two"]) {
    await host.write(`services/${name}`, { discovery: "file", port: web.port, checks: CHECKS });
  }
  await host.write("clusters/one", one);
  await host.write("clusters/two", two);
  await using both = Lighthouse.start("run", host.configDir);
  await host.untilServing("one", [web.port]);
  await host.untilServing("two", [web.port]);
  const { port } = two.haproxy as { port: number };
  await host.write("clusters/two", { ...two, haproxy: { ...one.haproxy as object, frontend: ["maxconn 10"] } });
  await both.event("config.invalid", {
    file: /clusters\/two\.yaml$/,
    line: 1,
    msg: /Cannot use port \d+: already used by clusters\/one/,
  });
  const response = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(await response.text(), `hello from ${web.port}\n`, "its old port is still there");
});
