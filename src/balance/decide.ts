import assert from "node:assert/strict";
import type { Random } from "../kernel/random.ts";
import type { ClusterName } from "../model/topology.ts";
import type {
  BalancerCounters,
  BalancerSources,
  Explanation,
  Rendered,
  Seen,
  Shortcut,
  Step,
  Wanted,
  WantedCluster,
} from "../plugin/contract.ts";
import {
  type Acceptance,
  NOTHING_TRIED,
  retryAt,
  type Target,
  withAccepted,
  withoutOther,
  withRejected,
} from "./acceptance.ts";
import { type CommandMemory, NO_COMMANDS, withCommands } from "./command_memory.ts";
import type { StepFailure, StepOutcome } from "./effects.ts";
import { type KnownVersion, NO_VERSION } from "./known_version.ts";
import type { Locate, Report } from "./operator_log.ts";
import { outputOf, withAttempts, withoutWaiting } from "./outputs.ts";
import {
  childAt,
  failedConfigRetryAt,
  isLeftover,
  type Pace,
  rejectedFileRetryAt,
  takenAddressRetryAt,
  UNHURRIED,
  withChild,
  withForced,
  withLeftover,
  withNotice,
  withReload,
  withReloadDue,
  withTrouble,
} from "./pace.ts";
import {
  type Birth,
  isBirth,
  type Look,
  NO_PROCESS,
  type Processes,
  withLook,
  withStartable,
  withTakeover,
} from "./processes.ts";
import type { Takeover } from "./serving.ts";
import { beginStanding, type Standing, type Wait, withOutcomes } from "./standing.ts";
import {
  NO_FILE,
  setAside,
  type WaitingFile,
  withBrokenOff,
  withChange,
  withLookAt,
  withoutFile,
  withWriting,
  withWritten,
} from "./waiting_file.ts";

/** How often an unreachable balancer is looked for before it may be started. */
const GONE_POLL_MS = 300;

/** How many commands may fail in a row before a reload is used instead. */
const COMMAND_FAILURES_MAX = 2;

/**
 * How long a due look waits for member changes that need none: it is made as soon as none is pending, or
 * after this time.
 */
const LOOK_STANDS_BACK_MS = 200;

/** How many rounds a turn may take; each round does what the previous one made necessary. */
const ROUNDS_MAX = 50;

/** A desired state, as it was received. */
export interface Desired<Config, ClusterConfig> {
  readonly wanted: Wanted<Config, ClusterConfig>;
  readonly generation: number | undefined;
  /** Finds the place in the config where something is written. */
  readonly locate: Locate;
}

/** What happened in one turn of the writer; for tests, the demo and measurements. */
export interface Applied {
  /** The generation that came with the desired state, if any. */
  readonly generation?: number | undefined;
  /** The steps that succeeded, in order. */
  readonly steps: readonly Step[];
  /** How many of them were reloads or starts. */
  readonly reloads: number;
  /** From the start of the turn to its end. */
  readonly tookMs: number;
  /**
   * Whether the balancer was seen serving all that is desired, nothing rejected and nothing held; the file
   * may follow within a second.
   */
  readonly converged: boolean;
}

/** One turn while it lasts: rounds of look, decide and act, until there is nothing left to do now. */
interface Turn {
  readonly beganMs: number;
  /** Whether it started with a new desired state. */
  readonly isFresh: boolean;
  /** The steps that succeeded. */
  readonly done: readonly Step[];
  /** Why a reload is required although the plan could do without. */
  readonly because: string | undefined;
  readonly commandFailures: number;
  /** What the last round did, to notice when steps that succeeded are planned again. */
  readonly plannedBefore: string | undefined;
  readonly rounds: number;
  /** The steps in flight, and the view that they were decided from. */
  readonly inFlight:
    | { readonly view: View<unknown, unknown>; readonly steps: readonly Step[]; readonly planned: string }
    | undefined;
  /** The shortcut in flight, and what it is to bring about. */
  readonly shortcut: Shortcut & { readonly wanted: Wanted } | undefined;
  /** When the next look was due when the turn started, and what was waiting. */
  readonly before: Pick<WriterState<unknown, unknown>, "lookAt" | "waits">;
}

/**
 * What a look found applied, updated by what was changed and read back since: while the same process serves
 * and the look is fresh, a change of members needs no other look.
 */
export interface Base<Config, ClusterConfig> {
  readonly wanted: Wanted<Config, ClusterConfig>;
  /** What the plugin observed, updated by what was read back since. */
  readonly observed: unknown;
  readonly sources: BalancerSources;
  /** The process. */
  readonly pid: number;
  /** When the look was made. */
  readonly lookedMs: number;
  /** Whether a later look was aborted for a change of members; the next one must not be. */
  readonly hasStoodBack?: boolean;
}

