import type { Clock } from "../kernel/clock.ts";

/** One record as a handler writes it. */
export interface Line {
  /** The text, without what ends it. */
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

/** What an {@linkcode Outlet} is told. */
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
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 30_000;

/**
 * What stands before a sink: lines are put without waiting, and written in
 * order as fast as the sink takes them. It holds a bounded amount; a sink that
 * fails is tried again, and told of once.
 */
export class Outlet {
  readonly #sink: Sink;
  readonly #options: OutletOptions;
  readonly #lines: Line[] = [];
  #held = 0;
  #dropped = 0;
  #failures = 0;
  #pumping: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #isClosing = false;
  #isClosed = false;

  constructor(sink: Sink, options: OutletOptions) {
    [this.#sink, this.#options] = [sink, options];
  }

  /** Leaves a line to be written; never waits, and never throws. */
  put(line: Line): void {
    if (this.#isClosing) return;
    if (this.#lines.length >= LINES_MAX || this.#held + line.text.length > HELD_MAX) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#held += line.text.length;
    this.#start();
  }

  /** Has the sink open what it writes to, although there is nothing to write yet. */
  open(): void {
    this.#start(true);
  }

  /** Writes what is held, for at most `deadlineMs`, and closes the sink. A sink that fails is tried once more. */
  async close({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#isClosing = true;
    this.#wake?.();
    const deadline = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(deadlineMs, () => deadline.resolve());
    await Promise.race([this.#pumping, deadline.promise]);
    cancel();
    this.#isClosed = true;
    this.#sink.interrupt();
    this.#sink.close();
  }

  #start(once = false): void {
    this.#pumping ??= this.#pump(once).finally(() => {
      this.#pumping = undefined;
      if (this.#lines.length > 0 && !this.#isClosing) this.#start();
    });
  }

  async #pump(once: boolean): Promise<void> {
    await this.#options.after;
    for (let first = once; first || this.#lines.length > 0 || this.#sink.unfinished; first = false) {
      const failure = await this.#write();
      // A write that outlived the deadline may have opened the sink anew.
      if (this.#isClosed) return this.#sink.close();
      if (failure === undefined) {
        // What was taken is not written yet while some of it is left.
        if (!this.#sink.unfinished) this.#recover();
        continue;
      }
      this.#fail(failure);
      // Nobody waits any longer: what could not be written now is lost.
      if (this.#isClosing) return;
      await this.#wait();
    }
  }

  /** Writes once; answers why it could not. */
  async #write(): Promise<string | undefined> {
    const cancel = this.#options.clock.after(STUCK_MS, () => {
      this.#fail(`nothing was taken for ${STUCK_MS / 1_000} seconds`);
      this.#sink.interrupt();
    });
    try {
      const taken = await this.#sink.write(this.#lines.slice(0, LINES_AT_ONCE));
      for (const line of this.#lines.splice(0, taken)) this.#held -= line.text.length;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      cancel();
    }
  }

  #fail(reason: string): void {
    if (this.#failures++ === 0) this.#options.onFailure(reason);
  }

  #recover(): void {
    if (this.#failures === 0 && this.#dropped === 0) return;
    const dropped = this.#dropped;
    [this.#failures, this.#dropped] = [0, 0];
    this.#options.onRecovery(dropped);
  }

  /** Waits before the next try, or until it is to be closed. */
  async #wait(): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    const ms = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.#failures - 1, 10));
    const cancel = this.#options.clock.after(ms, () => waiting.resolve());
    this.#wake = () => waiting.resolve();
    await waiting.promise;
    this.#wake = undefined;
    cancel();
  }
}
