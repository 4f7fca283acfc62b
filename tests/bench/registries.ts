import type { DiscoveryPlugin, DiscoverySession } from "../../mod.ts";
import etcd from "../../plugins/discovery/etcd/mod.ts";
import file from "../../plugins/discovery/file/mod.ts";
import lighthouse from "../../plugins/discovery/lighthouse/mod.ts";
import serf from "../../plugins/discovery/serf/mod.ts";
import zookeeper from "../../plugins/discovery/zookeeper/mod.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings_schema.ts";
import { StoreProcess } from "../store/process.ts";
import { RecordingContext, testNode, up } from "../support/discovery.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { Serf } from "../support/serf.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { print, quantile } from "./figures.ts";
import { BareProgram, Bench, countServing, FlagHaproxy, untilFlagged, untilServing } from "./stage.ts";

/** How many single changes are measured. */
const CHANGES = Number(Deno.env.get("CHANGES") ?? 100);
/** A single change is one that comes so long after the last: the writer may join what comes sooner. */
const APART_MS = 2 * 1_000 / DEFAULT_SETTINGS.updates.rate;
const SIZES = (Deno.env.get("SIZES") ?? "10,1000").split(",").map(Number);
/** What is measured besides the registries: a writer of many clusters. */
const CLUSTERS_OF_ONE = "clusters";
/** What a serf agent's tag has room for. */
const PORTS_OF_AGENT = 60;

/** A registry with a cluster `web` in it. */
interface Registry {
  /** The name of the method, and what its file says. */
  readonly method: string;
  readonly file: Record<string, unknown>;
  /** Registers what is measured, as another host would. */
  readonly session: DiscoverySession;
  /** The host in the names of its nodes. */
  readonly host: string;
  /** Where the minimal program watches: `host:port`, or a directory. */
  readonly at: string;
}

/** Each registry, with so many nodes in it. */
const REGISTRIES: Readonly<Record<string, (size: number, stack: AsyncDisposableStack) => Promise<Registry>>> = {
  async zookeeper(size, stack) {
    const server = stack.use(await ZooKeeper.start());
    const config = { hosts: [server.address], path: "/lighthouse/services" };
    const session = await opened(zookeeper, config, size, stack);
    return {
      method: "zookeeper",
      file: config,
      session,
      host: "web.test",
      at: server.address,
    };
  },
  async etcd(size, stack) {
    const server = stack.use(await Etcd.start());
    const config = { endpoints: [server.address] };
    const session = await opened(etcd, config, size, stack);
    return { method: "etcd", file: config, session, host: "web.test", at: server.address };
  },
  async serf(size, stack) {
    const first = stack.use(await Serf.start({ name: "reader.test" }));
    const ports = Array.from({ length: size }, (_, i) => 1_000 + i);
    for (let at = 0; at < size; at += PORTS_OF_AGENT) {
      const tags = { web: ports.slice(at, at + PORTS_OF_AGENT).join(",") };
      stack.use(await Serf.start({ name: `filler${at}.test`, tags, join: [first] }));
    }
    const writer = stack.use(await Serf.start({ name: "web.test", join: [first] }));
    await first.knows(Math.ceil(size / PORTS_OF_AGENT) + 2);
    const config = { address: first.address };
    const session = await opened(serf, { address: writer.address }, 0, stack);
    return { method: "serf", file: config, session, host: "web.test", at: first.address };
  },
  async file(size, stack) {
    const dir = stack.use(new TempDir("lighthouse-bench-"));
    const config = { path: dir.file("registry") };
    const session = await opened(file, config, size, stack);
    return { method: "file", file: config, session, host: "web.test", at: config.path };
  },
  async store(size, stack) {
    const dir = stack.use(new TempDir("lighthouse-bench-"));
    const address = `127.0.0.1:${freePort()}`;
    const server = stack.use(new StoreProcess(["--data.d", dir.path, "--bind", address, "--bootstrap"]));
    await server.event("store.listening");
    const config = { hosts: [address], path: "/services" };
    const session = await opened(lighthouse, config, size, stack);
    return { method: "lighthouse", file: config, session, host: "web.test", at: address };
  },
};

