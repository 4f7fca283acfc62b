import type { Node } from "./node.ts";

/** The name of a cluster: a path component in the registry, a section name in HAProxy. */
export type ClusterName = string & { readonly __brand?: "ClusterName" };

/** What a registry says of one cluster at one time: facts alone, always the whole set, never a change to it. */
export interface ClusterFacts {
  /** Every member, an empty list when there is none. */
  readonly nodes: readonly Node[];
  /** Whether the registry has the cluster at all: `false` for a missing path, an absent service, a missing directory. */
  readonly exists: boolean;
  /**
   * Opaque. Changes when the past of the registry is unknown: a reconnect with a new session, another server without
   * the same history, an index that was restored or became smaller. The same as long as one answer follows another.
   */
  readonly epoch: string;
  /**
   * How long a living member may take to be registered again after the epoch has changed, in milliseconds: the lease
   * of the registry, if it has one.
   */
  readonly leaseMs?: number | undefined;
}

/** The facts of one cluster. */
export interface ClusterSnapshot extends ClusterFacts {
  /** The cluster. */
  readonly cluster: ClusterName;
}

/** Everything known of all clusters at one time. */
export interface Topology {
  /** Grows by one with every change. */
  readonly generation: number;
  /** Members by cluster, sorted by name; a cluster of which nothing was ever heard is absent. */
  readonly clusters: ReadonlyMap<ClusterName, readonly Node[]>;
}
