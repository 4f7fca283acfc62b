import type { Clock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { Timetable } from "../kernel/timetable.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { ProbeOutcome } from "../plugin/contract.ts";
import { firstDelayMs, nextDueMs, startMs } from "./schedule.ts";
import { type Status, statusOf } from "./status.ts";
import { INITIAL_VERDICT, judge, judgeUnknown, type Thresholds, type Unknown, type Verdict } from "./verdict.ts";

/** A check that cannot be made is tried again after this time, if its interval is longer. */
const UNKNOWN_RETRY_MS = 5_000;

/**
 * A failed probe that took twice its deadline and this long says nothing of the service: this process did not run
 * meanwhile, as in a virtual machine that is moved, and found its deadline over before it could read the response.
 */
const SUSPENDED_MS = 1_000;

/** One check of one port, as the monitor runs it. */
export interface MonitoredCheck extends Thresholds {
  /** The instance to probe: `check web:8000/http`. */
  readonly id: string;
  /** Its key in the service file, for logs. */
  readonly name: string;
  /** A probe that takes longer has failed. */
  readonly timeoutMs: number;
  /** How long the last verdict stands while no probe can be made. */
  readonly unknownGraceMs: number;
  /** What it asks of whom: when that changes, what was counted before says nothing any more. */
  readonly question: string;
}

/** One port of a service, as the monitor watches it. */
export interface MonitoredPort {
  /** Unique and stable over changes of config: `web:8000`. */
  readonly key: string;
  /** The time from one probe of a check to the next. */
  readonly intervalMs: number;
  /** All must pass. */
  readonly checks: readonly MonitoredCheck[];
}

export interface MonitorOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter;
  /**
   * Probes once; must settle, soon after the deadline at most unless its worker
   * is just starting, and never throw but for an aborted signal.
   */
  readonly probe: (id: string, timeoutMs: number, signal: AbortSignal) => Promise<ProbeOutcome>;
  /** Called whenever the status of a port has changed. */
  readonly onStatus: (key: string, status: Status) => void;
  /** Called when a check cannot be made any more, and when it is made again. */
  readonly onUnknown?: (key: string) => void;
}

/** What is known of one check of a port. Times are those of the monitor's clock. */
export interface CheckReport {
  readonly name: string;
  readonly verdict: Verdict;
  /** When a probe last came to its end; when it was begun to be probed, if none has yet. */
  readonly probedMs: number;
  /** Why the last probe failed; `undefined` if it did not, or there was none. */
  readonly failure: string | undefined;
  /** Since when no probe could be made, and why; `undefined` if the last one was made. */
  readonly unknown: Unknown | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What is known of one port. */
export interface PortReport {
  readonly status: Status;
  /** Since when. */
  readonly sinceMs: number;
  readonly checks: readonly CheckReport[];
}

interface RunningCheck {
  readonly check: MonitoredCheck;
  readonly intervalMs: number;
  verdict: Verdict;
  probedMs: number;
  failure: string | undefined;
  unknown: Unknown | undefined;
  readonly controller: AbortController;
}

interface RunningPort {
  port: MonitoredPort;
  status: Status;
  sinceMs: number;
  /** Whether it is known that there is no check to run. */
  isUnchecked: boolean;
  readonly checks: Map<string, RunningCheck>;
}

/**
 * Probes every check of every port at its interval and turns outcomes into
 * statuses. A changed config keeps what is known: a check keeps its verdict,
 * a port its status, so that an edit takes no service out. What a check had
 * counted towards another verdict is forgotten when it asks something else.
 */
export class Monitor implements AsyncDisposable {
  readonly #options: MonitorOptions;
  readonly #ports = new Map<string, RunningPort>();
  readonly #loops = new Set<Promise<void>>();
  /** When the next probes start: those of one slot share a timer. */
  readonly #starts: Timetable;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#starts = new Timetable(options.clock);
  }

