import { backoffMs } from "../kernel/backoff.ts";
import type { Random } from "../kernel/random.ts";
import type { Step } from "../plugin/contract.ts";
import type { Outputs } from "./outputs.ts";

/** Waits after what may heal by itself: a port that is taken, a socket that is silent, a full disk. */
const RETRY = { firstMs: 1_000, maxMs: 60_000 };

/** Waits until an address is tried again that somebody else holds: to find out starts no process. */
const TAKEN_RETRY = { firstMs: 1_000, maxMs: 10_000 };

/** Waits between reloads for no other reason than that commands keep failing. */
const FORCE = { firstMs: 10_000, maxMs: 60_000 };

/** When a file that was refused is checked again although nothing changed: what it refers to may have come. */
const REFUSED_RETRY_MS = 60_000;

/** When steps that went well and are planned again are tried again. */
const LEFTOVER_RETRY_MS = 1_000;

/** A child that lived so long is started at once when it has ended. */
const CHILD_PROVEN_MS = 60_000;

/** No more command lines of children are remembered. */
const CHILDREN_MAX = 100;

/**
 * When what was done may be done again: reloads keep their rate, and what does
 * not help, or goes wrong, is done more and more rarely. Times are readings of
 * a clock, in milliseconds.
 */
export interface Pace {
  readonly reloadAllowedAt: number;
  /** When a reload that is desired may be made, its jitter included; unknown while none is. */
  readonly reloadDueAt: number | undefined;
  /** The reason of the last reload, and how often it was the same with nothing applied in between. */
  readonly vain: { readonly reason: string; readonly times: number } | undefined;
  /** The earliest time of a start, after one that failed. */
  readonly startAllowedAt: number;
  readonly forceAllowedAt: number;
  readonly forced: number;
  readonly troubles: number;
  /** When each child was last started, and how often within a while, by its step. */
  readonly children: ReadonlyMap<string, { readonly atMs: number; readonly times: number }>;
  /** When each child was last started, whatever its command line, by its name. */
  readonly childStarts: ReadonlyMap<string, number>;
  /** The outputs that fail. */
  readonly outputs: Outputs;
  /** Steps that went well and were planned again, and how often. */
  readonly leftover: { readonly planned: string; readonly times: number } | undefined;
}

type Supervise = Step & { readonly do: "supervise" };

/** The pace of a writer that has done nothing. */
export const UNHURRIED: Pace = {
  reloadAllowedAt: -Infinity,
  reloadDueAt: undefined,
  vain: undefined,
  startAllowedAt: -Infinity,
  forceAllowedAt: -Infinity,
  forced: 0,
  troubles: 0,
  children: new Map(),
  childStarts: new Map(),
  outputs: new Map(),
  leftover: undefined,
};

/** After something went wrong that no config is to blame for: when to look again, later with each time. */
export function withTrouble(pace: Pace, now: number, random: Random): readonly [pace: Pace, retryAt: number] {
  return [{ ...pace, troubles: pace.troubles + 1 }, now + backoffMs(pace.troubles, RETRY, random)];
}

/** When to try a file again that the balancer's program has rejected. */
export function rejectedFileRetryAt(now: number): number {
  return now + REFUSED_RETRY_MS;
}

/** When to try an address again that somebody else has held so many times. */
export function takenAddressRetryAt(now: number, times: number, random: Random): number {
  return now + backoffMs(times + 1, TAKEN_RETRY, random);
}

/** When to try a config again of which no process could be made so many times. */
export function failedConfigRetryAt(now: number, times: number, random: Random): number {
  return now + backoffMs(times + 1, RETRY, random);
}

/** Determines when a reload that is desired may be made. The jitter is drawn once for as long as one is desired. */
export function withReloadDue(pace: Pace, now: number, jitterMs: number, random: Random): Pace {
  if (pace.reloadDueAt !== undefined) return pace;
  return { ...pace, reloadDueAt: Math.max(now, pace.reloadAllowedAt) + jitterMs * random() };
}

