import type { KeysFacts } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { ERROR, type WatchEvent } from "./connection.ts";
import { caughtUp, LookLoop, type ReadingConnection, type Watch } from "./look_loop.ts";
import { isError } from "./place.ts";

export interface TreeWatchOptions {
  /** Returns an established connection, waiting for one if necessary. */
  readonly connected: (signal: AbortSignal) => Promise<ReadingConnection>;
  /** The znode at the top: `/` or a path without a slash at its end. */
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** A znode as last read. */
interface Znode {
  readonly data: Uint8Array;
  readonly children: readonly string[];
}

/** How many are read at once. */
const READS_AT_ONCE_MAX = 256;
/** The most znodes that are read: as many as keys may be followed, and their parents. */
const ZNODES_MAX = 20_000;

/**
 * Follows all znodes below one, each by a watch on its data and one on its children, so that it works with
 * every version of ZooKeeper. A znode without data that has children is a directory; every other one is a
 * key.
 */
export class TreeWatch implements Watch<KeysFacts> {
  readonly #options: TreeWatchOptions;
  readonly #loop: LookLoop;
  readonly #gate = new Gate(READS_AT_ONCE_MAX);
  /** The connection that the watches are set on. */
  #connection: ReadingConnection | undefined;
  /** What is known, by path; `undefined` for a znode that is to be read again. */
  #known = new Map<string, Znode | undefined>();

  constructor(options: TreeWatchOptions) {
    this.#options = options;
    const { connected, clock, random } = options;
    this.#loop = new LookLoop({ connected, clock, random, onRecheck: () => this.#known.clear() });
  }

  onEvent({ path }: WatchEvent): void {
    if (path !== this.#options.path && !path.startsWith(this.#below(this.#options.path, ""))) return;
    this.#known.delete(path);
    this.#loop.hint();
  }

  onConnection(): void {
    this.#loop.hint();
  }

  async *snapshots(signal: AbortSignal): AsyncGenerator<KeysFacts> {
    let last = "";
    for await (const facts of this.#loop.looks((connection) => this.#look(connection), signal)) {
      const said = JSON.stringify(facts);
      if (said === last) continue;
      last = said;
      yield facts;
    }
  }

  async #look(connection: ReadingConnection): Promise<KeysFacts> {
    const { path } = this.#options;
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#known.clear();
      await caughtUp(connection);
    }
    const epoch = connection.sessionId.toString(16);
    const found = new Map<string, Znode>();
    for (let level = [path]; level.length > 0;) {
      if (found.size + level.length > ZNODES_MAX) {
        throw new Error(`Cannot watch the keys under ${path}: more than ${ZNODES_MAX} znodes`);
      }
      const znodes = await all(level.map((each) => this.#gate.run(() => this.#read(connection, each))));
      const next: string[] = [];
      for (const [at, znode] of znodes.entries()) {
        const own = level[at] ?? "";
        if (znode === undefined) continue;
        found.set(own, znode);
        next.push(...znode.children.map((name) => this.#below(own, name)));
      }
      level = next;
    }
    // Deleted znodes are forgotten, and changed ones are read by the next look.
    for (const known of [...this.#known.keys()]) if (!found.has(known)) this.#known.delete(known);
    const decoder = new TextDecoder();
    const entries = [...found].filter(([own, { data, children }]) =>
      own !== path && (data.length > 0 || children.length === 0)
    ).map(([own, { data }]) => ({ key: own.slice(this.#below(path, "").length), value: decoder.decode(data) }));
    return { entries: entries.toSorted((a, b) => a.key < b.key ? -1 : 1), exists: found.has(path), epoch };
  }

  /** Reads a znode and leaves watches on it, unless it is known; `undefined` if it does not exist. */
  async #read(connection: ReadingConnection, path: string): Promise<Znode | undefined> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    // A watch that fires from here on deletes the entry, even if that is before the answers are taken.
    this.#known.set(path, undefined);
    try {
      const [{ data }, children] = await all([
        connection.getData(path, { watch: true }),
        connection.getChildren(path, { watch: true }),
      ]);
      const znode = { data, children };
      if (this.#known.has(path)) this.#known.set(path, znode);
      return znode;
    } catch (error) {
      if (!isError(error, ERROR.noNode)) throw error;
      // The creation of the one at the top is no change of a watched parent.
      if (path !== this.#options.path || !await connection.exists(path, { watch: true })) return undefined;
      this.#known.delete(path);
      return await this.#read(connection, path);
    }
  }

  #below(path: string, name: string): string {
    return path === "/" ? `/${name}` : `${path}/${name}`;
  }
}

/** Waits for all, even if one fails: answers over a lost connection must not be noted after that. */
async function all<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
