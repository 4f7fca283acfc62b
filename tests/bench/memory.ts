import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { print, usageOf } from "./figures.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";
import { Bench, countServing } from "./stage.ts";

/** The nodes of a large cluster, and of a small one. */
const LARGE = 10_000, SMALL = 100;
/** Nodes that are registered at one time. */
const AT_ONCE = 500;
/** The least of the samples of this time counts: V8 frees what a start has allocated some time later. */
const REST_MS = 60_000, SAMPLE_MS = 1_000;

/** What a writer keeps of a large cluster, beside what it keeps of a small one. */
export async function memory(): Promise<void> {
  await using server = await ZooKeeper.start();
  await using registry = await RawRegistry.connect(server);
  const [small, large] = [await measure(server, registry, SMALL), await measure(server, registry, LARGE)];
  print(`Memory of the writer with ${LARGE} nodes (floor: with ${SMALL})`, [
    { what: "resident, the least within 60 s", value: large, unit: "MB", floor: small, most: 1.5 * small },
  ]);
}

async function measure(server: ZooKeeper, registry: RawRegistry, size: number): Promise<number> {
  await using bench = new Bench();
  const cluster = `web${size}`;
  await registry.makePath(`${BASE_PATH}/${cluster}`);
  for (let from = 0; from < size; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, size - from);
    await Promise.all(Array.from({ length: count }, (_, i) => registry.create(cluster, "node.test", 1_000 + from + i)));
  }
  await bench.configure({ zookeeper: server.address, path: BASE_PATH, cluster });
  await using daemon = Lighthouse.start("writer", bench.dir.file("config"));
  await eventually("HAProxy serves all", async () => {
    using socket = await bench.connect();
    return await countServing(socket, cluster) === size;
  }, { deadlineMs: 120_000 });
  let leastMb = Infinity;
  for (let waitedMs = 0; waitedMs < REST_MS; waitedMs += SAMPLE_MS) {
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    leastMb = Math.min(leastMb, usageOf(daemon.pid).rssMb);
  }
  return leastMb;
}
