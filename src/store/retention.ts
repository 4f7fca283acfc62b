import { parseSnapshotName } from "./snapshot_name.ts";

/** This many newest snapshots are kept at any age. */
const NEWEST_KEPT = 20;
const HOUR_US = 3_600_000_000;
const DAY_US = 24 * HOUR_US;

export interface RetentionOptions {
  /** The newest snapshot known to be valid: always kept. */
  readonly good: string;
  /** The time now, in microseconds since 1970. */
  readonly nowUs: number;
  /** Older snapshots are removed, in microseconds since 1970. */
  readonly limitUs: number;
}

/**
 * Decides which snapshots to remove: all older than the limit; of those beyond the newest 20, all but
 * one an hour for a day, then one a day. Never one as new as the valid one, or newer: those are
 * unverified.
 */
export function retire(names: readonly string[], { good, nowUs, limitUs }: RetentionOptions): readonly string[] {
  const older = names.flatMap((name) => {
    const atUs = parseSnapshotName(name);
    return atUs === undefined || name >= good ? [] : [{ name, atUs }];
  }).toSorted((a, b) => b.atUs - a.atUs);
  const taken = new Set<string>();
  return older.filter(({ atUs }, i) => {
    if (atUs < limitUs) return true;
    const bucket = nowUs - atUs < DAY_US ? `hour ${Math.floor(atUs / HOUR_US)}` : `day ${Math.floor(atUs / DAY_US)}`;
    if (i < NEWEST_KEPT - 1) return false;
    if (taken.has(bucket)) return true;
    taken.add(bucket);
    return false;
  }).map(({ name }) => name);
}
