/** What a message costs besides its length, in characters: it is taken from a port, and something is done with it. */
const MESSAGE_COST = 2 * 1024;
/** What a worker may cost in a second: with what a character costs, less than half of the main loop. */
const COST_PER_SECOND = 16 * 1024 * 1024;
/** What it may cost at once after it said little. */
const COST_AT_ONCE = 16 * 1024 * 1024;
/** One that has gone so far beyond its share has not waited when it was told to. */
const DEBT_MAX = 16 * 1024 * 1024;

/**
 * A worker's share of the main loop. Each message is charged by its length:
 * it is JSON, so what the host does with it takes as long as it is long. Who
 * has used its share up waits; who does not wait is ended. Mutable, but without
 * a clock of its own.
 */
export class Share {
  #left = COST_AT_ONCE;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** Charges a message of so many characters. */
  charge(length: number, nowMs: number): void {
    const earned = (nowMs - this.#atMs) * COST_PER_SECOND / 1_000;
    this.#left = Math.min(COST_AT_ONCE, this.#left + earned) - MESSAGE_COST - length;
    this.#atMs = nowMs;
  }

  /** How long the worker has to wait until it may say more. */
  get waitMs(): number {
    return Math.max(0, Math.ceil(-this.#left * 1_000 / COST_PER_SECOND));
  }

  /** Whether it has gone on though it had to wait. */
  get isOverdrawn(): boolean {
    return this.#left < -DEBT_MAX;
  }
}
