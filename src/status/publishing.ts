import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { Meter } from "../metrics/meter.ts";
import type { Tally } from "../metrics/tally.ts";
import { Publishers } from "../publish/publishers.ts";
import { sendLines } from "../publish/send.ts";
import type { PublisherTarget } from "../publish/target.ts";
import { collectMetrics } from "./collected.ts";
import { StatusReport } from "./report.ts";
import type { Parts } from "./status.ts";

/** What is to be known of an app to publish its metrics. */
export interface PublishingOptions {
  readonly app: { readonly parts: Parts };
  readonly version: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly wallNow: () => number;
  readonly random: Random;
  readonly log: Logger;
  /** What the parts of the app have counted. */
  readonly tally: Tally;
  /** Where the delay of the event loop is counted; nowhere if somebody counts it already. */
  readonly meter: Meter;
}

/** Publishes the metrics of an app until it is disposed of. */
export class Publishing implements AsyncDisposable {
  readonly #report: StatusReport;
  readonly #publishers: Publishers;

  constructor({ app, version, pid, clock, wallNow, random, log, tally, meter }: PublishingOptions) {
    const report = this.#report = new StatusReport({ app, version, pid, clock, meter });
    this.#publishers = new Publishers({
      clock,
      wallNow,
      random,
      log,
      meter: tally,
      send: sendLines,
      collect() {
        const { announcement: { facts }, role } = app.parts;
        if (facts === undefined) return undefined;
        return { families: collectMetrics({ app, report, tally, version }), host: facts.fqdn, role };
      },
    });
  }

  /** See {@linkcode Publishers.apply}. */
  apply(wanted: ReadonlyMap<string, PublisherTarget>): void {
    this.#publishers.apply(wanted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#publishers[Symbol.asyncDispose]();
    this.#report[Symbol.dispose]();
  }
}
