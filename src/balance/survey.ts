import type { BalancerSources, Seen, Wanted } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import type { KnownVersion } from "./known_version.ts";
import type { OperatorLog } from "./operator_log.ts";
import type { Planner, View } from "./planner.ts";
import type { Serving } from "./serving.ts";
import { isSamePlace, programOf } from "./sources.ts";

/** By what a {@linkcode survey} finds out. */
export interface SurveyOptions<Config, ClusterConfig, Observed> {
  /** Says where to look, and reads what was seen. */
  readonly balancer: Pick<Decider<Config, ClusterConfig, Observed>, "sources" | "observe">;
  /** Looks at the process that serves. */
  readonly serving: Pick<Serving, "look" | "meet">;
  /** Knows the program. */
  readonly version: Pick<KnownVersion<Config, ClusterConfig>, "fillIn">;
  /** Knows what was refused. */
  readonly planner: Pick<Planner<Config, ClusterConfig, Observed>, "aim">;
  /** Is told why it cannot be found out. */
  readonly told: OperatorLog;
  /** Breaks it off. */
  readonly signal: AbortSignal;
}

/**
 * Finds out what there is, and how much of a wish the balancer takes;
 * `undefined` if that cannot be told now, which an operator is told. Throws
 * {@linkcode UndecidedError} if the plugin does not say where to look.
 */
export async function survey<Config, ClusterConfig, Observed>(
  asked: Wanted<Config, ClusterConfig>,
  options: SurveyOptions<Config, ClusterConfig, Observed>,
): Promise<View<Config, ClusterConfig, Observed> | undefined> {
  const { balancer, version, planner, signal } = options;
  const sources = await balancer.sources(asked.config);
  const [here, wanted] = await Promise.all([
    look(sources, asked.config, options),
    version.fillIn(asked, programOf(sources), signal),
  ]);
  if (here === undefined || wanted === undefined) return undefined;
  const target = await planner.aim(wanted, here.seen, sources);
  const there = await balancer.sources(target.wanted.config);
  const { reloadJitterMs = 0 } = there;
  if (isSamePlace(there, sources)) {
    return { sources, ...here, wanted, target, reloadJitterMs };
  }
  // What was accepted is not where the balancer was refused to go.
  const before = await look(there, target.wanted.config, options);
  return before && { sources: there, ...before, wanted, target, reloadJitterMs };
}

/** Looks at the balancer; `undefined` if it cannot be read now. */
async function look<Config, Observed>(
  sources: BalancerSources,
  config: Config,
  { balancer, serving, told, signal }: Pick<
    SurveyOptions<Config, unknown, Observed>,
    "balancer" | "serving" | "told" | "signal"
  >,
): Promise<{ readonly seen: Seen; readonly observed: Observed } | undefined> {
  try {
    const seen = await serving.look(sources, signal);
    const observed = await balancer.observe(seen, config);
    await serving.meet(seen, sources);
    return { seen, observed };
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : error;
    told.tellFault(error instanceof UndecidedError ? error.message : `Cannot observe ${told.name}: ${why}`);
    return undefined;
  }
}
