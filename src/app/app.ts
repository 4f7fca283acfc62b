import { localDrainOf } from "../model/override.ts";
import { keptRegistrations, monitoredPorts } from "../reporter/registrations.ts";
import { discoveryId, discoveryOf, notifierId } from "../config/accept.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Cluster } from "../model/cluster.ts";
import { sourceKey } from "../model/registry_source.ts";
import type { Accepted } from "../config/accepted.ts";
import { BalancerPlugins } from "./balancer_plugins.ts";
import { Balancers } from "./balancers.ts";
import type { ConfigSource, Taken } from "../config/reading.ts";
import { isConfigured } from "./configured.ts";
import { Intake, type IntakeOptions } from "./intake.ts";
import { OperatorOrders } from "../membership/operator_orders.ts";
import type { Operator } from "../admin/operator.ts";
import { AppAdditions } from "./additions.ts";
import { filesOnly, type OnceOptions, onceProgress } from "./once.ts";
import { AppOperator } from "./operator.ts";
import { KeptAdditions } from "../membership/kept_additions.ts";
import type { Additions } from "../admin/additions.ts";
import type { Addition } from "../model/addition.ts";
import type { Disk } from "../membership/disk.ts";
import { LastKnown } from "../membership/last_known.ts";
import { Connectivity } from "../membership/connectivity.ts";
import { StartupGate } from "../membership/startup_gate.ts";
import { Propagation } from "../membership/propagation.ts";
import type { Parts } from "../status/status.ts";
import { LeftOut } from "../membership/left_out.ts";
import { FollowedPrefixes } from "../membership/followed_prefixes.ts";
import { Traffic } from "../membership/traffic.ts";
import type { Details } from "./explain.ts";
import { Watches } from "../membership/watches.ts";
import type { BalancerEffects } from "../balance/effects.ts";
import { Executor } from "../balance/executor.ts";
import type { Applied, WriterDecide } from "../balance/writer.ts";
import { Announcement } from "./announcement.ts";
import type { Identity } from "./host_facts.ts";
import { NodeChecks } from "./node_checks.ts";
import { Monitor } from "../reporter/monitor.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import { Damper } from "../kernel/damper.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import { abortable } from "../kernel/within.ts";
import type { EventRecord } from "../model/event_record.ts";
import { EVENTS } from "../logging/events.ts";
import { Notifications } from "../notify/notifications.ts";
import type { ClusterName } from "../model/topology.ts";
import type { HostSettings, Settings } from "../config/desired.ts";
import { DEFAULT_SETTINGS } from "../config/settings_schema.ts";
import type { ProbeOutcome, Step } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import { type Operation, Registrar, type Registration } from "../reporter/registrar.ts";
import { MembershipGuard } from "../membership/membership_guard.ts";
import { LiveTopology } from "../membership/live_topology.ts";
import { type MemberChanges, memberChanges } from "../membership/member_changes.ts";
import { SourceMembers } from "../membership/source_members.ts";
import { findConnections } from "../system/connections.ts";
import { Fleet, type Threads } from "../supervisor/fleet.ts";
import type { HeartbeatOptions } from "../supervisor/plugin_host.ts";
import { WorkerError } from "../protocol/wire_error.ts";
import { WorkerDeadError, type WorkerEvent } from "../supervisor/plugin_host.ts";
import { groupInstances } from "../supervisor/reconcile.ts";

/** What the process does. */
export type Role = "writer" | "reporter" | "run";

