import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import { abortable, within } from "../kernel/within.ts";
import { PLUGIN_API_VERSION } from "../plugin/contract.ts";
import type { Meter } from "../metrics/meter.ts";
import { joinPermissions, toDenoPermissions } from "./permissions.ts";
import {
  type HeartbeatOptions,
  PluginHost,
  WorkerDeadError,
  WorkerDeadlineError,
  type WorkerEvent,
} from "./plugin_host.ts";
import type { WorkerSpec } from "./reconcile.ts";
import type { StartThread } from "./thread.ts";

/** How long a worker may take to load its plugin and start its instances. */
const BOOT_DEADLINE_MS = 10_000;

/** A worker that is ready to serve, or does. */
export interface Crew {
  /** The worker. */
  readonly host: PluginHost;
  /** Holds back what it says while another worker serves. */
  readonly voice: Voice;
  /** What it has reported of its registry, whether it serves or not. */
  readonly registry: RegistryWord;
  /** Resolves with the reason when it cannot go on. */
  readonly death: Promise<string>;
}

export interface BootOptions {
  readonly clock: Clock;
  /** Hears of what a worker said that was refused. */
  readonly log: Logger;
  readonly meter: Meter;
  /** How its life is watched. */
  readonly heartbeat: HeartbeatOptions;
  /** Starts its thread. */
  readonly startThread: StartThread;
  /** Hears what it says once it serves. */
  readonly onEvent: (event: WorkerEvent) => void;
  /** Ends a worker that did not come up, in the background. */
  readonly dismiss: (crew: Crew) => void;
  /** Breaks it off. */
  readonly signal: AbortSignal;
}

/**
 * Starts a worker with the permissions of its instances, and each of them in
 * it. Throws what kept it from coming up: {@linkcode WorkerDeadError} if it
 * died, {@linkcode WorkerDeadlineError} if it took longer than ten seconds.
 */
export async function bootCrew(
  { key, kind, module, instances }: WorkerSpec,
  { clock, log, meter, heartbeat, startThread, onEvent, dismiss, signal }: BootOptions,
): Promise<Crew> {
  // Making a thread blocks this one for some 10 ms: what was asked for before goes out first.
  await delay(0, { clock, signal });
  const death = Promise.withResolvers<string>();
  const [voice, registry] = [new Voice(onEvent), new RegistryWord()];
  const host = new PluginHost({
    name: key,
    kind,
    module,
    permissions: toDenoPermissions(joinPermissions(instances.map(({ granted }) => granted))),
    clock,
    meter,
    heartbeat,
    startThread,
    onEvent: (event) => {
      if (event.type === "connection") registry.say(event);
      // A session that is over is opened again in a new worker: one way for both ends.
      if (event.type === "ended") death.resolve(`Its session ended: ${event.reason}`);
      voice.say(event);
    },
    onDeath: (reason) => death.resolve(reason),
    onRefused: (reason) => log.warn("Worker message rejected", { event: "worker.rejected", worker: key, reason }),
  });
  const crew = { host, voice, registry, death: death.promise };
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
      clock,
      signal,
      late: () => new WorkerDeadlineError(`It was not started within ${BOOT_DEADLINE_MS} ms`),
    });
    if (host.dead !== undefined) throw new WorkerDeadError(host.dead);
    return crew;
  } catch (error) {
    dismiss(crew);
    throw error;
  }
}

/** So much of what a worker says while it does not serve is kept: one state, and a snapshot of each cluster. */
const HELD_MAX = 2_000;

/** What a worker says on its way to the fleet's owner: held back while it is not in service. Records of its log pass. */
export class Voice {
  readonly #tell: (event: WorkerEvent) => void;
  #state: "held" | "heard" | "ended" = "held";
  #held: WorkerEvent[] = [];

  /** Held back at first; `tell` hears what is let through, in order. */
  constructor(tell: (event: WorkerEvent) => void) {
    this.#tell = tell;
  }

  /** Takes what it says. */
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

/** What a worker says of its connection. */
export type ConnectionEvent = Extract<WorkerEvent, { type: "connection" }>;

/** How {@linkcode RegistryWord.awaitConnected} waits. */
export interface AwaitConnectedOptions {
  /** Resolves with the reason when the worker cannot go on. */
  readonly death: Promise<string>;
  readonly clock: Clock;
  /** Ends the waiting, which rejects then. */
  readonly signal: AbortSignal;
  /** Called with why, if the first word is that the registry is unreachable. */
  readonly onUnreachable: (detail: string) => void;
}

/** How long a new discovery worker may say nothing of its registry before it takes over all the same. */
const FIRST_WORD_DEADLINE_MS = 30_000;

/** What a worker has said of its registry so far. */
export class RegistryWord {
  readonly #first = Promise.withResolvers<ConnectionEvent>();
  readonly #connected = Promise.withResolvers<void>();

  /** Takes what it says. */
  say(event: ConnectionEvent): void {
    this.#first.resolve(event);
    if (event.state === "connected") this.#connected.resolve();
  }

  /**
   * Waits until a new connection has reached its registry: its first good word.
   * While it says that it does not, the one before it goes on, however long;
   * one that says nothing at all is believed after half a minute. Throws
   * {@linkcode WorkerDeadError} if the worker dies meanwhile.
   */
  async awaitConnected({ death, clock, signal, onUnreachable }: AwaitConnectedOptions): Promise<void> {
    const died = death.then((reason) => {
      throw new WorkerDeadError(reason);
    });
    const silence = new AbortController();
    const cancel = clock.after(FIRST_WORD_DEADLINE_MS, () => silence.abort());
    try {
      const first = Promise.race([this.#first.promise, died]);
      const word = await abortable(first, AbortSignal.any([signal, silence.signal]));
      // It has spoken: what ends the wait from now on is no silence.
      cancel();
      if (word.state === "connected") return;
      onUnreachable(word.detail);
      await abortable(Promise.race([this.#connected.promise, died]), signal);
    } catch (error) {
      if (signal.aborted || !silence.signal.aborted) throw error;
    } finally {
      cancel();
    }
  }
}
