import type { Clock } from "../kernel/clock.ts";
import type { ClusterName } from "../model/topology.ts";
import type { BalancerSources, Rendered, Seen, Step, Wanted } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { compose, lastApplied, withoutOther } from "./acceptance.ts";
import { recall } from "./command_memory.ts";
import { type Input, isPaced, reasonToReload, shortcutBase, type WriterState } from "./decide.ts";
import { differenceOf } from "./difference.ts";
import type { BalancerEffects } from "./effects.ts";
import { askVersion, type KnownVersion } from "./known_version.ts";
import { mayReload } from "./pace.ts";
import { type Look, withLook } from "./processes.ts";
import type { Serving } from "./serving.ts";
import { isSamePlace, programOf } from "./sources.ts";

/** What a view is gathered with. */
export interface GatherOptions<Config, ClusterConfig, Observed> {
  readonly name: string;
  readonly balancer: Decider<Config, ClusterConfig, Observed>;
  readonly effects: Pick<BalancerEffects, "claim" | "version" | "programFile" | "rest">;
  readonly serving: Pick<Serving, "look" | "watchSocket">;
  readonly clock: Pick<Clock, "now">;
  readonly prepared: Prepared<Config, ClusterConfig>;
  /** Receives what was observed. */
  readonly onObserved?: ((observed: Observed) => void) | undefined;
  /** Whether the look is to be aborted, for a desired state that has arrived and may need none. */
  readonly standsBack: () => boolean;
  readonly signal: AbortSignal;
}

/**
 * What is derived from a desired state, kept until another one arrives: it stays one value, and is rendered
 * once.
 */
export class Prepared<Config, ClusterConfig> {
  readonly #balancer: Pick<Decider<Config, ClusterConfig>, "render">;
  #filled: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Wanted<Config, ClusterConfig> } | undefined;
  #rendered: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Rendered } | undefined;

  /** Has `balancer` render. */
  constructor(balancer: Pick<Decider<Config, ClusterConfig>, "render">) {
    this.#balancer = balancer;
  }

  /** Adds the version of the program. */
  fillIn(wanted: Wanted<Config, ClusterConfig>, version: KnownVersion["version"]): Wanted<Config, ClusterConfig> {
    if (this.#filled?.of !== wanted || this.#filled.is.version !== version) {
      this.#filled = { of: wanted, is: { ...wanted, version } };
    }
    return this.#filled.is;
  }

