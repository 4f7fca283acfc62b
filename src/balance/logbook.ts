import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Notice, Seen, Step, Wanted } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";

/** Something that happened to a balancer. Times are those of the writer's clock. */
export interface Occurrence {
  readonly text: string;
  readonly atMs: number;
}

/** How a balancer stands, as its writer sees it. Times are those of the writer's clock. */
export interface Standing {
  /** Whether all that is wanted was in force when last looked at. */
  readonly inForce: boolean;
  /** Since when that is so, or not. */
  readonly sinceMs: number;
  /** What was last seen in force; `undefined` if nothing was. */
  readonly served: { readonly wanted: Wanted; readonly generation: number | undefined } | undefined;
  /** When a turn last ended; `undefined` before the first, which begins with the first wish. */
  readonly turnedMs: number | undefined;
  /** When the balancer was last seen; `undefined` if it never was. */
  readonly seenMs: number | undefined;
  /** The processes of before that had connections still when it was last looked for them. */
  readonly oldWorkers: readonly number[];
  /** The steps under way, and since when; `undefined` if none are. */
  readonly underWay: Occurrence | undefined;
  /** The last reload or start, with its reason. */
  readonly lastReload: Occurrence | undefined;
  readonly reloads: number;
  readonly starts: number;
  /** The last error that was told. */
  readonly lastError: Occurrence | undefined;
  /** What an operator should know of the config that was last rendered: nodes and lines that are left out. */
  readonly notices: readonly Notice[];
  /** Since when its file is not what runs because it cannot be written, and why. */
  readonly fileBehind: Occurrence | undefined;
}

/** What a writer does, as far as others ask for it: how it stands now, and what was last. */
export class Logbook {
  #standing: Standing;

  constructor(nowMs: number) {
    this.#standing = {
      inForce: false,
      sinceMs: nowMs,
      served: undefined,
      turnedMs: undefined,
      seenMs: undefined,
      oldWorkers: [],
      underWay: undefined,
      lastReload: undefined,
      reloads: 0,
      starts: 0,
      lastError: undefined,
      notices: [],
      fileBehind: undefined,
    };
  }

  /** How it stands. */
  get standing(): Standing {
    return this.#standing;
  }

  /** The balancer was seen, and who is left of before it. */
  saw({ oldWorkers = [] }: Pick<Seen, "oldWorkers">, seenMs: number): void {
    this.#note({ seenMs, oldWorkers });
  }

  /** Something was seen in force, which may be less than is wanted. */
  served(wanted: Wanted, generation: number | undefined): void {
    this.#note({ served: { wanted, generation } });
  }

  /** Steps are begun. */
  begins(steps: readonly Step[], atMs: number): void {
    this.#note({ underWay: { text: steps.map((step) => step.do).join(", "), atMs } });
  }

  /** Steps have come to their ends. */
  did(outcomes: readonly StepOutcome[], atMs: number): void {
    this.#note({ underWay: undefined });
    for (const { ok, step } of outcomes) {
      if (!ok || (step.do !== "reload" && step.do !== "start")) continue;
      const { reloads, starts } = this.#standing;
      this.#note({
        lastReload: { text: step.reason, atMs },
        ...step.do === "reload" ? { reloads: reloads + 1 } : { starts: starts + 1 },
      });
    }
  }

  /** The file that follows what runs could not be written, or is as it should be. */
  follows(fileBehind: Occurrence | undefined): void {
    this.#note({ fileBehind });
  }

  /** A config was rendered, and this is what an operator should know of it. */
  noticed(notices: readonly Notice[]): void {
    this.#note({ notices });
  }

  /** A turn has ended. */
  turned(inForce: boolean, turnedMs: number): void {
    this.#note({ turnedMs, inForce, ...inForce === this.#standing.inForce ? {} : { sinceMs: turnedMs } });
  }

  /** Answers a log that notes each error on its way to `log`. */
  listen(log: Logger, clock: Pick<Clock, "now">): Logger {
    return {
      debug: (text, properties) => log.debug(text, properties),
      info: (text, properties) => log.info(text, properties),
      warn: (text, properties) => log.warn(text, properties),
      error: (text, properties) => {
        this.#note({ lastError: { text, atMs: clock.now() } });
        log.error(text, properties);
      },
    };
  }

  #note(news: Partial<Standing>): void {
    this.#standing = { ...this.#standing, ...news };
  }
}
