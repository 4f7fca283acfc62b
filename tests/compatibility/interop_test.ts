import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { ANNOUNCED, Lighthouse, WebService } from "../support/lighthouse.ts";
import { BASE_PATH, FleetHost } from "../support/old_fleet.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** All rights to everybody. */
const OPEN = [[31, "world", "anyone"]];

/** Where a node of `web` is. */
function znode(port: number, host: string = ANNOUNCED.host): string {
  return `${BASE_PATH}/web/${host}:${port}`;
}

Deno.test("interop: nodes registered by 1.0 become HAProxy servers, whatever other entries exist", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using one = new WebService();
  await using two = new WebService();
  await host.join(ensemble);
  await host.consume();
  const encoder = new TextEncoder();
  await kazoo.write("put", znode(one.port, "app01.int"), await kazoo.payload(one.port, { host: "app01.int" }));
  const odd = { host: "odd.int", ip: "127.0.0.1", port: 1 };
  // Each of these froze the cluster for 1.0's readers, or was left out by them.
  for (
    const [name, payload] of [
      ["null:1", { ...odd, host: "null.int", peer: null }],
      ["plain:1", { ...odd, host: "plain.int", peer: { name: "plain.int", ip: "127.0.0.1" } }],
      ["nohost:1", { ip: "127.0.0.3", port: 1 }],
      ["noip:1", { host: "noip.int", port: 1 }],
      ["text:1", "text"],
    ] as const
  ) await kazoo.write("put", `${BASE_PATH}/web/${name}`, encoder.encode(JSON.stringify(payload)));
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [one.port, 1, 1, 1]);
  await kazoo.write("put", znode(two.port, "app02.int"), await kazoo.payload(two.port, { host: "app02.int" }));
  await host.untilServing("web", [one.port, two.port, 1, 1, 1]);
  await eventually("the file follows", async () => (await host.fileLines()).some((line) => line.includes("app02.int")));
  const servers = (await host.fileLines()).filter((line) => line.startsWith("\tserver "));
  for (const [name, { port }] of [["app01.int", one], ["app02.int", two]] as const) {
    const line = `\tserver ${name}:${port} 127.0.0.1:${port} cookie ${name}:${port} `;
    assert.ok(servers.includes(line), servers.join("\n"));
  }
  assert.deepEqual(servers.map((line) => line.split(" ")[1]?.split(":")[0]).toSorted(), [
    "127.0.0.3",
    "app01.int",
    "app02.int",
    "null.int",
    "plain.int",
  ]);
  assert.ok(writer.count("discovery.entry_skipped", { reason: /noip:1/ }) > 0, writer.log);
  await kazoo.ask("delete", { path: znode(one.port, "app01.int") });
  await host.untilServing("web", [two.port, 1, 1, 1]);
});

Deno.test("interop: a reporter registers the same bytes as 1.0", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using web = new WebService();
  await host.join(ensemble);
  const metadata = { role: "master", zone: "é", weights: [1, 2.5, null], more: { yes: true } };
  await host.offer([web.port], metadata);
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  const seen = await eventually("it is registered", () => kazoo.look(znode(web.port)));
  const { host: name } = ANNOUNCED;
  assert.deepEqual(Uint8Array.fromBase64(seen.data), await kazoo.payload(web.port, { host: name, metadata }));
  assert.deepEqual({ acl: seen.acl, version: seen.version }, { acl: OPEN, version: 0 });
  assert.notEqual(seen.ephemeralOwner, "0");
  for (const path of ["/lighthouse", BASE_PATH, `${BASE_PATH}/web`]) {
    const { data, ephemeralOwner, acl } = await kazoo.look(path) ?? {};
    assert.deepEqual({ path, data, ephemeralOwner, acl }, { path, data: "", ephemeralOwner: "0", acl: OPEN });
  }
});