/** All that a writer knows and waits for. Times are readings of its clock. */
export interface WriterState<Config, ClusterConfig> {
  /** How often the balancer is looked at although nothing changed. */
  readonly reconcileMs: number;
  /** The desired state that is being applied. */
  readonly desired: Desired<Config, ClusterConfig> | undefined;
  /** The newest desired state that no turn has started with. */
  readonly next: Desired<Config, ClusterConfig> | undefined;
  readonly turn: Turn | undefined;
  /** Whether an operator has paused the management: the balancer is observed, and nothing is changed. */
  readonly isPaused: boolean;
  /** When to look again although nothing asks for it. */
  readonly lookAt: number;
  /** Why something is not done yet, as of the last turn. */
  readonly waits: readonly Wait[];
  readonly pace: Pace;
  readonly file: WaitingFile;
  readonly commands: CommandMemory;
  readonly acceptance: Acceptance<Config, ClusterConfig>;
  readonly version: KnownVersion;
  readonly processes: Processes;
  /** Where a change of members needs no look; `undefined` if it needs one. */
  readonly base: Base<Config, ClusterConfig> | undefined;
  /** Whether all was applied at the last look: a difference found later is not the writer's doing. */
  readonly isCalm: boolean;
  /** The files as they were then, or as they were written since. */
  readonly filesLeft: ReadonlyMap<string, string>;
  /** Whether the readers of the files may not have loaded them as they are. */
  readonly owesNotify: boolean;
  readonly standing: Standing;
}

/** The result of a look: the observed state, the desired state, and the way from one to the other. */
export interface View<Config, ClusterConfig> {
  /** Where the balancer was looked at. */
  readonly sources: BalancerSources;
  /** The looks, in order; the last one was at `sources`. */
  readonly looks: readonly Look[];
  /** The desired state, with the version of the program. */
  readonly wanted: Wanted<Config, ClusterConfig>;
  /** As much of it as the balancer accepts. */
  readonly target: Target<Config, ClusterConfig>;
  /** What the plugin observed at `sources`. */
  readonly observed: unknown;
  /** Clusters that are served and whose config is invalid. */
  readonly kept: readonly ClusterName[];
  readonly notices: Rendered["notices"];
  /** The balancer's own counters; absent if it has none, or nobody answers. */
  readonly counters?: BalancerCounters | undefined;
  /** Why files cannot be rendered. */
  readonly renderFaults: NonNullable<Rendered["faults"]>;
  /** The plan if a reload is allowed; `undefined` if there is none. */
  readonly plan: readonly Step[] | undefined;
  /** The plan without a reload; `undefined` where the other one can be carried out. */
  readonly meanwhile: readonly Step[] | undefined;
  readonly version: KnownVersion;
  /** Who manages the balancer, if that is another writer. */
  readonly other: string | undefined;
  /** The jitter of the time at which an allowed reload is made. */
  readonly reloadJitterMs: number;
  /** What failed meanwhile without stopping the look. */
  readonly faults: readonly string[];
}

/**
 * The result of a start or a reload that succeeded: who serves, and the answers to the commands that replay
 * server state.
 */
export interface Birthed {
  readonly step: Birth;
  readonly takeover: Takeover;
  readonly replayed: readonly StepOutcome[];
  /** When it was seen. */
  readonly atMs: number;
}

/** The outcome of steps. */
export interface Done {
  readonly outcomes: readonly StepOutcome[];
  /** When the steps, and the takeover, ended. */
  readonly endedMs: number;
  /** Of a start or a reload among the steps, if all succeeded. */
  readonly birth: Birthed | undefined;
  /** The files that were restored, after a start or a reload that failed. */
  readonly restored: readonly StepOutcome[];
  /** The reload of the restored files, where the failed one closed the process's socket. */
  readonly regained: { readonly outcomes: readonly StepOutcome[]; readonly birth: Birthed | undefined } | undefined;
  /**
   * Why the balancer rejects its config, if that may be the cause; a string if the plugin does not answer.
   */
  readonly explanation: Explanation | string | undefined;
}

/** The inputs that a writer reacts to. */
export type Input<Config, ClusterConfig> =
  /** A new desired state; one that no turn has started with is dropped. */
  | { readonly type: "wanted"; readonly desired: Desired<Config, ClusterConfig> }
  /** An operator pauses or resumes the management. */
  | { readonly type: "paused"; readonly isPaused: boolean }
  /** The process that serves, or a child, has ended or closed its connection. */
  | { readonly type: "ended" }
  /** A turn is due. */
  | { readonly type: "due" }
  | { readonly type: "looked"; readonly view: View<Config, ClusterConfig> }
  /** A look in the background was aborted: a new desired state has arrived that may need none. */
  | { readonly type: "stoodBack" }
  /** There is no view: the balancer cannot be observed, or its plugin does not answer. */
  | {
    readonly type: "failed";
    readonly faults: readonly string[];
    readonly looks?: readonly Look[];
    readonly version?: KnownVersion;
  }
  | { readonly type: "done"; readonly done: Done }
  /** The desired state differs from the base in members alone, and a shortcut leads there. */
  | { readonly type: "differs"; readonly wanted: Wanted<Config, ClusterConfig>; readonly shortcut: Shortcut }
  /** The outcome of the shortcut. */
  | { readonly type: "changed"; readonly outcomes: readonly StepOutcome[] }
  /** Writing of the waiting file starts. */
  | { readonly type: "writing" }
  /** The waiting file was written; `undefined` if that was aborted. */
  | {
    readonly type: "written";
    readonly outcomes: readonly StepOutcome[] | undefined;
    readonly sources: BalancerSources;
    readonly beganMs: number;
  }
  /** The writer is shutting down. */
  | { readonly type: "stop" };

/** A process to stop, as another one serves in its place. */
export interface Dismissal {
  readonly pid: number;
  readonly sources: BalancerSources;
  readonly why: "served previously" | "started at the same time as the managed process";
}

