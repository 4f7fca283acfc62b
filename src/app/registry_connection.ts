import { discoveryId } from "../config/accept.ts";
import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { type Logger, SILENT } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { ClusterSnapshot } from "../model/topology.ts";
import type { Answer, Request } from "../protocol/messages.ts";
import { Fleet, type Threads } from "../supervisor/fleet.ts";
import type { WorkerEvent } from "../supervisor/plugin_host.ts";
import { groupInstances } from "../supervisor/reconcile.ts";
import type { ClusterSource } from "./cluster_source.ts";

/** What a connection reports; called in order, never concurrently. */
export interface RegistryConnectionEvents {
  /** The whole membership, as the registry has it now. */
  readonly onFacts?: (facts: ClusterSnapshot) => void;
  /** Something that stands in the registry and is no valid node, once for as long as it stays. */
  readonly onInvalid?: (reason: string) => void;
  /** The registry or the watch is lost, or there again (`undefined`); each change once. */
  readonly onTrouble?: (reason: string | undefined) => void;
  /** A session is open in which nothing is registered yet; the one that it replaces is closed once the answer resolves. */
  readonly onSession?: () => Promise<void> | void;
}

export interface RegistryConnectionOptions {
  readonly source: Pick<ClusterSource, "cluster" | "discovery" | "options">;
  /** Whether the cluster is watched. */
  readonly isWatching: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: RegistryConnectionEvents;
  /** Where the worker's thread comes from; this process unless given. */
  readonly threads?: Threads | undefined;
}

/** The waits before a watch that was lost begins again. */
const WATCH_BACKOFF = { firstMs: 200, maxMs: 5_000 };

/** What plugins log of entries that they leave out. */
const LEFT_OUT: ReadonlySet<unknown> = new Set(["discovery.entry_skipped", "discovery.excess"]);

/**
 * One cluster of one registry, for a command: its discovery runs in a worker
 * with the permissions of the daemon's, is restarted when it dies, and a watch
 * that is lost begins again. It reports facts and judges nothing.
 */
export class RegistryConnection implements AsyncDisposable {
  readonly #options: RegistryConnectionOptions;
  readonly #fleet: Fleet;
  readonly #key: string;
  /** Watches in a row that were lost. */
  #lost = 0;
  #cancelWatch = () => {};
  #trouble: string | undefined;

  /** Opens the connection in the background. */
  constructor(options: RegistryConnectionOptions) {
    this.#options = options;
    const { source: { discovery }, clock, random, events, threads } = options;
    this.#key = discoveryId(discovery.file.name);
    this.#fleet = new Fleet({
      clock,
      random,
      log: hearRejected((reason) => events.onInvalid?.(reason)),
      threads,
      events: {
        onEvent: (_key, event) => this.#hear(event),
        onReady: async () => {
          this.#watch();
          await events.onSession?.();
        },
        onDown: (_key, reason) => this.#note(reason),
        onStuck() {},
      },
    });
    this.#fleet.apply(groupInstances([discovery.instance], "worker"));
  }

  /** Why the registry cannot be read at present; `undefined` if it is connected, or was not tried to its end yet. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Has the registry report the whole membership once more. */
  askAgain(): void {
    if (!this.#options.isWatching) return;
    this.#fleet.post(this.#key, { type: "unwatch", cluster: this.#options.source.cluster });
    this.#watch();
  }

  /** Asks the discovery's worker, as {@linkcode Fleet.call} does. */
  call(request: Request, options: { readonly deadlineMs: number; readonly signal?: AbortSignal }): Promise<Answer> {
    return this.#fleet.call(this.#key, request, options);
  }

  /** Ends without closing the session: what it registered stays until the session or lease runs out. */
  async abandon(): Promise<void> {
    this.#cancelWatch();
    await this.#fleet.abandon();
  }

  /** Closes the session, which deregisters what it had registered. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelWatch();
    await this.#fleet[Symbol.asyncDispose]();
  }

  #watch(): void {
    const { source: { cluster, options: config }, isWatching } = this.#options;
    this.#cancelWatch();
    if (!isWatching) return;
    this.#fleet.post(this.#key, { type: "watch", cluster, ...config !== undefined && { config } });
  }

  #hear(event: WorkerEvent): void {
    const { source: { cluster }, clock, random, events } = this.#options;
    switch (event.type) {
      case "connection":
        return this.#note(event.state === "connected" ? undefined : event.detail);
      case "snapshot":
        this.#fleet.post(this.#key, { type: "taken", cluster: event.snapshot.cluster });
        if (event.snapshot.cluster !== cluster) return;
        this.#lost = 0;
        this.#note(undefined);
        return events.onFacts?.(event.snapshot);
      case "lost":
        this.#note(event.error.message);
        this.#cancelWatch = clock.after(backoffMs(this.#lost++, WATCH_BACKOFF, random), () => this.#watch());
        return;
      case "log": {
        const { event: id, reason } = event.properties;
        if (LEFT_OUT.has(id)) events.onInvalid?.(typeof reason === "string" ? reason : event.message);
        return;
      }
      case "ended":
        // The fleet replaces the worker, and with it the session.
        return this.#note(event.reason);
    }
  }

  #note(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.events.onTrouble?.(trouble);
  }
}

/** Hears of the nodes that the host rejects; a command says the rest in its own words. */
function hearRejected(onRejected: (reason: string) => void): Logger {
  return {
    ...SILENT,
    warn(message, properties = {}) {
      if (properties.event !== "worker.rejected") return;
      onRejected(typeof properties.reason === "string" ? properties.reason : message);
    },
  };
}
