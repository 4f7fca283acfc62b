import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { Gate } from "../kernel/gate.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { countOwnThreads } from "../system/processes.ts";
import type { Answer, Request, ToWorker } from "../protocol/messages.ts";
import { HEARTBEAT_OPTIONS, type HeartbeatOptions } from "./heartbeat.ts";
import { joinPermissions, toDenoPermissions } from "./permissions.ts";
import { liveWorkerCount, PluginHost, WorkerDeadError, type WorkerEvent } from "./plugin_host.ts";
import { type Action, reconcile, type WorkerSpec } from "./reconcile.ts";

/** Workers that boot together; a boot keeps one core busy for some 13 ms. */
const BOOTS_AT_ONCE_MAX = 4;
/** How long a worker may take to load its plugin and start its instances. */
const BOOT_DEADLINE_MS = 10_000;
/** How long a new discovery worker may take to reach its registry before the old one is stopped all the same. */
const FIRST_WORD_DEADLINE_MS = 30_000;
/** How long a stopping worker may take to close what it has open. */
const STOP_GRACE_MS = 2_000;
/** A worker that lived this long before it died starts its backoff anew. */
const PROVEN_MS = 60_000;
/** How long a terminated worker's thread may take to be gone. */
const THREAD_END_MS = 2_000;
/** The waits between restarts of a worker that dies. */
const RESTART_BACKOFF = { firstMs: 500, maxMs: 30_000 };

/** What the fleet tells its owner. */
export interface FleetEvents {
  /** A worker said something without being asked. Called in order, never concurrently. */
  onEvent(key: string, event: WorkerEvent): void;
  /**
   * A worker took up its service, for the first time or in place of another.
   * The one that it replaces is stopped once the answer resolves.
   */
  onReady(key: string): Promise<void> | void;
  /** A worker died; another will be started. */
  onDown(key: string, reason: string): void;
  /** The number of threads that could not be stopped has changed. */
  onStuck(threads: number): void;
}

/** What a fleet is made of. */
export interface FleetOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly events: FleetEvents;
  /** How the lives of workers are watched. */
  readonly heartbeat?: HeartbeatOptions;
}

interface Member {
  spec: WorkerSpec;
  /** The host in service; `undefined` while none is. */
  host: PluginHost | undefined;
  /** Why there is none. */
  down: string;
  /** Aborted when the spec changes or the member is removed. */
  readonly controller: AbortController;
}

/**
 * All workers of this process, kept as they are wanted: started, replaced
 * (make before break), restarted with backoff when they die, stopped.
 */
