import { parseDuration } from "../kernel/duration.ts";

/** A point in time: relative to now, or fixed. */
export type TimeLimit = { readonly fromNowMs: number } | { readonly atMs: number };

/**
 * Parses a limit as operators write it: a duration with or without a sign (`-7d`, `+2m`, `500ms`), one
 * in words (`-7 days`, `30 seconds`), or a date with or without a time, `2026-01-31T12:00:00` (UTC
 * without an offset). `undefined` if invalid.
 */
export function parseTimeLimit(text: string): TimeLimit | undefined {
  const [, sign, length = ""] = /^([+-]?)\s*(.*)$/s.exec(text.trim()) ?? [];
  const durationMs = parseDuration(
    length.replace(/\s+(day|hour|minute|second)s?$/, (_, word: string) => word.charAt(0)),
  );
  if (durationMs !== undefined) return { fromNowMs: sign === "-" ? -durationMs : durationMs };
  const [date, time, zone] = /^\d{4}-\d\d-\d\d(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text.trim()) ??
    [];
  if (date === undefined) return undefined;
  const atMs = Date.parse(`${date.slice(0, 10)}T${time ?? "00:00"}${zone ?? "Z"}`);
  return Number.isNaN(atMs) ? undefined : { atMs };
}

/** Returns the time of a limit, in milliseconds since 1970. */
export function resolveTimeLimit(limit: TimeLimit, nowMs: number): number {
  return "atMs" in limit ? limit.atMs : nowMs + limit.fromNowMs;
}
