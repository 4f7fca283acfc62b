/** How often it is looked. */
const EVERY_MS = 250;

/** Waits until something holds; answers true. Throws at the deadline, or when looking throws. */
export async function until(what: string, deadlineMs: number, holds: () => Promise<boolean>): Promise<true> {
  const end = performance.now() + deadlineMs;
  while (!await holds()) {
    if (performance.now() > end) throw new Error(`Timed out after ${deadlineMs / 1_000} s waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  return true;
}
