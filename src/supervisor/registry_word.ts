import type { Clock } from "../kernel/clock.ts";
import { abortable } from "../kernel/within.ts";
import { WorkerDeadError, type WorkerEvent } from "./plugin_host.ts";

/** What a worker says of its connection. */
export type ConnectionEvent = Extract<WorkerEvent, { type: "connection" }>;

/** How {@linkcode RegistryWord.awaitReach} waits. */
export interface AwaitReachOptions {
  /** Resolves with the reason when the worker cannot go on. */
  readonly death: Promise<string>;
  readonly clock: Clock;
  /** Ends the waiting, which rejects then. */
  readonly signal: AbortSignal;
  /** Called with why, if the first word is that the registry is out of reach. */
  readonly onOutOfReach: (detail: string) => void;
}

/** How long a new discovery worker may say nothing of its registry before it takes over all the same. */
const FIRST_WORD_DEADLINE_MS = 30_000;

/** What a worker has said of its registry so far. */
export class RegistryWord {
  readonly #first = Promise.withResolvers<ConnectionEvent>();
  readonly #reached = Promise.withResolvers<void>();

  /** Takes what it says. */
  say(event: ConnectionEvent): void {
    this.#first.resolve(event);
    if (event.state === "connected") this.#reached.resolve();
  }

  /**
   * Waits until a new connection has reached its registry: its first good word.
   * While it says that it does not, the one before it goes on, however long;
   * one that says nothing at all is believed after half a minute. Throws
   * {@linkcode WorkerDeadError} if the worker dies meanwhile.
   */
  async awaitReach({ death, clock, signal, onOutOfReach }: AwaitReachOptions): Promise<void> {
    const died = death.then((reason) => {
      throw new WorkerDeadError(reason);
    });
    const silence = new AbortController();
    const cancel = clock.after(FIRST_WORD_DEADLINE_MS, () => silence.abort());
    try {
      const first = Promise.race([this.#first.promise, died]);
      const word = await abortable(first, AbortSignal.any([signal, silence.signal]));
      if (word.state === "connected") return;
      onOutOfReach(word.detail);
      await abortable(Promise.race([this.#reached.promise, died]), signal);
    } catch (error) {
      if (signal.aborted || !silence.signal.aborted) throw error;
    } finally {
      cancel();
    }
  }
}
