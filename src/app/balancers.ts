import type { BalancerEffects } from "../balance/effects.ts";
import { type Applied, Writer, type WriterDecide } from "../balance/writer.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { Meter } from "../metrics/meter.ts";
import { meterEffects } from "../balance/metered_effects.ts";
import { deadline } from "../kernel/deadline.ts";
import type { ClusterName, Topology } from "../model/topology.ts";
import type { HostFacts, NodeDetail, Step } from "../plugin/contract.ts";
import { UndecidedError } from "../plugin/decider.ts";
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import type { BalancerPlugins } from "./balancer_plugins.ts";
import type { Traffic } from "../membership/traffic.ts";
import { clusterNames, type FindKeys, type Share, WantedComposer, type WantedParts } from "../membership/wanted.ts";
import type { Taken } from "../config/reading.ts";
import type { LastKnown } from "../membership/last_known.ts";
import type { OperatorOrders } from "../membership/operator_orders.ts";
import { pauseOf } from "../model/override.ts";
import type { Propagation } from "../membership/propagation.ts";
import { placed } from "../config/place.ts";
import { overridesFiles, topologyFileOf } from "./kept_files.ts";

export interface BalancersOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Gives each part its logger. */
  readonly log: { part(name: string): Logger };
  readonly meter: Meter;
  /** Measures how long changes of members take. */
  readonly propagation: Propagation;
  /** Makes what acts on a balancer. */
  readonly makeEffects: () => BalancerEffects;
  /** Where the plugins come from, to be ended with the balancers. */
  readonly plugins: Pick<BalancerPlugins, "end" | "keep">;
  /** Knows the members that were served last. */
  readonly lastKnown: Pick<LastKnown, "at" | "adopt">;
  /** Shares the requests of clusters among their nodes. */
  readonly traffic: Pick<Traffic, "begin" | "share" | "asksForDown" | "noteDown">;
  /** What operators have said. */
  readonly orders: Pick<OperatorOrders, "at" | "now">;
  /** Where this process may keep its state; `undefined` if no supervisor says. */
  readonly stateDirectory?: string | undefined;
  /** Whether the same process reports this host's services. */
  readonly isReporter?: boolean | undefined;
  /** Knows the keys that balancers read. */
  readonly keys?: FindKeys | undefined;
  /** Whether nothing is known of a cluster's members. */
  readonly isUnheard?: WantedParts["isUnheard"];
  /** Decides for the writers, if not as usual. */
  readonly decide?: WriterDecide | undefined;
  /** Called after each turn of a balancer's writer. */
  readonly onApplied?: ((balancer: string, applied: Applied) => void) | undefined;
  /** Called with each file of a balancer that was replaced. */
  readonly onInstalled?: ((balancer: string, step: Step & { readonly do: "install" }) => void) | undefined;
  /** Called when a writer cannot go on. */
  readonly onFailure: (error: unknown) => void;
}

/** What a balancer has of its nodes, by cluster; `silence`: why it does not say. */
export interface BalancerDetails {
  readonly nodes: ReadonlyMap<ClusterName, readonly NodeDetail[]>;
  readonly silence?: string | undefined;
}

/** How long a balancer may take to say what it has of its nodes. */
const DETAILS_DEADLINE_MS = 5_000;

/** A balancer that is kept in sync. */
export interface RunningBalancer {
  /** The config that it has now; its plugin stays the same. */
  accepted: AcceptedBalancer;
  /** Makes what it is to serve. */
  readonly composer: WantedComposer;
  /** Keeps it in sync. */
  readonly writer: Writer<unknown, unknown, unknown>;
  /** Ends the writer. */
  readonly controller: AbortController;
  /** Resolves when the writer has ended. */
  readonly done: Promise<void>;
}

/** The balancers of this host, each with a writer of its own: begun, given what to serve and ended as the config says. */
export class Balancers implements AsyncDisposable {
  readonly #options: BalancersOptions;
  readonly #log: Logger;
  readonly #running = new Map<string, RunningBalancer>();
  #isServed = false;

  /** Has none before a config is applied. */
  constructor(options: BalancersOptions) {
    this.#options = options;
    this.#log = options.log.part("app");
  }

  /** Those that are kept in sync, by name. */
  get running(): ReadonlyMap<string, RunningBalancer> {
    return this.#running;
  }

  /** Whether one of them ran already when its writer was begun. */
  get isServed(): boolean {
    return this.#isServed;
  }

