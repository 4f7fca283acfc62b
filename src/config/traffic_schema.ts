/**
 * What `traffic:` of a cluster's file may say, and the policy that it comes to.
 * Pure.
 *
 * @module
 */
import { chosen, converted, integer, keys, matching, optional, percentage, seconds } from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import type { Finding } from "../kernel/findings.ts";
import {
  badCheckNames,
  HEALTH_ENTRIES,
  type HostsCheck,
  NODE_CHECK_ENTRIES,
  NODE_CHECK_KEYS,
  readCheck,
  withoutPluginKeys,
} from "./check_schema.ts";
import { isName } from "./schema_words.ts";
import {
  type HealthPolicy,
  type NodeField,
  type SlowStart,
  type SourceTraffic,
  type TrafficPolicy,
  WEIGHT_MOST,
  WEIGHT_POLICY_DEFAULT,
} from "../model/traffic.ts";

const weight = () => integer({ min: 0, max: WEIGHT_MOST });

/** A field of a node: keys of metadata and names of labels have no dots here. */
const FIELD = /^(?:metadata|labels)(?:\.[^.\s]{1,64}){1,8}$/;
const ZONE_FIELD = /^zone$|^(?:metadata|labels)(?:\.[^.\s]{1,64}){1,8}$/;

const SLOW_START = {
  delay: optional(seconds({ min: 0, max: 3_600 }), 0),
  ramp: optional(seconds({ min: 0, max: 3_600 }), 60),
  from: optional(percentage(), 10),
  curve: optional(
    converted((value) => value === "linear" || value === "quadratic" ? value : undefined, "linear or quadratic"),
    "linear",
  ),
  grace: optional(seconds({ min: 0, max: 3_600 }), 60),
};

const field = () => matching(FIELD, "metadata.KEY or labels.NAME");
const WEIGHT = keys({ from: optional(field()), default: optional(weight(), WEIGHT_POLICY_DEFAULT.default) });
// A registry's own weight is in the cluster's weight already.
const SOURCE_WEIGHT = keys({ from: field(), default: optional(weight(), WEIGHT_POLICY_DEFAULT.default) });
const isPlain = (value: unknown) => typeof value === "number" || typeof value === "string";

/** The keys of `traffic` in an item of `discovery:`. */
export const SOURCE_TRAFFIC = keys({
  weight: optional(
    chosen((value): ReturnType<typeof weight> | typeof SOURCE_WEIGHT => isPlain(value) ? weight() : SOURCE_WEIGHT),
  ),
  slow_start: optional(keys(SLOW_START)),
});

const HEALTH = keys(HEALTH_ENTRIES);

/** The keys of `traffic`. */
export const TRAFFIC = keys({
  weight: optional(chosen((value): ReturnType<typeof weight> | typeof WEIGHT => isPlain(value) ? weight() : WEIGHT)),
  slow_start: optional(keys(SLOW_START)),
  zones: optional(keys({
    prefer: optional(converted((value) => value === "local" ? value : undefined, "local"), "local"),
    spill_below: optional(percentage({ min: 1 }), 80),
    key: optional(matching(ZONE_FIELD, "zone, metadata.KEY or labels.NAME"), "zone"),
  })),
  overflow: optional(keys({
    clusters: converted(
      (value) =>
        Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string" && isName(each))
          ? value as readonly string[]
          : undefined,
      "a list of cluster names",
    ),
    below: optional(percentage({ min: 1 }), 80),
    capacity: optional(integer({ min: 0, max: 100_000 }), 0),
  })),
  health: optional(chosen((value): typeof HEALTH => {
    const names = isRecord(value) ? healthChecks(value) : [];
    return keys({ ...HEALTH_ENTRIES, ...Object.fromEntries(names.map((name) => [name, keys(NODE_CHECK_ENTRIES)])) });
  })),
  warm_up: optional(seconds({ min: 0, max: 3_600 }), 0),
});

/** The names of the checks in `traffic.health`. */
function healthChecks(health: Record<string, unknown>): readonly string[] {
  return Object.keys(health).filter((key) => !Object.hasOwn(HEALTH_ENTRIES, key));
}

/** Answers a cluster's file with only the host's keys left in each check of its nodes. */
export function withoutHealthConfig(raw: Record<string, unknown>): Record<string, unknown> {
  const { traffic } = raw;
  if (!isRecord(traffic) || !isRecord(traffic.health)) return raw;
  // A check with nothing behind it takes what is standard.
  const health = Object.fromEntries(
    Object.entries(traffic.health).map(([key, value]) => [
      key,
      value === null && !Object.hasOwn(HEALTH_ENTRIES, key) ? {} : value,
    ]),
  );
  const isCheck = (key: string) => !Object.hasOwn(HEALTH_ENTRIES, key);
  return { ...raw, traffic: { ...traffic, health: withoutPluginKeys(health, { isCheck, own: NODE_CHECK_KEYS }) } };
}

/** Reads the checks of nodes: the host's keys as they were read, and the plugins' as they stand in the file. */
function healthPolicy(read: ReadHealth, raw: unknown): HealthPolicy {
  const { interval, isolation, panic_threshold: panic } = read;
  const intervalMs = toMs(interval);
  const checks = read as unknown as Readonly<Record<string, HostsCheck & { readonly port_name?: string | undefined }>>;
  const said = isRecord(raw) ? raw : {};
  return {
    intervalMs,
    isolation,
    panicBelow: panic / 100,
    checks: healthChecks(said).map((name) => {
      const { port_name: portName } = checks[name] ?? {};
      const check = readCheck(name, checks[name], said[name], { intervalMs, own: NODE_CHECK_KEYS });
      return { ...check, ...portName !== undefined && { portName } };
    }),
  };
}

