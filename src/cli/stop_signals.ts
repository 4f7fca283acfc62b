/** The signals that request a shutdown. */
const STOPS = ["SIGTERM", "SIGINT"] as const;

/** The exit status that a shell reports for a process that a signal ended. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130 } as const;

/**
 * A Ctrl-C reaches every process of a terminal, and a launcher forwards it
 * again: signals within this time are one request.
 */
export const SAME_REQUEST_MS = 250;

/** Decides what a further signal requests. Pure. */
export function judgeStop(firstMs: number | undefined, nowMs: number): "stop" | "same" | "now" {
  if (firstMs === undefined) return "stop";
  return nowMs - firstMs < SAME_REQUEST_MS ? "same" : "now";
}

/** What {@linkcode StopSignals} does. */
export interface StopSignalsOptions {
  /** Starts the shutdown. */
  readonly stop: () => void;
  /** Exits at once with that code, on a second request. */
  readonly exit: (code: number, signal: Deno.Signal) => void;
  /** A reading of a clock that only goes forward, in milliseconds. */
  readonly now: () => number;
}

/** Handles SIGTERM and SIGINT: the first one shuts the process down, a second one exits at once. */
export class StopSignals implements Disposable {
  readonly #heard: readonly (readonly [Deno.Signal, () => void])[];
  #firstMs: number | undefined;

  /** Listens from now on. */
  constructor({ stop, exit, now }: StopSignalsOptions) {
    this.#heard = STOPS.map((signal) => [signal, () => {
      const nowMs = now();
      const act = judgeStop(this.#firstMs, nowMs);
      this.#firstMs ??= nowMs;
      if (act === "stop") stop();
      if (act === "now") exit(EXIT_CODES[signal], signal);
    }]);
    for (const [signal, heard] of this.#heard) Deno.addSignalListener(signal, heard);
  }

  /** Listens no more. */
  [Symbol.dispose](): void {
    for (const [signal, heard] of this.#heard) Deno.removeSignalListener(signal, heard);
  }
}