/** What happened to members, for measurements. */
export type News =
  | { readonly type: "applied"; readonly applied: Applied }
  | {
    readonly type: "served";
    readonly generation: number | undefined;
    readonly clusters: readonly WantedCluster[];
  };

/** What a writer is to do. */
export interface Answer<Config, ClusterConfig> {
  readonly state: WriterState<Config, ClusterConfig>;
  /** The steps to carry out at once; their outcome is the next input. */
  readonly steps: readonly Step[];
  /** The processes to stop first. */
  readonly dismissals: readonly Dismissal[];
  /** When to start the next turn, unless a desired state arrives first; `-Infinity` while a turn lasts. */
  readonly lookAt: number;
  /** What to log. */
  readonly log: readonly Report[];
  readonly news: readonly News[];
}

/** Time and chance, as of now. */
export interface Circumstances {
  readonly now: number;
  readonly random: Random;
}

/** The state of a writer that has seen nothing. */
export function beginWriter<C, K>({ now, reconcileMs }: {
  readonly now: number;
  readonly reconcileMs: number;
}): WriterState<C, K> {
  return {
    reconcileMs,
    desired: undefined,
    next: undefined,
    turn: undefined,
    isPaused: false,
    lookAt: Infinity,
    waits: [],
    pace: UNHURRIED,
    file: NO_FILE,
    commands: NO_COMMANDS,
    acceptance: NOTHING_TRIED,
    version: NO_VERSION,
    processes: NO_PROCESS,
    base: undefined,
    isCalm: false,
    filesLeft: new Map(),
    owesNotify: true,
    standing: beginStanding(now),
  };
}

/** Why a look must lead to a reload although the plan could do without; `undefined` if it need not. */
export function reasonToReload<C, K>({ turn, processes }: WriterState<C, K>, sources: BalancerSources) {
  // A process that was started from another file would use that file again when it is restarted by hand.
  const hasMoved = processes.settledAt !== undefined && processes.settledAt.file !== sources.file;
  return turn?.because ?? (hasMoved ? "config file moved" : undefined);
}

/**
 * The base from which the desired state of a turn may be applied without a look at the whole balancer, if it
 * may.
 */
export function shortcutBase<C, K>(
  { turn, base, file, reconcileMs }: WriterState<C, K>,
  now: number,
): Base<C, K> | undefined {
  if (turn === undefined || !turn.isFresh || turn.rounds > 0 || base === undefined) return undefined;
  const lookAt = Math.min(turn.before.lookAt, file.dueAt, base.lookedMs + reconcileMs);
  return now < lookAt + LOOK_STANDS_BACK_MS ? base : undefined;
}

/** Whether a look in flight is to be aborted for a desired state that has arrived meanwhile. */
export function standsBackForNext<C, K>(
  { turn, next, base, isPaused, reconcileMs }: WriterState<C, K>,
  now: number,
): boolean {
  if (turn === undefined || turn.isFresh || turn.rounds > 0 || isPaused) return false;
  if (next === undefined || base === undefined || base.hasStoodBack === true) return false;
  return now < Math.min(turn.before.lookAt, base.lookedMs + reconcileMs) + LOOK_STANDS_BACK_MS;
}

/** Whether anything was ever seen applied. */
export function hasServed<C, K>({ acceptance }: WriterState<C, K>): boolean {
  return acceptance.accepted !== undefined;
}

/** Whether a failed step may have failed because of a config that the balancer rejects. */
export function mayBlameConfig({ step, failure: { kind } }: Failed): boolean {
  if (step.do === "install") return kind === "refused";
  return isBirth(step) && (kind === "program" || kind === "address");
}

/** Whether a step disturbs the serving process, and is therefore rate limited. */
export function isPaced({ do: what }: Step): boolean {
  return what === "reload" || what === "notify";
}

/** All that waits now, and until when. */
export function waitsOf<C, K>({ waits, file, acceptance }: WriterState<C, K>, now: number): readonly Wait[] {
  const more = [
    { why: "Config file update after a membership change", untilMs: file.dueAt },
    { why: "Retry of the rejected config", untilMs: retryAt(acceptance, now) },
  ];
  return [...waits, ...more].filter(({ untilMs }) => untilMs > now && untilMs !== Infinity);
}

/**
 * Decides what a writer does next: its next state, the steps to carry out, when to look again, and what to
 * log. Pure but for `random`; the caller looks, acts and logs.
 */
export function decide<C, K>(
  state: WriterState<C, K>,
  input: Input<C, K>,
  { now, random }: Circumstances,
): Answer<C, K> {
  const work: Work<C, K> = { s: { ...state }, log: [], news: [], dismissals: [], steps: [], now, random };
  react(work, input);
  const { s, log, news, dismissals, steps } = work;
  return { state: s, steps, dismissals, lookAt: nextLookAt(s, now), log, news };
}

/** When the next turn is due, unless a desired state arrives first; `-Infinity` while a turn lasts. */
export function nextLookAt<C, K>({ turn, lookAt, file, acceptance }: WriterState<C, K>, now: number): number {
  return turn === undefined ? Math.min(lookAt, file.dueAt, retryAt(acceptance, now)) : -Infinity;
}

/** A step that failed. */
type Failed = StepOutcome & { readonly ok: false };

/** How a turn continues. */
type Round = "again" | "wait";

