/** Names of snapshots: the UTC time of writing to the microsecond, so that names sort by time. */
const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{6})\.json$/;

/** Writes the name for a time, in microseconds since 1970. */
export function formatSnapshotName(atUs: number): string {
  const iso = new Date(Math.floor(atUs / 1_000)).toISOString();
  const fraction = String(atUs % 1_000_000).padStart(6, "0");
  return `${iso.slice(0, 19).replaceAll(/[-:]/g, "")}.${fraction}.json`;
}

/** Reads the time from a name, in microseconds since 1970; `undefined` for other names. */
export function parseSnapshotName(name: string): number | undefined {
  const [, year, month, day, hour, minute, second, fraction] = NAME.exec(name) ?? [];
  if (fraction === undefined) return undefined;
  const seconds = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(seconds) ? undefined : seconds * 1_000 + Number(fraction);
}

/**
 * Returns the time for the next snapshot's name: now, but always after the newest one, so that the
 * newest name is the newest commit even if the clock was set back.
 */
export function nextSnapshotTime(nowMs: number, newestUs: number): number {
  return Math.max(Math.floor(nowMs * 1_000), newestUs + 1);
}
