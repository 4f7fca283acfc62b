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

/** How a balancer stands, as its writer sees it. Times are those of the writer's clock. */
export interface Standing {
  /** Whether all that is desired was seen applied when last looked at. */
  readonly inForce: boolean;
  /** Since when that is so, or not. */
  readonly sinceMs: number;
  /** What was last seen applied; `undefined` if nothing was. */
  readonly served: { readonly wanted: Wanted; readonly generation: number | undefined } | undefined;
  /** When a turn last ended; `undefined` before the first, which begins with the first desired state. */
  readonly turnedMs: number | undefined;
  /** Whether no process answered when last looked at. */
  readonly isGone: boolean;
  /** When the balancer was last seen; `undefined` if it never was. */
  readonly seenMs: number | undefined;
  /** The old workers that still had connections when last looked for. */
  readonly oldWorkers: readonly number[];
  /** The steps under way, and since when; `undefined` if none are. */
  readonly underWay: Occurrence | undefined;
  /** The last reload or start, with its reason. */
  readonly lastReload: Occurrence | undefined;
  readonly reloads: number;
  readonly starts: number;
  /** The last error that was told. */
  readonly lastError: Occurrence | undefined;
  /** What an operator should know of the config that was last rendered: nodes and lines that are left out. */
  readonly notices: readonly Notice[];
  /** Why this writer is a spare: who keeps the balancer; `undefined` if this one does. */
  readonly standby?: string | undefined;
  /** Since when its file is not what runs because it cannot be written, and why. */
  readonly fileBehind: Occurrence | undefined;
  /** What it counted itself when last looked at; absent if it counts nothing, or is gone. */
  readonly counters?: BalancerCounters | undefined;
  /** What waits, why, and until when. */
  readonly waits: readonly Wait[];
}

/** How a balancer stands before its writer has looked. */
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

/** Steps have come to their ends. */
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
