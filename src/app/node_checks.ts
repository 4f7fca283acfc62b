/**
 * Checks of the nodes of clusters, by this host: `traffic.health`. The reporter's
 * monitor probes them, in workers of their own that may reach nothing but their
 * nodes; verdicts are kept here, so that a worker is replaced without losing any.
 *
 * @module
 */
import type { Accepted, AcceptedCluster } from "../config/accepted.ts";
import { ANY_NODE } from "../config/accepted.ts";
import type { Clock } from "../kernel/clock.ts";
import { Coalescer } from "../kernel/coalescer.ts";
import { type Logger, SILENT } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import { isRecord, type Node, nodeName, parsePort } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { HealthPolicy, NodeCheck, NodeHealth } from "../model/traffic.ts";
import type { ProbeOutcome } from "../plugin/contract.ts";
import type { PluginInstance } from "../plugin/instance.ts";
import { Monitor, type MonitoredPort, type PortReport } from "../reporter/monitor.ts";
import type { WorkerSpec } from "../supervisor/reconcile.ts";

/** So many nodes share a worker. */
export const NODES_PER_WORKER = 50;
/** The most nodes of a cluster with a worker each: some 7 MB and a thread for each. */
export const OWN_WORKERS_MAX = 200;
/** How long changes of members wait for their neighbors before workers are replaced, and how long at most. */
const QUIET_MS = 200, MAX_MS = 2_000;
/** How long changes of health wait for their neighbors. */
const HEALTH_QUIET_MS = 50, HEALTH_MAX_MS = 250;
/** So many nodes are named in a record. */
const NAMES_MAX = 5;

/** A check of one node. */
export interface NodeProbe {
  readonly cluster: ClusterName;
  /** The node's name. */
  readonly node: string;
  readonly check: NodeCheck;
  /** What probes it; absent if nothing can. */
  readonly instance?: PluginInstance | undefined;
  /** Why nothing can. */
  readonly obstacle?: string | undefined;
}

/** The checks of all nodes of a cluster, and of those of its overflow clusters. Pure. */
export function nodeProbes(
  { cluster: { name, traffic, defaultServers }, nodeChecks = [] }: AcceptedCluster,
  nodesOf: (cluster: ClusterName) => readonly Node[],
): readonly NodeProbe[] {
  const members = nodesOf(name);
  const others = (traffic?.overflow?.clusters ?? []).filter((other) => other !== name).flatMap(nodesOf);
  const all = new Map(
    [...members.length > 0 ? members : defaultServers, ...others].toReversed().map((node) => [
      nodeName(node),
      node,
    ]),
  );
  const sorted = [...all].toSorted(([a], [b]) => a < b ? -1 : 1);
  return nodeChecks.flatMap(({ check, instance }) =>
    sorted.map(([node, { ip, port, metadata }]): NodeProbe => {
      const found = portOf(check, { port, metadata });
      if (typeof found === "string") return { cluster: name, node, check, obstacle: found };
      const target = formatEndpoint({ host: ip, port: found });
      return { cluster: name, node, check, instance: instanceFor(instance, `${instance.id} ${node}`, target) };
    })
  );
}

/** The port to probe of a node; a text says why there is none. */
function portOf({ port, portName }: NodeCheck, node: Pick<Node, "port" | "metadata">): number | string {
  if (portName === undefined) return port ?? node.port;
  const { ports } = node.metadata;
  const named = isRecord(ports) && Object.hasOwn(ports, portName) ? parsePort(ports[portName]) : undefined;
  return named ?? `the node has no port ${portName} in metadata.ports`;
}

/** The instance of a check for one node: it may do what was granted for any, at this address alone. */
function instanceFor({ granted, ...rest }: PluginInstance, id: string, target: string): PluginInstance {
  const { net } = granted;
  return {
    ...rest,
    id,
    scope: { instance: id, target },
    granted: { ...granted, ...net !== undefined && { net: net.map((each) => each === ANY_NODE ? target : each) } },
  };
}

/** Which probes each worker of a check has, by the worker's key. */
export type Crews = ReadonlyMap<string, readonly string[]>;