export interface AppOptions extends Omit<IntakeOptions, "log" | "balancerPlugins"> {
  /** Loads a balancer that ships; it is pure and runs in the host. */
  readonly loadBalancer: (type: string) => Promise<Decider>;
  /** Finds out what this machine is announced as, given what `host.yaml` says; must not throw. */
  readonly identify: (said: HostSettings) => Promise<Identity>;
  readonly random: Random;
  /** The time of day in milliseconds; the system's unless told. */
  readonly wallNow?: () => number;
  /** Where this process may keep its state; `undefined` if no supervisor says. */
  readonly stateDirectory?: string | undefined;
  /** Gives each part its logger. */
  readonly log: { part(name: string): Logger };
  /** Where all parts count; nowhere unless given. */
  readonly meter?: Meter;
  /** Whether the writer ends when all is applied, and how long that may take; it runs on if absent. */
  readonly once?: OnceOptions | undefined;
  /** Called after each turn of a balancer's writer; for the demo and measurements. */
  readonly onApplied?: (balancer: string, applied: Applied) => void;
  /** Called with each config before it is applied. */
  readonly onTaken?: (taken: Taken) => void;
  /** Called with each file of a balancer that was replaced. */
  readonly onInstalled?: (balancer: string, step: Step & { readonly do: "install" }) => void;
  /** How the lives of workers are watched. */
  readonly heartbeat?: HeartbeatOptions;
  /** What stands in for this machine in a simulation. */
  readonly machine?: Partial<Machine>;
}

/** What the runtime touches of the machine that it runs on. */
export interface Machine {
  /** Where configs come from. */
  readonly configs: ConfigSource;
  /** Where the workers' threads come from. */
  readonly threads: Threads;
  /** Makes what acts on a balancer. */
  readonly effects: () => BalancerEffects;
  /** Decides for the writers of balancers; a simulation plants mistakes in it. */
  readonly decide: WriterDecide;
  /** Where the last known members are kept. */
  readonly disk: Disk;
}

/** How a run ended. */
export type Ending =
  /** It was asked to. */
  | "stopped"
  /** All that it was to do once is done, or cannot be done. */
  | "applied"
  | "unapplied"
  /** Too many threads of workers could not be stopped: the process must be restarted. */
  | "stuck"
  /** Lighthouse itself has failed: the process must be restarted. */
  | "broken"
  /** There is no config directory to start from. */
  | "unconfigured";

/** So many threads that cannot be stopped are too many: each burns a core. */
const STUCK_THREADS_MAX = 2;
/** How long a change of a registration may take. */
const CHANGE_TIMEOUT_MS = 5_000;
/** How long the taking of a config that is under way may hold up the end. */
const CONFIGURE_END_MS = 1_000;
/** How long the reporter tries to take its nodes back when it ends. */
const WITHDRAW_DEADLINE_MS = 2_500;
/** Registrations after a new session are spread over this time. */
export const RENEW_JITTER_MS = 500;
/** How long a new connection may take to register everything before the one it replaces is closed. */
const RENEW_DEADLINE_MS = 10_000;
/** How often a single run of the writer looks whether all is applied. */
const ONCE_POLL_MS = 50;
/** A probe's answer may come so much later than its deadline: the message needs its time. */
const PROBE_GRACE_MS = 200;

/** The whole runtime: builds every part, connects them, and owns the order of start and stop. */
export class App {
  readonly #options: AppOptions;
  readonly #log: Logger;
  readonly #live = new LiveTopology();
  readonly #members = new SourceMembers();
  readonly #membership: MembershipGuard;
  readonly #lastKnown: LastKnown;
  readonly #traffic: Traffic;
  readonly #leftOut: LeftOut;
  readonly #orders: OperatorOrders;
  readonly #fleet: Fleet;
  readonly #monitor: Monitor;
  readonly #nodeChecks: NodeChecks;
  readonly #registrar: Registrar;
  readonly #balancers: Balancers;
  readonly #startupGate: StartupGate;
  #damper: Damper<ClusterName>;
  readonly #balancerPlugins: BalancerPlugins;
  readonly #watches: Watches;
  readonly #prefixes: FollowedPrefixes;
  readonly #connectivity: Connectivity;
  readonly #announcement: Announcement;
  readonly #notifications: Notifications;
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #stopping = new AbortController();
  /** Ends the taking of new config: the first thing to stop, so that nothing is begun any more. */
  readonly #closing = new AbortController();
  readonly #renewed = new Set<string>();
  /** When all registries had reported, in a single run of the writer. */
  #heardMs: number | undefined;
  readonly #registrations = keptRegistrations();
  #isRegisteringSoon = false;
  readonly #configs: ConfigSource;
  /** What an operator sees of the app, and may ask of it. */
  readonly operator: Operator;
  /** What others may add to clusters. */
  readonly additions: Additions & { readonly all: readonly Addition[] };
  readonly #keptAdditions: KeptAdditions;
  #accepted: Accepted | undefined;
  /** The files that it was read from. */
  #sources: Taken["sources"] = new Map();

