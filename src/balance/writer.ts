import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { BalancerSources, CommandStep, Step, Wanted, WantedCluster } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { NOTHING_TRIED } from "./acceptance.ts";
import { Agenda } from "./agenda.ts";
import { type Answering, NO_COMMANDS, recall, withCommands } from "./command_memory.ts";
import type { BalancerEffects, StepFailure, StepOutcome } from "./effects.ts";
import { Logbook, type Standing } from "./logbook.ts";
import { KnownVersion } from "./known_version.ts";
import { type Locate, OperatorLog } from "./operator_log.ts";
import {
  failedConfigRetryAt,
  isLeftover,
  rejectedFileRetryAt,
  UNHURRIED,
  withChild,
  withForced,
  withLeftover,
  withReload,
  withTrouble,
} from "./pace.ts";
import { type Decision, type Memory, Planner, type View } from "./planner.ts";
import { type Birth, Serving } from "./serving.ts";
import { survey } from "./survey.ts";
import { NO_FILE, standsBack, withBrokenOff, withoutFile, withWritten } from "./waiting_file.ts";

export type { Locate } from "./operator_log.ts";

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

export interface WriterOptions<Config, ClusterConfig, Observed> {
  /** What the balancer is called: after its file, for there may be several of a kind. What its plugin is called if absent. */
  readonly name?: string;
  /** Decides. */
  readonly balancer: Decider<Config, ClusterConfig, Observed>;
  /** Acts. */
  readonly effects: BalancerEffects;
  readonly clock: Clock;
  /** Chance, for backoff. */
  readonly random: Random;
  /** What an operator reads. */
  readonly log: Logger;
  /** How often the balancer is looked at although nothing changed. */
  readonly reconcileMs?: number;
  /** Hears of each turn that had a new wish or did something. */
  readonly onApplied?: (applied: Applied) => void;
  /** Hears, at each look, which clusters the balancer is seen serving, and of which generation. */
  readonly onServed?: (generation: number | undefined, clusters: readonly WantedCluster[]) => void;
  readonly meter?: Meter;
}

/** How often the balancer is looked at although nothing changed. */
const RECONCILE_MS = 5_000;

/** How often one that is gone is looked for, until it may be started. */
const GONE_POLL_MS = 300;

/** How many commands may fail one after the other before a reload is the way out. */
const COMMAND_FAILURES_MAX = 2;

/** How long what is in flight may take once the writer is to end. */
const END_GRACE_MS = 2_000;

/** How many rounds a turn may take; each does what the one before made necessary. */
const ROUNDS_MAX = 50;

interface Wish<Config, ClusterConfig> {
  readonly wanted: Wanted<Config, ClusterConfig>;
  readonly generation: number | undefined;
  readonly locate: Locate;
}

/** One turn, while it lasts. */
interface Turn<Config, ClusterConfig> {
  readonly wish: Wish<Config, ClusterConfig>;
  readonly signal: AbortSignal;
  /** The steps that went well. */
  readonly done: Step[];
  /** Why there must be a reload, though the plan could do without. */
  because: string | undefined;
  commandFailures: number;
  /** What the last round has done, to notice what is planned again although it went well. */
  plannedBefore: string | undefined;
}

