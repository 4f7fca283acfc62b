import type { PluginKind } from "../plugin/source.ts";
import { type Init, PROTOCOL_VERSION, type ToWorker } from "../protocol/messages.ts";
import { ownRoom } from "./room.ts";

/** The module of the worker that only parses plugins. */
export const PARSER_MODULE = "parser";

/** Literal URLs, for `deno compile` to find. */
const PLUGIN_ENTRY = new URL("../../workers/plugin_worker.ts", import.meta.url);
const PARSER_ENTRY = new URL("../../workers/parse_worker.ts", import.meta.url);

export interface ThreadOptions {
  /** The worker's name, as shown in logs and by `ps -T`. */
  readonly name: string;
  /** `builtin:kind/name`, a `data:` URL, or {@linkcode PARSER_MODULE}. */
  readonly module: string;
  readonly permissions: Deno.PermissionOptionsObject | "none";
  /** The expected kind of plugin, if known. */
  readonly kind?: PluginKind;
}

/** Callbacks of a thread. None may throw. */
export interface ThreadEvents {
  /** A message on its port: to be validated. */
  onMessage(data: unknown): void;
  /** A message on the global channel, which nobody reads. */
  onNoise(): void;
  /** It died, or a message cannot be read. */
  onFault(reason: string): void;
}

/** A worker's thread, as seen by its host. */
export interface Thread {
  /** Sends a message. */
  post(message: ToWorker): void;
  /** Terminates it. */
  end(): void;
}

/** Starts threads: {@linkcode startThread}, or a simulation's. */
export type StartThread = (options: ThreadOptions, events: ThreadEvents) => Thread;

/**
 * Starts a Web Worker, and communicates with it over a dedicated port. Throws a `NoRoomError` if this
 * process has not enough open files for it.
 */
export const startThread: StartThread = ({ name, module, permissions, kind }, events) => {
  const place = ownRoom.enter({ isForeign: module.startsWith("data:"), isDiscovery: kind === "discovery" });
  const worker = new Worker(module === PARSER_MODULE ? PARSER_ENTRY : PLUGIN_ENTRY, {
    type: "module",
    name,
    deno: { permissions },
  });
  const { port1, port2 } = new MessageChannel();
  const unreadable = () => events.onFault("sent an unreadable message");
  const isOnlyData = (ports: readonly MessagePort[]): boolean => {
    // Nobody closes unused ports: each would leak.
    for (const port of ports) port.close();
    if (ports.length > 0) events.onFault("sent a MessagePort: only data is accepted");
    return ports.length === 0;
  };
  worker.onerror = (event) => {
    event.preventDefault(); // Without this, a plugin's error ends the whole process.
    events.onFault(event.message);
  };
  worker.onmessageerror = unreadable;
  // Nothing is sent on the global channel; a flood of it would load the main loop all the same.
  worker.onmessage = ({ ports }) => isOnlyData(ports) && events.onNoise();
  port1.onmessageerror = unreadable;
  port1.onmessage = ({ data, ports }: MessageEvent<unknown>) => {
    place.isUp();
    if (isOnlyData(ports)) events.onMessage(data);
  };
  const init: Init = {
    v: PROTOCOL_VERSION,
    type: "init",
    module,
    openMax: place.openMax,
    port: port2,
  };
  worker.postMessage(init, [port2]);
  return {
    post: (message) => port1.postMessage(message),
    end: () => {
      port1.close();
      worker.terminate();
      place.leave();
    },
  };
};