/** A decision while it is made: `s` is a copy of the state that nobody else has. */
interface Work<C, K> {
  readonly s: { -readonly [Key in keyof WriterState<C, K>]: WriterState<C, K>[Key] };
  readonly log: Report[];
  readonly news: News[];
  readonly dismissals: Dismissal[];
  steps: readonly Step[];
  readonly now: number;
  readonly random: Random;
}

function react<C, K>(work: Work<C, K>, input: Input<C, K>): void {
  const { s, log, now } = work;
  switch (input.type) {
    case "wanted":
      s.next = input.desired;
      return;
    case "paused":
      if (s.isPaused === input.isPaused) return;
      // The look that follows the pause plans a waiting file again.
      [s.isPaused, s.file, s.base] = [input.isPaused, withoutFile(s.file), undefined];
      if (s.desired !== undefined) lookBy(work, now);
      return;
    case "ended":
      s.base = undefined;
      if (s.desired !== undefined) lookBy(work, now);
      return;
    case "due":
      return begin(work);
    case "looked":
      return looked(work, input.view);
    case "stoodBack":
      return standBack(work);
    case "failed": {
      for (const fault of input.faults) log.push(["tellFault", fault]);
      s.version = input.version ?? s.version;
      s.base = undefined;
      for (const look of s.isPaused ? [] : input.looks ?? []) meet(work, look);
      // Without a turn, the file was what could not be written: the next turn plans it again.
      if (s.turn === undefined) s.file = withoutFile(s.file);
      later(work);
      // A file that waits for a look waits for the next one.
      s.file = withLookAt(s.file, s.lookAt);
      return endTurn(work, false);
    }
    case "done":
      return done(work, input.done);
    case "differs":
      return differs(work, input);
    case "changed":
      return changed(work, input.outcomes);
    case "writing":
      s.file = withWriting(s.file, now);
      return;
    case "written":
      return written(work, input);
    case "stop":
      return endTurn(work, false);
  }
}

/** Starts a turn with the newest desired state. */
function begin<C, K>({ s, now }: Work<C, K>): void {
  assert(s.turn === undefined, "only one reconcile runs at a time");
  const isFresh = s.next !== undefined;
  [s.desired, s.next] = [s.next ?? s.desired, undefined];
  if (s.desired === undefined) return;
  const before = { lookAt: s.lookAt, waits: s.waits };
  [s.lookAt, s.waits] = [Infinity, []];
  s.isCalm &&= !isFresh && s.file.steps.length === 0;
  s.turn = {
    beganMs: now,
    isFresh,
    done: [],
    because: undefined,
    commandFailures: 0,
    plannedBefore: undefined,
    rounds: 0,
    inFlight: undefined,
    shortcut: undefined,
    before,
  };
}

/** Ends a turn whose look was aborted, as if it had not started. */
function standBack<C, K>({ s }: Work<C, K>): void {
  const { turn, base } = s;
  assert(turn !== undefined && !turn.isFresh, "a background observation is in progress");
  [s.lookAt, s.waits] = [Math.min(s.lookAt, turn.before.lookAt), turn.before.waits];
  if (base !== undefined) s.base = { ...base, hasStoodBack: true };
  s.turn = undefined;
}

/** Ends the turn, if there is one. */
function endTurn<C, K>({ s, log, news, now }: Work<C, K>, converged: boolean): void {
  const { turn, desired, standing: before } = s;
  if (turn === undefined || desired === undefined) return;
  s.turn = undefined;
  s.standing = {
    ...before,
    turnedMs: now,
    inForce: converged,
    sinceMs: converged === before.inForce ? before.sinceMs : now,
    fileBehind: s.file.behind,
    underWay: undefined,
  };
  // What was tried meanwhile and rejected was not applied.
  log.push(["tellNotices", s.standing.notices, desired.locate]);
  if (converged && s.file.steps.length === 0) log.push(["forgetFaults"]);
  s.lookAt = Math.min(s.lookAt, now + s.reconcileMs);
  if (!turn.isFresh && turn.done.length === 0) return;
  const { generation } = desired;
  const reloads = turn.done.filter(isBirth).length;
  news.push({
    type: "applied",
    applied: { generation, steps: turn.done, reloads, tookMs: now - turn.beganMs, converged },
  });
}

/** Plans a look no later than at a time; `why` says what waits until then. */
function lookBy<C, K>({ s }: Pick<Work<C, K>, "s">, at: number, why?: string): void {
  s.lookAt = Math.min(s.lookAt, at);
  if (why !== undefined && at !== Infinity) s.waits = withWait(s.waits, { why, untilMs: at });
}

/** Adds a wait, replacing one with the same reason. */
function withWait(waits: readonly Wait[], wait: Wait): readonly Wait[] {
  return [...waits.filter(({ why }) => why !== wait.why), wait];
}

/** Starts the next turn after an increasing wait. */
function later<C, K>(work: Work<C, K>): Round {
  const { s, now, random } = work;
  const [pace, at] = withTrouble(s.pace, now, random);
  s.pace = pace;
  lookBy(work, at, "Backoff after an error");
  return "wait";
}

/** Ends the turn for a failure that no config causes: a full disk, a missing program. */
function fail<C, K>(work: Work<C, K>, message: string): Round {
  work.log.push(["tellFault", message]);
  return later(work);
}

