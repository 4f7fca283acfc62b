import type { Clock } from "./clock.ts";

/** Settings of a {@linkcode Damper}. */
export interface DamperOptions {
  /** A source that was quiet for this long runs at once; also the minimum time between two runs. */
  readonly quietMs: number;
  /** Longest delay of a change. */
  readonly maxMs: number;
  readonly clock: Clock;
}

/** State of a source that has triggered. */
interface Source {
  /** When it last triggered. */
  lastAt: number;
  /** The first trigger since the last run; `undefined` if there is none. */
  firstAt: number | undefined;
  /** When its run is due. */
  dueAt: number;
}

/**
 * Turns the triggers of many sources into few runs, each of which serves all of them. A source that
 * was quiet runs at once; one that keeps triggering runs when it pauses for `quietMs`, or else every
 * `maxMs`. So a single change is never late, a storm causes a few runs a second, and a flapping source
 * delays no other.
 */
export class Damper<Key> {
  readonly #run: (keys: readonly Key[]) => void;
  readonly #quietMs: number;
  readonly #maxMs: number;
  readonly #clock: Clock;
  /** By key; quiet sources are removed at the next run. */
  readonly #sources = new Map<Key, Source>();
  #ranAt = -Infinity;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;

  /** `run` receives the keys that have triggered since the last run. */
  constructor(run: (keys: readonly Key[]) => void, { quietMs, maxMs, clock }: DamperOptions) {
    if (quietMs > maxMs) {
      throw new RangeError(`Cannot damp as quietMs must be <= maxMs: current values are ${quietMs} and ${maxMs}`);
    }
    [this.#run, this.#quietMs, this.#maxMs, this.#clock] = [run, quietMs, maxMs, clock];
  }

  /** Triggers a run for a source. */
  trigger(key: Key): void {
    const now = this.#clock.now();
    const source = this.#sources.get(key);
    if (source === undefined) this.#sources.set(key, { lastAt: now, firstAt: now, dueAt: now });
    else {
      const isFresh = source.firstAt === undefined && now - source.lastAt >= this.#quietMs;
      // A fresh source keeps its early run, whatever triggers follow.
      const keepsTurn = source.firstAt !== undefined && source.dueAt <= now;
      source.firstAt ??= now;
      source.lastAt = now;
      if (isFresh) source.dueAt = now;
      else if (!keepsTurn) source.dueAt = Math.min(now + this.#quietMs, source.firstAt + this.#maxMs);
    }
    // The usual case in a storm.
    if (this.#next === undefined || this.#next.at > this.#turnAt(source?.dueAt ?? now)) this.#look();
  }

  /** Cancels pending runs. */
  [Symbol.dispose](): void {
    this.#next?.cancel();
    this.#next = undefined;
    this.#sources.clear();
  }

  /** Runs if due, else schedules the run. */
  #look(): void {
    const now = this.#clock.now();
    const waiting = [...this.#sources].filter(([, { firstAt }]) => firstAt !== undefined);
    if (waiting.length === 0) return;
    const dueAt = this.#turnAt(Math.min(...waiting.map(([, source]) => source.dueAt)));
    if (dueAt > now) return this.#lookAt(dueAt);
    this.#next?.cancel();
    this.#next = undefined;
    this.#ranAt = now;
    for (const [key, source] of this.#sources) {
      source.firstAt = undefined;
      if (now - source.lastAt >= this.#quietMs) this.#sources.delete(key);
    }
    this.#run(waiting.map(([key]) => key));
  }

  /** The earliest time for a run that is due at a time. */
  #turnAt(dueAt: number): number {
    return Math.max(dueAt, this.#ranAt + this.#quietMs);
  }

  /** Schedules the next check at a time, or earlier. */
  #lookAt(at: number): void {
    if (this.#next !== undefined && this.#next.at <= at) return;
    this.#next?.cancel();
    const cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => {
      this.#next = undefined;
      this.#look();
    });
    this.#next = { at, cancel };
  }
}
