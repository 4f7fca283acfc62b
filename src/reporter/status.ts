import type { Verdict } from "./verdict.ts";

/** Whether a service port counts as up; `unknown` until its checks have proven either. */
export type Status = "unknown" | "up" | "down";

/**
 * The status of a port from the verdicts of its checks: one that is down takes
 * it down, all up bring it up. While some are still unknown (a reporter that
 * just started, a check that was just added) what was known before holds. No
 * checks at all count as up. Pure.
 */
export function statusOf(verdicts: readonly Verdict[], before: Status): Status {
  if (verdicts.some(({ up }) => up === false)) return "down";
  return verdicts.every(({ up }) => up === true) ? "up" : before;
}
