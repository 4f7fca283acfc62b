import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { BalancerSources, Seen, Step } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import type { BalancerEffects, StepFailure } from "./effects.ts";
import { isSamePlace, whereabouts } from "./sources.ts";

export interface ServingOptions {
  /** What the balancer is called in the log. */
  readonly name: string;
  /** Finds the pid in answers. */
  readonly balancer: Pick<Decider, "pid">;
  /** Looks, attends and dismisses. */
  readonly effects: Pick<BalancerEffects, "observe" | "watchSocket" | "softStop">;
  readonly clock: Clock;
  /** What an operator reads. */
  readonly log: Logger;
  /** How long a process is not attended anew that ended the talk and lives on. */
  readonly attendAgainMs: number;
  /** Called when the process that serves has ended, or has ended the talk. */
  readonly onEnd: () => void;
}

/** A step that has a new process serve. */
export type Birth = Extract<Step, { readonly do: "start" | "reload" }>;

/** What came of a start or a reload: the process that serves now, or why none does. */
export type Takeover =
  | {
    readonly ok: true;
    readonly pid: number;
    /** Those that were started before and still have connections. */
    readonly oldWorkers: readonly number[];
    /** Those of them that are nobody's doing but a race's, and must leave. */
    readonly beside: readonly number[];
  }
  | { readonly ok: false; readonly step: Birth; readonly failure: StepFailure };

/** How long a new process may take until it answers, and how often it is looked for. */
const TAKEOVER_DEADLINE_MS = 10_000, TAKEOVER_POLL_MS = 10;

/** For so long after a takeover, who served before may still answer while it leaves (nginx's workers share a socket). */
const DRAINING_MS = 2_000;

/** How long nobody may listen after a program has started a process: it listens before it leaves, so it has died. */
const STILLBORN_MS = 1_000;

/** How long a balancer that ran must be gone before it is started: someone may be restarting it. */
const GONE_MS = 300;

/**
 * The same for one that a master owned, since whoever started that is about to
 * start it again, and where a process was started from the file: it may not
 * listen yet.
 */
const GONE_WITH_OTHERS_MS = 3_000;

/** A process that was seen to serve. */
interface Process {
  readonly pid: number;
  /** Its master, or itself if it has none. */
  readonly owner: number;
  /** Whether its pid means nothing on this host. */
  readonly isContained: boolean;
}

/**
 * Knows which process serves, and sees to it that it is one alone: whoever
 * starts, reloads or moves a balancer, two that share the traffic would mean
 * one that nobody steers.
 */
