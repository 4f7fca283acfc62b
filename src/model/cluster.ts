import type { Finding } from "../kernel/findings.ts";
import type { Node } from "./node.ts";
import { type Combine, type RegistrySource, UNION } from "./registry_source.ts";
import type { ClusterName } from "./topology.ts";
import type { TrafficPolicy } from "./traffic.ts";

/** What is believed of a registry's answers about one cluster. */
export interface GuardSettings {
  /** What becomes of the cluster when its registry says that it has no nodes. */
  readonly onEmpty: "keep" | "clear";
  /** For how long after its registry has come into reach an empty answer is not believed. */
  readonly emptyGraceMs: number;
  /** An answer that leaves fewer nodes is held back for as long as it stays so; 0 for never. */
  readonly minNodes: number;
  /** An answer with more nodes is held back for as long as it stays so: no balancer is made for them. */
  readonly maxNodes: number;
  /** If a larger part of the nodes goes within `shrinkGraceMs`, that is held back for as long; 100 for never. */
  readonly maxShrinkPercent: number;
  /** See `maxShrinkPercent`. */
  readonly shrinkGraceMs: number;
}

/** What is believed where a cluster's file says nothing of it. */
export const GUARD_DEFAULTS: GuardSettings = Object.freeze({
  onEmpty: "clear",
  emptyGraceMs: 5_000,
  minNodes: 0,
  maxNodes: 10_000,
  maxShrinkPercent: 100,
  shrinkGraceMs: 60_000,
});

/** What this host consumes: one file of `clusters/`. */
export interface Cluster {
  /** Its name in the registry and in HAProxy. */
  readonly name: ClusterName;
  /** The registries that know its members, in the order of `discovery:`; never empty. */
  readonly sources: readonly RegistrySource[];
  /** How the members of several sources become those of the cluster. */
  readonly combine: Combine;
  /** What is accepted of what its registries report. */
  readonly guard: GuardSettings;
  /** How its requests are shared among its members; as they and the balancer say if absent. */
  readonly traffic?: TrafficPolicy | undefined;
  /** Who serves it while it has no members. */
  readonly defaultServers: readonly Node[];
  /** The meta cluster it is part of. */
  readonly metaCluster?: string | undefined;
  /** What each balancer is told of it, by the balancer's name; validated by the balancer's plugin. */
  readonly balancers: ReadonlyMap<string, unknown>;
  /** What is said of keys beside the sections that nobody knows; one that a balancer's plugin knows is out of place. */
  readonly unknownKeys: readonly Finding[];
}

/** What holds of a cluster whose file says no more than it must. */
export const CLUSTER_DEFAULTS: Pick<Cluster, "combine" | "guard" | "defaultServers" | "unknownKeys"> = Object.freeze({
  combine: UNION,
  guard: GUARD_DEFAULTS,
  defaultServers: [],
  unknownKeys: [],
});
