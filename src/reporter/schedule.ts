import type { Random } from "../kernel/random.ts";

/** No check waits longer for its first probe. */
const FIRST_DELAY_MAX_MS = 1_000;
/** Probes of an interval start at no more than this many points of it, … */
const SLOTS_PER_INTERVAL = 10;
/** … which are at most so far apart. */
const SLOT_MAX_MS = 100;

/** The wait before the first probe: a random part of the interval, so that checks do not all start at once. Pure. */
export function firstDelayMs(intervalMs: number, random: Random): number {
  return (Math.min(intervalMs, FIRST_DELAY_MAX_MS) - slotMs(intervalMs)) * random();
}

/**
 * When the probe after this one is due. Probes are due at a fixed rate; one that took longer than the
 * interval is followed by the next tick, never by two at once. Pure.
 */
export function nextDueMs(
  { dueMs, endedMs, intervalMs }: {
    readonly dueMs: number;
    readonly endedMs: number;
    readonly intervalMs: number;
  },
): number {
  return dueMs + Math.max(1, Math.ceil((endedMs - dueMs) / intervalMs)) * intervalMs;
}

/**
 * When a probe that is due starts: in the next slot. Probes of all checks share the slots, so that
 * the process, and a worker with several checks, wakes once for all of them. Pure.
 */
export function startMs(dueMs: number, intervalMs: number): number {
  const slot = slotMs(intervalMs);
  return Math.ceil(dueMs / slot) * slot;
}

function slotMs(intervalMs: number): number {
  return Math.min(SLOT_MAX_MS, intervalMs / SLOTS_PER_INTERVAL);
}
