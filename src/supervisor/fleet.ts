import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { Gate } from "../kernel/gate.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { abortable } from "../kernel/within.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { KeysFacts } from "../plugin/contract.ts";
import type { Answer, Request, ToWorker } from "../protocol/messages.ts";
import { countOwnThreads } from "../system/processes.ts";
import { ThreadCensus } from "./census.ts";
import { bootCrew, type Crew } from "./crew.ts";
import { Hangs } from "./hangs.ts";
import { HEARTBEAT_OPTIONS, type HeartbeatOptions } from "./plugin_host.ts";
import {
  liveWorkerCount,
  type PluginHost,
  WorkerDeadError,
  WorkerDeadlineError,
  type WorkerEvent,
} from "./plugin_host.ts";
import { type StartThread, startThread } from "./thread.ts";
import { type Action, reconcile, type WorkerSpec } from "./reconcile.ts";
import { type Files, greediest, type Holder, isShort, NoRoomError, openMax, ownRoom, type Room } from "./room.ts";

/** Workers that start at the same time; a start keeps one core busy for some 13 ms. */
const BOOTS_AT_ONCE_MAX = 4;
/** How long a stopping worker may take to close what it has open. */
const STOP_GRACE_MS = 2_000;
/** A worker that served this long resets its restart backoff. */
const PROVEN_MS = 60_000;
/** The backoff between restarts of a worker that dies. */
const RESTART_BACKOFF = { firstMs: 500, maxMs: 30_000 };
/** Interval of checks whether a hung worker may run again. */
const HUNG_LOOK_MS = 1_000;
/** Interval of counts of the process's open files. */
const ROOM_LOOK_MS = 10_000;
/** How long a worker may take to report how many files its plugin has open. */
const HOLDER_DEADLINE_MS = 1_000;

/** What the fleet reports to its owner. */
export interface FleetEvents {
  /**
   * An event of the worker in service. Called in order, never concurrently. Events of a worker that is
   * to replace another, or is being replaced, are not passed on, except log records.
   */
  onEvent(key: string, event: WorkerEvent): void;
  /**
   * A worker entered service: for the first time, in place of another, or again because that one has
   * ended. The replaced one is stopped once the returned promise resolves.
   */
  onReady(key: string): Promise<void> | void;
  /** No worker is in service any more; another will be started. */
  onDown(key: string, reason: string): void;
  /** The number of stuck threads has changed. */
  onStuck(threads: number): void;
}

export interface FleetOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter;
  readonly events: FleetEvents;
  /** Heartbeat settings of the workers. */
  readonly heartbeat?: HeartbeatOptions;
  /** The source of worker threads: this process, or a simulation. */
  readonly threads?: Threads | undefined;
}

/** A source of threads, and their number. */
export interface Threads {
  readonly start: StartThread;
  /** Counts the worker threads; `undefined` where that is not possible. */
  readonly count: () => Promise<number | undefined>;
  /** The open files that they share; without it there is no limit. */
  readonly room?: Room;
}

/** Web Workers, counted by the kernel. */
const OWN_THREADS: Threads = { start: startThread, count: () => countOwnThreads(/^worker-[0-9]+$/), room: ownRoom };

/** State of a worker. */
export interface WorkerReport {
  /** Why no worker is in service; `undefined` while one is. */
  readonly down: string | undefined;
  /** Since when, in milliseconds of the fleet's clock. A worker that soon died again does not count. */
  readonly sinceMs: number;
  /** Why the worker in service has the previous config, and since when; `undefined` if it has the current one. */
  readonly outdated?: { readonly reason: string; readonly sinceMs: number };
}

interface Member {
  readonly spec: WorkerSpec;
  /** The worker in service, or about to be replaced; `undefined` while there is none. */
  crew: Crew | undefined;
  /** Why there is none. */
  down: string;
  /** Since when there has been none, or none that lasted. */
  downSinceMs: number;
  /** When the current one entered service. */
  servesSinceMs: number;
  /** The member that serves until this one does. */
  replaced: Member | undefined;
  /** Whether it was logged that a worker of its key fails, ended, or cannot replace another: its next start is news. */
  isFaultLogged: boolean;
  /** Whether a successor serves in its place: it waits to be stopped, and starts no further worker. */
  isSuperseded: boolean;
  /** Resolves when its first worker is in service, or could not be started. */
  readonly tried: PromiseWithResolvers<void>;
  /** Aborted when the member is replaced or removed. */
  readonly controller: AbortController;
}

