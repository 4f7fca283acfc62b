import type { Clock } from "../kernel/clock.ts";

/** One record as a handler writes it. */
export interface Line {
  /** Without what ends it. */
  readonly text: string;
  /** The level, as Python counts: syslog wants to know. */
  readonly level: number;
}

/** Where lines end up: a file, a stream, a socket. Used by one caller at a time. */
export interface Sink {
  /**
   * Writes some of the first lines and answers how many it took; throws if
   * it took none. What it took and could not write whole is its own to
   * finish: it is called without lines while {@linkcode Sink.unfinished}.
   */
  write(lines: readonly Line[]): Promise<number>;
  /** Whether something that was taken is still to be written. */
  readonly unfinished: boolean;
  /** Gives up what it is at, if it can: the write that waits is rejected. */
  interrupt(): void;
  /** Closes what is open. */
  close(): void;
}

export interface OutletOptions {
  readonly clock: Clock;
  /** Called once when writing fails, until it works again. */
  readonly onFailure: (reason: string) => void;
  /** Called when it works again, with how many lines were dropped meanwhile. */
  readonly onRecovery: (dropped: number) => void;
  /** When it may begin: the one that it follows has to let go of the file first. */
  readonly after?: Promise<void>;
}

/** An outlet holds so many characters that were not written yet, and drops what comes then. */
const HELD_MAX = 1024 * 1024;
/** And so many lines. */
const LINES_MAX = 10_000;
/** So many lines are handed to a sink at once. */
const LINES_AT_ONCE = 256;
/** A write that takes longer has failed. */
const STUCK_MS = 10_000;
/** The wait before the first try after a failure; each further one is twice as long. */
const RETRY_MS = { first: 500, max: 30_000 };

/**
 * What stands before a sink: lines are put without waiting, and written in
 * order as fast as the sink takes them. It holds a bounded amount; a sink that
 * fails is tried again, and reported once.
 */
export class Outlet {
  readonly #sink: Sink;
  readonly #options: OutletOptions;
  readonly #lines: Line[] = [];
  #held = 0;
  #dropped = 0;
  #failures = 0;
  #pumping: Promise<void> | undefined;
  /** Ends the wait for the next try. */
  #wake: (() => void) | undefined;
  #state: "open" | "closing" | "closed" = "open";

  constructor(sink: Sink, options: OutletOptions) {
    [this.#sink, this.#options] = [sink, options];
  }

  /** Leaves a line to be written; never waits, and never throws. */
  put(line: Line): void {
    if (this.#state !== "open") return;
    if (this.#lines.length >= LINES_MAX || this.#held + line.text.length > HELD_MAX) return void this.#dropped++;
    this.#lines.push(line);
    this.#held += line.text.length;
    this.open();
  }

  /** Has the sink open what it writes to, although there may be nothing to write yet. */
  open(): void {
    this.#pumping ??= this.#pump().finally(() => {
      this.#pumping = undefined;
      if (this.#lines.length > 0 && this.#state === "open") this.open();
    });
  }

  /** Writes what is held, for at most `deadlineMs`, and closes the sink. A sink that fails is tried once more. */
  async close({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#state = "closing";
    this.#wake?.();
    const deadline = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(deadlineMs, deadline.resolve);
    await Promise.race([this.#pumping, deadline.promise]);
    cancel();
    this.#state = "closed";
    this.#sink.interrupt();
    this.#sink.close();
  }

  async #pump(): Promise<void> {
    await this.#options.after;
    do {
      const hasWritten = await this.#write();
      // A write that outlived the deadline may have opened the sink again.
      if (this.#state === "closed") return this.#sink.close();
      if (hasWritten) continue;
      // Nobody waits any longer: what could not be written now is lost.
      if (this.#state === "closing") return;
      await this.#wait(Math.min(RETRY_MS.max, RETRY_MS.first * 2 ** Math.min(this.#failures - 1, 10)));
    } while (this.#lines.length > 0 || this.#sink.unfinished);
  }

  /** Writes once; answers whether it could. */
  async #write(): Promise<boolean> {
    const cancel = this.#options.clock.after(STUCK_MS, () => {
      this.#fail(`nothing was taken for ${STUCK_MS / 1_000} seconds`);
      this.#sink.interrupt();
    });
    try {
      const taken = await this.#sink.write(this.#lines.slice(0, LINES_AT_ONCE));
      for (const line of this.#lines.splice(0, taken)) this.#held -= line.text.length;
      // What was taken is not written yet while some of it is left.
      if (!this.#sink.unfinished && this.#state !== "closed") this.#recover();
      return true;
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      cancel();
    }
  }

  #fail(reason: string): void {
    if (this.#failures++ === 0 && this.#state !== "closed") this.#options.onFailure(reason);
  }

  #recover(): void {
    if (this.#failures === 0 && this.#dropped === 0) return;
    const dropped = this.#dropped;
    [this.#failures, this.#dropped] = [0, 0];
    this.#options.onRecovery(dropped);
  }

  async #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, resolve);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    cancel();
  }
}
