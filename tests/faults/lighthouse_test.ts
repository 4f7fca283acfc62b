import assert from "node:assert/strict";
import { seededRandom } from "../../src/kernel/random.ts";
import { eventually } from "../support/eventually.ts";
import { type Aftermath, assertUnnoticed, FaultStage } from "../support/fault_stage.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** The znode path of the stage's nodes. */
const CLUSTER = "/lighthouse/services/web";

/** How often the writer is killed. */
const KILLS = 20;

/** Waits while other things happen. */
async function pass(ms: number): Promise<void> {
  const since = performance.now();
  await eventually("the time has passed", () => performance.now() - since > ms);
}

Deno.test("the writer is killed, and another takes over: no request fails, HAProxy keeps running, and changes are applied", async (t) => {
  await using stage = await FaultStage.set();
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(async () => {
    await stage.replace("writer", "SIGKILL", async () => {
      stage.services[0]!.healthy = false;
      await pass(1_000);
    });
  }, () => stage.host.untilServing("web", stage.ports.slice(1)));
  assert.equal(await stage.host.haproxy.pid(), pid);
  assertUnnoticed(t, aftermath);
});

Deno.test("the writer is paused and resumed: no request fails, and changes made meanwhile are applied", async (t) => {
  await using stage = await FaultStage.set();
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(async () => {
    stage.writer.kill("SIGSTOP");
    stage.services[0]!.healthy = false;
    await pass(3_000);
    stage.writer.kill("SIGCONT");
  }, () => stage.host.untilServing("web", stage.ports.slice(1)));
  assert.equal(await stage.host.haproxy.pid(), pid);
  assertUnnoticed(t, aftermath);
});

Deno.test("the writer is restarted in order: no request fails, and HAProxy keeps running", async (t) => {
  await using stage = await FaultStage.set();
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(async () => {
    await stage.replace("writer", "SIGTERM");
    stage.services[0]!.healthy = false;
  }, () => stage.host.untilServing("web", stage.ports.slice(1)));
  assert.equal(await stage.host.haproxy.pid(), pid);
  assertUnnoticed(t, aftermath);
});

Deno.test(`the writer is killed ${KILLS} times during changes: no request fails, and the next writer converges each time`, async (t) => {
  await using stage = await FaultStage.set({ instances: 4 });
  const random = seededRandom(20);
  // One instance stays, so that somebody always answers.
  const restless = stage.services.slice(1);
  let changing = true;
  const storm = async () => {
    while (changing) {
      restless[Math.floor(random() * restless.length)]!.healthy = random() < 0.5;
      // Half of the changes are of structure: a cluster is added or removed.
      if (random() < 0.5) await stage.host.write("clusters/other", { discovery: "file", haproxy: {} });
      else await stage.host.remove("clusters/other").catch(() => {});
      await pass(100 + random() * 200);
    }
  };
  const aftermath = await stage.during(async () => {
    const stormy = storm();
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        // From before it has read its config to well after it has settled.
        await pass(100 + random() * 900);
        await stage.replace("writer", "SIGKILL");
      }
    } finally {
      changing = false;
      await stormy;
    }
  }, async () => {
    restless[0]!.healthy = false;
    for (const service of restless.slice(1)) service.healthy = true;
    await stage.host.untilServing("web", stage.ports.filter((port) => port !== restless[0]!.port));
  });
  assertUnnoticed(t, aftermath);
  await eventually("one HAProxy is left", () => stage.host.haproxy.processes().length === 1);
});

/** The faults of a reporter whose nodes are in ZooKeeper. */
async function reporterFault(
  { sessionTimeout }: { readonly sessionTimeout: number },
  fault: (given: { stage: FaultStage; kazoo: KazooPeer; owners: () => Promise<readonly unknown[]> }) => Promise<void>,
): Promise<Aftermath> {
  await using zookeeper = await ZooKeeper.start();
  await using stage = await FaultStage.set({
    zookeeper: { hosts: [zookeeper.address], session_timeout: sessionTimeout },
    // An empty cluster is accepted after two reads, two seconds apart, unless the file says otherwise.
    cluster: { on_empty: "keep" },
  });
  await using kazoo = await KazooPeer.start(zookeeper.address);
  const owners = async () => {
    const found: unknown[] = [];
    for (const port of stage.ports) found.push((await kazoo.look(`${CLUSTER}/test.host:${port}`))?.ephemeralOwner);
    return found;
  };
  return await stage.during(() => fault({ stage, kazoo, owners }), async () => {
    await eventually("all are registered", async () => (await owners()).every((owner) => owner !== undefined));
    await stage.host.untilServing("web", stage.ports);
  });
}

Deno.test("the reporter is killed, and another takes over before its session ends: no node is ever missing", async (t) => {
  let isMissing = false;
  const aftermath = await reporterFault({ sessionTimeout: 30 }, async ({ stage, owners }) => {
    const before = await owners();
    await stage.replace("reporter", "SIGKILL");
    await eventually("every node belongs to another session", async () => {
      const now = await owners();
      isMissing ||= now.includes(undefined);
      return now.every((owner, index) => owner !== undefined && owner !== before[index]);
    });
  });
  assert.equal(isMissing, false);
  assertUnnoticed(t, aftermath);
});

Deno.test("the reporter is killed: its nodes stay until its session ends, and the next session registers them", async (t) => {
  const aftermath = await reporterFault({ sessionTimeout: 2 }, async ({ stage, owners }) => {
    await stage.replace("reporter", "SIGKILL", async () => {
      assert.ok((await owners()).every((owner) => owner !== undefined));
      await eventually("the session has ended", async () => (await owners()).every((owner) => owner === undefined));
    });
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("the reporter is paused for longer than its session: no request fails, and every node is registered again", async (t) => {
  const aftermath = await reporterFault({ sessionTimeout: 1.5 }, async ({ stage, owners }) => {
    stage.reporter.kill("SIGSTOP");
    await eventually("the session has ended", async () => (await owners()).every((owner) => owner === undefined));
    stage.reporter.kill("SIGCONT");
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("the reporter is restarted in order: no request fails, and every node is registered again", async (t) => {
  const aftermath = await reporterFault({ sessionTimeout: 10 }, async ({ stage, owners }) => {
    const before = await owners();
    await stage.replace("reporter", "SIGTERM");
    await eventually("every node belongs to another session", async () => {
      const now = await owners();
      return now.every((owner, index) => owner !== undefined && owner !== before[index]);
    });
  });
  assertUnnoticed(t, aftermath);
});
