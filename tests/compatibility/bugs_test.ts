/**
 * What a user of 1.0 met and must not meet again, as far as no
 * test of one part shows it: each test fails on what it did.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { ANNOUNCED, Lighthouse, WebService } from "../support/lighthouse.ts";
import { BASE_PATH, FleetHost } from "../support/old_fleet.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** Where a node of `web` is. */
function znode(port: number): string {
  return `${BASE_PATH}/web/${ANNOUNCED.host}:${port}`;
}

/** Whether nobody listens there. */
async function isRefused(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return false;
  } catch {
    return true;
  }
}

Deno.test("B0: a reporter suspended for longer than its session registers its nodes again", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using web = new WebService();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await host.join(ensemble, { sessionTimeout: 1 });
  await host.consume();
  await host.offer([web.port]);
  await using _writer = Lighthouse.start("writer", host.configDir);
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await host.untilServing("web", [web.port]);
  const before = await kazoo.look(znode(web.port));
  reporter.kill("SIGSTOP");
  try {
    await eventually("its session is over", async () => await kazoo.look(znode(web.port)) === null);
    await host.untilServing("web", []);
  } finally {
    reporter.kill("SIGCONT");
  }
  const after = await eventually("it is registered again", () => kazoo.look(znode(web.port)));
  assert.notEqual(after.ephemeralOwner, before?.ephemeralOwner);
  await host.untilServing("web", [web.port]);
  assert.equal(reporter.count("service.down"), 0, "nothing had failed");
});

Deno.test("B0: an ensemble outage longer than the sessions loses no node permanently", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using one = new WebService();
  await using two = new WebService();
  await host.join(ensemble, { sessionTimeout: 1 });
  await host.consume();
  await host.offer([one.port, two.port]);
  await using writer = Lighthouse.start("writer", host.configDir);
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await host.untilServing("web", [one.port, two.port]);
  await ensemble.kill();
  await writer.event("registry.unreachable");
  const goneAtMs = performance.now();
  const statuses = new Set<number>();
  await eventually("the time of the sessions is over", async () => {
    const response = await fetch(`http://127.0.0.1:${host.port}/`);
    await response.text();
    statuses.add(response.status);
    return performance.now() - goneAtMs > 3_000;
  });
  assert.deepEqual([...statuses], [200]);
  assert.deepEqual(await host.serving("web"), [one.port, two.port].toSorted());
  await ensemble.start();
  for (const each of [writer, reporter]) {
    const lost = await each.event("registry.unreachable");
    await each.event("registry.connected", {}, { after: lost });
  }
  await using kazoo = await KazooPeer.start(ensemble.address);
  for (const { port } of [one, two]) await eventually("it is registered", () => kazoo.look(znode(port)));
  await host.untilServing("web", [one.port, two.port]);
});

Deno.test("B4: the manual's ruok check of ZooKeeper passes, and keeps passing", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await host.join(ensemble);
  await host.write("services/web", {
    discovery: "zookeeper",
    port: ensemble.port,
    checks: { interval: 0.1, tcp: { query: "ruok", response: "imok", rise: 10, fall: 1 } },
  });
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await eventually("ten probes in a row have passed", () => kazoo.look(znode(ensemble.port)));
});

