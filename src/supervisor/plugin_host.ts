import type { Clock } from "../kernel/clock.ts";
import { guard } from "../protocol/guard.ts";
import {
  type Answer,
  type Init,
  PROTOCOL_VERSION,
  type Request,
  type ToHost,
  type ToWorker,
} from "../protocol/messages.ts";
import { WorkerError } from "../protocol/wire_error.ts";
import { beat, HEARTBEAT_OPTIONS, type HeartbeatOptions, INITIAL_HEARTBEAT, isDead } from "./heartbeat.ts";

/** Messages in one second above which a worker counts as gone mad. */
const FLOOD_PER_SECOND = 5_000;
/** Log records in one second above which the rest are dropped and counted. */
const LOG_RECORDS_PER_SECOND = 50;

/** What a worker says without being asked. */
export type WorkerEvent = Extract<ToHost, { type: "snapshot" | "lost" | "ended" | "connection" | "log" }>;

/** What a worker is made with. */
export interface PluginHostOptions {
  /** The worker's name: what logs and `ps -T` readers see. */
  readonly name: string;
  /** `builtin:kind/name` or a `data:` URL. */
  readonly module: string;
  /** Exactly these, or nothing at all. */
  readonly permissions: Deno.PermissionOptionsObject | "none";
  /** Time. */
  readonly clock: Clock;
  /** How its life is watched. */
  readonly heartbeat?: HeartbeatOptions;
  /** Called for each message that is no answer. Never called after death. */
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Called once, when the worker dies by itself or is found dead; not for {@linkcode PluginHost.stop}. */
  readonly onDeath?: (reason: string) => void;
  /** Called for nodes that were refused, and for faults an operator should know. */
  readonly onRefused?: (reason: string) => void;
}

/** Raised when a worker gave no answer in time. */
export class WorkerDeadlineError extends Error {
  override name = "WorkerDeadlineError";
}

/** Raised for all that is asked of a worker that is dead. */
export class WorkerDeadError extends Error {
  override name = "WorkerDeadError";
}

let liveHosts = 0;

/** How many workers are alive in this process: made, and not yet terminated. */
export function liveWorkerCount(): number {
  return liveHosts;
}

/**
 * One worker that runs one plugin, the calls in flight to it, and its
 * heartbeat. Dead is for ever: a dead host is replaced, never revived.
 */
export class PluginHost implements AsyncDisposable {
  /** The worker's name. */
  readonly name: string;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #clock: Clock;
  readonly #heartbeatOptions: HeartbeatOptions;
  readonly #options: PluginHostOptions;
  readonly #calls = new Map<number, { readonly type: string; readonly result: PromiseWithResolvers<Answer> }>();
  readonly #loaded = Promise.withResolvers<ToHost & { type: "loaded" }>();
  readonly #stopped = Promise.withResolvers<void>();
  #heartbeat = INITIAL_HEARTBEAT;
  #cancelPing: (() => void) | undefined;
  #seq = 0;
  #dead: string | undefined;
  #rate = { second: 0, messages: 0, records: 0 };

