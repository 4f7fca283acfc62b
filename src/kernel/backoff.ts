import type { Random } from "./random.ts";

/** How long to wait between tries that fail. */
export interface BackoffOptions {
  /** The ceiling of the first wait. */
  readonly firstMs: number;
  /** No wait is longer. */
  readonly maxMs: number;
}

/**
 * Answers the wait before try number `attempt` (0 is the first retry):
 * exponential with full jitter, at least a tenth of the ceiling so that a
 * lucky draw does not make a hot loop. Pure but for `random`.
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: BackoffOptions, random: Random): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling * (0.1 + 0.9 * random());
}
