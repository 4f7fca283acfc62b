import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { EventRecord } from "../model/event_record.ts";
import { afterFailure, WHOLE } from "./batching.ts";
import { type Grouping, nextDueMs, NO_GROUPS, type ResolvedBy, statesOf, takeDue, takeEvent } from "./grouping.ts";
import type { NotificationRules } from "./rules.ts";

/** Has the worker of a notifier deliver events. */
export type Deliver = (
  notifier: string,
  events: readonly EventRecord[],
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<void>;

export interface NotificationsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter | undefined;
  readonly resolvedBy: ResolvedBy;
  readonly deliver: Deliver;
  /** Called when {@linkcode Notifications.active} changes; before the first delivery of a notifier. */
  readonly onActive?: (() => void) | undefined;
  /** Whether what an event is about is in the config; everything is by default. */
  readonly isConfigured?: ((record: EventRecord) => boolean) | undefined;
  /** What is added to the fields of each event: the name of the host. */
  readonly host: () => string | undefined;
}

/** How long one delivery may take. */
const DELIVERY_TIMEOUT_MS = 10_000;
/** So many events are remembered until the first config names the notifiers. */
const EARLY_MAX = 1_000;
/** A notifier stays active for so long after its last delivery: longer than the longest wait for a retry. */
const IDLE_MS = 600_000;
/** How long a process that ends tries to deliver what waits. */
const LAST_DEADLINE_MS = 2_000;

/** One notifier that runs. */
interface Running {
  rules: NotificationRules;
  grouping: Grouping;
  readonly controller: AbortController;
  /** Ends the wait for what is due. */
  wake: () => void;
  readonly done: Promise<void>;
  /** Events that were dropped since this was last logged. */
  dropped: number;
}

/**
 * Brings events to the notifiers of the config: grouped, bounded, tried again.
 * An event is taken without waiting, and what cannot be delivered holds up nobody.
 */
export class Notifications implements AsyncDisposable {
  readonly #options: NotificationsOptions;
  readonly #running = new Map<string, Running>();
  /** The active notifiers, and what cancels the timer that ends it. */
  readonly #active = new Map<string, () => void>();
  /** What came before the first config, of a start whose findings are logged once. */
  #early: EventRecord[] | undefined = [];

  constructor(options: NotificationsOptions) {
    this.#options = options;
  }