/** Whether a reload that is desired may be made now, whatever jitter is drawn. */
export function mayReload({ reloadDueAt, reloadAllowedAt }: Pace, now: number, jitterMs: number): boolean {
  return now >= (reloadDueAt ?? (jitterMs === 0 ? reloadAllowedAt : Infinity));
}

/**
 * Notes a start, a reload or a notice, whether it went well or not: the next reload
 * comes after the interval at the earliest, and later as long as a reload
 * does not bring about what it was made for.
 */
export function withReload(pace: Pace, step: Step, now: number, intervalMs: number): Pace {
  const reason = step.do === "reload" || step.do === "notify" ? step.reason : undefined;
  const times = reason !== undefined && pace.vain?.reason === reason ? pace.vain.times + 1 : 0;
  const backoff = times === 0 ? 0 : Math.min(RETRY.maxMs, RETRY.firstMs * 2 ** Math.min(times, 10));
  return {
    ...pace,
    vain: reason === undefined ? undefined : { reason, times },
    reloadDueAt: undefined,
    reloadAllowedAt: now + Math.max(intervalMs, backoff),
  };
}

/** Notes a notice of one output: the next waits for the interval, and those that fail have a backoff of their own. */
export function withNotice(pace: Pace, now: number, intervalMs: number): Pace {
  return { ...pace, reloadDueAt: undefined, reloadAllowedAt: now + intervalMs };
}

/** Notes that a child was started, or ended, by a step. */
export function withChild(pace: Pace, step: Supervise, now: number): Pace {
  const key = JSON.stringify(step);
  const before = pace.children.get(key);
  const times = before !== undefined && now < before.atMs + CHILD_PROVEN_MS ? before.times + 1 : 0;
  const isFull = before === undefined && pace.children.size >= CHILDREN_MAX;
  return {
    ...pace,
    children: new Map([...isFull ? [] : pace.children, [key, { atMs: now, times }]]),
    childStarts: new Map([...isFull ? [] : pace.childStarts, [step.name, now]]),
  };
}

/** When a child may be started by a step: at once if it has not just been. */
export function childAt(pace: Pace, step: Supervise): number {
  const { atMs, times } = pace.children.get(JSON.stringify(step)) ?? { atMs: -Infinity, times: 0 };
  const at = times === 0 ? atMs : atMs + Math.min(RETRY.maxMs, RETRY.firstMs * 2 ** Math.min(times - 1, 10));
  const startedAt = pace.childStarts.get(step.name) ?? -Infinity;
  return step.run.length === 0 ? at : Math.max(at, startedAt + (step.intervalMs ?? 0));
}

/** Takes a reload as the answer to commands that keep failing; `undefined` if there may be none now. */
export function withForced(pace: Pace, now: number, random: Random): Pace | undefined {
  if (now < pace.forceAllowedAt) return undefined;
  // What needs none for so long is over.
  const forced = now >= pace.forceAllowedAt + FORCE.maxMs ? 0 : pace.forced;
  return { ...pace, forceAllowedAt: now + backoffMs(forced, FORCE, random), forced: forced + 1 };
}

/**
 * Notes steps that went well and are planned again, as for a server that cannot
 * go while it has connections, and when they are to be tried again; `Infinity`
 * for none, which ends the series.
 */
export function withLeftover(pace: Pace, now: number, steps: readonly Step[]): readonly [pace: Pace, at: number] {
  if (steps.length === 0) return [{ ...pace, leftover: undefined }, Infinity];
  const planned = JSON.stringify(steps);
  const times = pace.leftover?.planned === planned ? pace.leftover.times + 1 : 0;
  return [{ ...pace, leftover: { planned, times } }, now + LEFTOVER_RETRY_MS * 2 ** Math.min(times, 10)];
}

/** Whether these are the steps that are tried again. */
export function isLeftover({ leftover }: Pace, steps: readonly Step[]): boolean {
  return leftover !== undefined && JSON.stringify(steps) === leftover.planned;
}
