import type { ClusterName } from "./topology.ts";

/** What this host consumes: one file of `clusters/`. */
export interface Cluster {
  /** Its name in the registry and in HAProxy. */
  readonly name: ClusterName;
  /** The discovery that knows its members: the name of a file of `discovery/`. */
  readonly discovery: string;
  /** The meta cluster it is part of. */
  readonly metaCluster?: string | undefined;
  /** What each balancer is told of it, by the balancer's name; validated by the balancer's plugin. */
  readonly balancers: ReadonlyMap<string, unknown>;
}
