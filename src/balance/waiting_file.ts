import type { Step } from "../plugin/contract.ts";
import type { Occurrence } from "./standing.ts";

/** How long a file may wait for further changes, and the least time between two such files. */
const SOON_MS = 500, SOON_INTERVAL_MS = 1_000;

/**
 * A file that takes long to write is written less often, so that writing takes a quarter of the time at most,
 * up to this interval.
 */
const SLOW_FACTOR = 4, SLOW_INTERVAL_MAX_MS = 5_000;

/** After this many failures in a row the waits between two attempts grow no longer: eight seconds by then. */
const FAILURES_COUNTED_MAX = 3;

/** How often writing such a file may be aborted before it no longer may. */
const BROKEN_OFF_MAX = 3;

type Install = Step & { do: "install" };

/**
 * The file that follows a change of members: it waits a little for further changes, so that a storm is one
 * file a second, and its writing yields to work that needs a look at the whole balancer, though not for ever.
 * Members keep changing while it is written. Times are readings of the writer's clock.
 */
export interface WaitingFile {
  /**
   * The steps that would write it, one for each file; none if nothing waits, or a look has to find out what
   * does.
   */
  readonly steps: readonly Install[];
  /** When it is to be written, or looked for; `Infinity` if none waits. */
  readonly dueAt: number;
  /** The steps in flight. */
  readonly writing: readonly Install[];
  /** When writing last started. */
  readonly lastAt: number;
  /** How long the last complete write took. */
  readonly tookMs: number;
  readonly brokenOff: number;
  readonly failures: number;
  /**
   * Since when the file on disk lags behind the running config because it could not be written, and why the
   * last attempt failed.
   */
  readonly behind: Occurrence | undefined;
}

/** No file waits, and none ever did. */
export const NO_FILE: WaitingFile = {
  steps: [],
  dueAt: Infinity,
  writing: [],
  lastAt: -Infinity,
  tookMs: 0,
  brokenOff: 0,
  failures: 0,
  behind: undefined,
};

/**
 * Takes the files that may wait out of a plan, and notes them; a plan without any makes the noted ones void.
 */
export function setAside(
  file: WaitingFile,
  steps: readonly Step[],
  now: number,
): { readonly file: WaitingFile; readonly rest: readonly Step[] } {
  const waiting = steps.filter((step): step is Install => step.do === "install" && step.when === "soon");
  if (waiting.length === 0) return { file: withResult(withoutFile(file), undefined, now), rest: steps };
  return {
    file: { ...file, steps: waiting, dueAt: dueAtOf(file, now) },
    rest: steps.filter((step) => !waiting.includes(step as Install)),
  };
}

/**
 * Notes that members have changed without a look: what waited is outdated, and a look finds out what to
 * write.
 */
export function withChange(file: WaitingFile, now: number): WaitingFile {
  return { ...file, steps: [], dueAt: dueAtOf(file, now) };
}

/** Notes that the look that was to find out what to write has failed, and when the next one is made. */
export function withLookAt(file: WaitingFile, lookAt: number): WaitingFile {
  if (file.steps.length > 0 || file.dueAt === Infinity) return file;
  return { ...file, dueAt: Math.max(file.dueAt, lookAt) };
}

/** When a file is due that is known from now on to wait. */
function dueAtOf({ dueAt, lastAt, tookMs, failures }: WaitingFile, now: number): number {
  const backoffMs = SOON_INTERVAL_MS * 2 ** Math.min(failures, FAILURES_COUNTED_MAX);
  const intervalMs = Math.max(backoffMs, Math.min(tookMs * SLOW_FACTOR, SLOW_INTERVAL_MAX_MS));
  return dueAt === Infinity ? Math.max(now + SOON_MS, lastAt + intervalMs) : dueAt;
}

/** Whether there are steps whose time has come. */
export function isDue({ steps, dueAt }: WaitingFile, now: number): boolean {
  return steps.length > 0 && dueAt <= now;
}

/** Forgets the file, as a newer one is in place, or will be planned. */
export function withoutFile(file: WaitingFile): WaitingFile {
  return { ...file, steps: [], dueAt: Infinity };
}

/** Writing starts. */
export function withWriting(file: WaitingFile, now: number): WaitingFile {
  return { ...withoutFile(file), writing: file.steps, lastAt: now };
}

/** Whether writing may be aborted for a new desired state. */
export function standsBack({ brokenOff }: WaitingFile): boolean {
  return brokenOff < BROKEN_OFF_MAX;
}

/** Writing was aborted: the file keeps waiting, and keeps its interval. */
export function withBrokenOff(file: WaitingFile): WaitingFile {
  const { steps, writing, dueAt, lastAt, brokenOff } = file;
  return {
    ...file,
    steps: dueAt === Infinity ? writing : steps,
    dueAt: Math.min(dueAt, lastAt + SOON_INTERVAL_MS),
    writing: [],
    brokenOff: brokenOff + 1,
  };
}

/** Writing has ended now; `failure` says why it failed. What changed meanwhile keeps waiting. */
export function withWritten(file: WaitingFile, failure: string | undefined, nowMs: number): WaitingFile {
  return withResult({ ...file, writing: [], brokenOff: 0, tookMs: nowMs - file.lastAt }, failure, nowMs);
}

/** Notes why the file could not be written, or that it is up to date. */
function withResult(file: WaitingFile, failure: string | undefined, nowMs: number): WaitingFile {
  if (failure === undefined) return { ...file, failures: 0, behind: undefined };
  return { ...file, failures: file.failures + 1, behind: { text: failure, atMs: file.behind?.atMs ?? nowMs } };
}
