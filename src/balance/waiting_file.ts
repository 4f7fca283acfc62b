import type { Step } from "../plugin/contract.ts";
import type { Occurrence } from "./logbook.ts";

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
 * for a wish, though not for ever. Times are readings of a clock that others take.
 */
export class WaitingFile {
  #file: { readonly steps: readonly Install[]; readonly dueAt: number } | undefined;
  #lastAt = -Infinity;
  #writing: AbortController | undefined;
  #brokenOff = 0;
  #failures = 0;
  #behind: Occurrence | undefined;

  /** Since when the file on disk is not what runs because it could not be written, and why the last try failed. */
  get behind(): Occurrence | undefined {
    return this.#behind;
  }

  /** The steps that would write it, one for each file; none if nothing waits. */
  get steps(): readonly Install[] {
    return this.#file?.steps ?? [];
  }

  /** When it is to be written; `Infinity` if none waits. */
  get dueAt(): number {
    return this.#file?.dueAt ?? Infinity;
  }

  /** Takes the files that may wait out of a plan, and notes them; a plan without any makes the noted ones void. */
  setAside(steps: readonly Step[], now: number): readonly Step[] {
    const waiting = steps.filter((step): step is Install => step.do === "install" && step.when === "soon");
    const intervalMs = SOON_INTERVAL_MS * 2 ** Math.min(this.#failures, FAILURES_COUNTED_MAX);
    const dueAt = this.#file?.dueAt ?? Math.max(now + SOON_MS, this.#lastAt + intervalMs);
    this.#file = waiting.length === 0 ? undefined : { steps: waiting, dueAt };
    if (waiting.length === 0) this.note(undefined, now);
    return steps.filter((step) => !waiting.includes(step as Install));
  }

  /** Forgets it, for a newer one is in place, or will be planned. */
  forget(): void {
    this.#file = undefined;
  }

  /** Notes why it could not be written, or that it is as it should be. */
  note(failure: string | undefined, now: number): void {
    this.#failures = failure === undefined ? 0 : this.#failures + 1;
    this.#behind = failure === undefined ? undefined : { text: failure, atMs: this.#behind?.atMs ?? now };
  }

  /** Breaks its writing off, if that is at hand and was not broken off too often. */
  standBack(): void {
    this.#writing?.abort();
  }

  /**
   * Has it written by `write`, which is to throw when its signal is aborted:
   * then the file goes on waiting, and the answer is `undefined`. `last`: no
   * wish may break it off. There must be one that waits.
   */
  async write<T>(
    write: (signal: AbortSignal) => Promise<T>,
    { now, last, signal }: { readonly now: number; readonly last: boolean; readonly signal: AbortSignal },
  ): Promise<T | undefined> {
    const writing = new AbortController();
    if (!last && this.#brokenOff < BROKEN_OFF_MAX) this.#writing = writing;
    let result: T;
    try {
      result = await write(AbortSignal.any([writing.signal, signal]));
    } catch (error) {
      if (!writing.signal.aborted && !signal.aborted) throw error;
      this.#brokenOff++;
      return undefined;
    } finally {
      this.#writing = undefined;
    }
    [this.#file, this.#lastAt, this.#brokenOff] = [undefined, now, 0];
    return result;
  }
}
