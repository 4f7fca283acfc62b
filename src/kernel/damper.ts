import type { Clock } from "./clock.ts";

/** How a {@linkcode Damper} joins. */
export interface DamperOptions {
  /** A source that has been quiet for so long is heard at once; two runs are never nearer to one another. */
  readonly quietMs: number;
  /** No change waits longer for its neighbours. */
  readonly maxMs: number;
  readonly clock: Clock;
}

/** What is known of a source that has triggered. */
interface Source {
  /** When it last triggered. */
  lastAt: number;
  /** The first trigger that no run has answered yet; `undefined` if there is none. */
  firstAt: number | undefined;
  /** When a run is due for it. */
  dueAt: number;
}

/**
 * Turns the triggers of many sources into few runs, each of which serves all
 * of them. A source that was quiet has its run at once; one that goes on and
 * on has one when it pauses for `quietMs`, or else every `maxMs`. So a single
 * change is never late, a storm costs a few runs a second, and who flaps holds
 * up nobody else.
 */
export class Damper<Key> {
  readonly #run: (keys: readonly Key[]) => void;
  readonly #quietMs: number;
  readonly #maxMs: number;
  readonly #clock: Clock;
  /** By key; those that are quiet again are forgotten at the next run. */
  readonly #sources = new Map<Key, Source>();
  #ranAt = -Infinity;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;

  /** `run` is told who has triggered since the run before. */
  constructor(run: (keys: readonly Key[]) => void, { quietMs, maxMs, clock }: DamperOptions) {
    if (quietMs > maxMs) {
      throw new RangeError(`Cannot damp as quietMs must be <= maxMs: current values are ${quietMs} and ${maxMs}`);
    }
    [this.#run, this.#quietMs, this.#maxMs, this.#clock] = [run, quietMs, maxMs, clock];
  }

  /** Notes that something of a source has changed. */
  trigger(key: Key): void {
    const now = this.#clock.now();
    const source = this.#sources.get(key);
    if (source === undefined) this.#sources.set(key, { lastAt: now, firstAt: now, dueAt: now });
    else {
      const isFresh = source.firstAt === undefined && now - source.lastAt >= this.#quietMs;
      // One that was fresh and waits for its turn keeps it, whatever comes after.
      const keepsTurn = source.firstAt !== undefined && source.dueAt <= now;
      source.firstAt ??= now;
      source.lastAt = now;
      if (isFresh) source.dueAt = now;
      else if (!keepsTurn) source.dueAt = Math.min(now + this.#quietMs, source.firstAt + this.#maxMs);
    }
    // Most of a storm ends here.
    if (this.#next === undefined || this.#next.at > this.#turnAt(source?.dueAt ?? now)) this.#look();
  }

  /** Forgets what waits. */
  [Symbol.dispose](): void {
    this.#next?.cancel();
    this.#next = undefined;
    this.#sources.clear();
  }

  /** Runs if it is time, or sees to it that it will. */
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

  /** When a run may be that is due at a time. */
  #turnAt(dueAt: number): number {
    return Math.max(dueAt, this.#ranAt + this.#quietMs);
  }

  /** Looks again at a time, or before. */
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
