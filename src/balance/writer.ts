import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { BalancerSources, CommandStep, Explanation, Step, Wanted, WantedCluster } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import {
  type Answer,
  type Applied,
  beginWriter,
  type Birthed,
  decide,
  type Done,
  type Input,
  mayBlameConfig,
  nextLookAt,
  standsBackForNext,
  type View,
  waitsOf,
  type WriterState,
} from "./decide.ts";
import type { BalancerEffects, StepOutcome } from "./effects.ts";
import { findShortcut, gather, type GatherOptions, Prepared } from "./gather.ts";
import { type Locate, OperatorLog } from "./operator_log.ts";
import { type Birth, isBirth } from "./processes.ts";
import { Serving } from "./serving.ts";
import type { Occurrence, Standing } from "./standing.ts";
import { isDue, standsBack } from "./waiting_file.ts";

export type { Applied } from "./decide.ts";
export type { Locate } from "./operator_log.ts";

/** What makes the decisions of a writer. */
export type WriterDecide = typeof decide;

export interface WriterOptions<Config, ClusterConfig, Observed> {
  /** The balancer's name, after its file, as there may be several of a kind; the plugin's name if absent. */
  readonly name?: string;
  /** Decides. */
  readonly balancer: Decider<Config, ClusterConfig, Observed>;
  /** Acts. */
  readonly effects: BalancerEffects;
  readonly clock: Clock;
  /** Chance, for backoff. */
  readonly random: Random;
  /** The operator's log. */
  readonly log: Logger;
  /** How often the balancer is looked at although nothing changed. */
  readonly reconcileMs?: number;
  /** Receives each turn that had a new desired state or did something. */
  readonly onApplied?: (applied: Applied) => void;
  /** Receives, at each look, the clusters that the balancer is seen serving, and their generation. */
  readonly onServed?: (generation: number | undefined, clusters: readonly WantedCluster[]) => void;
  /** Receives, at each look, what was observed. */
  readonly onObserved?: ((observed: Observed) => void) | undefined;
  readonly meter?: Meter;
  /** Decides what to do; tests plant mistakes in it. */
  readonly decide?: WriterDecide;
}

/** How often the balancer is looked at although nothing changed. */
const RECONCILE_MS = 5_000;

/** How long work in flight may take once the writer shuts down. */
const END_GRACE_MS = 2_000;

/**
 * Keeps one balancer in sync: gathers what there is, has {@linkcode decide} say what to do, does it, and
 * looks again. One job is in flight at a time; desired states wait in a slot of one, where the newest wins.
 *
 * A config that the balancer rejects never stops the rest: what was changed to it keeps the last accepted
 * form, a cluster with its current members; what is new is served without the rejected lines.
 */
export class Writer<Config, ClusterConfig, Observed> {
  readonly #balancer: Decider<Config, ClusterConfig, Observed>;
  readonly #effects: BalancerEffects;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #decideBy: WriterDecide;
  readonly #onApplied: (applied: Applied) => void;
  readonly #onServed: NonNullable<WriterOptions<Config, ClusterConfig, Observed>["onServed"]>;
  readonly #told: OperatorLog;
  readonly #serving: Serving;
  readonly #gatherBy: Omit<GatherOptions<Config, ClusterConfig, Observed>, "signal" | "standsBack">;
  readonly #shortcutBy: Parameters<typeof findShortcut<Config, ClusterConfig, Observed>>[2];

  #state: WriterState<Config, ClusterConfig>;
  /** The last error that was logged. */
  #lastError: Occurrence | undefined;
  /** Ends the wait for work. */
  #wake = () => {};
  /** Aborts work in flight when shutdown can wait no longer. */
  readonly #ending = new AbortController();
  /** An internal error of what runs beside the turns: it ends the run. */
  #broken: { readonly error: unknown } | undefined;
  /** The write of a file that is in flight, beside which members change. */
  #writing: { readonly done: Promise<void>; readonly breakOff: () => void } | undefined;

