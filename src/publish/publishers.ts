import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { Meter } from "../metrics/meter.ts";
import type { MetricFamily } from "../metrics/tally.ts";
import { publicationOf } from "./lines.ts";
import type { PublisherTarget } from "./target.ts";

/** What is published, and of whom. */
export interface Collected {
  readonly families: readonly MetricFamily[];
  readonly host: string;
  readonly role: string;
}

export interface PublishersOptions {
  readonly clock: Clock;
  /** The time of day in milliseconds. */
  readonly wallNow: () => number;
  readonly random: Random;
  readonly log: Logger;
  readonly meter: Meter;
  /** Collects all metrics; `undefined` as long as the name of the host is unknown. */
  readonly collect: () => Collected | undefined;
  /** Sends lines to a target. Throws why it cannot. */
  readonly send: (target: PublisherTarget, lines: readonly string[], signal: AbortSignal) => Promise<void>;
}

/** How long one publication may take; never longer than its interval. */
const SEND_TIMEOUT_MS = 5_000;
/** How long a process that ends may publish. */
const LAST_TIMEOUT_MS = 2_000;

/** One publisher that runs. */
interface Running {
  readonly target: PublisherTarget;
  readonly controller: AbortController;
  readonly done: Promise<void>;
  /** The counters that it sent last. */
  counters: ReadonlyMap<string, number>;
  /** Samples that were dropped since this was last logged; `undefined` while it works. */
  dropped: number | undefined;
}

/**
 * Pushes the metrics of the process to the publishers of the config, each at its interval and once more at the end.
 * One publication is under way at a time, and each has a deadline. What cannot be sent is dropped and counted: the
 * next publication has newer values.
 */
export class Publishers implements AsyncDisposable {
  readonly #options: PublishersOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: PublishersOptions) {
    this.#options = options;
  }

  /** Takes the publishers of a config, whole. */
  apply(wanted: ReadonlyMap<string, PublisherTarget>): void {
    for (const [name, { target, controller }] of this.#running) {
      if (JSON.stringify(wanted.get(name)) === JSON.stringify(target)) continue;
      this.#running.delete(name);
      controller.abort();
    }
    for (const [name, target] of wanted) {
      if (!this.#running.has(name)) this.#running.set(name, this.#begin(name, target));
    }
  }

  /** Ends; the last values are published, for a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    using late = deadline(LAST_TIMEOUT_MS, { clock: this.#options.clock });
    await Promise.all([...this.#running].map(async ([name, running]) => {
      running.controller.abort();
      await running.done;
      await this.#publish(name, running, late.signal);
    }));
    this.#running.clear();
  }

  #begin(name: string, target: PublisherTarget): Running {
    const { promise: started, resolve: start } = Promise.withResolvers<void>();
    const running: Running = {
      target,
      controller: new AbortController(),
      done: started.then(() => this.#run(name, running)),
      counters: new Map(),
      dropped: undefined,
    };
    start();
    return running;
  }

  async #run(name: string, running: Running): Promise<void> {
    const { clock, random } = this.#options;
    const { target: { intervalMs }, controller: { signal } } = running;
    // Hosts that start at the same time do not publish at the same time.
    for (let waitMs = intervalMs * random(); !signal.aborted; waitMs = intervalMs) {
      await delay(waitMs, { clock, signal }).catch(() => {});
      if (signal.aborted) return;
      using late = deadline(Math.min(SEND_TIMEOUT_MS, intervalMs), { clock, signal });
      await this.#publish(name, running, late.signal);
    }
  }

  async #publish(publisher: string, running: Running, signal: AbortSignal): Promise<void> {
    const { collect, send, meter, log, wallNow } = this.#options;
    const { target, controller } = running;
    const isLast = controller.signal.aborted;
    const collected = collect();
    if (collected === undefined) return;
    const { families, host, role } = collected;
    const { lines, omitted, counters } = publicationOf(families, {
      target,
      host,
      role,
      atSeconds: Math.floor(wallNow() / 1_000),
      before: running.counters,
    });
    const count = (result: string, by: number) =>
      by > 0 && meter.count("lighthouse_published_samples_total", { publisher, result }, by);
    count("dropped", omitted);
    try {
      if (lines.length > 0) await send(target, lines, signal);
      running.counters = counters;
      count("sent", lines.length);
      if (running.dropped === undefined) return;
      log.info("Publisher recovered", { event: "publisher.sent", publisher, dropped: running.dropped });
      running.dropped = undefined;
    } catch (error) {
      // A publisher that left the config, or is asked to end, has failed in nothing.
      if (controller.signal.aborted && !isLast) return;
      count("dropped", lines.length);
      const reason = error instanceof Error ? error.message : String(error);
      log[running.dropped === undefined ? "warn" : "debug"]("Publisher cannot send metrics; dropping samples", {
        event: "publisher.failed",
        publisher,
        reason,
      });
      running.dropped = (running.dropped ?? 0) + lines.length;
    }
  }
}