export class Fleet implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #events: FleetEvents;
  readonly #heartbeat: HeartbeatOptions;
  readonly #gate = new Gate(BOOTS_AT_ONCE_MAX);
  readonly #members = new Map<string, Member>();
  /** The member that serves an instance. */
  readonly #serving = new Map<string, Member>();
  readonly #ending = new Set<Promise<void>>();
  #lastEndMs = 0;
  #cancelCount: (() => void) | undefined;
  #stuck = 0;
  #closed = false;

  constructor({ clock, random, log, events, heartbeat = HEARTBEAT_OPTIONS }: FleetOptions) {
    [this.#clock, this.#random, this.#log, this.#events] = [clock, random, log, events];
    this.#heartbeat = heartbeat;
  }

  /** Threads of workers that were terminated and run on all the same. */
  get stuckThreads(): number {
    return this.#stuck;
  }

  /** The keys of the workers wanted, and why each that is not in service is not. */
  get status(): ReadonlyMap<string, "serving" | string> {
    return new Map([...this.#members].map(([key, { host, down }]) => [key, host === undefined ? down : "serving"]));
  }

  /** Takes a new wish, whole. Returns at once; what it takes is done in the background. */
  apply(wanted: readonly WorkerSpec[]): void {
    if (this.#closed) return;
    const running = new Map([...this.#members].map(([key, { spec }]) => [key, spec]));
    for (const action of reconcile(wanted, running)) this.#act(action);
  }

  /** Asks the worker that serves an instance; throws {@linkcode WorkerDeadError} while none does. */
  call(instance: string, request: Request, options: { deadlineMs: number; signal?: AbortSignal }): Promise<Answer> {
    const member = this.#serving.get(instance);
    if (member?.host === undefined) {
      return Promise.reject(new WorkerDeadError(member?.down ?? "Its worker is not started yet"));
    }
    return member.host.call(request, options);
  }

  /** Says something to the worker that serves an instance; lost while none does. */
  post(instance: string, message: ToWorker): void {
    this.#serving.get(instance)?.host?.post(message);
  }

  /** Stops all workers, each within its grace. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const key of [...this.#members.keys()]) this.#act({ do: "stop", key });
    await Promise.allSettled([...this.#ending]);
    this.#cancelCount?.();
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
    const member: Member = { spec, host: undefined, down: "It is starting", controller: new AbortController() };
    this.#members.set(spec.key, member);
    this.#track(this.#keep(member, old));
  }

  /** Keeps one member in service until it is replaced or removed. */
  async #keep(member: Member, old: Member | undefined): Promise<void> {
    const { signal } = member.controller;
    const { key } = member.spec;
    let predecessor = old;
    for (let attempt = 0; !signal.aborted;) {
      const death = Promise.withResolvers<string>();
      const bornMs = this.#clock.now();
      try {
        const host = await this.#gate.run(() => this.#boot(member, death, signal, predecessor !== undefined));
        member.host = host;
        for (const { id } of member.spec.instances) this.#serving.set(id, member);
        this.#log.debug("Worker is in service", { worker: key, bootMs: Math.round(this.#clock.now() - bornMs) });
        await this.#events.onReady(key);
        // Make before break: only now is the one before it let go.
        if (predecessor !== undefined) this.#retire(predecessor);
        predecessor = undefined;
        member.down = await abortable(death.promise, signal);
      } catch (error) {
        if (signal.aborted) break;
        member.down = error instanceof Error ? error.message : String(error);
      }
      const died = member.host;
      member.host = undefined;
      if (died !== undefined) this.#end(died);
      this.#events.onDown(key, member.down);
      if (this.#clock.now() - bornMs > PROVEN_MS) attempt = 0;
      const waitMs = Math.round(backoffMs(attempt++, RESTART_BACKOFF, this.#random));
      this.#log.warn("Worker ended; starting another", { worker: key, reason: member.down, waitMs, attempt });
      await delay(waitMs, { clock: this.#clock, signal }).catch(() => {});
    }
    // Removed while the new one had not come up: the one that it was to replace goes too.
    if (predecessor !== undefined) this.#retire(predecessor);
  }

  async #boot(
    member: Member,
    death: PromiseWithResolvers<string>,
    signal: AbortSignal,
    replaces: boolean,
  ): Promise<PluginHost> {
    signal.throwIfAborted();
    const { key, module, kind, instances } = member.spec;
    const connected = Promise.withResolvers<void>();
    const host = new PluginHost({
      name: key,
      module,
      permissions: toDenoPermissions(joinPermissions(instances.map(({ granted }) => granted))),
      clock: this.#clock,
      heartbeat: this.#heartbeat,
      onEvent: (event) => {
        if (event.type === "connection" && event.state === "connected") connected.resolve();
        // A session that is over is opened again in a new worker: one way for both ends.
        if (event.type === "ended") death.resolve(`Its session ended: ${event.reason}`);
        // While another worker still serves in its place, what a new one says is not news yet.
        if (member.host === host || !replaces) this.#events.onEvent(key, event);
      },
      onDeath: (reason) => death.resolve(reason),
      onRefused: (reason) => this.#log.warn("Refused what a worker said", { worker: key, reason }),
    });
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(BOOT_DEADLINE_MS)]);
      await abortable(host.loaded(), bounded);
      for (const { id, config, scope } of instances) {
        await host.call({ type: "start", instance: id, config, scope }, {
          deadlineMs: BOOT_DEADLINE_MS,
          signal: bounded,
        });
      }
      if (kind === "discovery" && replaces) {
        // The new connection's first good word is that it reached its registry.
        const timeout = AbortSignal.any([signal, AbortSignal.timeout(FIRST_WORD_DEADLINE_MS)]);
        await abortable(Promise.race([connected.promise, death.promise]), timeout).catch(() => signal.throwIfAborted());
      }
      if (host.dead !== undefined) throw new WorkerDeadError(host.dead);
      return host;
    } catch (error) {
      this.#end(host);
      throw error;
    }
  }

  /** Takes a member out of service and ends its worker in the background. */
  #retire(member: Member): void {
    member.controller.abort();
    const { host } = member;
    member.host = undefined;
    member.down = "It was stopped";
    for (const { id } of member.spec.instances) {
      if (this.#serving.get(id) === member) this.#serving.delete(id);
    }
    if (host !== undefined) this.#end(host);
  }

  #end(host: PluginHost): void {
    this.#track(host.stop({ graceMs: STOP_GRACE_MS }).then(() => this.#noteEnd()));
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#ending.delete(tracked));
    this.#ending.add(tracked);
  }

  /** Counts the threads a while after the last worker ended: what is left over could not be stopped. */
  #noteEnd(): void {
    this.#lastEndMs = this.#clock.now();
    if (this.#closed) return;
    this.#cancelCount ??= this.#clock.after(THREAD_END_MS, () => {
      this.#cancelCount = undefined;
      this.#track(this.#countThreads());
    });
  }

  async #countThreads(): Promise<void> {
    const [endMs, live] = [this.#lastEndMs, liveWorkerCount()];
    if (this.#clock.now() - endMs < THREAD_END_MS / 2) return this.#noteEnd();
    let threads: number | undefined;
    try {
      threads = await countOwnThreads(/^worker-[0-9]+$/);
    } catch (error) {
      return this.#log.debug("Could not count threads", { reason: String(error) });
    }
    // What came or went while counting makes the count worthless.
    if (endMs !== this.#lastEndMs || live !== liveWorkerCount()) return this.#noteEnd();
    const stuck = threads === undefined ? 0 : Math.max(0, threads - live);
    if (stuck === this.#stuck) return;
    this.#stuck = stuck;
    this.#events.onStuck(stuck);
  }
}

/** Waits for a promise, but no longer than the signal lets it. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener("abort", abort));
}
