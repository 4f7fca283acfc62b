/**
 * When a log file gives way to a new one, and what the old ones are called: the
 * rules of Python's RotatingFileHandler and TimedRotatingFileHandler. Pure.
 *
 * @module
 */
import type { Rotation } from "./plan.ts";
import { strftime, type WallTime } from "./wall_time.ts";

/** A rotation by time. */
export type TimedRotation = Extract<Rotation, { by: "time" }>;

/** What the clock shows at a time, in seconds since 1970. */
export type ClockFace = (epochSeconds: number) => WallTime;

const DAY_S = 86_400;

const UNIT_S: Readonly<Record<string, number>> = { S: 1, M: 60, H: 3_600, D: DAY_S, MIDNIGHT: DAY_S };

const SUFFIXES: Readonly<Record<string, readonly [string, RegExp]>> = {
  S: ["%Y-%m-%d_%H-%M-%S", /^\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}$/],
  M: ["%Y-%m-%d_%H-%M", /^\d{4}-\d{2}-\d{2}_\d{2}-\d{2}$/],
  H: ["%Y-%m-%d_%H", /^\d{4}-\d{2}-\d{2}_\d{2}$/],
};

const DAY_SUFFIX = ["%Y-%m-%d", /^\d{4}-\d{2}-\d{2}$/] as const;

function intervalOf({ when, interval }: TimedRotation): number {
  return interval * (UNIT_S[when] ?? 7 * DAY_S);
}

function isByDay({ when }: TimedRotation): boolean {
  return when === "MIDNIGHT" || when.startsWith("W");
}

/**
 * Answers when a file that was last written at a time is to give way, both in
 * seconds since 1970. Days are those of the clock on the wall, also where one
 * is an hour longer or shorter than others.
 */
export function rolloverAt(rotation: TimedRotation, fromS: number, face: ClockFace): number {
  if (!isByDay(rotation)) return fromS + intervalOf(rotation);
  const now = face(fromS);
  const untilMidnight = DAY_S - (now.hour * 3_600 + now.minute * 60 + now.second);
  // Python counts Monday as 0.
  const today = (now.weekday + 6) % 7;
  const days = rotation.when === "MIDNIGHT" ? 0 : (Number(rotation.when.slice(1)) - today + 7) % 7;
  return onTheWall(fromS + untilMidnight + days * DAY_S, now, face);
}

/** Answers when the next file gives way, after one that did so now. */
export function nextRolloverAt(rotation: TimedRotation, nowS: number, face: ClockFace): number {
  let next = rolloverAt(rotation, nowS, face);
  while (next <= nowS) next += intervalOf(rotation);
  return next;
}

/** Moves a time that was reckoned with days of 24 hours to where the clock shows the same. */
function onTheWall(atS: number, from: WallTime, face: ClockFace): number {
  return atS + (from.offsetMinutes - face(atS).offsetMinutes) * 60;
}

/** What is added to the name of a file that gives way at a time: the beginning of its interval. */
export function rolledSuffix(rotation: TimedRotation, rolloverAtS: number, face: ClockFace): string {
  const [format] = SUFFIXES[rotation.when] ?? DAY_SUFFIX;
  const began = rolloverAtS - intervalOf(rotation);
  return strftime(format, face(onTheWall(began, face(rolloverAtS), face)));
}

/**
 * Answers which of the names in a folder are old files to be removed, so that
 * `backups` of them are left.
 */
export function surplus(rotation: TimedRotation, base: string, names: readonly string[]): readonly string[] {
  if (rotation.backups === 0) return [];
  const [, form] = SUFFIXES[rotation.when] ?? DAY_SUFFIX;
  const old = names.filter((name) => name.startsWith(`${base}.`) && form.test(name.slice(base.length + 1))).toSorted();
  return old.slice(0, Math.max(0, old.length - rotation.backups));
}

/** Whether a text makes a file too large: it gives way before it reaches the size. A file with nothing in it stays. */
export function isFull(
  sizeBytes: number,
  text: number,
  { maxBytes, backups }: Extract<Rotation, { by: "size" }>,
): boolean {
  return maxBytes > 0 && backups > 0 && sizeBytes > 0 && sizeBytes + text >= maxBytes;
}
