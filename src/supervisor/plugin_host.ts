import type { Clock } from "../kernel/clock.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { Node } from "../model/node.ts";
import type { ClusterSnapshot } from "../model/topology.ts";
import { applyChange } from "../protocol/change.ts";
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

/** What is refused of snapshots is told so often in a second; the rest is dropped. */
const REFUSALS_PER_SECOND = 50;
/** How long a change of the connection is in force before the next is heard. */
const CONNECTION_REST_MS = 50;
/** A notifier that is given up at its deadline has so long to say so. */
const GIVE_UP_MS = 1_000;
/** Of the nodes that a snapshot brings and that are refused, so many are named. */
const REFUSED_TOLD_MAX = 3;
/** Why a worker is ended that goes on although it has to wait. */
const TOO_MUCH = "It said more than its share, and did not wait";
/** How a log record begins on the wire; one that is dropped is not parsed first. */
const RECORD_BEGIN = `{"type":"log",`;
/** So many refusals are remembered for each cluster, and for so many clusters, so that none is told twice. */
const REFUSED_KEPT_MAX = 1_000;

/** What a worker says without being asked. */
export type WorkerEvent =
  | Extract<ToHost, { type: "lost" | "ended" | "connection" | "log" }>
  /** A cluster's whole membership, whatever of it has crossed. */
  | { readonly type: "snapshot"; readonly snapshot: ClusterSnapshot };

/** How a worker's life is watched. */
export interface HeartbeatOptions {
  /** The time from one ping to the next, and the deadline of each. */
  readonly everyMs: number;
  /** Misses in a row after which a worker counts as dead. */
  readonly missesMax: number;
}

/** Five seconds, three misses: a worker is dead 15 s after the first ping that it did not answer. */
export const HEARTBEAT_OPTIONS: HeartbeatOptions = { everyMs: 5_000, missesMax: 3 };

export interface PluginHostOptions extends ThreadOptions {
  readonly clock: Clock;
  readonly meter?: Meter | undefined;
  /** How its life is watched. */
  readonly heartbeat?: HeartbeatOptions;
  /** Starts its thread: a Web Worker unless a simulation has another. */
  readonly startThread?: StartThread | undefined;
  /** Called for each message that is no answer; while it stops too, but never after death. Must not throw. */
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Called once, when the worker dies by itself or is found dead; not for {@linkcode PluginHost.stop}. */
  readonly onDeath?: (reason: string) => void;
  /** Called for nodes that were refused, once for as long as they stay, and for faults an operator should know. */
  readonly onRefused?: (reason: string) => void;
}

/** Raised when a worker gave no answer in time, or was not ready in time. */
export class WorkerDeadlineError extends Error {
  override name = "WorkerDeadlineError";
}

