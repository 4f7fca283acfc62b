/**
 * How a cluster's requests are shared among its nodes: the policy of its file,
 * and what an operator has said of single nodes.
 *
 * @module
 */

import type { Check } from "./service.ts";

/** The `traffic:` of a cluster's file. A part that is absent has no effect. */
export interface TrafficPolicy {
  /** The weight of each node before any factor. */
  readonly weight: WeightPolicy;
  /** How a node that is new gets its share. */
  readonly slowStart?: SlowStart | undefined;
  /** Which nodes are preferred, by where they run. */
  readonly zones?: ZonePolicy | undefined;
  /** Which other clusters serve what this one cannot. */
  readonly overflow?: OverflowPolicy | undefined;
  /** What is checked of each node by this host. */
  readonly health?: HealthPolicy | undefined;
  /** What the items of `discovery:` say of the nodes that they report. */
  readonly sources?: readonly SourceTraffic[] | undefined;
  /** For how long after the start of the writer neither slow start nor overflow has an effect. */
  readonly warmUpMs: number;
}

/** Where the weight of a node comes from. */
export interface WeightPolicy {
  /** The same for each node, regardless of its registry. */
  readonly fixed?: number | undefined;
  /** The field to read from each node; default: its `weight`. */
  readonly from?: NodeField | undefined;
  /** The weight of a node without a valid one. */
  readonly default: number;
}

/** The `traffic:` of one item of `discovery:`: multiplied with that of the cluster. */
export interface SourceTraffic {
  /** The name of the source. */
  readonly source: string;
  /** In percent of the weight that a node has by the cluster. */
  readonly weight?: WeightPolicy | undefined;
  readonly slowStart?: SlowStart | undefined;
}

/** A field of a node: its zone, one of its labels, or a value of its metadata. */
export type NodeField =
  | { readonly of: "zone" }
  | { readonly of: "labels" | "metadata"; readonly path: readonly string[] };

/** A ramp for nodes that are new to their cluster. */
export interface SlowStart {
  /** How long it gets nothing. */
  readonly delayMs: number;
  /** How long its share grows after that. */
  readonly rampMs: number;
  /** The part of its share that the ramp begins with, from 0 to 1. */
  readonly from: number;
  /** How it grows: by the same part each second, or slowly at first. */
  readonly curve: "linear" | "quadratic";
  /** A node that was away for no longer is not new. */
  readonly graceMs: number;
}

/** Requests stay in this host's zone as long as it can take them. */
export interface ZonePolicy {
  /** Below this part of local nodes that are ready, requests go to other zones too; above 0, at most 1. */
  readonly spillBelow: number;
  /** What names a node's zone. */
  readonly key: NodeField;
}

/** Checks of each node by this host, for balancers that cannot check, or that check too little. */
export interface HealthPolicy {
  /** The time from one probe of a check to the next. */
  readonly intervalMs: number;
  /** `shared`: workers for 50 nodes each. `worker`: one for each node. */
  readonly isolation: "shared" | "worker";
  /** With a smaller part of nodes that pass, all get requests; 0: only if none passes. */
  readonly panicBelow: number;
  /** All must pass; never empty. */
  readonly checks: readonly NodeCheck[];
}

/** A check of each node: at its address, and its own port unless another is named. */
export interface NodeCheck extends Omit<Check, "host"> {
  /** The port to probe instead, by its name in `metadata.ports` of the node. */
  readonly portName?: string | undefined;
}

/** What this host's checks of a node say. */
export interface NodeHealth {
  readonly state: "passing" | "failing" | "unknown";
  /** Why it is not passing. */
  readonly reason?: string | undefined;
}

/** Nodes of other clusters that serve what a cluster cannot. */
export interface OverflowPolicy {
  /** The names of these clusters. */
  readonly clusters: readonly string[];
  /** Below this part of the cluster that is ready; above 0, at most 1. */
  readonly below: number;
  /** How many nodes the whole cluster has at least; 0 for as many as there were. */
  readonly capacity: number;
}

/** The largest weight before any factor: one node must not reduce all others to nothing. */
export const WEIGHT_MOST = 65_536;

/** The default weights. */
export const WEIGHT_POLICY_DEFAULT: WeightPolicy = Object.freeze({ default: 100 });

/** Whether a policy reads the metadata of nodes. */
export function readsMetadata({ weight, zones, health, sources = [] }: TrafficPolicy): boolean {
  if (health?.checks.some(({ portName }) => portName !== undefined)) return true;
  const fields = [weight.from, zones?.key, ...sources.map((each) => each.weight?.from)];
  return fields.some((field) => field?.of === "metadata");
}

/** What an operator has said of one node, until it ends or is withdrawn. */
export interface Override {
  /** `drain`: nothing new. `maint`: out of service. `weight`: another share. */
  readonly kind: "drain" | "maint" | "weight";
  /** With `weight`: what the node's share is multiplied by, from 0, which drains it, to 10. */
  readonly factor?: number | undefined;
  /** When it ends, in milliseconds of the wall clock; never if absent. */
  readonly untilMs?: number | undefined;
  /** Who said it. */
  readonly author: string;
  /** Why. */
  readonly reason: string;
}

/** The overrides of one cluster, by the node's name. Of two of a kind the last counts. */
export type Overrides = ReadonlyMap<string, readonly Override[]>;