/** A step that failed. */
type Failed = StepOutcome & { readonly ok: false };

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
  readonly #log: Logger;
  readonly #reconcileMs: number;
  readonly #onApplied: (applied: Applied) => void;
  readonly #onServed: NonNullable<WriterOptions<Config, ClusterConfig, Observed>["onServed"]>;

  readonly #logbook: Logbook;
  readonly #agenda: Agenda<Wish<Config, ClusterConfig>>;
  readonly #told: OperatorLog;
  readonly #version: KnownVersion<Config, ClusterConfig>;
  readonly #serving: Serving;
  readonly #planner: Planner<Config, ClusterConfig, Observed>;
  readonly #random: Random;
  readonly #memory: Memory<Config, ClusterConfig> = {
    pace: UNHURRIED,
    file: NO_FILE,
    commands: NO_COMMANDS,
    acceptance: NOTHING_TRIED,
  };
  /** Breaks off the writing of a file, if that may be. */
  #writing: AbortController | undefined;

  /** Breaks off what is in flight when the end can wait no longer. */
  readonly #ending = new AbortController();
  #wish: Wish<Config, ClusterConfig> | undefined;
  #converged = false;
  /** Whether all was in force when last looked at: what is otherwise then was not our doing. */
  #isCalm = false;
  /** The files as they were then, or as they were written since: who finds others has not been us. */
  readonly #filesLeft = new Map<string, string>();
  /** Whether nobody is known to have read the files as they are. */
  #owesNotify = true;

  constructor(options: WriterOptions<Config, ClusterConfig, Observed>) {
    const { balancer, effects, clock, random, reconcileMs = RECONCILE_MS, onApplied = () => {} } = options;
    const { name = balancer.name, onServed = () => {}, meter = UNMETERED } = options;
    this.#onServed = onServed;
    this.#logbook = new Logbook(clock.now());
    const log = this.#logbook.listen(options.log, clock);
    [this.#balancer, this.#effects, this.#clock, this.#log] = [balancer, effects, clock, log];
    [this.#reconcileMs, this.#onApplied] = [reconcileMs, onApplied];
    const agenda = this.#agenda = new Agenda(clock);
    const told = this.#told = new OperatorLog(name, log, meter);
    this.#version = new KnownVersion(effects, told);
    this.#serving = new Serving({
      name,
      balancer,
      effects,
      clock,
      log,
      attendAgainMs: reconcileMs,
      onEnd: () => agenda.lookNow(),
    });
    this.#random = random;
    this.#planner = new Planner({ balancer, clock, told, random, memory: this.#memory });
  }

  /** How the balancer stands. */
  get standing(): Standing {
    return this.#logbook.standing;
  }

  /**
   * Asks for a state to be brought about; an earlier wish that was not begun yet
   * is dropped. `locate` says where in the config something was written.
   */
  put(
    wanted: Wanted<Config, ClusterConfig>,
    { generation, locate = (_, text) => text }: { readonly generation?: number; readonly locate?: Locate } = {},
  ): void {
    this.#agenda.put({ wanted, generation, locate });
    this.#writing?.abort();
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
    const childrenWatched = this.#watchChildren(signal);
    try {
      while (!signal.aborted) {
        const fresh = await this.#awaitWork(signal);
        if (signal.aborted) return;
        if (fresh !== undefined) this.#wish = fresh;
        const fileIsDue = () => this.#memory.file.dueAt <= this.#clock.now();
        if (fresh !== undefined || !fileIsDue()) await this.#turn(fresh !== undefined, signal);
        if (fileIsDue()) await this.#writeFile({ last: false });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await childrenWatched;
      await this.#serving.end();
      await this.#writeFile({ last: true }).finally(() => {
        signal.removeEventListener("abort", end);
        cancelEnding();
      });
    }
  }

  /** Looks at once when a child process has ended. */
  async #watchChildren(signal: AbortSignal): Promise<void> {
    const { childEnd } = this.#effects;
    while (childEnd !== undefined && !signal.aborted) {
      await childEnd.call(this.#effects, signal);
      if (this.#wish !== undefined && !signal.aborted) this.#agenda.lookNow();
    }
  }

  /** Waits for a wish, or until something falls due. */
  #awaitWork(signal: AbortSignal): Promise<Wish<Config, ClusterConfig> | undefined> {
    return this.#agenda.next(Math.min(this.#memory.file.dueAt, this.#planner.retryAt(this.#clock.now())), signal);
  }

  /** One turn: rounds of look, decide and act, until there is nothing to do now. */
  async #turn(fresh: boolean, signal: AbortSignal): Promise<void> {
    const wish = this.#wish;
    if (wish === undefined) return;
    const began = this.#clock.now();
    const done: Step[] = [];
    const turn = { wish, signal, done, because: undefined, commandFailures: 0, plannedBefore: undefined };
    this.#agenda.forgetLook();
    this.#isCalm &&= !fresh && this.#memory.file.steps.length === 0;
    let converged = false;
    let next: Round = "again";
    for (let round = 0; next === "again" && !signal.aborted; round++) {
      if (round === ROUNDS_MAX) {
        this.#told.tellFault(`${this.#told.name} is not as it is wanted after ${ROUNDS_MAX} rounds`);
        this.#later();
        break;
      }
      [next, converged] = await this.#roundOrWait(turn);
    }
    this.#converged = converged;
    this.#logbook.turned(converged, this.#clock.now());
    this.#logbook.follows(this.#memory.file.behind);
    // Of what was tried meanwhile, and was refused, nothing took effect.
    this.#told.tellNotices(this.#planner.notices, wish.locate);
    this.#logbook.noticed(this.#planner.notices);
    if (converged && this.#memory.file.steps.length === 0) this.#told.forgetFaults();
    this.#agenda.lookBy(this.#clock.now() + this.#reconcileMs);
    if (!fresh && done.length === 0) return;
    const reloads = done.filter((step) => step.do === "reload" || step.do === "start").length;
    const tookMs = this.#clock.now() - began;
    this.#onApplied({ generation: wish.generation, steps: done, reloads, tookMs, converged });
  }

  /** A round that is none if a plugin that does not ship cannot answer: what runs stays, and it is asked again later. */
  async #roundOrWait(turn: Turn<Config, ClusterConfig>): Promise<[next: Round, converged: boolean]> {
    try {
      return await this.#round(turn);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      this.#told.tellFault(error.message);
      return [this.#later(), false];
    }
  }

  async #round(turn: Turn<Config, ClusterConfig>): Promise<[next: Round, converged: boolean]> {
    const view = await this.#survey(turn);
    if (view === undefined) return [this.#later(), false];
    // A process that was started from another file would come back with that one when it is restarted by hand.
    const hasMoved = this.#serving.settledAt !== undefined && this.#serving.settledAt.file !== view.sources.file;
    const because = turn.because ?? (hasMoved ? "its config file has moved" : undefined);
    const other = await this.#effects.claim?.(view.sources);
    this.#told.tellStandby(other);
    const decision = await this.#planner.decide(view, {
      because,
      plannedBefore: turn.plannedBefore,
      known: recall(this.#memory.commands, this.#answering(view)),
      owesNotify: this.#owesNotify,
    });
    const { steps, planned, inForce, reloadAt } = decision;
    this.#agenda.lookBy(reloadAt);
    if (view.seen.answers !== undefined || view.sources.kind === "files") {
      this.#logbook.saw(view.seen, this.#clock.now());
    }
    if (inForce) {
      this.#planner.accept(view.target.wanted);
      this.#logbook.served(view.target.wanted, turn.wish.generation);
      this.#onServed(turn.wish.generation, view.target.wanted.clusters);
      this.#serving.settle(view.sources);
      this.#memory.pace = { ...this.#memory.pace, troubles: 0, vain: undefined };
    }
    if (steps.length === 0 || planned === turn.plannedBefore) {
      const [pace, leftoverAt] = withLeftover(this.#memory.pace, this.#clock.now(), steps);
      this.#memory.pace = pace;
      this.#agenda.lookBy(leftoverAt);
      if (steps.length === 0) this.#tellDrift(view, steps);
      this.#isCalm = inForce;
      this.#filesLeft.clear();
      for (const [path, text] of view.seen.files ?? []) this.#filesLeft.set(path, text);
      return ["wait", inForce && view.target.wanted === view.wanted];
    }
    // The one that is active does what is to be done; this one looks again, and takes over when that has ended.
    if (other !== undefined) {
      this.#isCalm = false;
      return ["wait", false];
    }
    if (steps.some((step) => step.do === "start") && !this.#mayStart(view.seen.orphans)) return ["wait", false];
    this.#tellDrift(view, steps);
    return [await this.#act(turn, view, decision), false];
  }

  /** Who answers commands now. */
  #answering({ wanted: { version } }: Pick<View<Config, ClusterConfig, Observed>, "wanted">): Answering {
    return { pid: this.#serving.pid, version, nowMs: this.#clock.now() };
  }

  #survey(
    { wish, signal }: Turn<Config, ClusterConfig>,
  ): Promise<View<Config, ClusterConfig, Observed> | undefined> {
    return survey(wish.wanted, {
      balancer: this.#balancer,
      serving: this.#serving,
      version: this.#version,
      planner: this.#planner,
      told: this.#told,
      signal,
    });
  }

  /** Whether a balancer that is not there may be started now; if not, when to look again. */
  #mayStart(orphans: readonly number[] | undefined): boolean {
    const now = this.#clock.now();
    const startAt = Math.max(
      this.#memory.pace.startAllowedAt,
      this.#serving.startableAt(this.#planner.hasServed, orphans),
    );
    if (now >= startAt) return true;
    this.#agenda.lookBy(Math.min(startAt, now + GONE_POLL_MS));
    return false;
  }

  /** Carries a plan out, and sees a start or a reload through. */
  async #act(
    turn: Turn<Config, ClusterConfig>,
    view: View<Config, ClusterConfig, Observed>,
    { steps, planned }: Decision,
  ): Promise<Round> {
    // What was begun is broken off at the very end only: each step has a deadline of its own.
    this.#logbook.begins(steps, this.#clock.now());
    const outcomes = await this.#effects.execute(steps, view.sources, this.#ending.signal);
    this.#logbook.did(outcomes, this.#clock.now());
    this.#memory.commands = withCommands(this.#memory.commands, outcomes, this.#answering(view));
    for (const outcome of outcomes) if (outcome.ok) turn.done.push(outcome.step);
    this.#noteOutcomes(outcomes, view.sources);
    this.#tellOutcomes(outcomes, view.sources);
    const failed = outcomes.find((outcome) => !outcome.ok) ?? await this.#takeOver(turn, view, steps);
    if (steps.some((step) => step.do === "install" || step.do === "start")) {
      this.#memory.file = withoutFile(this.#memory.file);
    }
    this.#isCalm &&= failed === undefined && steps.every((step) => step.do === "command");
    if (failed !== undefined) {
      turn.plannedBefore = undefined;
      return await this.#recover(turn, view, failed, outcomes);
    }
    if (steps.some(isBirth)) {
      // Seen in force or not: a process came up with it, and goes on with it if the next wish is refused.
      this.#planner.accept(view.target.wanted);
      this.#serving.settle(view.sources);
      // The reload that failed commands asked for is made.
      [turn.because, turn.commandFailures] = [undefined, 0];
    }
    turn.plannedBefore = planned;
    // The next wish looks for itself, so it need not wait for this one to be looked at once more.
    return this.#agenda.hasWish ? "wait" : "again";
  }

  /** Notes what later decisions are to know of what was done. */
  #noteOutcomes(outcomes: readonly StepOutcome[], { reloadIntervalMs }: BalancerSources): void {
    const now = this.#clock.now();
    for (const { ok, step } of outcomes) {
      if (step.do === "notify") this.#memory.pace = withReload(this.#memory.pace, step, now, reloadIntervalMs);
      if (step.do === "supervise") this.#memory.pace = withChild(this.#memory.pace, step, now);
      if (step.do === "install" && ok) this.#owesNotify = true;
      if (step.do === "notify") this.#owesNotify = !ok;
    }
  }

  /** Waits until another process answers, after a start or a reload; answers the failure if none does. */
  async #takeOver(
    { signal }: Turn<Config, ClusterConfig>,
    { sources, seen }: View<Config, ClusterConfig, Observed>,
    steps: readonly Step[],
  ): Promise<Failed | undefined> {
    const step = steps.find(isBirth);
    if (step === undefined) return undefined;
    this.#version.doubt();
    const takeover = await this.#serving.awaitTakeover(step, seen, sources, signal);
    if (!takeover.ok) return takeover;
    this.#memory.pace = withReload(this.#memory.pace, step, this.#clock.now(), sources.reloadIntervalMs);
    if (step.do === "reload") await this.#carryOver(step.then ?? [], sources);
    await this.#serving.completeTakeover(takeover, sources);
    return undefined;
  }

  /** Tells a new process what the one before knew; what it does not take is no reason to start over. */
  async #carryOver(commands: readonly CommandStep[], sources: BalancerSources): Promise<void> {
    if (commands.length === 0) return;
    const outcomes = await this.#effects.execute(commands, sources, this.#ending.signal);
    this.#tellOutcomes(outcomes, sources);
    for (const outcome of outcomes) {
      if (!outcome.ok) this.#told.tellCommandFailure(outcome.failure);
    }
  }

  /** Decides how to go on after a failure. */
  async #recover(
    turn: Turn<Config, ClusterConfig>,
    view: View<Config, ClusterConfig, Observed>,
    { step, failure }: Failed,
    outcomes: readonly StepOutcome[],
  ): Promise<Round> {
    const now = this.#clock.now();
    if (failure.kind === "taken") return this.#fail(failure);
    switch (step.do) {
      case "command":
        this.#told.tellCommandFailure(failure);
        if (++turn.commandFailures < COMMAND_FAILURES_MAX) return "again";
        {
          const pace = turn.because === undefined ? withForced(this.#memory.pace, now, this.#random) : undefined;
          if (pace === undefined) return this.#later();
          this.#memory.pace = pace;
        }
        turn.because = `commands keep failing: ${failure.message}`;
        return "again";
      case "install":
        return failure.kind === "refused"
          ? await this.#refuse(turn, view, failure, () => rejectedFileRetryAt(now))
          : this.#fail(failure);
      case "notify":
      case "supervise":
        return this.#fail(failure);
      case "start":
      case "reload": {
        this.#memory.pace = withReload(this.#memory.pace, step, now, view.sources.reloadIntervalMs);
        await this.#restore(view, outcomes);
        if (step.do === "reload") await this.#regainSocket(turn, view, step);
        const next = failure.kind === "program" || failure.kind === "address"
          ? await this.#refuse(turn, view, failure, (times) => failedConfigRetryAt(now, times, this.#random))
          : this.#fail(failure);
        if (step.do === "start" && next === "wait") {
          this.#memory.pace = { ...this.#memory.pace, startAllowedAt: this.#agenda.lookAt };
        }
        return next;
      }
    }
  }

  /** Puts the files back that were there before a process could not be made of the new ones. */
  async #restore(
    { seen: { files }, sources }: View<Config, ClusterConfig, Observed>,
    outcomes: readonly StepOutcome[],
  ): Promise<void> {
    const steps = outcomes.flatMap(({ ok, step }): (Step & { do: "install" })[] => {
      const contents = ok && step.do === "install" ? files?.get(step.path) : undefined;
      return contents === undefined || step.do !== "install" ? [] : [{ ...step, contents, check: [] }];
    });
    for (const outcome of await this.#effects.execute(steps, sources, this.#ending.signal)) {
      if (!outcome.ok) this.#told.tellFault(outcome.failure.message);
      else if (outcome.step.do === "install") this.#filesLeft.set(outcome.step.path, outcome.step.contents);
    }
  }

  /**
   * Reloads the restored file where a reload that failed has cost the process that serves its socket. Nobody could change members otherwise until another process is started.
   */
  async #regainSocket(
    turn: Turn<Config, ClusterConfig>,
    view: View<Config, ClusterConfig, Observed>,
    failed: Step & { do: "reload" },
  ): Promise<void> {
    // A program that relieves the process by its pid leaves it everything when it fails.
    if ("run" in failed.how && failed.how.deadlineMs === undefined) return;
    const seen = await this.#serving.look(view.sources, turn.signal).catch(() => undefined);
    if (turn.signal.aborted || seen === undefined || seen.answers !== undefined) return;
    const step: Birth = { ...failed, listens: [], reason: "a failed reload cost it its socket" };
    this.#logbook.begins([step], this.#clock.now());
    const outcomes = await this.#effects.execute([step], view.sources, this.#ending.signal);
    this.#logbook.did(outcomes, this.#clock.now());
    this.#tellOutcomes(outcomes, view.sources);
    const lost = outcomes.find((outcome) => !outcome.ok) ?? await this.#takeOver(turn, view, [step]);
    if (lost !== undefined) this.#told.tellFault(lost.failure.message);
    else turn.done.push(step);
  }

  /** Goes on with what the balancer may take instead of what it has refused. */
  async #refuse(
    { wish: { locate } }: Turn<Config, ClusterConfig>,
    { wanted, target }: View<Config, ClusterConfig, Observed>,
    failure: StepFailure,
    retryAt: (times: number) => number,
  ): Promise<Round> {
    const next = await this.#planner.refuse(wanted, target.wanted, failure, { retryAt, locate });
    if (next === "blameless") return this.#fail(failure);
    this.#log.debug(failure.message, { event: "balancer.config_rejected" });
    return next === "more" ? "again" : this.#later();
  }

  /** Ends the turn for what no config is to blame for: a full disk, a program that is not there. */
  #fail({ message }: StepFailure): Round {
    this.#told.tellFault(message);
    return this.#later();
  }

  /** Ends the turn; the next one begins after a wait that grows. */
  #later(): Round {
    const [pace, retryAt] = withTrouble(this.#memory.pace, this.#clock.now(), this.#random);
    this.#memory.pace = pace;
    this.#agenda.lookBy(retryAt);
    return "wait";
  }

  /** Writes the files that wait, if some do; `last`: no wish may break that off. */
  async #writeFile({ last }: { readonly last: boolean }): Promise<void> {
    const { steps } = this.#memory.file;
    const wish = this.#wish;
    if (steps.length === 0 || wish === undefined) return;
    const began = this.#clock.now();
    const sources = await this.#sourcesOf(wish.wanted.config);
    // The next turn plans it anew.
    if (sources === undefined) {
      this.#memory.file = withoutFile(this.#memory.file);
      return;
    }
    const writing = new AbortController();
    if (!last && standsBack(this.#memory.file)) this.#writing = writing;
    let outcomes: readonly StepOutcome[];
    try {
      outcomes = await this.#effects.execute(steps, sources, AbortSignal.any([writing.signal, this.#ending.signal]));
    } catch (error) {
      if (!writing.signal.aborted && !this.#ending.signal.aborted) throw error;
      this.#memory.file = withBrokenOff(this.#memory.file);
      return;
    } finally {
      this.#writing = undefined;
    }
    this.#noteOutcomes(outcomes, sources);
    this.#tellOutcomes(outcomes, sources);
    const failed = outcomes.find((outcome) => !outcome.ok);
    const times = { beganMs: began, nowMs: this.#clock.now() };
    this.#memory.file = withWritten(this.#memory.file, failed?.failure.message, times);
    for (const { ok, step } of outcomes) {
      if (ok && step.do === "install") this.#filesLeft.set(step.path, step.contents);
    }
    if (failed?.step.do === "install") {
      this.#told.tellFileBehind(failed.step.path, failed.failure.message);
      this.#later();
    }
    this.#logbook.follows(this.#memory.file.behind);
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
      this.#told.tellFault(error.message);
      this.#later();
      return undefined;
    }
  }

  /** Tells what somebody else has changed since all was in force, if it was. */
  #tellDrift({ seen }: View<Config, ClusterConfig, Observed>, steps: readonly Step[]): void {
    // A file that is as it was left has been changed by nobody, though another one is wanted: what was refused is tried again.
    const isLeft = (step: Step) =>
      step.do === "install" && seen.files?.get(step.path) === this.#filesLeft.get(step.path);
    const found = [...steps, ...this.#memory.file.steps].filter((step) => !isLeft(step));
    if (this.#isCalm) this.#told.tellDrift(seen, found);
  }

  #tellOutcomes(outcomes: readonly StepOutcome[], sources: BalancerSources): void {
    const tried = isLeftover(this.#memory.pace, outcomes.map(({ step }) => step));
    const chatter = sources.kind === "process" ? sources.chatter : [];
    this.#told.tellOutcomes(outcomes, { tried, ran: this.#planner.hasServed, chatter });
  }
}

/** Whether a step has a new process serve. */
function isBirth(step: Step): step is Birth {
  return step.do === "start" || step.do === "reload";
}
