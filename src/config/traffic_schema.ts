/**
 * What `traffic:` of a cluster's file may say, and the policy that it comes to.
 * Pure.
 *
 * @module
 */
import { chosen, converted, integer, keys, matching, optional, percentage, seconds } from "../kernel/schema.ts";
import { type NodeField, type TrafficPolicy, WEIGHT_MOST, WEIGHT_POLICY_DEFAULT } from "../model/traffic.ts";

const weight = () => integer({ min: 0, max: WEIGHT_MOST });

/** A field of a node: keys of metadata and names of labels have no dots here. */
const FIELD = /^(?:metadata|labels)(?:\.[^.\s]{1,64}){1,8}$/;

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

const WEIGHT = keys({
  from: optional(matching(FIELD, "metadata.KEY or labels.NAME")),
  default: optional(weight(), WEIGHT_POLICY_DEFAULT.default),
});

/** The keys of `traffic`. */
export const TRAFFIC = keys({
  weight: optional(
    chosen((value): ReturnType<typeof weight> | typeof WEIGHT =>
      typeof value === "number" || typeof value === "string" ? weight() : WEIGHT
    ),
  ),
  slow_start: optional(keys(SLOW_START)),
  warm_up: optional(seconds({ min: 0, max: 3_600 }), 0),
});

/** What {@linkcode TRAFFIC} reads. */
interface ReadTraffic {
  readonly weight?: number | { readonly from?: string | undefined; readonly default: number } | undefined;
  readonly slow_start?: {
    readonly delay: number;
    readonly ramp: number;
    readonly from: number;
    readonly curve: "linear" | "quadratic";
    readonly grace: number;
  } | undefined;
  readonly warm_up: number;
}

/** The policy that `traffic:` comes to. */
export function trafficPolicy({ weight, slow_start: slow, warm_up }: ReadTraffic): TrafficPolicy {
  return {
    weight: typeof weight === "number" ? { fixed: weight, default: WEIGHT_POLICY_DEFAULT.default } : {
      ...weight?.from !== undefined && { from: readField(weight.from) },
      default: weight?.default ?? WEIGHT_POLICY_DEFAULT.default,
    },
    ...slow !== undefined && {
      slowStart: {
        delayMs: toMs(slow.delay),
        rampMs: toMs(slow.ramp),
        from: slow.from / 100,
        curve: slow.curve,
        graceMs: toMs(slow.grace),
      },
    },
    warmUpMs: toMs(warm_up),
  };
}

function readField(text: string): NodeField {
  const [of, ...path] = text.split(".");
  return { of: of === "labels" ? "labels" : "metadata", path };
}

function toMs(seconds: number): number {
  return Math.round(seconds * 1_000);
}
