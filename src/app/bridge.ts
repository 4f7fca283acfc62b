import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { LiveTopology } from "../membership/live_topology.ts";
import { MembershipGuard, singlePolicy } from "../membership/membership_guard.ts";
import type { Node } from "../model/node.ts";
import type { ClusterSnapshot } from "../model/topology.ts";
import { Registrar, type Registration } from "../reporter/registrar.ts";
import { addressOf, type BridgePlan, planBridge } from "./bridge_plan.ts";
import type { ClusterSource } from "./cluster_source.ts";
import { RegistryConnection } from "./registry_connection.ts";

/** How long a change of the target may take. */
const CHANGE_TIMEOUT_MS = 5_000;
/** The message of an answer needs its time. */
const ANSWER_GRACE_MS = 200;

/** How the two registries stand. */
export interface BridgeState {
  /** The source's accepted nodes; `undefined` before its first answer. */
  readonly source: readonly Node[] | undefined;
  /** What the target has; `undefined` before its first answer. */
  readonly target: readonly Node[] | undefined;
  /** What is to be done; `undefined` while a registry was not heard, and for an empty source. */
  readonly plan: BridgePlan | undefined;
  /** Why each registry cannot be read at present. */
  readonly trouble: { readonly source: string | undefined; readonly target: string | undefined };
}

export interface BridgeOptions {
  readonly source: ClusterSource;
  readonly target: ClusterSource;
  /** The section of a service for the target's discovery, validated; absent if there is none. */
  readonly serviceOptions?: unknown;
  readonly removeOthers: boolean;
  /** Whether the plan is carried out. */
  readonly isWriting: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called after each answer of a registry, and each change of their connections. */
  readonly onState: (state: BridgeState) => void;
}

/**
 * Makes one registry have the nodes that another has. What the source reports passes the guard of its cluster; what the
 * target reports does not, as it is only compared. When a bridge ends, what it registered stays until its lease or
 * session runs out, so that a successor can take over.
 */
export class Bridge implements AsyncDisposable {
  readonly #options: BridgeOptions;
  readonly #live = new LiveTopology();
  readonly #guard: MembershipGuard;
  readonly #registrar: Registrar;
  readonly #source: RegistryConnection;
  readonly #target: RegistryConnection;
  #there: ClusterSnapshot | undefined;
  #own: ReadonlySet<string> = new Set();

  /** Opens both connections in the background. */
  constructor(options: BridgeOptions) {
    this.#options = options;
    const { source, target, clock, random, log } = options;
    this.#guard = new MembershipGuard({
      live: this.#live,
      clock,
      log,
      askAgain: () => this.#source.askAgain(),
      onChange: () => this.#update(),
    });
    const { name } = source.discovery.file;
    const at = { cluster: source.cluster, source: name };
    this.#guard.apply(new Map([[source.cluster, singlePolicy(name, source.guard)]]));
    this.#registrar = new Registrar({
      clock,
      random,
      log,
      change: async (type, { node, options: config }, signal) => {
        const registration = { node, state: "up", ...config !== undefined && { config } } as const;
        const request = { type, cluster: target.cluster, registration, timeoutMs: CHANGE_TIMEOUT_MS } as const;
        const deadlineMs = CHANGE_TIMEOUT_MS + ANSWER_GRACE_MS;
        const done = await this.#target.call(request, { deadlineMs, signal });
        if (done.type === "ack" && done.takenFrom !== undefined) return { takenFrom: done.takenFrom };
      },
    });
    this.#source = new RegistryConnection({
      source,
      isWatching: true,
      clock,
      random,
      events: {
        onFacts: (facts) => this.#guard.hear(facts, name),
        onTrouble: (reason) => {
          if (reason === undefined) this.#guard.connected([at]);
          else this.#guard.lostSight([at], reason, { until: "connected" });
          this.#update();
        },
      },
    });
    this.#target = new RegistryConnection({
      source: target,
      isWatching: true,
      clock,
      random,
      events: {
        onFacts: (facts) => {
          this.#there = facts;
          this.#update();
        },
        onTrouble: () => this.#update(),
        onSession: () =>
          this.#registrar.renew(target.discovery.file.name, {
            jitterMs: 0,
            signal: AbortSignal.timeout(CHANGE_TIMEOUT_MS),
          }),
      },
    });
  }

  /** How the two registries stand now. */
  get state(): BridgeState {
    const { source: { cluster }, removeOthers } = this.#options;
    const source = this.#live.heard(cluster) ? this.#live.nodes(cluster) : undefined;
    const target = this.#there?.nodes;
    const plan = source && target && planBridge({ source, target, own: this.#own, removeOthers });
    return { source, target, plan, trouble: { source: this.#source.trouble, target: this.#target.trouble } };
  }

  /** Ends; nothing is removed from the target. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#guard[Symbol.dispose]();
    await this.#registrar[Symbol.asyncDispose]();
    await Promise.all([this.#source[Symbol.asyncDispose](), this.#target.abandon()]);
  }

  #update(): void {
    const { target, serviceOptions: options, isWriting, onState } = this.#options;
    const { state } = this;
    onState(state);
    const { plan } = state;
    if (!isWriting || plan === undefined) return;
    this.#own = new Set(plan.register.map(addressOf));
    const at = { discovery: target.discovery.file.name, cluster: target.cluster };
    const registration = (node: Node, wanted: Registration["wanted"]): Registration => ({
      ...at,
      node,
      wanted,
      ...options !== undefined && { options },
    });
    this.#registrar.apply([
      ...plan.register.map((node) => registration(node, "present")),
      ...plan.remove.map((node) => registration(node, "absent")),
    ]);
  }
}
