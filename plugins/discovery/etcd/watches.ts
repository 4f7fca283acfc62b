import type { PluginLog } from "../../../mod.ts";
import { backoffMs } from "../../../src/kernel/backoff.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { Coalescer } from "../../../src/kernel/coalescer.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import { Latest } from "../../../src/kernel/latest.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { type Endpoints, RefusedError } from "./endpoints.ts";
import type { Gateway } from "./gateway.ts";
import {
  encodeKey,
  encodePrefixEnd,
  type Header,
  type KeyEvent,
  type KeyValue,
  type RangeAnswer,
  readRange,
} from "./messages.ts";
import { RangeView } from "./range_view.ts";

export interface WatchesOptions {
  readonly gateway: Gateway;
  readonly endpoints: Endpoints;
  readonly log: PluginLog;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted when the session is closed. */
  readonly signal: AbortSignal;
}

/** What etcd has below one prefix. */
export interface RangeFacts {
  /** The keys, in base64, with their values. */
  readonly keyValues: ReadonlyMap<string, KeyValue>;
  /** Whether there was a key at any time since the history is known. */
  readonly wasSeen: boolean;
  /** Changes when the history of the data is unknown. */
  readonly epoch: string;
}

/** How many ranges are read at once. */
const READS_MAX = 8;
/** Watches that are added within this time share one connection from the start. */
const REOPEN_MS = { quietMs: 5, maxMs: 100 } as const;
const RETRY_MS = { firstMs: 100, maxMs: 2_000 } as const;

/** How long a server has to accept all watches of a stream. */
const CREATED_MS = 5_000;
/** The most events of one message that is sent in parts. */
const EVENTS_MAX = 1_000_000;

/** Raised when a watch ends although its server is healthy. */
class CanceledError extends Error {
  override name = "CanceledError";
}

/** A prefix that is or was followed. */
interface Range {
  readonly prefix: string;
  readonly id: string;
  readonly followers: Set<Latest<Error | undefined>>;
  view: RangeView | undefined;
  /** Whether the view holds all that the stream continues from. */
  isSettled: boolean;
  wasSeen: boolean;
  /** The changes so far of a message that is sent in parts. */
  fragments: readonly KeyEvent[];
  /** Whether the last audit found a difference. */
  isSuspect: boolean;
}

/**
 * All that is watched in one etcd cluster, over one connection: each range is read once, and then followed
 * from the revision of that read. After a loss its keys are compared by their revisions, and its values are
 * read again only if they changed.
 */
export class Watches {
  readonly #options: WatchesOptions;
  readonly #ranges = new Map<string, Range>();
  readonly #reads = new Gate(READS_MAX);
  readonly #reopen: Coalescer;
  /** Aborted to open the stream again with other ranges. */
  #round = new AbortController();
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  /** The newest revision that was read. */
  #newest: Header | undefined;
  #pasts = 0;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#reopen = new Coalescer(() => this.#round.abort(), { ...REOPEN_MS, clock: options.clock });
    options.signal.addEventListener("abort", () => this.#reopen[Symbol.dispose](), { once: true });
  }

  /**
   * Yields what is below a prefix, and again after each change. Ends when the signal is aborted; throws if
   * etcd denies reading it. A value that was not taken yet is replaced by the next.
   */
  async *follow(prefix: string, signal: AbortSignal): AsyncGenerator<RangeFacts, void, void> {
    const either = AbortSignal.any([signal, this.#options.signal]);
    const range = this.#rangeOf(prefix);
    const news = new Latest<Error | undefined>();
    range.followers.add(news);
    // A new follower gets the current data, not the last received.
    range.isSettled = false;
    this.#reopen.trigger();
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#run();
    }
    try {
      while (!either.aborted) {
        const error = await news.take(either).catch(() => undefined);
        if (either.aborted) return;
        if (error !== undefined) throw error;
        if (range.view === undefined) continue;
        yield { keyValues: range.view.keyValues, wasSeen: range.wasSeen, epoch: this.#epoch };
      }
    } finally {
      range.followers.delete(news);
      if (range.followers.size === 0) {
        range.isSettled = false;
        this.#reopen.trigger();
      }
    }
  }

  /**
   * Compares what is known with the store, so that a silent stream is detected: how many keys there are and
   * which have changed, by one small request a range. A range that differs twice in a row is read again.
   */
  async audit(signal: AbortSignal): Promise<void> {
    for (const range of this.#followed()) {
      const { view } = range;
      if (view === undefined || !range.isSettled) continue;
      const known = view.revision;
      let look: RangeAnswer;
      try {
        look = await this.#read(range, signal, { keys_only: true, min_mod_revision: String(known + 1) });
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        this.#fail(range, error);
        continue;
      }
      if (range.view !== view || !range.isSettled) continue;
      const agrees = view.agrees(look);
      if (agrees && view.revision === known && look.keyValues.length === 0) view.advance(look.header.revision);
      if (!agrees && range.isSuspect) {
        this.#options.log.warn("Watch missed a change; reading the cluster again", {
          event: "discovery.watch_behind",
          path: range.prefix,
          endpoint: this.#options.endpoints.current,
        });
        range.isSettled = false;
        this.#reopen.trigger();
      }
      range.isSuspect = !agrees;
    }
  }

