import type { Explanation, Wanted } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import { type Acceptance, compose, NOTHING_TRIED, withRejected } from "./acceptance.ts";
import type { BalancerEffects } from "./effects.ts";
import { filesOf, programOf } from "./sources.ts";

/** What a balancer's program makes of a desired state. */
export interface Trial<Config, ClusterConfig> {
  /** As much of the desired state as it accepts. */
  readonly target: Wanted<Config, ClusterConfig>;
  /** What it rejects of the rest. */
  readonly refusals: readonly Explanation[];
  /** Its output when it accepted; `undefined` if it was not asked or accepted nothing. */
  readonly output?: string | undefined;
  /** Whether there is such a program to ask. */
  readonly isAsked: boolean;
}

/**
 * Has a balancer's own program check a desired state, as a writer does that knows of no earlier form:
 * rejected parts are left out, and the rest is checked again. Writes only to paths that start with
 * `candidate`. Without the program nothing is checked.
 */
export async function tryOut<Config, ClusterConfig, Observed>(
  asked: Wanted<Config, ClusterConfig>,
  { balancer, effects, candidate, signal }: {
    readonly balancer: Decider<Config, ClusterConfig, Observed>;
    readonly effects: Pick<BalancerEffects, "version" | "execute">;
    /** The prefix of paths in a directory that nobody else uses. */
    readonly candidate: string;
    readonly signal: AbortSignal;
  },
): Promise<Trial<Config, ClusterConfig>> {
  const sources = await balancer.sources(asked.config);
  const program = programOf(sources);
  const version = asked.version ?? (program === undefined ? undefined : await effects.version(program, signal));
  const wanted = { ...asked, version };
  const refusals: Explanation[] = [];
  if (program !== undefined && version === undefined) return { target: wanted, refusals, isAsked: false };
  let acceptance: Acceptance<Config, ClusterConfig> = NOTHING_TRIED;
  for (;;) {
    signal.throwIfAborted();
    const { wanted: target, held } = compose(acceptance, wanted, { now: 0, served: new Set() });
    if (held) return { target, refusals, isAsked: true };
    const rendered = await balancer.render(target);
    // As if it replaced another: a file that is the first may be left to the start to be checked.
    const files = new Map(filesOf(sources).map((path) => [path, ""]));
    const observed = await balancer.observe({ files }, target.config);
    const steps = await balancer.plan(target, rendered, observed, { reload: true });
    const asPlanned = steps.filter((step) => step.do === "install");
    const installs = asPlanned.map((step, index) => ({ ...step, path: `${candidate}-${index}`, owner: undefined }));
    const outcomes = await effects.execute(installs, sources, signal);
    // The program means the final file.
    const named = (output: string) =>
      installs.reduceRight((text, { path }, index) => text.replaceAll(path, asPlanned[index]?.path ?? path), output);
    const failed = outcomes.find((outcome) => !outcome.ok);
    if (failed?.ok !== false || failed.failure.kind !== "refused") {
      const said = outcomes.flatMap((outcome) => outcome.ok && outcome.output !== "" ? [outcome.output] : []);
      const output = named(said.join("\n"));
      return { target, refusals, isAsked: true, ...failed === undefined && { output } };
    }
    const output = named(failed.failure.message);
    const found = await balancer.explain?.(rendered, output) ?? { faults: [{ message: output, remedy: [] }] };
    if (found.faults.length === 0) return { target, refusals, isAsked: false };
    refusals.push(found);
    const lines = found.faults.flatMap(({ remedy }) => remedy);
    const why = { cluster: found.cluster, lines, retryAt: () => Infinity };
    const [next, fate] = withRejected(acceptance, wanted, target, why);
    acceptance = next;
    if (fate === "nothing") return { target, refusals, isAsked: true };
  }
}
