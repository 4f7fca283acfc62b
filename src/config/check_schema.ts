/**
 * What a file may say of a check that is the host's, in a service's file and in
 * `traffic.health` of a cluster's; the rest is for the check's plugin. Pure.
 *
 * @module
 */
import type { Finding, Path } from "../kernel/findings.ts";
import { converted, houseSchema, integer, keys, optional, percentage, seconds } from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import type { Check } from "../model/service.ts";
import { host, isName, name, NAME_WANTED, pick, port } from "./schema_words.ts";

/** The probe's deadline when the file names none: its interval, kept between these. */
export const TIMEOUT_MS = { min: 1_000, max: 5_000 };

const timeout = () => optional(seconds({ min: 0.01, max: 3_600 }));

/** The keys of a service's check that are the host's; all others are the plugin's. */
export const CHECK_ENTRIES = {
  rise: integer({ min: 0 }),
  fall: integer({ min: 0 }),
  timeout: timeout(),
  type: optional(name()),
  host: optional(host()),
  port: optional(port()),
};

/** The names of {@linkcode CHECK_ENTRIES}. */
export const HOST_KEYS: readonly string[] = Object.keys(CHECK_ENTRIES);

/** The keys of a check of nodes that are the host's: each is probed at its own address. */
export const NODE_CHECK_ENTRIES = {
  rise: optional(integer({ min: 1 }), 2),
  fall: optional(integer({ min: 1 }), 2),
  timeout: timeout(),
  type: optional(name()),
  port: optional(port()),
  port_name: optional(name()),
};

/** The same as a schema, for the table of its keys. */
export const nodeCheckSchema = houseSchema(keys(NODE_CHECK_ENTRIES));

/** The names of {@linkcode NODE_CHECK_ENTRIES}. */
export const NODE_CHECK_KEYS: readonly string[] = Object.keys(NODE_CHECK_ENTRIES);

/** The keys of `traffic.health` that are no check. */
export const HEALTH_ENTRIES = {
  interval: optional(seconds({ min: 0.1, max: 3_600 }), 3),
  isolation: optional(
    converted((value) => value === "worker" || value === "shared" ? value : undefined, "worker or shared"),
    "shared",
  ),
  panic_threshold: optional(percentage(), 0),
};

/** A check's own keys as the entries give them. */
export interface HostsCheck {
  readonly rise: number;
  readonly fall: number;
  readonly timeout?: number | undefined;
  readonly type?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

/** Reads a check: its own keys as the entries gave them, and of the raw section what is the plugin's. */
export function readCheck(
  check: string,
  own: HostsCheck | undefined,
  raw: unknown,
  { intervalMs, own: ownKeys = HOST_KEYS }: { readonly intervalMs: number; readonly own?: readonly string[] },
): Check {
  const { rise = 1, fall = 1, timeout, type = check, host, port } = own ?? {};
  const timeoutMs = timeout === undefined
    ? Math.min(TIMEOUT_MS.max, Math.max(TIMEOUT_MS.min, intervalMs))
    : Math.round(timeout * 1_000);
  return {
    name: check,
    type,
    rise,
    // 1.0 takes a check down at once for a fall of 0, which is what 1 does.
    fall: Math.max(1, fall),
    timeoutMs,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    config: isRecord(raw) ? pick(raw, (key) => !ownKeys.includes(key)) : {},
  };
}

/** Answers a map of checks with only the host's keys left in each. */
export function withoutPluginKeys(
  checks: Record<string, unknown>,
  { isCheck, own }: { readonly isCheck: (key: string) => boolean; readonly own: readonly string[] },
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(checks).map(([key, check]) => [
      key,
      isCheck(key) && isRecord(check) ? pick(check, (inner) => own.includes(inner)) : check,
    ]),
  );
}

/** Says which of these cannot name a check. */
export function badCheckNames(path: Path, names: readonly string[]): readonly Finding[] {
  return names.filter((check) => !isName(check)).map((check) => ({
    severity: "error",
    path: [...path, check],
    at: "key",
    message: `Cannot use ${JSON.stringify(check)} as a check name: must be ${NAME_WANTED}`,
  }));
}
