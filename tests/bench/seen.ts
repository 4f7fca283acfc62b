import { EventSink } from "../support/event_sink.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox } from "../support/haproxy.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { MetricSink } from "../support/metric_sink.ts";
import { StatusClient } from "../support/status_client.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { print, quantile, usageOf } from "./figures.ts";
import { BASE_PATH, RawRegistry } from "./registry.ts";
import { Bench, countServing, untilServing } from "./stage.ts";

/** Checks that run, each once a second. */
const CHECKS = 100;
/** How long the load is measured, in each of two orders. */
const LOAD_MS = 30_000;
const SCRAPE_MS = 5_000;
/** Single changes with everything on, each beside one without. */
const CHANGES = 100;
const APART_MS = 110;
const NODES = 10;
/** Starts of each. The lower quartile is compared: other work on the machine can only delay a start. */
const STARTS = 24, QUIET_SHARE = 0.25;

/** A process that is looked at by metrics, history and notifications, or by nobody. */
type Side = "on" | "off";
/** By turns: no two processes cost the same, and the second finds warm caches. */
const ORDERS: readonly (readonly Side[])[] = [["on", "off"], ["off", "on"]];

/** What to be seen costs: metrics scraped, history and notifications on, against all of it off. */
export async function seen(): Promise<void> {
  await using sink = new EventSink();
  const see = async (dir: TempDir) => {
    const hook = { type: "webhook", url: `${sink.url}/events`, events: ["*"], level: "info", group_wait: 1 };
    await dir.write("config/notifiers/hook.yaml", JSON.stringify(hook));
    await dir.write("config/lighthouse.yaml", JSON.stringify({ history_dir: dir.file("history") }));
  };
  await load(see);
  await changes(see);
  await starts(see, sink);
  await publishing();
}

type See = (dir: TempDir) => Promise<void>;

/** Two reporters with 100 checks each, at the same time on the same cores, in both orders of their starts. */
async function load(see: See): Promise<void> {
  const sums = { on: { cpuMs: 0, rssMb: 0 }, off: { cpuMs: 0, rssMb: 0 } };
  for (const order of ORDERS) {
    await using stack = new AsyncDisposableStack();
    const client = new StatusClient();
    const daemons: { readonly side: Side; readonly daemon: Lighthouse }[] = [];
    for (const side of order) daemons.push({ side, daemon: await startChecks(stack, { side, see, client }) });
    // A daemon runs for months: what its first seconds cost is no part of the figure.
    await pause(15_000);
    const scraping = setInterval(
      () => void client.ask("/metrics").then((answer) => answer.text(), () => {}),
      SCRAPE_MS,
    );
    const before = daemons.map(({ daemon }) => usageOf(daemon.pid).cpuMs);
    await pause(LOAD_MS);
    clearInterval(scraping);
    for (const [i, { side, daemon }] of daemons.entries()) {
      const { cpuMs, rssMb } = usageOf(daemon.pid);
      sums[side].cpuMs += cpuMs - (before[i] ?? 0);
      sums[side].rssMb += rssMb / ORDERS.length;
    }
  }
  const { on, off } = sums;
  const share = ({ cpuMs }: typeof on) => cpuMs / (ORDERS.length * LOAD_MS) * 100;
  print(
    `${CHECKS} http checks a second, metrics scraped every ${
      SCRAPE_MS / 1_000
    } s, history and notifications on, beside a reporter without (floor), ${ORDERS.length * LOAD_MS / 1_000} s`,
    [
      { what: "share of a core", value: share(on), unit: "%", floor: share(off) },
      { what: "more than without", value: (on.cpuMs / off.cpuMs - 1) * 100, unit: "%", most: 5 },
      { what: "memory of the whole process", value: on.rssMb, unit: "MB", floor: off.rssMb },
    ],
  );
}