Deno.test("B6: repeatedly replaced files leave one connection and the same watches", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using one = new WebService();
  await using two = new WebService();
  const balancer = { restart_interval: 0 };
  await host.join(ensemble, { balancer });
  await host.consume();
  await kazoo.write("put", znode(one.port), await kazoo.payload(one.port, { host: ANNOUNCED.host }));
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [one.port]);
  const watches = async () => (await ensemble.ask("wchs")).trim();
  const sessions = async () =>
    [...(await ensemble.ask("cons")).matchAll(/sid=(0x[0-9a-f]+)/g)].map(([, id]) => id).filter((id) => id !== own);
  const own = `0x${BigInt(await kazoo.ask("session") as string).toString(16)}`;
  const before = await watches();
  assert.match(before, /^1 connections watching/);

  const replace = async (name: string, write: () => Promise<void>) => {
    const path = `${host.configDir}/${name}.yaml`;
    await Deno.rename(path, `${path}.old`);
    await write();
    await Deno.rename(path, `${path}.new`);
    await Deno.rename(`${path}.new`, path);
  };
  for (let round = 0; round < 5; round++) {
    const backend = ["mode http", `timeout server ${10 + round}s`];
    await replace("clusters/web", () => host.consume({ backend }));
    await eventually(
      "it is active",
      async () => (await host.fileLines()).includes(`\ttimeout server ${10 + round}s`),
    );
  }
  for (let round = 0; round < 3; round++) {
    const old = await sessions();
    assert.equal(old.length, 1);
    await replace("discovery/zookeeper", () => host.join(ensemble, { balancer, sessionTimeout: 3 + round }));
    await eventually("another session is the only one", async () => {
      const [session, ...others] = await sessions();
      return session !== undefined && session !== old[0] && others.length === 0;
    });
  }
  await eventually("as much is watched as before", async () => await watches() === before);
  const told = writer.count("cluster.changed");
  await kazoo.write("put", znode(two.port), await kazoo.payload(two.port, { host: ANNOUNCED.host }));
  await host.untilServing("web", [one.port, two.port]);
  await eventually("the change is logged", () => writer.count("cluster.changed") > told);
  assert.equal(writer.count("cluster.changed"), told + 1, writer.log);
});

Deno.test("B9: one invalid value empties no file, and members of other clusters join and leave", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using one = new WebService();
  await using two = new WebService();
  await host.join(ensemble, { balancer: { restart_interval: 0 } });
  await host.consume();
  await kazoo.write("put", znode(one.port), await kazoo.payload(one.port, { host: ANNOUNCED.host }));
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [one.port]);
  // Each of these emptied the file, or made HAProxy reject it.
  await host.write("clusters/null", "discovery: zookeeper\nhaproxy:\n");
  await host.write("clusters/number", `discovery: zookeeper\nhaproxy: {port: ${freePort()}, backend: [7]}\n`);
  await host.write("clusters/bare", `discovery: zookeeper\nhaproxy: {port: ${freePort()}}\n`);
  await host.write(
    "clusters/meta",
    "discovery: zookeeper\nmeta_cluster: api\nhaproxy: {acl: path_beg /, backend: [mode http]}\n",
  );
  await host.join(ensemble, { balancer: { restart_interval: 0, meta_clusters: { api: { frontend: ["mode http"] } } } });
  await writer.event("config.invalid", { file: /clusters\/number\.yaml$/, line: 2 });
  await writer.event("config.invalid", { file: /balancers\/haproxy\.yaml$/, line: /./, msg: /port/ });
  await eventually("the rest is in the file", async () => {
    const lines = await host.fileLines();
    return lines.includes("backend null") && lines.includes("backend bare") && lines.includes("frontend web");
  });
  await kazoo.write("put", znode(two.port), await kazoo.payload(two.port, { host: ANNOUNCED.host }));
  await host.untilServing("web", [one.port, two.port]);
});

Deno.test("B11: a proxy keeps serving while members of clusters leave and join", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using partner = new WebService();
  await using web = new WebService();
  const port = freePort();
  const upstreams = [{ host: "127.0.0.1", port: partner.port }];
  await host.join(ensemble, {
    balancer: { proxies: { partner: { port, bind_address: "127.0.0.1", upstreams, options: ["mode http"] } } },
  });
  await host.consume();
  await using _writer = Lighthouse.start("writer", host.configDir);
  for (let round = 0; round < 2; round++) {
    await kazoo.write("put", znode(web.port), await kazoo.payload(web.port, { host: ANNOUNCED.host }));
    await host.untilServing("web", [web.port]);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), `hello from ${partner.port}\n`);
    await kazoo.ask("delete", { path: znode(web.port) });
    await host.untilServing("web", []);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), `hello from ${partner.port}\n`);
  }
});

Deno.test("B15: a changed cluster is applied at once, and a removed one stops listening", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await host.join(ensemble, { balancer: { restart_interval: 0 } });
  await host.consume();
  await using _writer = Lighthouse.start("writer", host.configDir);
  await eventually("it listens", async () => !await isRefused(host.port));
  const port = freePort();
  await host.consume({ port });
  await eventually("it listens there, and here no more", async () => !await isRefused(port) && isRefused(host.port));
  await host.remove("clusters/web");
  await eventually("it listens no more", () => isRefused(port));
});

