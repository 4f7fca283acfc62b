import process from "node:process";
import { Tally } from "../../src/metrics/tally.ts";
import { UNMETERED } from "../../src/metrics/meter.ts";
import { write } from "../../src/metrics/exposition.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { readSamples } from "../support/metric_samples.ts";
import { StatusClient } from "../support/status_client.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { type Figure, print, quantile, usageOf } from "./figures.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";
import { Bench, countServing, untilServing } from "./stage.ts";

/** A daemon that serves its status, and counts nothing. */
const UNCOUNTED = { preload: new URL("uncounted.ts", import.meta.url).href };
/** How often is counted to time one count. */
const COUNTS = 2_000_000;
/** Checks that run, each once a second. */
const CHECKS = 100;
/** How long the load is measured, in each of two orders. */
const LOAD_MS = 30_000;
const SCRAPE_MS = 5_000;
/** Single changes with metrics, each beside one without. */
const CHANGES = 150;
const APART_MS = 110;
/** Clusters of the scrape. */
const CLUSTERS = 200;
const NODES = 10;

/** What counting costs, by itself, in a reporter with 100 checks, on the way of a change, and in a scrape. */
export async function metrics(): Promise<void> {
  counting();
  await load();
  await changes();
  await scrape();
}

function counting(): void {
  const time = (act: (i: number) => void) => {
    for (let i = 0; i < COUNTS / 10; i++) act(i);
    // By the time on a core: what else the machine does is no part of it.
    const before = process.cpuUsage();
    for (let i = 0; i < COUNTS; i++) act(i);
    const { user, system } = process.cpuUsage(before);
    return (user + system) * 1e3 / COUNTS;
  };
  const tally = new Tally();
  const services = Array.from({ length: 100 }, (_, i) => `web:${8_000 + i}`);
  const labels = (i: number) => ({ service: services[i % 100] ?? "", check: "http", result: "pass" });
  const floor = time((i) => UNMETERED.count("lighthouse_probes_total", labels(i)));
  print("One count, of 100 series with three labels (floor: a meter that drops it)", [
    {
      what: "count",
      value: time((i) => tally.count("lighthouse_probes_total", labels(i))),
      unit: "ns",
      floor,
      most: 500,
    },
    {
      what: "observe, 15 buckets",
      value: time((i) => tally.observe("lighthouse_probe_duration_seconds", { check: "http" }, i % 7 / 100)),
      unit: "ns",
      floor,
      most: 500,
    },
  ]);
}

/**
 * Two reporters with 100 checks each, of which one counts nothing, at the same time on the same cores: and once
 * more with the other one started first, since no two processes cost the same.
 */
async function load(): Promise<void> {
  await using dir = new TempDir("lighthouse-bench-");
  let probes = 0;
  const listeners = Array.from(
    { length: CHECKS },
    () =>
      Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
        probes++;
        return new Response("ok");
      }),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  await dir.write(
    "config/services/web.yaml",
    JSON.stringify({ discovery: "none", ports, checks: { interval: 1, http: { uri: "/", rise: 1, fall: 1 } } }),
  );
  const sums = { metered: { cpuMs: 0, rssMb: 0 }, plain: { cpuMs: 0, rssMb: 0 } };
  try {
    for (const order of [["metered", "plain"], ["plain", "metered"]] as const) {
      await using stack = new AsyncDisposableStack();
      const clients = { metered: new StatusClient(), plain: new StatusClient() };
      const client = clients.metered;
      const daemons = order.map((which) => ({
        which,
        daemon: stack.use(
          Lighthouse.start("reporter", dir.file("config"), clients[which].flags, which === "plain" ? UNCOUNTED : {}),
        ),
      }));
      const from = probes;
      await eventually("all checks run", () => probes - from >= 40 * CHECKS, { deadlineMs: 120_000 });
      await eventually("the one with metrics has come up", async () => (await client.status()).upSeconds > 10, {
        deadlineMs: 120_000,
      });
      const scraping = setInterval(
        () => void client.ask("/metrics").then((answer) => answer.text(), () => {}),
        SCRAPE_MS,
      );
      const before = daemons.map(({ daemon }) => usageOf(daemon.pid).cpuMs);
      await pause(LOAD_MS);
      for (const [i, { which, daemon }] of daemons.entries()) {
        const { cpuMs, rssMb } = usageOf(daemon.pid);
        sums[which].cpuMs += cpuMs - (before[i] ?? 0);
        sums[which].rssMb += rssMb / 2;
      }
      clearInterval(scraping);
    }
  } finally {
    await Promise.all(listeners.map((listener) => listener.shutdown()));
  }
  const { metered, plain } = sums;
  const share = ({ cpuMs }: typeof plain) => cpuMs / (2 * LOAD_MS) * 100;
  print(
    `${CHECKS} http checks a second, scraped every ${
      SCRAPE_MS / 1_000
    } s, beside a reporter that counts nothing and is not scraped (floor), ${2 * LOAD_MS / 1_000} s`,
    [
      { what: "share of a core", value: share(metered), unit: "%", floor: share(plain) },
      { what: "more than without", value: (metered.cpuMs / plain.cpuMs - 1) * 100, unit: "%", most: 5 },
      { what: "memory of the whole process", value: metered.rssMb, unit: "MB", floor: plain.rssMb },
    ],
  );
}

