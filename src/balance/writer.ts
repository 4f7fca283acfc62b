import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { Latest } from "../kernel/latest.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { ClusterName } from "../model/topology.ts";
import type {
  BalancerSources,
  CommandStep,
  Fault,
  Notice,
  Origin,
  Rendered,
  Seen,
  Step,
  Wanted,
} from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { Acceptance, type Fate } from "./acceptance.ts";
import type { BalancerEffects, ProgramVersion, StepFailure, StepOutcome } from "./effects.ts";

/** What happened in one turn of the writer; for tests, the demo and measurements. */
export interface Applied {
  /** The generation that came with the wish, if one did. */
  readonly generation?: number | undefined;
  /** The steps that went well, in order. */
  readonly steps: readonly Step[];
  /** How many of them were reloads or starts. */
  readonly reloads: number;
  /** From the begin of the turn to its end. */
  readonly tookMs: number;
  /**
   * Whether the balancer was seen to serve all that is wanted, nothing refused
   * and nothing held back; the file may follow within a second.
   */
  readonly converged: boolean;
}

/** What a {@linkcode Writer} is made of. */
export interface WriterOptions<Config, ClusterConfig, Observed> {
  /** Decides. */
  readonly balancer: Decider<Config, ClusterConfig, Observed>;
  /** Acts. */
  readonly effects: BalancerEffects;
  /** Time. */
  readonly clock: Clock;
  /** Chance, for backoff. */
  readonly random: Random;
  /** What an operator reads. */
  readonly log: Logger;
  /** How often the balancer is looked at although nothing changed. */
  readonly reconcileMs?: number;
  /** Hears of each turn that had a new wish or did something. */
  readonly onApplied?: (applied: Applied) => void;
}

/** How often the balancer is looked at although nothing changed. */
const RECONCILE_MS = 5_000;

/** How long a file may wait for its neighbours, and the least time between two such files. */
const SOON_MS = 500, SOON_INTERVAL_MS = 1_000;

/** How often the writing of such a file may be broken off before it is not. */
const BROKEN_OFF_MAX = 3;

/** When steps that went well and are planned again are tried again. */
const LEFTOVER_RETRY_MS = 1_000;

/** How long a new process may take until it answers, and how often it is looked for. */
const TAKEOVER_DEADLINE_MS = 10_000, TAKEOVER_POLL_MS = 10;
/** For so long after a takeover, who served before may still answer while it leaves (nginx's workers share a socket). */
const LEAVING_MS = 2_000;

/** How long nobody may listen after a program has started a process: it listens before it leaves, so it has died. */
const STILLBORN_MS = 1_000;

/** How long a balancer that ran must be gone before it is started: someone may be restarting it. */
const GONE_MS = 300;

/** The same for one that a master owned: whoever started that is about to start it again. */
const GONE_WITH_MASTER_MS = 3_000;

/** Waits after what may heal by itself: a port that is taken, a socket that is silent, a full disk. */
const RETRY = { firstMs: 1_000, maxMs: 60_000 };

/** When a file that was refused is checked again although nothing changed: what it refers to may have come. */
const REFUSED_RETRY_MS = 60_000;

/** How many commands may fail one after the other before a reload is the way out. */
const COMMAND_FAILURES_MAX = 2;

/** How often a program is asked for its version before it is taken as unknown. */
const VERSION_ATTEMPTS_MAX = 3;

/** How long what is in flight may take once the writer is to end. */
const END_GRACE_MS = 2_000;

/** How many rounds a turn may take; each does what the one before made necessary. */
const ROUNDS_MAX = 50;

/** How many texts are remembered as told. */
const TOLD_MAX = 1_000;

/** How many commands a log line names. */
const COMMANDS_IN_LOG = 10;

/** How many faults of a file one message tells. */
const FAULTS_TOLD_MAX = 5;

/** What becomes of what was refused, as an operator reads it. */
const FATES: { readonly [fate in Fate]: string } = {
  "left out": "what is refused is left out",
  "kept": "what was last accepted stays in force",
  "put aside": "it is not served",
  "nothing": "nothing else is known",
};

/** Puts the place in the config, `clusters/web.yaml:7:5`, before what is said of something there. */
export type Place = (origin: Origin, text: string) => string;

interface Wish<Config, ClusterConfig> {
  readonly wanted: Wanted<Config, ClusterConfig>;
  readonly generation: number | undefined;
  readonly place: Place;
}

type Install = Step & { do: "install" };

/** What one look at the balancer and the wish comes to. */
interface Decision {
  /** What to do at once. */
  readonly steps: readonly Step[];
  /** Whether the target is in force, but for what `steps` do at leisure. */
  readonly inForce: boolean;
}

/** A process that was seen to serve. */
interface Serving {
  readonly pid: number;
  /** Its master, or itself if it has none. */
  readonly owner: number;
  /** Whether its pid means nothing on this host. */
  readonly outOfReach: boolean;
}

/** How a turn goes on. */
type Round = "again" | "wait";

