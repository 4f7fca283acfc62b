import { setImmediate } from "node:timers";

/** What a request costs besides the bytes of its answer: a small one takes some ten microseconds. */
const COST_PER_REQUEST = 2 * 1024;
/** So much is answered before the rest of the process has its turn: a few milliseconds. */
const COST_PER_TURN = 256 * 1024;
/** No more requests that waited are answered in one turn. */
const GRANTED_MAX = 64;

/**
 * Whose turn it is to be answered. Requests are answered at once until they
 * have cost what one turn of the event loop may cost; the rest waits, first
 * come, first served, and a connection with many requests queues up anew for
 * each. So no number of requests keeps the process from its other work, or one
 * client from being answered between the requests of another.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #spent = 0;
  #answered = 0;
  #isScheduled = false;

  /** Answers what a request has to wait for; `undefined` if it may be answered at once. */
  next(): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#spent < COST_PER_TURN) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#schedule();
    return promise;
  }

  /** Charges one request, answered by so many bytes. */
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
    // What the next ones cost is not known yet: as much as the last, most likely.
    const each = this.#answered === 0 ? COST_PER_REQUEST : this.#spent / this.#answered;
    const granted = Math.min(GRANTED_MAX, Math.max(1, Math.floor(COST_PER_TURN / each)));
    [this.#spent, this.#answered, this.#isScheduled] = [0, 0, false];
    for (const resolve of this.#waiting.splice(0, granted)) resolve();
    if (this.#waiting.length > 0) this.#schedule();
  }
}
