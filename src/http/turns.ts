import { setImmediate } from "node:timers";

/** Fixed cost of a request besides the bytes of its answer: a small one takes some ten microseconds. */
const COST_PER_REQUEST = 2 * 1024;
/** Budget of one turn before the rest of the process runs: a few milliseconds. */
const COST_PER_TURN = 256 * 1024;
/** Maximum number of waiting requests answered in one turn. */
const GRANTED_MAX = 64;

/**
 * Schedules requests fairly. Requests are answered at once until they have used the budget of one turn
 * of the event loop; the rest waits, first come, first served, and a connection with many requests
 * queues up again for each. So no number of requests keeps the process from its other work, or one
 * client from being answered between the requests of another.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #spent = 0;
  #answered = 0;
  #isScheduled = false;

  /** Returns what a request has to wait for; `undefined` if it may be answered at once. */
  next(): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#spent < COST_PER_TURN) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#schedule();
    return promise;
  }

  /** Charges one request, with the size of its answer. */
  charge(bytes: number): void {
    this.#spent += COST_PER_REQUEST + bytes;
    this.#answered++;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    // The cost of the next ones is unknown: assume that of the last.
    const each = this.#answered === 0 ? COST_PER_REQUEST : this.#spent / this.#answered;
    const granted = Math.min(GRANTED_MAX, Math.max(1, Math.floor(COST_PER_TURN / each)));
    [this.#spent, this.#answered, this.#isScheduled] = [0, 0, false];
    for (const resolve of this.#waiting.splice(0, granted)) resolve();
    if (this.#waiting.length > 0) this.#schedule();
  }
}
