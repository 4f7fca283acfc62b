import type { Clock } from "../../../src/kernel/clock.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { type Connection, ConnectionLostError, type WatchEvent, ZooKeeperError } from "./connection.ts";

/** What a watch asks of a connection. */
export type ReadingConnection = Pick<Connection, "sessionId" | "sync" | "getChildren" | "exists" | "getData">;

/** Something that is followed. */
export interface Watch<Facts> {
  /** Takes a watch that fired, for any path. */
  onEvent(event: WatchEvent): void;
  /** Takes a new connection, which has no watches yet, or notes that there will be none any more. */
  onConnection(): void;
  /**
   * Yields each answer that differs from the last; ends when the signal is aborted, throws when the session
   * is over.
   */
  snapshots(signal: AbortSignal): AsyncGenerator<Facts>;
}

export interface LookLoopOptions {
  /** Returns an established connection, waiting for one if necessary. */
  readonly connected: (signal: AbortSignal) => Promise<ReadingConnection>;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when all is to be looked at although no watch fired. */
  readonly onRecheck: () => void;
}

/** How often all is looked at again although no watch fired, in case one was lost. */
const RECHECK_MS = 60_000;

/** Looks again after each hint, over the current connection. */
export class LookLoop {
  readonly #options: LookLoopOptions;
  #hint = Promise.withResolvers<void>();

  constructor(options: LookLoopOptions) {
    this.#options = options;
  }

  /** Requests another look, now or after the current one. */
  hint(): void {
    this.#hint.resolve();
  }

  /** Yields the result of each look; a look that loses its connection is repeated over the next one. */
  async *looks<T>(look: (connection: ReadingConnection) => Promise<T>, signal: AbortSignal): AsyncGenerator<T> {
    while (!signal.aborted) {
      this.#hint = Promise.withResolvers();
      let seen: T;
      try {
        seen = await look(await this.#options.connected(signal));
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ConnectionLostError) continue;
        throw error;
      }
      yield seen;
      await this.#rest(signal);
    }
  }

  /** Waits for a hint, or until it is time to look again without one. */
  async #rest(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { clock, random, onRecheck } = this.#options;
    const hint = this.#hint;
    const cancel = clock.after(RECHECK_MS * (0.8 + 0.4 * random()), () => {
      onRecheck();
      hint.resolve();
    });
    const abort = () => hint.resolve();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await hint.promise;
    } finally {
      cancel();
      signal.removeEventListener("abort", abort);
    }
  }
}

/** Has a server catch up with its leader; a rejection is as good as a success. */
export async function caughtUp(connection: ReadingConnection): Promise<void> {
  try {
    await connection.sync();
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error;
  }
}