export class Serving {
  readonly #name: string;
  readonly #balancer: ServingOptions["balancer"];
  readonly #effects: ServingOptions["effects"];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #attendAgainMs: number;
  readonly #onEnd: () => void;
  #settledAt: BalancerSources | undefined;
  /** The process that was last seen. */
  #process: Process | undefined;
  /** The process whose end is waited for, since when, and what ends the waiting. */
  #attended: {
    readonly pid: number;
    readonly since: number;
    readonly stop: AbortController;
    readonly done: Promise<void>;
  } | undefined;
  #goneSince: number | undefined;
  /** Who was relieved by the last takeover, and until when its answers count for nothing. */
  #draining: { readonly pid: number; readonly until: number } | undefined;

  /** Knows of no process before the first look. */
  constructor({ name, balancer, effects, clock, log, attendAgainMs, onEnd }: ServingOptions) {
    this.#name = name;
    [this.#balancer, this.#effects, this.#clock, this.#log] = [balancer, effects, clock, log];
    [this.#attendAgainMs, this.#onEnd] = [attendAgainMs, onEnd];
  }

  /** Where the balancer was when it was last as it was wanted: it is looked for there if it is to move. */
  get settledAt(): BalancerSources | undefined {
    return this.#settledAt;
  }

  /** The process that was last seen to serve. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Notes where the balancer is, and is as it is wanted. */
  settle(sources: BalancerSources): void {
    this.#settledAt = sources;
  }

  /**
   * Looks at the balancer. What a process says that leaves counts for nothing.
   * Throws what looking throws, and if somebody serves whom nobody on this host
   * can relieve.
   */
  async look(sources: BalancerSources, signal: AbortSignal): Promise<Seen> {
    const seen = await this.#lookPast(this.#draining, sources, signal);
    return seen.answers === undefined ? await this.#withLeftBehind(seen, sources, signal) : seen;
  }

  /** Takes note of the process that was seen: a strange one is welcomed, and its end is waited for. */
  async meet(seen: Seen, sources: BalancerSources): Promise<void> {
    const pid = await this.#pidOf(seen);
    if (pid !== undefined) {
      const before = this.#process;
      [this.#process, this.#goneSince] = [processOf(pid, seen), undefined];
      if (before !== undefined && before.pid !== pid) await this.#welcome(this.#process, before, sources);
    }
    this.#watchSocket(pid, sources);
  }

  /**
   * From when on the start of a balancer that is not there is ours: one that
   * `ran` may be about to be started by somebody else. `orphans` are processes
   * that do not answer.
   */
  startableAt(ran: boolean, orphans: readonly number[] = []): number {
    this.#goneSince ??= ran ? this.#clock.now() : -Infinity;
    const hadMaster = this.#process !== undefined && this.#process.owner !== this.#process.pid;
    return this.#goneSince + (hadMaster || orphans.length > 0 ? GONE_WITH_OTHERS_MS : GONE_MS);
  }

  /** Waits until another process answers than was `seen` before the step. Throws if the signal is aborted meanwhile. */
  async awaitTakeover(step: Birth, seen: Seen, sources: BalancerSources, signal: AbortSignal): Promise<Takeover> {
    const name = this.#name;
    const pidBefore = await this.#pidOf(seen);
    const began = this.#clock.now();
    const deadline = began + TAKEOVER_DEADLINE_MS;
    // A master that was asked for a reload may be silent for a while; a program has left.
    // What a service manager runs may leave before the process that it starts listens.
    const { deadlineMs } = step.do === "start" ? step : "run" in step.how ? step.how : {};
    const leftBehind = (step.do === "start" || "run" in step.how) && deadlineMs === undefined;
    const bornBy = leftBehind ? began + STILLBORN_MS : Infinity;
    const fail = (why: string): Takeover => {
      return { ok: false, step, failure: { kind: "program", message: `Cannot ${step.do} ${name}: ${why}` } };
    };
    this.#goneSince = undefined;
    for (;;) {
      const now = await this.#observe(sources, signal).catch(() => undefined);
      signal.throwIfAborted();
      const pid = now === undefined ? undefined : await this.#pidOf(now);
      if (now !== undefined && pid !== undefined && hasTaken(step, { seen, pidBefore, now, pid, sources })) {
        this.#process = processOf(pid, now);
        const isRelieved = pidBefore !== undefined && pidBefore !== pid;
        this.#draining = isRelieved ? { pid: pidBefore, until: this.#clock.now() + DRAINING_MS } : undefined;
        const oldWorkers = (now.oldWorkers ?? []).filter((other) => other !== pidBefore);
        // Whoever starts the balancer after its end was as quick as we were; orphans were asked to leave already.
        const isRace = step.do === "start" && step.deadlineMs === undefined;
        return {
          ok: true,
          pid,
          oldWorkers,
          beside: isRace ? oldWorkers.filter((pid) => !seen.orphans?.includes(pid)) : [],
        };
      }
      if (now !== undefined && now.answers === undefined && this.#clock.now() > bornBy) {
        return fail(`its process ended within ${STILLBORN_MS} ms`);
      }
      if (this.#clock.now() > deadline) {
        const what = sources.kind === "process" && sources.contact.by === "pid" ? "was seen by" : "answered at";
        return fail(`no new process ${what} ${placeOf(sources)} within ${TAKEOVER_DEADLINE_MS} ms`);
      }
      await delay(TAKEOVER_POLL_MS, { clock: this.#clock, signal });
    }
  }

  /** Says who serves now, and asks those to leave that came while we started one of our own. */
  async completeTakeover(
    { pid, oldWorkers, beside }: Takeover & { readonly ok: true },
    sources: BalancerSources,
  ): Promise<void> {
    const name = this.#name;
    const still = oldWorkers.length === 0 ? "" : `; older ones still have connections: ${oldWorkers.join(", ")}`;
    this.#log.info(`${name}: process ${pid} serves${still}`, {
      event: "balancer.serving",
      pid,
      ...oldWorkers.length === 0 ? {} : { old: oldWorkers.join(", ") },
    });
    for (const other of beside) {
      if (!await this.#effects.softStop(other, sources)) continue;
      this.#log.info(`${name}: process ${other}, which was started at the same time, is asked to leave`, {
        event: "balancer.dismissed",
        pid: other,
      });
    }
  }

  /** Waits for nobody's end any more. */
  async end(): Promise<void> {
    this.#attended?.stop.abort();
    await this.#attended?.done;
  }

  #observe(sources: BalancerSources, signal: AbortSignal): Promise<Seen> {
    return this.#effects.observe(sources, (answers) => this.#balancer.pid(answers), signal);
  }

  /** The pid of the process that answered, if one did. */
  async #pidOf({ answers, pid }: Pick<Seen, "answers" | "pid">): Promise<number | undefined> {
    return pid ?? (answers === undefined ? undefined : await this.#balancer.pid(answers));
  }

  /** Looks past a process that has been relieved, and answers once more while it leaves. */
  async #lookPast(
    draining: { readonly pid: number; readonly until: number } | undefined,
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<Seen> {
    for (;;) {
      const seen = await this.#observe(sources, signal);
      if (draining === undefined || this.#clock.now() >= draining.until) return seen;
      if (await this.#pidOf(seen) !== draining.pid) return seen;
      await delay(TAKEOVER_POLL_MS, { clock: this.#clock, signal });
    }
  }

  /**
   * Adds to those that are to be relieved who serves where the balancer was
   * before it was to move: it would go on with its old members beside the new
   * one. Throws if nobody on this host can relieve it.
   */
  async #withLeftBehind(seen: Seen, sources: BalancerSources, signal: AbortSignal): Promise<Seen> {
    const before = this.#settledAt;
    if (before === undefined || isSamePlace(before, sources)) return seen;
    const left = await this.#observe(before, signal);
    const pid = await this.#pidOf(left);
    if (pid !== undefined && left.isContained === true) {
      throw new Error(
        `nobody answers at ${placeOf(sources)}, and process ${pid}, which answers at ${placeOf(before)} as before, ` +
          "is not one of this host: stop it, for two would serve side by side",
      );
    }
    // A master whose worker alone left would take that for a crash.
    const owner = pid === undefined ? [] : [left.masterPid ?? pid];
    const orphans = new Set([...seen.orphans ?? [], ...left.orphans ?? [], ...owner]);
    return { ...seen, orphans: [...orphans].toSorted((a, b) => a - b) };
  }

  /**
   * Takes note of a process that somebody else has started. If it was started
   * beside the one that served, not in its place, the two would share the
   * traffic and one of them nobody would steer: the one before is to leave.
   */
  async #welcome(now: Process, before: Process, sources: BalancerSources): Promise<void> {
    const name = this.#name;
    this.#log.info(`${name}: process ${now.pid} serves, which somebody else has started`, {
      event: "balancer.replaced",
      pid: now.pid,
    });
    if (before.isContained || before.owner === now.owner || !await this.#effects.softStop(before.owner, sources)) {
      return;
    }
    this.#log.info(`${name}: process ${before.owner}, which served before, is asked to leave`, {
      event: "balancer.dismissed",
      pid: before.owner,
    });
  }

  /** Has it told at once when the process that serves ends: nobody is served until another one does. */
  #watchSocket(pid: number | undefined, sources: BalancerSources): void {
    const now = this.#clock.now();
    const before = this.#attended;
    // One that ends the talk but lives on is not asked again and again.
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

/** Whether a start or a reload has taken: by another process, or by other children of the same one. */
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
  if (pid !== pidBefore) return true;
  const { contact } = sources.kind === "process" ? sources : {};
  if (step.do !== "reload" || contact?.by !== "pid" || contact.proof !== "children") return false;
  return (now.children ?? []).some((child) => !seen.children?.includes(child));
}

function processOf(pid: number, { masterPid = pid, isContained = false }: Seen): Process {
  return { pid, owner: masterPid, isContained };
}