/**
 * Keeps one balancer as it is wanted: observes it, renders, plans, carries the
 * plan out and observes again. One job is in flight at a time; wishes wait in
 * a slot of one, where the newest wins.
 *
 * A config that the balancer refuses never stops the rest: what was changed to
 * it keeps the last form that was accepted, a cluster with its members of
 * today; what is new is served without the lines that are refused.
 */
export class Writer<Config, ClusterConfig, Observed> {
  readonly #balancer: Decider<Config, ClusterConfig, Observed>;
  readonly #effects: BalancerEffects;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #reconcileMs: number;
  readonly #onApplied: (applied: Applied) => void;
  readonly #mailbox = new Latest<Wish<Config, ClusterConfig>>();
  readonly #acceptance = new Acceptance<Config, ClusterConfig>();
  /** What programs said. */
  readonly #told = new Set<string>();
  /** What is wrong now: told again when it has been right in between. */
  readonly #faultsTold = new Set<string>();

  #wish: Wish<Config, ClusterConfig> | undefined;
  #version: ProgramVersion | undefined;
  #versionStale = true;
  #versionAttempts = 0;
  #versioned: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Wanted<Config, ClusterConfig> } | undefined;
  #rendered: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Rendered } | undefined;
  #notices: ReadonlySet<string> = new Set();

  /** A file that waits for its neighbours, and since when it may go. */
  #soon: { readonly step: Install; readonly dueAt: number } | undefined;
  #lastSoonAt = -Infinity;
  /** Breaks the writing of such a file off, for a wish must not wait for it. */
  #breakOff: AbortController | undefined;
  #brokenOff = 0;

  /** Steps that went well and were planned again, and how often. */
  #leftover: { readonly planned: string; readonly times: number } | undefined;

  /** Where the balancer was when it was last as it was wanted: it is looked for there if it is to move. */
  #served: BalancerSources | undefined;
  /** Breaks off what is in flight when the end can wait no longer. */
  readonly #ending = new AbortController();

