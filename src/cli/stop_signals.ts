/** The signals that ask a process to end in order. */
const STOPS = ["SIGTERM", "SIGINT"] as const;

/** What a shell says of a process that a signal ended. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130 } as const;

/**
 * A Ctrl-C reaches every process of a terminal, and a launcher passes it on
 * once more: what comes within this time is the same request.
 */
export const SAME_REQUEST_MS = 250;

/** What one more signal asks for. Pure. */
export function judgeStop(firstMs: number | undefined, nowMs: number): "stop" | "same" | "now" {
  if (firstMs === undefined) return "stop";
  return nowMs - firstMs < SAME_REQUEST_MS ? "same" : "now";
}

/** What {@linkcode StopSignals} does. */
export interface StopSignalsOptions {
  /** Begins to end in order. */
  readonly stop: () => void;
  /** Ends at once, with that exit code, as somebody asked for it again. */
  readonly exit: (code: number, signal: Deno.Signal) => void;
  /** A reading of a clock that only goes forward, in milliseconds. */
  readonly now: () => number;
}

/** Hears SIGTERM and SIGINT: the first one ends the process in order, a second one at once. */
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
