import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";

/** Whether a registry is in reach, as its worker last said. */
export interface Reachable {
  /** `unknown`: it has not said, or is not in service any more. */
  readonly state: "connected" | "disconnected" | "unknown";
  /** What it said with it. */
  readonly detail: string;
  /** Since when, in milliseconds of the clock. */
  readonly sinceMs: number;
}

/** What was last told of a registry, and when it was last told to be out of reach. */
interface Told {
  readonly state: "connected" | "disconnected" | undefined;
  readonly lostMs: number;
}

/** A registry that comes and goes is told of again after this time. */
const REACH_AGAIN_MS = 60_000;

/** Which registries are in reach, by the worker that speaks to each. Logs it: one that comes and goes once a minute. */
export class Reach {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #now = new Map<string, Reachable>();
  readonly #told = new Map<string, Told>();

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    [this.#clock, this.#log] = [clock, log];
  }

  /** What a worker last said; `undefined` if it never was in service. */
  of(worker: string): Reachable | undefined {
    return this.#now.get(worker);
  }

  /** Takes what a worker says of its registry. */
  hear(worker: string, state: "connected" | "disconnected", detail: string): void {
    this.#note(worker, state, detail);
    const nowMs = this.#clock.now();
    const told = this.#told.get(worker) ?? { state: undefined, lostMs: -Infinity };
    const at = { worker, detail };
    if (state === "connected") {
      this.#log[told.state === state ? "debug" : "info"]("Registry is in reach", at);
      return void this.#told.set(worker, { ...told, state });
    }
    const isNews = nowMs - told.lostMs >= REACH_AGAIN_MS;
    if (isNews) this.#told.set(worker, { state, lostMs: nowMs });
    this.#log[isNews ? "warn" : "debug"]("Registry is out of reach: what was known of it stays", at);
  }

  /** Notes that a worker is not in service any more, so that nobody knows. */
  lose(worker: string, reason: string): void {
    if (this.#now.has(worker)) this.#note(worker, "unknown", reason);
  }

  #note(worker: string, state: Reachable["state"], detail: string): void {
    const before = this.#now.get(worker);
    this.#now.set(worker, { state, detail, sinceMs: before?.state === state ? before.sinceMs : this.#clock.now() });
  }
}
