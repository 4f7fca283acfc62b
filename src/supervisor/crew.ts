import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { formatDuration } from "../kernel/duration.ts";
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

/** A worker that serves, or is ready to. */
export interface Crew {
  readonly host: PluginHost;
  /** Holds the worker's events while another worker serves. */
  readonly voice: Voice;
  /** What the worker has reported of its registry, whether it serves or not. */
  readonly registry: RegistryWord;
  /** Resolves with the reason when the worker ends. */
  readonly death: Promise<string>;
}

export interface BootOptions {
  readonly clock: Clock;
  /** Called when a message of a worker is rejected. */
  readonly log: Logger;
  readonly meter: Meter;
  /** Its heartbeat settings. */
  readonly heartbeat: HeartbeatOptions;
  /** Starts its thread. */
  readonly startThread: StartThread;
  /** Receives its events once it serves. */
  readonly onEvent: (event: WorkerEvent) => void;
  /** Ends, in the background, a worker that did not start. */
  readonly dismiss: (crew: Crew) => void;
  /** Aborts the start. */
  readonly signal: AbortSignal;
}

/**
 * Starts a worker with the permissions of its instances, and starts each of them in it. Throws why it
 * did not start: {@linkcode WorkerDeadError} if it died, {@linkcode WorkerDeadlineError} if it took
 * more than ten seconds.
 */
export async function bootCrew(
  { key, kind, module, instances }: WorkerSpec,
  { clock, log, meter, heartbeat, startThread, onEvent, dismiss, signal }: BootOptions,
): Promise<Crew> {
  // Starting a thread blocks this one for some 10 ms: requests already queued go out first.
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
      // An ended session is reopened in a new worker: one path for both ends.
      if (event.type === "ended") death.resolve(`session ended: ${event.reason}`);
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
      throw new Error(`the plugin must be ${wanted}; it is a ${loaded.kind} of API version ${loaded.apiVersion}`);
    }
    for (const { id, config, scope } of instances) {
      await host.call({ type: "start", instance: id, config, scope }, { deadlineMs: BOOT_DEADLINE_MS, signal });
    }
  };
  try {
    await within(start(), BOOT_DEADLINE_MS, {
      clock,
      signal,
      late: () => new WorkerDeadlineError(`not started within ${formatDuration(BOOT_DEADLINE_MS)}`),
    });
    if (host.dead !== undefined) throw new WorkerDeadError(host.dead);
    return crew;
  } catch (error) {
    dismiss(crew);
    throw error;
  }
}

/** Maximum number of held events: one state, and a snapshot of each cluster. */
const HELD_MAX = 2_000;

/** A worker's events on their way to the fleet's owner: held while it is not in service. Log records pass. */
export class Voice {
  readonly #tell: (event: WorkerEvent) => void;
  #state: "held" | "heard" | "ended" = "held";
  #held: WorkerEvent[] = [];

  /** Held at first; `tell` receives the released events in order. */
  constructor(tell: (event: WorkerEvent) => void) {
    this.#tell = tell;
  }

  /** Receives an event. */
  say(event: WorkerEvent): void {
    if (event.type === "log" || this.#state === "heard") return this.#tell(event);
    if (this.#state === "ended") return;
    // Only the newest state of the connection matters.
    if (event.type === "connection") this.#held = this.#held.filter(({ type }) => type !== "connection");
    if (this.#held.length < HELD_MAX) this.#held.push(event);
  }

  /** Releases the held events, and passes on all later ones. */
  speak(): void {
    this.#state = "heard";
    for (const event of this.#held.splice(0)) this.#tell(event);
  }

  /** Holds events from now on. */
  hold(): void {
    this.#state = "held";
  }

  /** Drops events from now on. */
  end(): void {
    this.#state = "ended";
    this.#held = [];
  }
}

/** An event about the worker's connection. */
export type ConnectionEvent = Extract<WorkerEvent, { type: "connection" }>;

/** Options of {@linkcode RegistryWord.awaitConnected}. */
export interface AwaitConnectedOptions {
  /** Resolves with the reason when the worker ends. */
  readonly death: Promise<string>;
  readonly clock: Clock;
  /** Aborts the wait, which then rejects. */
  readonly signal: AbortSignal;
  /** Called with the reason if the first report is that the registry is unreachable. */
  readonly onUnreachable: (detail: string) => void;
}

/** How long a new discovery worker may report nothing of its registry before it takes over anyway. */
const FIRST_WORD_DEADLINE_MS = 30_000;

/** What a worker has reported of its registry so far. */
export class RegistryWord {
  readonly #first = Promise.withResolvers<ConnectionEvent>();
  readonly #connected = Promise.withResolvers<void>();

  /** Receives a report. */
  say(event: ConnectionEvent): void {
    this.#first.resolve(event);
    if (event.state === "connected") this.#connected.resolve();
  }

  /**
   * Waits until a new connection has reached its registry. While the worker reports it as unreachable,
   * the previous connection stays active, however long. A worker that reports nothing takes over after
   * half a minute. Throws {@linkcode WorkerDeadError} if the worker dies meanwhile.
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
      // The worker has reported: the timeout for silence no longer applies.
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
