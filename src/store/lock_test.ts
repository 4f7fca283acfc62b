import assert from "node:assert/strict";
import { acquire, isUsedUp, type Lock, LOCK_MS, LOCK_TOTAL_MS } from "./lock.ts";
import { EMPTY_BRANCH } from "./tree.ts";

const asking = (nowMs: number, holder: string | undefined) => ({ holder, nowMs, data: EMPTY_BRANCH, epoch: 0 });

/** Refreshes a lock every 10 s while that works; returns its last state. */
function refreshed(holder: string | undefined, untilMs: number): Lock | undefined {
  let lock: Lock | undefined;
  for (let nowMs = 0; nowMs < untilMs; nowMs += 10_000) {
    const next = acquire(lock, "code", asking(nowMs, holder));
    if (next?.takenMs !== (lock?.takenMs ?? 0)) break;
    lock = next;
  }
  return lock;
}

Deno.test("acquire() lets a token refresh the lock for ten minutes at most", () => {
  const lock = refreshed("web", 2 * LOCK_TOTAL_MS);
  assert.equal(lock?.expiresMs, LOCK_TOTAL_MS);
  assert.ok(lock !== undefined && isUsedUp(lock));
});

Deno.test("acquire() refreshes the lock without limit when no tokens are used", () => {
  const lock = refreshed(undefined, 2 * LOCK_TOTAL_MS);
  assert.equal(lock?.expiresMs, 2 * LOCK_TOTAL_MS - 10_000 + LOCK_MS);
  assert.ok(lock !== undefined && !isUsedUp(lock));
});
