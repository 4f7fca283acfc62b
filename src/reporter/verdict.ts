/** What a run of probe outcomes says of one check. Pure: no clock, no I/O. */
export interface Verdict {
  /** Whether the check counts as passing; `undefined` until it has proven either. */
  readonly up: boolean | undefined;
  /** The outcomes in a row that contradict `up`; while `up` is unknown, the newest outcomes that agree. */
  readonly streak: { readonly passed: boolean; readonly length: number };
}

/** How many outcomes in a row it takes to change a verdict. */
export interface Thresholds {
  /** Passes in a row before a check counts as up; 0 counts it as up at once. */
  readonly rise: number;
  /** Failures in a row before a check counts as down; at least 1. */
  readonly fall: number;
}

/** Since when a check could not be made, and why it could not the last time. */
export interface Unknown {
  readonly sinceMs: number;
  readonly reason: string;
}

/**
 * The verdict of a check that cannot be made: the last one stands for `graceMs`, for nothing was learnt of the
 * service; then the check is down. A check that never had a verdict has none still. Pure.
 */
export function judgeUnknown(
  before: Verdict,
  { sinceMs }: Unknown,
  { graceMs, nowMs }: { readonly graceMs: number; readonly nowMs: number },
): Verdict {
  return before.up === undefined || nowMs - sinceMs < graceMs ? before : { ...INITIAL_VERDICT, up: false };
}

/** Nothing is known of a check that never ran. */
export const INITIAL_VERDICT: Verdict = { up: undefined, streak: { passed: false, length: 0 } };

/**
 * Adds one outcome to a verdict. `rise` passes in a row make it up, `fall`
 * failures in a row make it down; what is in between changes nothing, also at
 * the very start, so that a restarted reporter takes nothing out on its first
 * failed probe.
 */
export function judge(before: Verdict, passed: boolean, { rise, fall }: Thresholds): Verdict {
  const streak = { passed, length: before.streak.passed === passed ? before.streak.length + 1 : 1 };
  const needed = passed ? rise : fall;
  return { up: streak.length >= needed ? passed : before.up, streak };
}
