const UNITS: Readonly<Record<string, number>> = { day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1_000 };

/** A point in time: so far from now, or fixed. */
export type TimeLimit = { readonly fromNowMs: number } | { readonly atMs: number };

/**
 * Reads a limit as operators write it: `-7 days`, `+2 minutes`, `30 seconds`,
 * or a date and time, `2026-01-31` or `2026-01-31T12:00:00` (in UTC unless it
 * says otherwise). `undefined` if it is none.
 */
export function parseTimeLimit(text: string): TimeLimit | undefined {
  const [, sign, amount, unit = ""] = /^([+-]?)\s*([0-9]{1,9})\s+(day|hour|minute|second)s?$/.exec(text.trim()) ?? [];
  if (amount !== undefined) return { fromNowMs: Number(amount) * (UNITS[unit] ?? 0) * (sign === "-" ? -1 : 1) };
  const [date, time, zone] = /^\d{4}-\d\d-\d\d(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text.trim()) ??
    [];
  if (date === undefined) return undefined;
  const atMs = Date.parse(`${date.slice(0, 10)}T${time ?? "00:00"}${zone ?? "Z"}`);
  return Number.isNaN(atMs) ? undefined : { atMs };
}

/** Answers when a limit is, in milliseconds since 1970. */
export function resolveTimeLimit(limit: TimeLimit, nowMs: number): number {
  return "atMs" in limit ? limit.atMs : nowMs + limit.fromNowMs;
}