  /** Begins and ends writers as a config says; each new one has the members adopted that its balancer serves. */
  async apply(accepted: Accepted): Promise<void> {
    const { plugins, lastKnown, orders } = this.#options;
    for (const [name, running] of this.#running) {
      if (accepted.balancers.has(name)) continue;
      this.#log.warn("Balancer config removed; balancer keeps running unmanaged", {
        event: "balancer.unmanaged",
        balancer: name,
      });
      this.#running.delete(name);
      // Its file may come back: there must never be two writers of one balancer.
      await this.#end(running);
    }
    const topologyFile = await topologyFileOf(accepted);
    if (topologyFile !== undefined) await lastKnown.at(topologyFile);
    // Before a writer begins: a balancer may be paused.
    await orders.at(...overridesFiles(accepted.settings, topologyFile, this.#options));
    for (const [name, balancer] of accepted.balancers) {
      const running = this.#running.get(name);
      if (running?.accepted.plugin === balancer.plugin) {
        running.accepted = balancer;
        continue;
      }
      if (running !== undefined) await this.#end(running);
      if (await lastKnown.adopt(balancer, clusterNames(accepted))) this.#isServed = true;
      this.#running.set(name, this.#begin(name, balancer));
    }
    await plugins.keep(new Set([...accepted.balancers.values()].map(({ plugin }) => plugin)));
  }

  /** Pauses and resumes the writers as operators have said. */
  applyPauses(): void {
    for (const [name, { writer }] of this.#running) writer.pause(this.#isPaused(name));
  }

  /** Asks each balancer what it has of its nodes, for an operator; a reason where it does not answer. */
  async details(): Promise<ReadonlyMap<string, BalancerDetails>> {
    const all = [...this.#running].map(async ([name, running]) => [name, await this.#detailsOf(running)] as const);
    return new Map(await Promise.all(all));
  }

  /** Puts the newest desired state into each one's slot. */
  put({ accepted, sources, topology, host }: {
    readonly accepted: Accepted;
    /** The files that the config was read from. */
    readonly sources: Taken["sources"];
    readonly topology: Topology;
    readonly host: HostFacts;
  }): void {
    const { traffic, keys, isUnheard } = this.#options;
    const share: Share = (request) => traffic.share(request);
    for (const [name, { writer, composer, accepted: balancer }] of this.#running) {
      const { overrides } = this.#options.orders.now;
      traffic.begin(name);
      writer.put(composer.compose(balancer, accepted, topology.clusters, host, share, overrides, { keys, isUnheard }), {
        generation: topology.generation,
        locate: (origin, text) => placed({ accepted, sources, balancer: name }, origin, text),
      });
    }
  }

  /** Ends all writers; the balancers go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map((running) => this.#end(running)));
  }

  #begin(name: string, accepted: AcceptedBalancer): RunningBalancer {
    const { clock, random, log, meter, propagation, onApplied, onInstalled, onFailure, makeEffects, decide } =
      this.#options;
    const controller = new AbortController();
    const effects = meterEffects(makeEffects(), {
      balancer: name,
      clock,
      meter,
      ...onInstalled && { onInstalled: (step) => onInstalled(name, step) },
    });
    propagation.begin(name);
    const writer = new Writer({
      name,
      balancer: accepted.plugin,
      effects,
      clock,
      random,
      log: named(log.part("writer"), name),
      meter,
      ...decide && { decide },
      onObserved: (observed) => void this.#noteDown(name, accepted.plugin, observed),
      onServed: (generation, clusters) => propagation.served(name, generation, clusters),
      onApplied: (applied) => {
        meter.observe("lighthouse_balancer_turn_duration_seconds", { balancer: name }, applied.tookMs / 1_000);
        onApplied?.(name, applied);
      },
    });
    if (this.#isPaused(name)) writer.pause(true);
    const done = writer.run(controller.signal).catch(onFailure).finally(() => {
      propagation.end(name);
      effects[Symbol.dispose]?.();
    });
    return { accepted, composer: new WantedComposer(name), writer, controller, done };
  }

  /** Hears which nodes a balancer finds down, where a policy asks for that. */
  async #noteDown(name: string, plugin: AcceptedBalancer["plugin"], observed: unknown): Promise<void> {
    const { traffic } = this.#options;
    if (!traffic.asksForDown || plugin.nodesDown === undefined) return;
    try {
      traffic.noteDown(name, await plugin.nodesDown(observed));
    } catch (error) {
      // What was known of them stays.
      if (!(error instanceof UndecidedError)) throw error;
    }
  }

  async #detailsOf({ accepted: { plugin, config } }: RunningBalancer): Promise<BalancerDetails> {
    using late = deadline(DETAILS_DEADLINE_MS, { clock: this.#options.clock });
    // Beside the writer, whose connection is its own.
    const effects = this.#options.makeEffects();
    try {
      const sources = await plugin.sources(config);
      if (sources.kind === "files" || sources.contact.by !== "commands" || plugin.nodeDetails === undefined) {
        return { nodes: new Map() };
      }
      const { details } = sources.contact;
      if (details === undefined) return { nodes: new Map() };
      const asked = { ...sources, contact: { ...sources.contact, queries: details } };
      const { answers } = await effects.observe(asked, () => undefined, late.signal);
      if (answers === undefined) return { nodes: new Map(), silence: "no response on its socket" };
      return { nodes: await plugin.nodeDetails(answers) };
    } catch (error) {
      return { nodes: new Map(), silence: error instanceof Error ? error.message : String(error) };
    } finally {
      effects[Symbol.dispose]?.();
    }
  }

  #isPaused(name: string): boolean {
    return pauseOf(this.#options.orders.now.pauses, name) !== undefined;
  }

  /** Ends a balancer's writer, which must not wait for a plugin that hangs. */
  async #end({ accepted, controller, done }: RunningBalancer): Promise<void> {
    controller.abort();
    await this.#options.plugins.end(accepted.plugin);
    await done;
  }
}

/** Has each record say which balancer it is about: there may be several, and not every message names it. */
function named(log: Logger, balancer: string): Logger {
  return {
    debug: (text, properties) => log.debug(text, { balancer, ...properties }),
    info: (text, properties) => log.info(text, { balancer, ...properties }),
    warn: (text, properties) => log.warn(text, { balancer, ...properties }),
    error: (text, properties) => log.error(text, { balancer, ...properties }),
  };
}