  /** The notifiers that deliver events, or have done so within ten minutes: only these need a worker. */
  get active(): ReadonlySet<string> {
    return new Set(this.#active.keys());
  }

  /** Takes the notifiers of a config, whole, and ends the states of what is not in the config any more. */
  apply(wanted: ReadonlyMap<string, NotificationRules>): void {
    for (const [name, running] of this.#running) {
      if (wanted.has(name)) continue;
      this.#running.delete(name);
      running.controller.abort();
      this.#active.get(name)?.();
      this.#active.delete(name);
    }
    for (const [name, rules] of wanted) {
      const running = this.#running.get(name);
      if (running === undefined) this.#running.set(name, this.#begin(name, rules));
      else {
        running.rules = rules;
        running.wake();
      }
    }
    const early = this.#early;
    this.#early = undefined;
    for (const record of early ?? []) this.hear(record);
    this.#endObsolete();
  }

  /** Takes an event. */
  hear(record: EventRecord): void {
    // What is said of notifiers would come back for ever.
    if (record.event.startsWith("notifier.")) return;
    if (typeof record.fields.worker === "string" && record.fields.worker.startsWith("notifier ")) return;
    if (this.#early !== undefined && this.#early.length < EARLY_MAX) this.#early.push(record);
    const { clock, meter = UNMETERED, host, resolvedBy } = this.#options;
    const name = host();
    const named = name === undefined ? record : { ...record, fields: { ...record.fields, host: name } };
    for (const [notifier, running] of this.#running) {
      const nowMs = clock.now();
      const { grouping, isDropped } = takeEvent(running.grouping, named, { rules: running.rules, resolvedBy, nowMs });
      running.grouping = grouping;
      if (isDropped) {
        running.dropped++;
        meter.count("lighthouse_notifications_total", { notifier, result: "dropped" });
      } else running.wake();
    }
  }

  /** Logs the end of each state that no event would end; the log is heard here, too. */
  #endObsolete(): void {
    const { log, isConfigured = () => true } = this.#options;
    const states = [...this.#running.values()].flatMap(({ grouping }) => statesOf(grouping));
    const logged = new Set<string>();
    for (const state of states.filter((each) => !isConfigured(each))) {
      const { worker, balancer, cluster, source, service, check } = state.fields;
      const at = {
        of: state.event,
        ...worker !== undefined && { worker },
        ...balancer !== undefined && { balancer },
        ...cluster !== undefined && { cluster },
        ...source !== undefined && { source },
        ...service !== undefined && { service },
        ...check !== undefined && { check },
      };
      // Several notifiers have it.
      const key = JSON.stringify(at);
      if (logged.has(key)) continue;
      logged.add(key);
      log.info("Object removed from config; alert closed", { event: "config.obsolete", ...at });
    }
  }

  /** Ends; what waits is tried once more, for a moment. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { clock } = this.#options;
    using late = deadline(LAST_DEADLINE_MS, { clock });
    await Promise.all([...this.#running].map(async ([name, running]) => {
      running.controller.abort();
      await running.done;
      for (;;) {
        const { grouping, events } = takeDue(running.grouping, {
          rules: running.rules,
          nowMs: clock.now(),
          isEnding: true,
        });
        running.grouping = grouping;
        if (events.length === 0 || late.signal.aborted) return;
        if (!await this.#try(name, events, late.signal, LAST_DEADLINE_MS).then(() => true, () => false)) return;
      }
    }));
    this.#running.clear();
    for (const cancel of this.#active.values()) cancel();
    this.#active.clear();
  }

  #begin(name: string, rules: NotificationRules): Running {
    const controller = new AbortController();
    const { promise: started, resolve: start } = Promise.withResolvers<void>();
    const running: Running = {
      rules,
      grouping: NO_GROUPS,
      controller,
      wake() {},
      dropped: 0,
      done: started.then(() => this.#run(name, running, controller.signal)).catch(() => {}),
    };
    // One listener for its life: `wake` is another function at each wait.
    controller.signal.addEventListener("abort", () => running.wake(), { once: true });
    start();
    return running;
  }

  async #run(name: string, running: Running, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const { grouping, events } = takeDue(running.grouping, { rules: running.rules, nowMs: clock.now() });
      running.grouping = grouping;
      if (events.length > 0) {
        await this.#deliver(name, running, events, signal);
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      running.wake = resolve;
      const dueMs = nextDueMs(running.grouping, running.rules);
      const cancel = dueMs === Infinity ? () => {} : clock.after(Math.max(0, dueMs - clock.now()), resolve);
      await promise;
      cancel();
    }
  }

  /** Delivers events until they are; what was not delivered when the signal is aborted waits again. */
  async #deliver(
    name: string,
    running: Running,
    events: readonly EventRecord[],
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, random, log, meter = UNMETERED } = this.#options;
    for (let rest = events, attempt = 0, batching = WHOLE; rest.length > 0;) {
      const batch = rest.slice(0, batching.size);
      try {
        await this.#try(name, batch, signal, DELIVERY_TIMEOUT_MS);
        rest = rest.slice(batch.length);
        batching = WHOLE;
        if (attempt > 0 || running.dropped > 0) {
          log.info("Notifier recovered", {
            event: "notifier.delivered",
            notifier: name,
            dropped: running.dropped,
          });
          running.dropped = 0;
        }
        attempt = 0;
      } catch (error) {
        if (signal.aborted) return putBack(running, rest, clock.now());
        const reason = error instanceof Error ? error.message : String(error);
        const after = afterFailure(batching, { count: batch.length, reason });
        batching = after.batching;
        if (after.isDropped) {
          [rest, attempt] = [rest.slice(1), 0];
          running.dropped++;
          meter.count("lighthouse_notifications_total", { notifier: name, result: "dropped" });
          log.warn("Notifier rejected an event; event dropped", { event: "notifier.failed", notifier: name, reason });
          continue;
        }
        const waitMs = Math.round(backoffMs(attempt++, after.backoff, random));
        log[attempt === 1 ? "warn" : "debug"]("Notifier cannot deliver; retrying", {
          event: "notifier.failed",
          notifier: name,
          reason,
          waitMs,
        });
        await delay(waitMs, { clock, signal }).catch(() => {});
        if (signal.aborted) return putBack(running, rest, clock.now());
      }
    }
  }

  async #try(name: string, events: readonly EventRecord[], signal: AbortSignal, timeoutMs: number): Promise<void> {
    const { meter = UNMETERED, deliver } = this.#options;
    this.#activate(name);
    try {
      await deliver(name, events, { timeoutMs, signal });
      meter.count("lighthouse_notifications_total", { notifier: name, result: "delivered" }, events.length);
    } catch (error) {
      if (!signal.aborted) meter.count("lighthouse_notifications_total", { notifier: name, result: "failed" });
      throw error;
    } finally {
      this.#idleLater(name);
    }
  }

  #activate(name: string): void {
    const cancel = this.#active.get(name);
    cancel?.();
    this.#active.set(name, () => {});
    if (cancel === undefined) this.#options.onActive?.();
  }

  /** Ends the activity later, unless there is another delivery. */
  #idleLater(name: string): void {
    // The notifier may have been removed meanwhile.
    if (!this.#active.has(name)) return;
    const end = () => {
      this.#active.delete(name);
      this.#options.onActive?.();
    };
    this.#active.set(name, this.#options.clock.after(IDLE_MS, end));
  }
}

/** Events that were taken and not delivered come first when the process ends. */
function putBack(running: Running, events: readonly EventRecord[], nowMs: number): void {
  const key = "undelivered";
  const group = { pending: events, sentMs: undefined, sinceMs: nowMs, open: new Map() };
  running.grouping = {
    groups: new Map([[key, group], ...running.grouping.groups]),
    waiting: running.grouping.waiting + events.length,
  };
}
