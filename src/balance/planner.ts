import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/random.ts";
import type { ClusterName } from "../model/topology.ts";
import type { BalancerSources, Notice, PlanAllowance, Rendered, Seen, Step, Wanted } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import {
  type Acceptance,
  compose,
  lastApplied,
  retryAt,
  type Target,
  withAccepted,
  withoutOther,
  withRejected,
} from "./acceptance.ts";
import type { CommandMemory, Recalled } from "./command_memory.ts";
import type { StepFailure } from "./effects.ts";
import type { Locate, OperatorLog } from "./operator_log.ts";
import { childAt, type Pace, withReloadDue } from "./pace.ts";
import { setAside, type WaitingFile } from "./waiting_file.ts";

/** What there is, and what is wanted of it: what a decision is made from. */
export interface View<Config, ClusterConfig, Observed> {
  /** Where the balancer was looked at. */
  readonly sources: BalancerSources;
  /** What the host saw there. */
  readonly seen: Seen;
  /** What the plugin made of that. */
  readonly observed: Observed;
  /** The wish, with the version of the program. */
  readonly wanted: Wanted<Config, ClusterConfig>;
  /** As much of the wish as the balancer takes. */
  readonly target: Target<Config, ClusterConfig>;
  /** The random part of the time after which a reload is made that may be. */
  readonly reloadJitterMs: number;
}

/** What a writer remembers; its parts are values, each replaced when it changes. */
export interface Memory<Config, ClusterConfig> {
  pace: Pace;
  file: WaitingFile;
  commands: CommandMemory;
  acceptance: Acceptance<Config, ClusterConfig>;
}

/** What a view comes to. */
export interface Decision {
  /** What to do at once. */
  readonly steps: readonly Step[];
  /** The same as a text. */
  readonly planned: string;
  /** Whether the target is in force, but for what `steps` do at leisure. */
  readonly inForce: boolean;
  /** When what is held may be done, a reload or the start of a child; `Infinity` if nothing is. */
  readonly reloadAt: number;
}

export interface PlannerOptions<Config, ClusterConfig, Observed> {
  /** Decides. */
  readonly balancer: Decider<Config, ClusterConfig, Observed>;
  /** Time: what was refused is tried again, and reloads keep their rate. */
  readonly clock: Clock;
  /** Is told of refusals, and of why there is no plan. */
  readonly told: OperatorLog;
  /** Chance, for the jitter of reloads. */
  readonly random: Random;
  /** Says when a reload may be made, and what was rejected; notes the file that may wait of each plan. */
  readonly memory: Memory<Config, ClusterConfig>;
}

/**
 * Decides what is to be done now: has the balancer's plugin render and plan,
 * for as much of a wish as the balancer takes, and without a reload until one
 * may be made. Remembers what the balancer took and what it refused.
 */
export class Planner<Config, ClusterConfig, Observed> {
  readonly #balancer: Decider<Config, ClusterConfig, Observed>;
  readonly #clock: Clock;
  readonly #told: OperatorLog;
  readonly #random: Random;
  readonly #memory: Memory<Config, ClusterConfig>;
  #rendered: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Rendered } | undefined;

