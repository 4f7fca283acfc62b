/**
 * Times as a clock on the wall shows them, and the directives of strftime that
 * `datefmt` may use. Pure, but for the machine's own time zone.
 *
 * @module
 */

/** How many minutes a zone is east of Greenwich at an instant, in milliseconds since 1970. */
export type Zone = (timeMs: number) => number;

/** Universal time. */
export const UTC: Zone = () => 0;
/** The machine's own zone. */
export const LOCAL: Zone = (timeMs) => -new Date(timeMs).getTimezoneOffset();

/** What a clock in a zone shows. */
export interface WallTime {
  /** Its `getUTC…` functions answer what the clock shows. */
  readonly date: Date;
  readonly offsetMinutes: number;
}

/** What a clock in a zone shows at an instant, in milliseconds since 1970. */
export function wallTime(timeMs: number, zone: Zone): WallTime {
  const offsetMinutes = zone(timeMs);
  return { date: new Date(timeMs + offsetMinutes * 60_000), offsetMinutes };
}

const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const MONTHS = "January February March April May June July August September October November December".split(" ");

/** Names the machine's zone; made when first needed, since that takes its time. */
let zoneNames: Intl.DateTimeFormat | undefined;

const digits = (number: number, count = 2) => String(number).padStart(count, "0");
const yearDay = (date: Date) => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;

/** What each directive writes; names are English, as in the C locale. */
const DIRECTIVES: Readonly<Record<string, (date: Date, offset: number) => string>> = {
  "%": () => "%",
  A: (date) => DAYS[date.getUTCDay()] ?? "",
  a: (date) => DAYS[date.getUTCDay()]?.slice(0, 3) ?? "",
  B: (date) => MONTHS[date.getUTCMonth()] ?? "",
  b: (date) => MONTHS[date.getUTCMonth()]?.slice(0, 3) ?? "",
  d: (date) => digits(date.getUTCDate()),
  F: (date) => date.toISOString().slice(0, 10),
  H: (date) => digits(date.getUTCHours()),
  I: (date) => digits((date.getUTCHours() + 11) % 12 + 1),
  j: (date) => digits(yearDay(date), 3),
  M: (date) => digits(date.getUTCMinutes()),
  m: (date) => digits(date.getUTCMonth() + 1),
  p: (date) => date.getUTCHours() < 12 ? "AM" : "PM",
  S: (date) => digits(date.getUTCSeconds()),
  T: (date) => date.toISOString().slice(11, 19),
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => digits(date.getUTCFullYear() % 100),
  Z: (date, offset) => {
    zoneNames ??= new Intl.DateTimeFormat("en-US", { timeZoneName: "short" });
    const parts = zoneNames.formatToParts(date.getTime() - offset * 60_000);
    return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
  },
  z: (_, offset) =>
    `${offset < 0 ? "-" : "+"}${digits(Math.floor(Math.abs(offset) / 60))}${digits(Math.abs(offset) % 60)}`,
};

/** Writes a time; an unknown directive stays as it is. */
export function strftime(format: string, { date, offsetMinutes }: WallTime): string {
  return format.replaceAll(
    /%(.)/gsu,
    (whole, directive: string) => DIRECTIVES[directive]?.(date, offsetMinutes) ?? whole,
  );
}

/** The directives in a format that {@linkcode strftime} leaves as they are. */
export function unknownDirectives(format: string): readonly string[] {
  return [...format.matchAll(/%(.)/gsu)].flatMap(([whole, directive = ""]) =>
    Object.hasOwn(DIRECTIVES, directive) ? [] : [whole]
  );
}
