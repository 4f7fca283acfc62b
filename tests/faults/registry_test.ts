import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { makeCertificates } from "../support/certificates.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { ZooKeeperEnsemble } from "../support/zookeeper_ensemble.ts";

/** The znode path of the stage's nodes. */
const CLUSTER = "/lighthouse/services/web";

async function children(kazoo: KazooPeer): Promise<readonly string[]> {
  return await kazoo.ask("children", { path: CLUSTER }) as readonly string[];
}

Deno.test("ZooKeeper is killed and restarted: no request fails, and every node is registered again", async (t) => {
  await using zookeeper = await ZooKeeper.start();
  await using stage = await FaultStage.set({ zookeeper: { hosts: [zookeeper.address], session_timeout: 2 } });
  const aftermath = await stage.during(async () => {
    await zookeeper.kill();
    await stage.writer.event("registry.unreachable");
    await zookeeper.start();
    await using kazoo = await KazooPeer.start(zookeeper.address);
    await eventually("all are registered", async () => (await children(kazoo)).length === 3);
    await stage.host.untilServing("web", stage.ports);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("ZooKeeper is silent for longer than a session: no request fails, and every node is registered again", async (t) => {
  await using zookeeper = await ZooKeeper.start();
  await using stage = await FaultStage.set({ zookeeper: { hosts: [zookeeper.address], session_timeout: 1 } });
  const aftermath = await stage.during(async () => {
    zookeeper.pause();
    await stage.writer.event("registry.unreachable");
    // Twice the session's time: the registrations are gone when it wakes up.
    const asleep = performance.now();
    await eventually("the session's time is over", () => performance.now() - asleep > 2_500);
    zookeeper.resume();
    await using kazoo = await KazooPeer.start(zookeeper.address);
    await eventually("all are registered", async () => (await children(kazoo)).length === 3);
    await stage.host.untilServing("web", stage.ports);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("ZooKeeper is killed, then silent for longer than a session, over TLS with a client certificate: no request fails", async (t) => {
  await using dir = new TempDir();
  const pem = await makeCertificates(dir);
  const tls = { ca: pem.ca, cert: pem.good, key: pem.key };
  await using zookeeper = await ZooKeeper.start({ tls });
  const hosts = [`127.0.0.1:${zookeeper.securePort}`];
  await using stage = await FaultStage.set({ zookeeper: { hosts, session_timeout: 4, tls } });
  const aftermath = await stage.during(async () => {
    await zookeeper.kill();
    await stage.writer.event("registry.unreachable");
    await zookeeper.start();
    await changesReach(stage);
    zookeeper.pause();
    const asleep = performance.now();
    await eventually("the session's time is over", () => performance.now() - asleep > 8_000);
    zookeeper.resume();
    await using kazoo = await KazooPeer.start(hosts[0] ?? "", { tls });
    await eventually("all are registered", async () => (await children(kazoo)).length === 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("a serverset znode is deleted by hand, and ZooKeeper is killed and wiped: no request fails", async (t) => {
  await using zookeeper = await ZooKeeper.start();
  const section = { path: "/aurora/web", format: "serverset", endpoint: "http" };
  await using stage = await FaultStage.set({
    zookeeper: { hosts: [zookeeper.address], session_timeout: 2 },
    cluster: { zookeeper: section },
    service: { zookeeper: section },
  });
  const names = async () => {
    await using kazoo = await KazooPeer.start(zookeeper.address);
    return await kazoo.ask("children", { path: section.path }) as readonly string[];
  };
  const aftermath = await stage.during(async () => {
    {
      await using kazoo = await KazooPeer.start(zookeeper.address);
      const [first = ""] = await kazoo.ask("children", { path: section.path }) as readonly string[];
      await kazoo.ask("delete", { path: `${section.path}/${first}` });
    }
    await eventually("the znode exists again", async () => (await names()).length === 3);
    await zookeeper.kill();
    await stage.writer.event("registry.unreachable");
    await zookeeper.start();
    await changesReach(stage);
    await zookeeper.wipe();
    await zookeeper.start();
    await eventually("all are registered", async () => (await names()).length === 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("ZooKeeper returns without its data: no request fails, and every node is registered again", async (t) => {
  await using zookeeper = await ZooKeeper.start();
  await using stage = await FaultStage.set({ zookeeper: { hosts: [zookeeper.address], session_timeout: 1 } });
  const aftermath = await stage.during(async () => {
    await zookeeper.wipe();
    await zookeeper.start();
    await using kazoo = await KazooPeer.start(zookeeper.address);
    await eventually("all are registered", async () => (await children(kazoo)).length === 3);
    await stage.host.untilServing("web", stage.ports);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("the leader of three servers is killed, then silent, then returns: no request fails", async (t) => {
  await using ensemble = await ZooKeeperEnsemble.start();
  await using stage = await FaultStage.set({ zookeeper: { hosts: ensemble.hosts, session_timeout: 4 } });
  const aftermath = await stage.during(async () => {
    const first = await ensemble.leader();
    await first.kill();
    await eventually("another leads", () => ensemble.leader());
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
    await first.start();
    const second = await ensemble.leader();
    second.pause();
    stage.services[0]!.healthy = true;
    await stage.host.untilServing("web", stage.ports);
    second.resume();
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("another client ends a session by its id: no request fails, and every node is registered again", async (t) => {
  await using zookeeper = await ZooKeeper.start();
  // Without it, members are removed two seconds later, which a busy machine may need for the next session.
  await using stage = await FaultStage.set({
    zookeeper: { hosts: [zookeeper.address], session_timeout: 10 },
    cluster: { on_empty: "keep" },
  });
  await using kazoo = await KazooPeer.start(zookeeper.address);
  const owner = async (port: number) => (await kazoo.look(`${CLUSTER}/test.host:${port}`))?.ephemeralOwner;
  const before = await owner(stage.ports[0]!);
  assert.ok(before !== undefined);
  const aftermath = await stage.during(async () => {
    await kazoo.ask("end_session", { session: before, address: zookeeper.address });
    await eventually("every node belongs to another session", async () => {
      for (const port of stage.ports) if ([before, undefined].includes(await owner(port))) return false;
      return true;
    });
    await stage.host.untilServing("web", stage.ports);
  });
  assertUnnoticed(t, aftermath);
});
