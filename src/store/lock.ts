import type { Path } from "./path.ts";
import { begin, type Transaction } from "./transaction.ts";
import type { Tree } from "./tree.ts";

/** So long a lock is held without being refreshed. */
export const LOCK_MS = 30_000;

/** The one lock of a store, and the transaction under it. */
export interface Lock {
  /** What its holder calls it. */
  readonly code: string;
  /** Whose token took it; nobody else may use it. Not there where no tokens are asked for. */
  readonly holder: string | undefined;
  /** When it is lost, by the clock. */
  readonly expiresMs: number;
  /** Which base the transaction stands on: a counter of changes that it cannot be brought over. */
  readonly epoch: number;
  /** What leases have changed since. */
  readonly disturbed: readonly Path[];
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
  const expiresMs = nowMs + LOCK_MS;
  const current = held(lock, nowMs);
  if (current === undefined) return { code, holder, expiresMs, epoch, disturbed: [], transaction: begin(data) };
  return current.code === code && current.holder === holder ? { ...current, expiresMs } : undefined;
}
