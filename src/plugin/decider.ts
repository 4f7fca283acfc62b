import type { Node } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type {
  BalancerSources,
  Explanation,
  Listening,
  PlanAllowance,
  Rendered,
  Schema,
  Seen,
  Step,
  Wanted,
} from "./contract.ts";

/** What is there at once, or comes a little later. */
export type Awaitable<T> = T | Promise<T>;

/**
 * A balancer's plugin as the host asks it: one that ships is asked itself, in
 * the host, and answers at once; of one that does not, whose functions run in a
 * worker, the answers come later, and are checked before they come. The
 * functions are those of `BalancerPlugin`, which is one of these.
 */
export interface Decider<Config = unknown, ClusterConfig = unknown, Observed = unknown> {
  /** What it calls itself, for messages. */
  readonly name: string;
  /** Validates the balancer's own file. */
  readonly config: Schema<Config>;
  /** Validates the section of a cluster's file. */
  readonly cluster: Schema<ClusterConfig>;
  /** Whether the metadata of nodes is never read. */
  readonly ignoresMetadata?: boolean;
  /** Says where the balancer would listen. */
  listens?(config: Config, cluster?: ClusterConfig): Awaitable<readonly Listening[]>;
  /** Says where to look. */
  sources(config: Config): Awaitable<BalancerSources>;
  /** Finds the pid in the answers. */
  pid(answers: readonly string[]): Awaitable<number | undefined>;
  /** Reads what the host saw. Throws if it cannot be read. */
  observe(seen: Seen, config: Config): Awaitable<Observed>;
  /** Reads the members back from config files. */
  adopt(files: ReadonlyMap<string, string>, config: Config): Awaitable<ReadonlyMap<ClusterName, readonly Node[]>>;
  /** Reads the members back from the balancer that runs. */
  adoptRunning?(observed: Observed): Awaitable<ReadonlyMap<ClusterName, readonly Node[]>>;
  /** Renders the config files. */
  render(wanted: Wanted<Config, ClusterConfig>): Awaitable<Rendered>;
  /** Plans the way to what is wanted. Throws if a reload is needed that cannot be made. */
  plan(
    wanted: Wanted<Config, ClusterConfig>,
    rendered: Rendered,
    observed: Observed,
    allowed: PlanAllowance,
  ): Awaitable<readonly Step[]>;
  /** Makes sense of why a file was refused. */
  explain?(rendered: Rendered, output: string): Awaitable<Explanation>;
}

/**
 * Raised instead of an answer by a {@linkcode Decider} whose plugin does not
 * ship: it threw, it is dead, it did not answer in time, what it answered
 * cannot be believed, or it goes beyond what it was granted. Nothing of that
 * is the host's fault: what runs stays as it is, and it is asked again later.
 */
export class UndecidedError extends Error {
  override name = "UndecidedError";
}

/** Raised for what goes beyond what the operator granted: asked again, it would be the same. */
export class BeyondGrantError extends UndecidedError {
  override name = "BeyondGrantError";
}
