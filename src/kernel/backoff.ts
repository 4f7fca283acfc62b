import type { Random } from "./random.ts";

/** Backoff of retries. */
export interface BackoffOptions {
  /** The upper bound of the first wait. */
  readonly firstMs: number;
  /** The longest wait. */
  readonly maxMs: number;
}

/**
 * Returns the wait before retry number `attempt`, from 0: exponential with full jitter, at least a
 * tenth of its upper bound, to exclude a hot loop. Pure except for `random`.
 */
export function backoffMs(attempt: number, { firstMs, maxMs }: BackoffOptions, random: Random): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return ceiling * (0.1 + 0.9 * random());
}
