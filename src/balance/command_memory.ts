import type { RejectedCommand } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";

/** No more commands that were rejected are remembered. */
const REJECTED_MAX = 1_000;

/** No more commands are remembered for the time at which they were sent. */
const SENT_MAX = 10_000;

/** When, by whom and of which version commands were answered. */
export interface Answering {
  /** The process that answers. */
  readonly pid: number | undefined;
  /** The version of the balancer's program. */
  readonly version: readonly number[] | undefined;
  /** A reading of the writer's clock. */
  readonly nowMs: number;
}

/** What a plan is to know of commands: the keys of the same names of `PlanAllowance`. */
export interface Recalled {
  readonly rejected: readonly RejectedCommand[];
  readonly sentAgoMs: ReadonlyMap<string, number>;
}

/**
 * What a balancer's plugin cannot see when it looks: which commands the
 * balancer rejects, and since when one has been in effect. Lives as long as its
 * writer, so a writer that starts counts from its start.
 */
export class CommandMemory {
  readonly #rejected = new Map<string, { readonly answer: string; readonly pid?: number | undefined }>();
  readonly #sentAtMs = new Map<string, number>();
  #version: string | undefined;

  /** Notes what became of commands. */
  note(outcomes: readonly StepOutcome[], { pid, version, nowMs }: Answering): void {
    this.#forgetOther(version);
    for (const outcome of outcomes) {
      const { step } = outcome;
      if (step.do !== "command") continue;
      this.#rejected.delete(step.command);
      if (outcome.ok) {
        if (step.isTimed === true) remember(this.#sentAtMs, step.command, nowMs, SENT_MAX);
      } else if (outcome.failure.answer !== undefined) {
        remember(this.#rejected, step.command, { answer: outcome.failure.answer, pid }, REJECTED_MAX);
      }
    }
  }

  /** What a plan is to know. */
  recall({ pid, version, nowMs }: Answering): Recalled {
    this.#forgetOther(version);
    return {
      rejected: [...this.#rejected].map(([command, { answer, pid: by }]) => ({
        command,
        answer,
        isCurrent: by === pid,
      })),
      sentAgoMs: new Map([...this.#sentAtMs].map(([command, atMs]) => [command, nowMs - atMs])),
    };
  }

  /** What one version of a program rejects another may take. */
  #forgetOther(version: readonly number[] | undefined): void {
    const now = version?.join(".");
    if (now !== this.#version) this.#rejected.clear();
    this.#version = now;
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value as string);
}