/** Fills a cluster by one session, and answers another. */
async function opened<Config>(
  plugin: DiscoveryPlugin<Config, never, never> | DiscoveryPlugin<Config>,
  raw: Record<string, unknown>,
  size: number,
  stack: AsyncDisposableStack,
): Promise<DiscoverySession> {
  const result = await plugin.config["~standard"].validate(raw);
  if (result.issues !== undefined) {
    throw new Error(`Cannot use the config of ${plugin.name}: ${JSON.stringify(result)}`);
  }
  const open = async () => {
    const context = new RecordingContext();
    stack.defer(() => context.abort());
    return stack.use(await plugin.open(result.value, context));
  };
  if (size > 0) {
    const filler = await open();
    const { signal } = new AbortController();
    const names = Array.from({ length: size }, (_, i) => up(testNode(1_000 + i)));
    await Promise.all(names.map((registration) => filler.register?.("web", registration, signal)));
  }
  return await open();
}

/** From a change in each registry to HAProxy's routing, beside what nobody can be faster than. */
export async function registries(): Promise<void> {
  const wanted = Deno.env.get("REGISTRIES")?.split(",") ?? [...Object.keys(REGISTRIES), CLUSTERS_OF_ONE];
  for (const name of wanted) {
    const make = REGISTRIES[name];
    if (make === undefined) await manyClusters();
    else for (const size of SIZES) await propagation(name, size, make);
  }
}

async function propagation(name: string, size: number, make: (typeof REGISTRIES)[string]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const registry = await make(size, stack);
  const { method, session, host } = registry;
  const bench = stack.use(new Bench());
  await bench.configureFor(method, registry.file, ["web"]);
  const writer = stack.use(Lighthouse.start("writer", bench.dir.file("config")));
  await eventually(`HAProxy serves the ${size} of ${name}`, async () => {
    using socket = await bench.connect();
    return await countServing(socket, "web") === size;
  }, { deadlineMs: 120_000 });
  const flag = stack.use(await FlagHaproxy.start());
  const bare = stack.use(
    await BareProgram.start("bare_reader.ts", [method, registry.at, flag.socketFile, flag.server]),
  );
  const [socket, flagSocket] = [stack.use(await bench.connect()), stack.use(await flag.connect())];
  const { signal } = new AbortController();
  const change = async (port: number, isIn: boolean, done: () => Promise<unknown>) => {
    const registration = up(testNode(port));
    const began = performance.now();
    await (isIn ? session.register?.("web", registration, signal) : session.deregister?.("web", registration, signal));
    await done();
    return performance.now() - began;
  };
  const isServing = (port: number, isIn: boolean) => untilServing(socket, "web", `${host}:${port}`, isIn);
  // One of the two runs at a time, on a machine that is otherwise at rest.
  const ours = async (port: number, isIn: boolean) => {
    bare.kill("SIGSTOP");
    // A stopped process could not be ended.
    using _ = { [Symbol.dispose]: () => bare.kill("SIGCONT") };
    await pause(APART_MS);
    return await change(port, isIn, () => isServing(port, isIn));
  };
  const withoutWriter = async (port: number, isIn: boolean) => {
    writer.kill("SIGSTOP");
    using _ = { [Symbol.dispose]: () => writer.kill("SIGCONT") };
    await pause(APART_MS);
    const weight = await untilFlagged(flagSocket);
    return await change(port, isIn, () => untilFlagged(flagSocket, weight));
  };
  const floor = async (port: number, isIn: boolean) => {
    const tookMs = await withoutWriter(port, isIn);
    await isServing(port, isIn);
    return tookMs;
  };
  const times = { join: [] as number[], leave: [] as number[] };
  const floors = { join: [] as number[], leave: [] as number[] };
  for (let i = 0; i < CHANGES; i++) {
    times.join.push(await ours(61_000 + i, true));
    times.leave.push(await ours(61_000 + i, false));
    floors.join.push(await floor(62_000 + i, true));
    floors.leave.push(await floor(62_000 + i, false));
  }
  const rows = (["join", "leave"] as const).flatMap((what) =>
    [0.5, 0.99].map((at) => {
      const least = quantile(floors[what], at);
      return {
        what: `${what}, p${at * 100}`,
        value: quantile(times[what], at),
        unit: "ms",
        floor: least,
        most: twice(least),
      };
    })
  );
  print(`${name}, ${size} nodes, ${CHANGES} single changes to HAProxy's routing (floor: bare_reader.ts)`, rows);
}