/**
 * All workers of this process, kept in the desired state: started, replaced (make before break),
 * restarted with backoff when they die, stopped.
 */
export class Fleet implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #meter: Meter;
  readonly #events: FleetEvents;
  readonly #heartbeat: HeartbeatOptions;
  readonly #threads: Threads;
  readonly #gate = new Gate(BOOTS_AT_ONCE_MAX);
  readonly #members = new Map<string, Member>();
  /** The member that serves an instance, or the first that will. */
  readonly #serving = new Map<string, Member>();
  readonly #ending = new Set<Promise<void>>();
  /** The last stop of a worker of each third-party plugin: until it is over, it is unknown whether the plugin hangs. */
  readonly #stopping = new Map<string, Promise<void>>();
  #census: ThreadCensus | undefined;
  /** Stops the counts of open files. */
  readonly #roomLooks = new AbortController();
  /** What hung, and is not run again while its thread keeps running: a plugin's module, or a worker's key. */
  readonly hangs: Hangs;
  #closed = false;
  #isAbandoned = false;

  constructor(options: FleetOptions) {
    const { clock, random, log, events, heartbeat = HEARTBEAT_OPTIONS, threads = OWN_THREADS } = options;
    this.#meter = options.meter ?? UNMETERED;
    [this.#clock, this.#random, this.#log, this.#events] = [clock, random, log, events];
    [this.#heartbeat, this.#threads] = [heartbeat, threads];
    const census = () => this.#census;
    this.hangs = new Hangs({
      clock,
      threads: {
        get count() {
          return census()?.stuck ?? 0;
        },
        get ends() {
          return census()?.ends ?? 0;
        },
        get settledEnds() {
          return census()?.settledEnds ?? 0;
        },
        ended: () => this.noteEnd(),
      },
    });
  }

  /** Number of stuck worker threads. */
  get stuckThreads(): number {
    return this.#census?.stuck ?? 0;
  }

  /** The process's open files at the last count; `undefined` where they cannot be counted. */
  get openFiles(): Files | undefined {
    return this.#threads.room?.inUse;
  }

  /** Records that other code has terminated a worker: its thread is counted. */
  noteEnd(): void {
    if (!this.#closed) this.#countThreads().noteEnd();
  }

  /** The keys of the desired workers, and why each that is not in service is not. */
  get status(): ReadonlyMap<string, "serving" | string> {
    return new Map(
      [...this.#members].map(([key, member]) => {
        const serves = member.crew !== undefined || member.replaced?.crew !== undefined;
        return [key, serves ? "serving" : member.down];
      }),
    );
  }

  /** State of each desired worker, by key. */
  get workers(): ReadonlyMap<string, WorkerReport> {
    return new Map(
      [...this.#members].map(([key, member]): [string, WorkerReport] => {
        const serving = [member, member.replaced].find((each) => each?.crew !== undefined);
        if (serving === undefined) return [key, { down: member.down, sinceMs: member.downSinceMs }];
        const report = { down: undefined, sinceMs: serving.servesSinceMs };
        if (serving === member) return [key, report];
        return [key, { ...report, outdated: { reason: member.down, sinceMs: member.downSinceMs } }];
      }),
    );
  }

  /** Sets the complete desired state. Returns at once; changes are applied in the background. */
  apply(wanted: readonly WorkerSpec[]): void {
    if (this.#closed) return;
    if (this.#census === undefined && this.#threads.room !== undefined) this.#track(this.#keepRoom(this.#threads.room));
    this.#countThreads();
    const running = new Map([...this.#members].map(([key, { spec }]) => [key, spec]));
    // If there is not room for all: registries first, as others depend on them, and built-in plugins.
    const ordered = wanted.toSorted((a, b) => rank(a) - rank(b));
    for (const action of reconcile(ordered, running)) this.#act(action);
    // A call to an instance that nobody serves yet waits for the worker that will.
    for (const member of this.#members.values()) {
      for (const { id } of member.spec.instances) if (!this.#serving.has(id)) this.#serving.set(id, member);
    }
  }

  /**
   * Calls the worker that serves an instance. If it is still starting for the first time, waits for
   * it, and the deadline starts then; if it is replaced meanwhile, its successor answers. Throws
   * {@linkcode WorkerDeadError} while none serves, and what {@linkcode PluginHost.call} throws.
   */
  async call(
    instance: string,
    request: Request,
    options: { deadlineMs: number; signal?: AbortSignal },
  ): Promise<Answer> {
    for (;;) {
      const member = this.#serving.get(instance);
      if (member === undefined) throw new WorkerDeadError("not configured");
      if (member.crew === undefined) {
        await (options.signal === undefined ? member.tried.promise : abortable(member.tried.promise, options.signal));
        if (this.#serving.get(instance) !== member) continue;
      }
      const host = member.crew?.host;
      if (host === undefined) throw new WorkerDeadError(member.down);
      try {
        return await host.call(request, options);
      } catch (error) {
        const next = this.#serving.get(instance);
        const isReplaced = next !== undefined && (next !== member || (next.crew?.host ?? host) !== host);
        if (!(error instanceof WorkerDeadError) || !isReplaced) throw error;
      }
    }
  }

  /** Sends a message to the worker that serves an instance; lost while none does. */
  post(instance: string, message: ToWorker): void {
    this.#serving.get(instance)?.crew?.host.post(message);
  }

  /**
   * Follows the keys under a prefix, in the worker that serves an instance. Throws {@linkcode WorkerDeadError} while none
   * serves, and what {@linkcode PluginHost.keys} throws.
   */
  async *keys(instance: string, prefix: string, signal: AbortSignal): AsyncGenerator<KeysFacts, void, void> {
    const member = this.#serving.get(instance);
    if (member === undefined) throw new WorkerDeadError("not configured");
    if (member.crew === undefined) await abortable(member.tried.promise, signal);
    const host = this.#serving.get(instance)?.crew?.host;
    if (host === undefined) throw new WorkerDeadError(member.down);
    yield* host.keys(prefix, signal);
  }

  /**
   * Terminates all workers without closing anything: a registry keeps their registrations until the
   * silent session times out, so that a successor can take over.
   */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this[Symbol.asyncDispose]();
  }

  /** Stops all workers, each within its grace period. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#roomLooks.abort();
    for (const key of [...this.#members.keys()]) this.#act({ do: "stop", key });
    // What ends may end something itself.
    while (this.#ending.size > 0) await Promise.allSettled([...this.#ending]);
    await this.#census?.[Symbol.asyncDispose]();
  }

  #countThreads(): ThreadCensus {
    return this.#census ??= new ThreadCensus({
      clock: this.#clock,
      log: this.#log,
      countThreads: this.#threads.count,
      countLive: liveWorkerCount,
      onStuck: (threads) => {
        // First, as the owner may end the process.
        this.hangs.confirm();
        this.#events.onStuck(threads);
      },
    });
  }

  /** Counts the open files regularly, and ends the workers of a plugin that leaves none to others. */
  async #keepRoom(room: Room): Promise<void> {
    const { signal } = this.#roomLooks;
    while (!signal.aborted) {
      await delay(ROOM_LOOK_MS, { clock: this.#clock, signal }).catch(() => {});
      if (signal.aborted) return;
      await room.count();
      const { inUse: files } = room;
      // Usually the count alone shows that nothing has to be asked.
      if (files === undefined || !isShort(files)) continue;
      for (const { worker, open } of greediest(files, await this.#holders(files.limit))) {
        const reason = "too many open files: " +
          `the worker held ${open} of the process limit of ${files.limit} file descriptors`;
        this.#log.error("Plugin has too many open files; worker stopped", {
          event: "worker.greedy",
          worker: worker.name,
          open,
          limit: files.limit,
        });
        worker.kill(reason);
      }
    }
  }

  /** Asks the workers of third-party plugins for the number of files that each holds. */
  async #holders(limit: number): Promise<readonly Holder<PluginHost>[]> {
    const foreign = [...this.#members.values()].flatMap(({ spec, crew }) =>
      crew !== undefined && isForeign(spec) ? [{ spec, worker: crew.host }] : []
    );
    return await Promise.all(foreign.map(async ({ spec: { kind, module }, worker }) => {
      const request = { type: "ping" } as const;
      const answer = await worker.call(request, { deadlineMs: HOLDER_DEADLINE_MS }).catch(() => undefined);
      const open = answer?.type === "pong" ? answer.open : undefined;
      // A worker that does not answer counts with its maximum.
      return { worker, module, open: open ?? openMax(limit, kind === "discovery") };
    }));
  }

  #act(action: Action): void {
    if (action.do === "stop") {
      const member = this.#members.get(action.key);
      this.#members.delete(action.key);
      if (member !== undefined) this.#retire(member);
      return;
    }
    const { spec } = action;
    const old = this.#members.get(spec.key);
    const member: Member = {
      spec,
      crew: undefined,
      down: "starting",
      downSinceMs: old === undefined || old.crew !== undefined ? this.#clock.now() : old.downSinceMs,
      servesSinceMs: this.#clock.now(),
      // A member that never started leaves its place, and what it was to replace, to the new one.
      replaced: old?.crew === undefined ? old?.replaced : old,
      isFaultLogged: old?.isFaultLogged ?? false,
      isSuperseded: false,
      tried: Promise.withResolvers(),
      controller: new AbortController(),
    };
    if (old !== undefined && old.crew === undefined) {
      old.replaced = undefined;
      this.#retire(old);
    }
    this.#members.set(spec.key, member);
    this.#track(this.#keep(member));
  }

  /** Keeps one member in service until it is replaced or removed. */
  async #keep(member: Member): Promise<void> {
    const { signal } = member.controller;
    const { key, kind } = member.spec;
    let wasFull = false;
    for (let attempt = 0; !signal.aborted && !member.isSuperseded;) {
      await this.#stopping.get(hangKey(member.spec));
      if (signal.aborted || member.isSuperseded) break;
      const bornMs = this.#clock.now();
      const refusal = this.hangs.refusal(hangKey(member.spec));
      if (refusal !== undefined) {
        if (refusal.isForGood && member.down !== refusal.reason) {
          this.#log.error("Worker thread stuck; not restarted", {
            event: "worker.kept_out",
            worker: key,
            reason: refusal.reason,
          });
        }
        member.down = refusal.reason;
        member.tried.resolve();
        await delay(HUNG_LOOK_MS, { clock: this.#clock, signal }).catch(() => {});
        continue;
      }
      let isReady = false;
      let isHung = false;
      let isFull = false;
      try {
        const crew = await this.#launch(member);
        if (signal.aborted || member.isSuperseded) {
          this.#dismiss(member.spec, crew);
          break;
        }
        this.#serve(member, crew);
        this.#meter.count("lighthouse_worker_boots_total", { kind, result: "ok" });
        const bootSeconds = (this.#clock.now() - bornMs) / 1_000;
        this.#meter.observe("lighthouse_worker_boot_duration_seconds", { kind }, bootSeconds);
        // A first start is not news; the end of an outage is.
        this.#log[member.isFaultLogged ? "info" : "debug"]("Worker in service", {
          event: "worker.started",
          worker: key,
          bootMs: Math.round(this.#clock.now() - bornMs),
        });
        const ready = Promise.try(() => this.#events.onReady(key)).then(() => undefined);
        const early = await abortable(Promise.race([ready, crew.death]), signal);
        if (early !== undefined) throw new WorkerDeadError(early);
        isReady = true;
        // Make before break: the previous worker ends only now.
        if (member.replaced !== undefined) this.#retire(member.replaced);
        member.replaced = undefined;
        member.isFaultLogged = false;
        member.down = await abortable(crew.death, signal);
      } catch (error) {
        if (signal.aborted) break;
        isHung = error instanceof WorkerDeadlineError;
        isFull = error instanceof NoRoomError;
        member.down = error instanceof Error ? error.message : String(error);
      }
      const { crew } = member;
      member.crew = undefined;
      if (crew === undefined) this.#meter.count("lighthouse_worker_boots_total", { kind, result: "error" });
      else this.#meter.count("lighthouse_worker_restarts_total", { worker: key });
      if (isHung) this.hangs.note(hangKey(member.spec), member.down ?? "no response");
      if (crew !== undefined) this.#dismiss(member.spec, crew);
      member.tried.resolve();
      if (member.isSuperseded) break;
      if (isReady && this.#clock.now() - bornMs > PROVEN_MS) [attempt, member.downSinceMs] = [0, this.#clock.now()];
      const waitMs = Math.round(backoffMs(attempt++, RESTART_BACKOFF, this.#random));
      const at = { worker: key, reason: member.down, waitMs, attempt };
      member.isFaultLogged = true;
      if (this.#fallBack(member)) {
        this.#log.warn("Cannot replace a worker; the previous one stays in service", {
          event: "worker.replace_failed",
          ...at,
        });
      } else {
        if (isReady) this.#log.warn("Worker ended; starting another", { event: "worker.ended", ...at });
        else {
          // A worker that waits for room is one log line, not one per attempt.
          const level = isFull && wasFull ? "debug" : "warn";
          this.#log[level]("Cannot start a worker; retrying", { event: "worker.start_failed", ...at });
        }
        this.#events.onDown(key, member.down);
      }
      wasFull = isFull;
      await delay(waitMs, { clock: this.#clock, signal }).catch(() => {});
    }
    member.tried.resolve();
    if (member.replaced !== undefined) this.#retire(member.replaced);
  }

  /** Puts a worker into service. The previous one is kept, silent, until the new one has proven itself. */
  #serve(member: Member, crew: Crew): void {
    const { replaced } = member;
    if (replaced !== undefined) {
      replaced.isSuperseded = true;
      replaced.crew?.voice.hold();
    }
    [member.crew, member.servesSinceMs] = [crew, this.#clock.now()];
    for (const { id } of member.spec.instances) this.#serving.set(id, member);
    member.tried.resolve();
    crew.voice.speak();
  }

  /** Puts the previous worker back into service if it still exists; returns whether somebody serves. */
  #fallBack(member: Member): boolean {
    const { replaced } = member;
    if (replaced === undefined) return false;
    if (!replaced.isSuperseded) return replaced.crew !== undefined;
    if (replaced.crew === undefined) {
      // It died while it was superseded, and is not restarted.
      this.#retire(replaced);
      member.replaced = undefined;
      return false;
    }
    replaced.isSuperseded = false;
    for (const { id } of replaced.spec.instances) this.#serving.set(id, replaced);
    replaced.crew.voice.speak();
    // What it was to watch and to register meanwhile went to the worker that has ended.
    const { key } = replaced.spec;
    this.#track(Promise.try(() => this.#events.onReady(key)).then(() => undefined));
    return true;
  }

  /** Starts a worker and waits until it may enter service. */
  async #launch(member: Member): Promise<Crew> {
    const { signal } = member.controller;
    const { spec, replaced } = member;
    const { key } = spec;
    const crew = await this.#gate.run(async () => {
      await this.#threads.room?.prepare({ isForeign: isForeign(spec), isDiscovery: spec.kind === "discovery" });
      return await bootCrew(spec, {
        clock: this.#clock,
        log: this.#log,
        meter: this.#meter,
        heartbeat: this.#heartbeat,
        startThread: this.#threads.start,
        onEvent: (event) => this.#events.onEvent(key, event),
        dismiss: (crew) => this.#dismiss(spec, crew),
        signal,
      });
    });
    // Outside the gate: a slow registry takes no core of this machine.
    if (spec.kind !== "discovery" || replaced === undefined) return crew;
    const onUnreachable = (detail: string) => {
      member.isFaultLogged = true;
      member.down = `registry unreachable: ${detail}`;
      this.#log.warn("New registry connection failed; keeping the previous one", {
        event: "registry.replacement_unreachable",
        worker: key,
        detail,
      });
    };
    try {
      await crew.registry.awaitConnected({ death: crew.death, clock: this.#clock, signal, onUnreachable });
      return crew;
    } catch (error) {
      this.#dismiss(spec, crew);
      throw error;
    }
  }

  /** Takes a member, and what it was to replace, out of service and ends their workers in the background. */
  #retire(member: Member): void {
    member.controller.abort();
    const { crew, replaced } = member;
    member.crew = undefined;
    member.replaced = undefined;
    if (replaced !== undefined) this.#retire(replaced);
    member.down = "stopped";
    member.tried.resolve();
    for (const { id } of member.spec.instances) {
      if (this.#serving.get(id) === member) this.#serving.delete(id);
    }
    if (crew !== undefined) this.#dismiss(member.spec, crew);
  }

  /** Ends a worker in the background; its events are dropped. Records whether it hung while stopping. */
  #dismiss(spec: WorkerSpec, { host, voice }: Crew): void {
    voice.end();
    if (this.#isAbandoned) return host.cut();
    const key = hangKey(spec);
    const stopped = host.stop({ graceMs: STOP_GRACE_MS }).then(() => {
      if (host.fellSilent) this.hangs.note(key, host.dead ?? "no response");
      this.#census?.noteEnd();
      if (this.#stopping.get(key) === stopped) this.#stopping.delete(key);
    });
    if (isForeign(spec)) this.#stopping.set(key, stopped);
    this.#track(stopped);
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#ending.delete(tracked));
    this.#ending.add(tracked);
  }
}

/** What hangs together: all workers of a third-party plugin; of a built-in one, a single worker. */
function hangKey(spec: WorkerSpec): string {
  return isForeign(spec) ? spec.module : spec.key;
}

/** Whether a worker runs a third-party plugin. */
function isForeign({ module }: WorkerSpec): boolean {
  return module.startsWith("data:");
}

/** Start order of workers: registries before checks, and built-in plugins first. */
function rank(spec: WorkerSpec): number {
  return (isForeign(spec) ? 2 : 0) + (spec.kind === "discovery" ? 0 : 1);
}
