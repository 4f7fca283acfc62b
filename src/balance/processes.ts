import type { BalancerSources, Seen, Step } from "../plugin/contract.ts";

/** A step that puts a new process in service. */
export type Birth = Extract<Step, { readonly do: "start" | "reload" }>;

/** What was seen at a place, and the pid of the process that answered. */
export interface Look {
  readonly sources: BalancerSources;
  readonly seen: Seen;
  readonly pid: number | undefined;
}

/** A process that was seen serving. */
export interface Process {
  readonly pid: number;
  /** Its master, or itself if it has none. */
  readonly owner: number;
  /** Whether its pid is meaningless on this host. */
  readonly isContained: boolean;
}

/** Which process serves, who served before it, and where. Times are those of the writer's clock. */
export interface Processes {
  /** The process that was last seen serving. */
  readonly current: Process | undefined;
  /** Since when nobody answers, as far as starting is concerned. */
  readonly goneSinceMs: number | undefined;
  /**
   * Who was replaced by the last takeover, and until when its answers are ignored: a process, or all answers
   * without the part that proved the takeover.
   */
  readonly draining:
    | { readonly pid: number; readonly serves?: string | undefined; readonly untilMs: number }
    | undefined;
  /** Where the balancer was when all was last applied: it is looked for there if it is to move. */
  readonly settledAt: BalancerSources | undefined;
}

/** Before the first look. */
export const NO_PROCESS: Processes = {
  current: undefined,
  goneSinceMs: undefined,
  draining: undefined,
  settledAt: undefined,
};

/**
 * How long after a takeover the previous process may still answer while it exits (nginx's workers share a
 * socket).
 */
const DRAINING_MS = 2_000;

/** How long a balancer that ran must be gone before it is started: someone may be restarting it. */
const GONE_MS = 300;

/**
 * The same for one with a master, which its service manager is about to restart, and where a process was
 * started from the file: it may not listen yet.
 */
const GONE_WITH_OTHERS_MS = 3_000;

/** Whether a step puts a new process in service. */
export function isBirth(step: Step): step is Birth {
  return step.do === "start" || step.do === "reload";
}

/**
 * Notes the process that was seen. `replaced`: somebody else has started it. `beside`: it was started beside
 * the serving one, not in its place; the two would share the traffic and nobody would control one of them, so
 * this one is to stop.
 */
export function withLook(
  processes: Processes,
  { pid, seen }: Pick<Look, "pid" | "seen">,
): { readonly processes: Processes; readonly replaced: boolean; readonly beside: number | undefined } {
  if (pid === undefined) return { processes, replaced: false, beside: undefined };
  const { current: before } = processes;
  const current = processOf(pid, seen);
  const replaced = before !== undefined && before.pid !== pid;
  const isBeside = replaced && !before.isContained && before.owner !== current.owner;
  return {
    processes: { ...processes, current, goneSinceMs: undefined },
    replaced,
    beside: isBeside ? before.owner : undefined,
  };
}

/** Notes the process that has taken over by a start or a reload. */
export function withTakeover(
  processes: Processes,
  before: Pick<Look, "pid">,
  { pid, seen, serves }: { readonly pid: number; readonly seen: Seen; readonly serves?: string | undefined },
  nowMs: number,
): Processes {
  const isRelieved = before.pid !== undefined && (before.pid !== pid || serves !== undefined);
  return {
    ...processes,
    current: processOf(pid, seen),
    goneSinceMs: undefined,
    draining: isRelieved ? { pid: before.pid, serves, untilMs: nowMs + DRAINING_MS } : undefined,
  };
}

/**
 * From when on the writer may start an absent balancer: one that `ran` may be about to be started by somebody
 * else. `orphans` are processes that do not answer.
 */
export function withStartable(
  processes: Processes,
  { ran, orphans = [], nowMs }: {
    readonly ran: boolean;
    readonly orphans?: readonly number[] | undefined;
    readonly nowMs: number;
  },
): readonly [processes: Processes, startableAt: number] {
  const { current, goneSinceMs = ran ? nowMs : -Infinity } = processes;
  const hadMaster = current !== undefined && current.owner !== current.pid;
  const waitMs = hadMaster || orphans.length > 0 ? GONE_WITH_OTHERS_MS : GONE_MS;
  return [{ ...processes, goneSinceMs }, goneSinceMs + waitMs];
}

function processOf(pid: number, { masterPid = pid, isContained = false }: Seen): Process {
  return { pid, owner: masterPid, isContained };
}