const twice = (ms: number) => Math.round(20 * ms) / 10;

/** The clusters of one etcd that a writer consumes. */
const CLUSTERS = 100;
const NODES_EACH = 10;

/** What a writer of many clusters costs an etcd: connections, and what a change of one cluster has it read. */
async function manyClusters(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await Etcd.start());
  const config = { endpoints: [server.address] };
  const session = await opened(etcd, config, 0, stack);
  const { signal } = new AbortController();
  const clusters = Array.from({ length: CLUSTERS }, (_, i) => `web${i}`);
  for (const cluster of clusters) {
    for (let i = 0; i < NODES_EACH; i++) await session.register?.(cluster, up(testNode(1_000 + i)), signal);
  }
  await using bench = new Bench();
  await bench.configureFor("etcd", config, clusters);
  const before = await etcdMetrics(server);
  await using writer = Lighthouse.start("writer", bench.dir.file("config"));
  await eventually("HAProxy serves all clusters", async () => {
    using socket = await bench.connect();
    const counts = await Promise.all(clusters.map((cluster) => countServing(socket, cluster)));
    return counts.every((count) => count === NODES_EACH);
  }, { deadlineMs: 120_000 });
  const started = await etcdMetrics(server);
  const connections = connectionsOf(writer.pid, server.port);
  using socket = await bench.connect();
  const samples: { readonly [name in keyof Awaited<ReturnType<typeof etcdMetrics>>]: number }[] = [];
  for (let i = 0; i < 20; i++) {
    const earlier = await etcdMetrics(server);
    await session.register?.("web7", up(testNode(2_000 + i)), signal);
    await untilServing(socket, "web7", `web.test:${2_000 + i}`, true);
    const later = await etcdMetrics(server);
    samples.push({
      ranges: later.ranges - earlier.ranges,
      watches: later.watches - earlier.watches,
      events: later.events - earlier.events,
    });
  }
  print(`A writer of ${CLUSTERS} clusters of one etcd, ${NODES_EACH} nodes each`, [
    { what: "connections that stay open: watch, requests", value: connections, unit: "count", most: 2 },
    { what: "watches", value: started.watches - before.watches, unit: "count", most: CLUSTERS },
    { what: "range requests of the start", value: started.ranges - before.ranges, unit: "count", most: 2 * CLUSTERS },
    {
      what: "range requests of a change, of writer and registering session",
      value: quantile(samples.map(({ ranges }) => ranges), 0.5),
      unit: "count",
      most: 0,
    },
    { what: "events of a change", value: quantile(samples.map(({ events }) => events), 0.5), unit: "count", most: 1 },
  ]);
}

/** What an etcd counts. */
async function etcdMetrics(server: Etcd) {
  const text = await (await fetch(`http://${server.address}/metrics`)).text();
  const sum = (name: string) =>
    text.split("\n").filter((line) => line.startsWith(name)).reduce(
      (total, line) => total + Number(line.split(" ").at(-1)),
      0,
    );
  return {
    ranges: sum('grpc_server_handled_total{grpc_code="OK",grpc_method="Range"'),
    watches: sum("etcd_debugging_mvcc_watcher_total"),
    events: sum("etcd_debugging_mvcc_events_total"),
  };
}

/** How many TCP connections to a port of loopback a process holds open. */
export function connectionsOf(pid: number, port: number): number {
  const own = new Set<string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      own.add(Deno.readLinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // It was closed meanwhile.
    }
  }
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  return Deno.readTextFileSync(`/proc/${pid}/net/tcp`).split("\n").slice(1).map((line) => line.trim().split(/\s+/))
    .filter(([, , remote = "", state, , , , , , inode]) =>
      remote.endsWith(`:${hexPort}`) && state === "01" && own.has(`socket:[${inode}]`)
    ).length;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
