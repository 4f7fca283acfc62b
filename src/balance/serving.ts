import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { BalancerSources, Seen } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import type { BalancerEffects, StepFailure } from "./effects.ts";
import type { Birth, Look, Processes } from "./processes.ts";
import { isSamePlace, whereabouts } from "./sources.ts";

export interface ServingOptions {
  /** The balancer's name in the log. */
  readonly name: string;
  /** Finds the pid in answers. */
  readonly balancer: Pick<Decider, "pid">;
  /** Looks and watches. */
  readonly effects: Pick<BalancerEffects, "observe" | "watchSocket">;
  readonly clock: Clock;
  /** How long a process that closed the connection and lives on is not watched again. */
  readonly attendAgainMs: number;
  /** Called when the serving process has ended or closed the connection. */
  readonly onEnd: () => void;
}

/** The result of a start or a reload: the process that serves now, or why none does. */
export type Takeover =
  | {
    readonly ok: true;
    readonly pid: number;
    /** What was seen of it. */
    readonly seen: Seen;
    /** Old workers that still have connections. */
    readonly oldWorkers: readonly number[];
    /** Those of them that exist only because of a race, and must stop. */
    readonly beside: readonly number[];
  }
  | { readonly ok: false; readonly step: Birth; readonly failure: StepFailure };

/** How long a new process may take until it answers, and how often it is looked for. */
const TAKEOVER_DEADLINE_MS = 10_000, TAKEOVER_POLL_MS = 10;

/**
 * How long all answers must prove a reload: nginx starts new workers, and stops the old ones from accepting
 * 100 ms later.
 */
const SETTLE_MS = 150;

/**
 * How long nobody may listen after a program has started a process: the program exits once the process
 * listens, so a process that does not has died.
 */
const STILLBORN_MS = 1_000;

/**
 * Finds the serving process, waits until another one has taken over, and notices its end. It is given all
 * that it needs to know about processes.
 */
