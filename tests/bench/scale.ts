import type { DiscoveryPlugin, DiscoverySession } from "../../mod.ts";
import etcd from "../../plugins/discovery/etcd/mod.ts";
import lighthouse from "../../plugins/discovery/lighthouse/mod.ts";
import { SerfRpc } from "../../plugins/discovery/serf/rpc.ts";
import zookeeper from "../../plugins/discovery/zookeeper/mod.ts";
import { RENEW_JITTER_MS } from "../../src/app/app.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { seededRandom } from "../../src/kernel/random.ts";
import { Monitor } from "../../src/reporter/monitor.ts";
import { Registrar } from "../../src/reporter/registrar.ts";
import { StoreProcess } from "../store/process.ts";
import { RecordingContext, testNode, up } from "../support/discovery.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, V8_FLAGS } from "../support/lighthouse.ts";
import { Serf } from "../support/serf.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { CountingProxy } from "./counting_proxy.ts";
import { Bench } from "./stage.ts";

/** Hosts with a process and a HAProxy of their own, and those that are apps in few processes, with a model of HAProxy. */
const REAL = Number(Deno.env.get("REAL") ?? 10);
const MORE = Number(Deno.env.get("HOSTS") ?? 200);
const PROCESSES = 4;
/** Clusters; each host consumes all, and is a node of one. */
const CLUSTERS = 10;
/** How long an idle fleet is watched. */
const IDLE_MS = 10_000;
/** How long everything that a change sets off may take to arrive. */
const SETTLE_MS = 5_000;
/** How long all hosts may take to start on two cores. */
const START_DEADLINE_MS = 600_000;
/** The default of all methods: how long a registry keeps the nodes of a host that is gone. */
const SESSION_MS = 10_000;

interface Registry {
  readonly port: number;
  readonly method: string;
  readonly file: (address: string) => Record<string, unknown>;
  readonly open: (address: string) => Promise<DiscoverySession>;
  /** What the server says of itself: requests ever, and watches that stand. */
  readonly ask: () => Promise<{ readonly requests: number; readonly watches: number }>;
}

const REGISTRIES: Readonly<Record<string, (stack: AsyncDisposableStack) => Promise<Registry>>> = {
  async zookeeper(stack) {
    const server = stack.use(await ZooKeeper.start({ tickTimeMs: 2_000, config: ["maxClientCnxns=0"] }));
    const file = (address: string) => ({ hosts: [address], path: "/lighthouse/services" });
    const ask = async () => {
      const text = await server.ask("mntr");
      const value = (name: string) => Number(new RegExp(`^${name}\\s+(\\d+)`, "m").exec(text)?.[1]);
      return { requests: value("zk_packets_received"), watches: value("zk_watch_count") };
    };
    return { port: server.port, method: "zookeeper", file, open: opener(zookeeper, file, stack), ask };
  },
  async etcd(stack) {
    const server = stack.use(await Etcd.start());
    const file = (address: string) => ({ endpoints: [address] });
    const ask = async () => {
      const text = await (await fetch(`http://${server.address}/metrics`)).text();
      return {
        requests: sumOf(text, "grpc_server_started_total"),
        watches: sumOf(text, "etcd_debugging_mvcc_watcher_total"),
      };
    };
    return { port: server.port, method: "etcd", file, open: opener(etcd, file, stack), ask };
  },
  async store(stack) {
    const dir = stack.use(new TempDir("lighthouse-bench-"));
    const port = freePort();
    const server = stack.use(new StoreProcess(["--data.d", dir.path, "--bind", `127.0.0.1:${port}`, "--bootstrap"]));
    await server.event("store.listening");
    const file = (address: string) => ({ hosts: [address], path: "/services" });
    const ask = async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return {
        requests: sumOf(text, "lighthouse_store_reads_total"),
        watches: sumOf(text, "lighthouse_store_watchers"),
      };
    };
    return { port, method: "lighthouse", file, open: opener(lighthouse, file, stack), ask };
  },
};

/** Adds up all samples of a metric. */
function sumOf(text: string, name: string): number {
  const samples = text.split("\n").filter((line) => line.startsWith(name));
  return samples.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}