/** Answers what a cluster's file that is wrong says to the plugins of checks of its nodes; `undefined` if nothing. */
export function draftTraffic(raw: Record<string, unknown>): TrafficPolicy | undefined {
  const { traffic } = raw;
  const health = isRecord(traffic) ? traffic.health : undefined;
  if (!isRecord(health)) return undefined;
  const checks = healthChecks(health).flatMap((name) => {
    const check = health[name] ?? {};
    if (!isName(name) || !isRecord(check)) return [];
    const { type = name } = check;
    if (typeof type !== "string" || !isName(type)) return [];
    return [readCheck(name, { rise: 1, fall: 1, type }, check, { intervalMs: 1_000, own: NODE_CHECK_KEYS })];
  });
  return checks.length === 0
    ? undefined
    : { ...trafficPolicy({}), health: { intervalMs: 1_000, isolation: "shared", panicBelow: 0, checks } };
}

/** Says what is wrong with `traffic.health` of a file whose keys are right. */
export function healthFaults(raw: unknown): readonly Finding[] {
  const health = isRecord(raw) && isRecord(raw.traffic) ? raw.traffic.health : undefined;
  if (!isRecord(health)) return [];
  const path = ["traffic", "health"];
  const names = healthChecks(health);
  if (names.length === 0) {
    const message =
      "Missing key traffic.health.NAME: traffic.health must have at least one check, such as http: {uri: /health}";
    return [{ severity: "error", path, at: "key", message }];
  }
  const both = names.filter((name) => {
    const check = health[name];
    return isRecord(check) && check.port !== undefined && check.port_name !== undefined;
  });
  return [
    ...badCheckNames(path, names),
    ...both.map((name): Finding => ({
      severity: "error",
      path: [...path, name, "port_name"],
      at: "key",
      message: `Cannot use traffic.health.${name}.port_name together with port; remove one of them`,
    })),
  ];
}

/** What {@linkcode SOURCE_TRAFFIC} reads. */
export interface ReadSourceTraffic {
  readonly weight?: number | { readonly from?: string | undefined; readonly default: number } | undefined;
  readonly slow_start?: {
    readonly delay: number;
    readonly ramp: number;
    readonly from: number;
    readonly curve: "linear" | "quadratic";
    readonly grace: number;
  } | undefined;
}

/** What {@linkcode TRAFFIC} reads. */
interface ReadTraffic extends ReadSourceTraffic {
  readonly zones?: { readonly spill_below: number; readonly key: string } | undefined;
  readonly overflow?: {
    readonly clusters: readonly string[];
    readonly below: number;
    readonly capacity: number;
  } | undefined;
  readonly health?: ReadHealth | undefined;
  readonly warm_up: number;
}

/** What is read of `traffic.health` beside its checks. */
interface ReadHealth {
  readonly interval: number;
  readonly isolation: "shared" | "worker";
  readonly panic_threshold: number;
}

/** The policy that `traffic:` of a file and of the items of its `discovery:` come to. */
export function trafficPolicy(
  { weight, slow_start: slow, zones, overflow, health, warm_up = 0 }: Partial<ReadTraffic>,
  { sources = [], raw }: {
    readonly sources?: readonly SourceTraffic[];
    /** The same as it stands in the file: the plugins of checks have keys in it. */
    readonly raw?: unknown;
  } = {},
): TrafficPolicy {
  return {
    weight: weightPolicy(weight),
    ...slow !== undefined && { slowStart: slowStart(slow) },
    ...sources.length > 0 && { sources },
    ...zones !== undefined && { zones: { spillBelow: zones.spill_below / 100, key: readField(zones.key) } },
    ...overflow !== undefined && {
      overflow: {
        clusters: [...new Set(overflow.clusters)],
        below: overflow.below / 100,
        capacity: overflow.capacity,
      },
    },
    ...health !== undefined && { health: healthPolicy(health, isRecord(raw) ? raw.health : undefined) },
    warmUpMs: toMs(warm_up),
  };
}

/** What `traffic:` of an item of `discovery:` comes to. */
export function sourceTraffic(source: string, { weight, slow_start: slow }: ReadSourceTraffic): SourceTraffic {
  return {
    source,
    ...weight !== undefined && { weight: weightPolicy(weight) },
    ...slow !== undefined && { slowStart: slowStart(slow) },
  };
}

function weightPolicy(weight: ReadTraffic["weight"]): TrafficPolicy["weight"] {
  if (typeof weight === "number") return { fixed: weight, default: WEIGHT_POLICY_DEFAULT.default };
  return {
    ...weight?.from !== undefined && { from: readField(weight.from) },
    default: weight?.default ?? WEIGHT_POLICY_DEFAULT.default,
  };
}

function slowStart(slow: NonNullable<ReadTraffic["slow_start"]>): SlowStart {
  return {
    delayMs: toMs(slow.delay),
    rampMs: toMs(slow.ramp),
    from: slow.from / 100,
    curve: slow.curve,
    graceMs: toMs(slow.grace),
  };
}

function readField(text: string): NodeField {
  const [of, ...path] = text.split(".");
  if (of === "zone") return { of };
  return { of: of === "labels" ? "labels" : "metadata", path };
}

function toMs(seconds: number): number {
  return Math.round(seconds * 1_000);
}

/** The clusters that a file, valid or not, names as those that serve what it cannot: they need no balancer's section. */
export function overflowNames(raw: unknown): readonly string[] {
  const inner = (value: unknown, key: string) => isRecord(value) ? value[key] : undefined;
  const names = inner(inner(inner(raw, "traffic"), "overflow"), "clusters");
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
}
