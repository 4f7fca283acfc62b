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

/** Waits for a promise until the signal is aborted, then throws its reason. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
