import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { wish } from "../../src/app/derive.ts";
import type { AcceptedBalancer, AcceptedCluster } from "../../src/app/accept.ts";
import { Writer } from "../../src/balance/writer.ts";
import { Monitor, type MonitoredPort } from "../../src/health/monitor.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { type Random, seededRandom } from "../../src/kernel/random.ts";
import { delay } from "../../src/kernel/delay.ts";
import type { Node } from "../../src/model/node.ts";
import { type Operation, Registrar, type Registration } from "../../src/registry/registrar.ts";
import { Store } from "../../src/registry/store.ts";
import { haproxyCluster, haproxyConfig } from "../support/haproxy.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import { CLUSTER_DEFAULTS } from "../../src/model/cluster.ts";

const CLUSTERS = ["api", "web"] as const;
const PORTS = [8001, 8002, 8003] as const;
const HOST = { fqdn: "sim.test", ip: "10.0.0.1" };

/** What can befall the world. */
const FAULTS = [
  "health flips",
  "health flips",
  "health flips",
  "registry goes away",
  "registry comes back",
  "session expires",
  "HAProxy is killed",
  "a hand takes a server out",
  "commands get lost",
  "time passes",
  "time passes",
] as const;

/**
 * Reporter, registry, writer and HAProxy in one process on a clock of its own:
 * the real monitor, registrar, store and writer; a registry in memory, a model
 * of HAProxy, and faults drawn from a seed.
 */
export class World implements AsyncDisposable {
  /** What happened, for whoever reads a failure. */
  readonly story: string[] = [];
  readonly #clock = new FakeClock();
  readonly #random: Random;
  readonly #haproxy = new HaproxyModel();
  readonly #store = new Store();
  readonly #stop = new AbortController();
  readonly #monitor: Monitor;
  readonly #registrar: Registrar;
  readonly #writer: Writer<unknown, unknown, unknown>;
  readonly #writing: Promise<void>;
  readonly #healthy = new Set<string>();
  /** What the registry holds: ports by cluster. */
  readonly #registry = new Map<string, Set<number>>(CLUSTERS.map((name) => [name, new Set()]));
  /** What the registry was last heard to hold. */
  readonly #heard = new Map<string, readonly number[]>();
  readonly #balancer: AcceptedBalancer;
  readonly #clusters: ReadonlyMap<string, AcceptedCluster>;
  readonly #forgetful: boolean;
  #reachable = true;
  #losesCommands = false;

