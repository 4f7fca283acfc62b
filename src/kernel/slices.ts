import type { Clock } from "./clock.ts";

/** No slice is longer: a probe or an answer that is due meanwhile is late by no more. */
const SLICE_MS = 8;

/**
 * Cuts long work into slices, so that what else the thread has to do gets its turn between two of them.
 *
 * ```ts
 * const slices = new Slices(clock);
 * for (const file of files) {
 *   if (slices.isOver) await slices.next();
 *   parse(file);
 * }
 * ```
 */
export class Slices {
  readonly #clock: Clock;
  #endMs: number;

  /** The first slice begins now. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endMs = clock.now() + SLICE_MS;
  }

  /** Whether it is time to let others have their turn. */
  get isOver(): boolean {
    return this.#clock.now() >= this.#endMs;
  }

  /** Lets all have their turn who wait; then the next slice begins. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => void this.#clock.after(0, resolve));
    this.#endMs = this.#clock.now() + SLICE_MS;
  }
}
