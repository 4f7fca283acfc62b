import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";

/** How long a terminated worker's thread may take to be gone. */
const THREAD_END_MS = 2_000;
/** How often is looked when nothing ended that is known of here: others end workers too. */
const LOOK_EVERY_MS = 60_000;
/** How long after a count that failed: a busy machine answers the next one. */
const RETRY_MS = 10_000;

export interface ThreadCensusOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts the threads of workers that this process has; `undefined` where that cannot be told. */
  readonly countThreads: () => Promise<number | undefined>;
  /** Counts the workers that should have one. */
  readonly countLive: () => number;
  /** Called when the number of threads that could not be stopped has changed. */
  readonly onStuck: (threads: number) => void;
}

/**
 * Counts the threads of workers that were terminated and run on all the same,
 * by what the kernel says: nothing stops a busy loop. A thread takes a moment to
 * end, so only what two looks in a row find is believed; workers that come and
 * go all the while delay no look.
 */
export class ThreadCensus implements AsyncDisposable {
  readonly #options: ThreadCensusOptions;
  #stuck = 0;
  /** What the last look found. */
  #found = 0;
  /** Workers that ended so far. */
  #ends = 0;
  #settledEnds = 0;
  #next: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ThreadCensusOptions) {
    this.#options = options;
    this.#lookIn(LOOK_EVERY_MS);
  }

  /** Threads that could not be stopped. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Workers that were terminated so far. */
  get ends(): number {
    return this.#ends;
  }

  /** Of those, how many are settled: two counts in a row without doubt found as many threads. */
  get settledEnds(): number {
    return this.#settledEnds;
  }

  /** Notes that a worker was terminated. */
  noteEnd(): void {
    this.#ends++;
    this.#lookIn(THREAD_END_MS);
  }

  /** Stops looking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#next?.cancel();
    this.#next = undefined;
    await this.#looking;
  }

  /** Sees to it that the next look comes in `ms` at the latest. */
  #lookIn(ms: number): void {
    const { clock } = this.#options;
    const atMs = clock.now() + ms;
    if (this.#isClosed || (this.#next !== undefined && this.#next.atMs <= atMs)) return;
    this.#next?.cancel();
    const cancel = clock.after(ms, () => {
      this.#next = undefined;
      this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    });
    this.#next = { atMs, cancel };
  }

  async #look(): Promise<void> {
    const { log, countThreads, countLive, onStuck } = this.#options;
    const [before, endsBefore] = [this.#found, this.#ends];
    const liveBefore = countLive();
    let threads: number | undefined;
    try {
      threads = await countThreads();
    } catch (error) {
      log.debug("Could not count threads", { event: "worker.uncounted", reason: String(error) });
      return this.#lookIn(this.#settledEnds < this.#ends ? RETRY_MS : LOOK_EVERY_MS);
    }
    const live = countLive();
    // Those that came or went meanwhile may have been counted or not: in doubt they were, and it is looked again soon.
    const isDoubtful = live !== liveBefore || this.#ends !== endsBefore;
    const accounted = Math.max(liveBefore, live) + this.#ends - endsBefore;
    this.#found = Math.max(0, (threads ?? 0) - accounted);
    const isSettled = this.#found === before && !isDoubtful;
    if (isSettled) this.#settledEnds = endsBefore;
    this.#lookIn(isSettled ? LOOK_EVERY_MS : THREAD_END_MS);
    const stuck = Math.min(before, this.#found);
    if (stuck === this.#stuck || this.#isClosed) return;
    this.#stuck = stuck;
    onStuck(stuck);
  }
}