  /** The process that was last seen. */
  #process: Serving | undefined;
  /** The process whose end is waited for, since when, and what ends the waiting. */
  #attended: {
    readonly pid: number;
    readonly since: number;
    readonly stop: AbortController;
    readonly done: Promise<void>;
  } | undefined;
  /** Ends the wait for work. */
  #wake: AbortController | undefined;
  #lookAt = Infinity;
  #reloadAllowedAt = -Infinity;
  /** The reason of the last reload, and how often it was the same with nothing in force in between. */
  #vain: { readonly reason: string; readonly times: number } | undefined;
  #startAllowedAt = -Infinity;
  #forceAllowedAt = -Infinity;
  #goneSince: number | undefined;
  /** Who was relieved by the last takeover, and until when its answers count for nothing. */
  #leaving: { readonly pid: number; readonly until: number } | undefined;
  #troubles = 0;
  #forced = 0;
  #converged = false;
  /** When a reload that is wanted may be made, its jitter included; unknown while none is. */
  #reloadDueAt: number | undefined;
  /** Whether all was in force when last looked at: what is otherwise then was not our doing. */
  #isCalm = false;

  /** The turn at hand. */
  #commandFailures = 0;
  #because: string | undefined;
  #plannedBefore: string | undefined;

  constructor(options: WriterOptions<Config, ClusterConfig, Observed>) {
    const { balancer, effects, clock, random, log, reconcileMs = RECONCILE_MS, onApplied = () => {} } = options;
    [this.#balancer, this.#effects, this.#clock, this.#random, this.#log] = [balancer, effects, clock, random, log];
    [this.#reconcileMs, this.#onApplied] = [reconcileMs, onApplied];
  }

  /**
   * Asks for a state to be brought about; an earlier wish that was not begun yet
   * is dropped. `place` says where in the config something was written.
   */
  put(
    wanted: Wanted<Config, ClusterConfig>,
    { generation, place = (_, text) => text }: { readonly generation?: number; readonly place?: Place } = {},
  ): void {
    this.#mailbox.put({ wanted, generation, place });
    this.#breakOff?.abort();
  }

  /**
   * Works until the signal is aborted; then finishes what it is at, writes a
   * file that waits, and resolves; what takes longer than two seconds then is
   * broken off. The balancer goes on without it. To be called once.
   */
  async run(signal: AbortSignal): Promise<void> {
    let cancelEnding = () => {};
    const end = () => cancelEnding = this.#clock.after(END_GRACE_MS, () => this.#ending.abort());
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    try {
      while (!signal.aborted) {
        const fresh = await this.#awaitWork(signal);
        if (signal.aborted) return;
        if (fresh !== undefined) this.#wish = fresh;
        const soonIsDue = () => this.#soon !== undefined && this.#soon.dueAt <= this.#clock.now();
        if (fresh !== undefined || !soonIsDue()) await this.#turn(fresh !== undefined, signal);
        if (soonIsDue()) await this.#installSoon({ breakable: this.#brokenOff < BROKEN_OFF_MAX });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#attended?.stop.abort();
      await this.#attended?.done;
      await this.#installSoon({ breakable: false }).finally(() => {
        signal.removeEventListener("abort", end);
        cancelEnding();
      });
    }
  }

  /** Waits for a wish, or until something falls due. */
  async #awaitWork(signal: AbortSignal): Promise<Wish<Config, ClusterConfig> | undefined> {
    const now = this.#clock.now();
    const dueAt = Math.min(this.#lookAt, this.#soon?.dueAt ?? Infinity, this.#acceptance.retryAt(now));
    const wake = this.#wake = new AbortController();
    const stop = () => wake.abort();
    const cancel = dueAt === Infinity ? () => {} : this.#clock.after(Math.max(0, dueAt - now), stop);
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await this.#mailbox.take(wake.signal);
    } catch (error) {
      if (wake.signal.aborted) return undefined;
      throw error;
    } finally {
      this.#wake = undefined;
      cancel();
      signal.removeEventListener("abort", stop);
    }
  }

  /** Looks at once when the process that serves ends: nobody is served until another one does. */
  #attend(pid: number | undefined, sources: BalancerSources): void {
    const now = this.#clock.now();
    const before = this.#attended;
    // One that ends the talk but lives on is not asked again and again.
    if (before !== undefined && before.pid === pid && now < before.since + this.#reconcileMs) return;
    if (before !== undefined && before.pid === pid && !before.stop.signal.aborted) return;
    before?.stop.abort();
    this.#attended = undefined;
    if (pid === undefined) return;
    const stop = new AbortController();
    const done = this.#effects.attend(sources, stop.signal).then(() => {
      if (stop.signal.aborted) return;
      stop.abort();
      this.#lookAgainBy(this.#clock.now());
      this.#wake?.abort();
    });
    this.#attended = { pid, since: now, stop, done };
  }

  /** One turn: rounds of look, decide and act, until there is nothing to do now. */
  async #turn(fresh: boolean, signal: AbortSignal): Promise<void> {
    const wish = this.#wish;
    if (wish === undefined) return;
    const began = this.#clock.now();
    const done: Step[] = [];
    this.#lookAt = Infinity;
    this.#isCalm &&= !fresh && this.#soon === undefined;
    [this.#commandFailures, this.#because, this.#plannedBefore] = [0, undefined, undefined];
    let converged = false;
    let next: Round = "again";
    for (let round = 0; next === "again" && !signal.aborted; round++) {
      if (round === ROUNDS_MAX) {
        this.#tell("error", `${this.#balancer.name} is not as it is wanted after ${ROUNDS_MAX} rounds`);
        this.#later();
        break;
      }
      [next, converged] = await this.#roundOrWait(wish.wanted, done, signal);
    }
    this.#converged = converged;
    // Of what was tried meanwhile, and was refused, nothing took effect.
    this.#tellNotices(this.#rendered?.is.notices ?? []);
    if (converged && this.#soon === undefined) this.#faultsTold.clear();
    this.#lookAgainBy(this.#clock.now() + this.#reconcileMs);
    if (!fresh && done.length === 0) return;
    const reloads = done.filter((step) => step.do === "reload" || step.do === "start").length;
    const tookMs = this.#clock.now() - began;
    this.#onApplied({ generation: wish.generation, steps: done, reloads, tookMs, converged });
  }

  /** A round that is none if a plugin that does not ship cannot answer: what runs stays, and it is asked again later. */
  async #roundOrWait(
    asked: Wanted<Config, ClusterConfig>,
    done: Step[],
    signal: AbortSignal,
  ): Promise<[next: Round, converged: boolean]> {
    try {
      return await this.#round(asked, done, signal);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      this.#tell("error", error.message);
      return [this.#later(), false];
    }
  }

  async #round(
    asked: Wanted<Config, ClusterConfig>,
    done: Step[],
    signal: AbortSignal,
  ): Promise<[next: Round, converged: boolean]> {
    let sources = await this.#balancer.sources(asked.config);
    const [seenFirst, wanted] = await Promise.all([
      this.#look(sources, asked.config, signal),
      this.#withVersion(asked, sources, signal),
    ]);
    let look = seenFirst;
    if (look === undefined || wanted === undefined) return ["wait", false];
    const { answers, file } = look.seen;
    const isAsked = this.#acceptance.refusesCluster && answers !== undefined && file !== undefined;
    const served = new Set<ClusterName>(isAsked ? (await this.#balancer.adopt(file, wanted.config)).keys() : []);
    const { wanted: target, held } = this.#acceptance.compose(wanted, { now: this.#clock.now(), served: () => served });
    const targetSources = await this.#balancer.sources(target.config);
    if (targetSources.socket !== sources.socket || targetSources.file !== sources.file) {
      // What was accepted is not where the balancer was refused to go.
      sources = targetSources;
      look = await this.#look(sources, target.config, signal);
      if (look === undefined) return ["wait", false];
    }
    const { seen, observed } = look;
    const { steps, inForce } = await this.#decide(wanted, target, observed, held);
    if (inForce) {
      this.#acceptance.accept(target);
      this.#served = sources;
      [this.#troubles, this.#vain] = [0, undefined];
    }
    const planned = JSON.stringify(steps);
    if (steps.length === 0 || planned === this.#plannedBefore) {
      this.#setLeftoverAside(steps.length === 0 ? undefined : planned);
      if (this.#isCalm && steps.length === 0) this.#tellDrift(seen, steps, sources);
      this.#isCalm = inForce;
      return ["wait", inForce && target === wanted];
    }
    if (steps.some((step) => step.do === "start") && !this.#mayStart()) return ["wait", false];
    if (this.#isCalm) this.#tellDrift(seen, steps, sources);
    // What was begun is broken off at the very end only: each step has a deadline of its own.
    const outcomes = await this.#effects.execute(steps, sources, this.#ending.signal);
    for (const outcome of outcomes) if (outcome.ok) done.push(outcome.step);
    this.#report(outcomes);
    this.#tellOutputs(outcomes);
    const failed = outcomes.find((outcome) => !outcome.ok) ?? await this.#awaitTakeover(steps, seen, sources, signal);
    if (steps.some((step) => step.do === "install" || step.do === "start")) this.#soon = undefined;
    this.#isCalm &&= failed === undefined && steps.every((step) => step.do === "command");
    if (failed !== undefined && !failed.ok) {
      this.#plannedBefore = undefined;
      return [await this.#recover(wanted, target, failed, { seen, sources, outcomes }), false];
    }
    if (steps.some((step) => step.do === "reload" || step.do === "start")) this.#served = sources;
    this.#plannedBefore = planned;
    // The next wish looks for itself, so it need not wait for this one to be looked at once more.
    return [this.#mailbox.full ? "wait" : "again", false];
  }

  /** The pid of the process that answered, if one did. */
  async #pidOf({ answers }: Pick<Seen, "answers">): Promise<number | undefined> {
    return answers === undefined ? undefined : await this.#balancer.pid(answers);
  }

  /** Looks at the balancer; `undefined` if it cannot be read now. */
  async #look(
    sources: BalancerSources,
    config: Config,
    signal: AbortSignal,
  ): Promise<{ readonly seen: Seen; readonly observed: Observed } | undefined> {
    try {
      const here = await this.#observe(sources, signal);
      const seen = here.answers === undefined ? await this.#withLeftBehind(here, sources, signal) : here;
      const observed = await this.#balancer.observe(seen, config);
      const pid = await this.#pidOf(seen);
      if (pid !== undefined) {
        const before = this.#process;
        [this.#process, this.#goneSince] = [servingProcess(pid, seen), undefined];
        if (before !== undefined && before.pid !== pid) await this.#welcome(this.#process, before, sources);
      }
      this.#attend(pid, sources);
      return { seen, observed };
    } catch (error) {
      signal.throwIfAborted();
      const why = error instanceof Error ? error.message : error;
      this.#tell(
        "error",
        error instanceof UndecidedError ? error.message : `Cannot observe ${this.#balancer.name}: ${why}`,
      );
      this.#later();
      return undefined;
    }
  }

  /** Looks past a process that has been relieved, and answers once more while it leaves. */
  async #observe(sources: BalancerSources, signal: AbortSignal): Promise<Seen> {
    for (;;) {
      const seen = await this.#effects.observe(sources, (answers) => this.#balancer.pid(answers), signal);
      const leaving = this.#leaving;
      if (leaving === undefined || this.#clock.now() >= leaving.until) return seen;
      if (await this.#pidOf(seen) !== leaving.pid) return seen;
      await delay(TAKEOVER_POLL_MS, { clock: this.#clock, signal });
    }
  }

  /**
   * Takes note of a process that somebody else has started. If it was started
   * beside the one that served, not in its place, the two would share the
   * traffic and one of them nobody would steer: the one before is to leave.
   */
  async #welcome(now: Serving, before: Serving, sources: BalancerSources): Promise<void> {
    const { name } = this.#balancer;
    this.#log.info(`${name}: process ${now.pid} serves, which somebody else has started`);
    if (before.outOfReach || before.owner === now.owner || !await this.#effects.dismiss(before.owner, sources)) return;
    this.#log.info(`${name}: process ${before.owner}, which served before, is asked to leave`);
  }

  /**
   * Adds to those that are to be relieved who serves where the balancer was
   * before it was to move: it would go on with its old members beside the new
   * one. Throws if nobody on this host can relieve it.
   */
  async #withLeftBehind(seen: Seen, sources: BalancerSources, signal: AbortSignal): Promise<Seen> {
    const before = this.#served;
    if (before === undefined || (before.socket === sources.socket && before.file === sources.file)) return seen;
    const left = await this.#effects.observe(before, (answers) => this.#balancer.pid(answers), signal);
    const pid = await this.#pidOf(left);
    if (pid !== undefined && left.outOfReach === true) {
      throw new Error(
        `nobody answers at ${sources.socket}, and process ${pid}, which answers at ${before.socket} as before, ` +
          "is not one of this host: stop it, for two would serve side by side",
      );
    }
    // A master whose worker alone left would take that for a crash.
    const owner = pid === undefined ? [] : [left.masterPid ?? pid];
    const strays = new Set([...seen.strays ?? [], ...left.strays ?? [], ...owner]);
    return { ...seen, strays: [...strays].toSorted((a, b) => a - b) };
  }

  /**
   * Fills in the version of the program; asked again after each start and
   * reload, when it may be another one. A program that does not tell it is asked
   * some times more before its version is taken as unknown, for then less of
   * what it can do is used.
   */
  async #withVersion(
    wanted: Wanted<Config, ClusterConfig>,
    { program }: BalancerSources,
    signal: AbortSignal,
  ): Promise<Wanted<Config, ClusterConfig> | undefined> {
    if (wanted.version !== undefined) return wanted;
    if (this.#versionStale) {
      const told = await this.#effects.version(program, signal).catch((error) => {
        signal.throwIfAborted();
        this.#tell("error", `Cannot ask ${program} for its version: ${error instanceof Error ? error.message : error}`);
        return undefined;
      });
      this.#versionAttempts++;
      if (told === undefined && this.#version === undefined && this.#versionAttempts < VERSION_ATTEMPTS_MAX) {
        this.#later();
        return undefined;
      }
      this.#version = told ?? this.#version;
      this.#versionStale = told === undefined;
      this.#versioned = undefined;
    }
    if (this.#versioned?.of !== wanted) this.#versioned = { of: wanted, is: { ...wanted, version: this.#version } };
    return this.#versioned.is;
  }

  async #decide(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    observed: Observed,
    held: boolean,
  ): Promise<Decision> {
    const rendered = await this.#render(target);
    const steps = held ? undefined : await this.#plan(target, rendered, observed);
    if (steps !== undefined && !steps.some((step) => step.do === "reload")) {
      this.#reloadDueAt = undefined;
      const now = this.#setSoonAside(steps);
      return { steps: now, inForce: now.length === 0 || JSON.stringify(now) === this.#plannedBefore };
    }
    const at = this.#clock.now();
    if (steps !== undefined) {
      const { reloadJitterMs = 0 } = await this.#balancer.sources(target.config);
      this.#reloadDueAt ??= Math.max(at, this.#reloadAllowedAt) + reloadJitterMs * this.#random();
      if (at >= this.#reloadDueAt) return { steps, inForce: false };
      // Until the reload may be, members come and go in what runs.
      this.#lookAgainBy(this.#reloadDueAt);
    }
    const standIn = this.#acceptance.inForce(wanted) ?? target;
    const standInRendered = await this.#balancer.render(standIn);
    const meanwhile = await this.#balancer.plan(standIn, standInRendered, observed, { reload: false });
    return { steps: this.#setSoonAside(meanwhile), inForce: false };
  }

  /** Plans with a reload if need be; `undefined` if one is needed that cannot be made. */
  async #plan(
    target: Wanted<Config, ClusterConfig>,
    rendered: Rendered,
    observed: Observed,
  ): Promise<readonly Step[] | undefined> {
    try {
      const because = this.#because ?? await this.#fileMoved(target);
      return await this.#balancer.plan(target, rendered, observed, { reload: true, because });
    } catch (error) {
      if (error instanceof UndecidedError) throw error;
      this.#tell("error", error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** A process that was started from another file would come back with that one when it is restarted by hand. */
  async #fileMoved({ config }: Wanted<Config, ClusterConfig>): Promise<string | undefined> {
    const moved = this.#served !== undefined && this.#served.file !== (await this.#balancer.sources(config)).file;
    return moved ? "config_file has changed" : undefined;
  }

  async #render(wanted: Wanted<Config, ClusterConfig>): Promise<Rendered> {
    if (this.#rendered?.of !== wanted) this.#rendered = { of: wanted, is: await this.#balancer.render(wanted) };
    return this.#rendered.is;
  }

  /** Takes the file that may wait out of a plan, and notes it; a plan without one makes the noted one void. */
  #setSoonAside(steps: readonly Step[]): readonly Step[] {
    const step = steps.find((step): step is Install => step.do === "install" && step.when === "soon");
    const dueAt = this.#soon?.dueAt ?? Math.max(this.#clock.now() + SOON_MS, this.#lastSoonAt + SOON_INTERVAL_MS);
    this.#soon = step === undefined ? undefined : { step, dueAt };
    return steps.filter((other) => other !== step);
  }

  async #installSoon({ breakable }: { readonly breakable: boolean }): Promise<void> {
    const soon = this.#soon;
    const wish = this.#wish;
    if (soon === undefined || wish === undefined) return;
    const began = this.#clock.now();
    const sources = await this.#sourcesOf(wish.wanted.config);
    if (sources === undefined) {
      // The next turn plans it anew.
      this.#soon = undefined;
      return;
    }
    const breakOff = new AbortController();
    if (breakable) this.#breakOff = breakOff;
    let outcomes: readonly StepOutcome[];
    try {
      const signal = AbortSignal.any([breakOff.signal, this.#ending.signal]);
      outcomes = await this.#effects.execute([soon.step], sources, signal);
    } catch (error) {
      if (!breakOff.signal.aborted && !this.#ending.signal.aborted) throw error;
      this.#brokenOff++;
      return;
    } finally {
      this.#breakOff = undefined;
    }
    [this.#soon, this.#lastSoonAt, this.#brokenOff] = [undefined, began, 0];
    this.#report(outcomes);
    this.#tellOutputs(outcomes);
    for (const outcome of outcomes) {
      if (outcome.ok) continue;
      this.#tell("error", `The file ${soon.step.path} stays behind what runs: ${outcome.failure.message}`);
      this.#later();
    }
    this.#onApplied({
      generation: wish.generation,
      steps: outcomes.filter((outcome) => outcome.ok).map((outcome) => outcome.step),
      reloads: 0,
      tookMs: this.#clock.now() - began,
      converged: this.#converged && outcomes.every((outcome) => outcome.ok),
    });
  }

  /** Where to look; `undefined` if it cannot be told now. */
  async #sourcesOf(config: Config): Promise<BalancerSources | undefined> {
    try {
      return await this.#balancer.sources(config);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      this.#tell("error", error.message);
      this.#later();
      return undefined;
    }
  }

  /** What went well and is planned again is for later: a server that cannot go while it has connections. */
  #setLeftoverAside(planned: string | undefined): void {
    if (planned === undefined) {
      this.#leftover = undefined;
      return;
    }
    const times = this.#leftover?.planned === planned ? this.#leftover.times + 1 : 0;
    this.#leftover = { planned, times };
    this.#lookAgainBy(this.#clock.now() + LEFTOVER_RETRY_MS * 2 ** Math.min(times, 10));
  }

  /** Whether a balancer that is not there may be started now; if not, when to look again. */
  #mayStart(): boolean {
    const now = this.#clock.now();
    this.#goneSince ??= this.#acceptance.some ? now : -Infinity;
    const hadMaster = this.#process !== undefined && this.#process.owner !== this.#process.pid;
    const goneMs = hadMaster ? GONE_WITH_MASTER_MS : GONE_MS;
    const startAt = Math.max(this.#startAllowedAt, this.#goneSince + goneMs);
    if (now >= startAt) return true;
    this.#lookAgainBy(Math.min(startAt, now + GONE_MS));
    return false;
  }

  /** Waits until another process answers, after a start or a reload; answers the failure if none does. */
  async #awaitTakeover(
    steps: readonly Step[],
    { answers, strays }: Seen,
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<StepOutcome | undefined> {
    const step = steps.find((step) => step.do === "start" || step.do === "reload");
    if (step === undefined) return undefined;
    const pidBefore = await this.#pidOf({ answers });
    const began = this.#clock.now();
    const deadline = began + TAKEOVER_DEADLINE_MS;
    // A master that was asked for a reload may be silent for a while; a program has left.
    // What a service manager runs may leave before the process that it starts listens.
    const { deadlineMs } = step.do === "start" ? step : "run" in step.how ? step.how : {};
    const leftBehind = (step.do === "start" || "run" in step.how) && deadlineMs === undefined;
    const bornBy = leftBehind ? began + STILLBORN_MS : Infinity;
    this.#versionStale = true;
    this.#goneSince = undefined;
    for (;;) {
      const seen = await this.#effects.observe(sources, (answers) => this.#balancer.pid(answers), signal)
        .catch(() => undefined);
      signal.throwIfAborted();
      const pid = seen === undefined ? undefined : await this.#pidOf(seen);
      if (pid !== undefined && pid !== pidBefore) {
        this.#holdReloadsBack(step, sources);
        this.#process = servingProcess(pid, seen ?? {});
        this.#leaving = pidBefore === undefined ? undefined : { pid: pidBefore, until: this.#clock.now() + LEAVING_MS };
        if (step.do === "reload") await this.#carryOver(step.then ?? [], sources);
        const older = (seen?.older ?? []).filter((other) => other !== pidBefore);
        const still = older.length === 0 ? "" : `; older ones still have connections: ${older.join(", ")}`;
        this.#log.info(`${this.#balancer.name}: process ${pid} serves${still}`);
        if (step.do === "start" && step.deadlineMs === undefined) await this.#relieve(older, strays ?? [], sources);
        return undefined;
      }
      if (seen !== undefined && seen.answers === undefined && this.#clock.now() > bornBy) {
        const message = `Cannot ${step.do} ${this.#balancer.name}: its process ended within ${STILLBORN_MS} ms`;
        return { ok: false, step, failure: { kind: "program", message } };
      }
      if (this.#clock.now() > deadline) {
        const message = `Cannot ${step.do} ${this.#balancer.name}: no new process answered at ${sources.socket} ` +
          `within ${TAKEOVER_DEADLINE_MS} ms`;
        return { ok: false, step, failure: { kind: "program", message } };
      }
      await delay(TAKEOVER_POLL_MS, { clock: this.#clock, signal });
    }
  }

  /**
   * Asks those to leave that came while we started one of our own: whoever
   * starts the balancer after its end was as quick as we were, and of two that
   * share the traffic one would be steered by nobody. `relieved` were asked already.
   */
  async #relieve(beside: readonly number[], relieved: readonly number[], sources: BalancerSources): Promise<void> {
    for (const pid of beside) {
      if (relieved.includes(pid) || !await this.#effects.dismiss(pid, sources)) continue;
      this.#log.info(`${this.#balancer.name}: process ${pid}, which was started at the same time, is asked to leave`);
    }
  }

  /** Tells a new process what the one before knew; what it does not take is no reason to start over. */
  async #carryOver(commands: readonly CommandStep[], sources: BalancerSources): Promise<void> {
    if (commands.length === 0) return;
    const outcomes = await this.#effects.execute(commands, sources, this.#ending.signal);
    this.#report(outcomes);
    for (const outcome of outcomes) if (!outcome.ok) this.#log.warn(outcome.failure.message);
  }

  /** Keeps the rate of reloads, and lowers it as long as a reload does not bring about what it was made for. */
  #holdReloadsBack(step: Step, { reloadIntervalMs }: BalancerSources): void {
    const reason = step.do === "reload" ? step.reason : undefined;
    const times = reason !== undefined && this.#vain?.reason === reason ? this.#vain.times + 1 : 0;
    this.#vain = reason === undefined ? undefined : { reason, times };
    const backoff = times === 0 ? 0 : Math.min(RETRY.maxMs, RETRY.firstMs * 2 ** Math.min(times, 10));
    this.#reloadDueAt = undefined;
    this.#reloadAllowedAt = this.#clock.now() + Math.max(reloadIntervalMs, backoff);
  }

  /** Decides how to go on after a failure. */
  async #recover(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    { step, failure }: { readonly step: Step; readonly failure: StepFailure },
    { seen, sources, outcomes }: {
      readonly seen: Seen;
      readonly sources: BalancerSources;
      readonly outcomes: readonly StepOutcome[];
    },
  ): Promise<Round> {
    const now = this.#clock.now();
    if (failure.kind === "taken") return this.#fail(failure);
    switch (step.do) {
      case "command": {
        this.#log.warn(failure.message, { kind: failure.kind });
        if (++this.#commandFailures < COMMAND_FAILURES_MAX) return "again";
        if (now < this.#forceAllowedAt || this.#because !== undefined) return this.#later();
        this.#because = `commands keep failing: ${failure.message}`;
        this.#forceAllowedAt = now + backoffMs(this.#forced++, { ...RETRY, firstMs: 10_000 }, this.#random);
        return "again";
      }
      case "install":
        return failure.kind === "refused"
          ? this.#refuse(wanted, target, failure, () => now + REFUSED_RETRY_MS)
          : this.#fail(failure);
      case "start":
      case "reload": {
        this.#holdReloadsBack(step, sources);
        await this.#restore(outcomes, seen, sources);
        const retryAt = (times: number) => now + backoffMs(times + 1, RETRY, this.#random);
        const next = failure.kind === "program"
          ? await this.#refuse(wanted, target, failure, retryAt)
          : this.#fail(failure);
        if (step.do === "start" && next === "wait") this.#startAllowedAt = this.#lookAt;
        return next;
      }
    }
  }

  /** Puts the file back that was there before a process could not be made of the new one. */
  async #restore(outcomes: readonly StepOutcome[], { file }: Seen, sources: BalancerSources): Promise<void> {
    const installed = outcomes.find((outcome) => outcome.ok && outcome.step.do === "install")?.step;
    if (installed?.do !== "install" || file === undefined) return;
    const step: Step = { ...installed, contents: file, check: [] };
    const [outcome] = await this.#effects.execute([step], sources, this.#ending.signal);
    if (outcome?.ok === false) this.#tell("error", outcome.failure.message);
  }

  async #refuse(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    failure: StepFailure,
    retryAt: (times: number) => number,
  ): Promise<Round> {
    const { cluster, faults } = await this.#balancer.explain?.(await this.#render(target), failure.message) ??
      { cluster: undefined, faults: [{ message: failure.message, remedy: [] }] };
    const lines = faults.flatMap(({ remedy }) => remedy);
    const fate = this.#acceptance.refuse(wanted, target, { cluster, lines, retryAt });
    const whose = cluster === undefined ? "config" : `config of cluster ${cluster}`;
    // A process goes on with what it has, though nothing else is known to be tried.
    const told = fate === "nothing" && this.#acceptance.some ? "kept" : fate;
    this.#tell("error", `${this.#balancer.name} refuses the ${whose}, ${FATES[told]}: ${this.#describeFaults(faults)}`);
    this.#log.debug(failure.message);
    return fate === "nothing" ? this.#later() : "again";
  }

  #describeFaults(faults: readonly Fault[]): string {
    const told = faults.slice(0, FAULTS_TOLD_MAX).map(({ message, origin }) => this.#at(origin, message));
    const more = faults.length - told.length;
    return told.join("; ") + (more > 0 ? `; and ${more} more` : "");
  }

  /** Says where in the config something is. */
  #at(origin: Origin | undefined, text: string): string {
    return origin === undefined ? text : this.#wish?.place(origin, text) ?? text;
  }

  /** Ends the turn for what no config is to blame for: a full disk, a program that is not there. */
  #fail({ message }: StepFailure): Round {
    this.#tell("error", message);
    return this.#later();
  }

  /** Ends the turn; the next one begins after a wait that grows. */
  #later(): Round {
    this.#lookAgainBy(this.#clock.now() + backoffMs(this.#troubles++, RETRY, this.#random));
    return "wait";
  }

  #lookAgainBy(at: number): void {
    this.#lookAt = Math.min(this.#lookAt, at);
  }

  /** Says what somebody else has changed; a process that is gone is told of by its start. */
  #tellDrift({ file }: Seen, steps: readonly Step[], sources: BalancerSources): void {
    const install = this.#soon?.step ?? steps.find((step) => step.do === "install");
    const changes = steps.flatMap((step) => step.do === "command" && step.found !== undefined ? [step.found] : []);
    const more = changes.length > COMMANDS_IN_LOG ? [`${changes.length - COMMANDS_IN_LOG} changes more`] : [];
    const found = [
      ...changes.slice(0, COMMANDS_IN_LOG),
      ...more,
      ...install === undefined ? [] : [`the file ${sources.file} was ${file === undefined ? "removed" : "changed"}`],
    ];
    if (found.length === 0) return;
    this.#log.warn(`${this.#balancer.name}: not as it was left: ${found.join(", ")}; this is put right`);
  }

  /** Says what was done, and why; what is tried once more is no news. */
  #report(outcomes: readonly StepOutcome[]): void {
    const name = this.#balancer.name;
    const level = JSON.stringify(outcomes.map(({ step }) => step)) === this.#leftover?.planned ? "debug" : "info";
    const commands = outcomes.flatMap(({ ok, step }) => ok && step.do === "command" ? [step.command] : []);
    if (commands.length > 0) {
      const more = commands.length > COMMANDS_IN_LOG ? ", …" : "";
      const shown = commands.slice(0, COMMANDS_IN_LOG).join(", ") + more;
      this.#log[level](`${name}: ${commands.length} ${commands.length === 1 ? "command" : "commands"}: ${shown}`);
    }
    for (const outcome of outcomes) {
      if (!outcome.ok) continue;
      const { step } = outcome;
      const tookMs = Math.round(outcome.tookMs);
      if (step.do === "install") this.#log.debug(`${name}: wrote ${step.path}`, { tookMs });
      // One that ran and is gone has died, which somebody should look into.
      if (step.do === "start" && this.#acceptance.some) {
        this.#log.warn(`${name}: it was gone and is started again, as ${step.reason}`, { tookMs });
      } else if (step.do === "start") this.#log.info(`${name}: started, as ${step.reason}`, { tookMs });
      if (step.do === "reload") this.#log.info(`${name}: reloaded, as ${step.reason}`, { tookMs });
    }
  }

  /** Says what programs wrote; what is said at each run, but for the pid and the line of the file, is said once. */
  #tellOutputs(outcomes: readonly StepOutcome[]): void {
    for (const outcome of outcomes) {
      if (!outcome.ok) continue;
      const times = new Map<string, number>();
      for (const line of outcome.output.split("\n").map((line) => line.trim()).filter((line) => line !== "")) {
        const loud = /\b(?:warning|alert|error|fatal)\b/i.test(line) && !/^Warnings were found/.test(line);
        // Lines move with each member; several that are alike but for their number are several.
        const alike = line.replace(/:[0-9]+\]/, "]");
        const time = (times.get(alike) ?? 0) + 1;
        times.set(alike, time);
        this.#tell(loud ? "warn" : "debug", `${this.#balancer.name} says: ${line}`, `${time} ${alike}`);
      }
    }
  }

  #tellNotices(notices: readonly Notice[]): void {
    for (const { text, origin } of notices) if (!this.#notices.has(text)) this.#log.warn(this.#at(origin, text));
    this.#notices = new Set(notices.map(({ text }) => text));
  }

  /** Logs a text once; what differs in numbers in parentheses alone (a pid) is the same text, and so is what is `alike`. */
  #tell(level: "debug" | "warn" | "error", text: string, alike: string = text): void {
    const told = level === "error" ? this.#faultsTold : this.#told;
    const key = alike.replace(/\([0-9]+\)/g, "()");
    if (told.has(key)) return this.#log.debug(text);
    if (told.size >= TOLD_MAX) told.clear();
    told.add(key);
    this.#log[level](text);
  }
}

function servingProcess(pid: number, { masterPid = pid, outOfReach = false }: Seen): Serving {
  return { pid, owner: masterPid, outOfReach };
}