  /** Knows of nothing that was taken or refused. */
  constructor({ balancer, clock, told, random, memory }: PlannerOptions<Config, ClusterConfig, Observed>) {
    [this.#balancer, this.#clock, this.#told] = [balancer, clock, told];
    [this.#random, this.#memory] = [random, memory];
  }

  /** Whether anything was ever seen in force. */
  get hasServed(): boolean {
    return this.#memory.acceptance.accepted !== undefined;
  }

  /** What an operator should know of the target that was last rendered. */
  get notices(): readonly Notice[] {
    return this.#rendered?.is.notices ?? [];
  }

  /** The earliest time at which something that was refused is to be tried again. */
  retryAt(now: number): number {
    return retryAt(this.#memory.acceptance, now);
  }

  /** Makes a target of a wish, which is the wish itself if nothing of it was refused. */
  async aim(
    wanted: Wanted<Config, ClusterConfig>,
    seen: Seen,
    sources: BalancerSources,
  ): Promise<Target<Config, ClusterConfig>> {
    const memory = this.#memory;
    const isAsked = memory.acceptance.clusters.size > 0 || wanted.unknown !== undefined;
    const served = isAsked
      ? await servedBy(this.#balancer, { seen, sources, config: wanted.config })
      : new Set<ClusterName>();
    memory.acceptance = withoutOther(memory.acceptance, wanted);
    const target = compose(memory.acceptance, wanted, { now: this.#clock.now(), served });
    const unknown = servedUnknown(wanted, served);
    if (unknown.length === 0) return target;
    this.#told.tellKeptClusters(
      unknown,
      `${this.#told.name} serves ${unknown.join(", ")}, whose config cannot be used: it goes on as it runs, and ` +
        "nothing that takes a reload is done before that config is mended, or its file removed",
    );
    return { ...target, held: true };
  }

  /**
   * Decides what is to be done now. `because`: why there must be a reload,
   * though the plan could do without. `plannedBefore`: the steps that were
   * carried out last; planned again although they went well, they are no
   * reason to doubt that the target is in force.
   */
  async decide(
    { observed, wanted, target, reloadJitterMs }: View<Config, ClusterConfig, Observed>,
    { because, plannedBefore, known, owesNotify = false }: {
      readonly because: string | undefined;
      readonly plannedBefore: string | undefined;
      /** What commands came to so far. */
      readonly known: Recalled;
      /** Whether nobody is known to have read the files as they are. */
      readonly owesNotify?: boolean;
    },
  ): Promise<Decision> {
    const steps = await this.#plan(target, observed, { reload: true, because, owesNotify, ...known });
    const memory = this.#memory;
    const now = this.#clock.now();
    let reloadAt = Infinity;
    if (steps !== undefined && !steps.some(isPaced)) {
      memory.pace = { ...memory.pace, reloadDueAt: undefined };
      const allowed = this.#setAside(steps);
      // A child that ended soon after each of its starts rests longer and longer.
      const atOnce = allowed.filter((step) => step.do !== "supervise" || childAt(memory.pace, step) <= now);
      const nextChildAt = Math.min(
        ...allowed.flatMap((step) => step.do === "supervise" ? [childAt(memory.pace, step)] : []),
      );
      const planned = JSON.stringify(atOnce);
      const isLeftover = planned === plannedBefore && !steps.some((step) => step.do === "supervise");
      const inForce = allowed.length === 0 || isLeftover;
      return { steps: atOnce, planned, inForce, reloadAt: nextChildAt > now ? nextChildAt : Infinity };
    }
    if (steps !== undefined) {
      memory.pace = withReloadDue(memory.pace, now, reloadJitterMs, this.#random);
      reloadAt = memory.pace.reloadDueAt ?? now;
      if (now >= reloadAt) return { steps, planned: JSON.stringify(steps), inForce: false, reloadAt: Infinity };
    }
    // Until the reload may be, members come and go in what runs.
    const meanwhile = await this.#planMeanwhile(wanted, target, { observed, known });
    const atOnce = this.#setAside(meanwhile);
    return { steps: atOnce, planned: JSON.stringify(atOnce), inForce: false, reloadAt };
  }

  /** Notes that the balancer was seen to serve a target. */
  accept(target: Wanted<Config, ClusterConfig>): void {
    this.#memory.acceptance = withAccepted(this.#memory.acceptance, target);
  }

  /**
   * Notes that a target made of `wanted` was refused, and tells why and what
   * becomes of it. Answers whether there is something else to try; `blameless`
   * if no config is to blame, which is for others to tell.
   */
  async refuse(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    { kind, message }: StepFailure,
    { retryAt, locate }: {
      /** When to try again what was refused so many times. */
      readonly retryAt: (times: number) => number;
      readonly locate: Locate;
    },
  ): Promise<"more" | "nothing" | "blameless"> {
    const { cluster, faults } = await this.#balancer.explain?.(await this.#render(target), message) ??
      { cluster: undefined, faults: [{ message, remedy: [] }] };
    if (faults.length === 0) return "blameless";
    const lines = faults.flatMap(({ remedy }) => remedy);
    const [acceptance, fate] = withRejected(this.#memory.acceptance, wanted, target, { cluster, lines, retryAt });
    this.#memory.acceptance = acceptance;
    // A process goes on with what it has, though nothing else is known to be tried.
    const told = fate === "nothing" && this.hasServed ? "kept" : fate;
    const refusal = { cluster, faults, fate: told };
    // No line of a config is wrong where somebody else holds its address.
    if (kind === "address") this.#told.tellTakenAddress(refusal, locate);
    else this.#told.tellRefusal(refusal, locate);
    return fate === "nothing" ? "nothing" : "more";
  }

  /**
   * Plans the way to a target, with a reload if need be, or because one is to
   * be made; `undefined` if its structure has to wait, or if a reload is needed
   * that cannot be made, which is told.
   */
  async #plan(
    { wanted: target, held }: Target<Config, ClusterConfig>,
    observed: Observed,
    allowed: PlanAllowance,
  ): Promise<readonly Step[] | undefined> {
    const rendered = await this.#render(target);
    if (held) return undefined;
    try {
      return await this.#balancer.plan(target, rendered, observed, allowed);
    } catch (error) {
      if (error instanceof UndecidedError) throw error;
      this.#told.tellFault(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** Plans what needs no reload: members come and go in what was last in force. */
  async #planMeanwhile(
    wanted: Wanted<Config, ClusterConfig>,
    { wanted: target }: Target<Config, ClusterConfig>,
    { observed, known }: { readonly observed: Observed; readonly known: Recalled },
  ): Promise<readonly Step[]> {
    const standIn = lastApplied(this.#memory.acceptance, wanted) ?? target;
    return await this.#balancer.plan(standIn, await this.#balancer.render(standIn), observed, {
      reload: false,
      ...known,
    });
  }

  /** Takes the files that may wait out of a plan. */
  #setAside(steps: readonly Step[]): readonly Step[] {
    const { file, rest } = setAside(this.#memory.file, steps, this.#clock.now());
    this.#memory.file = file;
    return rest;
  }

  async #render(wanted: Wanted<Config, ClusterConfig>): Promise<Rendered> {
    if (this.#rendered?.of !== wanted) this.#rendered = { of: wanted, is: await this.#balancer.render(wanted) };
    return this.#rendered.is;
  }
}

/** Whether a step bothers what serves, so that it keeps a rate. */
function isPaced({ do: what }: Step): boolean {
  return what === "reload" || what === "notify";
}

/** The clusters that a balancer serves: those of its files, if its process runs or there is none. */
export async function servedBy<Config>(
  balancer: Pick<Decider<Config>, "adopt">,
  { seen: { answers, files }, sources, config }: {
    readonly seen: Seen;
    readonly sources: BalancerSources;
    readonly config: Config;
  },
): Promise<ReadonlySet<ClusterName>> {
  const runs = answers !== undefined || sources.kind === "files";
  if (!runs || files === undefined || files.size === 0) return new Set();
  return new Set((await balancer.adopt(files, config)).keys());
}

/** The clusters that are served, and of which it is not known how: they are left as they run. Pure. */
export function servedUnknown(
  { unknown = [], clusters }: Wanted,
  served: ReadonlySet<ClusterName>,
): readonly ClusterName[] {
  const known = new Set(clusters.map(({ name }) => name));
  return [...served].filter((name) => !known.has(name) && (unknown === "all" || unknown.includes(name)));
}
