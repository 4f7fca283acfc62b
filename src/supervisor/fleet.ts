import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { Gate } from "../kernel/gate.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { abortable, within } from "../kernel/within.ts";
import { PLUGIN_API_VERSION } from "../plugin/contract.ts";
import type { Answer, Request, ToWorker } from "../protocol/messages.ts";
import { countOwnThreads } from "../system/processes.ts";
import { ThreadCensus } from "./census.ts";
import { Hangs } from "./hangs.ts";
import { HEARTBEAT_OPTIONS, type HeartbeatOptions } from "./heartbeat.ts";
import { joinPermissions, toDenoPermissions } from "./permissions.ts";
import { liveWorkerCount, PluginHost, WorkerDeadError, WorkerDeadlineError, type WorkerEvent } from "./plugin_host.ts";
import { type StartThread, startThread } from "./thread.ts";
import { type Action, reconcile, type WorkerSpec } from "./reconcile.ts";

/** Workers that boot together; a boot keeps one core busy for some 13 ms. */
const BOOTS_AT_ONCE_MAX = 4;
/** How long a worker may take to load its plugin and start its instances. */
const BOOT_DEADLINE_MS = 10_000;
/** How long a new discovery worker may say nothing of its registry before it takes over all the same. */
const FIRST_WORD_DEADLINE_MS = 30_000;
/** How long a stopping worker may take to close what it has open. */
const STOP_GRACE_MS = 2_000;
/** A worker that served this long before it died starts its backoff anew. */
const PROVEN_MS = 60_000;
/** The waits between restarts of a worker that dies. */
const RESTART_BACKOFF = { firstMs: 500, maxMs: 30_000 };
/** How often is looked whether what hung may run again. */
const HUNG_LOOK_MS = 1_000;
/** So much of what a worker says while it does not serve is kept: one state, and a snapshot of each cluster. */
const HELD_MAX = 2_000;

/** What the fleet tells its owner. */
export interface FleetEvents {
  /**
   * The worker in service said something without being asked. Called in
   * order, never concurrently. What one says that is to replace another, or
   * that is being replaced, is not told, but for its log.
   */
  onEvent(key: string, event: WorkerEvent): void;
  /**
   * A worker took up its service, for the first time or in place of another.
   * The one that it replaces is stopped once the answer resolves.
   */
  onReady(key: string): Promise<void> | void;
  /** No worker is in service any more; another will be started. */
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
  /** Where the workers' threads come from: this process, unless a simulation has others. */
  readonly threads?: Threads | undefined;
}

/** Where threads come from, and how many there are. */
export interface Threads {
  readonly start: StartThread;
  /** Counts the threads of workers that there are; `undefined` where that cannot be told. */
  readonly count: () => Promise<number | undefined>;
}

/** Web Workers, counted by what the kernel says. */
const OWN_THREADS: Threads = { start: startThread, count: () => countOwnThreads(/^worker-[0-9]+$/) };

/** A worker that is ready to serve, or does. */
interface Crew {
  readonly host: PluginHost;
  /** Holds back what it says while another worker serves. */
  readonly voice: Voice;
  /** Resolves with the reason when it cannot go on. */
  readonly death: Promise<string>;
}

interface Member {
  readonly spec: WorkerSpec;
  /** The worker in service, or about to be replaced; `undefined` while there is none. */
  crew: Crew | undefined;
  /** Why there is none. */
  down: string;
  /** The member that serves until this one does. */
  predecessor: Member | undefined;
  /** Whether a successor serves in its place: then it waits to be stopped, and starts no more. */
  isSuperseded: boolean;
  /** Resolves when its first worker is in service, or could not be started. */
  readonly tried: PromiseWithResolvers<void>;
  /** Aborted when the member is replaced or removed. */
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
  readonly #threads: Threads;
  readonly #gate = new Gate(BOOTS_AT_ONCE_MAX);
  readonly #members = new Map<string, Member>();
  /** The member that serves an instance, or is the first that will. */
  readonly #serving = new Map<string, Member>();
  readonly #ending = new Set<Promise<void>>();
  #census: ThreadCensus | undefined;
  /** What hung, and is not run again while its thread runs on: a plugin's module, or a worker's key. */
  readonly hangs: Hangs;
  #closed = false;

