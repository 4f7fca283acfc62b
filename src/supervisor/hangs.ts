import type { Clock } from "../kernel/clock.ts";

/** What is known of the threads of workers that were ended. */
export interface StuckThreads {
  /** How many run on. */
  readonly count: number;
  /** How many workers were ended so far. */
  readonly ends: number;
  /** Of the ends, how many are settled: their threads are gone, or counted as stuck. */
  readonly settledEnds: number;
  /** Notes that one was ended. */
  ended(): void;
}

/** How long what hung rests at least, and until its end is settled. */
const REST_MS = 6_000;
/** The longest rest: workers that come and go all the time leave every count in doubt. */
const REST_MAX_MS = 60_000;

/** Why something is not run now. */
export interface HangRefusal {
  /** For messages. */
  readonly reason: string;
  /** Whether that stays so as long as this process lives. */
  readonly isForGood: boolean;
}

interface Hang {
  readonly stuckBefore: number;
  readonly endsBefore: number;
  readonly notedMs: number;
  readonly how: string;
}

/**
 * Remembers what hung, and lets nothing run again whose thread could not be
 * stopped: nothing ends a loop, each try would burn one more core, and all of
 * this process would have to be started anew for the sake of one plugin.
 */
export class Hangs {
  readonly #clock: Clock;
  readonly #threads: StuckThreads;
  readonly #hung = new Map<string, Hang>();
  readonly #confirmed = new Set<string>();
  /** Called once for each that hung and whose thread could not be stopped. Must not throw. */
  onForGood: ((key: string, how: string) => void) | undefined;

  constructor({ clock, threads }: { readonly clock: Clock; readonly threads: StuckThreads }) {
    [this.#clock, this.#threads] = [clock, threads];
  }

  /**
   * Notes that something did not answer in time, and `how` for messages; what is noted again keeps its first. To be
   * called before the end of its worker's thread is counted.
   */
  note(key: string, how: string): void {
    this.#forgetRested();
    const known = this.#hung.get(key);
    const stuckBefore = Math.min(this.#threads.count, known?.stuckBefore ?? Infinity);
    const endsBefore = this.#threads.ends;
    this.#hung.set(key, { stuckBefore, endsBefore, notedMs: this.#clock.now(), how: known?.how ?? how });
  }

  /** Whether it is known by now that the thread of what hung is gone. */
  #isRested({ endsBefore, notedMs }: Hang): boolean {
    const { ends, settledEnds } = this.#threads;
    const restedMs = this.#clock.now() - notedMs;
    // The end of its own worker may come a moment before the note: then no end is unsettled.
    return restedMs >= REST_MAX_MS || (restedMs >= REST_MS && (settledEnds > endsBefore || settledEnds === ends));
  }

  /** What was only slow, and was not wanted again, is not to answer for the thread of another. */
  #forgetRested(): void {
    for (const [key, hang] of this.#hung) {
      if (this.#threads.count <= hang.stuckBefore && this.#isRested(hang)) this.#hung.delete(key);
    }
  }

  /** The number of threads that run on has changed: tells of those that it condemns. */
  confirm(): void {
    for (const [key, { stuckBefore, how }] of this.#hung) {
      if (this.#threads.count <= stuckBefore || this.#confirmed.has(key)) continue;
      this.#confirmed.add(key);
      this.onForGood?.(key, how);
    }
  }

  /** Says why something is not run now; `undefined` if it may. */
  refusal(key: string): HangRefusal | undefined {
    const hang = this.#hung.get(key);
    if (hang === undefined) return undefined;
    if (this.#threads.count > hang.stuckBefore) {
      const reason =
        `It hung (${hang.how}) and its thread could not be stopped: it is not run again until it changes, or ` +
        "Lighthouse is started anew";
      return { reason, isForGood: true };
    }
    if (!this.#isRested(hang)) return { reason: `It hung a moment ago (${hang.how})`, isForGood: false };
    this.#hung.delete(key);
    return undefined;
  }

  /** Notes that a worker was ended. */
  ended(): void {
    this.#threads.ended();
  }
}