Deno.test("B16: a node with the same name and a new address receives requests at the new address", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await host.join(ensemble);
  await host.consume();
  await using _writer = Lighthouse.start("writer", host.configDir);
  const payload = new TextDecoder().decode(await kazoo.payload(9, { host: ANNOUNCED.host }));
  const moved = new TextEncoder().encode(payload.replace('"ip": "127.0.0.1"', '"ip": "127.0.0.2"'));
  await kazoo.write("put", znode(9), await kazoo.payload(9, { host: ANNOUNCED.host }));
  await host.untilServing("web", [9]);
  const pid = await host.haproxy.pid();
  await kazoo.write("set", znode(9), moved);
  await eventually("it is there", async () => {
    assert.deepEqual(await host.haproxy.serving("web"), [`${ANNOUNCED.host}:9 127.0.0.2:9`]);
    return true;
  });
  assert.equal(await host.haproxy.pid(), pid, "no reload");
});

Deno.test("removing and restoring the file of a registry empties no cluster, and every node is registered again", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using web = new WebService();
  await host.join(ensemble);
  await host.consume();
  await host.offer([web.port]);
  await using writer = Lighthouse.start("writer", host.configDir);
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await host.untilServing("web", [web.port]);
  await host.remove("discovery/zookeeper");
  await eventually("its session is over", async () => await kazoo.look(znode(web.port)) === null);
  assert.deepEqual(await host.serving("web"), [web.port]);
  await host.join(ensemble);
  await eventually("it is registered again", () => kazoo.look(znode(web.port)));
  await host.untilServing("web", [web.port]);
  assert.equal(writer.count("cluster.changed", { nodes: 0 }), 0, writer.log);
});

Deno.test("a balancer whose file is removed keeps running unmanaged, and is managed again once the file is restored", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using one = new WebService();
  await using two = new WebService();
  await host.join(ensemble);
  await host.consume();
  await kazoo.write("put", znode(one.port), await kazoo.payload(one.port, { host: ANNOUNCED.host }));
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [one.port]);
  const pid = await host.haproxy.pid();
  await host.remove("balancers/haproxy");
  const unmanaged = await writer.event("balancer.unmanaged");
  await kazoo.write("put", znode(two.port), await kazoo.payload(two.port, { host: ANNOUNCED.host }));
  await writer.event("cluster.changed", {}, { after: unmanaged });
  assert.deepEqual(await host.serving("web"), [one.port]);
  await host.join(ensemble);
  await host.untilServing("web", [one.port, two.port]);
  assert.equal(await host.haproxy.pid(), pid);
});

Deno.test("reporter and writer follow a changed registry path", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using web = new WebService();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await host.join(ensemble);
  await host.consume();
  await host.offer([web.port]);
  await using writer = Lighthouse.start("writer", host.configDir);
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await host.untilServing("web", [web.port]);
  await host.join(ensemble, { path: "/elsewhere" });
  const moved = znode(web.port).replace(BASE_PATH, "/elsewhere");
  await eventually("it is in the new place alone", async () => {
    return await kazoo.look(moved) !== null && await kazoo.look(znode(web.port)) === null;
  });
  await kazoo.write("put", `${moved}9`.replace(/\d+$/, "9"), await kazoo.payload(9, { host: ANNOUNCED.host }));
  await host.untilServing("web", [web.port, 9]);
  assert.equal(writer.count("cluster.changed", { nodes: 0 }), 0, "it was never without its member");
});

Deno.test("B26: a config file constructs no objects", async () => {
  await using dir = new TempDir();
  const made = dir.file("made");
  await dir.write("discovery/file.yaml", JSON.stringify({ path: dir.file("registry") }));
  for (
    const [name, line] of [["apply", `!!python/object/apply:os.system ["touch ${made}"]`], ["js", `!!js/function x`]]
  ) {
    await dir.write(`services/${name}.yaml`, `discovery: file\nport: 80\nmetadata: ${line}\nchecks: {interval: 1}\n`);
  }
  const { code, stdout } = await runCli(["check", dir.path]);
  assert.equal(code, 1);
  for (const name of ["apply", "js"]) {
    assert.match(stdout, new RegExp(`services/${name}\\.yaml:3:\\d+: error: .*tag`, "i"));
  }
  await assert.rejects(Deno.stat(made), Deno.errors.NotFound);
});
