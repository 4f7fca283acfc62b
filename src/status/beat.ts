import type { Clock } from "../kernel/clock.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";

/** The time from one beat to the next. */
const EVERY_MS = 1_000;

/** Measures how late the main loop is: by how much a timer of a second fires too late. */
export class Beat implements Disposable {
  readonly #clock: Clock;
  readonly #meter: Meter;
  #dueMs = 0;
  #lastLateMs = 0;
  #cancel = () => {};

  constructor(clock: Clock, meter: Meter = UNMETERED) {
    [this.#clock, this.#meter] = [clock, meter];
    this.#schedule();
  }

  /** How late the last beat was, or the next one is by now: the greater of the two. */
  get lateMs(): number {
    return Math.max(0, this.#lastLateMs, this.#clock.now() - this.#dueMs);
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  #schedule(): void {
    this.#dueMs = this.#clock.now() + EVERY_MS;
    this.#cancel = this.#clock.after(EVERY_MS, () => {
      this.#lastLateMs = this.#clock.now() - this.#dueMs;
      this.#meter.observe("lighthouse_event_loop_delay_seconds", {}, Math.max(0, this.#lastLateMs) / 1_000);
      this.#schedule();
    });
  }
}
