import type { BalancerCounters, Notice, Wanted } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";

/** Something that happened to a balancer. Times are those of the writer's clock. */
export interface Occurrence {
  readonly text: string;
  readonly atMs: number;
}

/** Something that waits, and until when. */
export interface Wait {
  readonly why: string;
  readonly untilMs: number;
}

/** The state of a balancer, as its writer sees it. Times are those of the writer's clock. */
export interface Standing {
  /** Whether all that is desired was seen applied at the last look. */
  readonly inForce: boolean;
  /** Since when `isApplied` has its value. */
  readonly sinceMs: number;
  /** What was last seen applied; `undefined` if nothing was. */
  readonly served: { readonly wanted: Wanted; readonly generation: number | undefined } | undefined;
  /** When a turn last ended; `undefined` before the first, which starts with the first desired state. */
  readonly turnedMs: number | undefined;
  /** Whether no process answered at the last look. */
  readonly isGone: boolean;
  /** When the balancer was last seen; `undefined` if it never was. */
  readonly seenMs: number | undefined;
  /** The old workers that still had connections at the last look. */
  readonly oldWorkers: readonly number[];
  /** The steps in flight, and since when; `undefined` if none are. */
  readonly underWay: Occurrence | undefined;
  /** The last reload or start, with its reason. */
  readonly lastReload: Occurrence | undefined;
  readonly reloads: number;
  readonly starts: number;
  /** The last error that was logged. */
  readonly lastError: Occurrence | undefined;
  /** Notices about the config that was last rendered: nodes and lines that are left out. */
  readonly notices: readonly Notice[];
  /** Why this writer stands by: who manages the balancer; `undefined` if this one does. */
  readonly standby?: string | undefined;
  /** Since when its file lags behind the running config because it cannot be written, and why. */
  readonly fileBehind: Occurrence | undefined;
  /** Its own counters at the last look; absent if it has none, or is gone. */
  readonly counters?: BalancerCounters | undefined;
  /** What waits, why, and until when. */
  readonly waits: readonly Wait[];
}

/** The state of a balancer before its writer has looked. */
export function beginStanding(nowMs: number): Standing {
  return {
    inForce: false,
    sinceMs: nowMs,
    served: undefined,
    turnedMs: undefined,
    isGone: false,
    seenMs: undefined,
    oldWorkers: [],
    underWay: undefined,
    lastReload: undefined,
    reloads: 0,
    starts: 0,
    lastError: undefined,
    notices: [],
    fileBehind: undefined,
    waits: [],
  };
}

/** Steps have ended. */
export function withOutcomes(standing: Standing, outcomes: readonly StepOutcome[], atMs: number): Standing {
  let { lastReload, reloads, starts } = standing;
  for (const { ok, step } of outcomes) {
    if (!ok || (step.do !== "reload" && step.do !== "start")) continue;
    lastReload = { text: step.reason, atMs };
    if (step.do === "reload") reloads++;
    else starts++;
  }
  return { ...standing, underWay: undefined, lastReload, reloads, starts };
}
