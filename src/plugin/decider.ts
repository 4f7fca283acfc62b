import type { Node } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type {
  BalancerCounters,
  BalancerInputs,
  BalancerSources,
  Explanation,
  Listening,
  MembersChange,
  NodeDetail,
  PlanAllowance,
  Rendered,
  Schema,
  Seen,
  Shortcut,
  Step,
  Wanted,
  Weighing,
} from "./contract.ts";

/** A value now or later. */
export type Awaitable<T> = T | Promise<T>;

/**
 * A balancer's plugin as the host calls it: a built-in one is called directly and answers at once; a
 * third-party one runs in a worker, so its answers come later and are validated first. The functions
 * are those of `BalancerPlugin`, which is one of these.
 */
export interface Decider<Config = unknown, ClusterConfig = unknown, Observed = unknown> {
  /** Its name, for messages. */
  readonly name: string;
  /** Validates the balancer's own file. */
  readonly config: Schema<Config>;
  /** Validates the section of a cluster's file. */
  readonly cluster: Schema<ClusterConfig>;
  /** Whether the metadata of nodes is never read. */
  readonly ignoresMetadata?: boolean;
  /** Returns the addresses that the balancer would listen on. */
  listens?(config: Config, cluster?: ClusterConfig): Awaitable<readonly Listening[]>;
  /** Says whether weights decide which node of a cluster gets how much. */
  weighing?(config: Config, cluster: ClusterConfig): Awaitable<Weighing>;
  /** Whether `render` of a built-in one runs in a worker. */
  readonly rendersInWorker?: boolean;
  /** What it renders besides the clusters with a section for it. */
  inputs?(config: Config): Awaitable<BalancerInputs>;
  /** The clusters that existing files were made of, if `adopt` cannot read their members. */
  servedBy?(files: ReadonlyMap<string, string>, config: Config): Awaitable<readonly ClusterName[]>;
  /** Returns where to look. */
  sources(config: Config): Awaitable<BalancerSources>;
  /** Finds the pid in the answers. */
  pid(answers: readonly string[]): Awaitable<number | undefined>;
  /** Parses what the host saw. Throws if it cannot. */
  observe(seen: Seen, config: Config): Awaitable<Observed>;
  /** Reads the members back from config files. */
  adopt(files: ReadonlyMap<string, string>, config: Config): Awaitable<ReadonlyMap<ClusterName, readonly Node[]>>;
  /** Reads the members back from the running balancer. */
  adoptRunning?(observed: Observed): Awaitable<ReadonlyMap<ClusterName, readonly Node[]>>;
  /** The nodes that the balancer finds down. */
  nodesDown?(observed: Observed): Awaitable<ReadonlyMap<ClusterName, readonly string[]>>;
  /** What the balancer has of its nodes, for an operator. */
  nodeDetails?(answers: readonly string[]): Awaitable<ReadonlyMap<ClusterName, readonly NodeDetail[]>>;
  /** What the balancer counts. */
  counters?(answers: readonly string[]): Awaitable<BalancerCounters | undefined>;
  /** Renders the config files. */
  render(wanted: Wanted<Config, ClusterConfig>): Awaitable<Rendered>;
  /** Plans the way to the desired state. Throws if a reload is needed but impossible. */
  plan(
    wanted: Wanted<Config, ClusterConfig>,
    rendered: Rendered,
    observed: Observed,
    allowed: PlanAllowance,
  ): Awaitable<readonly Step[]>;
  /** Plans a change of members without a full observation; `undefined` if one is needed. */
  shortcut?(
    change: MembersChange<Config, ClusterConfig>,
    observed: Observed,
    allowed: Pick<PlanAllowance, "rejected" | "sentAgoMs">,
  ): Shortcut<Observed> | undefined;
  /** Interprets why a file was rejected. */
  explain?(rendered: Rendered, output: string): Awaitable<Explanation>;
}

/**
 * Thrown instead of an answer by a {@linkcode Decider} with a third-party plugin: the plugin threw,
 * died, timed out, returned an invalid answer, or exceeded its grants. None of this is the host's
 * fault: the balancer stays unchanged, and the plugin is called again later.
 */
export class UndecidedError extends Error {
  override name = "UndecidedError";
}

/** Thrown for what exceeds the operator's grants: a retry would give the same. */
export class BeyondGrantError extends UndecidedError {
  override name = "BeyondGrantError";
}