/** What {@linkcode assignProbes} answers. */
export interface Assigned {
  readonly crews: Crews;
  readonly specs: readonly WorkerSpec[];
  /** The ids of probes for which there is no worker. */
  readonly without: ReadonlySet<string>;
}

/**
 * Assigns the probes of one check to workers. Those that have a worker keep it, so that a node that comes or goes
 * costs the start of one worker. Pure.
 */
export function assignProbes(
  key: string,
  instances: readonly PluginInstance[],
  { before, isolation }: { readonly before: Crews; readonly isolation: HealthPolicy["isolation"] },
): Assigned {
  const [size, most] = isolation === "worker" ? [1, OWN_WORKERS_MAX] : [NODES_PER_WORKER, Infinity];
  const byId = new Map(instances.map((each) => [each.id, each]));
  const crews = new Map<string, string[]>();
  for (const [crew, ids] of before) {
    const kept = ids.filter((id) => byId.has(id)).slice(0, size);
    if (kept.length > 0) crews.set(crew, kept);
  }
  // Many that have left half-empty workers behind are put together again.
  if (crews.size > 2 * Math.ceil(instances.length / size)) crews.clear();
  const assigned = new Set([...crews.values()].flat());
  const without = new Set<string>();
  let [open, number] = [[...crews.values()].find(({ length }) => length < size), 1];
  for (const { id } of instances) {
    if (assigned.has(id)) continue;
    if (open === undefined || open.length >= size) {
      open = [...crews.values()].find(({ length }) => length < size);
    }
    if (open === undefined) {
      if (crews.size >= most) {
        without.add(id);
        continue;
      }
      while (crews.has(`${key} ${number}`)) number++;
      crews.set(`${key} ${number}`, open = []);
    }
    open.push(id);
  }
  const specs = [...crews].map(([crew, ids]): WorkerSpec => {
    const own = ids.toSorted().flatMap((id) => byId.get(id) ?? []);
    const [{ module = "", kind = "check" } = {}] = own;
    return {
      key: crew,
      module,
      kind,
      instances: own.map(({ id, config, scope, granted }) => ({ id, config, scope, granted })),
    };
  });
  return { crews, specs, without };
}

/** What the monitor watches: each node of each cluster that has checks. Pure. */
export function nodePorts(probes: readonly NodeProbe[], intervalMs: number): readonly MonitoredPort[] {
  const byNode = Map.groupBy(probes, ({ cluster, node }) => portKey(cluster, node));
  return [...byNode].map(([key, own]) => ({
    key,
    intervalMs,
    checks: own.flatMap(({ check, instance }) =>
      instance === undefined ? [] : [{
        id: instance.id,
        name: check.name,
        rise: check.rise,
        fall: check.fall,
        timeoutMs: check.timeoutMs,
        // What nobody can tell leaves the share as it is, for however long.
        unknownGraceMs: Infinity,
        question: JSON.stringify([instance.module, instance.scope.target, instance.config]),
      }]
    ),
  })).filter(({ checks }) => checks.length > 0);
}

function portKey(cluster: ClusterName, node: string): string {
  return `${cluster}/${node}`;
}

/** What the checks of a node come to. Pure. */
export function healthOf(report: PortReport | undefined, obstacles: readonly string[]): NodeHealth | undefined {
  const { status, checks = [] } = report ?? {};
  if (status === "down") {
    const { name, failure, unknown } = checks.find(({ verdict }) => verdict.up === false) ?? {};
    const reason = failure ?? (unknown === undefined ? undefined : `result unknown: ${unknown.reason}`);
    return { state: "failing", reason: `${name}: ${reason ?? "not passed yet"}` };
  }
  const [obstacle] = obstacles;
  if (obstacle !== undefined) return { state: "unknown", reason: obstacle };
  const unknown = checks.find((each) => each.unknown !== undefined);
  if (unknown !== undefined) return { state: "unknown", reason: `${unknown.name}: ${unknown.unknown?.reason}` };
  return status === "up" ? { state: "passing" } : undefined;
}

