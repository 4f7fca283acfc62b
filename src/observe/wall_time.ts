import type { WallTime } from "./strftime.ts";

/** What names time zones: made when it is first asked, for that takes its time. */
let zones: Intl.DateTimeFormat | undefined;
/** The zone that was named last: asking for its name takes its time, too. */
let lastZone: { readonly offsetMinutes: number; readonly name: string } | undefined;

/** What the clock on this machine's wall shows at a time, in milliseconds since 1970. */
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
    epochSeconds: Math.floor(timeMs / 1_000),
  };
}
