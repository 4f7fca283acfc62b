import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { freePort } from "../support/free_port.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { Bench, countServing } from "./stage.ts";
import { print, quantile } from "./figures.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";

/** The nodes of the cluster. */
const NODES = 1_000;
/** The goals, as multiples of the floor: with members from the registry, and from the topology file. */
const REGISTRY_MOST = 12, FILE_MOST = 8;
/** Starts that are measured. */
const ROUNDS = 5;

/** From the start of the writer's process to a large cluster in HAProxy, ZooKeeper's reads included. */
export async function startup(): Promise<void> {
  await using server = await ZooKeeper.start();
  await using registry = await RawRegistry.connect(server);
  await registry.makePath(`${BASE_PATH}/web`);
  await Promise.all(Array.from({ length: NODES }, (_, i) => registry.create("web", "node.test", 1_000 + i)));
  const cold: number[] = [];
  const warm: number[] = [];
  const away: number[] = [];
  const floors: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await using bench = new Bench();
    await bench.configure({ zookeeper: server.address, path: BASE_PATH, cluster: "web" });
    floors.push(await measureFloor());
    cold.push(await measure(bench));
    // The second start finds a HAProxy that runs; take all servers out of it so that there is something to wait for.
    using socket = await bench.connect();
    const names = Array.from({ length: NODES }, (_, i) => `web/node.test:${1_000 + i}`);
    await socket.ask(names.flatMap((name) => [`set server ${name} state maint`, `del server ${name}`]));
    warm.push(await measure(bench));
    await using other = new Bench();
    // Nobody listens there: what is known is what the first host wrote down.
    await other.configure({ zookeeper: `127.0.0.1:${freePort()}`, path: BASE_PATH, cluster: "web" });
    await Deno.copyFile(`${bench.haproxy.configFile}.topology`, `${other.haproxy.configFile}.topology`);
    away.push(await measure(other));
  }
  const floor = quantile(floors, 0.5);
  print(`Start of the writer to ${NODES} nodes in HAProxy, ${ROUNDS} rounds (floor: an empty Deno program)`, [
    {
      what: "nothing runs yet, median",
      value: quantile(cold, 0.5),
      unit: "ms",
      floor,
      most: REGISTRY_MOST * floor,
    },
    {
      what: "a HAProxy without members runs, median",
      value: quantile(warm, 0.5),
      unit: "ms",
      floor,
      most: REGISTRY_MOST * floor,
    },
    {
      what: "from the topology file, its registry away, median",
      value: quantile(away, 0.5),
      unit: "ms",
      floor,
      most: FILE_MOST * floor,
    },
  ]);
}

async function measure(bench: Bench): Promise<number> {
  const began = performance.now();
  await using _daemon = Lighthouse.start("writer", bench.dir.file("config"));
  await eventually("HAProxy serves all", async () => {
    using socket = await bench.connect();
    return await countServing(socket, "web") === NODES;
  }, { everyMs: 2 });
  return performance.now() - began;
}

async function measureFloor(): Promise<number> {
  const began = performance.now();
  await new Deno.Command(Deno.execPath(), { args: ["eval", "0"] }).output();
  return performance.now() - began;
}
