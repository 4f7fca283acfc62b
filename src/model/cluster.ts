import type { AdditionsAllowed } from "./addition.ts";
import type { Finding } from "../kernel/findings.ts";
import type { Node } from "./node.ts";
import { type Combine, type RegistrySource, UNION } from "./registry_source.ts";
import type { ClusterName } from "./topology.ts";
import type { TrafficPolicy } from "./traffic.ts";

/** Membership guards of a cluster: when a registry's answer is accepted. */
export interface GuardSettings {
  /** What to do when the registry reports no nodes. */
  readonly onEmpty: "keep" | "clear";
  /** How long after a reconnect of the registry an empty answer is not accepted. */
  readonly emptyGraceMs: number;
  /** An answer that leaves fewer nodes is held for as long as it stays so; 0 for never. */
  readonly minNodes: number;
  /** An answer with more nodes is held for as long as it stays so: no balancer is sized for them. */
  readonly maxNodes: number;
  /** If a larger part of the nodes is removed within `shrinkGraceMs`, the change is held for as long; 100 for never. */
  readonly maxShrinkPercent: number;
  /** See `maxShrinkPercent`. */
  readonly shrinkGraceMs: number;
}

/** The default guards. */
export const GUARD_DEFAULTS: GuardSettings = Object.freeze({
  onEmpty: "clear",
  emptyGraceMs: 5_000,
  minNodes: 0,
  maxNodes: 10_000,
  maxShrinkPercent: 100,
  shrinkGraceMs: 60_000,
});

/** A cluster that this host consumes: one file of `clusters/`. */
export interface Cluster {
  /** Its name in the registry and in HAProxy. */
  readonly name: ClusterName;
  /** The registries that know its members, in the order of `discovery:`; never empty. */
  readonly sources: readonly RegistrySource[];
  /** How the members of several sources become those of the cluster. */
  readonly combine: Combine;
  /** When answers of its registries are accepted. */
  readonly guard: GuardSettings;
  /** How requests are distributed among its members; if absent, by the nodes and the balancer. */
  readonly traffic?: TrafficPolicy | undefined;
  /** The nodes and hosts that get no new connections, whatever the registry says of them. */
  readonly exclude?: readonly string[] | undefined;
  /** What may be added to it over the admin interface; absent: nothing. */
  readonly api?: AdditionsAllowed | undefined;
  /** The servers used while it has no members. */
  readonly defaultServers: readonly Node[];
  /** The meta cluster it is part of. */
  readonly metaCluster?: string | undefined;
  /** The section of each balancer, by the balancer's name, validated by the balancer's plugin. */
  readonly balancers: ReadonlyMap<string, unknown>;
  /** Findings about unknown keys beside the sections; a key that a balancer's plugin knows is misplaced. */
  readonly unknownKeys: readonly Finding[];
}

/** The defaults of a cluster. */
export const CLUSTER_DEFAULTS: Pick<Cluster, "combine" | "guard" | "defaultServers" | "unknownKeys"> = Object.freeze({
  combine: UNION,
  guard: GUARD_DEFAULTS,
  defaultServers: [],
  unknownKeys: [],
});
