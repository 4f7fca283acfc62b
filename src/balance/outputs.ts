/**
 * Steps that belong together and do not stop others when one of them fails: a file and the reload of its
 * reader. Pure.
 *
 * @module
 */
import { backoffMs } from "../kernel/backoff.ts";
import type { Random } from "../kernel/random.ts";
import type { Step, StepOutput } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";

/** The waits before failed steps are retried. */
const RETRY = { firstMs: 1_000, maxMs: 60_000 };

/** An output whose steps failed, the same ones each time. */
interface Failing {
  /** What was tried. */
  readonly tried: string;
  readonly times: number;
  readonly retryAt: number;
}

/** The outputs that fail, by name. */
export type Outputs = ReadonlyMap<StepOutput, Failing>;

/** The output that a step is part of, if any. */
export function outputOf(step: Step): StepOutput | undefined {
  return step.do === "install" || step.do === "remove" || step.do === "notify" ? step.output : undefined;
}

/** Removes from a plan the outputs that have failed with the same steps, until their retry is due. */
export function withoutWaiting(
  outputs: Outputs,
  plan: readonly Step[],
  now: number,
): { readonly steps: readonly Step[]; readonly retryAt: number } {
  if (outputs.size === 0) return { steps: plan, retryAt: Infinity };
  const waiting = new Map(
    [...outputs].filter(([name, { tried, retryAt }]) => retryAt > now && describe(plan, name) === tried)
      .map(([name, { retryAt }]) => [name, retryAt]),
  );
  const steps = plan.filter((step) => !waiting.has(outputOf(step) ?? ""));
  return { steps, retryAt: steps.length === plan.length ? Infinity : Math.min(...waiting.values()) };
}

/** Notes which outputs of a plan succeeded, and which failed. */
export function withAttempts(
  outputs: Outputs,
  { plan, outcomes, now, random }: {
    readonly plan: readonly Step[];
    readonly outcomes: readonly StepOutcome[];
    readonly now: number;
    readonly random: Random;
  },
): Outputs {
  const tried = new Map<StepOutput, boolean>();
  for (const { step, ok } of outcomes) {
    const name = outputOf(step);
    if (name !== undefined) tried.set(name, ok && tried.get(name) !== false);
  }
  if (tried.size === 0) return outputs;
  const next = new Map(outputs);
  for (const [name, ok] of tried) {
    next.delete(name);
    if (ok) continue;
    const what = describe(plan, name);
    const before = outputs.get(name);
    const times = before?.tried === what ? before.times + 1 : 0;
    next.set(name, { tried: what, times, retryAt: now + backoffMs(times, RETRY, random) });
  }
  return next;
}

/**
 * Identifies the desired form of an output by its last step: the earlier ones may have succeeded, and are not
 * planned again. A hash, as files may be long.
 */
function describe(plan: readonly Step[], name: StepOutput): string {
  const text = JSON.stringify(plan.findLast((step) => outputOf(step) === name) ?? null);
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return `${text.length}:${hash >>> 0}`;
}
