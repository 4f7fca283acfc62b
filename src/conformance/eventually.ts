import { formatDuration } from "../kernel/duration.ts";

/** How long {@linkcode eventually} waits unless told; generous, since only a failure ever waits that long. */
const DEADLINE_MS = 20_000;

/** Bounds of the pause between polls, which grows with the time waited: the polls of many waiting tests load a machine. */
const PAUSE_MIN_MS = 10;
const PAUSE_MAX_MS = 50;
/** The pause as a share of the time waited: how much later than necessary a wait ends at most. */
const PAUSE_SHARE = 0.05;

/**
 * Polls until `probe` neither throws nor returns `false`, `null` or
 * `undefined`; returns its value. Fails with the last error at the deadline.
 * `everyMs` sets a fixed pause between polls.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, everyMs }: { deadlineMs?: number | undefined; everyMs?: number | undefined } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const begin = performance.now();
  let last: unknown = "the condition was not met";
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== false && answer !== undefined && answer !== null) return answer as NonNullable<Exclude<T, false>>;
    } catch (error) {
      last = error;
    }
    const waitedMs = performance.now() - begin;
    if (waitedMs > deadlineMs) {
      throw new Error(
        `Not met within ${formatDuration(deadlineMs)}: ${what} (${last instanceof Error ? last.message : last})`,
        {
          cause: last,
        },
      );
    }
    const pauseMs = everyMs ?? Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, waitedMs * PAUSE_SHARE));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