function opener<Config>(
  plugin: DiscoveryPlugin<Config, never, never> | DiscoveryPlugin<Config>,
  file: (address: string) => Record<string, unknown>,
  stack: AsyncDisposableStack,
): (address: string) => Promise<DiscoverySession> {
  return async (address) => {
    const result = await plugin.config["~standard"].validate(file(address));
    if (result.issues !== undefined) throw new Error(`Cannot use the config of ${plugin.name}`);
    const context = new RecordingContext();
    stack.defer(() => context.abort());
    return stack.use(await plugin.open(result.value, context));
  };
}

/** What a fleet costs its registry, and how that is spread over time in a fleet of 1,000 hosts. */
export async function scale(): Promise<void> {
  const wanted = Deno.env.get("REGISTRIES")?.split(",");
  for (const [name, start] of Object.entries(REGISTRIES)) {
    if (wanted?.includes(name) === false) continue;
    await using fleet = await MeasuredFleet.start(name, start);
    await fleet.measure();
  }
  await gossip();
  for (const hosts of [200, 1_000]) await spread(hosts);
}

/** The members of the measured gossip, and how often their list is read. */
const MEMBERS = 20;
const LISTS = 20;

/** What a host of a gossip costs its own agent: the list of all members, after each event and each `refresh`. */
async function gossip(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const first = stack.use(await Serf.start({ name: "h0.test", tags: { web: "8000@1f3a5c" } }));
  for (let i = 1; i < MEMBERS; i++) {
    stack.use(await Serf.start({ name: `h${i}.test`, tags: { web: "8000@1f3a5c" }, join: [first] }));
  }
  await first.knows(MEMBERS);
  const proxy = stack.use(new CountingProxy(first.rpcPort));
  const address = { host: "127.0.0.1", port: Number(proxy.address.split(":")[1]) };
  const { signal } = new AbortController();
  using rpc = await SerfRpc.connect({ address, answerMs: 5_000, clock: systemClock, signal });
  const before = proxy.count;
  for (let i = 0; i < LISTS; i++) await rpc.call("members", undefined, { hasBody: true });
  const bytes = proxy.count.received - before.received;
  report(`\nserf: the list of ${MEMBERS} members from the local agent`);
  report(`  ${(bytes / LISTS / MEMBERS).toFixed(0)} bytes for each member`);
}

/** One line of the report. */
function report(line: string): void {
  // deno-lint-ignore no-console -- the report is this program's purpose.
  console.log(line);
}

