import type { Clock } from "../kernel/clock.ts";

/** The longest wait: a process that was stopped for an hour in the middle of a message is not in debt for ten. */
const WAIT_MAX_MS = 10_000;

/** What a {@linkcode LoopBudget} allows. */
export interface LoopBudgetOptions {
  /** The part of the main loop's time, from 0 to 1. */
  readonly part: number;
  /** What may be taken at once after a quiet time, in milliseconds. */
  readonly burstMs: number;
}

/**
 * The part of the main loop's time that some workers may take together. What
 * their messages took is measured, and whoever would send more waits until it
 * is paid for. Time only paces, and never ends a worker: a busy machine makes
 * every message expensive. Mutable, but without a clock of its own.
 */
export class LoopBudget {
  readonly #part: number;
  readonly #burstMs: number;
  /** When all that was charged is paid for. */
  #paidAtMs = -Infinity;

  constructor({ part, burstMs }: LoopBudgetOptions) {
    [this.#part, this.#burstMs] = [part, burstMs];
  }

  /** Charges time of the main loop. */
  charge(tookMs: number, nowMs: number): void {
    const paidAtMs = Math.max(this.#paidAtMs, nowMs - this.#burstMs / this.#part) + tookMs / this.#part;
    this.#paidAtMs = Math.min(paidAtMs, nowMs + WAIT_MAX_MS);
  }

  /** How long to wait until more may be taken. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#paidAtMs - nowMs);
  }
}

/** What all workers of a process share that run a plugin which does not ship. */
export interface ForeignBudgets {
  /** For what the host can have them wait with: portions of snapshots, answers of balancers. */
  readonly messages: LoopBudget;
  /** For log records, which nobody waits for: beyond it they are dropped unread. */
  readonly records: LoopBudget;
}

const budgets = new WeakMap<Clock, ForeignBudgets>();

/** The budgets of the main loop that a clock belongs to: one for the system's clock, one for each of a simulation. */
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