/** Two writers, each with a HAProxy of its own, watch the same cluster: one with metrics and one without. */
async function changes(): Promise<void> {
  await using server = await ZooKeeper.start();
  await using registry = await RawRegistry.connect(server);
  await using stack = new AsyncDisposableStack();
  const cluster = "web";
  await registry.makePath(`${BASE_PATH}/${cluster}`);
  await Promise.all(Array.from({ length: NODES }, (_, i) => registry.create(cluster, "node.test", 1_000 + i)));
  const client = new StatusClient();
  const begin = async ({ flags }: StatusClient, options: { readonly preload?: string }) => {
    const bench = stack.use(new Bench());
    await bench.configure({ zookeeper: server.address, path: BASE_PATH, cluster });
    const daemon = stack.use(Lighthouse.start("writer", bench.dir.file("config"), flags, options));
    await eventually("HAProxy serves all", async () => {
      using socket = await bench.connect();
      return await countServing(socket, cluster) === NODES;
    });
    return { daemon, socket: stack.use(await bench.connect()) };
  };
  const writers = { metered: await begin(client, {}), plain: await begin(new StatusClient(), UNCOUNTED) };
  const times = { metered: [] as number[], plain: [] as number[] };
  for (let i = 0; i < CHANGES; i++) {
    for (const which of i % 2 === 0 ? ["metered", "plain"] as const : ["plain", "metered"] as const) {
      const port = 61_000 + i;
      // The other writer must not be at work at the same time: its process sleeps meanwhile.
      const other = writers[which === "metered" ? "plain" : "metered"].daemon;
      other.kill("SIGSTOP");
      await pause(APART_MS);
      const began = performance.now();
      await registry.create(cluster, "new.test", port);
      await untilServing(writers[which].socket, cluster, `new.test:${port}`, true);
      times[which].push(performance.now() - began);
      other.kill("SIGCONT");
      await pause(APART_MS);
      await registry.remove(cluster, "new.test", port);
      for (const { socket } of Object.values(writers)) await untilServing(socket, cluster, `new.test:${port}`, false);
    }
  }
  const figure = (share: number): Figure[] => {
    const [value, floor] = [quantile(times.metered, share), quantile(times.plain, share)];
    const name = `join, p${share * 100}`;
    return [
      { what: name, value, unit: "ms", floor },
      { what: `${name}, more than without`, value: value - floor, unit: "ms", ...share === 0.5 && { most: 0.2 } },
    ];
  };
  print(`A znode's change to HAProxy's routing, ${CHANGES} joins by turns (floor: a writer that counts nothing)`, [
    ...figure(0.5),
    ...figure(0.9),
  ]);
  writers.plain.daemon.kill("SIGSTOP");
  const before = await propagated(client);
  const seen: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    for (const isThere of [true, false]) {
      await pause(APART_MS);
      const began = performance.now();
      if (isThere) await registry.create(cluster, "new.test", 62_000 + i);
      else await registry.remove(cluster, "new.test", 62_000 + i);
      await untilServing(writers.metered.socket, cluster, `new.test:${62_000 + i}`, isThere);
      seen.push(performance.now() - began);
    }
  }
  await pause(APART_MS);
  const after = await propagated(client);
  writers.plain.daemon.kill("SIGCONT");
  print(
    "What the histogram says, beside the same changes seen from outside (floor): the registry's part is not in it",
    [
      {
        what: `lighthouse_propagation_seconds, mean of ${after.count - before.count} changes`,
        value: (after.sum - before.sum) / (after.count - before.count) * 1_000,
        unit: "ms",
        floor: seen.reduce((sum, each) => sum + each, 0) / seen.length,
      },
    ],
  );
}

