/**
 * C's strftime in the C locale, which Python's formatters use for `datefmt`. Pure.
 *
 * @module
 */

/** A time as clocks and calendars on the wall show it. */
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
  /** Seconds since 1970 in UTC. */
  readonly epochSeconds: number;
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** Writes a time; what is no directive stays as it is. The flags `-`, `_`, `0`, `^` and `#` are the GNU C library's. */
export function strftime(format: string, time: WallTime): string {
  return format.replaceAll(/%([-_0^#]?)(.)/gsu, (whole, flag: string, directive: string) => {
    const written = writeDirective(directive, time);
    return written === undefined ? whole : flagged(written, flag);
  });
}

function flagged(text: string, flag: string): string {
  switch (flag) {
    case "-":
      return text.replace(/^[0 ]+(?=\d)/, "");
    case "_":
      return text.replace(/^0+(?=\d)/, (zeros) => " ".repeat(zeros.length));
    case "0":
      return text.replace(/^ +(?=\d)/, (blanks) => "0".repeat(blanks.length));
    case "^":
      return text.toUpperCase();
    case "#":
      return text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();
    default:
      return text;
  }
}

function writeDirective(directive: string, time: WallTime): string | undefined {
  const { year, month, day, hour, minute, second, weekday, yearDay } = time;
  const twelve = (hour + 11) % 12 + 1;
  switch (directive) {
    case "a":
      return DAYS[weekday]?.slice(0, 3);
    case "A":
      return DAYS[weekday];
    case "b":
    case "h":
      return MONTHS[month - 1]?.slice(0, 3);
    case "B":
      return MONTHS[month - 1];
    case "c":
      return strftime("%a %b %e %H:%M:%S %Y", time);
    case "C":
      return two(Math.floor(year / 100));
    case "d":
      return two(day);
    case "D":
    case "x":
      return strftime("%m/%d/%y", time);
    case "e":
      return two(day, " ");
    case "F":
      return strftime("%Y-%m-%d", time);
    case "g":
      return two(isoWeek(time).year % 100);
    case "G":
      return String(isoWeek(time).year);
    case "H":
      return two(hour);
    case "I":
      return two(twelve);
    case "j":
      return String(yearDay).padStart(3, "0");
    case "k":
      return two(hour, " ");
    case "l":
      return two(twelve, " ");
    case "m":
      return two(month);
    case "M":
      return two(minute);
    case "n":
      return "\n";
    case "p":
      return hour < 12 ? "AM" : "PM";
    case "P":
      return hour < 12 ? "am" : "pm";
    case "r":
      return strftime("%I:%M:%S %p", time);
    case "R":
      return strftime("%H:%M", time);
    case "s":
      return String(time.epochSeconds);
    case "S":
      return two(second);
    case "t":
      return "\t";
    case "T":
    case "X":
      return strftime("%H:%M:%S", time);
    case "u":
      return String(weekday === 0 ? 7 : weekday);
    case "U":
      return two(Math.floor((yearDay + 6 - weekday) / 7));
    case "V":
      return two(isoWeek(time).week);
    case "w":
      return String(weekday);
    case "W":
      return two(Math.floor((yearDay + 6 - (weekday + 6) % 7) / 7));
    case "y":
      return two(year % 100);
    case "Y":
      return String(year);
    case "z":
      return offset(time.offsetMinutes);
    case "Z":
      return time.zone;
    case "%":
      return "%";
    default:
      return undefined;
  }
}

function two(number: number, fill = "0"): string {
  return String(number).padStart(2, fill);
}

function offset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

/** The week of ISO 8601, which belongs to the year that its Thursday is in. */
function isoWeek({ year, yearDay, weekday }: WallTime): { readonly year: number; readonly week: number } {
  const week = Math.floor((yearDay - (weekday + 6) % 7 + 9) / 7);
  if (week === 0) return { year: year - 1, week: weeksOf(year - 1, weekdayOfFirst(year - 1)) };
  const weeks = weeksOf(year, ((weekday - (yearDay - 1)) % 7 + 7) % 7);
  return week > weeks ? { year: year + 1, week: 1 } : { year, week };
}

function weeksOf(year: number, firstWeekday: number): number {
  return firstWeekday === 4 || (firstWeekday === 3 && isLeap(year)) ? 53 : 52;
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** The weekday of the first of January in the Gregorian calendar. */
function weekdayOfFirst(year: number): number {
  const before = year - 1;
  return (1 + 5 * (before % 4) + 4 * (before % 100) + 6 * (before % 400)) % 7;
}
