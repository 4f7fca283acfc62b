import { backoffMs } from "../../../src/kernel/backoff.ts";
import { Coalescer } from "../../../src/kernel/coalescer.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import { Latest } from "../../../src/kernel/latest.ts";
import type { StoreFacts } from "./store.ts";
import { type V2Client, type V2Header, V2RefusedError } from "./v2_client.ts";
import { type Leaf, readChange, readLeaves, V2_CODE } from "./v2_messages.ts";
import type { StoreOptions } from "./v3_store.ts";

/** What watches are made with. */
export interface V2WatchesOptions extends Pick<StoreOptions, "endpoints" | "log" | "clock" | "random" | "signal"> {
  readonly client: V2Client;
}

/**
 * After this time without a change, everything is read again: the history has 1,000 changes of the whole
 * store.
 */
const WAIT_MS = 30_000;
const READS_MAX = 8;
const REOPEN_MS = { quietMs: 5, maxMs: 100 } as const;
const RETRY_MS = { firstMs: 100, maxMs: 2_000 } as const;

/** A directory that is followed. */
interface Directory {
  readonly path: string;
  readonly followers: Set<Latest<StoreFacts | Error>>;
  isRead: boolean;
}

/** All directories that are followed, by one request that waits for a change below their common parent. */
export class V2Watches {
  readonly #options: V2WatchesOptions;
  readonly #directories = new Map<string, Directory>();
  readonly #reads = new Gate(READS_MAX);
  readonly #again: Coalescer;
  #round = new AbortController();
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  /** The change that is awaited; unknown until all is read. */
  #next: number | undefined;
  #newest: V2Header | undefined;
  #pasts = 0;

  constructor(options: V2WatchesOptions) {
    this.#options = options;
    this.#again = new Coalescer(() => this.#round.abort(), { ...REOPEN_MS, clock: options.clock });
    options.signal.addEventListener("abort", () => this.#again[Symbol.dispose](), { once: true });
  }

  /** Yields what a directory has, and again after each change. Throws if etcd denies reading it. */
  async *follow(path: string, signal: AbortSignal): AsyncGenerator<StoreFacts, void, void> {
    const either = AbortSignal.any([signal, this.#options.signal]);
    const directory = this.#directories.get(path) ?? { path, followers: new Set(), isRead: false };
    this.#directories.set(path, directory);
    const news = new Latest<StoreFacts | Error>();
    directory.followers.add(news);
    directory.isRead = false;
    this.#again.trigger();
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#running = this.#run();
    }
    try {
      while (!either.aborted) {
        const facts = await news.take(either).catch(() => undefined);
        if (either.aborted || facts === undefined) return;
        if (facts instanceof Error) throw facts;
        yield facts;
      }
    } finally {
      directory.followers.delete(news);
      if (directory.followers.size === 0) this.#directories.delete(path);
    }
  }

  /** Resolves when nothing runs any more, once the session's signal is aborted. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, clock, random, log } = this.#options;
    for (let failures = 0; !signal.aborted && this.#directories.size > 0;) {
      const round = this.#round = new AbortController();
      const either = AbortSignal.any([signal, round.signal]);
      try {
        await this.#readAll(signal);
        await this.#wait(either, () => failures = 0);
      } catch (error) {
        if (either.aborted) continue;
        this.#forget();
        const reason = error instanceof Error ? error.message : String(error);
        log.debug("Watch lost; reading again", { event: "discovery.watch_lost", reason });
        await delay(backoffMs(failures++, RETRY_MS, random), { clock, signal }).catch(() => {});
      }
    }
    this.#isRunning = false;
  }

  /** Has everything read again. */
  #forget(): void {
    this.#next = undefined;
    for (const directory of this.#directories.values()) directory.isRead = false;
  }

  /** Reads all that is unread, and notes from which change on to wait for the rest. */
  async #readAll(signal: AbortSignal): Promise<void> {
    for (;;) {
      const unread = [...this.#directories.values()].filter(({ isRead }) => !isRead);
      if (unread.length === 0) return;
      await Promise.all(unread.map((directory) =>
        this.#reads.run(async () => {
          const index = await this.#read(directory, signal);
          if (index !== undefined) this.#next = Math.min(this.#next ?? Infinity, index + 1);
        })
      ));
    }
  }

