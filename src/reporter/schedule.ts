import type { Random } from "../kernel/random.ts";

/** No check waits longer for its first probe. */
const FIRST_DELAY_MAX_MS = 1_000;

/** The wait before the first probe: a random part of the interval, so that checks do not all start at once. Pure. */
export function firstDelayMs(intervalMs: number, random: Random): number {
  return Math.min(intervalMs, FIRST_DELAY_MAX_MS) * random();
}

/**
 * The wait from the end of one probe to the start of the next. Probes start at
 * a fixed rate; one that took longer than the interval is followed by the next
 * tick, never by two at once. Pure.
 */
export function nextDelayMs(
  { startedMs, endedMs, intervalMs }: {
    readonly startedMs: number;
    readonly endedMs: number;
    readonly intervalMs: number;
  },
): number {
  const tookMs = Math.max(0, endedMs - startedMs);
  const ticks = Math.max(1, Math.ceil(tookMs / intervalMs));
  return Math.max(0, ticks * intervalMs - tookMs);
}