async function startChecks(
  stack: AsyncDisposableStack,
  { side, see, client }: { readonly side: Side; readonly see: See; readonly client: StatusClient },
): Promise<Lighthouse> {
  const dir = stack.use(new TempDir("lighthouse-bench-"));
  let probes = 0;
  const ports = Array.from({ length: CHECKS }, () => {
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
      probes++;
      return new Response("ok");
    });
    stack.defer(() => server.shutdown());
    return server.addr.port;
  });
  const checks = { interval: 1, http: { uri: "/", rise: 1, fall: 1 } };
  await dir.write("config/services/web.yaml", JSON.stringify({ discovery: "none", ports, checks }));
  if (side === "on") await see(dir);
  const daemon = stack.use(Lighthouse.start("reporter", dir.file("config"), side === "on" ? client.flags : []));
  await eventually("all checks run", () => probes >= 5 * CHECKS, { deadlineMs: 120_000 });
  return daemon;
}

/** Two writers, each with a HAProxy of its own, watch the same cluster. */
async function changes(see: See): Promise<void> {
  await using server = await ZooKeeper.start();
  await using registry = await RawRegistry.connect(server);
  await using stack = new AsyncDisposableStack();
  const cluster = "web";
  await registry.makePath(`${BASE_PATH}/${cluster}`);
  await Promise.all(Array.from({ length: NODES }, (_, i) => registry.create(cluster, "node.test", 1_000 + i)));
  const begin = async (side: Side) => {
    const bench = stack.use(new Bench());
    await bench.configure({ zookeeper: server.address, path: BASE_PATH, cluster });
    if (side === "on") await see(bench.dir);
    const flags = side === "on" ? new StatusClient().flags : [];
    const daemon = stack.use(Lighthouse.start("writer", bench.dir.file("config"), flags));
    await eventually("HAProxy serves all", async () => {
      using socket = await bench.connect();
      return await countServing(socket, cluster) === NODES;
    }, { deadlineMs: 120_000 });
    return { daemon, socket: stack.use(await bench.connect()) };
  };
  const writers = { on: await begin("on"), off: await begin("off") };
  const times: Readonly<Record<Side, number[]>> = { on: [], off: [] };
  for (let i = 0; i < CHANGES; i++) {
    for (const side of ORDERS[i % 2] ?? []) {
      const port = 30_000 + i;
      // The other writer must not be at work at the same time: its process sleeps meanwhile.
      const other = writers[side === "on" ? "off" : "on"].daemon;
      other.kill("SIGSTOP");
      await pause(APART_MS);
      const began = performance.now();
      await registry.create(cluster, "new.test", port);
      await untilServing(writers[side].socket, cluster, `new.test:${port}`, true);
      times[side].push(performance.now() - began);
      other.kill("SIGCONT");
      await pause(APART_MS);
      await registry.remove(cluster, "new.test", port);
      for (const { socket } of Object.values(writers)) await untilServing(socket, cluster, `new.test:${port}`, false);
    }
  }
  print(
    `A znode's change to HAProxy's routing, ${CHANGES} joins by turns (floor: metrics, history and notifications off)`,
    [0.5, 0.9].flatMap((at) => {
      const [value, floor] = [quantile(times.on, at), quantile(times.off, at)];
      const name = `join, p${at * 100}`;
      return [
        { what: name, value, unit: "ms", floor },
        { what: `${name}, more than without`, value: value - floor, unit: "ms", ...at === 0.5 && { most: 0.2 } },
      ];
    }),
  );
}

/** What is on at a start: nothing, metrics and history, these and a notifier without or with something to deliver. */
const STAGES = ["off", "plain", "idle", "busy"] as const;
type StartStage = (typeof STAGES)[number];

