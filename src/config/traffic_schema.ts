/**
 * What `traffic:` of a cluster's file may say, and the policy that it comes to.
 * Pure.
 *
 * @module
 */
import { chosen, converted, integer, keys, matching, optional, percentage, seconds } from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import { isName } from "./schema_words.ts";
import {
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
      "a list of names of clusters",
    ),
    below: optional(percentage({ min: 1 }), 80),
    capacity: optional(integer({ min: 0, max: 100_000 }), 0),
  })),
  warm_up: optional(seconds({ min: 0, max: 3_600 }), 0),
});

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
  readonly warm_up: number;
}

/** The policy that `traffic:` of a file and of the items of its `discovery:` come to. */
export function trafficPolicy(
  { weight, slow_start: slow, zones, overflow, warm_up = 0 }: Partial<ReadTraffic>,
  sources: readonly SourceTraffic[] = [],
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
