import { parseSnapshotName } from "./snapshot_name.ts";

/** So many of the newest snapshots are kept whatever their age. */
const NEWEST_KEPT = 20;
const HOUR_US = 3_600_000_000;
const DAY_US = 24 * HOUR_US;

export interface RetentionOptions {
  /** The snapshot that is known to be good and newest: it stays, whatever else is said of it. */
  readonly good: string;
  /** The time now, in microseconds since 1970. */
  readonly nowUs: number;
  /** What is older goes, in microseconds since 1970. */
  readonly limitUs: number;
}

/**
 * Decides which snapshots go: all that are older than the limit; and of those
 * that are not among the newest 20, all but one an hour for a day, then one
 * a day. Never one that is as new as the good one, or newer: nobody has
 * looked at those.
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