  /** The status of each port, by key. */
  get statuses(): ReadonlyMap<string, Status> {
    return new Map([...this.#ports].map(([key, { status }]) => [key, status]));
  }

  /** What is known of each port, by key. */
  get ports(): ReadonlyMap<string, PortReport> {
    return new Map(
      [...this.#ports].map(([key, { status, sinceMs, checks }]) => [key, {
        status,
        sinceMs,
        checks: [...checks.values()].map((running) => ({
          name: running.check.name,
          verdict: running.verdict,
          probedMs: running.probedMs,
          failure: running.failure,
          unknown: running.unknown,
          intervalMs: running.intervalMs,
          timeoutMs: running.check.timeoutMs,
        })),
      }]),
    );
  }

  /** Takes what is wanted now, whole. */
  apply(wanted: readonly MonitoredPort[]): void {
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, running] of this.#ports) {
      if (keys.has(key)) continue;
      for (const { controller } of running.checks.values()) controller.abort();
      this.#ports.delete(key);
    }
    for (const port of wanted) this.#applyPort(port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.apply([]);
    await Promise.all(this.#loops);
  }

  #applyPort(port: MonitoredPort): void {
    const running: RunningPort = this.#ports.get(port.key) ??
      { port, status: "unknown", sinceMs: this.#options.clock.now(), isUnchecked: false, checks: new Map() };
    running.port = port;
    this.#ports.set(port.key, running);
    const ids = new Set(port.checks.map(({ id }) => id));
    for (const [id, { controller }] of running.checks) {
      if (ids.has(id)) continue;
      controller.abort();
      running.checks.delete(id);
    }
    for (const check of port.checks) {
      const old = running.checks.get(check.id);
      if (old !== undefined && old.intervalMs === port.intervalMs && equal(old.check, check)) continue;
      old?.controller.abort();
      const next: RunningCheck = {
        check,
        intervalMs: port.intervalMs,
        verdict: firstVerdict(check, old),
        probedMs: this.#options.clock.now(),
        failure: old?.failure,
        unknown: old?.unknown,
        controller: new AbortController(),
      };
      running.checks.set(check.id, next);
      this.#track(this.#run(running, next));
    }
    this.#noteUnchecked(running);
    this.#update(running);
  }

  #track(loop: Promise<void>): void {
    const tracked = loop.finally(() => this.#loops.delete(tracked));
    this.#loops.add(tracked);
  }

  /** Logs once that a port has no checks, as long as it has none. */
  #noteUnchecked(running: RunningPort): void {
    const { key, checks } = running.port;
    const isUnchecked = checks.length === 0;
    if (isUnchecked && !running.isUnchecked) {
      this.#options.log.warn("Service has no checks and counts as up", { event: "service.unchecked", service: key });
    }
    running.isUnchecked = isUnchecked;
  }

  async #run(running: RunningPort, current: RunningCheck): Promise<void> {
    const { clock, random, probe, meter = UNMETERED } = this.#options;
    const { check, intervalMs, controller: { signal } } = current;
    let dueMs = clock.now() + firstDelayMs(intervalMs, random);
    try {
      for (;;) {
        await this.#until(startMs(dueMs, intervalMs), signal);
        const startedMs = clock.now();
        const shown = await probe(check.id, check.timeoutMs, signal);
        signal.throwIfAborted();
        current.probedMs = clock.now();
        const outcome = unlessSuspended(shown, { tookMs: current.probedMs - startedMs, timeoutMs: check.timeoutMs });
        const { status: result } = outcome;
        meter.count("lighthouse_probes_total", { service: running.port.key, check: check.name, result });
        meter.observe(
          "lighthouse_probe_duration_seconds",
          { check: check.name },
          (current.probedMs - startedMs) / 1_000,
          { service: running.port.key, result },
        );
        this.#take(running, current, outcome);
        this.#update(running);
        const endedMs = clock.now();
        dueMs = nextDueMs({ dueMs, endedMs, intervalMs });
        // What could not be asked is asked again soon: a grace must not pass between two tries.
        if (current.unknown !== undefined) dueMs = Math.min(dueMs, endedMs + UNKNOWN_RETRY_MS);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Waits until a time of the clock; rejects with the signal's reason as soon as it is aborted. */
  #until(atMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = this.#starts.at(atMs, () => {
        signal.removeEventListener("abort", abort);
        resolve();
      });
      const abort = () => {
        cancel();
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** Takes what one probe has shown of a check, and logs what that changes. */
  #take({ port: { key } }: RunningPort, current: RunningCheck, outcome: ProbeOutcome): void {
    const { clock, log } = this.#options;
    const { check, verdict: before, unknown } = current;
    const at = { service: key, check: check.name };
    if (outcome.status === "unknown") {
      const { reason } = outcome;
      const nowMs = clock.now();
      current.failure = undefined;
      current.unknown = { sinceMs: unknown?.sinceMs ?? nowMs, reason };
      current.verdict = judgeUnknown(before, current.unknown, { graceMs: check.unknownGraceMs, nowMs });
      if (unknown === undefined) this.#options.onUnknown?.(key);
      const level = unknown === undefined ? "warn" : "debug";
      log[level]("Check cannot run; keeping last result", { event: "check.unknown", ...at, reason });
      if (before.up === current.verdict.up) return;
      const forMs = nowMs - current.unknown.sinceMs;
      return log.error("Check has not run for unknown_grace; counts as down", {
        event: "check.unknown_expired",
        ...at,
        forMs,
        reason,
      });
    }
    const isPass = outcome.status === "pass";
    [current.failure, current.unknown] = [isPass ? undefined : outcome.reason, undefined];
    current.verdict = judge(before, isPass, check);
    if (unknown !== undefined) {
      log.info("Check runs again", { event: "check.known", ...at });
      this.#options.onUnknown?.(key);
    }
    if (!isPass) log.debug("Probe failed", { event: "probe.failed", ...at, reason: outcome.reason });
    if (before.up === current.verdict.up) return;
    const { length } = current.verdict.streak;
    if (isPass) log.info("Check passing", { event: "check.up", ...at, passed: length });
    else log.warn("Check failing", { event: "check.down", ...at, failed: length, reason: outcome.reason });
  }

  #update(running: RunningPort): void {
    const verdicts = [...running.checks.values()].map(({ verdict }) => verdict);
    const status = statusOf(verdicts, running.status);
    if (status === running.status) return;
    [running.status, running.sinceMs] = [status, this.#options.clock.now()];
    const at = { service: running.port.key };
    if (status === "up") this.#options.log.info("Service is up", { event: "service.up", ...at });
    else this.#options.log.warn("Service is down", { event: "service.down", ...at });
    this.#options.onStatus(running.port.key, status);
  }
}

/** What is known of a check before it runs: its verdict stays, but what was counted only if it asks the same. */
function firstVerdict(check: MonitoredCheck, old: RunningCheck | undefined): Verdict {
  if (old === undefined) return check.rise === 0 ? { ...INITIAL_VERDICT, up: true } : INITIAL_VERDICT;
  return old.check.question === check.question ? old.verdict : { ...INITIAL_VERDICT, up: old.verdict.up };
}

function equal(a: MonitoredCheck, b: MonitoredCheck): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What a probe shows of the service: nothing if this process was suspended during the probe. */
function unlessSuspended(
  outcome: ProbeOutcome,
  { tookMs, timeoutMs }: { readonly tookMs: number; readonly timeoutMs: number },
): ProbeOutcome {
  if (outcome.status !== "fail" || tookMs <= 2 * timeoutMs + SUSPENDED_MS) return outcome;
  const reason = `this process was suspended during the probe, which took ${formatDuration(Math.round(tookMs))} ` +
    `instead of at most ${formatDuration(timeoutMs)}`;
  return { status: "unknown", reason };
}