export interface NodeChecksOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter;
  /** The members of a cluster that are known. */
  readonly nodes: (cluster: ClusterName) => readonly Node[];
  /** Probes once, in the worker that has the instance. */
  readonly probe: (id: string, timeoutMs: number, signal: AbortSignal) => Promise<ProbeOutcome>;
  /** Hears that other workers are wanted. */
  readonly onWorkers: () => void;
  /** Hears what the checks of a cluster say of its nodes, whole. */
  readonly onHealth: (cluster: ClusterName, health: ReadonlyMap<string, NodeHealth>) => void;
}

/** Probes the nodes of all clusters that ask for it, as members come and go. */
export class NodeChecks implements AsyncDisposable {
  readonly #options: NodeChecksOptions;
  readonly #monitor: Monitor;
  readonly #members: Coalescer;
  readonly #health: Coalescer;
  #clusters: readonly AcceptedCluster[] = [];
  #crews = new Map<string, Crews>();
  #specs: readonly WorkerSpec[] = [];
  /** The nodes of each cluster that are checked, each with what keeps it from that. */
  #nodes: ReadonlyMap<ClusterName, ReadonlyMap<string, readonly string[]>> = new Map();
  /** The checks that each probe is of, for the figures. */
  #checkOf: ReadonlyMap<string, NodeProbe> = new Map();
  /** What was last said of each cluster. */
  readonly #said = new Map<ClusterName, ReadonlyMap<string, NodeHealth>>();
  /** The clusters with more nodes than may have a worker each. */
  readonly #crowded = new Set<ClusterName>();