function meet<C, K>({ s, log, dismissals }: Work<C, K>, look: Look): void {
  const { processes, replaced, beside } = withLook(s.processes, look);
  s.processes = processes;
  if (replaced && look.pid !== undefined) log.push(["tellReplaced", look.pid]);
  if (beside !== undefined) dismissals.push({ pid: beside, sources: look.sources, why: "served previously" });
}

function looked<C, K>(work: Work<C, K>, view: View<C, K>): void {
  const { s, log, news, now } = work;
  const { sources, target, wanted, other } = view;
  const { turn, desired } = s;
  assert(
    turn !== undefined && desired !== undefined && turn.inFlight === undefined,
    "an observation is part of a reconcile",
  );
  s.version = view.version;
  s.base = undefined;
  for (const fault of view.faults) log.push(["tellFault", fault]);
  const seen = seenOf(view);
  const isGone = sources.kind === "process" && seen.answers === undefined;
  s.standing = {
    ...s.standing,
    isGone,
    counters: view.counters,
    ...!isGone && { seenMs: now, oldWorkers: seen.oldWorkers ?? [] },
  };
  // The serving process is noted after the pause: until then nobody is stopped.
  if (s.isPaused) return endTurn(work, view.plan?.length === 0 && target.wanted === wanted);
  for (const look of view.looks) meet(work, look);
  s.acceptance = withoutOther(s.acceptance, wanted);
  if (view.kept.length > 0) log.push(["tellKeptClusters", view.kept]);
  s.standing = { ...s.standing, notices: view.notices, standby: other };
  log.push(["tellStandby", other]);
  for (const fault of view.renderFaults) log.push(["tellRenderFault", fault, desired.locate]);
  const chosen = choose(work, view, turn.plannedBefore);
  const { steps } = chosen;
  const inForce = chosen.inForce && view.renderFaults.length === 0;
  const planned = JSON.stringify(steps);
  if (inForce) {
    s.acceptance = withAccepted(s.acceptance, target.wanted);
    const { generation } = desired;
    s.standing = { ...s.standing, served: { wanted: target.wanted, generation } };
    news.push({ type: "served", generation, clusters: target.wanted.clusters });
    s.processes = { ...s.processes, settledAt: sources };
    s.pace = { ...s.pace, troubles: 0, vain: undefined };
  }
  if (steps.length === 0 || planned === turn.plannedBefore) {
    const [pace, leftoverAt] = withLeftover(s.pace, now, steps);
    s.pace = pace;
    lookBy(work, leftoverAt, "Retry of steps that had no effect");
    if (steps.length === 0) reportDrift(work, view, steps);
    s.isCalm = inForce;
    s.filesLeft = new Map(seen.files);
    const { pid } = lookOf(view);
    if (inForce && target.wanted === wanted && other === undefined && pid !== undefined) {
      s.base = { wanted, observed: view.observed, sources, pid, lookedMs: now };
    }
    return endTurn(work, inForce && target.wanted === wanted);
  }
  // The active writer does the work; this one looks again, and takes over when the active one has ended.
  if (other !== undefined) {
    s.isCalm = false;
    return endTurn(work, false);
  }
  if (steps.some((step) => step.do === "start") && !mayStart(work, seen.orphans)) return endTurn(work, false);
  reportDrift(work, view, steps);
  s.turn = { ...turn, inFlight: { view, steps, planned } };
  s.standing = { ...s.standing, underWay: { text: steps.map((step) => step.do).join(", "), atMs: now } };
  work.steps = steps;
}

/**
 * Chooses between the plans: reloads are rate limited, and until one is allowed members change in the running
 * process.
 */
function choose<C, K>(
  work: Work<C, K>,
  view: View<C, K>,
  plannedBefore: string | undefined,
): { readonly steps: readonly Step[]; readonly inForce: boolean } {
  const { s, now, random } = work;
  const { reloadJitterMs } = view;
  const due = (steps: readonly Step[]) => {
    const { steps: rest, retryAt } = withoutWaiting(s.pace.outputs, steps, now);
    lookBy(work, retryAt, "Backoff after an error");
    return rest;
  };
  const plan = view.plan && due(view.plan);
  const meanwhile = due(view.meanwhile ?? []);
  const isWhole = plan?.length === view.plan?.length;
  if (plan !== undefined && !plan.some(isPaced)) {
    s.pace = { ...s.pace, reloadDueAt: undefined };
    const { file, rest } = setAside(s.file, plan, now);
    s.file = file;
    // A child that keeps ending soon after its start is restarted less and less often.
    const steps = rest.filter((step) => step.do !== "supervise" || childAt(s.pace, step) <= now);
    const nextChildAt = Math.min(...rest.flatMap((step) => step.do === "supervise" ? [childAt(s.pace, step)] : []));
    if (nextChildAt > now) lookBy(work, nextChildAt, "Backoff before a child process restart");
    const isAgain = JSON.stringify(steps) === plannedBefore && !plan.some((step) => step.do === "supervise");
    return { steps, inForce: isWhole && (rest.length === 0 || isAgain) };
  }
  if (plan !== undefined) {
    s.pace = withReloadDue(s.pace, now, reloadJitterMs, random);
    const dueAt = s.pace.reloadDueAt ?? now;
    if (now >= dueAt) return { steps: plan, inForce: false };
    lookBy(work, dueAt, "Reload waits for the minimum interval between reloads");
  }
  const { file, rest } = setAside(s.file, meanwhile, now);
  s.file = file;
  return { steps: rest, inForce: false };
}

