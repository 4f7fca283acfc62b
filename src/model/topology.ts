import type { Node } from "./node.ts";

/** The name of a cluster: a path component in the registry, a section name in HAProxy. */
export type ClusterName = string & { readonly __brand?: "ClusterName" };

/** What a registry reports about one cluster: facts only, always the complete set, never a change. */
export interface ClusterFacts {
  /** All members; empty if there are none. */
  readonly nodes: readonly Node[];
  /** Whether the registry has the cluster: `false` for a missing path, an absent service, a missing directory. */
  readonly exists: boolean;
  /**
   * Opaque. Changes when the history of the registry is unknown: a reconnect with a new session, another server without
   * the same history, an index that was restored or decreased. The same as long as one answer follows another.
   */
  readonly epoch: string;
  /**
   * How long a living member may take to be registered again after a change of the epoch, in milliseconds: the lease
   * of the registry, if it has one.
   */
  readonly leaseMs?: number | undefined;
}

/** The facts of one cluster. */
export interface ClusterSnapshot extends ClusterFacts {
  /** The cluster. */
  readonly cluster: ClusterName;
}

/** All clusters at one time. */
export interface Topology {
  /** Incremented with every change. */
  readonly generation: number;
  /** Members by cluster, sorted by name; a cluster without any answer so far is absent. */
  readonly clusters: ReadonlyMap<ClusterName, readonly Node[]>;
}
