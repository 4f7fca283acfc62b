import type { PluginKind } from "../plugin/source.ts";
import { type Init, PROTOCOL_VERSION, type ToWorker } from "../protocol/messages.ts";
import { ownRoom } from "./room.ts";

/** The module of the worker that runs no plugin, but parses them. */
export const PARSER_MODULE = "parser";

/** Each entry stands as a literal, for `deno compile` to see. */
const PLUGIN_ENTRY = new URL("../../workers/plugin_worker.ts", import.meta.url);
const PARSER_ENTRY = new URL("../../workers/parse_worker.ts", import.meta.url);

export interface ThreadOptions {
  /** The worker's name: what logs and `ps -T` readers see. */
  readonly name: string;
  /** `builtin:kind/name`, a `data:` URL, or {@linkcode PARSER_MODULE}. */
  readonly module: string;
  /** Exactly these, or nothing at all. */
  readonly permissions: Deno.PermissionOptionsObject | "none";
  /** What its plugin should be, if that is known. */
  readonly kind?: PluginKind;
}

/** What a thread tells its host. None may throw. */
export interface ThreadEvents {
  /** It said something over its port: not to be believed unseen. */
  onMessage(data: unknown): void;
  /** It said something where nobody listens. */
  onNoise(): void;
  /** It died, or what it said cannot be read. */
  onFault(reason: string): void;
}

/** A worker's thread, as its host sees it. */
export interface Thread {
  /** Says something to it. */
  post(message: ToWorker): void;
  /** Ends it, whatever it does. */
  end(): void;
}

/** Makes threads: {@linkcode startThread}, or what stands in for it in a simulation. */
export type StartThread = (options: ThreadOptions, events: ThreadEvents) => Thread;

/**
 * Starts a Web Worker, and speaks with it over a port of its own. Throws a
 * `NoRoomError` if this process has not enough open files for it.
 */
export const startThread: StartThread = ({ name, module, permissions, kind }, events) => {
  const place = ownRoom.enter({ isForeign: module.startsWith("data:"), isDiscovery: kind === "discovery" });
  const worker = new Worker(module === PARSER_MODULE ? PARSER_ENTRY : PLUGIN_ENTRY, {
    type: "module",
    name,
    deno: { permissions },
  });
  const { port1, port2 } = new MessageChannel();
  const unreadable = () => events.onFault("It sent a message that cannot be read");
  const isOnlyData = (ports: readonly MessagePort[]): boolean => {
    // Nobody closes a port that nobody wants: each would be kept for good.
    for (const port of ports) port.close();
    if (ports.length > 0) events.onFault("It sent a port: only data is taken");
    return ports.length === 0;
  };
  worker.onerror = (event) => {
    event.preventDefault(); // Without this the whole process dies of a plugin's error.
    events.onFault(event.message);
  };
  worker.onmessageerror = unreadable;
  // Nothing is said on the global channel, but a flood of it would be one all the same.
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