  /** `forgetful`: a world with a bug, which takes an outage of the registry for an empty answer. */
  constructor(seed: number, { forgetful = false }: { readonly forgetful?: boolean } = {}) {
    this.#forgetful = forgetful;
    this.#random = seededRandom(seed);
    const [clock, random] = [this.#clock, this.#random];
    const config = haproxyConfig({ config_file: "/sim/cfg", socket_file: "/sim/sock", pid_file: "/sim/pid" });
    const file = { name: "haproxy", type: "haproxy", config: {} };
    this.#balancer = { file, plugin: haproxy as never, config };
    this.#clusters = new Map(CLUSTERS.map((name) => {
      const cluster = { ...CLUSTER_DEFAULTS, name, discovery: "sim", balancers: new Map() };
      return [name, { cluster, sections: new Map([["haproxy", haproxyCluster({ backend: ["mode http"] })]]) }];
    }));
    this.#haproxy.fault = (step) => {
      if (!this.#losesCommands || step.do !== "command") return undefined;
      return { kind: "unreachable", message: "the simulation lost it" };
    };
    this.#writer = new Writer({ balancer: haproxy as never, effects: this.#haproxy, clock, random, log: SILENT });
    this.#writing = this.#writer.run(this.#stop.signal);
    this.#registrar = new Registrar({
      clock,
      random,
      log: SILENT,
      change: (operation, registration, signal) => this.#change(operation, registration, signal),
    });
    this.#monitor = new Monitor({
      clock,
      random,
      log: SILENT,
      probe: (id) =>
        Promise.resolve(
          this.#healthy.has(id) ? { status: "pass" } : { status: "fail", reason: "the simulation says so" },
        ),
      onStatus: () => this.#register(),
    });
    for (const cluster of CLUSTERS) for (const port of PORTS) this.#healthy.add(`${cluster}:${port}`);
    this.#monitor.apply(CLUSTERS.flatMap((cluster) =>
      PORTS.map((port): MonitoredPort => ({
        key: `${cluster}:${port}`,
        intervalMs: 1_000,
        checks: [{ id: `${cluster}:${port}`, name: "sim", rise: 2, fall: 2, timeoutMs: 500, question: "is it well?" }],
      }))
    ));
    this.#tell();
  }

  /** Lets one thing befall the world, and some time pass. */
  async step(): Promise<void> {
    const fault = FAULTS[Math.floor(this.#random() * FAULTS.length)] ?? "time passes";
    this.story.push(`${this.#clock.now()} ms: ${fault}`);
    const cluster = this.#pick(CLUSTERS);
    const port = this.#pick(PORTS);
    switch (fault) {
      case "health flips":
        if (!this.#healthy.delete(`${cluster}:${port}`)) this.#healthy.add(`${cluster}:${port}`);
        break;
      case "registry goes away":
        this.#reachable = false;
        // The bug that the canary has: out of reach is taken for empty.
        if (this.#forgetful) this.#hear(cluster, []);
        break;
      case "registry comes back":
        this.#reachable = true;
        this.#tell();
        break;
      case "session expires":
        if (!this.#reachable) break;
        for (const ports of this.#registry.values()) ports.clear();
        this.#tell();
        void this.#registrar.renew("sim", { jitterMs: 500, signal: this.#stop.signal });
        break;
      case "HAProxy is killed":
        this.#haproxy.kill();
        break;
      case "a hand takes a server out":
        if (this.#haproxy.process !== undefined) {
          this.#haproxy.command(`set server ${cluster}/sim.test:${port} state maint`);
        }
        break;
      case "commands get lost":
        this.#losesCommands = !this.#losesCommands;
        break;
      case "time passes":
        break;
    }
    await this.pass(Math.floor(this.#random() * 4_000));
  }

  /** Ends all faults. */
  heal(): void {
    this.story.push(`${this.#clock.now()} ms: all is well`);
    this.#reachable = true;
    this.#losesCommands = false;
    this.#tell();
  }

  /** Lets time pass, in small steps. */
  async pass(ms: number): Promise<void> {
    const end = this.#clock.now() + ms;
    while (this.#clock.now() < end) {
      this.#clock.advance(Math.min(100, end - this.#clock.now()));
      // The model and the registry answer without a clock, so promises are all there is to wait for.
      for (let turn = 0; turn < 100; turn++) await undefined;
    }
  }

  /** What is wrong with the world while faults may be going on; `undefined` if nothing is. */
  fault(): string | undefined {
    for (const [cluster, ports] of this.#heard) {
      const known = this.#store.topology.clusters.get(cluster)?.map((node) => node.port) ?? [];
      if (!this.#reachable && JSON.stringify(known) !== JSON.stringify(ports)) {
        return `the registry is out of reach, yet ${cluster} went from ${ports} to ${known}`;
      }
    }
    return undefined;
  }

  /** What is wrong with the world once it has been quiet; `undefined` if nothing is. */
  unsettled(): string | undefined {
    for (const cluster of CLUSTERS) {
      const wanted = PORTS.filter((port) => this.#healthy.has(`${cluster}:${port}`));
      const registered = [...this.#registry.get(cluster) ?? []].toSorted();
      if (JSON.stringify(registered) !== JSON.stringify(wanted)) {
        return `${cluster}: ${wanted} are well, but ${registered} are registered`;
      }
      const served = this.#haproxy.serving(cluster).map((server) => Number(server.slice(server.lastIndexOf(":") + 1)));
      if (JSON.stringify(served.toSorted()) !== JSON.stringify(wanted)) {
        return `${cluster}: ${wanted} are well, but HAProxy serves ${served}`;
      }
    }
    const { file } = this.#haproxy;
    for (const cluster of CLUSTERS) {
      const inFile = haproxy.adopt(file ?? "", this.#balancer.config as never).get(cluster)?.map(({ port }) => port) ??
        [];
      const wanted = PORTS.filter((port) => this.#healthy.has(`${cluster}:${port}`));
      if (JSON.stringify(inFile.toSorted()) !== JSON.stringify(wanted)) {
        return `${cluster}: ${wanted} are served, but the file has ${inFile}`;
      }
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#writing, this.#monitor[Symbol.asyncDispose](), this.#registrar[Symbol.asyncDispose]()]);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  #register(): void {
    const { statuses } = this.#monitor;
    this.#registrar.apply(CLUSTERS.flatMap((cluster) =>
      PORTS.flatMap((port): Registration[] => {
        const status = statuses.get(`${cluster}:${port}`) ?? "unknown";
        if (status === "unknown") return [];
        return [{ discovery: "sim", cluster, node: nodeOf(port), wanted: status === "up" ? "present" : "absent" }];
      })
    ));
  }

  async #change(
    operation: Operation,
    { cluster, node }: Registration,
    signal: AbortSignal,
  ): Promise<void> {
    await delay(Math.floor(this.#random() * 300), { clock: this.#clock, signal });
    if (!this.#reachable) throw new Error("The registry is out of reach");
    const ports = this.#registry.get(cluster);
    if (operation === "register") ports?.add(node.port);
    else ports?.delete(node.port);
    this.#tell();
  }

  /** Tells the writer's half what the registry holds, a little later. */
  #tell(): void {
    for (const cluster of CLUSTERS) {
      this.#clock.after(Math.floor(this.#random() * 50), () => {
        if (this.#reachable) this.#hear(cluster, [...this.#registry.get(cluster) ?? []].toSorted());
      });
    }
  }

  #hear(cluster: string, ports: readonly number[]): void {
    if (this.#reachable) this.#heard.set(cluster, ports);
    if (!this.#store.replace({ cluster, nodes: ports.map(nodeOf) })) return;
    const { clusters } = this.#store.topology;
    this.#writer.put(wish("haproxy", this.#balancer, { clusters: this.#clusters }, clusters, HOST));
  }
}

function nodeOf(port: number): Node {
  return { host: HOST.fqdn, ip: HOST.ip, port, metadata: {} };
}
