import { freeServerId } from "../../plugins/balancers/haproxy/backend.ts";
import type { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { print, quantile, usageOf } from "./figures.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";
import { ARRIVAL_DEADLINE_MS, BareProgram, Bench, countServing } from "./stage.ts";

/** How many single changes are measured, and how many of a series, each a join and a leave. */
const CHANGES = Number(Deno.env.get("CHANGES") ?? 100), SERIES = 100;
/** Single changes are so far apart that each finds its cluster's budget full. */
const APART_MS = 100;
/** Those of a series are as far apart as the nodes of a quick deploy. */
const SERIES_APART_MS = 10;
/** After its start a writer looks once more, and may reload. */
const AT_REST_MS = 5_000;
/** The clusters beside the one that is measured, and the nodes of each. */
const BESIDE = 200, NODES_BESIDE = 10;

/** The goals, as multiples of the floor: of a single change, and of the slowest ones and a series. */
const SINGLE_MOST = 1.7, WORST_MOST = 2;

/**
 * The nodes of the cluster from the start, and the first ports of the nodes that are measured. No frontend may listen there:
 * a node that is HAProxy itself is skipped.
 */
const HOST = "node.test", FIRST_PORT = 1_000, SINGLE_PORT = 61_000, SERIES_PORT = 63_000;

/** A stage on which changes are measured. */
interface Stage {
  readonly registry: RawRegistry;
  readonly socket: RuntimeSocket;
  readonly cluster: string;
}

/** What a phase has measured. */
interface Times {
  readonly joins: readonly number[];
  readonly leaves: readonly number[];
  readonly series: readonly number[];
}

/**
 * From a znode's creation to HAProxy sending requests to it, for clusters of
 * several sizes. The floor is a program that does nothing else: see `bare_writer.ts`.
 */
export async function propagation(): Promise<void> {
  await using server = await ZooKeeper.start();
  await using registry = await RawRegistry.connect(server);
  const sizes = (Deno.env.get("SIZES") ?? "10,1000,5000,200 beside").split(",");
  for (const of of sizes) {
    const size = Number.parseInt(of, 10);
    const beside = of.endsWith("beside") ? BESIDE : 0;
    await measure({ server, registry, size: beside > 0 ? NODES_BESIDE : size, beside });
  }
}

async function measure({ server, registry, size, beside }: {
  readonly server: ZooKeeper;
  readonly registry: RawRegistry;
  readonly size: number;
  readonly beside: number;
}): Promise<void> {
  await using bench = new Bench();
  const cluster = `web${size}x${beside}`;
  await fill(registry, cluster, size);
  for (let i = 0; i < beside; i++) {
    await fill(registry, `beside${i}`, NODES_BESIDE);
    await bench.cluster(`beside${i}`);
  }
  await bench.configure({ zookeeper: server.address, path: BASE_PATH, cluster });
  const start = async () => {
    const daemon = Lighthouse.start("writer", bench.dir.file("config"));
    // All of them: a cluster that comes later takes a reload, and a connection stays with the earlier process.
    await eventually("HAProxy serves all", async () => {
      using socket = await bench.connect();
      if (await countServing(socket, cluster) !== size) return false;
      for (let i = 0; i < beside; i++) if (await countServing(socket, `beside${i}`) !== NODES_BESIDE) return false;
      return true;
    }, { deadlineMs: 120_000 });
    await pause(AT_REST_MS);
    return daemon;
  };
  const ours: Times[] = [], floors: Times[] = [];
  let usage = NaN;
  {
    await using daemon = await start();
    using socket = await bench.connect();
    ours.push(await changes({ registry, socket, cluster }, 0));
    usage = usageOf(daemon.pid).rssMb;
  }
  {
    const path = `${BASE_PATH}/${cluster}`;
    await using _bare = await BareProgram.start("bare_writer.ts", [
      server.address,
      path,
      bench.haproxy.socketFile,
      cluster,
    ]);
    using socket = await bench.connect();
    floors.push(await changes({ registry, socket, cluster }, 1));
  }
  const at = (of: readonly Times[], key: keyof Times, share: number) =>
    quantile(of.flatMap((each) => each[key]), share);
  const row = (what: string, key: keyof Times, share: number, most: number) => ({
    what,
    value: at(ours, key, share),
    unit: "ms",
    floor: at(floors, key, share),
    most: most * at(floors, key, share),
  });
  const besides = beside === 0 ? "" : ` with ${beside} clusters beside`;
  print(
    `A znode's change to HAProxy's routing, cluster of ${size}${besides}, ${CHANGES} single changes (floor: bare_writer.ts)`,
    [
      row("join, p50", "joins", 0.5, SINGLE_MOST),
      row("join, p99", "joins", 0.99, WORST_MOST),
      row("leave, p50", "leaves", 0.5, SINGLE_MOST),
      row("leave, p99", "leaves", 0.99, WORST_MOST),
      row(`${SERIES} changes ${SERIES_APART_MS} ms apart, p50`, "series", 0.5, WORST_MOST),
      row(`${SERIES} changes ${SERIES_APART_MS} ms apart, p99`, "series", 0.99, WORST_MOST),
      { what: "memory of the writer then", value: usage, unit: "MB" },
    ],
  );
}

async function fill(registry: RawRegistry, cluster: string, size: number): Promise<void> {
  await registry.makePath(`${BASE_PATH}/${cluster}`);
  await Promise.all(Array.from({ length: size }, (_, i) => registry.create(cluster, HOST, FIRST_PORT + i)));
}

/** Makes changes, and measures each until HAProxy has it. */
async function changes({ registry, socket, cluster }: Stage, phase: number): Promise<Times> {
  const host = `new${phase}.test`;
  const [joins, leaves]: [number[], number[]] = [[], []];
  const used = await idsOf(socket, cluster);
  for (const port of portsWithOwnId(host, SINGLE_PORT, CHANGES, used)) {
    await pause(APART_MS);
    joins.push(
      await timed(() => registry.create(cluster, host, port), () => isServing(socket, host, port, true)),
    );
    await pause(APART_MS);
    leaves.push(
      await timed(() => registry.remove(cluster, host, port), () => isServing(socket, host, port, false)),
    );
  }
  await pause(3_000);
  const waiting = new Map<number, number>();
  const series: number[] = [];
  const seriesPorts = portsWithOwnId(host, SERIES_PORT, SERIES, used);
  let isOver = false;
  const began = performance.now();
  const writing = (async () => {
    for (const [i, port] of seriesPorts.entries()) {
      await pause(began + i * SERIES_APART_MS - performance.now());
      waiting.set(port, performance.now());
      void registry.create(cluster, host, port);
    }
    isOver = true;
  })();
  while (!isOver || waiting.size > 0) {
    if (waiting.size === 0) await pause(1);
    const ports = [...waiting.keys()].slice(0, 50);
    const answers = ports.length === 0 ? [] : await socket.ask(ports.map((port) => queryOf(host, port)));
    for (const [index, port] of ports.entries()) {
      if (!isUp(answers[index])) continue;
      series.push(performance.now() - (waiting.get(port) ?? NaN));
      waiting.delete(port);
    }
  }
  await writing;
  for (const port of seriesPorts) await registry.remove(cluster, host, port);
  await pause(2_000);
  return { joins, leaves, series };
}

async function timed(change: () => Promise<void>, isDone: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  await change();
  while (!await isDone()) {
    if (performance.now() - began > ARRIVAL_DEADLINE_MS) {
      throw new Error(`the change has not arrived after ${ARRIVAL_DEADLINE_MS} ms`);
    }
  }
  return performance.now() - began;
}

/** Asks for the one server, not for all: that costs the same whatever the size of the cluster. */
function queryOf(host: string, port: number): string {
  return `show stat -1 4 ${idOf(host, port)}`;
}

/** The id of a server with no collision. */
function idOf(host: string, port: number): number {
  return freeServerId(`${host}:${port}`, new Set());
}

/** The ids of a backend's servers: HAProxy numbers those of its file from 1, and an id of a new one can be among them. */
async function idsOf(socket: RuntimeSocket, backend: string): Promise<Set<number>> {
  const [servers = ""] = await socket.ask([`show servers state ${backend}`]);
  return new Set(
    servers.split("\n").map((line) => line.split(" ")).filter(([, name]) => name === backend)
      .map(([, , id]) => Number(id)),
  );
}

/** Ports from the first on whose servers have an id of their own: a query by id would miss another one. */
function portsWithOwnId(host: string, first: number, count: number, used: Set<number>): readonly number[] {
  const ports: number[] = [];
  for (let port = first; ports.length < count; port++) {
    const id = idOf(host, port);
    if (used.has(id)) continue;
    used.add(id);
    ports.push(port);
  }
  return ports;
}

async function isServing(
  socket: RuntimeSocket,
  host: string,
  port: number,
  wanted: boolean,
): Promise<boolean> {
  const [answer] = await socket.ask([queryOf(host, port)]);
  return isUp(answer) === wanted;
}

function isUp(answer = ""): boolean {
  return answer.split("\n")[1]?.split(",")[17] === "no check";
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