/** Whether an absent balancer may be started now; if not, plans when to look again. */
function mayStart<C, K>(work: Work<C, K>, orphans: readonly number[] | undefined): boolean {
  const { s, now } = work;
  const [processes, startableAt] = withStartable(s.processes, { ran: hasServed(s), orphans, nowMs: now });
  s.processes = processes;
  const startAt = Math.max(s.pace.startAllowedAt, startableAt);
  if (now >= startAt) return true;
  lookBy(work, Math.min(startAt, now + GONE_POLL_MS));
  s.waits = withWait(s.waits, { why: "Balancer is not running; its service manager may restart it", untilMs: startAt });
  return false;
}

function done<C, K>(work: Work<C, K>, { outcomes, endedMs, birth, restored, regained, explanation }: Done): void {
  const { s, log } = work;
  const { turn } = s;
  assert(turn?.inFlight !== undefined, "steps are in progress");
  const { planned, steps } = turn.inFlight;
  const view = turn.inFlight.view as View<C, K>;
  const { sources } = view;
  s.standing = withOutcomes(s.standing, outcomes, endedMs);
  const answering = { pid: s.processes.current?.pid, version: view.wanted.version, nowMs: endedMs };
  s.commands = withCommands(s.commands, outcomes, answering);
  s.turn = { ...turn, inFlight: undefined, done: [...turn.done, ...wentWell(outcomes)] };
  noteOutcomes(work, outcomes, sources, endedMs);
  reportOutcomes(work, outcomes, sources);
  for (const outcome of outcomes) if (isApart(outcome)) log.push(["tellFault", outcome.failure.message]);
  s.pace = {
    ...s.pace,
    outputs: withAttempts(s.pace.outputs, { plan: view.plan ?? steps, outcomes, now: endedMs, random: work.random }),
  };
  const failed = outcomes.find((outcome) => !outcome.ok && !isApart(outcome)) ?? noteBirth(work, birth, view);
  if (steps.some((step) => step.do === "install" || step.do === "start")) s.file = withoutFile(s.file);
  s.isCalm &&= failed === undefined && steps.every((step) => step.do === "command");
  if (failed !== undefined) {
    s.turn = { ...s.turn, plannedBefore: undefined };
    if (isBirth(failed.step) && failed.failure.kind !== "taken") {
      // Where an address is taken, no process was started, and none that serves was disturbed.
      if (failed.failure.kind !== "address") {
        s.pace = withReload(s.pace, failed.step, endedMs, sources.reloadIntervalMs);
      }
      for (const outcome of restored) if (!outcome.ok) log.push(["tellFault", outcome.failure.message]);
      s.filesLeft = withFiles(s.filesLeft, restored);
      if (regained !== undefined) noteRegained(work, regained, view);
    }
    return goOn(work, recover(work, view, failed, explanation, endedMs));
  }
  if (birth !== undefined) {
    // Seen applied or not: a process has started with it, and keeps it if the next desired state is rejected.
    s.acceptance = withAccepted(s.acceptance, view.target.wanted);
    s.processes = { ...s.processes, settledAt: sources };
    // The reload that failed commands asked for is done.
    s.turn = { ...s.turn, because: undefined, commandFailures: 0 };
  }
  s.turn = { ...s.turn, plannedBefore: planned };
  // The next desired state has its own look, so it need not wait for this one to be verified.
  goOn(work, s.next === undefined ? "again" : "wait");
}

/** Whether a step failed whose failure does not stop the others. */
function isApart(outcome: StepOutcome): outcome is Failed {
  return !outcome.ok && outputOf(outcome.step) !== undefined && outcome.failure.kind !== "taken";
}

/** Takes a shortcut. */
function differs<C, K>(
  work: Work<C, K>,
  { wanted, shortcut }: Input<C, K> & { readonly type: "differs" },
): void {
  const { s, now } = work;
  assert(
    s.turn !== undefined && s.base !== undefined && s.turn.inFlight === undefined,
    "a shortcut is part of a reconcile",
  );
  s.turn = { ...s.turn, shortcut: { ...shortcut, wanted } };
  if (shortcut.steps.length === 0) return applyShortcut(work, wanted, shortcut.observed([]));
  s.standing = { ...s.standing, underWay: { text: "command", atMs: now } };
  work.steps = shortcut.steps;
}

/** Continues after a shortcut: either all was read back as expected, or the whole balancer is looked at. */
function changed<C, K>(work: Work<C, K>, outcomes: readonly StepOutcome[]): void {
  const { s, log, now } = work;
  const { turn, base } = s;
  // The process has ended meanwhile, so all that was known about it is void.
  if (turn === undefined) return;
  const { shortcut } = turn;
  assert(shortcut !== undefined, "a shortcut is in progress");
  const commands = outcomes.filter(({ step }) => !isRead(step));
  s.standing = withOutcomes(s.standing, commands, now);
  const answering = { pid: s.processes.current?.pid, version: shortcut.wanted.version, nowMs: now };
  s.commands = withCommands(s.commands, commands, answering);
  s.turn = { ...turn, shortcut: undefined, done: [...turn.done, ...wentWell(commands)] };
  if (base !== undefined) reportOutcomes(work, commands, base.sources);
  const failed = outcomes.find((outcome) => !outcome.ok);
  if (base !== undefined && failed === undefined && outcomes.length === shortcut.steps.length) {
    const reads = outcomes.flatMap((outcome) => outcome.ok && isRead(outcome.step) ? [outcome.output] : []);
    return applyShortcut(work, shortcut.wanted as Wanted<C, K>, shortcut.observed(reads));
  }
  s.base = undefined;
  if (failed?.failure.kind === "taken") return goOn(work, fail(work, failed.failure.message));
  // What reads back differently, or is not answered, is left to the look.
  if (failed?.failure.kind === "answer" && !isRead(failed.step)) {
    log.push(["tellCommandFailure", failed.failure]);
    s.turn = { ...s.turn, commandFailures: s.turn.commandFailures + 1 };
  }
  goOn(work, "again");
}

