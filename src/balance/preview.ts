import type { ClusterName } from "../model/topology.ts";
import type { Rendered, Step, Wanted } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import type { BalancerEffects } from "./effects.ts";
import { servedBy, servedUnknown } from "./gather.ts";
import { programOf } from "./sources.ts";

/** What would be done now. */
export interface Preview {
  /** The config files as they would be. */
  readonly rendered: Rendered;
  /** The steps that would be carried out, in order; `[]` if all is as desired. */
  readonly steps: readonly Step[];
  /** Whether the balancer's process runs and answers. */
  readonly running: boolean;
  /** Whether there is a process to ask. */
  readonly hasProcess: boolean;
  /** The config files as they are. */
  readonly files: ReadonlyMap<string, string>;
  /** The clusters that are served and whose config is invalid: while there are any, there is no reload. */
  readonly leftAlone: readonly ClusterName[];
}

/**
 * Looks at the real balancer and returns what a writer would do, without doing it: the very plan that the
 * writer would carry out. Throws what observing throws.
 */
export async function preview<Config, ClusterConfig, Observed>(
  wanted: Wanted<Config, ClusterConfig>,
  { balancer, effects, signal }: {
    readonly balancer: Decider<Config, ClusterConfig, Observed>;
    readonly effects: Pick<BalancerEffects, "observe" | "version">;
    readonly signal: AbortSignal;
  },
): Promise<Preview> {
  const sources = await balancer.sources(wanted.config);
  const seen = await effects.observe(sources, (answers) => balancer.pid(answers), signal);
  const program = programOf(sources);
  const version = wanted.version ?? (program === undefined ? undefined : await effects.version(program, signal));
  const known = { ...wanted, version };
  const rendered = await balancer.render(known);
  const observed = await balancer.observe(seen, wanted.config);
  const served = await servedBy(balancer, { seen, sources, config: wanted.config });
  const leftAlone = servedUnknown(known, served);
  const steps = await balancer.plan(known, rendered, observed, { reload: leftAlone.length === 0 });
  return {
    rendered,
    steps,
    running: seen.answers !== undefined,
    hasProcess: sources.kind === "process",
    files: seen.files ?? new Map(),
    leftAlone,
  };
}
