import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { TempDir } from "../support/temp_dir.ts";
import { Network } from "./network.ts";
import { StoreProcess } from "./process.ts";

async function commit(network: Network, host: number, path: string, value: string): Promise<void> {
  assert.equal(await network.ask(host, "/lock", "test"), "Acquired");
  assert.equal(await network.ask(host, `/update/test${path}`, value), "Created");
  assert.equal(await network.ask(host, "/lock/test", ""), "Released");
}

Deno.test("three partitioned processes keep serving, converge on the newest version, and keep the lost one", async () => {
  await using dir = new TempDir("lighthouse-partition-");
  await using network = await Network.of(3);
  await using stores = new AsyncDisposableStack();
  const seeds = `${network.address(1)}:8001`;
  const flagsOf = (
    host: number,
  ) => ["--data.d", dir.file(`${host}`), "--bind", `${network.address(host)}:8001`, "--insecure"];
  for (const host of [1, 2, 3]) {
    const joins = host === 1 ? ["--bootstrap"] : ["--seeds", seeds];
    const store = stores.use(new StoreProcess([...flagsOf(host), ...joins], { within: network.on(host) }));
    await store.event("store.listening");
  }
  const eachHas = (hosts: readonly number[], document: unknown) =>
    eventually(`${hosts} have ${JSON.stringify(document)}`, async () => {
      for (const host of hosts) {
        assert.deepEqual(JSON.parse(await network.ask(host, "/data")), document, `host ${host}`);
      }
      return true;
    }, { everyMs: 100, deadlineMs: 60_000 });
  await commit(network, 1, "", '{"n": 0}');
  await eachHas([1, 2, 3], { n: 0 });

  await network.plug(3, "down");
  await commit(network, 3, "/alone", '"three"');
  await commit(network, 2, "/both", '"two"');
  await eachHas([1, 2], { n: 0, both: "two" });
  await commit(network, 1, "/both", '"one"');
  await eachHas([1, 2], { n: 0, both: "one" });
  await eachHas([3], { n: 0, alone: "three" });

  await network.plug(3, "up");
  await eachHas([1, 2, 3], { n: 0, both: "one" });
  const { lost } = JSON.parse(await network.ask(3, "/state"));
  assert.equal(lost.length, 1);
  const kept = JSON.parse(await Deno.readTextFile(dir.file(`3/${lost[0]}`)));
  assert.deepEqual(kept.copy.data, { n: 0, alone: "three" });
  for (const host of [1, 2]) assert.deepEqual(JSON.parse(await network.ask(host, "/state")).lost, []);
});
