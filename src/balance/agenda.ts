import type { Clock } from "../kernel/clock.ts";
import { Latest } from "../kernel/latest.ts";

/**
 * What there is to do next, and when: a wish, the newest of those that came, or
 * a look at what nobody has asked to be changed.
 */
export class Agenda<Wish> {
  readonly #clock: Clock;
  readonly #mailbox = new Latest<Wish>();
  /** Ends the wait for work. */
  #wake: AbortController | undefined;
  #lookAt = Infinity;

  /** Waits on `clock`. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Leaves a wish; an earlier one that was not begun yet is dropped. */
  put(wish: Wish): void {
    this.#mailbox.put(wish);
  }

  /** Whether a wish waits. */
  get hasWish(): boolean {
    return this.#mailbox.full;
  }

  /** When to look though nothing is asked; `Infinity` if that is not planned. */
  get lookAt(): number {
    return this.#lookAt;
  }

  /** Plans a look at the latest at a time. */
  lookBy(at: number): void {
    this.#lookAt = Math.min(this.#lookAt, at);
  }

  /** Plans a look at once, and ends the wait for work. */
  lookNow(): void {
    this.lookBy(this.#clock.now());
    this.#wake?.abort();
  }

  /** Forgets the look that was planned, for it is being done. */
  forgetLook(): void {
    this.#lookAt = Infinity;
  }

  /**
   * Waits for a wish, or until a look, or something else at `dueAt`, falls due:
   * then, and when the signal is aborted, the answer is `undefined`.
   */
  async next(dueAt: number, signal: AbortSignal): Promise<Wish | undefined> {
    const until = Math.min(this.#lookAt, dueAt);
    const wake = this.#wake = new AbortController();
    const stop = () => wake.abort();
    const cancel = until === Infinity ? () => {} : this.#clock.after(Math.max(0, until - this.#clock.now()), stop);
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await this.#mailbox.take(wake.signal);
    } catch (error) {
      if (wake.signal.aborted) return undefined;
      throw error;
    } finally {
      this.#wake = undefined;
      cancel();
      signal.removeEventListener("abort", stop);
    }
  }
}
