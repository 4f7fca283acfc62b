import type { Clock } from "./clock.ts";

/** A deadline: its signal, and a timer that disposing of it cancels. */
export interface Deadline extends Disposable {
  /** Aborted when the time is over, or with the given signal. */
  readonly signal: AbortSignal;
}

/** Returns a signal that is aborted after `ms` on the clock, or when `signal` is. */
export function deadline(
  ms: number,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal },
): Deadline {
  const late = new AbortController();
  const cancel = clock.after(ms, () => late.abort(new DOMException(`Timed out after ${ms}ms`, "TimeoutError")));
  return {
    signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
    [Symbol.dispose]: cancel,
  };
}