export class Serving {
  readonly #name: string;
  readonly #balancer: ServingOptions["balancer"];
  readonly #effects: ServingOptions["effects"];
  readonly #clock: Clock;
  readonly #attendAgainMs: number;
  readonly #onEnd: () => void;
  /** The process whose end is awaited, since when, and what ends the waiting. */
  #attended: {
    readonly pid: number;
    readonly since: number;
    readonly stop: AbortController;
    readonly done: Promise<void>;
  } | undefined;

  /** Watches nobody before the first look. */
  constructor({ name, balancer, effects, clock, attendAgainMs, onEnd }: ServingOptions) {
    this.#name = name;
    [this.#balancer, this.#effects, this.#clock] = [balancer, effects, clock];
    [this.#attendAgainMs, this.#onEnd] = [attendAgainMs, onEnd];
  }

  /**
   * Looks at the balancer. Answers of a process that is exiting are ignored. Throws what looking throws, and
   * if a process serves that nobody on this host can replace.
   */
  async look(processes: Processes, sources: BalancerSources, signal: AbortSignal): Promise<Look> {
    const there = await this.#lookPast(processes.draining, sources, signal);
    const seen = there.answers === undefined
      ? await this.#withLeftBehind(there, processes.settledAt, sources, signal)
      : there;
    return { sources, seen, pid: await this.#pidOf(seen) };
  }

  /**
   * Waits until a process other than `seen` before the step answers. Throws if the signal is aborted
   * meanwhile.
   */
  async awaitTakeover(step: Birth, before: Look, signal: AbortSignal): Promise<Takeover> {
    const { seen, sources, pid: pidBefore } = before;
    const name = this.#name;
    const began = this.#clock.now();
    const deadline = began + TAKEOVER_DEADLINE_MS;
    // A master that is reloading may be silent for a while; a program has exited. A service manager's command
    // may exit before the process that it starts listens.
    const { deadlineMs } = step.do === "start" ? step : "run" in step.how ? step.how : {};
    const leftBehind = (step.do === "start" || "run" in step.how) && deadlineMs === undefined;
    const bornBy = leftBehind ? began + STILLBORN_MS : Infinity;
    let provenSinceMs: number | undefined;
    const fail = (why: string): Takeover => {
      return { ok: false, step, failure: { kind: "program", message: `Cannot ${step.do} ${name}: ${why}` } };
    };
    for (;;) {
      const now = await this.#observe(sources, signal).catch(() => undefined);
      signal.throwIfAborted();
      const pid = now === undefined ? undefined : await this.#pidOf(now);
      const isTaken = now !== undefined && pid !== undefined &&
        hasTaken(step, { seen, pidBefore, now, pid, sources });
      provenSinceMs = isTaken ? provenSinceMs ?? this.#clock.now() : undefined;
      const settleMs = step.do === "reload" && step.serves !== undefined ? SETTLE_MS : 0;
      if (isTaken && this.#clock.now() >= (provenSinceMs ?? Infinity) + settleMs) {
        const oldWorkers = (now.oldWorkers ?? []).filter((other) => other !== pidBefore);
        // Somebody else started the balancer at the same moment; orphans were asked to stop already.
        const isRace = step.do === "start" && step.deadlineMs === undefined;
        return {
          ok: true,
          pid,
          seen: now,
          oldWorkers,
          beside: isRace ? oldWorkers.filter((pid) => !seen.orphans?.includes(pid)) : [],
        };
      }
      if (now !== undefined && now.answers === undefined && this.#clock.now() > bornBy) {
        return fail(`process exited within ${formatDuration(STILLBORN_MS)}`);
      }
      if (this.#clock.now() > deadline) {
        const within = `within ${formatDuration(TAKEOVER_DEADLINE_MS)}`;
        if (step.serves !== undefined) {
          return fail(
            `no response at ${placeOf(sources)} shows the new config ${within}; see the balancer's error log`,
          );
        }
        const what = sources.kind === "process" && sources.contact.by === "pid" ? "was found in" : "responded at";
        return fail(`no new process ${what} ${placeOf(sources)} ${within}`);
      }
      await delay(TAKEOVER_POLL_MS, { clock: this.#clock, signal });
    }
  }

  /** Stops watching. */
  async end(): Promise<void> {
    this.#attended?.stop.abort();
    await this.#attended?.done;
  }

  #observe(sources: BalancerSources, signal: AbortSignal): Promise<Seen> {
    return this.#effects.observe(sources, (answers) => this.#balancer.pid(answers), signal);
  }

  /** The pid of the process that answered, if any. */
  async #pidOf({ answers, pid }: Pick<Seen, "answers" | "pid">): Promise<number | undefined> {
    return pid ?? (answers === undefined ? undefined : await this.#balancer.pid(answers));
  }

  /** Ignores a process that has been replaced and still answers while it exits. */
  async #lookPast(
    draining: Processes["draining"],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<Seen> {
    for (;;) {
      const seen = await this.#observe(sources, signal);
      if (draining === undefined || this.#clock.now() >= draining.untilMs) return seen;
      const isPast = draining.serves === undefined
        ? await this.#pidOf(seen) === draining.pid
        : seen.answers !== undefined && !hasAnswer(seen, draining.serves);
      if (!isPast) return seen;
      await delay(TAKEOVER_POLL_MS, { clock: this.#clock, signal });
    }
  }

  /**
   * Adds the process at the balancer's previous place to those to be replaced: it would keep serving its old
   * members beside the new one. Throws if nobody on this host can replace it.
   */
  async #withLeftBehind(
    seen: Seen,
    before: BalancerSources | undefined,
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<Seen> {
    if (before === undefined || isSamePlace(before, sources)) return seen;
    const left = await this.#observe(before, signal);
    const pid = await this.#pidOf(left);
    if (pid !== undefined && left.isContained === true) {
      throw new Error(
        `no process responds at ${placeOf(sources)}, and process ${pid} at the previous ${
          placeOf(before)
        } runs in a container; ` +
          `stop process ${pid}, so that only one process serves`,
      );
    }
    // A master would take the exit of its worker alone for a crash.
    const owner = pid === undefined ? [] : [left.masterPid ?? pid];
    const orphans = new Set([...seen.orphans ?? [], ...left.orphans ?? [], ...owner]);
    return { ...seen, orphans: [...orphans].toSorted((a, b) => a - b) };
  }

  /** Whether a connection is held to a process, as far as is known. */
  holds(pid: number): boolean {
    return this.#attended?.pid === pid && !this.#attended.stop.signal.aborted;
  }

  /** Notices at once when the serving process ends: nobody serves until another one does. */
  watchSocket({ pid, sources }: Pick<Look, "pid" | "sources">): void {
    const now = this.#clock.now();
    const before = this.#attended;
    // A process that closes the connection and lives on is not asked again and again.
    if (before !== undefined && before.pid === pid && now < before.since + this.#attendAgainMs) return;
    if (before !== undefined && before.pid === pid && !before.stop.signal.aborted) return;
    before?.stop.abort();
    this.#attended = undefined;
    if (pid === undefined) return;
    const stop = new AbortController();
    const done = this.#effects.watchSocket(sources, stop.signal).then(() => {
      if (stop.signal.aborted) return;
      stop.abort();
      this.#onEnd();
    });
    this.#attended = { pid, since: now, stop, done };
  }
}

/** Where a balancer is looked for, for messages. */
function placeOf(sources: BalancerSources): string {
  return sources.kind === "process" ? whereabouts(sources) : sources.file;
}

/** Whether one of the answers has a part. */
function hasAnswer({ answers = [] }: Pick<Seen, "answers">, part: string): boolean {
  return answers.some((answer) => answer.includes(part));
}

/**
 * Whether a start or a reload has taken over: another process answers, or other children of the same one, or
 * its answers prove it.
 */
function hasTaken(
  step: Birth,
  { seen, pidBefore, now, pid, sources }: {
    readonly seen: Seen;
    readonly pidBefore: number | undefined;
    readonly now: Seen;
    readonly pid: number;
    readonly sources: BalancerSources;
  },
): boolean {
  // A process may keep running with its previous config, and only its answers reveal that.
  if (step.serves !== undefined) return hasAnswer(now, step.serves);
  if (pid !== pidBefore) return true;
  const { contact } = sources.kind === "process" ? sources : {};
  if (step.do !== "reload" || contact?.by !== "pid" || contact.proof !== "children") return false;
  return (now.children ?? []).some((child) => !seen.children?.includes(child));
}
