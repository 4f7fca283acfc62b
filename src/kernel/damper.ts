import type { Clock } from "./clock.ts";

/** Settings of a {@linkcode Damper}. */
export interface DamperOptions {
  /** How many triggers of a source run at once before they are joined. */
  readonly burst: number;
  /** Runs per second once the burst is spent; also the rate at which the burst is refilled. */
  readonly rate: number;
  /** Longest delay of a change. */
  readonly maxMs: number;
  readonly clock: Clock;
}

/**
 * Budget of all sources together, as a multiple of one burst and in runs per second: a thousand clusters that change
 * once a second each stay within their own budgets.
 */
const ALL_BURSTS = 4, ALL_RATE = 20;

/** A token bucket. */
class Budget {
  readonly #burst: number;
  readonly #rate: number;
  #left: number;
  #atMs: number;

  /** Starts full. */
  constructor(burst: number, rate: number, nowMs: number) {
    [this.#burst, this.#rate, this.#left, this.#atMs] = [burst, rate, burst, nowMs];
  }

  /** Whether it is full. */
  isFull(nowMs: number): boolean {
    return this.#at(nowMs) >= this.#burst;
  }

  /** Time of the next token. */
  nextMs(nowMs: number): number {
    const lacking = 1 - this.#at(nowMs);
    return lacking <= 0 ? nowMs : nowMs + lacking * 1_000 / this.#rate;
  }

  /** Takes a token. */
  spend(nowMs: number): void {
    [this.#left, this.#atMs] = [Math.max(0, this.#at(nowMs) - 1), nowMs];
  }

  #at(nowMs: number): number {
    // An infinite rate times zero is NaN.
    const more = nowMs <= this.#atMs ? 0 : (nowMs - this.#atMs) * this.#rate / 1_000;
    // Timers are not exact: a token that is a millionth short counts.
    return Math.min(this.#burst, this.#left + more + 1e-6);
  }
}

/** State of a source that has triggered. */
interface Source {
  readonly budget: Budget;
  /** The first trigger since the last run; `undefined` if there is none. */
  firstAt: number | undefined;
}

/**
 * Turns the triggers of many sources into few runs, each of which serves all of them. Each source has a
 * budget: while it lasts a trigger runs at once, then at the rate of the budget, or else every `maxMs`. So
 * the first changes are never late, a storm causes a few runs a second, and a flapping source delays no other.
 */
export class Damper<Key> {
  readonly #run: (keys: readonly Key[]) => void;
  readonly #options: DamperOptions;
  /** By key; sources with a full budget are removed at the next run. */
  readonly #sources = new Map<Key, Source>();
  readonly #all: Budget;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;

  /** `run` receives the keys that have triggered since the last run. */
  constructor(run: (keys: readonly Key[]) => void, options: DamperOptions) {
    const { burst, rate, maxMs, clock } = options;
    if (!(burst >= 1 && rate > 0 && maxMs >= 0)) {
      throw new RangeError(
        "Cannot create a damper: burst must be >= 1, rate > 0 and maxMs >= 0; " +
          `current values are ${burst}, ${rate} and ${maxMs}`,
      );
    }
    [this.#run, this.#options] = [run, options];
    this.#all = new Budget(ALL_BURSTS * burst, Math.max(ALL_RATE, rate), clock.now());
  }

  /** Reports a change of a source. */
  trigger(key: Key): void {
    const { burst, rate, clock } = this.#options;
    const now = clock.now();
    let source = this.#sources.get(key);
    if (source === undefined) {
      this.#sources.set(key, source = { budget: new Budget(burst, rate, now), firstAt: undefined });
    }
    // Most triggers of a storm end here: the run is scheduled.
    if (source.firstAt !== undefined && this.#next !== undefined) return;
    source.firstAt ??= now;
    if (this.#next === undefined || this.#next.at > this.#turnAt(source, now)) this.#look();
  }

  /** Drops pending runs. */
  [Symbol.dispose](): void {
    this.#next?.cancel();
    this.#next = undefined;
    this.#sources.clear();
  }

  /** Runs now if due, or schedules the run. */
  #look(): void {
    const now = this.#options.clock.now();
    const waiting = [...this.#sources].filter(([, { firstAt }]) => firstAt !== undefined);
    if (waiting.length === 0) return;
    const dueAt = Math.min(...waiting.map(([, source]) => this.#turnAt(source, now)));
    if (dueAt > now) return this.#lookAt(dueAt);
    this.#next?.cancel();
    this.#next = undefined;
    this.#all.spend(now);
    for (const [key, source] of this.#sources) {
      // A source that runs along with another pays only if it has a token.
      if (source.firstAt !== undefined && source.budget.nextMs(now) <= now) source.budget.spend(now);
      else if (source.firstAt === undefined && source.budget.isFull(now)) this.#sources.delete(key);
      source.firstAt = undefined;
    }
    this.#run(waiting.map(([key]) => key));
  }

  /** When a source's run is due. */
  #turnAt({ budget, firstAt = Infinity }: Source, now: number): number {
    return Math.min(firstAt + this.#options.maxMs, Math.max(budget.nextMs(now), this.#all.nextMs(now)));
  }

  /** Schedules a check. */
  #lookAt(at: number): void {
    if (this.#next !== undefined && this.#next.at <= at) return;
    const { clock } = this.#options;
    this.#next?.cancel();
    const cancel = clock.after(Math.max(0, at - clock.now()), () => {
      this.#next = undefined;
      this.#look();
    });
    this.#next = { at, cancel };
  }
}