  constructor(options: FleetOptions) {
    const { clock, random, log, events, heartbeat = HEARTBEAT_OPTIONS, threads = OWN_THREADS } = options;
    [this.#clock, this.#random, this.#log, this.#events] = [clock, random, log, events];
    [this.#heartbeat, this.#threads] = [heartbeat, threads];
    const stuckThreads = () => this.stuckThreads;
    this.hangs = new Hangs({
      clock,
      threads: {
        get count() {
          return stuckThreads();
        },
        ended: () => this.noteEnd(),
      },
    });
  }

  /** Threads of workers that were terminated and run on all the same. */
  get stuckThreads(): number {
    return this.#census?.stuck ?? 0;
  }

  /** Notes that somebody else has terminated a worker: its thread is looked for. */
  noteEnd(): void {
    if (!this.#closed) this.#countThreads().noteEnd();
  }

  /** The keys of the workers wanted, and why each that is not in service is not. */
  get status(): ReadonlyMap<string, "serving" | string> {
    return new Map(
      [...this.#members].map(([key, member]) => {
        const serves = member.crew !== undefined || member.predecessor?.crew !== undefined;
        return [key, serves ? "serving" : member.down];
      }),
    );
  }

  /** Takes a new wish, whole. Returns at once; what it takes is done in the background. */
  apply(wanted: readonly WorkerSpec[]): void {
    if (this.#closed) return;
    this.#countThreads();
    const running = new Map([...this.#members].map(([key, { spec }]) => [key, spec]));
    for (const action of reconcile(wanted, running)) this.#act(action);
    // Whoever asks for an instance that nobody serves yet waits for the one that will.
    for (const member of this.#members.values()) {
      for (const { id } of member.spec.instances) if (!this.#serving.has(id)) this.#serving.set(id, member);
    }
  }

  /**
   * Asks the worker that serves an instance. One that is still starting for the
   * first time is waited for, and the deadline counts from then; one that is
   * replaced meanwhile leaves the question to its successor. Throws
   * {@linkcode WorkerDeadError} while none serves, and what
   * {@linkcode PluginHost.call} does.
   */
  async call(
    instance: string,
    request: Request,
    options: { deadlineMs: number; signal?: AbortSignal },
  ): Promise<Answer> {
    for (;;) {
      const member = this.#serving.get(instance);
      if (member === undefined) throw new WorkerDeadError("It is not wanted");
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

  /** Says something to the worker that serves an instance; lost while none does. */
  post(instance: string, message: ToWorker): void {
    this.#serving.get(instance)?.crew?.host.post(message);
  }

  /** Stops all workers, each within its grace. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const key of [...this.#members.keys()]) this.#act({ do: "stop", key });
    // What ends may have something to end itself.
    while (this.#ending.size > 0) await Promise.allSettled([...this.#ending]);
    await this.#census?.[Symbol.asyncDispose]();
  }

  #countThreads(): ThreadCensus {
    return this.#census ??= new ThreadCensus({
      clock: this.#clock,
      log: this.#log,
      countThreads: this.#threads.count,
      countLive: liveWorkerCount,
      onStuck: (threads) => this.#events.onStuck(threads),
    });
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
      down: "It is starting",
      // One that never came up gives its place, and what it was to replace, to the new one.
      predecessor: old?.crew === undefined ? old?.predecessor : old,
      isSuperseded: false,
      tried: Promise.withResolvers(),
      controller: new AbortController(),
    };
    if (old !== undefined && old.crew === undefined) {
      old.predecessor = undefined;
      this.#retire(old);
    }
    this.#members.set(spec.key, member);
    this.#track(this.#keep(member));
  }

  /** Keeps one member in service until it is replaced or removed. */
  async #keep(member: Member): Promise<void> {
    const { signal } = member.controller;
    const { key } = member.spec;
    for (let attempt = 0; !signal.aborted && !member.isSuperseded;) {
      const bornMs = this.#clock.now();
      const refusal = this.hangs.refusal(hangKey(member.spec));
      if (refusal !== undefined) {
        if (refusal.isForGood && member.down !== refusal.reason) {
          this.#log.error("A worker is not started again", { worker: key, reason: refusal.reason });
        }
        member.down = refusal.reason;
        member.tried.resolve();
        await delay(HUNG_LOOK_MS, { clock: this.#clock, signal }).catch(() => {});
        continue;
      }
      let isReady = false;
      let isHung = false;
      try {
        const crew = await this.#launch(member);
        if (signal.aborted || member.isSuperseded) {
          this.#dismiss(crew);
          break;
        }
        this.#serve(member, crew);
        this.#log.debug("Worker is in service", { worker: key, bootMs: Math.round(this.#clock.now() - bornMs) });
        const ready = Promise.try(() => this.#events.onReady(key)).then(() => undefined);
        const early = await abortable(Promise.race([ready, crew.death]), signal);
        if (early !== undefined) throw new WorkerDeadError(early);
        isReady = true;
        // Make before break: only now is the one before it let go.
        if (member.predecessor !== undefined) this.#retire(member.predecessor);
        member.predecessor = undefined;
        member.down = await abortable(crew.death, signal);
      } catch (error) {
        if (signal.aborted) break;
        isHung = error instanceof WorkerDeadlineError;
        member.down = error instanceof Error ? error.message : String(error);
      }
      const { crew } = member;
      member.crew = undefined;
      if (isHung || crew?.host.fellSilent) this.hangs.note(hangKey(member.spec), member.down ?? "no answer");
      if (crew !== undefined) this.#dismiss(crew);
      member.tried.resolve();
      if (member.isSuperseded) break;
      if (isReady && this.#clock.now() - bornMs > PROVEN_MS) attempt = 0;
      const waitMs = Math.round(backoffMs(attempt++, RESTART_BACKOFF, this.#random));
      const at = { worker: key, reason: member.down, waitMs, attempt };
      if (this.#fallBack(member)) {
        this.#log.warn("Could not replace a worker: the one before it goes on, and it is tried again", at);
      } else {
        this.#log.warn(isReady ? "Worker ended; starting another" : "Could not start a worker; trying again", at);
        this.#events.onDown(key, member.down);
      }
      await delay(waitMs, { clock: this.#clock, signal }).catch(() => {});
    }
    member.tried.resolve();
    if (member.predecessor !== undefined) this.#retire(member.predecessor);
  }

  /** Puts a worker into service. The one before it is kept, silent, until the new one has proven itself. */
  #serve(member: Member, crew: Crew): void {
    const { predecessor } = member;
    if (predecessor !== undefined) {
      predecessor.isSuperseded = true;
      predecessor.crew?.voice.hold();
    }
    member.crew = crew;
    for (const { id } of member.spec.instances) this.#serving.set(id, member);
    member.tried.resolve();
    crew.voice.speak();
  }

  /** Gives the service back to the one before, as it is still there; answers whether somebody serves. */
  #fallBack(member: Member): boolean {
    const { predecessor } = member;
    if (predecessor === undefined) return false;
    if (!predecessor.isSuperseded) return predecessor.crew !== undefined;
    if (predecessor.crew === undefined) {
      // It died while it was superseded, and does not start again.
      this.#retire(predecessor);
      member.predecessor = undefined;
      return false;
    }
    predecessor.isSuperseded = false;
    for (const { id } of predecessor.spec.instances) this.#serving.set(id, predecessor);
    predecessor.crew.voice.speak();
    return true;
  }

  /** Starts a worker and waits until it may take up its service. */
  async #launch(member: Member): Promise<Crew> {
    const { signal } = member.controller;
    const { spec, predecessor } = member;
    const registry = new RegistryWord();
    const crew = await this.#gate.run(() => this.#boot(spec, { registry, signal }));
    // Not in the gate: how long a registry takes is no matter of this machine's cores.
    if (spec.kind !== "discovery" || predecessor === undefined) return crew;
    try {
      await this.#awaitFirstWord(spec.key, crew, { registry, signal });
      return crew;
    } catch (error) {
      this.#dismiss(crew);
      throw error;
    }
  }

  async #boot(
    { key, kind, module, instances }: WorkerSpec,
    { registry, signal }: { registry: RegistryWord; signal: AbortSignal },
  ): Promise<Crew> {
    // Making a thread blocks this one for some 10 ms: what was asked for before goes out first.
    await delay(0, { clock: this.#clock, signal });
    const death = Promise.withResolvers<string>();
    const voice = new Voice((event) => this.#events.onEvent(key, event));
    const host = new PluginHost({
      name: key,
      module,
      permissions: toDenoPermissions(joinPermissions(instances.map(({ granted }) => granted))),
      clock: this.#clock,
      heartbeat: this.#heartbeat,
      startThread: this.#threads.start,
      onEvent: (event) => {
        if (event.type === "connection") registry.say(event);
        // A session that is over is opened again in a new worker: one way for both ends.
        if (event.type === "ended") death.resolve(`Its session ended: ${event.reason}`);
        voice.say(event);
      },
      onDeath: (reason) => death.resolve(reason),
      onRefused: (reason) => this.#log.warn("Refused what a worker said", { worker: key, reason }),
    });
    const crew = { host, voice, death: death.promise };
    const start = async () => {
      const loaded = await host.loaded();
      if (loaded.kind !== kind || loaded.apiVersion !== PLUGIN_API_VERSION) {
        const wanted = `a ${kind} of API version ${PLUGIN_API_VERSION}`;
        throw new Error(`Its plugin is a ${loaded.kind} of API version ${loaded.apiVersion}: want ${wanted}`);
      }
      for (const { id, config, scope } of instances) {
        await host.call({ type: "start", instance: id, config, scope }, { deadlineMs: BOOT_DEADLINE_MS, signal });
      }
    };
    try {
      await within(start(), BOOT_DEADLINE_MS, {
        clock: this.#clock,
        signal,
        late: () => new WorkerDeadlineError(`It was not started within ${BOOT_DEADLINE_MS} ms`),
      });
      if (host.dead !== undefined) throw new WorkerDeadError(host.dead);
      return crew;
    } catch (error) {
      this.#dismiss(crew);
      throw error;
    }
  }

  /**
   * Waits until a new connection has reached its registry: its first good word.
   * While it says that it does not, the one before it goes on, however long;
   * one that says nothing at all is believed after a while.
   */
  async #awaitFirstWord(
    key: string,
    { death }: Crew,
    { registry, signal }: { registry: RegistryWord; signal: AbortSignal },
  ): Promise<void> {
    const died = death.then((reason) => {
      throw new WorkerDeadError(reason);
    });
    const silence = new AbortController();
    const cancel = this.#clock.after(FIRST_WORD_DEADLINE_MS, () => silence.abort());
    try {
      const word = await abortable(Promise.race([registry.first, died]), AbortSignal.any([signal, silence.signal]));
      if (word.state === "connected") return;
      const at = { worker: key, detail: word.detail };
      this.#log.warn("A new connection is out of reach of its registry: the one before it goes on meanwhile", at);
      await abortable(Promise.race([registry.reached, died]), signal);
    } catch (error) {
      if (signal.aborted || !silence.signal.aborted) throw error;
    } finally {
      cancel();
    }
  }

  /** Takes a member, and what it was to replace, out of service and ends their workers in the background. */
  #retire(member: Member): void {
    member.controller.abort();
    const { crew, predecessor } = member;
    member.crew = undefined;
    member.predecessor = undefined;
    if (predecessor !== undefined) this.#retire(predecessor);
    member.down = "It was stopped";
    member.tried.resolve();
    for (const { id } of member.spec.instances) {
      if (this.#serving.get(id) === member) this.#serving.delete(id);
    }
    if (crew !== undefined) this.#dismiss(crew);
  }

  /** Ends a worker in the background; it has nothing to say any more. */
  #dismiss({ host, voice }: Crew): void {
    voice.end();
    this.#track(host.stop({ graceMs: STOP_GRACE_MS }).then(() => this.#census?.noteEnd()));
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#ending.delete(tracked));
    this.#ending.add(tracked);
  }
}

/** What hangs together: all of a plugin that does not ship; of what ships one worker alone. */
function hangKey({ key, module }: WorkerSpec): string {
  return module.startsWith("data:") ? module : key;
}

/** What a worker says on its way to the fleet's owner: held back while it is not in service. Records of its log pass. */
class Voice {
  readonly #tell: (event: WorkerEvent) => void;
  #state: "held" | "heard" | "ended" = "held";
  #held: WorkerEvent[] = [];

  constructor(tell: (event: WorkerEvent) => void) {
    this.#tell = tell;
  }

  say(event: WorkerEvent): void {
    if (event.type === "log" || this.#state === "heard") return this.#tell(event);
    if (this.#state === "ended") return;
    // Of the connection only the newest state is of interest.
    if (event.type === "connection") this.#held = this.#held.filter(({ type }) => type !== "connection");
    if (this.#held.length < HELD_MAX) this.#held.push(event);
  }

  /** From now on it is heard, and what it said before is told. */
  speak(): void {
    this.#state = "heard";
    for (const event of this.#held.splice(0)) this.#tell(event);
  }

  /** From now on what it says is kept for later. */
  hold(): void {
    this.#state = "held";
  }

  /** From now on what it says is of no interest. */
  end(): void {
    this.#state = "ended";
    this.#held = [];
  }
}

type ConnectionEvent = Extract<WorkerEvent, { type: "connection" }>;

/** What a worker has said of its registry so far. */
class RegistryWord {
  readonly #first = Promise.withResolvers<ConnectionEvent>();
  readonly #reached = Promise.withResolvers<void>();

  /** Resolves with the first thing that it says. */
  get first(): Promise<ConnectionEvent> {
    return this.#first.promise;
  }

  /** Resolves when it says that the registry is in reach. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  say(event: ConnectionEvent): void {
    this.#first.resolve(event);
    if (event.state === "connected") this.#reached.resolve();
  }
}