/** A registry, the way to it that is counted, and all hosts. */
class MeasuredFleet implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #name: string;
  readonly #registry: Registry;
  readonly #proxy: CountingProxy;
  /** The port that the checks find open. */
  readonly #service: Deno.TcpListener;
  #real: readonly { readonly bench: Bench; readonly host: number }[] = [];
  /** The config directories of the other hosts. */
  #more: readonly string[] = [];
  #running: { lighthouse: Lighthouse[]; processes: Deno.ChildProcess[] } = { lighthouse: [], processes: [] };

  private constructor(name: string, registry: Registry) {
    [this.#name, this.#registry] = [name, registry];
    this.#proxy = this.#stack.use(new CountingProxy(registry.port));
    const service = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#service = service;
    this.#stack.defer(() => service.close());
    void (async () => {
      for await (const connection of service) connection.close();
    })().catch(() => {});
  }

  static async start(name: string, start: (stack: AsyncDisposableStack) => Promise<Registry>): Promise<MeasuredFleet> {
    const stack = new AsyncDisposableStack();
    const fleet = new MeasuredFleet(name, await start(stack));
    fleet.#stack.use(stack);
    return fleet;
  }

  async measure(): Promise<void> {
    report(
      `\n${this.#name}: ${REAL} hosts, then ${REAL + MORE}, each in one of ${CLUSTERS} clusters and consuming all`,
    );
    for (let host = 0; host < REAL; host++) {
      const bench = this.#stack.use(new Bench());
      await this.#configure(bench.dir.file("config"), host, bench.haproxy.file);
      this.#real = [...this.#real, { bench, host }];
    }
    const dir = this.#stack.use(new TempDir("lighthouse-bench-"));
    this.#more = Array.from({ length: MORE }, (_, i) => dir.file(`h${REAL + i}`));
    for (const [i, config] of this.#more.entries()) {
      const files = { config_file: `${config}.cfg`, socket_file: `${config}.sock`, pid_file: `${config}.pid` };
      await this.#configure(config, REAL + i, files);
    }
    await this.#phase(`start of ${REAL}`, () => this.#startReal(), CLUSTERS * REAL);
    await this.#idle(`${REAL} idle`);
    await this.#phase(`start of ${MORE} more`, () => this.#startMore(), CLUSTERS * (REAL + MORE));
    await this.#idle(`${REAL + MORE} idle`);
    const session = await this.#registry.open(`127.0.0.1:${this.#registry.port}`);
    const { signal } = new AbortController();
    await this.#phase("a node joins", async () => void await session.register?.("c0", up(testNode(1)), signal));
    await this.#phase("a node leaves", async () => void await session.deregister?.("c0", up(testNode(1)), signal));
    const { watches } = await this.#registry.ask();
    await this.#end("SIGTERM");
    await this.#phase(
      "restart of all",
      () => {
        this.#startReal();
        this.#startMore();
      },
      0.99 * watches,
    );
    await this.#phase("expiry of all", async () => {
      // All are cut off for longer than their sessions, and come back at once.
      this.#proxy.pause();
      await new Promise((resolve) => setTimeout(resolve, 2 * SESSION_MS));
      this.#proxy.resume();
    }, 0.99 * watches);
    await this.#phase(`expiry of ${MORE}`, async () => {
      for (const process of this.#running.processes) process.kill("SIGKILL");
      await Promise.all(this.#running.processes.map((process) => process.status));
      this.#running.processes = [];
      await new Promise((resolve) => setTimeout(resolve, SESSION_MS));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGTERM");
    await this.#stack[Symbol.asyncDispose]();
  }

  async #configure(dir: string, host: number, haproxy: Record<string, unknown>): Promise<void> {
    const write = async (path: string, contents: unknown) => {
      await Deno.mkdir(`${dir}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
      await Deno.writeTextFile(`${dir}/${path}.yaml`, JSON.stringify(contents));
    };
    const { method, file } = this.#registry;
    await write("balancers/haproxy", haproxy);
    await write(`discovery/${method}`, file(this.#proxy.address));
    for (let i = 0; i < CLUSTERS; i++) {
      await write(`clusters/c${i}`, { discovery: method, haproxy: { port: freePort(), backend: ["mode http"] } });
    }
    const { port } = this.#service.addr;
    // A check takes a worker, and costs the registry nothing: the hosts that share a process go without.
    const checks = host < REAL ? { interval: 2, tcp: { rise: 1, fall: 1 } } : {};
    await write(`services/c${host % CLUSTERS}`, { discovery: method, host: "127.0.0.1", port, checks });
  }

  #startReal(): void {
    this.#running.lighthouse = this.#real.map(({ bench, host }) =>
      Lighthouse.start("run", bench.dir.file("config"), ["--host", `h${host}.test`, "--ip", "127.0.0.1"], {
        isTold: false,
      })
    );
  }

  #startMore(): void {
    const each = Math.ceil(MORE / PROCESSES);
    this.#running.processes = Array.from({ length: PROCESSES }, (_, i) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", ...V8_FLAGS, new URL("./fleet_process.ts", import.meta.url).pathname],
          ...this.#more.slice(i * each, (i + 1) * each),
        ],
        stdin: "null",
        stdout: "null",
      }).spawn());
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const { lighthouse, processes } = this.#running;
    this.#running = { lighthouse: [], processes: [] };
    for (const process of processes) {
      try {
        process.kill(signal);
      } catch {
        // It has ended by itself.
      }
    }
    await Promise.all([...lighthouse.map((each) => each.stop()), ...processes.map((process) => process.status)]);
  }

  /** Does something, waits until the registry has so many watches and all is quiet, and reports what went by. */
  async #phase(what: string, act: () => void | Promise<void>, watches = 0): Promise<void> {
    const before = { ...this.#proxy.count, ...await this.#registry.ask() };
    const began = performance.now();
    await act();
    await eventually(`${this.#name}: all watch after the ${what}`, async () => {
      return (await this.#registry.ask()).watches >= watches;
    }, { deadlineMs: START_DEADLINE_MS, everyMs: 500 });
    // A registry has so many watches before the last host has read all nodes: then they are no more.
    let [last, tookMs] = [-1, 0];
    await eventually(`${this.#name}: all is quiet after the ${what}`, async () => {
      const { watches: now } = await this.#registry.ask();
      if (now === last) return true;
      [last, tookMs] = [now, performance.now() - began];
      return false;
    }, { deadlineMs: START_DEADLINE_MS, everyMs: SETTLE_MS });
    await this.#report(what, before, tookMs);
  }

  async #idle(what: string): Promise<void> {
    const before = { ...this.#proxy.count, ...await this.#registry.ask() };
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    await this.#report(`${what}, ${IDLE_MS / 1_000} s`, before, IDLE_MS);
  }

  async #report(
    what: string,
    before: {
      readonly sent: number;
      readonly received: number;
      readonly connections: number;
      readonly requests: number;
    },
    tookMs: number,
  ): Promise<void> {
    const after = { ...this.#proxy.count, ...await this.#registry.ask() };
    const kb = (bytes: number) => `${(bytes / 1_000).toFixed(bytes < 10_000 ? 1 : 0)} kB`;
    report(
      [
        `  ${what.padEnd(22)}`,
        `${(tookMs / 1_000).toFixed(1)} s`,
        `requests ${after.requests - before.requests}`,
        `to the registry ${kb(after.sent - before.sent)}`,
        `from it ${kb(after.received - before.received)}`,
        `connections made ${after.connections - before.connections}, open ${this.#proxy.open}`,
        `watches ${after.watches}`,
      ].join(" | "),
    );
  }
}

/** How what all hosts do after the same event is spread: the share of it in the fullest 100 ms. Simulated time. */
async function spread(hosts: number): Promise<void> {
  const renewals = await times(hosts, async (clock, i, note) => {
    const registrar = new Registrar({
      clock,
      random: seededRandom(i),
      log: SILENT,
      change: () => Promise.resolve(note()),
    });
    const node = { host: `h${i}.test`, ip: "10.0.0.1", port: 80, metadata: {} };
    registrar.apply([{ discovery: "sim", cluster: "web", node, wanted: "present" }]);
    await Promise.resolve();
    return {
      part: registrar,
      begin: () => void registrar.renew("sim", { jitterMs: RENEW_JITTER_MS, signal: new AbortController().signal }),
    };
  }, RENEW_JITTER_MS + 100);
  const starts = await times(hosts, (clock, i, note) => {
    const monitor = new Monitor({
      clock,
      random: seededRandom(i),
      log: SILENT,
      probe: () => Promise.resolve({ status: "pass" }),
      onStatus: note,
    });
    const question = "is it well?";
    const check = { id: "c", name: "tcp", rise: 1, fall: 1, timeoutMs: 500, unknownGraceMs: 0, question };
    return Promise.resolve({
      part: monitor,
      begin: () => monitor.apply([{ key: "web:80", intervalMs: 2_000, checks: [check] }]),
    });
  }, 2_100);
  report(`\n${hosts} hosts, simulated: the fullest 100 ms has`);
  report(`  ${peak(renewals)} of ${renewals.length} registrations after a lost session`);
  report(`  ${peak(starts)} of ${starts.length} registrations after a start of all, checks each 2 s`);
}

async function times(
  hosts: number,
  make: (
    clock: FakeClock,
    host: number,
    note: () => void,
  ) => Promise<{ readonly part: AsyncDisposable; readonly begin: () => void }>,
  overMs: number,
): Promise<readonly number[]> {
  const clock = new FakeClock();
  const seen: number[] = [];
  await using stack = new AsyncDisposableStack();
  const made = [];
  for (let i = 0; i < hosts; i++) made.push(await make(clock, i, () => void seen.push(clock.now())));
  for (const { part } of made) stack.use(part);
  await pass(clock, 100);
  seen.length = 0;
  for (const { begin } of made) begin();
  await pass(clock, overMs);
  return seen;
}

function peak(times: readonly number[]): number {
  return Math.max(...[...Map.groupBy(times, (at) => Math.floor(at / 100)).values()].map(({ length }) => length));
}

async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (const end = clock.now() + ms; clock.now() < end;) {
    clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
