import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import { within } from "../kernel/within.ts";
import { PLUGIN_API_VERSION } from "../plugin/contract.ts";
import type { Meter } from "../metrics/meter.ts";
import type { HeartbeatOptions } from "./heartbeat.ts";
import { joinPermissions, toDenoPermissions } from "./permissions.ts";
import { PluginHost, WorkerDeadError, WorkerDeadlineError, type WorkerEvent } from "./plugin_host.ts";
import type { WorkerSpec } from "./reconcile.ts";
import type { RegistryWord } from "./registry_word.ts";
import type { StartThread } from "./thread.ts";
import { Voice } from "./voice.ts";

/** How long a worker may take to load its plugin and start its instances. */
const BOOT_DEADLINE_MS = 10_000;

/** A worker that is ready to serve, or does. */
export interface Crew {
  /** The worker. */
  readonly host: PluginHost;
  /** Holds back what it says while another worker serves. */
  readonly voice: Voice;
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
  /** Takes what it says of its registry, whether it serves or not. */
  readonly registry: RegistryWord;
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
  { clock, log, meter, heartbeat, startThread, registry, onEvent, dismiss, signal }: BootOptions,
): Promise<Crew> {
  // Making a thread blocks this one for some 10 ms: what was asked for before goes out first.
  await delay(0, { clock, signal });
  const death = Promise.withResolvers<string>();
  const voice = new Voice(onEvent);
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
