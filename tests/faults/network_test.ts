import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, FaultStage } from "../support/fault_stage.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { NetworkNamespace, type Trouble, WHY_NO_NAMESPACE } from "../support/network_namespace.ts";
import { SlowLink } from "../support/slow_link.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** The znode path of the stage's nodes. */
const CLUSTER = "/lighthouse/services/web";

/** Network namespaces need root. */
const ignore = WHY_NO_NAMESPACE !== undefined;
// deno-lint-ignore no-console -- a skipped test says why
if (ignore) console.log(`faults: the tests with networks are skipped: ${WHY_NO_NAMESPACE}`);

/** Waits until all nodes are registered by a live session: each exists and is served. */
async function untilRegistered({ host, ports }: FaultStage, zookeeper: ZooKeeper): Promise<void> {
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await eventually("all are registered", async () => {
    const children = await kazoo.ask("children", { path: CLUSTER }) as readonly string[];
    return children.length === ports.length;
  });
  await host.untilServing("web", ports);
}

/** Waits until the registry has expired the reporter's session, as seen from the registry's own side. */
async function untilExpired(zookeeper: ZooKeeper): Promise<void> {
  await eventually("the session has expired", async () => !/web\/test\.host/.test(await zookeeper.askWithin("dump")));
}

Deno.test.each(
  [
    { trouble: "drop", how: "drops all packets" },
    { trouble: "reject", how: "rejects all packets" },
  ] as const,
)(
  "the network to ZooKeeper $how for longer than a session: no request fails, and every node is registered again",
  { ignore },
  async ({ trouble, how }: { trouble: Trouble; how: string }) => {
    await using namespace = await NetworkNamespace.make();
    await using zookeeper = await ZooKeeper.start({ namespace });
    await using stage = await FaultStage.set({ zookeeper: { hosts: [zookeeper.address], session_timeout: 1.5 } });
    const aftermath = await stage.during(async () => {
      await namespace.befall(trouble);
      await stage.writer.event("registry.unreachable");
      await untilExpired(zookeeper);
      await namespace.heal();
    }, () => untilRegistered(stage, zookeeper));
    assertUnnoticed({ name: `the network to ZooKeeper ${how}` }, aftermath);
  },
);

Deno.test(
  "the network to ZooKeeper loses 30 % of packets: no request fails, and members join and leave",
  { ignore },
  async (t) => {
    await using namespace = await NetworkNamespace.make();
    await using zookeeper = await ZooKeeper.start({ namespace });
    await using stage = await FaultStage.set({ zookeeper: { hosts: [zookeeper.address], session_timeout: 10 } });
    const aftermath = await stage.during(async () => {
      await namespace.befall("loss");
      for (const healthy of [false, true]) {
        stage.services[0]!.healthy = healthy;
        await eventually("the change arrives", async () => {
          const serving = await stage.host.serving("web");
          return serving.includes(stage.ports[0]!) === healthy;
        }, { deadlineMs: 60_000 });
      }
      await namespace.heal();
    }, () => untilRegistered(stage, zookeeper));
    assertUnnoticed(t, aftermath);
  },
);

Deno.test(
  "a connection to ZooKeeper is half-open: no request fails, and a new connection replaces it",
  { ignore },
  async (t) => {
    await using namespace = await NetworkNamespace.make();
    await using zookeeper = await ZooKeeper.start({ namespace });
    await using stage = await FaultStage.set({ zookeeper: { hosts: [zookeeper.address], session_timeout: 2 } });
    const aftermath = await stage.during(async () => {
      await namespace.forgetConnections();
      await zookeeper.kill();
      await zookeeper.start();
      stage.services[0]!.healthy = false;
    }, async () => {
      await stage.host.untilServing("web", stage.ports.slice(1));
      stage.services[0]!.healthy = true;
      await untilRegistered(stage, zookeeper);
    });
    assertUnnoticed(t, aftermath);
  },
);

Deno.test("every byte to and from ZooKeeper takes half a second: no request fails, members join and leave, and ZooKeeper stays reachable", async (t) => {
  await using zookeeper = await ZooKeeper.start();
  await using link = new SlowLink(zookeeper.address, { delayMs: 0 });
  await using stage = await FaultStage.set({ zookeeper: { hosts: [link.address], session_timeout: 12 } });
  const aftermath = await stage.during(async () => {
    link.delayMs = 500;
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
    stage.services[0]!.healthy = true;
  }, () => untilRegistered(stage, zookeeper));
  for (const { log } of [stage.writer, stage.reporter]) assert.doesNotMatch(log, /registry\.unreachable/);
  assertUnnoticed(t, aftermath);
});