  /** Reads one directory as agreed by all members; returns its index, or nothing if etcd denies it. */
  async #read(directory: Directory, signal: AbortSignal): Promise<number | undefined> {
    const { path, followers } = directory;
    const { client } = this.#options;
    // Before the answer, as a new follower meanwhile is to get a fresh read.
    directory.isRead = true;
    const tell = (facts: StoreFacts | Error) => followers.forEach((news) => news.put(facts));
    const before = this.#newest;
    try {
      const query = { recursive: "true", quorum: "true" };
      const read = (answer: unknown, header: V2Header) => ({ header, leaves: readLeaves(answer) });
      const { header, leaves } = await client.call(
        { method: "GET", key: path.replace(/\/$/, ""), query, signal },
        read,
      );
      this.#note(before, header, path);
      tell({ entries: entriesOf(path, leaves), exists: true, epoch: this.#epoch });
      return header.index;
    } catch (error) {
      if (!(error instanceof V2RefusedError)) {
        directory.isRead = false;
        throw error;
      }
      if (error.code !== V2_CODE.notFound) {
        tell(new Error(`Cannot read ${path} from etcd: ${error.message}`, { cause: error }));
        return undefined;
      }
      this.#note(before, error.header, path);
      tell({ entries: [], exists: false, epoch: this.#epoch });
      return error.header.index;
    }
  }

  async #wait(signal: AbortSignal, onAlive: () => void): Promise<void> {
    const { client, clock } = this.#options;
    // Each was denied: their followers ask again.
    if (this.#next === undefined) return await delay(RETRY_MS.maxMs, { clock, signal });
    for (;;) {
      const quiet = new AbortController();
      const cancel = clock.after(WAIT_MS, () => quiet.abort());
      let change: ReturnType<typeof readChange>;
      try {
        const query = { wait: "true", recursive: "true", waitIndex: String(this.#next) };
        change = await client.call({
          method: "GET",
          key: commonDirectory([...this.#directories.keys()]),
          query,
          answerMs: 2 * WAIT_MS,
          signal: AbortSignal.any([signal, quiet.signal]),
        }, readChange);
      } catch (error) {
        if (signal.aborted) throw error;
        const isCleared = error instanceof V2RefusedError && error.code === V2_CODE.indexCleared;
        if (!quiet.signal.aborted && !isCleared) throw error;
        // Nothing was received for long, or too much has happened meanwhile.
        return this.#forget();
      } finally {
        cancel();
      }
      onAlive();
      this.#next = change.index + 1;
      const touched = [...this.#directories.values()].filter(({ path }) =>
        change.key.startsWith(path) || path.startsWith(`${change.key}/`)
      );
      await Promise.all(touched.map((directory) => this.#reads.run(() => this.#read(directory, signal))));
    }
  }

  get #epoch(): string {
    return `${this.#newest?.clusterId ?? ""}/${this.#pasts}`;
  }

  /** Checks whether an answer descends from the last read. */
  #note(before: V2Header | undefined, header: V2Header, path: string): void {
    const isOther = before !== undefined && (header.clusterId !== before.clusterId || header.index < before.index);
    if (isOther && this.#newest === before) {
      this.#pasts++;
      this.#newest = undefined;
      const { log, endpoints } = this.#options;
      log.warn("Registry lost its history; keeping missing nodes for one lease", {
        event: "discovery.history_lost",
        path,
        instance: endpoints.current,
        version: before.index,
      });
      this.#forget();
      this.#again.trigger();
    }
    const newest = this.#newest;
    if (newest === undefined || newest.clusterId !== header.clusterId || header.index > newest.index) {
      this.#newest = header;
    }
  }
}

function entriesOf(path: string, leaves: readonly Leaf[]): StoreFacts["entries"] {
  const encoder = new TextEncoder();
  return leaves.filter(({ key }) => key.startsWith(path)).map(({ key, value, modifiedIndex }) =>
    [key.slice(path.length), { data: encoder.encode(value), version: modifiedIndex }] as const
  );
}

/** The deepest directory that contains all of these. */
function commonDirectory(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => path.split("/"));
  const differs = first.findIndex((part, at) => others.some((other) => other[at] !== part));
  const parts = differs === -1 ? first : first.slice(0, differs);
  return parts.join("/").replace(/\/$/, "");
}
