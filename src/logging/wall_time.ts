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

const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const MONTHS = "January February March April May June July August September October November December".split(" ");
const DIRECTIVE = /%(.)/gsu;

/** Writes an instant, with names in English as in the C locale; an unknown directive stays as it is. */
export function strftime(format: string, timeMs: number, zone: Zone): string {
  const written = directivesOf(timeMs, zone);
  return format.replaceAll(DIRECTIVE, (whole, directive: string) => written[directive] ?? whole);
}

function directivesOf(timeMs: number, zone: Zone): Readonly<Record<string, string>> {
  const offset = zone(timeMs);
  const date = new Date(timeMs + offset * 60_000);
  const [Y = "", m = "", d = "", H = "", M = "", S = ""] = date.toISOString().split(/\D/);
  const [A = "", B = ""] = [DAYS[date.getUTCDay()], MONTHS[date.getUTCMonth()]];
  const I = String((date.getUTCHours() + 11) % 12 + 1).padStart(2, "0");
  const p = date.getUTCHours() < 12 ? "AM" : "PM";
  const minutes = Math.abs(offset);
  const z = (offset < 0 ? "-" : "+") + String(Math.floor(minutes / 60) * 100 + minutes % 60).padStart(4, "0");
  const [F, T] = [`${Y}-${m}-${d}`, `${H}:${M}:${S}`];
  return { Y, m, d, H, M, S, F, T, A, B, I, p, z, a: A.slice(0, 3), b: B.slice(0, 3), y: Y.slice(2), "%": "%" };
}

/** The directives in a format that {@linkcode strftime} leaves as they are. */
export function unknownDirectives(format: string): readonly string[] {
  const known = directivesOf(0, UTC);
  return [...format.matchAll(DIRECTIVE)].flatMap(([whole, own = ""]) => Object.hasOwn(known, own) ? [] : [whole]);
}
