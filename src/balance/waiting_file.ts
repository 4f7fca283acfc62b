import type { Step } from "../plugin/contract.ts";
import type { Occurrence } from "./standing.ts";

/** How long a file may wait for its neighbours, and the least time between two such files. */
const SOON_MS = 500, SOON_INTERVAL_MS = 1_000;

/** After so many failures in a row the waits between two tries grow no longer: then they are eight seconds. */
const FAILURES_COUNTED_MAX = 3;

/** How often the writing of such a file may be broken off before it is not. */
const BROKEN_OFF_MAX = 3;

type Install = Step & { do: "install" };

/**
 * The file that follows a change of members: it waits a little for what else
 * may change, so that a storm is one file a second, and its writing stands back
 * for a new desired state, though not for ever. Times are readings of the writer's clock.
 */
export interface WaitingFile {
  /** The steps that would write it, one for each file; none if nothing waits. */
  readonly steps: readonly Install[];
  /** When it is to be written; `Infinity` if none waits. */
  readonly dueAt: number;
  readonly lastAt: number;
  readonly brokenOff: number;
  readonly failures: number;
  /** Since when the file on disk is not what runs because it could not be written, and why the last try failed. */
  readonly behind: Occurrence | undefined;
}

/** No file waits, and none ever did. */
export const NO_FILE: WaitingFile = {
  steps: [],
  dueAt: Infinity,
  lastAt: -Infinity,
  brokenOff: 0,
  failures: 0,
  behind: undefined,
};

/** Takes the files that may wait out of a plan, and notes them; a plan without any makes the noted ones void. */
export function setAside(
  file: WaitingFile,
  steps: readonly Step[],
  now: number,
): { readonly file: WaitingFile; readonly rest: readonly Step[] } {
  const waiting = steps.filter((step): step is Install => step.do === "install" && step.when === "soon");
  if (waiting.length === 0) return { file: withResult(withoutFile(file), undefined, now), rest: steps };
  const intervalMs = SOON_INTERVAL_MS * 2 ** Math.min(file.failures, FAILURES_COUNTED_MAX);
  const dueAt = file.dueAt === Infinity ? Math.max(now + SOON_MS, file.lastAt + intervalMs) : file.dueAt;
  return {
    file: { ...file, steps: waiting, dueAt },
    rest: steps.filter((step) => !waiting.includes(step as Install)),
  };
}

/** Forgets it, for a newer one is in place, or will be planned. */
export function withoutFile(file: WaitingFile): WaitingFile {
  return { ...file, steps: [], dueAt: Infinity };
}

/** Whether its writing may be broken off for a new desired state. */
export function standsBack({ brokenOff }: WaitingFile): boolean {
  return brokenOff < BROKEN_OFF_MAX;
}

/** Its writing was broken off: it goes on waiting. */
export function withBrokenOff(file: WaitingFile): WaitingFile {
  return { ...file, brokenOff: file.brokenOff + 1 };
}

/** Its writing was begun at `beganMs` and has ended now; `failure` says why it could not be written. */
export function withWritten(
  file: WaitingFile,
  failure: string | undefined,
  { beganMs, nowMs }: { readonly beganMs: number; readonly nowMs: number },
): WaitingFile {
  return withResult({ ...withoutFile(file), lastAt: beganMs, brokenOff: 0 }, failure, nowMs);
}

/** Notes why the file could not be written, or that it is as it should be. */
function withResult(file: WaitingFile, failure: string | undefined, nowMs: number): WaitingFile {
  if (failure === undefined) return { ...file, failures: 0, behind: undefined };
  return { ...file, failures: file.failures + 1, behind: { text: failure, atMs: file.behind?.atMs ?? nowMs } };
}
