import type { Clock } from "../kernel/clock.ts";

/** Counts of threads of ended workers. */
export interface StuckThreads {
  /** Number of stuck threads. */
  readonly count: number;
  /** Workers ended so far. */
  readonly ends: number;
  /** Of these, how many are settled: their threads are gone, or counted as stuck. */
  readonly settledEnds: number;
  /** Records that a worker was ended. */
  ended(): void;
}

/** Minimum pause after a hang; it also lasts until the end of the worker is settled. */
const REST_MS = 6_000;
/** Maximum pause: workers that come and go all the time make every count unreliable. */
const REST_MAX_MS = 60_000;

/** Why something is not run now. */
export interface HangRefusal {
  readonly reason: string;
  /** Whether that lasts as long as this process. */
  readonly isForGood: boolean;
}

interface Hang {
  readonly stuckBefore: number;
  readonly endsBefore: number;
  readonly notedMs: number;
  readonly how: string;
}

/**
 * Remembers what hung, and blocks everything whose thread is stuck: nothing ends a busy loop, each
 * retry would burn one more core, and the whole process would have to be restarted because of one
 * plugin.
 */
export class Hangs {
  readonly #clock: Clock;
  readonly #threads: StuckThreads;
  readonly #hung = new Map<string, Hang>();
  readonly #confirmed = new Set<string>();
  /** Called once for each hang with a stuck thread. Must not throw. */
  onForGood: ((key: string, how: string) => void) | undefined;

  constructor({ clock, threads }: { readonly clock: Clock; readonly threads: StuckThreads }) {
    [this.#clock, this.#threads] = [clock, threads];
  }

  /**
   * Records a hang, with `how` for messages; the first record counts. Call it before the end of the
   * worker's thread is counted.
   */
  note(key: string, how: string): void {
    this.#forgetRested();
    const known = this.#hung.get(key);
    const stuckBefore = Math.min(this.#threads.count, known?.stuckBefore ?? Infinity);
    const endsBefore = this.#threads.ends;
    this.#hung.set(key, { stuckBefore, endsBefore, notedMs: this.#clock.now(), how: known?.how ?? how });
  }

  /** Whether the thread of a hung worker is known to be gone. */
  #isRested({ endsBefore, notedMs }: Hang): boolean {
    const { ends, settledEnds } = this.#threads;
    const restedMs = this.#clock.now() - notedMs;
    // The end of its own worker may precede the note: then no end is unsettled.
    return restedMs >= REST_MAX_MS || (restedMs >= REST_MS && (settledEnds > endsBefore || settledEnds === ends));
  }

  /** What was only slow, and is not configured any more, is not blamed for the stuck thread of another. */
  #forgetRested(): void {
    for (const [key, hang] of this.#hung) {
      if (this.#threads.count <= hang.stuckBefore && this.#isRested(hang)) this.#hung.delete(key);
    }
  }

  /** Handles a change of the number of stuck threads: reports hangs that are now permanent. */
  confirm(): void {
    for (const [key, { stuckBefore, how }] of this.#hung) {
      if (this.#threads.count <= stuckBefore || this.#confirmed.has(key)) continue;
      this.#confirmed.add(key);
      this.onForGood?.(key, how);
    }
  }

  /** Returns why something is not run now; `undefined` if it may run. */
  refusal(key: string): HangRefusal | undefined {
    const hang = this.#hung.get(key);
    if (hang === undefined) return undefined;
    if (this.#threads.count > hang.stuckBefore) {
      const reason = `hung (${hang.how}), worker thread stuck; not restarted until the plugin changes or ` +
        "Lighthouse restarts";
      return { reason, isForGood: true };
    }
    if (!this.#isRested(hang)) return { reason: `hung recently (${hang.how})`, isForGood: false };
    this.#hung.delete(key);
    return undefined;
  }

  /** Records that a worker was ended. */
  ended(): void {
    this.#threads.ended();
  }
}
