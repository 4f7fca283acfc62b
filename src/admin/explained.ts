/** What `GET /explain` answers: where each node comes from, and what it gets and why. What is not so is `null`. */
export interface Explained {
  readonly role: "writer" | "reporter" | "run";
  readonly dir: string;
  readonly clusters: readonly ExplainedCluster[];
}

/** A cluster as one balancer serves it. */
export interface ExplainedCluster {
  readonly cluster: string;
  /** The balancer; `null` where no balancer has a section for it. */
  readonly balancer: string | null;
  /** How its members are known: `current`, `stale`, `held`, `last-known`, `unknown`. */
  readonly state: string;
  /** Why that is not `current`. */
  readonly reason: string | null;
  /** Its discoveries. */
  readonly discovery: string;
  /** When a share changes by itself. */
  readonly changesInSeconds: number | null;
  readonly nodes: readonly ExplainedNode[];
}

/** A node, what it gets and why. */
export interface ExplainedNode {
  readonly name: string;
  readonly address: string;
  /** The other cluster that it is a member of. */
  readonly from: string | null;
  /** The discovery that reported it, and when it first did. */
  readonly source: string | null;
  readonly since: string | null;
  /** The part of all requests that it gets, from 0 to 1; `null` where nothing is said of shares. */
  readonly share: number | null;
  /** Its weight; `null` for the balancer's default. */
  readonly weight: number | null;
  readonly state: "ready" | "drain" | "maint";
  /** Whether it waits until preferred nodes are not enough. */
  readonly waits: boolean;
  /** Whether the balancer finds it down; `null` where it is not asked. */
  readonly down: boolean | null;
  readonly factors: readonly { readonly name: string; readonly value: number; readonly detail: string | null }[];
  /** What decides on its state: an operator, or the cluster's file. */
  readonly override: { readonly author: string; readonly reason: string | null; readonly until: string | null } | null;
}
