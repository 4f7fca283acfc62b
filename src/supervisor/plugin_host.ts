import type { Clock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import { abortable } from "../kernel/within.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { Node } from "../model/node.ts";
import type { ClusterSnapshot } from "../model/topology.ts";
import { applyChange } from "../model/membership_change.ts";
import { validate, type Validated } from "../protocol/validate.ts";
import type { Answer, Request, ToHost, ToWorker } from "../protocol/messages.ts";
import { joinNodes, NODES_MAX } from "../protocol/values.ts";
import {
  ANSWER_LENGTH_MAX,
  decode,
  MESSAGE_LENGTH_MAX,
  PORTIONS_AHEAD_MAX,
  SNAPSHOT_LENGTH_MAX,
} from "../protocol/wire.ts";
import { WorkerError } from "../protocol/wire_error.ts";
import type { KeysFacts, NotifiedEvent } from "../plugin/contract.ts";
import { FollowedKeys } from "./followed_keys.ts";
import { type ForeignBudgets, foreignBudgets } from "./loop_budget.ts";
import { Share } from "./share.ts";
import { PARSER_MODULE, type StartThread, startThread, type Thread, type ThreadOptions } from "./thread.ts";

/** Maximum number of rejected nodes and faults reported per second; further ones are dropped. */
const REFUSALS_PER_SECOND = 50;
/** Minimum time between two changes of the connection that are passed on. */
const CONNECTION_REST_MS = 50;
/** How long a notifier may take to report its own timeout. */
const GIVE_UP_MS = 1_000;
/** Maximum number of rejected nodes of a snapshot that are reported one by one. */
const REFUSED_TOLD_MAX = 3;
/** Why a worker is ended that keeps sending although it has to wait. */
const TOO_MUCH = "sent too many messages without waiting for acknowledgements";
/** Prefix of a log record on the wire; a dropped record is not parsed first. */
const RECORD_BEGIN = `{"type":"log",`;
/** Maximum number of rejections remembered per cluster, and of such clusters, so that each is reported once. */
const REFUSED_KEPT_MAX = 1_000;

/** Events that a worker sends without being asked. */
export type WorkerEvent =
  | Extract<ToHost, { type: "lost" | "ended" | "connection" | "log" }>
  /** A cluster's complete membership, however little of it was transferred. */
  | { readonly type: "snapshot"; readonly snapshot: ClusterSnapshot };

/** Heartbeat settings. */
export interface HeartbeatOptions {
  /** The interval of pings, and the timeout of each. */
  readonly everyMs: number;
  /** Consecutive misses after which a worker counts as dead. */
  readonly missesMax: number;
}

/** Five seconds, three misses: a worker is dead 15 s after the first unanswered ping. */
export const HEARTBEAT_OPTIONS: HeartbeatOptions = { everyMs: 5_000, missesMax: 3 };

export interface PluginHostOptions extends ThreadOptions {
  readonly clock: Clock;
  readonly meter?: Meter | undefined;
  /** Heartbeat settings. */
  readonly heartbeat?: HeartbeatOptions;
  /** Starts its thread: a Web Worker, or one of a simulation. */
  readonly startThread?: StartThread | undefined;
  /** Called for each event, also while the worker stops, but never after its death. Must not throw. */
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Called once, when the worker dies or is found dead; not for {@linkcode PluginHost.stop}. */
  readonly onDeath?: (reason: string) => void;
  /** Called for rejected nodes, once for as long as they stay, and for faults that an operator should know. */
  readonly onRefused?: (reason: string) => void;
}

/** Thrown when a worker did not answer, or was not ready, in time. */
export class WorkerDeadlineError extends Error {
  override name = "WorkerDeadlineError";
}

/** Thrown for all calls to a worker that is dead or stopping. */
export class WorkerDeadError extends Error {
  override name = "WorkerDeadError";
}

let liveHosts = 0;

/** Number of live workers in this process: started, and not yet terminated. */
export function liveWorkerCount(): number {
  return liveHosts;
}

/**
 * A worker that runs one plugin, the calls in flight to it, and its heartbeat. A dead host is
 * replaced, never revived.
 */
export class PluginHost implements AsyncDisposable {
  readonly name: string;
  readonly #thread: Thread;
  readonly #clock: Clock;
  readonly #heartbeatOptions: HeartbeatOptions;
  readonly #options: PluginHostOptions;
  readonly #meter: Meter;
  readonly #ofKind: { readonly kind: string };
  readonly #calls = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #loaded = Promise.withResolvers<ToHost & { type: "loaded" }>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #watched = new Set<string>();
  /** The last snapshot of each watched cluster, which changes build on, and its lease. */
  readonly #kept = new Map<
    string,
    { readonly number: number; readonly nodes: readonly Node[]; readonly length: number }
  >();
  readonly #keys = new FollowedKeys((message) => this.post(message));
  /** What was rejected in the last snapshot of each cluster. */
  readonly #refused = new Map<string, ReadonlySet<string>>();
  /** Consecutive unanswered pings. */
  #missed = 0;
  /** When the last message arrived. */
  #heardMs = -Infinity;
  #cancelPing: (() => void) | undefined;
  #seq = 0;
  #isLoaded = false;
  #isStopping = false;
  #dead: string | undefined;
  #fellSilent = false;
  readonly #share: Share;
  /** Its share of the main loop's time, for a third-party plugin. */
  readonly #budgets: ForeignBudgets | undefined;
  /** Calls that wait until their answers may take time of the main loop. */
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  /** Log records dropped unread and not reported yet. */
  #unread = 0;
  /** Portions of snapshots not acknowledged to the worker yet. */
  #untaken = 0;
  /** The portions of an incomplete snapshot. */
  #begun: { readonly cluster: string; readonly nodes: Node[]; readonly refused: string[]; length: number } | undefined;
  /** Set while a change of the connection is delayed, with the newest one since. */
  #connection: { readonly newest?: ToHost & { type: "connection" } } | undefined;
  /** Cancels the timers of this worker. */
  readonly #waits = new Set<() => void>();
  #refusals = { second: 0, told: 0 };

  /** Starts the worker; {@linkcode loaded} resolves when its plugin is there. */
  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.name = options.name;
    [this.#meter, this.#ofKind] = [options.meter ?? UNMETERED, { kind: options.kind ?? "none" }];
    this.#clock = options.clock;
    this.#share = new Share(options.clock.now());
    this.#budgets = options.module.startsWith("data:") ? foreignBudgets(options.clock) : undefined;
    this.#heartbeatOptions = options.heartbeat ?? HEARTBEAT_OPTIONS;
    // A caller that does not await this learns of a death from onDeath.
    this.#loaded.promise.catch(() => {});
    const { startThread: start = startThread } = options;
    this.#thread = start(options, {
      onMessage: (data) => this.#receive(data),
      onNoise: () => this.#die("sent a message outside its MessagePort"),
      onFault: (reason) => this.#die(reason),
    });
    liveHosts++;
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

  /** Whether it died silently, without answering pings or while stopping: then its thread may be stuck. */
  get fellSilent(): boolean {
    return this.#fellSilent;
  }

  /**
   * Sends a request and waits for the answer. Throws {@linkcode WorkerError} for an error in the
   * worker, {@linkcode WorkerDeadlineError}, {@linkcode WorkerDeadError}, or the signal's reason.
   */
  async call(request: Request, { deadlineMs, signal }: { deadlineMs: number; signal?: AbortSignal }): Promise<Answer> {
    // The deadline starts when the request is sent.
    if (this.#options.kind === "balancer") await this.#untilPaid(signal);
    signal?.throwIfAborted();
    if (this.#dead !== undefined) throw new WorkerDeadError(this.#dead);
    if (this.#isStopping) throw new WorkerDeadError("stopping");
    const seq = ++this.#seq;
    const result = Promise.withResolvers<Answer>();
    this.#calls.set(seq, result);
    const overdue = () => {
      result.reject(new WorkerDeadlineError(`no response to ${request.type} within ${formatDuration(deadlineMs)}`));
    };
    const giveUpMs = Math.min("timeoutMs" in request ? request.timeoutMs : Infinity, deadlineMs);
    let cancel = this.#clock.after(giveUpMs, () => {
      if (giveUpMs === deadlineMs) return overdue();
      // The plugin's timeout is a little shorter than the call's, so that it can report it itself.
      this.post({ type: "abort", seq });
      cancel = this.#clock.after(deadlineMs - giveUpMs, overdue);
    });
    const abort = () => result.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    let answered = false;
    try {
      const beganMs = this.#clock.now();
      this.post({ ...request, seq });
      // A request may be long: all members of a balancer's clusters.
      this.#charge("messages", beganMs);
      const answer = await result.promise;
      answered = true;
      if (answer.type === "nack") throw new WorkerError(answer.error);
      return answer;
    } finally {
      cancel();
      signal?.removeEventListener("abort", abort);
      this.#calls.delete(seq);
      // Nobody waits any more: the plugin may stop working on it.
      if (!answered && this.#dead === undefined) this.post({ type: "abort", seq });
    }
  }

  /**
   * Watches the keys under a prefix, at the pace of the reader. Throws a {@linkcode WorkerError} when
   * the plugin cannot continue, a {@linkcode WorkerDeadError}, or the signal's reason.
   */
  keys(prefix: string, signal: AbortSignal): AsyncGenerator<KeysFacts, never, void> {
    if (this.#dead !== undefined || this.#isStopping) throw new WorkerDeadError(this.#dead ?? "stopping");
    return this.#keys.follow(prefix, signal);
  }

  /** Lets a notifier deliver events within its deadline. Throws as {@linkcode call}. */
  async notify(
    instance: string,
    events: readonly NotifiedEvent[],
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    await this.call({ type: "notify", instance, events, timeoutMs }, {
      deadlineMs: timeoutMs + GIVE_UP_MS,
      ...signal && { signal },
    });
  }

  /** Sends a message without an answer. */
  post(message: ToWorker): void {
    if (message.type === "watch") this.#watched.add(message.cluster);
    if (message.type === "unwatch") {
      this.#watched.delete(message.cluster);
      this.#kept.delete(message.cluster);
    }
    if (this.#dead === undefined) this.#thread.post(message);
  }

  /**
   * Lets the plugin close what it has open, for at most `graceMs`, then ends the worker. Pending calls
   * are rejected at once with {@linkcode WorkerDeadError}: an answer that only reports the shutdown
   * would be mistaken for a result. A plugin that is slow to close still answers a ping; one that
   * answers neither {@linkcode fellSilent}. Idempotent.
   */
  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    if (this.#dead !== undefined) return;
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#cancelPing?.();
      this.#rejectCalls("stopping");
      this.post({ type: "stop" });
    }
    let reason = "stopped";
    // A plugin that is not loaded has nothing open.
    if (this.#isLoaded) {
      let cancel = this.#clock.after(graceMs / 2, () => {
        const pingedMs = this.#clock.now();
        this.post({ type: "ping", seq: ++this.#seq });
        cancel = this.#clock.after(graceMs / 2, () => {
          // Without a grace period, nobody had time to answer.
          if (graceMs > 0 && this.#heardMs < pingedMs) {
            reason = `did not stop within ${formatDuration(graceMs)}`;
            this.#fellSilent = true;
          }
          this.#stopped.resolve();
        });
      });
      await this.#stopped.promise;
      cancel();
    }
    this.#end(reason);
  }

  /** Ends the worker at once as if it had died for this reason: its owner is to start another. */
  kill(reason: string): void {
    this.#die(reason);
  }

  /** Ends the worker at once: what its plugin has open is cut off, not closed. */
  cut(): void {
    this.#end("killed");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ graceMs: 1_000 });
  }

  /** Reports what was rejected in a snapshot and was not in the previous one. */
  #tellRefused(cluster: string, refused: readonly string[]): void {
    const before = this.#refused.get(cluster);
    const news = [...new Set(refused)].filter((reason) => !before?.has(reason));
    if (this.#refused.size >= REFUSED_KEPT_MAX) this.#refused.clear();
    if (refused.length === 0) this.#refused.delete(cluster);
    else this.#refused.set(cluster, new Set(refused.slice(0, REFUSED_KEPT_MAX)));
    this.#meter.count("lighthouse_worker_rejected_messages_total", this.#ofKind, news.length);
    const second = Math.floor(this.#clock.now() / 1_000);
    if (this.#refusals.second !== second) this.#refusals = { second, told: 0 };
    if (news.length === 0 || ++this.#refusals.told > REFUSALS_PER_SECOND) return;
    for (const reason of news.slice(0, REFUSED_TOLD_MAX)) this.#options.onRefused?.(`${cluster}: ${reason}`);
    const more = news.length - REFUSED_TOLD_MAX;
    if (more > 0) this.#options.onRefused?.(`${cluster}: ${more} more nodes rejected`);
  }

  #receive(data: unknown): void {
    if (this.#dead !== undefined) return;
    const beganMs = this.#clock.now();
    this.#heardMs = beganMs;
    const isRecord = typeof data === "string" && data.startsWith(RECORD_BEGIN);
    if (isRecord && this.#isRecordTooMuch(beganMs)) {
      this.#unread++;
      this.#share.charge(data.length, beganMs);
      if (this.#share.isOverdrawn) this.#die(TOO_MUCH);
      return;
    }
    this.#tellUnread();
    const untaken = this.#untaken;
    this.#take(data);
    this.#charge(isRecord ? "records" : "messages", beganMs);
    if (this.#untaken > untaken) this.#allowMore();
  }

  #isRecordTooMuch(nowMs: number): boolean {
    return this.#budgets !== undefined && this.#budgets.records.waitMs(nowMs) > 0;
  }

  #tellUnread(): void {
    const records = this.#unread;
    this.#unread = 0;
    if (records > 0) this.#options.onRefused?.(`${records} log records dropped: logging them would take too long`);
  }

  /** Charges the time since `beganMs` to the main loop's budget. */
  #charge(what: keyof ForeignBudgets, beganMs: number): void {
    const nowMs = this.#clock.now();
    this.#budgets?.[what].charge(nowMs - beganMs, nowMs);
  }

  /** Waits until all charges are paid for; rejects when the worker ends, or with the signal's reason. */
  async #untilPaid(signal?: AbortSignal): Promise<void> {
    const waitMs = this.#budgets?.messages.waitMs(this.#clock.now()) ?? 0;
    if (waitMs === 0 || this.#dead !== undefined || this.#isStopping) return;
    const paid = Promise.withResolvers<void>();
    this.#waiting.add(paid);
    const cancel = this.#clock.after(waitMs, paid.resolve);
    await (signal === undefined ? paid.promise : abortable(paid.promise, signal)).finally(() => {
      cancel();
      this.#waiting.delete(paid);
    });
  }

  #take(data: unknown): void {
    const length = typeof data === "string" ? data.length : 0;
    const { kind, module } = this.#options;
    const answers = module === PARSER_MODULE || kind === "balancer";
    const validated = read(data, answers ? ANSWER_LENGTH_MAX : MESSAGE_LENGTH_MAX);
    if (!validated.ok) {
      this.#meter.count("lighthouse_worker_rejected_messages_total", this.#ofKind);
      return this.#die(`sent an invalid message: ${validated.fault}`);
    }
    const { message, refused } = validated;
    // Requested answers are not the sender's to pay for.
    const isAsked = "seq" in message && this.#calls.has(message.seq);
    if (!isAsked) this.#share.charge(length, this.#heardMs);
    if (this.#share.isOverdrawn) return this.#die(TOO_MUCH);
    switch (message.type) {
      case "loaded":
        if (this.#isLoaded) return this.#die("reported twice that the plugin is loaded");
        this.#isLoaded = true;
        return this.#loaded.resolve(message);
      case "broken":
        return this.#die(
          this.#isLoaded
            ? `uncaught error: ${message.error.message}`
            : `cannot load the plugin: ${message.error.message}`,
        );
      case "stopped":
        return this.#stopped.resolve();
      case "log":
        return this.#options.onEvent?.({ ...message, properties: withEvent(message.properties) });
      case "dropped":
        this.#meter.count("lighthouse_worker_dropped_log_records_total", this.#ofKind, message.records);
        return this.#options.onRefused?.(
          `${message.records} log records dropped in one second because of the rate limit`,
        );
      case "connection":
      case "nodes":
      case "snapshot":
      case "change":
      case "keys":
      case "keysLost":
      case "lost":
      case "ended":
        if (kind !== undefined && kind !== "discovery") {
          return this.#die(`sent ${message.type}, which a ${kind} may not send`);
        }
        return this.#hear(message, { refused, length });
      default: {
        // An answer after its deadline finds no call, and is dropped.
        const { seq, ...answer } = message;
        this.#calls.get(seq)?.resolve(answer);
      }
    }
  }

  /** Receives a discovery's events about its registry. */
  #hear(
    message: Extract<
      ToHost,
      { type: "connection" | "nodes" | "snapshot" | "change" | "keys" | "keysLost" | "lost" | "ended" }
    >,
    { refused, length }: { readonly refused: readonly string[]; readonly length: number },
  ): void {
    const { onEvent } = this.#options;
    if (message.type === "connection") return this.#hearConnection(message);
    if (message.type === "lost") this.#kept.delete(message.cluster);
    if (message.type === "ended") this.#keys.end(new Error(`session ended: ${message.reason}`));
    if (message.type === "keysLost") return this.#keys.lose(message);
    if (message.type === "lost" || message.type === "ended") return onEvent?.(message);
    if (++this.#untaken > PORTIONS_AHEAD_MAX) return this.#die("did not wait for its snapshots to be accepted");
    if (message.type === "keys") {
      if (!this.#keys.take(message)) this.#die("did not wait for its keys to be accepted");
      return;
    }
    const { cluster, nodes } = message.type === "snapshot"
      ? message.snapshot
      : { cluster: message.cluster, nodes: message.type === "nodes" ? message.nodes : message.added };
    this.#begun ??= { cluster, nodes: [], refused: [], length: 0 };
    const begun = this.#begun;
    begun.length += length;
    if (begun.cluster !== cluster || begun.length > 2 * SNAPSHOT_LENGTH_MAX || begun.nodes.length > NODES_MAX) {
      return this.#die("sent inconsistent portions of a snapshot");
    }
    for (const node of nodes) begun.nodes.push(node);
    begun.refused.push(...refused.slice(0, REFUSED_KEPT_MAX - begun.refused.length));
    if (message.type === "nodes") return;
    this.#begun = undefined;
    const all = begun.length === length ? nodes : joinNodes(begun.nodes, begun.refused);
    if (message.type === "change") return this.#hearChange(message, { added: all, ...begun });
    const { number, snapshot } = message;
    if (number !== undefined && this.#watched.has(cluster)) {
      this.#kept.set(cluster, { number, nodes: all, length: begun.length });
    }
    this.#tellRefused(cluster, begun.refused);
    onEvent?.({ type: "snapshot", snapshot: { ...snapshot, nodes: all } });
  }

  /** Applies a change of a cluster to the stored snapshot. */
  #hearChange(
    { cluster, number, base, removed, isSameRefused, exists, epoch, leaseMs }: ToHost & { type: "change" },
    { added, refused, length }: {
      readonly added: readonly Node[];
      readonly refused: readonly string[];
      readonly length: number;
    },
  ): void {
    const before = this.#kept.get(cluster);
    // Belongs to a watch that has ended: the next one starts with a whole snapshot.
    if (before === undefined) return;
    const nodes = before.number === base ? applyChange(before.nodes, { added, removed }) : [];
    const kept = { number, nodes, length: before.length + length };
    if (before.number !== base || nodes.length > NODES_MAX || kept.length > 4 * SNAPSHOT_LENGTH_MAX) {
      return this.#die("sent an invalid change to a snapshot");
    }
    this.#kept.set(cluster, kept);
    if (!isSameRefused) this.#tellRefused(cluster, refused);
    this.#options.onEvent?.({
      type: "snapshot",
      snapshot: { cluster, nodes, exists, epoch, ...leaseMs !== undefined && { leaseMs } },
    });
  }

  /** Lets the worker send one more portion of a snapshot, once the earlier ones are paid for. */
  #allowMore(): void {
    if (this.#dead !== undefined) return;
    const taken = () => {
      this.#untaken--;
      this.post({ type: "more" });
    };
    const waitMs = Math.max(this.#share.waitMs, this.#budgets?.messages.waitMs(this.#clock.now()) ?? 0);
    if (waitMs === 0) taken();
    else this.#later(waitMs, taken);
  }

  /** Passes on a state of the connection, then the newest one after a delay: states in between are dropped. */
  #hearConnection(message: ToHost & { type: "connection" }): void {
    if (this.#connection !== undefined) return void (this.#connection = { newest: message });
    this.#connection = {};
    this.#options.onEvent?.(message);
    this.#later(CONNECTION_REST_MS, () => {
      const newest = this.#connection?.newest;
      this.#connection = undefined;
      this.post({ type: "heard" });
      if (newest !== undefined) this.#hearConnection(newest);
    });
  }

  /** Runs something after a delay, unless the worker has ended by then. */
  #later(waitMs: number, act: () => void): void {
    const cancel = this.#clock.after(waitMs, () => {
      this.#waits.delete(cancel);
      if (this.#dead === undefined) act();
    });
    this.#waits.add(cancel);
  }

  /** Pings after a silence; a missed ping has taken its interval already. */
  #schedulePing(waitMs = this.#heartbeatOptions.everyMs): void {
    this.#cancelPing = this.#clock.after(waitMs, async () => {
      const { everyMs } = this.#heartbeatOptions;
      // Any message shows that the worker lives: a busy one need not be pinged.
      const quietMs = this.#clock.now() - this.#heardMs;
      if (quietMs < everyMs && this.#missed === 0) return this.#schedulePing(everyMs - quietMs);
      const askedMs = this.#clock.now();
      const answered = await this.call({ type: "ping" }, { deadlineMs: everyMs }).then(() => true, () => false);
      if (this.#dead !== undefined || this.#isStopping) return;
      // A message meanwhile is an answer, too: a busy worker is late with its ping.
      const isAlive = answered || this.#heardMs > askedMs;
      this.#missed = isAlive ? 0 : this.#missed + 1;
      if (this.#missed >= this.#heartbeatOptions.missesMax) {
        this.#fellSilent = true;
        return this.#die(`no response to ${this.#missed} pings`);
      }
      this.#schedulePing(isAlive ? everyMs : 0);
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
    for (const cancel of this.#waits) cancel();
    this.#waits.clear();
    this.#rejectCalls(reason);
    this.#keys.end(new WorkerDeadError(reason));
    this.#loaded.reject(new WorkerDeadError(reason));
    this.#stopped.resolve();
    this.#thread.end();
  }

  #rejectCalls(reason: string): void {
    const error = new WorkerDeadError(reason);
    for (const result of [...this.#calls.values(), ...this.#waiting]) result.reject(error);
  }
}

/** Validates a message. */
function read(data: unknown, lengthMax: number): Validated {
  try {
    return validate(decode(data, lengthMax));
  } catch (error) {
    return { ok: false, fault: error instanceof Error ? error.message : String(error) };
  }
}

/** Events of discovery methods: any of them may use these. */
const DISCOVERY_EVENT = /^discovery\.[a-z_]{1,40}$/;

/**
 * Gives a plugin's log record its event. Anything but a discovery event becomes `plugin.log`, with its
 * own name in a field, so that no plugin's record passes for an event of the host.
 */
function withEvent({ event: own, ...rest }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (typeof own === "string" && DISCOVERY_EVENT.test(own)) return { event: own, ...rest };
  return { event: "plugin.log", ...rest, ...own !== undefined && { plugin_event: own } };
}
