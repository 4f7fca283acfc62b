/**
 * When a log file gives way to a new one, and what the old ones are called: the
 * rules of Python's TimedRotatingFileHandler. Pure.
 *
 * @module
 */
import type { RotationUnit } from "./plan.ts";
import { strftime, type Zone } from "./wall_time.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long a unit is, and how much of `2026-01-31_09-46-42` a file's name says. */
const UNITS: Readonly<Record<string, readonly [lengthMs: number, nameLength: number]>> = {
  S: [1_000, 19],
  M: [60_000, 16],
  H: [HOUR_MS, 13],
  D: [DAY_MS, 10],
  MIDNIGHT: [DAY_MS, 10],
};
const unitOf = (when: RotationUnit) => UNITS[when] ?? [7 * DAY_MS, 10];

/**
 * Answers when a file that was last written at a time is to give way, both in
 * milliseconds since 1970. Days are those of the clock on the wall, also where
 * one has 23 or 25 hours.
 */
export function rolloverAt(when: RotationUnit, interval: number, fromMs: number, zone: Zone): number {
  if (when !== "MIDNIGHT" && !when.startsWith("W")) return fromMs + interval * unitOf(when)[0];
  const wall = new Date(fromMs + zone(fromMs) * 60_000);
  // Python counts Monday as 0, and a week ends with its day.
  const days = when === "MIDNIGHT" ? 1 : (Number(when.slice(1)) - (wall.getUTCDay() + 6) % 7 + 7) % 7 + 1;
  const wallMs = Date.UTC(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate() + days);
  const atMs = wallMs - zone(wallMs - zone(wallMs) * 60_000) * 60_000;
  // Where the clock skips midnight, the reckoning may end before it began.
  return atMs > fromMs ? atMs : fromMs + HOUR_MS;
}

/** What is added to the name of a file that gives way at a time: the beginning of its interval. */
export function rolledSuffix(when: RotationUnit, interval: number, rolloverMs: number, zone: Zone): string {
  const [lengthMs, nameLength] = unitOf(when);
  const offset = zone(rolloverMs);
  return strftime("%F_%H-%M-%S", rolloverMs - interval * lengthMs, () => offset).slice(0, nameLength);
}

/** Answers which of the names in a folder are old files to be removed, so that `keep` of them are left; 0 keeps all. */
export function surplus(when: RotationUnit, base: string, names: readonly string[], keep: number): readonly string[] {
  const form = "####-##-##_##-##-##".slice(0, unitOf(when)[1]);
  const isOld = (name: string) =>
    name.startsWith(`${base}.`) && name.slice(base.length + 1).replaceAll(/\d/g, "#") === form;
  return keep === 0 ? [] : names.filter(isOld).toSorted().slice(0, -keep);
}
