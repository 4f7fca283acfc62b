/**
 * How many events go to a notifier at once, and when one is given up that it
 * rejects for ever: else a single event would hold up all that come after it. Pure.
 *
 * @module
 */

import type { BackoffOptions } from "../kernel/backoff.ts";

/** How a notifier gets what waits. */
export interface Batching {
  /** So many events go at once. */
  readonly size: number;
  /** How often the first event that waits was rejected for ever when it went alone. */
  readonly rejections: number;
}

/** As long as nothing fails. */
export const WHOLE: Batching = { size: 100, rejections: 0 };
/** An event that was rejected so often is dropped. */
const REJECTIONS_MAX = 10;
/** Statuses of 4xx that a change of the config, or time, makes good. */
const PASSING: readonly string[] = ["401", "403", "404", "408", "429"];

/** The waits after failures: what is unreachable is asked ever less often. */
const OUTAGE: BackoffOptions = { firstMs: 1_000, maxMs: 300_000 };
/** And after rejections: who rejects an event is there, and the others wait for the search for it. */
const REJECTION: BackoffOptions = { firstMs: 1_000, maxMs: 10_000 };

/** What follows from a delivery of `count` events that failed: the next is half of it, or the one event is dropped. */
export function afterFailure(
  { rejections }: Batching,
  { count, reason }: { readonly count: number; readonly reason: string },
): { readonly batching: Batching; readonly isDropped: boolean; readonly backoff: BackoffOptions } {
  const size = Math.max(1, count >> 1);
  if (!isFinal(reason)) return { batching: { size, rejections }, isDropped: false, backoff: OUTAGE };
  const backoff = REJECTION;
  if (count > 1) return { batching: { size, rejections }, isDropped: false, backoff };
  const isDropped = rejections + 1 >= REJECTIONS_MAX;
  return { batching: { size, rejections: isDropped ? 0 : rejections + 1 }, isDropped, backoff };
}

/** Whether the same request will never be accepted, by the first status that an error names. */
function isFinal(reason: string): boolean {
  const [, status] = /\bgot status (\d{3})\b/.exec(reason) ?? [];
  return status !== undefined && status.startsWith("4") && !PASSING.includes(status);
}
