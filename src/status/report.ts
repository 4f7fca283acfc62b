import type { Clock } from "../kernel/clock.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import { Beat } from "./beat.ts";
import { type Health, type HealthLimits, judgeHealth } from "./health.ts";
import { type Parts, statusOf } from "./status.ts";
import type { Status } from "./status_shape.ts";

export interface StatusReportOptions {
  readonly app: { readonly parts: Parts };
  readonly version: string;
  readonly pid: number;
  readonly clock: Clock;
  /** When the process started, in milliseconds of the clock; now unless given. */
  readonly startedMs?: number | undefined;
  readonly meter?: Meter | undefined;
  /** How late is too late, if not as usual. */
  readonly limits?: HealthLimits | undefined;
}

/** How an app stands, whenever it is asked; until it is disposed of, it knows how late the main loop is. */
export class StatusReport implements Disposable {
  readonly #options: StatusReportOptions;
  readonly #startedMs: number;
  readonly #beat: Beat;

  constructor(options: StatusReportOptions) {
    this.#options = options;
    this.#startedMs = options.startedMs ?? options.clock.now();
    this.#beat = new Beat(options.clock, options.meter ?? UNMETERED);
  }

  /** What `GET /status` answers. */
  get status(): Status {
    const { app, version, pid, clock } = this.#options;
    const [startedMs, nowMs, lateMs] = [this.#startedMs, clock.now(), this.#beat.lateMs];
    return statusOf(app.parts, { version, pid, startedMs, nowMs, lateMs });
  }

  /** What `GET /health` answers of a status. */
  judge(status: Status): Health {
    return judgeHealth(status, this.#options.limits);
  }

  [Symbol.dispose](): void {
    this.#beat[Symbol.dispose]();
  }
}
