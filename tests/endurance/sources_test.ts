import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import { etcdFile, untilUnreachable } from "../support/listed_registries.ts";

const WEB = "/lighthouse/services/web/";

/** A host in service whose cluster and service name two registries, `east` and `west`. */
async function stageWith(
  etcds: readonly [Etcd, Etcd],
  cluster: Readonly<Record<string, unknown>> = {},
): Promise<FaultStage> {
  const [east, west] = etcds.map(({ address }) => etcdFile(address));
  return await FaultStage.set({ registries: { east: east ?? {}, west: west ?? {} }, cluster });
}

/** Waits until this many nodes are registered. */
async function untilRegistered(etcd: Etcd, count: number): Promise<void> {
  await eventually(`${count} are registered`, async () => {
    const text = await etcd.ctl("get", "--prefix", "--keys-only", `${WEB}t`);
    return text.split("\n").filter((line) => line !== "").length === count;
  });
}

const POLICIES = [
  { policy: "union", combine: "union" },
  { policy: "all", combine: "all" },
  { policy: "first", combine: { first: { wait: "1s", return_after: "2s" } } },
] as const;

Deno.test.each(POLICIES)(
  "one of two registries is killed and restarted, with $policy: no request fails",
  async ({ combine }, t) => {
    await using east = await Etcd.start();
    await using west = await Etcd.start();
    await using stage = await stageWith([east, west], { combine });
    const aftermath = await stage.during(async () => {
      await west.end("SIGKILL");
      await untilUnreachable(stage, "west");
      await stage.host.untilServing("web", stage.ports);
      await west.start();
      await untilRegistered(west, 3);
      await changesReach(stage);
      await east.end("SIGKILL");
      await untilUnreachable(stage, "east");
      await stage.host.untilServing("web", stage.ports);
      await east.start();
      await untilRegistered(east, 3);
      await changesReach(stage);
    });
    assertUnnoticed(t, aftermath);
  },
);

Deno.test.each(POLICIES)(
  "one of two registries returns without its data, with $policy: no request fails",
  async ({ combine }, t) => {
    await using east = await Etcd.start();
    await using west = await Etcd.start();
    await using stage = await stageWith([east, west], { combine });
    const aftermath = await stage.during(async () => {
      for (const each of [east, west]) {
        await each.wipe();
        await each.start();
        await untilRegistered(each, 3);
        await changesReach(stage);
      }
    });
    assertUnnoticed(t, aftermath);
  },
);

Deno.test("one of two registries is partitioned from this host for longer than a session: no request fails", async (t) => {
  await using east = await Etcd.start();
  await using west = await Etcd.start();
  await using stage = await stageWith([east, west]);
  const aftermath = await stage.during(async () => {
    west.pause();
    await untilUnreachable(stage, "west");
    stage.services[0]!.healthy = false;
    // The silent registry's last answer stands: the other one alone cannot remove a node that it had.
    await stage.reporter.event("registration.failed");
    stage.services[0]!.healthy = true;
    west.resume();
    await untilRegistered(west, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("the writer restarts while one of two registries is down: that registry's own nodes are served, and no request fails", async (t) => {
  await using east = await Etcd.start();
  await using west = await Etcd.start();
  await using extra = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("ok"));
  await using stage = await stageWith([east, west]);
  const { port } = extra.addr;
  const node = { host: "127.0.0.1", ip: "127.0.0.1", port, metadata: {} };
  await west.ctl("put", `${WEB}127.0.0.1:${port}`, JSON.stringify(node));
  const all = [...stage.ports, port];
  await stage.host.untilServing("web", all);
  const aftermath = await stage.during(async () => {
    await west.end("SIGKILL");
    await untilUnreachable(stage, "west");
    await stage.replace("writer", "SIGTERM");
    await stage.writer.event("cluster.silent");
    await stage.host.untilServing("web", all);
  });
  assertUnnoticed(t, aftermath);
});
