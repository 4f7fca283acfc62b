import type { Clock } from "../kernel/clock.ts";
import { within } from "../kernel/within.ts";

/** What bytes can be written to. */
export interface LogStream {
  write(bytes: Uint8Array): Promise<number>;
}

/** Where lines end up: a file, a stream, a socket. Used by one caller at a time. */
export interface Target {
  /** Makes ready for a line of so many bytes, and answers what takes it. */
  open(bytes: number): Promise<LogStream>;
  /** Closes what is open; a write that waits is rejected if that can be. */
  close(): void;
}

export interface OutletOptions {
  readonly clock: Clock;
  /** Called once when writing fails, until it works again. */
  readonly onFailure: (reason: string) => void;
  /** Called with the number of lines that were dropped. */
  readonly onRecovery: (dropped: number) => void;
  /** Settles when the previous outlet has closed the file. */
  readonly after?: Promise<void>;
}

/** An outlet holds so much that was not written yet, and drops what comes then. */
const HELD_MAX = { bytes: 1024 * 1024, lines: 10_000 };
/** A write that takes longer has failed. */
const STUCK_MS = 10_000;
/** The wait before the first try after a failure; each further one is twice as long. */
const RETRY_MS = { first: 500, max: 30_000 };

/**
 * What stands before a target: lines are put without waiting, and written in
 * order as fast as the target takes them. It holds a bounded amount; a target
 * that fails is tried again, and reported once.
 */
export class Outlet {
  readonly #target: Target;
  readonly #options: OutletOptions;
  /** Of the first one what is left, if a write failed halfway. */
  readonly #lines: Uint8Array[] = [];
  #held = 0;
  #dropped = 0;
  #failures = 0;
  #pumping: Promise<void> | undefined;
  /** Ends the wait for the next try. */
  #wake: (() => void) | undefined;
  #state: "open" | "closing" | "closed" = "open";

  constructor(target: Target, options: OutletOptions) {
    [this.#target, this.#options] = [target, options];
  }

  /** Whether the last write failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Leaves a line to be written; never waits, and never throws. */
  put(line: Uint8Array): void {
    if (this.#state !== "open") return;
    if (this.#lines.length >= HELD_MAX.lines || this.#held + line.length > HELD_MAX.bytes) return void this.#dropped++;
    this.#lines.push(line);
    this.#held += line.length;
    this.#pumping ??= this.#pump();
  }

  /** Writes what is held, for at most `deadlineMs`, and closes the target. One that fails is tried once more. */
  async close({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#state = "closing";
    this.#wake?.();
    const options = { clock: this.#options.clock, late: () => new Error("Wait ended") };
    await within(Promise.resolve(this.#pumping), deadlineMs, options).catch(() => {});
    this.#state = "closed";
    this.#target.close();
  }

  async #pump(): Promise<void> {
    const { clock, after } = this.#options;
    await after;
    while (this.#lines.length > 0 && this.#state !== "closed") {
      if (await this.#write()) continue;
      // Wait ended: what could not be written now is lost.
      if (this.#state !== "open") break;
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(Math.min(RETRY_MS.max, RETRY_MS.first * 2 ** (this.#failures - 1)), resolve);
      this.#wake = resolve;
      await promise;
      cancel();
    }
    // A write that outlived the deadline may have opened the target again.
    if (this.#state === "closed") this.#target.close();
    this.#pumping = undefined;
  }

  /** Writes a line; answers whether it could. */
  async #write(): Promise<boolean> {
    const cancel = this.#options.clock.after(STUCK_MS, () => {
      this.#fail(`the target accepted no data for ${STUCK_MS / 1_000}s`);
      this.#target.close();
    });
    try {
      const [line = new Uint8Array()] = this.#lines;
      const stream = await this.#target.open(line.length);
      for (let rest = line; rest.length > 0;) {
        const taken = await stream.write(rest);
        this.#lines[0] = rest = rest.subarray(taken);
        this.#held -= taken;
      }
      this.#lines.shift();
    } catch (error) {
      this.#target.close();
      this.#fail(error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      cancel();
    }
    const isRestored = this.#failures > 0 || this.#dropped > 0 && this.#lines.length === 0;
    if (isRestored && this.#state !== "closed") this.#options.onRecovery(this.#dropped);
    if (isRestored) [this.#failures, this.#dropped] = [0, 0];
    return true;
  }

  #fail(reason: string): void {
    if (this.#failures++ === 0 && this.#state !== "closed") this.#options.onFailure(reason);
  }
}
