/**
 * When a log file gives way to a new one, and what the old ones are called: the
 * rules of Python's RotatingFileHandler and TimedRotatingFileHandler. Pure.
 *
 * @module
 */
import type { Rotation } from "./plan.ts";
import { strftime, wallTime, type Zone } from "./wall_time.ts";

/** A rotation by time. */
export type TimedRotation = Extract<Rotation, { by: "time" }>;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAILY = { unitMs: DAY_MS, suffix: "%Y-%m-%d", form: /^\d{4}-\d\d-\d\d$/ };
const WEEKLY = { ...DAILY, unitMs: 7 * DAY_MS };

/** How long a unit is, and what it adds to the name of a file. */
const UNITS: Readonly<Record<string, typeof DAILY>> = {
  S: { unitMs: 1_000, suffix: "%Y-%m-%d_%H-%M-%S", form: /^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d$/ },
  M: { unitMs: 60_000, suffix: "%Y-%m-%d_%H-%M", form: /^\d{4}-\d\d-\d\d_\d\d-\d\d$/ },
  H: { unitMs: HOUR_MS, suffix: "%Y-%m-%d_%H", form: /^\d{4}-\d\d-\d\d_\d\d$/ },
  D: DAILY,
  MIDNIGHT: DAILY,
};

const unitOf = ({ when }: TimedRotation) => UNITS[when] ?? WEEKLY;

/**
 * Answers when a file that was last written at a time is to give way, both in
 * milliseconds since 1970. Days are those of the clock on the wall, also where
 * one has 23 or 25 hours.
 */
export function rolloverAt(rotation: TimedRotation, fromMs: number, zone: Zone): number {
  const { when, interval } = rotation;
  if (when !== "MIDNIGHT" && !when.startsWith("W")) return fromMs + interval * unitOf(rotation).unitMs;
  const { date } = wallTime(fromMs, zone);
  // Python counts Monday as 0, and a week ends with its day.
  const days = when === "MIDNIGHT" ? 1 : (Number(when.slice(1)) - (date.getUTCDay() + 6) % 7 + 7) % 7 + 1;
  const wallMs = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + days);
  const atMs = wallMs - zone(wallMs - zone(wallMs) * 60_000) * 60_000;
  // Where the clock skips midnight, the reckoning may end before it began.
  return atMs > fromMs ? atMs : fromMs + HOUR_MS;
}

/** What is added to the name of a file that gives way at a time: the beginning of its interval. */
export function rolledSuffix(rotation: TimedRotation, rolloverMs: number, zone: Zone): string {
  const { unitMs, suffix } = unitOf(rotation);
  const wall = wallTime(rolloverMs, zone);
  return strftime(suffix, { ...wall, date: new Date(wall.date.getTime() - rotation.interval * unitMs) });
}

/** Answers which of the names in a folder are old files to be removed, so that `backups` of them are left. */
export function surplus(rotation: TimedRotation, base: string, names: readonly string[]): readonly string[] {
  if (rotation.backups === 0) return [];
  const { form } = unitOf(rotation);
  const old = names.filter((name) => name.startsWith(`${base}.`) && form.test(name.slice(base.length + 1))).toSorted();
  return old.slice(0, Math.max(0, old.length - rotation.backups));
}

/** Whether a line makes a file too large: it gives way before it reaches the size. A file with nothing in it stays. */
export function isFull(sizeBytes: number, lineBytes: number, maxBytes: number): boolean {
  return sizeBytes > 0 && sizeBytes + lineBytes >= maxBytes;
}
