/**
 * Times as a clock on the wall shows them, and the directives of strftime that
 * `datefmt` may use.
 *
 * @module
 */

/** A time in a time zone. */
export interface WallTime {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  /** From 1. */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** From 1. */
  readonly yearDay: number;
  /** East of Greenwich. */
  readonly offsetMinutes: number;
  /** As in `CET`. */
  readonly zone: string;
}

const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const MONTHS = "January February March April May June July August September October November December".split(" ");

const two = (number: number) => String(number).padStart(2, "0");

/** What each directive writes; names are English, as in the C locale. */
const DIRECTIVES: Readonly<Record<string, (time: WallTime) => string>> = {
  "%": () => "%",
  A: ({ weekday }) => DAYS[weekday] ?? "",
  a: ({ weekday }) => DAYS[weekday]?.slice(0, 3) ?? "",
  B: ({ month }) => MONTHS[month - 1] ?? "",
  b: ({ month }) => MONTHS[month - 1]?.slice(0, 3) ?? "",
  d: ({ day }) => two(day),
  F: (time) => strftime("%Y-%m-%d", time),
  H: ({ hour }) => two(hour),
  I: ({ hour }) => two((hour + 11) % 12 + 1),
  j: ({ yearDay }) => String(yearDay).padStart(3, "0"),
  M: ({ minute }) => two(minute),
  m: ({ month }) => two(month),
  p: ({ hour }) => hour < 12 ? "AM" : "PM",
  S: ({ second }) => two(second),
  T: (time) => strftime("%H:%M:%S", time),
  w: ({ weekday }) => String(weekday),
  Y: ({ year }) => String(year),
  y: ({ year }) => two(year % 100),
  Z: ({ zone }) => zone,
  z: ({ offsetMinutes: offset }) =>
    `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`,
};

/** Writes a time; a directive that is not known stays as it is. */
export function strftime(format: string, time: WallTime): string {
  return format.replaceAll(/%(.)/gsu, (whole, directive: string) => DIRECTIVES[directive]?.(time) ?? whole);
}

/** The directives in a format that {@linkcode strftime} leaves as they are. */
export function unknownDirectives(format: string): readonly string[] {
  return [...format.matchAll(/%(.)/gsu)].flatMap(([whole, directive = ""]) =>
    Object.hasOwn(DIRECTIVES, directive) ? [] : [whole]
  );
}

/** Names time zones: made when first needed, since that takes its time. */
let zones: Intl.DateTimeFormat | undefined;
/** The zone that was named last: asking for its name takes its time, too. */
let lastZone: { readonly offsetMinutes: number; readonly name: string } | undefined;

/** The local time at an instant, in milliseconds since 1970. */
export function localTime(timeMs: number): WallTime {
  const date = new Date(timeMs);
  const offsetMinutes = -date.getTimezoneOffset();
  if (lastZone?.offsetMinutes !== offsetMinutes) {
    zones ??= new Intl.DateTimeFormat("en-US", { timeZoneName: "short" });
    const name = zones.formatToParts(date).find(({ type }) => type === "timeZoneName")?.value ?? "";
    lastZone = { offsetMinutes, name };
  }
  return wallTime(timeMs, offsetMinutes, lastZone.name);
}

/** The same in UTC. */
export function utcTime(timeMs: number): WallTime {
  return wallTime(timeMs, 0, "UTC");
}

function wallTime(timeMs: number, offsetMinutes: number, zone: string): WallTime {
  const shifted = new Date(timeMs + offsetMinutes * 60_000);
  const year = shifted.getUTCFullYear();
  return {
    year,
    month: shifted.getUTCMonth() + 1,
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
    weekday: shifted.getUTCDay(),
    yearDay: Math.floor((shifted.getTime() - Date.UTC(year, 0, 1)) / 86_400_000) + 1,
    offsetMinutes,
    zone,
  };
}
