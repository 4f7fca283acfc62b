import type { Clock } from "../kernel/clock.ts";
import type { ClusterName } from "../model/topology.ts";
import type { Notice, Rendered, Seen, Step, Wanted } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { Acceptance, type Target } from "./acceptance.ts";
import type { StepFailure } from "./effects.ts";
import type { OperatorLog, Place } from "./operator_log.ts";

/** What {@linkcode Planner} is made of. */
export interface PlannerOptions<Config, ClusterConfig, Observed> {
  /** Decides. */
  readonly balancer: Decider<Config, ClusterConfig, Observed>;
  /** Time, for what was refused is tried again. */
  readonly clock: Clock;
  /** Is told of refusals, and of why there is no plan. */
  readonly told: OperatorLog;
}

/**
 * Has the balancer's plugin render and plan, for as much of a wish as the
 * balancer takes: remembers what it took and what it refused.
 */
export class Planner<Config, ClusterConfig, Observed> {
  readonly #balancer: Decider<Config, ClusterConfig, Observed>;
  readonly #clock: Clock;
  readonly #told: OperatorLog;
  readonly #acceptance = new Acceptance<Config, ClusterConfig>();
  #rendered: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Rendered } | undefined;

  /** Knows of nothing that was taken or refused. */
  constructor({ balancer, clock, told }: PlannerOptions<Config, ClusterConfig, Observed>) {
    [this.#balancer, this.#clock, this.#told] = [balancer, clock, told];
  }

  /** Whether anything was ever seen in force. */
  get hasServed(): boolean {
    return this.#acceptance.some;
  }

  /** What an operator should know of the target that was last rendered. */
  get notices(): readonly Notice[] {
    return this.#rendered?.is.notices ?? [];
  }

  /** The earliest time at which something that was refused is to be tried again. */
  retryAt(now: number): number {
    return this.#acceptance.retryAt(now);
  }

  /** Makes a target of a wish, which is the wish itself if nothing of it was refused. */
  async aim(wanted: Wanted<Config, ClusterConfig>, { answers, file }: Seen): Promise<Target<Config, ClusterConfig>> {
    const isAsked = this.#acceptance.refusesCluster && answers !== undefined && file !== undefined;
    const served = new Set<ClusterName>(isAsked ? (await this.#balancer.adopt(file, wanted.config)).keys() : []);
    return this.#acceptance.compose(wanted, { now: this.#clock.now(), served: () => served });
  }

  /**
   * Plans the way to a target, with a reload if need be, or `because` one is to
   * be made; `undefined` if its structure has to wait, or if a reload is needed
   * that cannot be made, which is told.
   */
  async plan(
    { wanted: target, held }: Target<Config, ClusterConfig>,
    observed: Observed,
    because: string | undefined,
  ): Promise<readonly Step[] | undefined> {
    const rendered = await this.#render(target);
    if (held) return undefined;
    try {
      return await this.#balancer.plan(target, rendered, observed, { reload: true, because });
    } catch (error) {
      if (error instanceof UndecidedError) throw error;
      this.#told.tellFault(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** Plans what needs no reload: members come and go in what was last in force. */
  async planMeanwhile(
    wanted: Wanted<Config, ClusterConfig>,
    { wanted: target }: Target<Config, ClusterConfig>,
    observed: Observed,
  ): Promise<readonly Step[]> {
    const standIn = this.#acceptance.inForce(wanted) ?? target;
    return await this.#balancer.plan(standIn, await this.#balancer.render(standIn), observed, { reload: false });
  }

  /** Notes that the balancer was seen to serve a target. */
  accept(target: Wanted<Config, ClusterConfig>): void {
    this.#acceptance.accept(target);
  }

  /**
   * Notes that a target made of `wanted` was refused, and tells why and what
   * becomes of it. Answers whether there is something else to try.
   */
  async refuse(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    { message }: StepFailure,
    { retryAt, place }: {
      /** When to try again what was refused so many times. */
      readonly retryAt: (times: number) => number;
      readonly place: Place;
    },
  ): Promise<boolean> {
    const { cluster, faults } = await this.#balancer.explain?.(await this.#render(target), message) ??
      { cluster: undefined, faults: [{ message, remedy: [] }] };
    const lines = faults.flatMap(({ remedy }) => remedy);
    const fate = this.#acceptance.refuse(wanted, target, { cluster, lines, retryAt });
    // A process goes on with what it has, though nothing else is known to be tried.
    const told = fate === "nothing" && this.#acceptance.some ? "kept" : fate;
    this.#told.tellRefusal({ cluster, faults, fate: told }, place);
    return fate !== "nothing";
  }

  async #render(wanted: Wanted<Config, ClusterConfig>): Promise<Rendered> {
    if (this.#rendered?.of !== wanted) this.#rendered = { of: wanted, is: await this.#balancer.render(wanted) };
    return this.#rendered.is;
  }
}
