import { backoffMs } from "../kernel/backoff.ts";
import type { Random } from "../kernel/random.ts";
import type { Step } from "../plugin/contract.ts";
import type { Outputs } from "./outputs.ts";

/** Waits after a failure that may resolve itself: a port in use, a silent socket, a full disk. */
const RETRY = { firstMs: 1_000, maxMs: 60_000 };

/** Waits before a taken address is tried again: the attempt starts no process. */
const TAKEN_RETRY = { firstMs: 1_000, maxMs: 10_000 };

/** Waits between reloads whose only reason is that commands keep failing. */
const FORCE = { firstMs: 10_000, maxMs: 60_000 };

/** When a rejected file is checked again although nothing changed: what it refers to may exist by now. */
const REFUSED_RETRY_MS = 60_000;

/** When steps that succeeded and are planned again are retried. */
const LEFTOVER_RETRY_MS = 1_000;

/** A child that lived this long is restarted at once when it ends. */
const CHILD_PROVEN_MS = 60_000;

/** How many command lines of children are remembered. */
const CHILDREN_MAX = 100;

/**
 * When an action may be repeated: reloads are rate limited, and what fails or does not help is retried less
 * and less often. Times are readings of a clock, in milliseconds.
 */
export interface Pace {
  readonly reloadAllowedAt: number;
  /** When a desired reload may be made, jitter included; unknown while none is desired. */
  readonly reloadDueAt: number | undefined;
  /** The reason of the last reload, and how often it was repeated with nothing applied in between. */
  readonly vain: { readonly reason: string; readonly times: number } | undefined;
  /** The earliest time of a start, after one that failed. */
  readonly startAllowedAt: number;
  readonly forceAllowedAt: number;
  readonly forced: number;
  readonly troubles: number;
  /** When each child was last started, and how often recently, by its step. */
  readonly children: ReadonlyMap<string, { readonly atMs: number; readonly times: number }>;
  /** When each child was last started, whatever its command line, by its name. */
  readonly childStarts: ReadonlyMap<string, number>;
  /** The outputs that fail. */
  readonly outputs: Outputs;
  /** Steps that succeeded and were planned again, and how often. */
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

/** After a failure that no config causes: when to look again, later each time. */
export function withTrouble(pace: Pace, now: number, random: Random): readonly [pace: Pace, retryAt: number] {
  return [{ ...pace, troubles: pace.troubles + 1 }, now + backoffMs(pace.troubles, RETRY, random)];
}

/** When to retry a file that the balancer's program has rejected. */
export function rejectedFileRetryAt(now: number): number {
  return now + REFUSED_RETRY_MS;
}

/** When to retry an address that another process has held that often. */
export function takenAddressRetryAt(now: number, times: number, random: Random): number {
  return now + backoffMs(times + 1, TAKEN_RETRY, random);
}

/** When to retry a config for which no process could be started that often. */
export function failedConfigRetryAt(now: number, times: number, random: Random): number {
  return now + backoffMs(times + 1, RETRY, random);
}

/** Determines when a desired reload may be made. The jitter is drawn once for as long as one is desired. */
export function withReloadDue(pace: Pace, now: number, jitterMs: number, random: Random): Pace {
  if (pace.reloadDueAt !== undefined) return pace;
  return { ...pace, reloadDueAt: Math.max(now, pace.reloadAllowedAt) + jitterMs * random() };
}

/** Whether a desired reload may be made now, whatever jitter is drawn. */
export function mayReload({ reloadDueAt, reloadAllowedAt }: Pace, now: number, jitterMs: number): boolean {
  return now >= (reloadDueAt ?? (jitterMs === 0 ? reloadAllowedAt : Infinity));
}

/**
 * Notes a start, a reload or a notification, whether it succeeded or not: the next reload waits for the
 * interval, and longer while reloads do not achieve what they were made for.
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

/**
 * Notes a notification for one output: the next one waits for the interval, and failing ones have a backoff
 * of their own.
 */
export function withNotice(pace: Pace, now: number, intervalMs: number): Pace {
  return { ...pace, reloadDueAt: undefined, reloadAllowedAt: now + intervalMs };
}

/** Notes that a step started or stopped a child. */
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

/** When a step may start a child: at once, unless it was started recently. */
export function childAt(pace: Pace, step: Supervise): number {
  const { atMs, times } = pace.children.get(JSON.stringify(step)) ?? { atMs: -Infinity, times: 0 };
  const at = times === 0 ? atMs : atMs + Math.min(RETRY.maxMs, RETRY.firstMs * 2 ** Math.min(times - 1, 10));
  const startedAt = pace.childStarts.get(step.name) ?? -Infinity;
  return step.run.length === 0 ? at : Math.max(at, startedAt + (step.intervalMs ?? 0));
}

/** Uses a reload in place of commands that keep failing; `undefined` if none is allowed now. */
export function withForced(pace: Pace, now: number, random: Random): Pace | undefined {
  if (now < pace.forceAllowedAt) return undefined;
  // The series ends once no such reload was needed for this long.
  const forced = now >= pace.forceAllowedAt + FORCE.maxMs ? 0 : pace.forced;
  return { ...pace, forceAllowedAt: now + backoffMs(forced, FORCE, random), forced: forced + 1 };
}

/**
 * Notes steps that succeeded and are planned again, as for a server that cannot be deleted while it has
 * connections, and when to retry them; `Infinity` for none, which ends the series.
 */
export function withLeftover(pace: Pace, now: number, steps: readonly Step[]): readonly [pace: Pace, at: number] {
  if (steps.length === 0) return [{ ...pace, leftover: undefined }, Infinity];
  const planned = JSON.stringify(steps);
  const times = pace.leftover?.planned === planned ? pace.leftover.times + 1 : 0;
  return [{ ...pace, leftover: { planned, times } }, now + LEFTOVER_RETRY_MS * 2 ** Math.min(times, 10)];
}

/** Whether these are the steps that are retried. */
export function isLeftover({ leftover }: Pace, steps: readonly Step[]): boolean {
  return leftover !== undefined && JSON.stringify(steps) === leftover.planned;
}
