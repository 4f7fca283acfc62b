import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { type Node, nodeName } from "../../src/model/node.ts";
import type { StepOutcome } from "../../src/balance/effects.ts";
import type { CommandStep, Step } from "../../src/plugin/contract.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import { RELOAD_INTERVAL_MS } from "./sim_config.ts";

/** Marks injected data in the registry, wherever it could do harm. */
export const EVIL = "evil";
/** A desired state may be this old when it is applied: joined, decided on, and carried out behind a slow balancer. */
const DESIRED_AGE_MS = 20_000;
/** How long the file and the structure may differ from the running process while the balancer is sound. */
const FILE_GRACE_MS = 4_000;
/** How soon a member that the registry has reported gets requests while the balancer is sound. */
const SERVED_WITHIN_MS = 5_000;
/** A healthy service is registered this soon after the last obstacle is gone. */
const REGISTERED_WITHIN_MS = 20_000;
/** The same for a service that is not registered while workers die: their restarts wait up to half a minute. */
const REGISTERED_WITHIN_OF_CRASH_MS = 45_000;
/** A service that has been healthy this long is not deregistered, whether its checks can be made or not. */
const WELL_MS = 6_000;

/** Reasons to load the same structure again while the balancer may fail or lie. */
const OTHER_REASONS = /^(?:commands keep failing|the running HAProxy |frontend \S+ was shut down)/;

/** What the checker knows of a world. */
export interface Facts {
  now(): number;
  readonly model: HaproxyModel;
  /** Whether the balancer may be faulty in this world. */
  readonly balancerMayFail: boolean;
  /** Whether workers may die or be mute in this world. */
  readonly workersMayFail: boolean;
  /** By `cluster/host:port`, since when a service has been healthy with its registry reachable, whatever its checks suffer. */
  well(): ReadonlyMap<string, number>;
  /** The clusters in the writer's config. */
  clusters(): ReadonlySet<string>;
  /** The nodes that hosts want registered now: by `cluster/host:port`, since when without interruption. */
  wanted(): ReadonlyMap<string, number>;
  /** Whether the registry has a node, by `cluster/host:port`. */
  isRegistered(key: string): boolean;
}

interface Delivery {
  readonly at: number;
  readonly names: ReadonlySet<string>;
  /** The last known share of each node, by name; absent for nodes that only an earlier program received. */
  readonly shares: ReadonlyMap<string, Share>;
}

/** A node's share: its weight, and whether it takes requests. */
interface Share {
  readonly weight: number;
  readonly drains: boolean;
}

/**
 * Watches a world and reports what the program did wrong, apart from the faults
 * that the world suffers. The first report stays.
 */
