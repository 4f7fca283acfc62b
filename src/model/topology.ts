import type { Node } from "./node.ts";

/** The name of a cluster: a path component in the registry, a section name in HAProxy. */
export type ClusterName = string & { readonly __brand?: "ClusterName" };

/** One cluster's members at one time: always the whole set, never a change to it. */
export interface ClusterSnapshot {
  /** The cluster. */
  readonly cluster: ClusterName;
  /** Every member, an empty list when there is none. */
  readonly nodes: readonly Node[];
}

/** Everything known of all clusters at one time. */
export interface Topology {
  /** Grows by one with every change. */
  readonly generation: number;
  /** Members by cluster, sorted by name; a cluster of which nothing was ever heard is absent. */
  readonly clusters: ReadonlyMap<ClusterName, readonly Node[]>;
}
