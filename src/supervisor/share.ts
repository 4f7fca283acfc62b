/** Fixed cost of a message besides its length, in characters: taking it from a port and acting on it. */
const MESSAGE_COST = 2 * 1024;
/** What a worker may cost per second: given the cost of a character, less than half of the main loop. */
const COST_PER_SECOND = 16 * 1024 * 1024;
/** Burst that is allowed after a quiet time. */
const COST_AT_ONCE = 16 * 1024 * 1024;
/** A worker this far beyond its share ignored the request to wait. */
const DEBT_MAX = 16 * 1024 * 1024;

/**
 * A worker's share of the main loop. Each message is charged by its length: the host's work on JSON is
 * proportional to it. A worker that has used its share up waits; one that does not wait is ended.
 * Mutable, but without a clock of its own.
 */
export class Share {
  #left = COST_AT_ONCE;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** Charges a message of this many characters. */
  charge(length: number, nowMs: number): void {
    const earned = (nowMs - this.#atMs) * COST_PER_SECOND / 1_000;
    this.#left = Math.min(COST_AT_ONCE, this.#left + earned) - MESSAGE_COST - length;
    this.#atMs = nowMs;
  }

  /** How long the worker has to wait before the next message. */
  get waitMs(): number {
    return Math.max(0, Math.ceil(-this.#left * 1_000 / COST_PER_SECOND));
  }

  /** Whether it kept sending though it had to wait. */
  get isOverdrawn(): boolean {
    return this.#left < -DEBT_MAX;
  }
}