  /** Resolves when nothing runs any more, once the session's signal is aborted. */
  async ended(): Promise<void> {
    await this.#running;
  }

  get #epoch(): string {
    return `${this.#newest?.clusterId ?? ""}/${this.#pasts}`;
  }

  #followed(): readonly Range[] {
    return [...this.#ranges.values()].filter(({ followers }) => followers.size > 0);
  }

  #rangeOf(prefix: string): Range {
    const known = this.#ranges.get(prefix);
    if (known !== undefined) return known;
    const range: Range = {
      prefix,
      id: String(this.#ranges.size + 1),
      followers: new Set(),
      view: undefined,
      isSettled: false,
      wasSeen: false,
      fragments: [],
      isSuspect: false,
    };
    this.#ranges.set(prefix, range);
    return range;
  }

  async #run(): Promise<void> {
    const { signal, clock, random, log } = this.#options;
    for (let failures = 0; !signal.aborted && this.#followed().length > 0;) {
      const round = this.#round = new AbortController();
      const either = AbortSignal.any([signal, round.signal]);
      try {
        await this.#settle(signal);
        const ranges = this.#followed().filter(({ isSettled }) => isSettled);
        if (ranges.length > 0) await this.#stream(ranges, either, () => failures = 0);
        // Each was denied: their followers ask again.
        else await delay(RETRY_MS.maxMs, { clock, signal: either });
      } catch (error) {
        if (either.aborted) continue;
        for (const range of this.#ranges.values()) range.isSettled = false;
        const reason = error instanceof Error ? error.message : String(error);
        log.debug("Watch lost; reading again", { event: "discovery.watch_lost", reason });
        await delay(backoffMs(failures++, RETRY_MS, random), { clock, signal }).catch(() => {});
      }
    }
    this.#isRunning = false;
  }

  /** Brings each followed range up to date, except those that etcd denies. */
  async #settle(signal: AbortSignal): Promise<void> {
    const refused = new Set<Range>();
    for (;;) {
      const unsettled = this.#followed().filter((range) => !range.isSettled && !refused.has(range));
      if (unsettled.length === 0) return;
      await Promise.all(unsettled.map((range) =>
        this.#reads.run(async () => {
          try {
            await this.#bringUp(range, signal);
          } catch (error) {
            if (!(error instanceof RefusedError)) throw error;
            refused.add(range);
            this.#fail(range, error);
          }
        })
      ));
    }
  }

  async #bringUp(range: Range, signal: AbortSignal): Promise<void> {
    if (range.view !== undefined) {
      const look = await this.#read(range, signal, { keys_only: true });
      const found = range.view?.compare(look) ?? "changed";
      if (found === "unrelated") this.#forgetPast(range.prefix);
      if (found === "same" && range.view !== undefined) {
        range.view.advance(look.header.revision);
        range.isSettled = true;
        range.isSuspect = false;
        // The epoch may have changed.
        this.#tell(range);
        return;
      }
    }
    const pasts = this.#pasts;
    const whole = await this.#read(range, signal, {});
    if (whole.hasMore) throw new Error(`etcd returned only part of the keys under ${range.prefix}`);
    range.view = new RangeView(whole);
    range.wasSeen ||= whole.keyValues.length > 0;
    range.fragments = [];
    range.isSuspect = false;
    range.isSettled = pasts === this.#pasts;
    this.#tell(range);
  }

  /** Reads a range as agreed by all members, and checks whether the answer descends from the last read. */
  async #read(range: Range, signal: AbortSignal, more: Readonly<Record<string, unknown>>): Promise<RangeAnswer> {
    const { gateway } = this.#options;
    const before = this.#newest;
    const body = { key: encodeKey(range.prefix), range_end: encodePrefixEnd(range.prefix), ...more };
    const answer = await gateway.call("/v3/kv/range", body, { signal, read: readRange });
    const { header } = answer;
    const isOther = before !== undefined &&
      (header.clusterId !== before.clusterId || header.revision < before.revision || header.term < before.term);
    if (isOther && this.#newest === before) this.#forgetPast(range.prefix);
    const newest = this.#newest;
    if (newest === undefined || newest.clusterId !== header.clusterId || header.revision >= newest.revision) {
      this.#newest = header;
    }
    return answer;
  }

  /** Notes that etcd has changed beyond its known history. */
  #forgetPast(prefix: string): void {
    const { log, endpoints } = this.#options;
    log.warn("Registry lost its history; keeping missing nodes for one lease", {
      event: "discovery.history_lost",
      path: prefix,
      instance: endpoints.current,
      version: this.#newest?.revision,
    });
    this.#newest = undefined;
    this.#pasts++;
    for (const range of this.#ranges.values()) [range.isSettled, range.view, range.wasSeen] = [false, undefined, false];
    this.#reopen.trigger();
  }

  async #stream(ranges: readonly Range[], signal: AbortSignal, onAlive: () => void): Promise<void> {
    const { gateway, clock } = this.#options;
    const requests = ranges.map(({ prefix, id, view }) => ({
      key: encodeKey(prefix),
      range_end: encodePrefixEnd(prefix),
      start_revision: String((view?.revision ?? 0) + 1),
      watch_id: id,
      fragment: true,
    }));
    const byId = new Map(ranges.map((range) => [range.id, range]));
    const left = new Set<Range>();
    const watch = await gateway.watch(requests, signal);
    const created = new Set<string>();
    const cancel = clock.after(CREATED_MS, () => {
      if (created.size < ranges.length) watch.leave(`etcd created only ${created.size} of ${ranges.length} watches`);
    });
    // Not with its first line: something between here and etcd may end every stream at once.
    const cancelAlive = clock.after(RETRY_MS.maxMs, onAlive);
    try {
      for await (const line of watch.lines) {
        if (line.type === "error") throw new Error(line.message);
        const range = byId.get(line.watchId);
        if (line.type === "canceled") {
          // The server leaves the stream open: a rejected watch is named by -1.
          throw new CanceledError(`etcd canceled a watch: ${line.reason}`);
        }
        if (line.type === "created") created.add(line.watchId);
        if (line.type === "created" || range === undefined || left.has(range)) continue;
        if (!range.isSettled) {
          left.add(range);
          continue;
        }
        const events = [...range.fragments, ...line.events];
        if (events.length > EVENTS_MAX) throw new Error(`a watch message has more than ${EVENTS_MAX} events`);
        range.fragments = line.isWhole ? [] : events;
        if (!line.isWhole) continue;
        if (range.view?.apply(events)) {
          range.wasSeen ||= range.view.keyValues.size > 0;
          this.#tell(range);
        }
      }
      throw new Error("etcd ended the watch");
    } catch (error) {
      for (const range of ranges) range.fragments = [];
      const reason = error instanceof Error ? error.message : String(error);
      if (!signal.aborted && !(error instanceof CanceledError)) watch.leave(reason);
      throw error;
    } finally {
      cancel();
      cancelAlive();
    }
  }

  #tell(range: Range): void {
    for (const news of range.followers) news.put(undefined);
  }

  #fail(range: Range, error: Error): void {
    range.isSettled = false;
    const refused = new Error(`Cannot read ${range.prefix} from etcd: ${error.message}`, { cause: error });
    for (const news of range.followers) news.put(refused);
  }
}