  /** Makes the worker; {@linkcode loaded} tells when its plugin is there. */
  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.name = options.name;
    this.#clock = options.clock;
    this.#heartbeatOptions = options.heartbeat ?? HEARTBEAT_OPTIONS;
    this.#worker = new Worker(new URL("../../workers/plugin_worker.ts", import.meta.url), {
      type: "module",
      name: options.name,
      deno: { permissions: options.permissions },
    });
    liveHosts++;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker.onerror = (event) => {
      event.preventDefault(); // Without this the whole process dies of a plugin's error.
      this.#die(event.message);
    };
    this.#worker.onmessageerror = () => this.#die("It sent a message that cannot be read");
    port1.onmessage = ({ data }: MessageEvent<unknown>) => this.#receive(data);
    // Whoever does not wait for these learns of a death from onDeath.
    this.#loaded.promise.catch(() => {});
    const init: Init = { v: PROTOCOL_VERSION, type: "init", module: options.module, port: port2 };
    this.#worker.postMessage(init, [port2]);
    this.#schedulePing();
  }

  /** Resolves when the plugin is loaded; rejects with {@linkcode WorkerDeadError} if it never will be. */
  loaded(): Promise<ToHost & { type: "loaded" }> {
    return this.#loaded.promise;
  }

  /** Why the worker is dead; `undefined` while it lives. */
  get dead(): string | undefined {
    return this.#dead;
  }

  /**
   * Asks and waits for the answer. Throws {@linkcode WorkerError} for an error
   * in the worker, {@linkcode WorkerDeadlineError} and
   * {@linkcode WorkerDeadError}, or the signal's reason.
   */
  async call(request: Request, { deadlineMs, signal }: { deadlineMs: number; signal?: AbortSignal }): Promise<Answer> {
    signal?.throwIfAborted();
    if (this.#dead !== undefined) throw new WorkerDeadError(this.#dead);
    const seq = ++this.#seq;
    const result = Promise.withResolvers<Answer>();
    this.#calls.set(seq, { type: request.type, result });
    const cancel = this.#clock.after(deadlineMs, () => {
      result.reject(new WorkerDeadlineError(`No answer to ${request.type} within ${deadlineMs} ms`));
    });
    // The plugin is given up a little before the call is, so that it can still say so itself.
    const cancelAbort = "timeoutMs" in request
      ? this.#clock.after(request.timeoutMs, () => this.post({ type: "abort", seq }))
      : undefined;
    const abort = () => result.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.post({ ...request, seq });
    let answered = false;
    try {
      const answer = await result.promise;
      answered = true;
      if (answer.type === "nack") throw new WorkerError(answer.error);
      return answer;
    } finally {
      cancel();
      cancelAbort?.();
      signal?.removeEventListener("abort", abort);
      this.#calls.delete(seq);
      // Nobody waits any more: the plugin may stop working on it.
      if (!answered && this.#dead === undefined) this.post({ type: "abort", seq });
    }
  }

  /** Says something that has no answer. */
  post(message: ToWorker): void {
    if (this.#dead === undefined) this.#port.postMessage(message);
  }

  /** Lets the plugin close what it has open, for at most `graceMs`, then ends the worker. Safe to call twice. */
  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    if (this.#dead !== undefined) return;
    this.post({ type: "stop" });
    const cancel = this.#clock.after(graceMs, () => this.#stopped.resolve());
    await this.#stopped.promise;
    cancel();
    this.#end("It was stopped");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ graceMs: 1_000 });
  }

  #receive(data: unknown): void {
    if (this.#dead !== undefined) return;
    const second = Math.floor(this.#clock.now() / 1_000);
    if (this.#rate.second !== second) {
      const dropped = this.#rate.records - LOG_RECORDS_PER_SECOND;
      if (dropped > 0) this.#options.onRefused?.(`${dropped} log records in one second were dropped`);
      this.#rate = { second, messages: 0, records: 0 };
    }
    if (++this.#rate.messages > FLOOD_PER_SECOND) {
      return this.#die(`It sent more than ${FLOOD_PER_SECOND} messages in a second`);
    }
    const guarded = guard(data);
    if (!guarded.ok) return this.#die(`It said what cannot be understood: ${guarded.fault}`);
    const { message, refused } = guarded;
    for (const reason of refused.slice(0, 3)) this.#options.onRefused?.(reason);
    if (refused.length > 3) this.#options.onRefused?.(`${refused.length - 3} more nodes were refused`);
    switch (message.type) {
      case "loaded":
        return this.#loaded.resolve(message);
      case "broken":
        return this.#die(`Its plugin cannot be loaded: ${message.error.message}`);
      case "stopped":
        return this.#stopped.resolve();
      case "log":
        if (++this.#rate.records > LOG_RECORDS_PER_SECOND) return;
        return this.#options.onEvent?.(message);
      case "snapshot":
      case "lost":
      case "ended":
      case "connection":
        return this.#options.onEvent?.(message);
      default: {
        // An answer after its deadline finds no call, and is dropped.
        const { seq, ...answer } = message;
        this.#calls.get(seq)?.result.resolve(answer);
      }
    }
  }

  #schedulePing(): void {
    this.#cancelPing = this.#clock.after(this.#heartbeatOptions.everyMs, async () => {
      let answered = true;
      try {
        await this.call({ type: "ping" }, { deadlineMs: this.#heartbeatOptions.everyMs });
      } catch {
        answered = false;
      }
      if (this.#dead !== undefined) return;
      this.#heartbeat = beat(this.#heartbeat, answered);
      if (isDead(this.#heartbeat, this.#heartbeatOptions)) {
        return this.#die(`It answered none of ${this.#heartbeat.missed} pings`);
      }
      this.#schedulePing();
    });
  }

  #die(reason: string): void {
    if (this.#dead !== undefined) return;
    this.#end(reason);
    this.#options.onDeath?.(reason);
  }

  #end(reason: string): void {
    if (this.#dead !== undefined) return;
    this.#dead = reason;
    liveHosts--;
    this.#cancelPing?.();
    const error = new WorkerDeadError(reason);
    for (const { result } of this.#calls.values()) result.reject(error);
    this.#loaded.reject(error);
    this.#stopped.resolve();
    this.#port.close();
    this.#worker.terminate();
  }
}
