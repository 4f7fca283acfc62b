import type { RejectedCommand } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";

/** How many rejected commands are remembered. */
const REJECTED_MAX = 1_000;

/** How many commands are remembered with the time at which they were sent. */
const SENT_MAX = 10_000;

/** When, by which process and which version commands were answered. */
export interface Answering {
  /** The process that answers. */
  readonly pid: number | undefined;
  /** The version of the balancer's program. */
  readonly version: readonly number[] | undefined;
  /** A reading of the writer's clock. */
  readonly nowMs: number;
}

/** What a plan needs to know about commands: the keys of the same names of `PlanAllowance`. */
export interface Recalled {
  readonly rejected: readonly RejectedCommand[];
  readonly sentAgoMs: ReadonlyMap<string, number>;
}

/**
 * What a balancer's plugin cannot observe: which commands the balancer rejects, and since when one has been
 * active. Lives as long as its writer, so a new writer counts from its start.
 */
export interface CommandMemory {
  readonly rejected: ReadonlyMap<string, { readonly answer: string; readonly pid?: number | undefined }>;
  readonly sentAtMs: ReadonlyMap<string, number>;
  /** The version that rejected them: another version may accept them. */
  readonly version: string | undefined;
}

/** The memory of a writer that has sent no command. */
export const NO_COMMANDS: CommandMemory = { rejected: new Map(), sentAtMs: new Map(), version: undefined };

/** Adds the outcomes of commands. Pure. */
export function withCommands(
  memory: CommandMemory,
  outcomes: readonly StepOutcome[],
  { pid, version, nowMs }: Answering,
): CommandMemory {
  const rejected = new Map(rejectedBy(memory, version));
  const sentAtMs = new Map(memory.sentAtMs);
  for (const outcome of outcomes) {
    const { step } = outcome;
    if (step.do !== "command") continue;
    rejected.delete(step.command);
    if (outcome.ok) {
      if (step.isTimed === true) remember(sentAtMs, step.command, nowMs, SENT_MAX);
    } else if (outcome.failure.answer !== undefined) {
      remember(rejected, step.command, { answer: outcome.failure.answer, pid }, REJECTED_MAX);
    }
  }
  return { rejected, sentAtMs, version: version?.join(".") };
}

/** What a plan needs to know. Pure. */
export function recall(memory: CommandMemory, { pid, version, nowMs }: Answering): Recalled {
  return {
    rejected: [...rejectedBy(memory, version)].map(([command, { answer, pid: by }]) => ({
      command,
      answer,
      isCurrent: by === pid,
    })),
    sentAgoMs: new Map([...memory.sentAtMs].map(([command, atMs]) => [command, nowMs - atMs])),
  };
}

function rejectedBy(memory: CommandMemory, version: Answering["version"]): CommandMemory["rejected"] {
  return version?.join(".") === memory.version ? memory.rejected : NO_COMMANDS.rejected;
}

function remember<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value as string);
}
