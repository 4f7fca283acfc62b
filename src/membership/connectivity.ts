import { discoveryOf } from "../config/accept.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";

/** Whether a registry is reachable, as its worker last reported. */
export interface Reachable {
  /** `unknown`: it has not reported, or is no longer in service. */
  readonly state: "connected" | "disconnected" | "unknown";
  /** The detail reported with the state. */
  readonly detail: string;
  /** Since when, in milliseconds of the clock. */
  readonly sinceMs: number;
}

/** What was last logged about a registry. */
interface Logged {
  readonly state: Reachable["state"];
  /** When an outage was last logged as a warning. */
  readonly warnedMs: number;
  /** Ends the wait that shows whether an outage lasts, while there is one. */
  readonly cancel?: (() => void) | undefined;
}

/** An outage that follows another within this time is logged as a warning only if it lasts. */
const AGAIN_MS = 60_000;
/** How long such an outage must last. */
const LASTING_MS = 5_000;

const NOT_LOGGED: Logged = { state: "unknown", warnedMs: -Infinity };

/**
 * Which registries are reachable, by the worker that is connected to each, and the log of that. A registry
 * that comes and goes is logged once a minute; any state that lasts longer than five seconds is the last one
 * logged.
 */
export class Connectivity implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #meter: Meter;
  readonly #now = new Map<string, Reachable>();
  readonly #logged = new Map<string, Logged>();

  constructor(
    { clock, log, meter = UNMETERED }: { readonly clock: Clock; readonly log: Logger; readonly meter?: Meter },
  ) {
    [this.#clock, this.#log, this.#meter] = [clock, log, meter];
  }

  /** What a worker last reported; `undefined` if it never was in service. */
  of(worker: string): Reachable | undefined {
    return this.#now.get(worker);
  }

  /** Takes the set of workers: nothing is logged about others any more. */
  apply(workers: ReadonlySet<string>): void {
    for (const [worker, { cancel }] of this.#logged) {
      if (workers.has(worker)) continue;
      cancel?.();
      this.#logged.delete(worker);
    }
    for (const worker of this.#now.keys()) if (!workers.has(worker)) this.#now.delete(worker);
  }

  /** Takes a worker's report about its registry. */
  hear(worker: string, state: "connected" | "disconnected", detail: string): void {
    this.#note(worker, state, detail);
    const logged = this.#logged.get(worker) ?? NOT_LOGGED;
    if (state === "connected") return this.#tellConnected(worker, detail, logged);
    if (this.#clock.now() - logged.warnedMs >= AGAIN_MS) return this.#tellLost(worker, logged);
    this.#log.debug("Registry unreachable", { event: "registry.unreachable", worker, detail });
    // It lasts from when it was first heard of, however often it is heard of again.
    if (logged.state === "disconnected" || logged.cancel !== undefined) return;
    const cancel = this.#clock.after(LASTING_MS, () => this.#tellLost(worker, logged));
    this.#logged.set(worker, { ...logged, cancel });
  }

  /** Notes that a worker is no longer in service, so that the state is unknown. */
  lose(worker: string, reason: string): void {
    if (!this.#now.has(worker)) return;
    this.#note(worker, "unknown", reason);
    const logged = this.#logged.get(worker) ?? NOT_LOGGED;
    logged.cancel?.();
    // The end of the worker is logged by now, so the next connection is news.
    this.#logged.set(worker, { ...logged, state: "unknown", cancel: undefined });
  }

  /** Stops logging. */
  [Symbol.dispose](): void {
    for (const { cancel } of this.#logged.values()) cancel?.();
  }

  #tellConnected(worker: string, detail: string, logged: Logged): void {
    logged.cancel?.();
    const level = logged.state === "connected" ? "debug" : "info";
    const fields = { event: "registry.connected", worker, ...detail !== "" && { detail } };
    this.#log[level]("Registry connected", fields);
    this.#logged.set(worker, { ...logged, state: "connected", cancel: undefined });
  }

  #tellLost(worker: string, logged: Logged): void {
    logged.cancel?.();
    this.#log.warn("Registry unreachable; serving last known good members", {
      event: "registry.unreachable",
      worker,
      detail: this.#now.get(worker)?.detail ?? "",
    });
    this.#logged.set(worker, { state: "disconnected", warnedMs: this.#clock.now() });
  }

  #note(worker: string, state: Reachable["state"], detail: string): void {
    const before = this.#now.get(worker);
    const discovery = discoveryOf(worker) ?? worker;
    const [was, is] = [before?.state === "connected", state === "connected"];
    if (is && !was) this.#meter.count("lighthouse_registry_connects_total", { discovery });
    if (was && !is) this.#meter.count("lighthouse_registry_disconnects_total", { discovery });
    this.#now.set(worker, { state, detail, sinceMs: before?.state === state ? before.sinceMs : this.#clock.now() });
  }
}