  constructor(options: WriterOptions<Config, ClusterConfig, Observed>) {
    const { balancer, effects, clock, random, reconcileMs = RECONCILE_MS, meter = UNMETERED } = options;
    const { name = balancer.name, onApplied = () => {}, onServed = () => {} } = options;
    [this.#balancer, this.#effects, this.#clock, this.#random] = [balancer, effects, clock, random];
    [this.#onApplied, this.#onServed, this.#decideBy] = [onApplied, onServed, options.decide ?? decide];
    const log = listen(options.log, (text) => this.#lastError = { text, atMs: clock.now() });
    this.#told = new OperatorLog(name, log, meter);
    const onEnd = () => this.#noteEnd();
    const serving = this.#serving = new Serving({ name, balancer, effects, clock, attendAgainMs: reconcileMs, onEnd });
    const prepared = new Prepared(balancer);
    this.#gatherBy = { name, balancer, effects, serving, clock, prepared, onObserved: options.onObserved };
    this.#shortcutBy = { balancer: effects.executeHeld === undefined ? {} : balancer, serving, clock, prepared };
    this.#state = beginWriter({ now: clock.now(), reconcileMs });
  }

  /** The state of the balancer. */
  get standing(): Standing {
    return {
      ...this.#state.standing,
      lastError: this.#lastError,
      waits: waitsOf(this.#state, this.#clock.now()),
    };
  }

  /**
   * Asks for a state to be applied; an earlier one that was not started yet is dropped. `locate` finds the
   * place in the config where something is written.
   */
  put(
    wanted: Wanted<Config, ClusterConfig>,
    { generation, locate = (_, text) => text }: { readonly generation?: number; readonly locate?: Locate } = {},
  ): void {
    this.#decide({ type: "wanted", desired: { wanted, generation, locate } });
    this.#wake();
  }

  /** Pauses or resumes the management. Steps in flight are carried out: see {@linkcode isAtRest}. */
  pause(isPaused: boolean): void {
    this.#decide({ type: "paused", isPaused });
    if (standsBack(this.#state.file)) this.#writing?.breakOff();
    this.#wake();
  }

  /** Whether no steps are in flight, and no file is being written. */
  get isAtRest(): boolean {
    const { turn } = this.#state;
    return turn?.inFlight === undefined && turn?.shortcut === undefined && this.#writing === undefined;
  }

  /**
   * Works until the signal is aborted; then finishes the work in flight, writes a waiting file, and resolves;
   * what takes longer than two seconds then is aborted. The balancer keeps running without it. To be called
   * once.
   */
  async run(signal: AbortSignal): Promise<void> {
    let cancelEnding = () => {};
    const end = () => cancelEnding = this.#clock.after(END_GRACE_MS, () => this.#ending.abort());
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    // An internal error ends the watch too: the caller of this method must receive it.
    const over = new AbortController();
    const childrenWatched = this.#watchChildren(AbortSignal.any([signal, over.signal]));
    try {
      while (!signal.aborted) {
        await this.#awaitWork(signal);
        if (this.#broken !== undefined) throw this.#broken.error;
        if (signal.aborted) return;
        if (this.#state.next !== undefined || this.#isLookDue) await this.#turn(signal);
        if (this.#isFileDue) await this.#beginWriting();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      // The turn was aborted: a file that waited for its look waits for the one at the end.
      this.#decide({ type: "stop" });
    } finally {
      over.abort();
      await childrenWatched;
      await this.#writing?.done;
      try {
        const isKnown = await this.#planFile();
        await this.#serving.end();
        if (isKnown) await this.#writeFile(this.#ending.signal);
      } finally {
        signal.removeEventListener("abort", end);
        cancelEnding();
      }
    }
  }

  get #isLookDue(): boolean {
    const now = this.#clock.now();
    return nextLookAt(this.#state, now) <= now && !this.#isFileDue;
  }

  get #isFileDue(): boolean {
    return this.#writing === undefined && isDue(this.#state.file, this.#clock.now());
  }

  /** Makes a decision: the one place where the state changes. */
  #decide(input: Input<Config, ClusterConfig>): Answer<Config, ClusterConfig> {
    const answer = this.#decideBy(this.#state, input, { now: this.#clock.now(), random: this.#random });
    this.#state = answer.state;
    for (const report of answer.log) this.#told.tell(report);
    for (const news of answer.news) {
      if (news.type === "served") this.#onServed(news.generation, news.clusters);
      else this.#onApplied(news.applied);
    }
    return answer;
  }

  /** Looks at once. */
  #noteEnd(): void {
    this.#decide({ type: "ended" });
    this.#wake();
  }

  /** Looks at once when a child process has ended. */
  async #watchChildren(signal: AbortSignal): Promise<void> {
    const { childEnd } = this.#effects;
    while (childEnd !== undefined && !signal.aborted) {
      await childEnd.call(this.#effects, signal);
      if (!signal.aborted) this.#noteEnd();
    }
  }

  /** Waits for a desired state, or until something is due. */
  async #awaitWork(signal: AbortSignal): Promise<void> {
    if (this.#state.next !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const now = this.#clock.now();
    const lookAt = nextLookAt(this.#state, now);
    const cancel = lookAt === Infinity ? () => {} : this.#clock.after(Math.max(0, lookAt - now), () => resolve());
    const wake = this.#wake = () => resolve();
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    this.#wake = () => {};
    cancel();
    signal.removeEventListener("abort", wake);
  }

  /** One turn: rounds of look, decide and act, until there is nothing left to do now. */
  async #turn(signal: AbortSignal): Promise<void> {
    this.#decide({ type: "due" });
    while (this.#state.turn !== undefined && !signal.aborted) {
      const { desired } = this.#state;
      if (desired === undefined) return;
      if (await this.#takeShortcut(desired.wanted)) continue;
      await this.#endWriting();
      const standsBack = () => standsBackForNext(this.#state, this.#clock.now());
      const input = await gather(this.#state, desired.wanted, { ...this.#gatherBy, standsBack, signal });
      const { steps, dismissals } = this.#decide(input);
      await this.#dismiss(dismissals);
      if (steps.length === 0 || input.type !== "looked") continue;
      const done = await this.#carryOut(steps, input.view, signal);
      await this.#dismiss(this.#decide({ type: "done", done }).dismissals);
    }
    this.#decide({ type: "stop" });
  }

  /** Changes members without a look, if possible; returns whether that was tried. */
  async #takeShortcut(wanted: Wanted<Config, ClusterConfig>): Promise<boolean> {
    const { base } = this.#state;
    const input = findShortcut(this.#state, wanted, this.#shortcutBy);
    if (input === undefined || base === undefined) return false;
    const { steps } = this.#decide(input);
    if (steps.length === 0) return true;
    const { executeHeld } = this.#effects;
    const outcomes = await executeHeld?.call(this.#effects, input.shortcut.steps, base.sources, this.#ending.signal);
    this.#decide({ type: "changed", outcomes: outcomes ?? [] });
    return true;
  }

  /** Asks processes to stop beside which another one serves. */
  async #dismiss(dismissals: Answer<Config, ClusterConfig>["dismissals"]): Promise<void> {
    for (const { pid, sources, why } of dismissals) {
      if (await this.#effects.softStop(pid, sources)) this.#told.tellDismissed(pid, why);
    }
  }

  /** Carries steps out, and sees a start or a reload through, whether it succeeds or not. */
  async #carryOut(
    steps: readonly Step[],
    view: View<Config, ClusterConfig>,
    signal: AbortSignal,
  ): Promise<Done> {
    // Steps in flight are aborted at the very end only: each has a deadline of its own.
    const { outcomes, birth } = await this.#bear(steps, view, signal);
    const endedMs = birth?.atMs ?? this.#clock.now();
    const failed = failureOf(outcomes, birth);
    const isStillborn = failed !== undefined && isBirth(failed.step) && failed.failure.kind !== "taken";
    const restored = isStillborn ? await this.#restore(view, outcomes) : [];
    const regained = isStillborn && failed.step.do === "reload"
      ? await this.#regainSocket(failed.step, view, signal)
      : undefined;
    const explanation = failed !== undefined && mayBlameConfig(failed)
      ? await this.#explain(view, failed.failure.message)
      : undefined;
    return { outcomes, endedMs, birth, restored, regained, explanation };
  }

  /**
   * Carries steps out, and after a start or a reload waits until another process answers, which gets the
   * server state of the previous one.
   */
  async #bear(
    steps: readonly Step[],
    { sources, looks }: View<Config, ClusterConfig>,
    signal: AbortSignal,
  ): Promise<{ readonly outcomes: readonly StepOutcome[]; readonly birth: Birthed | undefined }> {
    const outcomes = await this.#effects.execute(steps, sources, this.#ending.signal);
    const step = steps.find(isBirth);
    const before = looks.at(-1);
    if (step === undefined || before === undefined || outcomes.some(({ ok }) => !ok)) {
      return { outcomes, birth: undefined };
    }
    const takeover = await this.#serving.awaitTakeover(step, before, signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
    // The writer shuts down meanwhile: what was done is noted all the same.
    if (takeover === undefined) return { outcomes, birth: undefined };
    const atMs = this.#clock.now();
    const commands: readonly CommandStep[] = takeover.ok && step.do === "reload" ? step.then ?? [] : [];
    const replayed = commands.length === 0 ? [] : await this.#effects.execute(commands, sources, this.#ending.signal);
    return { outcomes, birth: { step, takeover, replayed, atMs } };
  }

  /** Restores the files when no process could be started with the new ones. */
  async #restore(
    { looks, sources }: View<Config, ClusterConfig>,
    outcomes: readonly StepOutcome[],
  ): Promise<readonly StepOutcome[]> {
    const files = looks.at(-1)?.seen.files;
    const steps = outcomes.flatMap(({ ok, step }): (Step & { do: "install" })[] => {
      const contents = ok && step.do === "install" ? files?.get(step.path) : undefined;
      return contents === undefined || step.do !== "install" ? [] : [{ ...step, contents, check: [] }];
    });
    return await this.#effects.execute(steps, sources, this.#ending.signal);
  }

  /**
   * Reloads the restored file where a failed reload closed the serving process's socket. Otherwise nobody
   * could change members until another process is started.
   */
  async #regainSocket(
    failed: Birth & { do: "reload" },
    view: View<Config, ClusterConfig>,
    signal: AbortSignal,
  ): Promise<Done["regained"]> {
    // A program that replaces the process by its pid leaves everything to it when it fails.
    if ("run" in failed.how && failed.how.deadlineMs === undefined) return undefined;
    const look = await this.#serving.look(this.#state.processes, view.sources, signal).catch(() => undefined);
    if (signal.aborted || look === undefined || look.seen.answers !== undefined) return undefined;
    const step: Birth = { ...failed, listens: [], reason: "a failed reload closed the admin socket" };
    return await this.#bear([step], view, signal);
  }

  /** Asks the plugin why a config is rejected; a string says that it does not answer. */
  async #explain(
    { target }: View<Config, ClusterConfig>,
    message: string,
  ): Promise<Explanation | string | undefined> {
    try {
      return await this.#balancer.explain?.(await this.#gatherBy.prepared.render(target.wanted), message);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      return error.message;
    }
  }

  /** Starts to write the waiting files: members keep changing meanwhile. */
  async #beginWriting(): Promise<void> {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const breakingOff = new AbortController();
    const signal = AbortSignal.any([breakingOff.signal, this.#ending.signal]);
    const done = this.#writeFile(signal, resolve).catch((error) => {
      this.#broken = { error };
    }).finally(() => {
      this.#writing = undefined;
      resolve();
      this.#wake();
    });
    this.#writing = { done, breakOff: () => breakingOff.abort() };
    await begun;
  }

  /** Waits for the file that is being written, or aborts that for a new desired state, if allowed. */
  async #endWriting(): Promise<void> {
    if (this.#writing === undefined) return;
    if (this.#state.turn?.isFresh === true && standsBack(this.#state.file)) this.#writing.breakOff();
    await this.#writing.done;
  }

  /**
   * Finds out which files are to be written at shutdown, if members were changed without a look since the
   * last one. Returns whether that is known: other work is left to the next writer, and no file may differ
   * from the running config but in members, such as one that left and still has connections.
   */
  async #planFile(): Promise<boolean> {
    const { file, turn, desired } = this.#state;
    if (file.dueAt === Infinity || file.steps.length > 0 || turn !== undefined || desired === undefined) return true;
    this.#decide({ type: "due" });
    const signal = this.#ending.signal;
    try {
      const { steps } = this.#decide(
        await gather(this.#state, desired.wanted, {
          ...this.#gatherBy,
          standsBack: () => false,
          signal,
        }),
      );
      return steps.every((step) => step.do === "command");
    } catch (error) {
      if (!signal.aborted) throw error;
      return false;
    } finally {
      this.#decide({ type: "stop" });
    }
  }

  /** Writes the waiting files, if any; `onBegun` is called when a plugin cannot delay that any more. */
  async #writeFile(signal: AbortSignal, onBegun = () => {}): Promise<void> {
    const { file: { steps }, desired } = this.#state;
    if (steps.length === 0 || desired === undefined) return;
    const beganMs = this.#clock.now();
    let sources: BalancerSources;
    try {
      sources = await this.#balancer.sources(desired.wanted.config);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      this.#decide({ type: "failed", faults: [error.message] });
      return;
    }
    if (this.#state.isPaused) return;
    this.#decide({ type: "writing" });
    onBegun();
    let outcomes: readonly StepOutcome[] | undefined;
    try {
      outcomes = await this.#effects.execute(steps, sources, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.#decide({ type: "written", outcomes, sources, beganMs });
  }
}

/** Why steps failed, or the start or the reload among them. */
function failureOf(outcomes: readonly StepOutcome[], birth: Birthed | undefined) {
  return outcomes.find((outcome) => !outcome.ok) ?? (birth?.takeover.ok === false ? birth.takeover : undefined);
}

/** Returns a log that passes each error on, on its way to `log`. */
function listen(log: Logger, onError: (text: string) => void): Logger {
  return {
    debug: (text, properties) => log.debug(text, properties),
    info: (text, properties) => log.info(text, properties),
    warn: (text, properties) => log.warn(text, properties),
    error: (text, properties) => {
      onError(text);
      log.error(text, properties);
    },
  };
}
