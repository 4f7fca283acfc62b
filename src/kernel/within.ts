import type { Clock } from "./clock.ts";

/** Options of {@linkcode within}. */
export interface WithinOptions {
  readonly clock: Clock;
  /** Aborts the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of a timeout. */
  readonly late: () => Error;
}

/**
 * Waits for a promise for at most `ms`; then throws the error of `late`, or the signal's reason. A
 * later result of the promise is ignored.
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
 * Waits for a promise until the signal is aborted, then throws its reason, or the error of `error`. A
 * later result of the promise is ignored.
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
    // In this order: an abort wins, even if the result is there.
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