export class Invariants {
  readonly #facts: Facts;
  /** The true members that the writer received, by cluster, the newest last. */
  readonly #deliveries = new Map<string, Delivery[]>();
  #fault: string | undefined;
  #lastReloadAt = -Infinity;
  #executing = 0;
  #isPaused = false;
  #differsSince: number | undefined;
  /** Since when a desired member gets no requests, by `cluster/node`. */
  readonly #unservedSince = new Map<string, number>();
  /** Since when a member has a share other than the reported one, by `cluster/node` and the share. */
  readonly #misweighedSince = new Map<string, number>();
  /** The nodes that were registered while their service was healthy, and since when it has been. */
  readonly #present = new Map<string, number>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** The first fault; `undefined` if there is none. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** The writer's program was restarted: it knows what it finds. */
  onRestart(): void {
    this.#lastReloadAt = -Infinity;
    const { model } = this.#facts;
    for (const [cluster, deliveries] of this.#deliveries) {
      const kept = [...this.#kept(cluster)].filter((name) =>
        membersOfFile(model.file, cluster).has(name) && membersOfProcess(model, cluster).has(name)
      );
      deliveries.splice(0, deliveries.length, { at: this.#facts.now(), names: new Set(kept), shares: new Map() });
    }
  }

  /** The writer received the members of a cluster. */
  onDelivered(cluster: string, nodes: readonly Node[], isHonest: boolean): void {
    const deliveries = this.#deliveries.get(cluster) ?? [];
    const shares = new Map(
      nodes.map(({ weight = 1, state, ...node }) => [nodeName(node), { weight, drains: state === "drain" }] as const),
    );
    const names = new Set(nodes.map(nodeName));
    const before = deliveries.at(-1);
    // A lie is about membership only: the shares it reports are true.
    if (!isHonest && before === undefined) return;
    deliveries.push({
      at: this.#facts.now(),
      names: isHonest || before === undefined ? names : before.names,
      shares: isHonest ? shares : new Map([...before?.shares ?? [], ...shares]),
    });
    // Of the deliveries that are too old, only the newest counts.
    while ((deliveries[1]?.at ?? Infinity) < this.#facts.now() - DESIRED_AGE_MS) deliveries.shift();
    this.#deliveries.set(cluster, deliveries);
  }

  /** A reporter asks for a node to be deregistered. */
  onTakenBack(cluster: string, name: string): void {
    // A node that is not registered yet cannot be deregistered.
    if (!this.#facts.isRegistered(`${cluster}/${name}`)) return;
    const since = this.#facts.well().get(`${cluster}/${name}`);
    if (since !== undefined && this.#facts.now() - since > WELL_MS) {
      this.#tell(`${cluster}/${name} is deregistered, though it has been healthy for ${this.#facts.now() - since} ms`);
    }
  }

  /** A program ended to be restarted, and the next begins within the session's time; `missing` are no longer registered. */
  onSuccessor(missing: readonly string[]): void {
    if (missing.length > 0) this.#tell(`${missing.join(", ")} left the registry as the program failed`);
  }

  /** Lighthouse is paused: the operator got the answer. */
  onPause(): void {
    this.#isPaused = true;
  }

  /** An operator is about to resume Lighthouse. */
  onResume(): void {
    this.#isPaused = false;
  }

  /** The writer starts to carry out steps. */
  onExecute(): void {
    if (++this.#executing > 1) this.#tell("two executions run at once");
  }

  /** The writer has carried them out. */
  onExecuted(): void {
    this.#executing--;
  }

  /** The writer acts on the balancer. */
  onStep(step: Step): void {
    const { model, balancerMayFail } = this.#facts;
    if (this.#isPaused) this.#tell(`Lighthouse is paused, and yet: ${step.do}`);
    switch (step.do) {
      case "command": {
        if (step.command.includes(EVIL) || !/^[!-~]+(?: [!-~]+)*$/.test(step.command) || step.command.includes(";")) {
          this.#tell(`a command contains unvalidated data: ${JSON.stringify(step.command)}`);
        }
        const drained = /^set server ([^/]+)\/(\S+) state drain$/.exec(step.command);
        if (drained !== null && this.#mayDrain(drained[1] ?? "", drained[2] ?? "")) return;
        const gone = /^(?:del server|set server) ([^/]+)\/(\S+)(?: state (?:maint|drain))?$/.exec(step.command);
        if (gone !== null) this.#onRemoval(gone[1] ?? "", gone[2] ?? "", step.command);
        return;
      }
      case "install":
        // A backup that is restored was there before.
        if (step.check.length === 0) return;
        if (step.contents.includes(EVIL)) this.#tell("the file contains unvalidated data");
        for (const cluster of membersByCluster(step.contents).keys()) {
          for (const name of this.#kept(cluster)) {
            if (!membersOfFile(step.contents, cluster).has(name)) this.#onRemoval(cluster, name, "the file");
          }
        }
        return;
      case "start":
        return;
      case "reload": {
        const now = this.#facts.now();
        if (now - this.#lastReloadAt < RELOAD_INTERVAL_MS - 1) {
          this.#tell(`two reloads are ${now - this.#lastReloadAt} ms apart: ${step.reason}`);
        }
        this.#lastReloadAt = now;
        const isSame = model.process !== undefined && markOf(model.file) === model.process.structure;
        if (isSame && (!balancerMayFail || !OTHER_REASONS.test(step.reason))) {
          this.#tell(`a reload for nothing but members: ${step.reason}`);
        }
      }
    }
  }

  /** The writer has changed members without polling: the serving process must have what the writer takes for applied. */
  onChanged(steps: readonly CommandStep[], outcomes: readonly StepOutcome[]): void {
    if (outcomes.length < steps.length || outcomes.some(({ ok }) => !ok)) return;
    const { backends } = this.#facts.model.process ?? { backends: new Map() };
    const states = new Map(steps.flatMap(({ command }) => {
      const [, key, state] = /^set server (\S+) state (\S+)$/.exec(command) ?? [];
      return key === undefined || state === undefined ? [] : [[key, state]];
    }));
    for (const [key, state] of states) {
      const [backend = "", name = ""] = key.split("/");
      const server = backends.get(backend)?.servers.get(name);
      const is = server === undefined || server.maintenance ? "maint" : server.draining ? "drain" : "ready";
      // HAProxy shows a weight of 0 as a drain: either way no new request arrives until the next poll.
      if (is !== state && !(state === "drain" && server?.weight === 0)) {
        this.#tell(`the writer takes ${key} for ${state}, but it is ${is}`);
      }
    }
  }

  /** Checks the world as it is now. */
  onTick(): void {
    const { model } = this.#facts;
    if (!this.#facts.balancerMayFail) {
      const now = this.#facts.now();
      const difference = describeDifference(model);
      if (difference === undefined) this.#differsSince = undefined;
      else if (now - (this.#differsSince ??= now) > FILE_GRACE_MS) {
        this.#tell(`the file is not what runs, for ${now - this.#differsSince} ms: ${difference}`);
      }
      this.#lookForUnserved(now);
      this.#lookForMisweighed(now);
    }
    this.#lookForAbsent();
    const now = this.#facts.now();
    const withinMs = this.#facts.workersMayFail ? REGISTERED_WITHIN_OF_CRASH_MS : REGISTERED_WITHIN_MS;
    for (const [key, since] of this.#facts.wanted()) {
      if (now - since <= withinMs) continue;
      if (!this.#facts.isRegistered(key)) {
        this.#tell(`${key} is not registered, though nothing has prevented it for ${now - since} ms`);
      }
    }
  }

  /** A registered healthy service stays registered for as long as its registry is undisturbed. */
  #lookForAbsent(): void {
    const well = this.#facts.well();
    const now = this.#facts.now();
    for (const [key, since] of this.#present) if (well.get(key) !== since) this.#present.delete(key);
    for (const [key, since] of well) {
      if (this.#facts.isRegistered(key)) {
        if (now - since > WELL_MS) this.#present.set(key, since);
      } else if (this.#present.has(key)) {
        this.#tell(`${key} is absent, though it was registered and is healthy`);
      }
    }
  }

  #lookForUnserved(now: number): void {
    const { model } = this.#facts;
    const unserved = new Set([...this.#deliveries.keys()].flatMap((cluster) => {
      const missing = this.#kept(cluster).difference(membersOfProcess(model, cluster));
      return [...missing].filter((name) => this.#mustServe(cluster, name)).map((name) => `${cluster}/${name}`);
    }));
    for (const key of this.#unservedSince.keys()) if (!unserved.has(key)) this.#unservedSince.delete(key);
    for (const key of unserved) {
      const since = this.#unservedSince.get(key) ?? now;
      this.#unservedSince.set(key, since);
      if (now - since > SERVED_WITHIN_MS) this.#tell(`${key} has had no requests for ${now - since} ms`);
    }
  }

  /** Whether every recent delivery lets a member get requests. */
  #mustServe(cluster: string, name: string): boolean {
    return (this.#deliveries.get(cluster) ?? []).every(({ shares }) => {
      const share = shares.get(name);
      return share !== undefined && share.weight > 0 && !share.drains;
    });
  }

  /** Whether any recent delivery lets a member be drained. */
  #mayDrain(cluster: string, name: string): boolean {
    return (this.#deliveries.get(cluster) ?? []).some(({ shares }) => shares.get(name)?.drains ?? true);
  }

  /** Once all members have arrived, each has the last reported weight and state. */
  #lookForMisweighed(now: number): void {
    const { model } = this.#facts;
    const wrong = new Map<string, string>();
    for (const [cluster, deliveries] of this.#deliveries) {
      const { names, shares } = deliveries.at(-1) ?? { names: new Set<string>(), shares: new Map<string, Share>() };
      const servers = model.process?.backends.get(cluster)?.servers;
      // A held membership change holds the shares too.
      const isComplete = servers !== undefined && this.#facts.clusters().has(cluster) &&
        names.symmetricDifference(new Set(servers.keys())).size === 0;
      for (const [name, { weight, drains }] of isComplete ? shares : []) {
        const server = servers?.get(name);
        const isRight = server === undefined || server.maintenance ||
          (server.draining === drains && server.weight === weight);
        if (isRight) continue;
        const is = `${server.weight}${server.draining ? " and drains" : ""}`;
        const told = `${weight}${drains ? " and drains" : ""}`;
        wrong.set(`${cluster}/${name} ${told}`, `${cluster}/${name} has weight ${is}, though its node has ${told}`);
      }
    }
    for (const key of this.#misweighedSince.keys()) if (!wrong.has(key)) this.#misweighedSince.delete(key);
    for (const [key, what] of wrong) {
      const since = this.#misweighedSince.get(key) ?? now;
      this.#misweighedSince.set(key, since);
      if (now - since > SERVED_WITHIN_MS) this.#tell(`${what} for ${now - since} ms`);
    }
  }

  /** The nodes of a cluster that no recent delivery allows to be removed. */
  #kept(cluster: string): ReadonlySet<string> {
    if (!this.#facts.clusters().has(cluster)) return new Set();
    const [first, ...rest] = this.#deliveries.get(cluster) ?? [];
    return rest.reduce((kept, { names }) => kept.intersection(names), new Set(first?.names));
  }

  #onRemoval(cluster: string, name: string, by: string): void {
    if (this.#kept(cluster).has(name)) {
      this.#tell(`${cluster}/${name} is removed by ${by}, though no registry has said that it is gone`);
    }
  }

  #tell(fault: string): void {
    this.#fault ??= `${Math.round(this.#facts.now())} ms: ${fault}`;
  }
}

/** The file that was last read, with its contents. */
let lastRead: { readonly file: string; readonly members: ReadonlyMap<string, ReadonlySet<string>> } | undefined;

function membersByCluster(file: string): ReadonlyMap<string, ReadonlySet<string>> {
  if (lastRead?.file !== file) {
    const adopted = [...haproxy.adopt(new Map([["", file]]), { configFile: "" } as never)];
    lastRead = { file, members: new Map(adopted.map(([cluster, nodes]) => [cluster, new Set(nodes.map(nodeName))])) };
  }
  return lastRead.members;
}

/** The members of a cluster in a file. */
export function membersOfFile(file: string | undefined, cluster: string): ReadonlySet<string> {
  return membersByCluster(file ?? "").get(cluster) ?? new Set();
}

/** The members of a cluster that a process started from a file would send requests to. */
function servedByFile(file = "", cluster: string): ReadonlySet<string> {
  if (lastServed?.file !== file) {
    const model = new HaproxyModel();
    model.file = file;
    model.boot();
    const clusters = [...model.process?.backends.keys() ?? []];
    lastServed = { file, members: new Map(clusters.map((name) => [name, membersOfProcess(model, name)])) };
  }
  return membersOfFile(file, cluster).intersection(lastServed.members.get(cluster) ?? new Set());
}

let lastServed: { readonly file: string; readonly members: ReadonlyMap<string, ReadonlySet<string>> } | undefined;

/** The members of a cluster that a process sends requests to. */
export function membersOfProcess(model: HaproxyModel, cluster: string): ReadonlySet<string> {
  return new Set(model.serving(cluster).map((server) => server.slice(0, server.indexOf(" "))));
}

/** Describes how the file differs from the running process; `undefined` if it does not, or nothing runs. */
export function describeDifference(model: HaproxyModel): string | undefined {
  const { process, file } = model;
  if (process === undefined) return undefined;
  if (markOf(file) !== process.structure) return "its structure is different";
  for (const cluster of process.backends.keys()) {
    const [inFile, running] = [servedByFile(file, cluster), membersOfProcess(model, cluster)];
    if (inFile.symmetricDifference(running).size > 0) {
      return `${cluster} has ${[...inFile]} in the file, and ${[...running]} in the process`;
    }
  }
  return undefined;
}

function markOf(file: string | undefined): string | undefined {
  return /setenv LIGHTHOUSE_STRUCTURE ([0-9a-f]+)/.exec(file ?? "")?.[1];
}