Deno.test("interop: two writers on one ensemble agree on the servers and on the file", async () => {
  await using ensemble = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(ensemble.address);
  await using left = new FleetHost();
  await using right = new FleetHost({ port: left.port });
  await using one = new WebService();
  await using two = new WebService();
  for (const [host, address] of [[left, "127.0.0.1"], [right, "127.0.0.2"]] as const) {
    await host.join(ensemble, { balancer: { bind_address: address } });
    await host.consume();
  }
  // The order in which they come is not the order of their names.
  for (const [host, { port }] of [["b.int", one], ["a.int", two], ["c.int", one]] as const) {
    await kazoo.write("put", znode(port, host), await kazoo.payload(port, { host }));
  }
  await using _left = Lighthouse.start("writer", left.configDir);
  await left.untilServing("web", [one.port, one.port, two.port]);
  await using _right = Lighthouse.start("writer", right.configDir);
  for (const members of [[one.port, one.port, two.port], [one.port, two.port]]) {
    if (members.length === 2) await kazoo.ask("delete", { path: znode(one.port, "b.int") });
    for (const host of [left, right]) await host.untilServing("web", members);
    await eventually("the files agree", async () => {
      const [ours, theirs] = await Promise.all([left, right].map(async (host) => {
        const lines = await host.fileLines();
        // The address, the paths and what is counted from them are the host's own.
        return lines.filter((line) => !/^\tsetenv |^# Auto-generated|^\tstats socket /.test(line))
          .map((line) => line.replace(/bind 127\.0\.0\.[12]:/, "bind ADDRESS:"));
      }));
      assert.deepEqual(ours, theirs);
      return ours?.filter((line) => line.startsWith("\tserver ")).length === members.length;
    });
  }
});

Deno.test("interop: a host migrates and rolls back, and its node is never absent", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using web = new WebService();
  await using watching = await KazooPeer.start(ensemble.address);
  await host.join(ensemble, { sessionTimeout: 10 });
  await host.consume();
  await using _writer = Lighthouse.start("writer", host.configDir);
  const data = await watching.payload(web.port, { host: ANNOUNCED.host });
  const old = await KazooPeer.start(ensemble.address);
  await old.write("put", znode(web.port), data);
  const first = await old.ask("session");
  await watching.ask("observe", { path: znode(web.port) });
  await host.untilServing("web", [web.port]);

  // Ours starts beside it, takes its node over, and only then the old one is stopped.
  await host.offer([web.port]);
  const ours = Lighthouse.start("reporter", host.configDir);
  await ours.event("discovery.taking_over", { session: /^session 0x/ });
  await eventually("it is ours", async () => (await watching.observed()).owners.length === 2);
  await old.ask("stop");
  await old.kill();

  // A reporter of ours that was killed leaves its session behind; the next one replaces its node as well.
  ours.kill("SIGKILL");
  await ours.ended();
  const next = Lighthouse.start("reporter", host.configDir);
  await next.event("discovery.taking_over", { session: /^session 0x/ });
  await eventually("it is the next one's", async () => (await watching.observed()).owners.length === 3);

  // And back: 1.0 replaces a node of another session in a transaction too.
  await using back = await KazooPeer.start(ensemble.address);
  await back.write("take_over", znode(web.port), data);
  await next.stop();
  const last = await back.ask("session");
  await eventually("it is the old one's again", async () => (await watching.observed()).owners.at(-1) === last);
  const { looks, absent, owners } = await watching.observed();
  assert.equal(absent, 0, `absent at ${absent} of ${looks} looks`);
  assert.ok(looks > 100, `${looks} looks`);
  assert.equal(owners[0], first);
  assert.deepEqual(await host.serving("web"), [web.port]);
});

Deno.test("interop: the 2.0 reporter registers the node of a stopped 1.0 reporter under the same name", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using web = new WebService();
  await using watching = await KazooPeer.start(ensemble.address);
  await host.join(ensemble);
  await host.consume();
  await using _writer = Lighthouse.start("writer", host.configDir);
  const old = await KazooPeer.start(ensemble.address);
  const data = await old.payload(web.port, { host: ANNOUNCED.host });
  await old.write("put", znode(web.port), data);
  await host.untilServing("web", [web.port]);
  await old.ask("stop");
  await old.kill();
  await host.untilServing("web", []);
  await host.offer([web.port]);
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await host.untilServing("web", [web.port]);
  assert.deepEqual(await watching.ask("children", { path: `${BASE_PATH}/web` }), [`${ANNOUNCED.host}:${web.port}`]);
  assert.deepEqual(Uint8Array.fromBase64((await watching.look(znode(web.port)))?.data ?? ""), data);
});
