/**
 * Durations and percentages as users write them: `500ms`, `2s`, `5m`, `1h`,
 * `1d`, `80%`. The only parser for config keys and flags. Pure.
 *
 * @module
 */

const UNIT_MS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/**
 * Parses a duration with a unit (`1.5h`), or digits alone, which count in `bareUnit`; returns
 * milliseconds, or `undefined` if invalid.
 */
export function parseDuration(
  text: string,
  { bareUnit = "s" }: { readonly bareUnit?: "s" | "ms" } = {},
): number | undefined {
  const [, amount, unit = bareUnit] = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  // 0.07 s is 70 ms, not 70.00000000000001.
  return amount === undefined ? undefined : Math.round(Number(amount) * (UNIT_MS[unit] ?? 1) * 1_000) / 1_000;
}

/** Formats milliseconds in the largest unit without a fraction: `90s`, `1h`. */
export function formatDuration(ms: number): string {
  const [unit, unitMs] = Object.entries(UNIT_MS).find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? ["ms", 1];
  return ms === 0 ? "0s" : `${ms / unitMs}${unit}`;
}

/** Parses `80%` or `80`; `undefined` if invalid. */
export function parsePercentage(text: string): number | undefined {
  const [, amount] = /^([0-9]{1,15})%?$/.exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount);
}
