import type { Clock } from "../../../src/kernel/clock.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { type Connection, ConnectionLostError, type WatchEvent, ZooKeeperError } from "./connection.ts";

/** What a watch asks of a connection. */
export type ReadingConnection = Pick<Connection, "sessionId" | "sync" | "getChildren" | "exists" | "getData">;

/** Something that is followed. */
export interface Watch<Facts> {
  /** Takes note of a watch that fired, for any path. */
  onEvent(event: WatchEvent): void;
  /** Takes note of a new connection, which has no watches yet, or that there will be none any more. */
  onConnection(): void;
  /** Yields each answer that differs from the last; ends when the signal is aborted, throws when the session is over. */
  snapshots(signal: AbortSignal): AsyncGenerator<Facts>;
}

export interface LookLoopOptions {
  /** Answers the connection that stands, waiting for one if need be. */
  readonly connected: (signal: AbortSignal) => Promise<ReadingConnection>;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when all is to be looked at though no watch fired. */
  readonly onRecheck: () => void;
}

/** All is looked at again this often though no watch fired, in case one was lost. */
const RECHECK_MS = 60_000;

/** Looks again after each hint, over whichever connection stands. */
export class LookLoop {
  readonly #options: LookLoopOptions;
  #hint = Promise.withResolvers<void>();

  constructor(options: LookLoopOptions) {
    this.#options = options;
  }

  /** Has it look again, now or after the look that is under way. */
  hint(): void {
    this.#hint.resolve();
  }

  /** Yields what each look answers; a look that loses its connection is made again over the next one. */
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

/** Has a server catch up with its leader; a refusal is as good as a success. */
export async function caughtUp(connection: ReadingConnection): Promise<void> {
  try {
    await connection.sync();
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error;
  }
}
