import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";

/** How long a terminated worker's thread may take to end. */
const THREAD_END_MS = 2_000;
/** Interval of counts while no known worker ends: other code ends workers too. */
const LOOK_EVERY_MS = 60_000;
/** Delay after a failed count: a busy machine answers the next one. */
const RETRY_MS = 10_000;

export interface ThreadCensusOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts the worker threads of this process; `undefined` where that is not possible. */
  readonly countThreads: () => Promise<number | undefined>;
  /** Counts the workers that should have a thread. */
  readonly countLive: () => number;
  /** Called when the number of stuck threads has changed. */
  readonly onStuck: (threads: number) => void;
}

/**
 * Counts the threads of terminated workers that keep running, as reported by the kernel: nothing stops
 * a busy loop. A thread takes a moment to end, so only what two counts in a row find is confirmed.
 * Workers that come and go meanwhile delay no count.
 */
export class ThreadCensus implements AsyncDisposable {
  readonly #options: ThreadCensusOptions;
  #stuck = 0;
  /** Result of the last count. */
  #found = 0;
  /** Workers ended so far. */
  #ends = 0;
  #settledEnds = 0;
  #next: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: ThreadCensusOptions) {
    this.#options = options;
    this.#lookIn(LOOK_EVERY_MS);
  }

  /** Number of stuck threads. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Workers terminated so far. */
  get ends(): number {
    return this.#ends;
  }

  /** Of those, how many are settled: two consecutive reliable counts found as many threads. */
  get settledEnds(): number {
    return this.#settledEnds;
  }

  /** Records that a worker was terminated. */
  noteEnd(): void {
    this.#ends++;
    this.#lookIn(THREAD_END_MS);
  }

  /** Stops counting. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#next?.cancel();
    this.#next = undefined;
    await this.#looking;
  }

  /** Schedules the next count within `ms`. */
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
      log.debug("Cannot count the threads of this process", { event: "worker.uncounted", reason: String(error) });
      return this.#lookIn(this.#settledEnds < this.#ends ? RETRY_MS : LOOK_EVERY_MS);
    }
    const live = countLive();
    // Workers that started or ended meanwhile may or may not be counted: assume they are, and count again soon.
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
