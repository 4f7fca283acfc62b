import type { KeysFacts } from "../plugin/contract.ts";
import type { ToHost, ToWorker } from "../protocol/messages.ts";
import { WorkerError } from "../protocol/wire_error.ts";

/** A consumer of one stream. */
interface Reader {
  next: PromiseWithResolvers<KeysFacts>;
  /** Whether an answer has arrived and was not read yet. */
  isFull: boolean;
  /** Why there are no more. */
  ended?: Error;
}

/**
 * The prefixes watched in one worker. Each has a stream, whose number distinguishes its answers from
 * those of an earlier one; the worker sends the next answer when the last was read.
 */
export class FollowedKeys {
  readonly #post: (message: ToWorker) => void;
  readonly #readers = new Map<number, Reader>();
  #lastStream = 0;
  /** Why nothing is watched any more. */
  #over: Error | undefined;

  constructor(post: (message: ToWorker) => void) {
    this.#post = post;
  }

  /**
   * Yields the registry's answers for the keys under a prefix; throws when the plugin cannot continue,
   * or the signal's reason.
   */
  async *follow(prefix: string, signal: AbortSignal): AsyncGenerator<KeysFacts, never, void> {
    signal.throwIfAborted();
    // A generator starts when it is first read: the worker may have ended by then.
    if (this.#over !== undefined) throw this.#over;
    const stream = ++this.#lastStream;
    const reader: Reader = { next: promised(), isFull: false };
    const abort = () => reader.next.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#readers.set(stream, reader);
    try {
      this.#post({ type: "keys", stream, prefix });
      for (;;) {
        const facts = await reader.next.promise;
        [reader.next, reader.isFull] = [promised(), false];
        yield facts;
        signal.throwIfAborted();
        const { ended } = reader;
        if (ended !== undefined) throw ended;
        this.#post({ type: "takenKeys", stream });
      }
    } finally {
      signal.removeEventListener("abort", abort);
      if (this.#readers.delete(stream)) this.#post({ type: "endKeys", stream });
    }
  }

  /**
   * Receives an answer; `false` if the worker did not wait until the last was read. Answers of ended
   * streams are dropped.
   */
  take({ stream, entries, exists, epoch }: ToHost & { type: "keys" }): boolean {
    const reader = this.#readers.get(stream);
    if (reader === undefined) return true;
    if (reader.isFull) return false;
    reader.isFull = true;
    reader.next.resolve({ entries, exists, epoch });
    return true;
  }

  /** Ends a stream that the plugin cannot continue. */
  lose({ stream, error }: ToHost & { type: "keysLost" }): void {
    this.#end(stream, new WorkerError(error));
  }

  /** Ends all streams; no other can be opened. */
  end(reason: Error): void {
    this.#over ??= reason;
    for (const stream of [...this.#readers.keys()]) this.#end(stream, reason);
  }

  #end(stream: number, reason: Error): void {
    const reader = this.#readers.get(stream);
    this.#readers.delete(stream);
    if (reader === undefined) return;
    reader.ended = reason;
    reader.next.reject(reason);
  }
}

/** A promise whose rejection may go unhandled. */
function promised(): PromiseWithResolvers<KeysFacts> {
  const made = Promise.withResolvers<KeysFacts>();
  made.promise.catch(() => {});
  return made;
}