/** The sum and the count of the propagation histogram. */
async function propagated(client: StatusClient): Promise<{ readonly sum: number; readonly count: number }> {
  const samples = Object.entries(readSamples(await (await client.ask("/metrics")).text()));
  const of = (suffix: string) =>
    samples.find(([name]) => name.startsWith(`lighthouse_propagation_seconds_${suffix}{`))?.[1] ?? 0;
  return { sum: of("sum"), count: of("count") };
}

/** A scrape of a writer with 200 clusters, each with all of its series. */
async function scrape(): Promise<void> {
  await using bench = new Bench();
  await bench.dir.write("config/balancers/haproxy.yaml", JSON.stringify(bench.haproxy.file));
  await bench.dir.write("config/discovery/file.yaml", JSON.stringify({ path: bench.dir.file("registry"), ttl: 3_600 }));
  const tally = new Tally();
  for (let i = 0; i < CLUSTERS; i++) {
    await bench.dir.write(`config/clusters/c${i}.yaml`, JSON.stringify({ discovery: "file", haproxy: {} }));
    for (let port = 1; port <= NODES; port++) {
      const node = { host: "node.test", ip: "127.0.0.1", port, metadata: {} };
      await bench.dir.write(`registry/c${i}/node.test:${port}`, JSON.stringify(node));
    }
    tally.observe("lighthouse_propagation_seconds", { balancer: "haproxy", cluster: `c${i}` }, 0.01);
    tally.count("lighthouse_snapshots_total", { cluster: `c${i}`, result: "changed" });
  }
  const client = new StatusClient();
  await using daemon = Lighthouse.start("writer", bench.dir.file("config"), client.flags);
  await eventually("all clusters are known", async () => {
    const text = await (await client.ask("/metrics")).text();
    return text.split("\n").filter((line) => /^lighthouse_propagation_seconds_count/.test(line)).length === CLUSTERS;
  }, { deadlineMs: 120_000 });
  const times = async (path: string) => {
    const took: number[] = [];
    for (let i = 0; i < 50; i++) {
      const began = performance.now();
      await (await client.ask(path)).text();
      took.push(performance.now() - began);
    }
    return took;
  };
  await times("/metrics");
  const before = usageOf(daemon.pid).cpuMs;
  const took = await times("/metrics");
  const cpuMs = (usageOf(daemon.pid).cpuMs - before) / took.length;
  const status = await times("/status");
  const text = await (await client.ask("/metrics")).text();
  const families = tally.collect();
  const began = performance.now();
  for (let i = 0; i < 100; i++) write(families, "prometheus");
  const writeMs = (performance.now() - began) / 100;
  print(`A scrape of a writer with ${CLUSTERS} clusters of ${NODES} nodes (floor: /status of the same)`, [
    { what: "answered, p50", value: quantile(took, 0.5), unit: "ms", floor: quantile(status, 0.5) },
    { what: "CPU of the process", value: cpuMs, unit: "ms" },
    { what: "written alone, the series of counters and histograms", value: writeMs, unit: "ms" },
    { what: "lines", value: text.split("\n").length, unit: "count" },
    { what: "size", value: text.length / 1_000, unit: "kB" },
  ]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
