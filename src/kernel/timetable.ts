import type { Clock } from "./clock.ts";

/**
 * Calls back at points in time. All callbacks of one point share one timer, and so one wake-up of the process: that
 * costs more than most of what is done then.
 */
export class Timetable {
  readonly #clock: Clock;
  readonly #points = new Map<number, Point>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls back once, at `atMs` of the clock or as soon as possible after it; the returned function cancels it. */
  at(atMs: number, callback: () => void): () => void {
    const point = this.#points.get(atMs) ?? this.#add(atMs);
    const call = () => callback();
    point.calls.add(call);
    return () => {
      if (!point.calls.delete(call) || point.calls.size > 0 || this.#points.get(atMs) !== point) return;
      this.#points.delete(atMs);
      point.cancel();
    };
  }

  #add(atMs: number): Point {
    const calls = new Set<() => void>();
    const cancel = this.#clock.after(Math.max(0, atMs - this.#clock.now()), () => {
      this.#points.delete(atMs);
      for (const call of calls) call();
    });
    const point = { calls, cancel };
    this.#points.set(atMs, point);
    return point;
  }
}

/** A point in time, and what is called then. */
interface Point {
  readonly calls: Set<() => void>;
  readonly cancel: () => void;
}
