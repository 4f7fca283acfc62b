import { begin, type Transaction } from "./transaction.ts";
import type { Tree } from "./tree.ts";

/** So long a lock is held without being refreshed. */
export const LOCK_MS = 30_000;
/** So long a token holds the lock at most, however often it is refreshed. */
export const LOCK_TOTAL_MS = 600_000;
/** So long a token that had to give the lock up leaves it to others. */
export const LOCK_REST_MS = 30_000;

/** The one lock of a store, and the transaction under it. */
export interface Lock {
  /** What its holder calls it. */
  readonly code: string;
  /** Whose token took it; nobody else may use it. Not there where no tokens are asked for. */
  readonly holder: string | undefined;
  /** When it was taken, by the clock. */
  readonly takenMs: number;
  /** When it is lost, by the clock. */
  readonly expiresMs: number;
  /** Which base the transaction stands on: a counter of changes that it cannot be brought over. */
  readonly epoch: number;
  readonly transaction: Transaction;
}

/** Who asks, and when. */
export interface Asking {
  readonly holder: string | undefined;
  /** The time, by the clock. */
  readonly nowMs: number;
}

/** Answers the lock if it is still held. */
export function held(lock: Lock | undefined, nowMs: number): Lock | undefined {
  return lock === undefined || nowMs >= lock.expiresMs ? undefined : lock;
}

/**
 * Takes the lock, or refreshes it for who has it: then the transaction stays.
 * `undefined` if another has it.
 */
export function acquire(
  lock: Lock | undefined,
  code: string,
  { holder, nowMs, data, epoch }: Asking & { readonly data: Tree; readonly epoch: number },
): Lock | undefined {
  const current = held(lock, nowMs);
  if (current === undefined) {
    return { code, holder, takenMs: nowMs, expiresMs: nowMs + LOCK_MS, epoch, transaction: begin(data) };
  }
  if (current.code !== code || current.holder !== holder) return undefined;
  const lastMs = holder === undefined ? Infinity : current.takenMs + LOCK_TOTAL_MS;
  return { ...current, expiresMs: Math.min(nowMs + LOCK_MS, lastMs) };
}

/**
 * Whether a lock that is over has used up all its time: then its holder leaves
 * it to others for a while.
 */
export function isUsedUp({ holder, takenMs, expiresMs }: Lock): boolean {
  return holder !== undefined && expiresMs >= takenMs + LOCK_TOTAL_MS;
}
