import type { Clock } from "../kernel/clock.ts";
import type { Meter } from "../metrics/meter.ts";
import type { Step } from "../plugin/contract.ts";
import type { BalancerEffects, StepOutcome } from "./effects.ts";

export interface MeterEffectsOptions {
  /** The balancer's name. */
  readonly balancer: string;
  readonly clock: Clock;
  readonly meter: Meter;
  /** Receives each file that was replaced. */
  readonly onInstalled?: ((step: Step & { readonly do: "install" }) => void) | undefined;
}

/** Effects whose looks and steps are counted and timed. */
export function meterEffects(
  effects: BalancerEffects,
  { balancer, clock, meter, onInstalled }: MeterEffectsOptions,
): BalancerEffects {
  const looked = (result: string, startedMs: number) => {
    const seconds = (clock.now() - startedMs) / 1_000;
    meter.observe("lighthouse_balancer_look_duration_seconds", { balancer, result }, seconds);
  };
  const { claim, childEnd, executeHeld, rest } = effects;
  return {
    watchSocket: (sources, signal) => effects.watchSocket(sources, signal),
    softStop: (pid, sources) => effects.softStop(pid, sources),
    version: (program, signal) => effects.version(program, signal),
    programFile: (program) => effects.programFile(program),
    ...rest && { rest: () => rest.call(effects) },
    ...claim && { claim: (sources) => claim.call(effects, sources) },
    ...childEnd && { childEnd: (signal) => childEnd.call(effects, signal) },
    [Symbol.dispose]: () => effects[Symbol.dispose]?.(),
    async observe(sources, pidOf, signal) {
      const startedMs = clock.now();
      try {
        const seen = await effects.observe(sources, pidOf, signal);
        const isDown = sources.kind === "process" && seen.answers === undefined && seen.pid === undefined;
        looked(isDown ? "down" : "ok", startedMs);
        return seen;
      } catch (error) {
        if (!signal.aborted) looked("error", startedMs);
        throw error;
      }
    },
    execute: async (steps, sources, signal) => noted(await effects.execute(steps, sources, signal)),
    ...executeHeld && {
      executeHeld: async (steps, sources, signal) => noted(await executeHeld.call(effects, steps, sources, signal)),
    },
  };

  function noted(outcomes: readonly StepOutcome[]): readonly StepOutcome[] {
    for (const [index, outcome] of outcomes.entries()) note(outcome, outcomes[index - 1]);
    return outcomes;
  }

  function note(outcome: StepOutcome, before: StepOutcome | undefined): void {
    const { ok, step } = outcome;
    // A read is part of a look, not a step.
    if (step.do === "command" && step.isRead === true) return;
    const result = ok ? "ok" : outcome.failure.kind;
    meter.count("lighthouse_balancer_steps_total", { balancer, step: step.do, result });
    if (!ok) return;
    if (step.do === "install") onInstalled?.(step);
    // Commands that were sent together share one time.
    const isTimed = step.do !== "command" || before?.step.do !== "command";
    const seconds = outcome.tookMs / 1_000;
    if (isTimed) meter.observe("lighthouse_balancer_step_duration_seconds", { balancer, step: step.do }, seconds);
    if (step.do === "reload") {
      meter.count("lighthouse_balancer_reloads_total", { balancer, reason: step.cause ?? "other" });
    } else if (step.do === "start") meter.count("lighthouse_balancer_starts_total", { balancer });
  }
}
