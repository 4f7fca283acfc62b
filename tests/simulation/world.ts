import { HEARTBEAT_OPTIONS } from "../../src/supervisor/plugin_host.ts";
import type { BalancerEffects, ProgramVersion } from "../../src/balance/effects.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { type Random, seededRandom } from "../../src/kernel/random.ts";
import { nodeName } from "../../src/model/node.ts";
import type { Seen } from "../../src/plugin/contract.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import type { Bug } from "./bugs.ts";
import { type Fault, FAULTS } from "./faults.ts";
import { describeDifference, Invariants, membersOfFile, membersOfProcess } from "./invariants.ts";
import { GUARDED, type SimDesired } from "./sim_config.ts";
import { SimHost } from "./sim_host.ts";
import { SimRegistry } from "./sim_registry.ts";
import { SESSION_MS, type SimHostWorld, type WorkerFaults } from "./sim_threads.ts";

/** The names of the services, and of the clusters that they form. */
const SERVICES: ReadonlyMap<string, readonly number[]> = new Map([["api", [8001, 8002]], [GUARDED, [8101, 8102]], [
  "web",
  [8201],
]]);
const CLUSTERS = [...SERVICES.keys()];
/** The host whose program is writer and reporter, and the one with a reporter alone. */
const HOSTS = ["host-a", "host-b"] as const;
/** Each port of each service, by host: its name in the registry, and in the story of its health. */
const PLACES = new Map(HOSTS.map((name) => [
  name,
  [...SERVICES].flatMap(([cluster, ports]) =>
    ports.map((port) => ({
      cluster,
      key: `${cluster}/${nodeName({ host: `${name}.sim`, port })}`,
      id: `${name} ${cluster}:${port}`,
    }))
  ),
]));
/** The HAProxy versions of a world: one by its seed, and in this order if it is upgraded. */
const VERSIONS: readonly ProgramVersion[] = [[2, 6, 12], [2, 8, 0], [3, 0, 11], [3, 2, 26], [3, 4, 7]];
/** The length of a tick. */
const TICK_MS = 10;
/** The longest duration of a fault. */
const FAULT_MS = 9_000;
/** How often a rejected resume is tried again: there was no pause, or no config. */
const RESUMES_MAX = 200;
/** A lie ends before it can be confirmed by a second read. */
const LIE_MS = 1_200;

const NO_FAULTS: WorkerFaults = {
  lateMs: 0,
  lost: 0,
  doubled: 0,
  missedEvents: 0,
  silent: false,
  blind: undefined,
  unloadable: false,
};

interface HostState {
  readonly faults: WorkerFaults;
  /** The number of faults that make the registry unreachable. */
  partings: number;
  /** When it last suffered a fault that its registrations may suffer from. */
  troubledAt: number;
  /** When its checks last suffered a fault, which no registration may suffer from. */
  blindedAt: number;
  /** Whether its program runs. */
  isUp: boolean;
}

export interface WorldOptions {
  /** A bug to plant. */
  readonly bug?: Bug | undefined;
}

/**
 * Two hosts with the whole program except its threads, a registry, and a model
 * of HAProxy, on one clock; and their faults, drawn from a seed. Everything that
 * happens is reported to {@linkcode Invariants}.
 */
export class World implements AsyncDisposable {
  /** The log of events, for the reader of a failure. */
  readonly story: string[] = [];
  readonly registry: SimRegistry = new SimRegistry();
  readonly haproxy: HaproxyModel = new HaproxyModel();
  readonly hostNames: readonly string[] = HOSTS;
  readonly #clock = new FakeClock();
  readonly #random: Random;
  /** Faults have a random source of their own, so that a change of the program leaves the story unchanged. */
  readonly #fate: Random;
  readonly #states = new Map<string, HostState>();
  readonly #hosts = new Map<string, SimHost>();
  readonly #invariants: Invariants;
  readonly #unhealthy = new Set<string>();
  /** Since when each node is to be in the registry, with no obstacle. */
  readonly #wantedSince = new Map<string, number>();
  /** Since when each service has been healthy, with no obstacle to its registration except checks that cannot be made. */
  readonly #wellSince = new Map<string, number>();
  readonly #deregistersOnFailure: boolean;
  readonly #faults: readonly Fault[];
  readonly #ends = new Set<() => void>();
  #isPaused = false;
  #isOver = false;
  #resumes = 0;

