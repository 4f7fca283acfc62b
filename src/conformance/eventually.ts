/** How long {@linkcode eventually} waits unless told; generous, since only a failure ever waits that long. */
const DEADLINE_MS = 20_000;

/**
 * Polls until `probe` neither throws nor answers `false`, `null` or
 * `undefined`; answers what it answered. Fails with the last error at the deadline.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, everyMs = 10 }: { deadlineMs?: number; everyMs?: number } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + deadlineMs;
  let last: unknown = "it never held";
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== false && answer !== undefined && answer !== null) return answer as NonNullable<Exclude<T, false>>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) {
      throw new Error(`Waited ${deadlineMs} ms in vain for: ${what} (${last instanceof Error ? last.message : last})`, {
        cause: last,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