  /** Renders the config files. */
  async render(wanted: Wanted<Config, ClusterConfig>): Promise<Rendered> {
    if (this.#rendered?.of !== wanted) this.#rendered = { of: wanted, is: await this.#balancer.render(wanted) };
    return this.#rendered.is;
  }
}

/** A look was aborted. */
class StoodBackError extends Error {
  override name = "StoodBackError";
}

/**
 * Gathers what a decision is based on: looks at the balancer, and asks its plugin to interpret the
 * observation, to render the config and to plan the steps. Changes nothing. The plugin may answer late or not
 * at all, which is why {@linkcode decide} does not ask it.
 */
export async function gather<C, K, Observed>(
  state: WriterState<C, K>,
  asked: Wanted<C, K>,
  { name, balancer, effects, serving, clock, prepared, onObserved, standsBack, signal }: GatherOptions<C, K, Observed>,
): Promise<Input<C, K>> {
  const looks: Look[] = [];
  const faults: string[] = [];
  let [version, processes] = [state.version, state.processes];

  // Between two parts that take milliseconds, what has arrived meanwhile is taken first.
  const rest = async () => {
    await effects.rest?.();
    if (standsBack()) throw new StoodBackError();
  };
  const look = async (sources: BalancerSources, config: C) => {
    try {
      const look = await serving.look(processes, sources, signal);
      await rest();
      const observed = await balancer.observe(look.seen, config);
      onObserved?.(observed);
      processes = withLook(processes, look).processes;
      looks.push(look);
      serving.watchSocket(look);
      return { seen: look.seen, observed };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StoodBackError) throw error;
      const why = error instanceof Error ? error.message : error;
      faults.push(error instanceof UndecidedError ? error.message : `Cannot observe ${name}: ${why}`);
      return undefined;
    }
  };
  const withVersion = async (program: string | undefined) => {
    // Without a program the desired state stays as it is.
    if (asked.version !== undefined || program === undefined) return asked;
    const asking = await askVersion(version, program, { effects, signal });
    version = asking.known;
    faults.push(...asking.faults);
    return asking.isKnown ? prepared.fillIn(asked, version.version) : undefined;
  };
  const plan = async (...given: Parameters<typeof balancer.plan>): Promise<readonly Step[] | undefined> => {
    try {
      return await balancer.plan(...given);
    } catch (error) {
      if (error instanceof UndecidedError) throw error;
      faults.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };

  try {
    const here = await balancer.sources(asked.config);
    const [first, wanted] = await Promise.all([look(here, asked.config), withVersion(programOf(here))]);
    if (first === undefined || wanted === undefined) return { type: "failed", faults, looks, version };
    const acceptance = withoutOther(state.acceptance, wanted);
    const isServedAsked = acceptance.clusters.size > 0 || wanted.unknown !== undefined;
    const served = isServedAsked
      ? await servedBy(balancer, { seen: first.seen, sources: here, config: wanted.config })
      : new Set<ClusterName>();
    const kept = servedUnknown(wanted, served);
    const composed = compose(acceptance, wanted, { now: clock.now(), served });
    const target = kept.length === 0 ? composed : { ...composed, held: true };
    const sources = await balancer.sources(target.wanted.config);
    const { reloadJitterMs = 0 } = sources;
    // The accepted state may not match where the balancer rejected one.
    const isHere = isSamePlace(sources, here);
    const found = isHere ? first : await look(sources, target.wanted.config);
    if (found === undefined) return { type: "failed", faults, looks, version };
    const { observed, seen } = found;
    const counters = seen.answers === undefined ? undefined : await balancer.counters?.(seen.answers);
    const there = isHere ? here : sources;
    const other = await effects.claim?.(there);
    await rest();
    const rendered = await prepared.render(target.wanted);
    await rest();
    const nowMs = clock.now();
    const known = recall(state.commands, { pid: processes.current?.pid, version: wanted.version, nowMs });
    const because = reasonToReload(state, there);
    const allowed = { reload: true, because, owesNotify: state.owesNotify, ...known };
    const planned = target.held ? undefined : await plan(target.wanted, rendered, observed, allowed);
    const isPossible = planned !== undefined &&
      (!planned.some(isPaced) || mayReload(state.pace, nowMs, reloadJitterMs));
    // Until the reload is allowed, members change in the state that was last applied.
    const standIn = lastApplied(acceptance, wanted) ?? target.wanted;
    const meanwhile = isPossible ? undefined : withoutUnseen(
      await balancer.plan(standIn, await balancer.render(standIn), observed, { reload: false, ...known }),
      there,
    );
    return {
      type: "looked",
      view: {
        sources: there,
        looks,
        wanted,
        target,
        observed,
        kept,
        notices: rendered.notices,
        counters,
        renderFaults: rendered.faults ?? [],
        plan: planned,
        meanwhile,
        version,
        other,
        reloadJitterMs,
        faults,
      },
    };
  } catch (error) {
    if (error instanceof StoodBackError) return { type: "stoodBack" };
    if (!(error instanceof UndecidedError)) throw error;
    return { type: "failed", faults: [...faults, error.message], looks, version };
  }
}

/**
 * Finds the way to a desired state that differs in members alone from what was last seen applied, without a
 * look; `undefined` if it needs one.
 */
export function findShortcut<C, K, Observed>(
  state: WriterState<C, K>,
  asked: Wanted<C, K>,
  { balancer, serving, clock, prepared }: {
    readonly balancer: Pick<Decider<C, K, Observed>, "shortcut">;
    readonly serving: Pick<Serving, "holds">;
    readonly clock: Pick<Clock, "now">;
    readonly prepared: Prepared<C, K>;
  },
): Input<C, K> & { readonly type: "differs" } | undefined {
  const nowMs = clock.now();
  const base = shortcutBase(state, nowMs);
  if (base === undefined || balancer.shortcut === undefined || !serving.holds(base.pid)) return undefined;
  const wanted = asked.version === undefined ? prepared.fillIn(asked, state.version.version) : asked;
  const change = differenceOf(base.wanted, wanted);
  // A repeated desired state asks for a look.
  if (change === undefined || change.clusters.length === 0) return undefined;
  const known = recall(state.commands, { pid: base.pid, version: wanted.version, nowMs });
  const shortcut = balancer.shortcut(change, base.observed as Observed, known);
  return shortcut && { type: "differs", wanted, shortcut };
}

/**
 * The steps that write what was looked at. The files of a config that was applied earlier may have been elsewhere, and
 * a file that was not looked at is not missing. Of a process the file is known by the process.
 */
function withoutUnseen(steps: readonly Step[], sources: BalancerSources): readonly Step[] {
  if (sources.kind !== "files") return steps;
  const { file, moreFiles = [], directory } = sources;
  const seen = new Set([file, ...moreFiles]);
  const isSeen = (path: string) =>
    seen.has(path) ||
    directory !== undefined && path.startsWith(`${directory.path}/`) && path.endsWith(directory.suffix);
  return steps.filter((step) => step.do !== "install" && step.do !== "remove" || isSeen(step.path));
}

/** The clusters that a balancer serves: those of its files, if its process runs or there is none. */
export async function servedBy<Config>(
  balancer: Pick<Decider<Config>, "adopt" | "servedBy">,
  { seen: { answers, files }, sources, config }: {
    readonly seen: Seen;
    readonly sources: BalancerSources;
    readonly config: Config;
  },
): Promise<ReadonlySet<ClusterName>> {
  const runs = answers !== undefined || sources.kind === "files";
  if (!runs || files === undefined || files.size === 0) return new Set();
  return new Set(await balancer.servedBy?.(files, config) ?? (await balancer.adopt(files, config)).keys());
}

/** The clusters that are served in an unknown form: they stay as they run. Pure. */
export function servedUnknown(
  { unknown = [], clusters }: Wanted,
  served: ReadonlySet<ClusterName>,
): readonly ClusterName[] {
  const known = new Set(clusters.map(({ name }) => name));
  return [...served].filter((name) => !known.has(name) && (unknown === "all" || unknown.includes(name)));
}