  constructor(options: AppOptions) {
    this.#options = options;
    const { clock, random, log, meter = UNMETERED, heartbeat, machine } = options;
    this.#log = log.part("app");
    const onLine = (child: string, line: string) => {
      log.part("writer").info("Child process output", { event: "balancer.child_output", child, line });
    };
    const makeEffects = machine?.effects ?? (() => new Executor({ isSole: true, onLine }));
    this.#connectivity = new Connectivity({ clock, log: this.#log, meter });
    const propagation = new Propagation({ clock, meter });
    this.#announcement = new Announcement({
      clock,
      random,
      log: this.#log,
      identify: options.identify,
      announces: options.role !== "writer",
      onChange: () => {
        this.#register();
        this.#balance();
      },
    });
    this.#leftOut = new LeftOut(() => clock.now());
    this.#fleet = new Fleet({
      clock,
      random,
      log: this.#leftOut.listen(log.part("fleet")),
      meter,
      ...heartbeat && { heartbeat },
      threads: machine?.threads,
      events: {
        onEvent: (key, event) => this.#onWorkerEvent(key, event),
        onReady: (key) => this.#onWorkerReady(key),
        onDown: (key, reason) => this.#onWorkerDown(key, reason),
        onStuck: (threads) => this.#onStuck(threads),
      },
    });
    this.#notifications = new Notifications({
      clock,
      random,
      log: log.part("notify"),
      meter,
      resolvedBy: (event) => [EVENTS[event]?.resolvedBy ?? []].flat(),
      isConfigured: (record) =>
        this.#accepted === undefined || isConfigured(record, this.#accepted, this.#fleet.status),
      host: () => this.#announcement.facts?.fqdn,
      deliver: (notifier, events, { timeoutMs, signal }) => this.#notify(notifier, events, { timeoutMs, signal }),
      onActive: () => this.#applyWorkers(),
    });
    this.#damper = this.#makeDamper(DEFAULT_SETTINGS);
    const { loadBalancer, once } = options;
    this.#balancerPlugins = new BalancerPlugins({
      loadBuiltin: loadBalancer,
      ...once?.reloads === false && { adapt: filesOnly },
      clock,
      random,
      log: log.part("plugin"),
      meter,
      hangs: this.#fleet.hangs,
    });
    this.#keptAdditions = new KeptAdditions({
      clock,
      wallNow: options.wallNow ?? Date.now,
      log: this.#log,
      path: options.stateDirectory && options.role !== "reporter" ? `${options.stateDirectory}/additions` : undefined,
      disk: machine?.disk,
      onChange: () => this.#configs.lookAgain(),
    });
    this.#configs = machine?.configs ??
      new Intake({
        ...options,
        additions: () => this.#keptAdditions.now,
        log: log.part("config"),
        balancerPlugins: this.#balancerPlugins,
        hangs: this.#fleet.hangs,
      });
    this.#membership = new MembershipGuard({
      live: this.#live,
      members: this.#members,
      clock,
      wallNow: options.wallNow ?? Date.now,
      log: this.#log,
      meter,
      propagation,
      askAgain: (cluster, source) => this.#watches.askAgain(cluster, source),
      onChange: (cluster) => {
        this.#traffic.note(cluster);
        this.#nodeChecks.note();
        this.#lastKnown.note();
        this.#damper.trigger(cluster);
      },
    });
    this.#watches = new Watches({
      fleet: this.#fleet,
      membership: this.#membership,
      clock,
      random,
      log: this.#log,
      meter,
      signal: this.#stopping.signal,
    });
    this.#prefixes = new FollowedPrefixes({
      follow: ({ discovery, prefix }, signal) => this.#fleet.keys(discoveryId(discovery), prefix, signal),
      clock,
      random,
      log: this.#log,
      onChange: () => this.#balance(),
    });
    this.#traffic = new Traffic({
      live: this.#live,
      clock,
      wallNow: options.wallNow ?? Date.now,
      onDue: () => this.#balance(),
    });
    this.#lastKnown = new LastKnown({
      live: this.#live,
      traffic: this.#traffic,
      members: this.#members,
      clock,
      wallNow: options.wallNow ?? Date.now,
      log: this.#log,
      makeEffects,
      disk: machine?.disk,
    });
    this.#orders = new OperatorOrders({
      clock,
      wallNow: options.wallNow ?? Date.now,
      log: this.#log,
      disk: machine?.disk,
      onChange: () => {
        this.#balancers.applyPauses();
        this.#balance();
        this.#register();
      },
    });
    this.operator = new AppOperator({
      role: options.role,
      dir: options.dir,
      clock,
      wallNow: options.wallNow ?? Date.now,
      log: this.#log,
      orders: this.#orders,
      accepted: () => this.#accepted,
      nodes: (cluster) => this.#live.nodes(cluster) ?? [],
      balancers: () => this.#balancers.running,
      registrations: () => this.#registrar.report,
      connections: findConnections,
    });
    this.additions = new AppAdditions({
      kept: this.#keptAdditions,
      clock,
      log: this.#log,
      accepted: () => this.#accepted,
      reading: () => this.#configs.reading,
    });
    this.#balancers = new Balancers({
      clock,
      random,
      log,
      meter,
      propagation,
      makeEffects,
      decide: machine?.decide,
      plugins: this.#balancerPlugins,
      lastKnown: this.#lastKnown,
      traffic: this.#traffic,
      orders: this.#orders,
      stateDirectory: options.stateDirectory,
      isReporter: options.role === "run",
      keys: (place) => this.#prefixes.find(place),
      isUnheard: ({ cluster }) => this.#live.nodes(cluster.name) === undefined && this.#isSilent(cluster),
      onApplied: options.onApplied,
      onInstalled: options.onInstalled,
      onFailure: (error) => this.#ended.reject(error),
    });
    this.#startupGate = new StartupGate({
      live: this.#live,
      membership: this.#membership,
      clock,
      log: this.#log,
      onDue: () => this.#balance(),
    });
    this.#monitor = new Monitor({
      clock,
      random,
      log: log.part("health"),
      meter,
      probe: (id, timeoutMs, signal) => this.#probe(id, timeoutMs, signal),
      onStatus: () => this.#registerSoon(),
    });
    this.#nodeChecks = new NodeChecks({
      clock,
      random,
      log: log.part("health"),
      meter,
      nodes: (cluster) => this.#live.nodes(cluster) ?? [],
      probe: (id, timeoutMs, signal) => this.#probe(id, timeoutMs, signal),
      onWorkers: () => this.#applyWorkers(),
      onHealth: (cluster, health) => this.#traffic.noteHealth(cluster, health),
    });
    this.#registrar = new Registrar({
      clock,
      random,
      log: log.part("registrar"),
      meter,
      change: (operation, registration, signal) => this.#change(operation, registration, signal),
    });
  }

  /** The parts as they stand, to be read alone. */
  get parts(): Parts {
    const { dir, role } = this.#options;
    return {
      dir,
      role,
      reading: this.#configs.reading,
      accepted: this.#accepted,
      live: this.#live,
      membership: this.#membership,
      members: this.#members,
      connectivity: this.#connectivity,
      announcement: this.#announcement,
      fleet: this.#fleet,
      monitor: this.#monitor,
      registrar: this.#registrar,
      balancers: this.#balancers.running,
      orders: this.#orders,
      traffic: this.#traffic,
      isStopping: this.#closing.signal.aborted,
    };
  }

  /** What only an operator asks for: what balancers have of their nodes, and what was left out of registries. */
  async details(): Promise<Details> {
    return { balancers: await this.#balancers.details(), leftOut: this.#leftOut };
  }

  /** Takes an event for the notifiers of the config. */
  hear(record: EventRecord): void {
    this.#notifications.hear(record);
  }

  /** Looks at the config directory again. */
  lookAgain(): void {
    this.#log.info("Rereading the config on request", { event: "config.reread" });
    this.#configs.lookAgain();
    this.#announcement.askAgain();
  }

  /** Ends the run as Lighthouse itself has failed. */
  fail(): void {
    this.#ended.resolve("broken");
  }

  /**
   * Runs until the signal is aborted, or until it cannot go on. After an end that a supervisor restarts, all nodes
   * stay registered until their sessions time out, so that the successor takes them over.
   */
  async run(signal: AbortSignal): Promise<Ending> {
    const { dir, role } = this.#options;
    const asked = () => this.#ended.resolve("stopped");
    signal.addEventListener("abort", asked, { once: true });
    if (signal.aborted) asked();
    const configuring = this.#configure(this.#closing.signal).catch((error) => {
      if (!this.#closing.signal.aborted) this.#ended.reject(error);
    });
    this.#log.info("Starting", { event: "process.starting", role, dir });
    const { once } = this.#options;
    if (once !== undefined) void this.#runOnce(once).then((ending) => this.#ended.resolve(ending));
    let isRestarted = true;
    try {
      const ending = await this.#ended.promise;
      isRestarted = ending === "stuck" || ending === "broken";
      return ending;
    } finally {
      signal.removeEventListener("abort", asked);
      this.#closing.abort();
      using late = deadline(CONFIGURE_END_MS, { clock: this.#options.clock });
      // What hangs there, a disk that is away for one, must not keep the nodes from being deregistered.
      await abortable(configuring, late.signal).catch(() => {});
      await this.#stop({ isRestarted });
    }
  }

  /** Waits until all is applied, or cannot be. */
  async #runOnce({ deadlineMs }: OnceOptions): Promise<"applied" | "unapplied"> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    const lateAt = clock.now() + deadlineMs;
    for (;;) {
      const progress = this.#accepted === undefined
        ? { state: "waiting", reason: "config not read yet" } as const
        : onceProgress({
          unheard: this.#unheard,
          heardMs: this.#heardMs,
          errors: this.#configs.reading.diagnostics.filter(({ severity }) => severity === "error").map((each) =>
            formatDiagnostic(each)
          ),
          configured: [...this.#accepted.balancers.keys()],
          balancers: new Map([...this.#balancers.running].map(([name, { writer }]) => [name, writer.standing])),
        });
      if (progress.state === "applied") {
        this.#log.info("All changes applied, exiting", {
          event: "once.applied",
          balancers: this.#balancers.running.size,
        });
        return "applied";
      }
      const isLate = clock.now() >= lateAt;
      if (progress.state === "failed" || isLate || signal.aborted) {
        const why = isLate ? `timed out after ${formatDuration(deadlineMs)}: ${progress.reason}` : progress.reason;
        this.#log.error("Changes not applied, exiting", { event: "once.failed", reason: why });
        return "unapplied";
      }
      // Sources that have no members yet may be heard without a change.
      if (this.#heardMs === undefined) this.#balance();
      await delay(ONCE_POLL_MS, { clock, signal }).catch(() => {});
    }
  }

  /** Whether a registry of a cluster has not reported, not even that there is no such cluster. */
  #isSilent({ name, sources }: Cluster): boolean {
    return sources.some((each) => {
      const key = { cluster: name, source: sourceKey(each) };
      const isThere = this.#accepted?.discovery.has(each.discovery) === true;
      return isThere && !this.#membership.heard(key) && !this.#watches.isMissing(key);
    });
  }

  /** The clusters and the keys of which no registry has reported. */
  get #unheard(): readonly string[] {
    if (this.#accepted === undefined) return [];
    const { clusters } = this.#accepted;
    const silent = [...clusters.values()].map(({ cluster }) => cluster).filter((cluster) => this.#isSilent(cluster));
    return [...silent.map(({ name }) => `cluster ${name}`), ...this.#prefixes.silent.map((place) => `keys ${place}`)];
  }

  /** Applies each config. */
  async #configure(signal: AbortSignal): Promise<void> {
    // Before the config: what was added is a part of it.
    await this.#keptAdditions.read();
    for await (const { accepted, sources } of this.#configs.configs(signal)) {
      if (accepted.host !== this.#accepted?.host) await this.#announcement.learn(accepted.host, signal);
      this.#sources = sources;
      this.#options.onTaken?.({ accepted, sources });
      await this.#apply(accepted);
      const { begunMs } = this.#configs.reading;
      if (begunMs !== undefined) {
        const { clock, meter = UNMETERED } = this.#options;
        meter.observe("lighthouse_config_apply_duration_seconds", {}, (clock.now() - begunMs) / 1_000);
      }
    }
    if (!signal.aborted) this.#ended.resolve("unconfigured");
  }

  async #apply(accepted: Accepted): Promise<void> {
    const { role } = this.#options;
    const before = this.#accepted?.settings ?? DEFAULT_SETTINGS;
    this.#accepted = accepted;
    if (JSON.stringify(accepted.settings.updates) !== JSON.stringify(before.updates)) {
      this.#damper[Symbol.dispose]();
      this.#damper = this.#makeDamper(accepted.settings);
    }
    if (role !== "reporter") {
      this.#lastKnown.apply(accepted, accepted.settings.maxAgeMs);
      await this.#balancers.apply(accepted);
      this.#traffic.apply(accepted);
      this.#nodeChecks.apply(accepted);
      // Before the workers: what is known is served first, and only then is it asked what is new.
      this.#watches.apply(accepted);
      this.#balance();
    }
    if (role === "reporter") {
      // Before anything is registered: what is drained stays so.
      const { stateDirectory } = this.#options;
      const drained = accepted.settings.drainedFile ?? (stateDirectory && `${stateDirectory}/drained`);
      if (drained !== undefined) await this.#orders.at(drained);
    }
    this.#connectivity.apply(new Set([...accepted.discovery.values()].map(({ instance: { id } }) => id)));
    this.#applyWorkers();
    this.#notifications.apply(new Map([...accepted.notifiers].map(([name, { rules }]) => [name, rules])));
    if (role !== "reporter") this.#prefixes.apply(accepted);
    if (role !== "writer") {
      this.#monitor.apply(monitoredPorts(accepted));
      this.#register();
    }
    this.#log.info("Config applied", {
      event: "config.applied",
      clusters: accepted.clusters.size,
      services: accepted.services.size,
      discovery: accepted.discovery.size,
      workers: this.#fleet.status.size,
    });
  }

  /** Has the worker of a notifier deliver events. */
  async #notify(
    notifier: string,
    events: readonly EventRecord[],
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const id = notifierId(notifier);
    const request = { type: "notify", instance: id, events, timeoutMs } as const;
    await this.#fleet.call(id, request, { deadlineMs: timeoutMs + PROBE_GRACE_MS, signal });
  }

  /** Derives the desired workers from the config, the members whose nodes are checked, and the active notifiers. */
  #applyWorkers(): void {
    const accepted = this.#accepted;
    if (accepted === undefined) return;
    const discovery = [...accepted.discovery.values()].map(({ instance }) => instance);
    const checks = this.#options.role === "writer"
      ? []
      : [...accepted.services.values()].flatMap(({ probes }) => probes.map(({ instance }) => instance));
    // A worker per notifier, while there is something to deliver: until then it costs nothing.
    const { active } = this.#notifications;
    const notifiers = [...accepted.notifiers].filter(([name]) => active.has(name)).map(([, { instance }]) => instance);
    const own = groupInstances([...discovery, ...checks, ...notifiers], accepted.settings.isolation);
    this.#fleet.apply([...own, ...this.#nodeChecks.workers]);
  }

  // The reporter's half: statuses become registrations.

  /**
   * Probes once. What the worker does not answer is unknown: neither its end nor its silence says anything of
   * the service. Only what the check itself says, or throws, is an outcome.
   */
  async #probe(id: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeOutcome> {
    try {
      const request = { type: "probe", instance: id, timeoutMs } as const;
      const answer = await this.#fleet.call(id, request, { deadlineMs: timeoutMs + PROBE_GRACE_MS, signal });
      return answer.type === "outcome" ? answer.outcome : {
        status: "unknown",
        reason: `Unexpected response type from the worker: expected outcome, received ${answer.type}`,
      };
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof WorkerError) return { status: "fail", reason };
      return { status: "unknown", reason: error instanceof WorkerDeadError ? `No worker: ${reason}` : reason };
    }
  }

  /** Registers once for all statuses that change in the same moment, as at the start of many services. */
  #registerSoon(): void {
    if (this.#isRegisteringSoon) return;
    this.#isRegisteringSoon = true;
    queueMicrotask(() => {
      this.#isRegisteringSoon = false;
      this.#register();
    });
  }

  /** Derives what is to be registered from the services and their statuses, whole. */
  #register(): void {
    const [accepted, host] = [this.#accepted, this.#announcement.announced];
    if (accepted === undefined || host === undefined || this.#stopping.signal.aborted) return;
    const statuses = this.#monitor.statuses;
    const { local } = this.#orders.now;
    this.#registrar.apply(
      this.#registrations(
        accepted,
        host,
        (key) => statuses.get(key) ?? "unknown",
        (name) => localDrainOf(local, name)?.how,
      ),
    );
  }

  async #change(
    operation: Operation,
    registration: Registration,
    signal: AbortSignal,
  ): Promise<{ readonly takenFrom: string } | void> {
    const { discovery, cluster, node, options, isDraining = false } = registration;
    const id = discoveryId(discovery);
    // A connection that is gone took all that it had registered with it.
    if (!this.#fleet.status.has(id)) {
      if (operation === "register") throw new Error(`No valid discovery/${discovery}.yaml`);
      return;
    }
    const request = {
      type: operation,
      cluster,
      registration: { node, state: isDraining ? "draining" : "up", ...options !== undefined && { config: options } },
      timeoutMs: CHANGE_TIMEOUT_MS,
    } as const;
    const done = await this.#fleet.call(id, request, { deadlineMs: CHANGE_TIMEOUT_MS + PROBE_GRACE_MS, signal });
    if (done.type === "ack" && done.takenFrom !== undefined) return { takenFrom: done.takenFrom };
  }

  // The writer's half: snapshots become what the balancers are to serve.

  /** Joins the changes of members, so that a storm of them is no storm for the balancers. */
  #makeDamper({ updates }: Settings): Damper<ClusterName> {
    return new Damper((changed) => {
      const changes = changed.map((cluster) => ({
        cluster,
        nodes: this.#live.nodes(cluster)?.length ?? 0,
        change: this.#live.takeChange(cluster),
      }));
      this.#balance();
      // Once the balancers are commanded: a line that is written may take longer than the commands.
      this.#options.clock.after(0, () => {
        for (const { cluster, nodes, change } of changes) {
          const { joined, left, altered }: MemberChanges = change ? memberChanges(change.before, change.now) : {};
          this.#log.info("Cluster changed", {
            event: "cluster.changed",
            cluster,
            nodes,
            ...joined !== undefined && { joined },
            ...left !== undefined && { left },
            ...altered !== undefined && { altered },
          });
        }
      });
    }, { ...updates, clock: this.#options.clock });
  }

  /** Gives each balancer the newest desired state. */
  #balance(): void {
    const [accepted, host] = [this.#accepted, this.#announcement.facts];
    if (accepted === undefined || host === undefined) return;
    if (this.#options.once !== undefined && this.#heardMs === undefined) {
      // Whoever runs once must not render what is not known yet.
      if (this.#unheard.length > 0) return;
      this.#heardMs = this.#options.clock.now();
    }
    if (!this.#startupGate.mayServe(accepted, this.#balancers.isServed, this.#prefixes.silent)) return;
    this.#balancers.put({ accepted, sources: this.#sources, topology: this.#live.topology, host });
  }

  // What workers say.

  #onWorkerEvent(key: string, event: WorkerEvent): void {
    switch (event.type) {
      case "log": {
        const log = this.#leftOut.listen(this.#options.log.part("plugin"));
        return log[event.level](event.message, { ...event.properties, worker: key });
      }
      case "connection":
        this.#watches.hear(key, event);
        return this.#connectivity.hear(key, event.state, event.detail);
      case "snapshot":
      case "lost":
        return this.#watches.hear(key, event);
      case "ended":
        // The fleet replaces the worker, and with it the session.
        return;
    }
  }

  /** A discovery's worker is new: nothing is watched or registered in its session yet. */
  async #onWorkerReady(key: string): Promise<void> {
    const discovery = discoveryOf(key);
    if (discovery === undefined) return;
    this.#watches.begin(key);
    const jitterMs = this.#renewed.has(key) ? RENEW_JITTER_MS : 0;
    this.#renewed.add(key);
    using late = deadline(RENEW_DEADLINE_MS, { clock: this.#options.clock, signal: this.#stopping.signal });
    await this.#registrar.renew(discovery, { jitterMs, signal: late.signal });
  }

  #onWorkerDown(key: string, reason: string): void {
    this.#connectivity.lose(key, reason);
    this.#watches.lose(key, reason);
  }

  #onStuck(threads: number): void {
    if (threads === 0) return;
    const at = { threads, most: STUCK_THREADS_MAX };
    this.#log.error("Stuck worker thread (100% CPU); restart required", { event: "worker.stuck", ...at });
    if (threads >= STUCK_THREADS_MAX) this.#ended.resolve("stuck");
  }

  /**
   * Takes the nodes back, and waits until the other hosts have heard of it:
   * whoever ends the services when this process has ended ends nobody's requests.
   */
  async #withdraw(): Promise<void> {
    const { clock } = this.#options;
    const { deregisterGraceMs: graceMs } = this.#accepted?.settings ?? DEFAULT_SETTINGS;
    using late = deadline(WITHDRAW_DEADLINE_MS, { clock });
    const hadAny = await this.#registrar.withdrawAll(late.signal);
    if (!hadAny || graceMs === 0) return;
    this.#log.info("Nodes deregistered; waiting for clients to drain", {
      event: "registration.draining",
      graceMs,
    });
    await delay(graceMs, { clock, signal: this.#stopping.signal });
  }

  /** Ends all parts: first all nodes are deregistered, unless a successor takes them over; then what is open is closed. */
  async #stop({ isRestarted }: { readonly isRestarted: boolean }): Promise<void> {
    const { role } = this.#options;
    this.#log.info("Stopping", { event: "process.stopping", role });
    this.#startupGate[Symbol.dispose]();
    this.#keptAdditions[Symbol.dispose]();
    this.#connectivity[Symbol.dispose]();
    this.#announcement[Symbol.dispose]();
    this.#membership[Symbol.dispose]();
    this.#damper[Symbol.dispose]();
    this.#traffic[Symbol.dispose]();
    await this.#nodeChecks[Symbol.asyncDispose]();
    await this.#monitor[Symbol.asyncDispose]();
    if (!isRestarted) await this.#withdraw();
    else if (role !== "writer") {
      this.#log.info("Nodes stay registered for the next process", { event: "registration.kept" });
    }
    this.#stopping.abort();
    // While its workers are there.
    await this.#notifications[Symbol.asyncDispose]();
    await this.#prefixes[Symbol.asyncDispose]();
    await Promise.all([
      this.#balancers[Symbol.asyncDispose](),
      isRestarted ? this.#fleet.abandon() : this.#fleet[Symbol.asyncDispose](),
      this.#lastKnown[Symbol.asyncDispose](),
      this.#orders[Symbol.asyncDispose](),
      this.#registrar[Symbol.asyncDispose](),
    ]);
    await this.#balancerPlugins[Symbol.asyncDispose]();
    // Without a config no balancer was ever looked after, and a reporter has none.
    const hasBalancer = role !== "reporter" && (this.#accepted?.balancers.size ?? 0) > 0;
    const what = hasBalancer ? "Stopped; HAProxy keeps running" : "Stopped";
    this.#log.info(what, { event: "process.stopped", role });
  }
}
