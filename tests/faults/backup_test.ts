import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import { faultyEtcd, faultyStore, faultyZooKeeper, type RestorableRegistry } from "../support/faulty_registry.ts";
import { replaceDirectory } from "../support/replace_directory.ts";

const SERVERS: readonly {
  readonly name: string;
  readonly make: (stack: AsyncDisposableStack) => Promise<RestorableRegistry>;
}[] = [
  { name: "zookeeper", make: faultyZooKeeper },
  { name: "etcd by API 2", make: (stack) => faultyEtcd(stack, { api: "v2" }) },
  { name: "lighthouse", make: faultyStore },
];

Deno.test.each(SERVERS)(
  "$name is restored from a backup with one of three nodes: no request fails, and every node is registered again",
  async ({ make }, t) => {
    await using stack = new AsyncDisposableStack();
    const registry = await make(stack);
    await using stage = await FaultStage.set({ registry: { type: registry.type, config: registry.file() } });
    const [first, ...others] = stage.services;
    assert.ok(first !== undefined);
    for (const service of others) service.healthy = false;
    await stage.host.untilServing("web", [first.port]);
    await registry.kill();
    await registry.backUp();
    await registry.start();
    for (const service of others) service.healthy = true;
    await stage.host.untilServing("web", stage.ports);
    const aftermath = await stage.during(async () => {
      await registry.kill();
      await registry.restore();
      await registry.start();
      await eventually("all are registered", async () => await registry.registered() === 3);
      await changesReach(stage);
    });
    assertUnnoticed(t, aftermath);
  },
);

Deno.test("the file registry is unreadable, then restored from a backup with one of three nodes: no request fails, and every node is registered again", async (t) => {
  await using stage = await FaultStage.set();
  const { registryDir: registry, dir } = stage.host;
  const [first, ...others] = stage.services;
  assert.ok(first !== undefined);
  for (const service of others) service.healthy = false;
  await stage.host.untilServing("web", [first.port]);
  await replaceDirectory(registry, dir.file("backup"));
  for (const service of others) service.healthy = true;
  await stage.host.untilServing("web", stage.ports);
  const aftermath = await stage.during(async () => {
    await Deno.rename(registry, dir.file("aside"));
    await Deno.writeTextFile(registry, "a file in the directory's place");
    await stage.writer.event("registry.unreachable");
    await stage.host.untilServing("web", stage.ports);
    // Every lease in it has long expired.
    await replaceDirectory(dir.file("backup"), registry);
    await eventually("all are registered", async () => {
      const entries = await Array.fromAsync(Deno.readDir(`${registry}/web`));
      return entries.filter(({ name }) => name.endsWith(".json")).length === 3;
    });
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});