/** Notes that a shortcut has succeeded; the file and a full look follow. */
function applyShortcut<C, K>(work: Work<C, K>, wanted: Wanted<C, K>, observed: unknown): void {
  const { s, news, now } = work;
  const { turn, base, desired } = s;
  assert(turn !== undefined && base !== undefined && desired !== undefined, "a shortcut is part of a reconcile");
  s.base = { ...base, wanted, observed };
  s.acceptance = withAccepted(s.acceptance, wanted);
  const { generation } = desired;
  s.standing = { ...s.standing, seenMs: now, served: { wanted, generation } };
  news.push({ type: "served", generation, clusters: wanted.clusters });
  s.file = withChange(s.file, now);
  [s.lookAt, s.waits] = [turn.before.lookAt, turn.before.waits];
  lookBy(work, base.lookedMs + s.reconcileMs);
  s.isCalm = true;
  endTurn(work, true);
}

function isRead(step: Step): boolean {
  return step.do === "command" && step.isRead === true;
}

/** Starts another round, or ends the turn. */
function goOn<C, K>(work: Work<C, K>, round: Round): void {
  const { s } = work;
  if (round === "wait" || s.turn === undefined) return endTurn(work, false);
  s.turn = { ...s.turn, rounds: s.turn.rounds + 1 };
  if (s.turn.rounds < ROUNDS_MAX) return;
  work.log.push(["tellRestless", ROUNDS_MAX]);
  later(work);
  endTurn(work, false);
}

/** Notes the outcome of a start or a reload; returns the failure if no process has taken over. */
function noteBirth<C, K>(work: Work<C, K>, birth: Birthed | undefined, view: View<C, K>): Failed | undefined {
  if (birth === undefined) return undefined;
  const { s, log, dismissals } = work;
  const { step, takeover, replayed, atMs } = birth;
  const { sources } = view;
  s.version = { ...s.version, isDoubted: true };
  s.processes = { ...s.processes, goneSinceMs: undefined };
  if (!takeover.ok) return takeover;
  s.processes = withTakeover(s.processes, lookOf(view), { ...takeover, serves: step.serves }, atMs);
  s.pace = withReload(s.pace, step, atMs, sources.reloadIntervalMs);
  reportOutcomes(work, replayed, sources);
  for (const outcome of replayed) if (!outcome.ok) log.push(["tellCommandFailure", outcome.failure]);
  log.push(["tellServing", takeover.pid, takeover.oldWorkers]);
  for (const pid of takeover.beside) {
    dismissals.push({ pid, sources, why: "started at the same time as the managed process" });
  }
  return undefined;
}

function noteRegained<C, K>(work: Work<C, K>, { outcomes, birth }: NonNullable<Done["regained"]>, view: View<C, K>) {
  const { s, log, now } = work;
  s.standing = withOutcomes(s.standing, outcomes, birth?.atMs ?? now);
  reportOutcomes(work, outcomes, view.sources);
  const lost = outcomes.find((outcome) => !outcome.ok) ?? noteBirth(work, birth, view);
  if (lost !== undefined) log.push(["tellFault", lost.failure.message]);
  else if (s.turn !== undefined) s.turn = { ...s.turn, done: [...s.turn.done, ...wentWell(outcomes)] };
}

/** Decides how to continue after a failure. */
function recover<C, K>(
  work: Work<C, K>,
  view: View<C, K>,
  { step, failure }: Failed,
  explanation: Done["explanation"],
  endedMs: number,
): Round {
  const { s, log, random } = work;
  const { turn } = s;
  if (failure.kind === "taken" || turn === undefined) return fail(work, failure.message);
  switch (step.do) {
    case "command": {
      log.push(["tellCommandFailure", failure]);
      const commandFailures = turn.commandFailures + 1;
      s.turn = { ...turn, commandFailures };
      if (commandFailures < COMMAND_FAILURES_MAX) return "again";
      const pace = turn.because === undefined ? withForced(s.pace, endedMs, random) : undefined;
      if (pace === undefined) return later(work);
      s.pace = pace;
      s.turn = { ...s.turn, because: `commands keep failing: ${failure.message}` };
      return "again";
    }
    case "install":
      return failure.kind === "refused"
        ? reject(work, view, failure, explanation, () => rejectedFileRetryAt(endedMs))
        : fail(work, failure.message);
    case "remove":
    case "notify":
    case "supervise":
      return fail(work, failure.message);
    case "start":
    case "reload": {
      const again = failure.kind === "address" ? takenAddressRetryAt : failedConfigRetryAt;
      const next = failure.kind === "program" || failure.kind === "address"
        ? reject(work, view, failure, explanation, (times) => again(endedMs, times, random))
        : fail(work, failure.message);
      if (step.do === "start" && next === "wait") s.pace = { ...s.pace, startAllowedAt: s.lookAt };
      return next;
    }
  }
}