/** From the start of a writer's process to its config being applied. */
async function starts(see: See, sink: EventSink): Promise<void> {
  await using dirs = new AsyncDisposableStack();
  const config = async (stage: StartStage) => {
    const dir = dirs.use(new TempDir("lighthouse-bench-"));
    await dir.write("config/discovery/static.yaml", "{}");
    await dir.write("config/balancers/haproxy.yaml", JSON.stringify(dirs.use(new HaproxyBox()).file));
    const nodes = [{ host: "node.test", address: "127.0.0.1", port: 1 }];
    const web = { discovery: "static", static: { nodes }, haproxy: { port: freePort() } };
    await dir.write("config/clusters/web.yaml", JSON.stringify(web));
    if (stage === "off") return dir.file("config");
    await see(dir);
    if (stage === "plain") await Deno.remove(dir.file("config/notifiers"), { recursive: true });
    // The usual events of a fleet, of which a start is none.
    const events = ["registration.*", "cluster.held", "registry.unreachable"];
    const hook = { type: "webhook", url: `${sink.url}/events`, events };
    if (stage === "idle") await dir.write("config/notifiers/hook.yaml", JSON.stringify(hook));
    return dir.file("config");
  };
  const runs = await Promise.all(STAGES.map(async (stage) => ({
    stage,
    dir: await config(stage),
    tookMs: [] as number[],
    rssMb: [] as number[],
  })));
  for (let i = 0; i < STARTS; i++) {
    for (const { stage, dir, tookMs, rssMb } of i % 2 === 0 ? runs : runs.toReversed()) {
      const began = performance.now();
      await using daemon = Lighthouse.start("writer", dir, stage === "off" ? [] : new StatusClient().flags);
      await daemon.event("config.applied");
      tookMs.push(performance.now() - began);
      await pause(2_000);
      rssMb.push(usageOf(daemon.pid).rssMb);
    }
  }
  const of = (stage: StartStage, key: "tookMs" | "rssMb") =>
    quantile(runs.find((run) => run.stage === stage)?.[key] ?? [], QUIET_SHARE);
  const rows = ([["plain", "metrics and history"], ["idle", "with a notifier"], [
    "busy",
    "with a notifier that delivers",
  ]] as const)
    .flatMap(([stage, what]) => [
      { what, value: of(stage, "tookMs"), unit: "ms", floor: of("off", "tookMs") },
      { what: `${what}, more`, value: of(stage, "tookMs") - of("off", "tookMs"), unit: "ms", most: 20 },
      {
        what: `${what}, more memory`,
        value: of(stage, "rssMb") - of("off", "rssMb"),
        unit: "MB",
        ...stage !== "busy" && { most: 5 },
      },
    ]);
  print(
    `Start of a writer to its config applied, lower quartile of ${STARTS} rounds by turns (floor: all of it off)`,
    rows,
  );
}

/** What publishers add to a reporter that is scraped: once a second, to be seen at all. */
async function publishing(): Promise<void> {
  await using statsd = MetricSink.udp();
  const dir = new TempDir("lighthouse-bench-");
  await using _dir = dir;
  await dir.write(
    "config/lighthouse.yaml",
    JSON.stringify({ publishers: { agent: { type: "statsd", address: statsd.address, interval: 1 } } }),
  );
  await dir.write(
    "config/services/web.yaml",
    JSON.stringify({ discovery: "none", ports: [1], checks: { interval: 60 } }),
  );
  await using daemon = Lighthouse.start("reporter", dir.file("config"));
  await eventually("metrics come", () => statsd.lines.length > 0, { deadlineMs: 60_000 });
  await pause(5_000);
  const [before, from] = [usageOf(daemon.pid).cpuMs, statsd.lines.length];
  await pause(LOAD_MS);
  print(`One publisher of type statsd, once a second, for ${LOAD_MS / 1_000} s`, [
    { what: "share of a core", value: (usageOf(daemon.pid).cpuMs - before) / LOAD_MS * 100, unit: "%" },
    { what: "samples a second", value: (statsd.lines.length - from) / LOAD_MS * 1_000, unit: "count" },
  ]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