  /** Checks nothing before a config is applied. */
  constructor(options: NodeChecksOptions) {
    this.#options = options;
    const { clock, random, probe, meter = UNMETERED } = options;
    this.#members = new Coalescer(() => this.#refresh(), { quietMs: QUIET_MS, maxMs: MAX_MS, clock });
    this.#health = new Coalescer(() => this.#report(), { quietMs: HEALTH_QUIET_MS, maxMs: HEALTH_MAX_MS, clock });
    this.#monitor = new Monitor({
      clock,
      random,
      // Its words are of a service's port; what is to be said of nodes is said in `#tell`.
      log: SILENT,
      probe: async (id, timeoutMs, signal) => {
        const outcome = await probe(id, timeoutMs, signal);
        const { cluster = "", check } = this.#checkOf.get(id) ?? {};
        const labels = { cluster, check: check?.name ?? "", result: outcome.status };
        meter.count("lighthouse_node_probes_total", labels);
        return outcome;
      },
      onStatus: () => this.#health.trigger(),
      onUnknown: () => this.#health.trigger(),
    });
  }

  /** The workers that are wanted now. */
  get workers(): readonly WorkerSpec[] {
    return this.#specs;
  }

  /** Takes the clusters of a config; the caller takes {@linkcode workers} afterwards. */
  apply({ clusters }: Pick<Accepted, "clusters">): void {
    this.#clusters = [...clusters.values()].filter(({ nodeChecks = [], sections }) =>
      nodeChecks.length > 0 && sections.size > 0
    );
    this.#assign();
  }

  /** Notes that members have changed. */
  note(): void {
    if (this.#clusters.length > 0) this.#members.trigger();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#members[Symbol.dispose]();
    this.#health[Symbol.dispose]();
    await this.#monitor[Symbol.asyncDispose]();
  }

  #refresh(): void {
    const before = JSON.stringify(this.#specs);
    this.#assign();
    if (JSON.stringify(this.#specs) !== before) this.#options.onWorkers();
  }

  /** Derives from the members what is probed, by which worker. */
  #assign(): void {
    const crews = new Map<string, Crews>();
    const specs: WorkerSpec[] = [];
    const ports: MonitoredPort[] = [];
    const nodes = new Map<ClusterName, Map<string, string[]>>();
    const checkOf = new Map<string, NodeProbe>();
    for (const accepted of this.#clusters) {
      const { cluster: { name, traffic }, nodeChecks = [] } = accepted;
      if (traffic?.health === undefined) continue;
      const { intervalMs, isolation } = traffic.health;
      const probes = nodeProbes(accepted, this.#options.nodes);
      const unreached = new Set<string>();
      for (const { instance: { id: key } } of nodeChecks) {
        const own = probes.flatMap(({ instance }) => instance?.id.startsWith(`${key} `) ? [instance] : []);
        const assigned = assignProbes(key, own, { before: this.#crews.get(key) ?? new Map(), isolation });
        crews.set(key, assigned.crews);
        specs.push(...assigned.specs);
        for (const id of assigned.without) unreached.add(id);
      }
      this.#tellOfCrowd(name, unreached.size);
      const known = new Map<string, string[]>();
      for (const { node, instance, obstacle } of probes) {
        const isCrowded = instance !== undefined && unreached.has(instance.id);
        const why = isCrowded ? `isolation: worker supports at most ${OWN_WORKERS_MAX} nodes` : obstacle;
        known.set(node, [...known.get(node) ?? [], ...why === undefined ? [] : [why]]);
      }
      nodes.set(name, known);
      const probed = probes.filter(({ instance }) => instance !== undefined && !unreached.has(instance.id));
      for (const probe of probed) if (probe.instance !== undefined) checkOf.set(probe.instance.id, probe);
      ports.push(...nodePorts(probed, intervalMs));
    }
    [this.#crews, this.#specs, this.#nodes, this.#checkOf] = [crews, specs, nodes, checkOf];
    this.#monitor.apply(ports);
    for (const name of this.#said.keys()) {
      if (nodes.has(name)) continue;
      this.#said.delete(name);
      this.#options.onHealth(name, new Map());
    }
    this.#report();
  }

  /** Passes on what the checks say, of each cluster of which they say something else than before. */
  #report(): void {
    const reports = this.#monitor.ports;
    for (const [cluster, nodes] of this.#nodes) {
      const now = new Map<string, NodeHealth>();
      for (const [node, obstacles] of nodes) {
        const health = healthOf(reports.get(portKey(cluster, node)), obstacles);
        if (health !== undefined) now.set(node, health);
      }
      const before = this.#said.get(cluster) ?? new Map<string, NodeHealth>();
      this.#said.set(cluster, now);
      if (!this.#tell(cluster, before, now) && before.size === now.size) continue;
      this.#options.onHealth(cluster, now);
    }
  }

  /** Logs which nodes fail now or cannot be checked, and when none does any more; answers whether any has changed. */
  #tell(
    cluster: ClusterName,
    before: ReadonlyMap<string, NodeHealth>,
    now: ReadonlyMap<string, NodeHealth>,
  ): boolean {
    const { log } = this.#options;
    const became = (state: NodeHealth["state"], from?: NodeHealth["state"]) =>
      [...now].filter(([node, health]) => {
        const old = before.get(node)?.state;
        return health.state === state && old !== state && (from === undefined || old === from);
      });
    const fields = (of: readonly (readonly [string, NodeHealth])[]) => ({
      cluster,
      nodes: of.length,
      names: of.slice(0, NAMES_MAX).map(([node]) => node).join(", "),
      ...of[0]?.[1].reason !== undefined && { reason: of[0][1].reason },
    });
    const [failing, passing] = [became("failing"), became("passing", "failing")];
    const [unknown, known] = [became("unknown"), became("passing", "unknown")];
    const ended = (state: NodeHealth["state"]) => {
      const [had, has] = [before, now].map((health) => health.values().some((each) => each.state === state));
      return had && !has;
    };
    if (failing.length > 0) log.warn("Nodes failing checks", { event: "node.failing", ...fields(failing) });
    if (ended("failing")) log.info("All nodes pass their checks again", { event: "node.passing", ...fields(passing) });
    if (unknown.length > 0) {
      log.warn("Cannot check nodes; traffic shares unchanged", { event: "node.unknown", ...fields(unknown) });
    }
    if (ended("unknown")) log.info("All nodes can be checked again", { event: "node.known", ...fields(known) });
    return failing.length + passing.length + unknown.length + known.length + became("passing").length > 0;
  }

  #tellOfCrowd(cluster: ClusterName, without: number): void {
    if (without === 0) return void this.#crowded.delete(cluster);
    if (this.#crowded.has(cluster)) return;
    this.#crowded.add(cluster);
    this.#options.log.error(
      "Too many nodes for isolation: worker; some nodes are not checked",
      { event: "node.crowded", cluster, nodes: without, most: OWN_WORKERS_MAX },
    );
  }
}