  constructor(seed: number, { bug }: WorldOptions = {}) {
    this.haproxy.now = () => this.#clock.now();
    this.#deregistersOnFailure = bug?.deregistersOnFailure === true;
    this.haproxy.programVersion = VERSIONS[seed % VERSIONS.length] as ProgramVersion;
    this.#random = seededRandom(seed);
    this.#fate = seededRandom(seed ^ 0x5eed);
    const kinds = new Set(FAULTS.map(({ kind }) => kind).filter((kind) => kind === "health" || this.chance(0.45)));
    this.#faults = FAULTS.filter(({ kind }) => kinds.has(kind));
    this.story.push(`${[...kinds].join(", ")} are at stake, with HAProxy ${this.haproxy.programVersion.join(".")}`);
    this.#invariants = new Invariants({
      now: () => this.#clock.now(),
      model: this.haproxy,
      balancerMayFail: kinds.has("balancer") || kinds.has("process") || kinds.has("operator"),
      workersMayFail: kinds.has("workers") || kinds.has("checks") || kinds.has("process"),
      well: () => this.#wellSince,
      clusters: () => this.#host(HOSTS[0]).desired.clusters,
      wanted: () => this.#wantedSince,
      isRegistered: (key) => this.registry.has(key),
    });
    for (const name of HOSTS) {
      const state: HostState = { faults: { ...NO_FAULTS }, partings: 0, troubledAt: 0, blindedAt: 0, isUp: true };
      this.#states.set(name, state);
      const isWriter = name === HOSTS[0];
      const desired = {
        clusters: new Set(isWriter ? CLUSTERS : []),
        services: SERVICES,
        structure: 1,
        discovery: 1,
        metadata: 1,
      };
      this.#hosts.set(
        name,
        new SimHost({
          role: isWriter ? "run" : "reporter",
          world: this.#hostWorld(name, state, bug),
          desired,
          effects: isWriter ? this.#watched(bug?.looksOnce === true) : undefined,
          plugin: bug?.plugin,
          decide: bug?.decide,
          unknownGraceMs: bug?.unknownGraceMs,
          readFile: (path) => path === "/sim/cfg" ? this.haproxy.file : undefined,
        }),
      );
    }
  }

  /** The first broken promise; `undefined` if there is none. */
  get fault(): string | undefined {
    return this.#invariants.fault;
  }

  /** Starts one fault, and lets some time pass. */
  async step(): Promise<void> {
    if (this.chance(0.8)) {
      // Members come and go all the time, whatever other faults there are.
      const fault = this.pick(this.chance(0.25) ? this.#faults.filter(({ kind }) => kind === "health") : this.#faults);
      this.story.push(`${Math.round(this.#clock.now())} ms: ${fault.name}`);
      const end = fault.begin(this);
      if (end) this.#endWithin(FAULT_MS * this.#fate(), fault.name, end);
    }
    await this.pass(this.chance(0.3) ? 50 : 4_000 * this.#fate());
  }

  /** Ends all faults. */
  heal(): void {
    this.story.push(`${Math.round(this.#clock.now())} ms: all faults have ended`);
    for (const end of [...this.#ends]) end();
  }

  /** Lets time pass, in ticks; everything that needs no time happens after each. Stops at a broken promise. */
  async pass(ms: number): Promise<void> {
    const end = this.#clock.now() + ms;
    await settle();
    while (this.#clock.now() < end && this.fault === undefined) {
      const next = Math.max(this.#clock.now() + TICK_MS, Math.ceil(this.#clock.nextAt / TICK_MS) * TICK_MS);
      this.#clock.advance(Math.min(next, end) - this.#clock.now());
      await settle();
      this.#noteWanted();
      this.#invariants.onTick();
    }
  }

  /** What is wrong once the world has been quiet for long; `undefined` if nothing is. */
  unsettled(): string | undefined {
    for (const cluster of CLUSTERS) {
      const wanted = this.#wantedIn(cluster);
      const registered = new Set(this.registry.nodes(cluster).map(nodeName));
      if (!isSame(registered, wanted)) {
        return `${cluster}: ${[...wanted]} are well, but ${[...registered]} are registered`;
      }
      if (!this.#host(HOSTS[0]).desired.clusters.has(cluster)) continue;
      const served = membersOfProcess(this.haproxy, cluster);
      const ready = new Set(
        this.registry.nodes(cluster).filter(({ weight, state }) => weight !== 0 && state !== "drain").map(nodeName),
      );
      if (!isSame(served, ready)) {
        return `${cluster}: ${[...ready]} are healthy and take requests, but HAProxy serves ${[...served]}`;
      }
      const unlike = this.registry.nodes(cluster).find(({ weight = 1, ...node }) =>
        this.haproxy.server(`${cluster}/${nodeName(node)}`).weight !== weight
      );
      if (unlike !== undefined) return `${cluster}/${nodeName(unlike)} has another weight than its node`;
      const inFile = membersOfFile(this.haproxy.file, cluster);
      if (!isSame(inFile, wanted)) return `${cluster}: ${[...wanted]} are served, but the file has ${[...inFile]}`;
    }
    const { process } = this.haproxy;
    if (process === undefined) return "HAProxy does not run";
    const closed = [...process.frontends].filter(([, state]) => state !== "OPEN").map(([name]) => name);
    return closed.length > 0 ? `frontends are closed: ${closed.join(", ")}` : describeDifference(this.haproxy);
  }

  /** The final state of the world, to compare two runs of one seed. */
  fingerprint(): string {
    const steps = this.haproxy.steps.map((step) => step.do === "command" ? step.command : step.do);
    return JSON.stringify([this.story, steps, this.haproxy.file, this.#clock.now()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    this.#isOver = true;
    for (const host of this.#hosts.values()) host.stop();
    let isOver = false;
    const ended = Promise.all([...this.#hosts.values()].map((host) => host.ended())).finally(() => isOver = true);
    // What it waits for may need time, which only passes here.
    while (!isOver) {
      this.#clock.advance(100);
      await settle();
    }
    await ended;
  }

  // The parts of faults.

  /** Draws an event of this probability. */
  chance(probability: number): boolean {
    return this.#fate() < probability;
  }

  /** Draws an element. */
  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#fate() * from.length)] as T;
  }

  /** Draws a cluster. */
  pickCluster(): string {
    return this.pick(CLUSTERS);
  }

  /** Lets a service's port go down or come up. */
  flipHealth(): void {
    const service = this.pick(CLUSTERS);
    const id = `${this.pick(HOSTS)} ${service}:${this.pick(SERVICES.get(service) ?? [])}`;
    if (!this.#unhealthy.delete(id)) this.#unhealthy.add(id);
  }

  /** Makes the registry unreachable from hosts; returns what ends that. */
  part(hosts: readonly string[]): () => void {
    const change = (by: number) => {
      for (const name of hosts) {
        this.#state(name).partings += by;
        this.#trouble(name);
        this.#host(name).threads.noticeReach();
      }
    };
    change(1);
    return () => change(-1);
  }

  /** Ends the sessions of hosts. */
  expire(hosts: readonly string[]): void {
    for (const name of hosts) {
      this.#trouble(name);
      this.#host(name).threads.expire();
    }
  }

  /** Has the registry lie briefly. */
  lie(lie: NonNullable<SimRegistry["lie"]>): void {
    const { registry } = this;
    registry.lie = lie;
    for (const cluster of CLUSTERS) registry.tell(cluster);
    this.#endWithin(LIE_MS, "a lie", () => {
      if (registry.lie !== lie) return;
      registry.lie = undefined;
      for (const cluster of CLUSTERS) registry.tell(cluster);
    });
  }

  /** Has the registry leave out most of a guarded cluster briefly. */
  lieOfGuarded(): void {
    this.lie((cluster, nodes) => cluster === GUARDED ? nodes.slice(0, Math.floor(nodes.length / 4)) : undefined);
  }

  /** Adds faults to the workers of a host; returns what ends them. */
  spoil(faults: Partial<WorkerFaults>): () => void {
    const name = this.pick(HOSTS);
    const { faults: now } = this.#state(name);
    Object.assign(now, faults);
    return () => {
      for (const key of Object.keys(faults)) Object.assign(now, { [key]: NO_FAULTS[key as keyof WorkerFaults] });
      if ("blind" in faults || "unloadable" in faults) this.#state(name).blindedAt = this.#clock.now();
      else this.#trouble(name);
      // A ping that was swallowed counts as missed only now: the worker may end for it.
      if ("silent" in faults || "lost" in faults) {
        this.#clock.after(HEARTBEAT_OPTIONS.everyMs, () => this.#trouble(name));
      }
    };
  }

  /** Crashes workers of a host. */
  crash(name: string, kind: "check" | "discovery"): void {
    if (kind === "check") this.#state(name).blindedAt = this.#clock.now();
    else this.#trouble(name);
    this.#host(name).threads.crash(kind);
  }

  /** Changes a server over the socket, as an operator may. */
  byHand(verb: string, what: string): void {
    const { process } = this.haproxy;
    const cluster = this.pick(CLUSTERS);
    const servers = [...process?.backends.get(cluster)?.servers.keys() ?? []];
    if (servers.length > 0) this.haproxy.command(`${verb} ${cluster}/${this.pick(servers)} ${what}`);
  }

  /** Installs the next version of HAProxy. */
  upgradeHaproxy(): void {
    const at = VERSIONS.indexOf(this.haproxy.programVersion);
    this.haproxy.programVersion = VERSIONS[at + 1] ?? this.haproxy.programVersion;
  }

  /** Closes a frontend over the socket, with or without the possibility to open it again. */
  closeFrontend(): void {
    const frontends = [...this.haproxy.process?.frontends.keys() ?? []];
    if (frontends.length > 0) {
      this.haproxy.command(`${this.pick(["disable", "shutdown"])} frontend ${this.pick(frontends)}`);
    }
  }

  /** Keeps a client connected to a server; returns what ends that. */
  occupy(): (() => void) | void {
    const servers = [...this.haproxy.process?.backends.get(this.pick(CLUSTERS))?.servers.values() ?? []];
    if (servers.length === 0) return;
    const server = this.pick(servers);
    server.busy = true;
    return () => server.busy = false;
  }

  /** Has an operator pause Lighthouse; returns what resumes it. */
  pause(): (() => void) | void {
    const name = HOSTS[0];
    if (!this.#state(name).isUp || this.#isPaused) return;
    this.#isPaused = true;
    const paused = this.#host(name).pause(true);
    void paused.then((isDone) => {
      if (isDone && this.#isPaused) this.#invariants.onPause();
    });
    return () => {
      this.#isPaused = false;
      this.#invariants.onResume();
      void paused.then(() => this.#resume());
    };
  }

  /** Ends a pause; a program that is down is asked when it is up. */
  #resume(): void {
    const name = HOSTS[0];
    const again = () => void this.#clock.after(TICK_MS, () => this.#resume());
    if (this.#isPaused || this.#isOver) return;
    if (!this.#state(name).isUp || this.#host(name).isOver) return again();
    // A command given to a program that ended at once may not have been persisted.
    void this.#host(name).pause(false).then((isDone) => {
      if (!isDone && ++this.#resumes < RESUMES_MAX) again();
      else this.#resumes = 0;
    });
  }

  /** Adds a cluster to the writer's config, or removes one. */
  toggleCluster(): void {
    const host = this.#host(HOSTS[0]);
    const cluster = this.pick(CLUSTERS);
    host.configure({ ...host.desired, clusters: host.desired.clusters.symmetricDifference(new Set([cluster])) });
  }

  /** Adds a service to a host's config, or removes one. */
  toggleService(): void {
    const name = this.pick(HOSTS);
    const host = this.#host(name);
    const service = this.pick(CLUSTERS);
    const services = new Map(host.desired.services);
    if (!services.delete(service)) services.set(service, SERVICES.get(service) ?? []);
    host.configure({ ...host.desired, services });
  }

  /** Gives a node another weight or state in its registry. */
  editShare(): void {
    const cluster = this.pickCluster();
    const nodes = this.registry.nodes(cluster);
    if (nodes.length === 0) return;
    const key = `${cluster}/${nodeName(this.pick(nodes))}`;
    const share = this.pick(
      [{}, { weight: 3 }, { weight: 0 }, { state: "drain" }, { weight: 5, state: "drain" }] as const,
    );
    this.registry.shares.set(key, share);
    this.registry.tell(cluster);
  }

  /** Edits a host's config. */
  edit(key: "structure" | "discovery" | "metadata"): void {
    const name = this.pick(HOSTS);
    const host = this.#host(name);
    // A new connection registers everything again before the old one is closed.
    if (key === "discovery") this.#trouble(name);
    host.configure({ ...host.desired, [key]: host.desired[key] + 1 });
  }

  /** Saves a config of which one part cannot be used yet, so that it keeps its last good value; later all of it. */
  editHalf(): () => void {
    const host = this.#host(this.pick(HOSTS));
    const whole: SimDesired = {
      ...host.desired,
      structure: host.desired.structure + 1,
      metadata: host.desired.metadata + 1,
    };
    host.configure({ ...whole, structure: host.desired.structure });
    return () => host.configure({ ...host.desired, structure: Math.max(host.desired.structure, whole.structure) });
  }

  /** Ends the program of a host; returns what starts it again. */
  restart(how: "stop" | "kill" | "fail"): (() => void) | void {
    const name = this.pick(HOSTS);
    const state = this.#state(name);
    if (!state.isUp) return;
    // A recent fault may still remove nodes of an earlier session.
    const isCalm = state.partings === 0 && this.#clock.now() - state.troubledAt > 2 * SESSION_MS;
    const registered = how === "fail" && isCalm ? this.#registeredOf(name) : [];
    state.isUp = false;
    this.#trouble(name);
    const { troubledAt } = state;
    this.#host(name)[how === "fail" && this.#deregistersOnFailure ? "stop" : how]();
    const start = () => {
      // Two programs never run at once.
      if (!this.#host(name).isOver) return void this.#clock.after(TICK_MS, start);
      // A node that suffered no other fault is registered for as long as its session lives.
      if (state.troubledAt === troubledAt && this.#clock.now() - troubledAt < SESSION_MS) {
        const now = new Set(this.#registeredOf(name));
        this.#invariants.onSuccessor(registered.filter((key) => !now.has(key)));
      }
      state.isUp = true;
      this.#trouble(name);
      if (name === HOSTS[0]) this.#invariants.onRestart();
      this.#host(name).start();
    };
    return start;
  }

  /** The nodes of a host that are registered. */
  #registeredOf(name: string): readonly string[] {
    return (PLACES.get(name as typeof HOSTS[number]) ?? []).map(({ key }) => key)
      .filter((key) => this.registry.has(key));
  }

  #host(name: string): SimHost {
    return this.#hosts.get(name) as SimHost;
  }

  #state(name: string): HostState {
    return this.#states.get(name) as HostState;
  }

  /** Records that a host suffered a fault. */
  #trouble(name: string): void {
    this.#state(name).troubledAt = this.#clock.now();
  }

  /** Ends a fault later, or when all faults end. */
  #endWithin(ms: number, name: string, end: () => void): void {
    const once = () => {
      if (!this.#ends.delete(once)) return;
      cancel();
      this.story.push(`${Math.round(this.#clock.now())} ms: over: ${name}`);
      end();
    };
    const cancel = this.#clock.after(ms, once);
    this.#ends.add(once);
  }

  #hostWorld(name: string, state: HostState, bug: Bug | undefined): SimHostWorld {
    const isWriter = name === HOSTS[0];
    return {
      name,
      clock: this.#clock,
      random: this.#random,
      registry: this.registry,
      faults: state.faults,
      isReachable: () => state.partings === 0,
      isHealthy: (instance) => !this.#unhealthy.has(`${name} ${/^check (\S+)\/sim$/.exec(instance)?.[1]}`),
      onDelivered: (cluster, nodes, isHonest) => {
        if (isWriter) this.#invariants.onDelivered(cluster, nodes, isHonest);
      },
      onChange: (operation, cluster, node) => {
        this.#noteWanted();
        if (operation !== "register" && state.isUp) this.#invariants.onTakenBack(cluster, nodeName(node));
      },
      bug: bug?.discovery,
    };
  }

  /** The writer's effects, observed. */
  #watched(looksOnce: boolean): BalancerEffects {
    const model = this.haproxy;
    const invariants = this.#invariants;
    const seen = new Map<string, Seen>();
    model.before = (step) => Promise.resolve(invariants.onStep(step));
    return {
      observe: async (...args) => {
        const key = JSON.stringify([model.process?.pid, model.steps.length]);
        if (looksOnce && seen.has(key)) return seen.get(key) as Seen;
        const now = await model.observe(...args);
        seen.clear();
        seen.set(key, now);
        return now;
      },
      watchSocket: (...args) => model.watchSocket(...args),
      softStop: (pid) => model.softStop(pid),
      version: () => model.version(),
      programFile: () => model.programFile(),
      execute: async (...args) => {
        invariants.onExecute();
        try {
          return await model.execute(...args);
        } finally {
          invariants.onExecuted();
        }
      },
      executeHeld: async (...args) => {
        const outcomes = await model.executeHeld(...args);
        invariants.onChanged(args[0], outcomes);
        return outcomes;
      },
    };
  }

  /** The names of the nodes that should be in the registry. */
  #wantedIn(cluster: string): ReadonlySet<string> {
    return new Set(HOSTS.flatMap((name) =>
      (this.#host(name).desired.services.get(cluster) ?? [])
        .filter((port) => !this.#unhealthy.has(`${name} ${cluster}:${port}`))
        .map((port) => nodeName({ host: `${name}.sim`, port }))
    ));
  }

  /** Records since when each node should be registered, with no obstacle. */
  #noteWanted(): void {
    const now = this.#clock.now();
    for (const name of HOSTS) {
      const { partings, troubledAt, blindedAt, isUp, faults } = this.#state(name);
      const isFree = isUp && partings === 0 && faults.lateMs === 0 && faults.lost === 0 && !faults.silent &&
        faults.doubled === 0;
      const canTell = faults.blind === undefined && !faults.unloadable;
      const { services } = this.#host(name).desired;
      for (const { key, cluster, id } of PLACES.get(name) ?? []) {
        const isWell = isFree && services.has(cluster) && !this.#unhealthy.has(id);
        const since = (before: number | undefined, ...at: readonly number[]) => Math.max(before ?? now, ...at);
        if (isWell) this.#wellSince.set(key, since(this.#wellSince.get(key), troubledAt));
        else this.#wellSince.delete(key);
        if (isWell && canTell) this.#wantedSince.set(key, since(this.#wantedSince.get(key), troubledAt, blindedAt));
        else this.#wantedSince.delete(key);
      }
    }
  }
}

/** Lets everything happen that needs no time: effects answer without one, so promises are all there is to wait for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.symmetricDifference(b).size === 0;
}
