/** What `GET /explain` answers: where each node comes from, and what it gets and why. What is not so is `null`. */
export interface Explained {
  readonly role: "writer" | "reporter" | "run";
  readonly dir: string;
  /** This host, which reads the registries. */
  readonly host: string | null;
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
  /** Who has paused the management of the balancer, which changes nothing until that ends. */
  readonly paused: { readonly author: string; readonly reason: string | null; readonly until: string | null } | null;
  /** Its discoveries. */
  readonly discovery: string;
  /** The registries that are asked for it. */
  readonly sources: readonly ExplainedSource[];
  /** Why the balancer does not say what it has of its nodes. */
  readonly silence: string | null;
  /** When a share changes by itself. */
  readonly changesInSeconds: number | null;
  readonly nodes: readonly ExplainedNode[];
  /** What the balancer has beside them: nodes that are members no more. */
  readonly others: readonly { readonly name: string; readonly has: NodeInBalancer }[];
}

/** What a balancer has of a node. */
export interface NodeInBalancer {
  /** `absent`: the balancer does not have the node. */
  readonly state: "ready" | "drain" | "maint" | "absent";
  readonly weight: number;
  /** The part of all requests that it gets by that. */
  readonly share: number;
}

/** A registry that is asked for a cluster: whose word it is that a node is not there. */
export interface ExplainedSource {
  /** The source's name in the cluster's file. */
  readonly source: string;
  /** `connected`, `disconnected` or `unknown`, for how long, and what its worker says with it: the server, or the fault. */
  readonly registry: string;
  readonly forSeconds: number | null;
  readonly detail: string | null;
  /** How many nodes it has; `null` while nothing is known. */
  readonly nodes: number | null;
  /** The entries that were left out last, of all clusters of its discovery. */
  readonly leftOut: readonly { readonly reason: string; readonly agoSeconds: number }[];
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
  /** The part of all requests that it is to get, from 0 to 1; `null` where nothing is said of shares. */
  readonly share: number | null;
  /** Its weight; `null` for the balancer's default. */
  readonly weight: number | null;
  readonly state: "ready" | "drain" | "maint";
  /** Whether it waits until preferred nodes are not enough. */
  readonly waits: boolean;
  /** Whether the balancer finds it down; `null` where it is not asked. */
  readonly down: boolean | null;
  /** The last result of the balancer's check, in its words; `null` without a check. */
  readonly check: string | null;
  /** How many sessions the balancer has with it now. */
  readonly sessions: number | null;
  /** What the balancer has of it now; `null` where it does not say. */
  readonly has: NodeInBalancer | null;
  readonly factors: readonly { readonly name: string; readonly value: number; readonly detail: string | null }[];
  /** What decides on its state: an operator, or the cluster's file. */
  readonly override: { readonly author: string; readonly reason: string | null; readonly until: string | null } | null;
}