/** Raised for all that is asked of a worker that is dead, or that is being stopped. */
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
  /** The last snapshot of each cluster that is watched, which changes build on, and how long it was with them. */
  readonly #kept = new Map<
    string,
    { readonly number: number; readonly nodes: readonly Node[]; readonly length: number }
  >();
  readonly #keys = new FollowedKeys((message) => this.post(message));
  /** What was refused in the last snapshot of each cluster. */
  readonly #refused = new Map<string, ReadonlySet<string>>();
  /** Pings in a row that went unanswered. */
  #missed = 0;
  /** When the worker last said anything. */
  #heardMs = -Infinity;
  #cancelPing: (() => void) | undefined;
  #seq = 0;
  #isLoaded = false;
  #isStopping = false;
  #dead: string | undefined;
  #fellSilent = false;
  readonly #share: Share;
  /** Its part of the main loop's time, if it runs a plugin that does not ship. */
  readonly #budgets: ForeignBudgets | undefined;
  /** Calls that wait until their answers may take time of the main loop. */
  readonly #waiting = new Set<PromiseWithResolvers<void>>();
  /** Log records that were dropped unread and not reported yet. */
  #unread = 0;
  /** Portions of snapshots that the worker was not told of that they were taken. */
  #untaken = 0;
  /** What has come of a snapshot whose end has not. */
  #begun: { readonly cluster: string; readonly nodes: Node[]; readonly refused: string[]; length: number } | undefined;
  /** Set while a change of the connection rests, with the newest that came meanwhile. */
  #connection: { readonly newest?: ToHost & { type: "connection" } } | undefined;
  /** What stops the waits of this worker. */
  readonly #waits = new Set<() => void>();
  #refusals = { second: 0, told: 0 };

  /** Makes the worker; {@linkcode loaded} tells when its plugin is there. */
  constructor(options: PluginHostOptions) {
    this.#options = options;
    this.name = options.name;
    [this.#meter, this.#ofKind] = [options.meter ?? UNMETERED, { kind: options.kind ?? "none" }];
    this.#clock = options.clock;
    this.#share = new Share(options.clock.now());
    this.#budgets = options.module.startsWith("data:") ? foreignBudgets(options.clock) : undefined;
    this.#heartbeatOptions = options.heartbeat ?? HEARTBEAT_OPTIONS;
    // Whoever does not wait for this learns of a death from onDeath.
    this.#loaded.promise.catch(() => {});
    const { startThread: start = startThread } = options;
    this.#thread = start(options, {
      onMessage: (data) => this.#receive(data),
      onNoise: () => this.#die("It spoke past its port"),
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

  /** Whether it is dead because it said nothing, to pings or once it was to stop: then its thread may run on. */
  get fellSilent(): boolean {
    return this.#fellSilent;
  }

  /**
   * Asks and waits for the answer. Throws {@linkcode WorkerError} for an error
   * in the worker, {@linkcode WorkerDeadlineError} and
   * {@linkcode WorkerDeadError}, or the signal's reason.
   */
  async call(request: Request, { deadlineMs, signal }: { deadlineMs: number; signal?: AbortSignal }): Promise<Answer> {
    // The deadline counts from when the worker is asked.
    if (this.#options.kind === "balancer") await this.#untilPaid();
    signal?.throwIfAborted();
    if (this.#dead !== undefined) throw new WorkerDeadError(this.#dead);
    if (this.#isStopping) throw new WorkerDeadError("It is being stopped");
    const seq = ++this.#seq;
    const result = Promise.withResolvers<Answer>();
    this.#calls.set(seq, result);
    const overdue = () => {
      result.reject(new WorkerDeadlineError(`No answer to ${request.type} within ${deadlineMs} ms`));
    };
    const giveUpMs = Math.min("timeoutMs" in request ? request.timeoutMs : Infinity, deadlineMs);
    let cancel = this.#clock.after(giveUpMs, () => {
      if (giveUpMs === deadlineMs) return overdue();
      // The plugin is given up a little before the call is, so that it can still say so itself.
      this.post({ type: "abort", seq });
      cancel = this.#clock.after(deadlineMs - giveUpMs, overdue);
    });
    const abort = () => result.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    let answered = false;
    try {
      const beganMs = this.#clock.now();
      this.post({ ...request, seq });
      // A question may be long: all the members of a balancer's clusters.
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
   * Follows the keys below a prefix, at the pace of who reads. Throws a {@linkcode WorkerError} when the plugin cannot
   * go on, a {@linkcode WorkerDeadError}, or the signal's reason.
   */
  keys(prefix: string, signal: AbortSignal): AsyncGenerator<KeysFacts, never, void> {
    if (this.#dead !== undefined || this.#isStopping) throw new WorkerDeadError(this.#dead ?? "It is being stopped");
    return this.#keys.follow(prefix, signal);
  }

  /** Has a notifier deliver events within its time. Throws as {@linkcode call}. */
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

  /** Says something that has no answer. */
  post(message: ToWorker): void {
    if (message.type === "watch") this.#watched.add(message.cluster);
    if (message.type === "unwatch") {
      this.#watched.delete(message.cluster);
      this.#kept.delete(message.cluster);
    }
    if (this.#dead === undefined) this.#thread.post(message);
  }

  /**
   * Lets the plugin close what it has open, for at most `graceMs`, then ends
   * the worker. What it was asked and has not answered yet is rejected at once
   * with {@linkcode WorkerDeadError}: an answer that only says that it is
   * being stopped would be taken for one. A plugin that is slow to close still
   * answers a ping; one that answers neither {@linkcode fellSilent}. Safe to call twice.
   */
  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    if (this.#dead !== undefined) return;
    if (!this.#isStopping) {
      this.#isStopping = true;
      this.#cancelPing?.();
      this.#rejectCalls("It is being stopped");
      this.post({ type: "stop" });
    }
    let reason = "It was stopped";
    // A plugin that is not loaded has nothing open.
    if (this.#isLoaded) {
      let cancel = this.#clock.after(graceMs / 2, () => {
        const pingedMs = this.#clock.now();
        this.post({ type: "ping", seq: ++this.#seq });
        cancel = this.#clock.after(graceMs / 2, () => {
          // Without a grace, nobody had the time to answer.
          if (graceMs > 0 && this.#heardMs < pingedMs) {
            reason = `It did not stop within ${graceMs} ms`;
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

  /** Ends the worker at once as if it had died of this: its owner is to start another. */
  kill(reason: string): void {
    this.#die(reason);
  }

  /** Ends the worker at once: what its plugin has open is cut off, not closed. */
  cut(): void {
    this.#end("It was cut off");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ graceMs: 1_000 });
  }

  /** Tells what was refused in a snapshot and had not been in the one before it. */
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
    if (more > 0) this.#options.onRefused?.(`${cluster}: ${more} more nodes were refused`);
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
    if (records > 0) this.#options.onRefused?.(`${records} log records were dropped: the log takes too much time`);
  }

  /** Charges what has passed of the main loop's time. */
  #charge(what: keyof ForeignBudgets, beganMs: number): void {
    const nowMs = this.#clock.now();
    this.#budgets?.[what].charge(nowMs - beganMs, nowMs);
  }

  /** Waits until what was charged is paid for; rejects when the worker ends. */
  async #untilPaid(): Promise<void> {
    const waitMs = this.#budgets?.messages.waitMs(this.#clock.now()) ?? 0;
    if (waitMs === 0 || this.#dead !== undefined || this.#isStopping) return;
    const paid = Promise.withResolvers<void>();
    this.#waiting.add(paid);
    const cancel = this.#clock.after(waitMs, paid.resolve);
    await paid.promise.finally(() => {
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
      return this.#die(`It said what cannot be understood: ${validated.fault}`);
    }
    const { message, refused } = validated;
    // What was asked for is the host's own affair.
    const isAsked = "seq" in message && this.#calls.has(message.seq);
    if (!isAsked) this.#share.charge(length, this.#heardMs);
    if (this.#share.isOverdrawn) return this.#die(TOO_MUCH);
    switch (message.type) {
      case "loaded":
        if (this.#isLoaded) return this.#die("It was loaded twice");
        this.#isLoaded = true;
        return this.#loaded.resolve(message);
      case "broken":
        return this.#die(
          this.#isLoaded
            ? `It threw outside of any call: ${message.error.message}`
            : `Its plugin cannot be loaded: ${message.error.message}`,
        );
      case "stopped":
        return this.#stopped.resolve();
      case "log":
        return this.#options.onEvent?.({ ...message, properties: withEvent(message.properties) });
      case "dropped":
        this.#meter.count("lighthouse_worker_dropped_log_records_total", this.#ofKind, message.records);
        return this.#options.onRefused?.(`${message.records} log records in one second were dropped`);
      case "connection":
      case "nodes":
      case "snapshot":
      case "change":
      case "keys":
      case "keysLost":
      case "lost":
      case "ended":
        if (kind !== undefined && kind !== "discovery") {
          return this.#die(`It sent ${message.type}, which a ${kind} has no business with`);
        }
        return this.#hear(message, { refused, length });
      default: {
        // An answer after its deadline finds no call, and is dropped.
        const { seq, ...answer } = message;
        this.#calls.get(seq)?.resolve(answer);
      }
    }
  }

  /** Takes what a discovery says of its registry. */
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
    if (message.type === "ended") this.#keys.end(new Error(`The session has ended: ${message.reason}`));
    if (message.type === "keysLost") return this.#keys.lose(message);
    if (message.type === "lost" || message.type === "ended") return onEvent?.(message);
    if (++this.#untaken > PORTIONS_AHEAD_MAX) return this.#die("It did not wait until its snapshots were taken");
    if (message.type === "keys") {
      if (!this.#keys.take(message)) this.#die("It did not wait until its keys were taken");
      return;
    }
    const { cluster, nodes } = message.type === "snapshot"
      ? message.snapshot
      : { cluster: message.cluster, nodes: message.type === "nodes" ? message.nodes : message.added };
    this.#begun ??= { cluster, nodes: [], refused: [], length: 0 };
    const begun = this.#begun;
    begun.length += length;
    if (begun.cluster !== cluster || begun.length > 2 * SNAPSHOT_LENGTH_MAX || begun.nodes.length > NODES_MAX) {
      return this.#die("It sent the portions of a snapshot that cannot be one");
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

  /** Takes what has changed of a cluster since the snapshot that is kept of it. */
  #hearChange(
    { cluster, number, base, removed, isSameRefused, exists, epoch, leaseMs }: ToHost & { type: "change" },
    { added, refused, length }: {
      readonly added: readonly Node[];
      readonly refused: readonly string[];
      readonly length: number;
    },
  ): void {
    const before = this.#kept.get(cluster);
    // Of a watch that has ended meanwhile: the next one begins with the whole.
    if (before === undefined) return;
    const nodes = before.number === base ? applyChange(before.nodes, { added, removed }) : [];
    const kept = { number, nodes, length: before.length + length };
    if (before.number !== base || nodes.length > NODES_MAX || kept.length > 4 * SNAPSHOT_LENGTH_MAX) {
      return this.#die("It sent a change of a snapshot that cannot be one");
    }
    this.#kept.set(cluster, kept);
    if (!isSameRefused) this.#tellRefused(cluster, refused);
    this.#options.onEvent?.({
      type: "snapshot",
      snapshot: { cluster, nodes, exists, epoch, ...leaseMs !== undefined && { leaseMs } },
    });
  }

  /** Lets the worker send one more portion of a snapshot, once what it sent is paid for. */
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

  /** Tells of the connection, and of its newest state again when it has rested: what comes and goes meanwhile is not told. */
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

  /** Does something in a while, unless the worker has ended by then. */
  #later(waitMs: number, act: () => void): void {
    const cancel = this.#clock.after(waitMs, () => {
      this.#waits.delete(cancel);
      if (this.#dead === undefined) act();
    });
    this.#waits.add(cancel);
  }

  /** Pings when nothing was heard for a while; one that was missed has taken its while already. */
  #schedulePing(waitMs = this.#heartbeatOptions.everyMs): void {
    this.#cancelPing = this.#clock.after(waitMs, async () => {
      const { everyMs } = this.#heartbeatOptions;
      // Whatever a worker says shows that it lives: one that is busy need not be asked.
      const quietMs = this.#clock.now() - this.#heardMs;
      if (quietMs < everyMs && this.#missed === 0) return this.#schedulePing(everyMs - quietMs);
      const askedMs = this.#clock.now();
      const answered = await this.call({ type: "ping" }, { deadlineMs: everyMs }).then(() => true, () => false);
      if (this.#dead !== undefined || this.#isStopping) return;
      // What it has said meanwhile is an answer, too: a busy worker comes to its ping late.
      const isAlive = answered || this.#heardMs > askedMs;
      this.#missed = isAlive ? 0 : this.#missed + 1;
      if (this.#missed >= this.#heartbeatOptions.missesMax) {
        this.#fellSilent = true;
        return this.#die(`It answered none of ${this.#missed} pings`);
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

/** Reads a message as far as it may be believed. */
function read(data: unknown, lengthMax: number): Validated {
  try {
    return validate(decode(data, lengthMax));
  } catch (error) {
    return { ok: false, fault: error instanceof Error ? error.message : String(error) };
  }
}

/** What discovery methods report: any of them may use these events. */
const DISCOVERY_EVENT = /^discovery\.[a-z_]{1,40}$/;

/**
 * Gives a plugin's record its event. Whatever is none of a discovery method is
 * `plugin.log`, and keeps its own name beside it: so that no plugin's record
 * passes for an event of the host.
 */
function withEvent({ event: own, ...rest }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (typeof own === "string" && DISCOVERY_EVENT.test(own)) return { event: own, ...rest };
  return { event: "plugin.log", ...rest, ...own !== undefined && { plugin_event: own } };
}
