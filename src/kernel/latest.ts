/**
 * A one-slot mailbox: a new value replaces an unread one, so nothing
 * queues and a reader always gets the newest value.
 */
export class Latest<T> {
  #slot: { readonly value: T } | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;

  /** Stores a value; an unread older one is dropped. */
  put(value: T): void {
    this.#slot = { value };
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** Whether there is an unread value. */
  get full(): boolean {
    return this.#slot !== undefined;
  }

  /** Takes the newest value, waiting for one if need be; rejects with the signal's reason when it is aborted. */
  async take(signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const slot = this.#slot;
      if (slot !== undefined) {
        this.#slot = undefined;
        return slot.value;
      }
      this.#waiting ??= Promise.withResolvers<void>();
      const waiting = this.#waiting;
      const abort = () => waiting.resolve();
      signal.addEventListener("abort", abort, { once: true });
      try {
        await waiting.promise;
      } finally {
        signal.removeEventListener("abort", abort);
        if (this.#waiting === waiting) this.#waiting = undefined;
      }
    }
  }
}