/** Continues with what the balancer may accept in place of what it has rejected. */
function reject<C, K>(
  work: Work<C, K>,
  { wanted, target }: View<C, K>,
  failure: StepFailure,
  explanation: Done["explanation"],
  retryAt: (times: number) => number,
): Round {
  const { s, log } = work;
  if (typeof explanation === "string") return fail(work, explanation);
  const { cluster, faults } = explanation ?? { cluster: undefined, faults: [{ message: failure.message, remedy: [] }] };
  // No config is the cause.
  if (faults.length === 0) return fail(work, failure.message);
  const lines = faults.flatMap(({ remedy }) => remedy);
  const [acceptance, fate] = withRejected(s.acceptance, wanted, target.wanted, { cluster, lines, retryAt });
  s.acceptance = acceptance;
  // A process keeps its config, even if nothing else is known to try.
  const refusal = { cluster, faults, fate: fate === "nothing" && hasServed(s) ? "kept" as const : fate };
  const locate: Locate = s.desired?.locate ?? ((_, text) => text);
  // No line of a config is wrong where another process holds its address.
  log.push([failure.kind === "address" ? "tellTakenAddress" : "tellRefusal", refusal, locate]);
  log.push(["tellRejection", failure.message]);
  return fate === "nothing" ? later(work) : "again";
}

function written<C, K>(
  work: Work<C, K>,
  { outcomes, sources, beganMs }: Input<C, K> & { readonly type: "written" },
): void {
  const { s, log, news, now } = work;
  if (outcomes === undefined) {
    s.file = s.isPaused ? withoutFile(withBrokenOff(s.file)) : withBrokenOff(s.file);
    return;
  }
  noteOutcomes(work, outcomes, sources, now);
  reportOutcomes(work, outcomes, sources);
  const failed = outcomes.find((outcome) => !outcome.ok);
  s.file = withWritten(s.file, failed?.failure.message, now);
  s.filesLeft = withFiles(s.filesLeft, outcomes);
  if (failed?.step.do === "install") {
    log.push(["tellFileBehind", failed.step.path, failed.failure.message]);
    later(work);
  }
  s.standing = { ...s.standing, fileBehind: s.file.behind };
  news.push({
    type: "applied",
    applied: {
      // A turn that has started meanwhile belongs to another generation, and reports itself.
      generation: s.turn === undefined ? s.desired?.generation : undefined,
      steps: wentWell(outcomes),
      reloads: 0,
      tookMs: now - beganMs,
      converged: s.turn === undefined && s.standing.inForce && failed === undefined,
    },
  });
}

/** Notes what later decisions need to know about the steps carried out. */
function noteOutcomes<C, K>(
  { s }: Work<C, K>,
  outcomes: readonly StepOutcome[],
  { reloadIntervalMs }: BalancerSources,
  now: number,
): void {
  for (const { ok, step } of outcomes) {
    if (step.do === "notify") {
      s.pace = step.output === undefined
        ? withReload(s.pace, step, now, reloadIntervalMs)
        : withNotice(s.pace, now, reloadIntervalMs);
    }
    if (step.do === "supervise") s.pace = withChild(s.pace, step, now);
    if (step.do === "install" && ok) s.owesNotify = true;
    if (step.do === "notify") s.owesNotify = !ok;
  }
}

/** Reports drift: what somebody else has changed since all was applied. */
function reportDrift<C, K>({ s, log }: Work<C, K>, view: View<C, K>, steps: readonly Step[]): void {
  if (!s.isCalm) return;
  const seen = seenOf(view);
  // A file that is as the writer left it was changed by nobody, even if another one is desired: a rejected
  // config is being retried.
  const isLeft = (step: Step) => step.do === "install" && seen.files?.get(step.path) === s.filesLeft.get(step.path);
  log.push(["tellDrift", seen, [...steps, ...s.file.steps].filter((step) => !isLeft(step))]);
}

function reportOutcomes<C, K>({ s, log }: Work<C, K>, outcomes: readonly StepOutcome[], sources: BalancerSources) {
  const tried = isLeftover(s.pace, outcomes.map(({ step }) => step));
  const chatter = sources.kind === "process" ? sources.chatter : [];
  log.push(["tellOutcomes", outcomes, { tried, ran: hasServed(s), chatter }]);
}

function lookOf(view: View<unknown, unknown>): Look {
  const look = view.looks.at(-1);
  assert(look !== undefined, "a view has at least one observation");
  return look;
}

function seenOf(view: View<unknown, unknown>): Seen {
  return lookOf(view).seen;
}

function wentWell(outcomes: readonly StepOutcome[]): readonly Step[] {
  return outcomes.filter(({ ok }) => ok).map(({ step }) => step);
}

function withFiles(files: ReadonlyMap<string, string>, outcomes: readonly StepOutcome[]): ReadonlyMap<string, string> {
  const installed = outcomes.flatMap(({ ok, step }) =>
    ok && step.do === "install" ? [[step.path, step.contents] as const] : []
  );
  return installed.length === 0 ? files : new Map([...files, ...installed]);
}
