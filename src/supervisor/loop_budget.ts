import type { Clock } from "../kernel/clock.ts";

/** The longest wait, so that a process suspended in the middle of a message does not wait for hours. */
const WAIT_MAX_MS = 10_000;

/** Settings of a {@linkcode LoopBudget}. */
export interface LoopBudgetOptions {
  /** Share of the main loop's time, from 0 to 1. */
  readonly part: number;
  /** Burst that is allowed after a quiet time, in milliseconds. */
  readonly burstMs: number;
}

/**
 * The share of the main loop's time that some workers may use together. The time that their messages
 * took is charged, and senders wait until it is paid for. Time only paces, and never ends a worker: a
 * busy machine makes every message expensive. Mutable, but without a clock of its own.
 */
export class LoopBudget {
  readonly #part: number;
  readonly #burstMs: number;
  /** When everything charged is paid for. */
  #paidAtMs = -Infinity;

  constructor({ part, burstMs }: LoopBudgetOptions) {
    [this.#part, this.#burstMs] = [part, burstMs];
  }

  /** Charges time of the main loop. */
  charge(tookMs: number, nowMs: number): void {
    const paidAtMs = Math.max(this.#paidAtMs, nowMs - this.#burstMs / this.#part) + tookMs / this.#part;
    this.#paidAtMs = Math.min(paidAtMs, nowMs + WAIT_MAX_MS);
  }

  /** How long to wait before the next message. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#paidAtMs - nowMs);
  }
}

/** The budgets that all workers of third-party plugins share. */
export interface ForeignBudgets {
  /** For messages that the sender can wait with: portions of snapshots, answers of balancers. */
  readonly messages: LoopBudget;
  /** For log records, which nobody waits for: beyond it they are dropped unread. */
  readonly records: LoopBudget;
}

const budgets = new WeakMap<Clock, ForeignBudgets>();

/** The budgets of the main loop of a clock: one for the system's clock, one for each of a simulation. */
export function foreignBudgets(clock: Clock): ForeignBudgets {
  const known = budgets.get(clock);
  if (known !== undefined) return known;
  const made = {
    messages: new LoopBudget({ part: 0.1, burstMs: 200 }),
    records: new LoopBudget({ part: 0.05, burstMs: 200 }),
  };
  budgets.set(clock, made);
  return made;
}
