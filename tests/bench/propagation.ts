import type { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings_schema.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { Bench, countServing, untilServing } from "./stage.ts";
import { print, quantile } from "./figures.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";

/** How many single changes are measured. */
const CHANGES = 300;
/** A single change is one that comes so long after the last: its cluster's budget has come in again. */
const APART_MS = 1_000 / DEFAULT_SETTINGS.updates.rate;

/** From a znode's creation to HAProxy sending requests to it, for clusters of several sizes. */
export async function propagation(): Promise<void> {
  await using server = await ZooKeeper.start();
  await using registry = await RawRegistry.connect(server);
  for (const size of [10, 1_000]) {
    await using bench = new Bench();
    const cluster = `web${size}`;
    await registry.makePath(`${BASE_PATH}/${cluster}`);
    await Promise.all(Array.from({ length: size }, (_, i) => registry.create(cluster, "node.test", 1_000 + i)));
    await bench.configure({ zookeeper: server.address, path: BASE_PATH, cluster });
    await using _daemon = Lighthouse.start("writer", bench.dir.file("config"));
    await eventually("HAProxy serves all", async () => {
      using socket = await bench.connect();
      return await countServing(socket, cluster) === size;
    });
    using socket = await bench.connect();
    const floors = await measureFloor(registry, cluster, socket);
    const joins: number[] = [];
    const leaves: number[] = [];
    for (let i = 0; i < CHANGES; i++) {
      const port = 30_000 + i;
      const name = `new.test:${port}`;
      await pause(APART_MS);
      let began = performance.now();
      await registry.create(cluster, "new.test", port);
      await untilServing(socket, cluster, name, true);
      joins.push(performance.now() - began);
      await pause(APART_MS);
      began = performance.now();
      await registry.remove(cluster, "new.test", port);
      await untilServing(socket, cluster, name, false);
      leaves.push(performance.now() - began);
    }
    const promised = size === 10 ? { p50: { most: 5 }, p99: { most: 25 } } : { p50: {}, p99: {} };
    print(
      `A znode's change to HAProxy's routing, cluster of ${size}, ${CHANGES} single changes (floor: watch and one command)`,
      [
        { what: "join, p50", value: quantile(joins, 0.5), unit: "ms", floor: quantile(floors, 0.5), ...promised.p50 },
        { what: "join, p99", value: quantile(joins, 0.99), unit: "ms", floor: quantile(floors, 0.99), ...promised.p99 },
        { what: "leave, p50", value: quantile(leaves, 0.5), unit: "ms", floor: quantile(floors, 0.5), ...promised.p50 },
        {
          what: "leave, p99",
          value: quantile(leaves, 0.99),
          unit: "ms",
          floor: quantile(floors, 0.99),
          ...promised.p99,
        },
      ],
    );
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The raw watch round trip plus one socket command: what nobody can be faster than. */
async function measureFloor(registry: RawRegistry, cluster: string, socket: RuntimeSocket): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    // As far apart as the changes are: who was idle takes longer to wake up.
    await pause(APART_MS);
    const fired = Promise.withResolvers<void>();
    await registry.children(cluster, () => fired.resolve());
    const began = performance.now();
    await registry.create(cluster, "floor.test", 40_000 + i);
    await fired.promise;
    await registry.children(cluster, () => {});
    await socket.ask(["show info"]);
    times.push(performance.now() - began);
    await registry.remove(cluster, "floor.test", 40_000 + i);
  }
  return times;
}
