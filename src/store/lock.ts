import { begin, type Transaction } from "./transaction.ts";
import type { Tree } from "./tree.ts";

/** How long the lock is held without being refreshed. */
export const LOCK_MS = 30_000;
/** How long one token may hold the lock in all, however often it refreshes. */
export const LOCK_TOTAL_MS = 600_000;
/** How long a token must wait after it lost the lock to a limit or an abort. */
export const LOCK_REST_MS = 30_000;

/** The lock of a store, with its transaction. */
export interface Lock {
  /** The holder's code. */
  readonly code: string;
  /** The token that acquired it: no other may use it. Absent without tokens. */
  readonly holder: string | undefined;
  /** When it was acquired, by the clock. */
  readonly takenMs: number;
  /** When it expires, by the clock. */
  readonly expiresMs: number;
  /** The base of the transaction: a counter of changes that the transaction cannot be rebased over. */
  readonly epoch: number;
  readonly transaction: Transaction;
}

/** Who asks, and when. */
export interface Asking {
  readonly holder: string | undefined;
  /** The time, by the clock. */
  readonly nowMs: number;
}

/** Returns the lock if it is still held. */
export function held(lock: Lock | undefined, nowMs: number): Lock | undefined {
  return lock === undefined || nowMs >= lock.expiresMs ? undefined : lock;
}

/** Acquires the lock, or refreshes it for its holder and keeps the transaction. `undefined` if another holds it. */
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

/** Whether a lock that is over used up its maximum time: then its holder has to wait. */
export function isUsedUp({ holder, takenMs, expiresMs }: Lock): boolean {
  return holder !== undefined && expiresMs >= takenMs + LOCK_TOTAL_MS;
}
