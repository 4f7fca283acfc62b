import type { SchemaIssue, SchemaResult } from "./lighthouse.ts";

/** The section of a service file with the name of this check, validated. */
export interface Config {
  /** Maximum fill of the cache, in percent of its limit. */
  readonly max_fill_percent: number;
}

/** Returns all issues of a config at once, each with its path; never throws. */
export function validate(value: unknown): SchemaResult<Config> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ message: "Cannot use the config: must be a map" }] };
  }
  const { max_fill_percent = 100, ...others } = value as Record<string, unknown>;
  const issues: SchemaIssue[] = Object.keys(others).map((key) => ({
    message: `Cannot use ${key}: unknown key`,
    path: [key],
    unknownKey: { known: ["max_fill_percent"] },
  }));
  const isPercent = typeof max_fill_percent === "number" && max_fill_percent >= 0 && max_fill_percent <= 100;
  if (isPercent && issues.length === 0) return { value: { max_fill_percent } };
  if (!isPercent) {
    const current = JSON.stringify(max_fill_percent);
    const message = `Cannot use max_fill_percent: must be a number from 0 to 100; current value is ${current}`;
    issues.push({ message, path: ["max_fill_percent"] });
  }
  return { issues };
}
