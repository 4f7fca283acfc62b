import type { Clock } from "./clock.ts";

/** How long {@linkcode within} waits. */
export interface WithinOptions {
  readonly clock: Clock;
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of the deadline. */
  readonly late: () => Error;
}

/**
 * Waits for a promise for at most `ms`; throws what `late` makes when that is
 * over, or the signal's reason. What the promise does later is nobody's concern.
 */
export async function within<T>(promise: Promise<T>, ms: number, { clock, signal, late }: WithinOptions): Promise<T> {
  const given = Promise.withResolvers<never>();
  const abort = () => given.reject(signal?.reason);
  const cancel = clock.after(ms, () => given.reject(late()));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, given.promise]);
  } finally {
    cancel();
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Waits for a promise until the signal is aborted, then throws its reason, or
 * what `error` makes. What the promise does later is nobody's concern.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  error: () => unknown = () => signal.reason,
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(error());
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    // In this order: what was given up is given up, even if its answer is there.
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
