import type { ClusterFacts, ClusterName, PluginLog } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { type Child, composeNodes, newsOfFaults, readChild, sameFacts, sealedChild } from "../children.ts";
import { equalBytes } from "../node_json.ts";
import { type Connection, ConnectionLostError, ERROR, type WatchEvent, ZooKeeperError } from "./connection.ts";

/** What a watch asks of a connection. */
export type ReadingConnection = Pick<Connection, "sessionId" | "sync" | "getChildren" | "exists" | "getData">;

export interface ZnodeWatchOptions {
  /** Answers the connection that stands, waiting for one if need be. */
  readonly connected: (signal: AbortSignal) => Promise<ReadingConnection>;
  readonly cluster: ClusterName;
  /** The cluster's znode. */
  readonly path: string;
  readonly log: PluginLog;
  /** Whether nobody reads metadata. */
  readonly withoutMetadata?: boolean | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** Children read at once: enough to hide the way to the server, few enough to leave room for others. */
const READS_AT_ONCE_MAX = 256;
/** The list is read again this often though no watch fired, in case one was lost. */
const RECHECK_MS = 60_000;

/**
 * Follows the children of one znode. Watches are only hints to look again: after
 * each hint the list is read, and of the children those that are new or changed;
 * after each reconnect everything is, once the server has caught up with the
 * ensemble. So the past is known for as long as the session lasts.
 */
export class ZnodeWatch {
  readonly #options: ZnodeWatchOptions;
  readonly #gate = new Gate(READS_AT_ONCE_MAX);
  /** The connection that the watches are set on. */
  #connection: ReadingConnection | undefined;
  #isListStale = true;
  /** Children to be read again though they are known. */
  readonly #stale = new Set<string>();
  #names: readonly string[] = [];
  readonly #children = new Map<string, Child>();
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;
  /** Whether the server may be behind the one that was seen last. */
  #isBehind = true;
  #isMissing = false;
  #hint = Promise.withResolvers<void>();

  constructor(options: ZnodeWatchOptions) {
    this.#options = options;
  }

  /** Takes note of a watch that fired, for any path. */
  onEvent({ path }: WatchEvent): void {
    const own = this.#options.path;
    if (path === own) this.#isListStale = true;
    else if (path.startsWith(`${own}/`)) this.#stale.add(path.slice(own.length + 1));
    else return;
    this.#hint.resolve();
  }

  /** Takes note of a new connection, which has no watches yet, or that there will be none any more. */
  onConnection(): void {
    this.#hint.resolve();
  }

  /** Yields each answer that differs from the last; ends when the signal is aborted, throws when the session is over. */
  async *snapshots(signal: AbortSignal): AsyncGenerator<ClusterFacts> {
    const { connected } = this.#options;
    let last: ClusterFacts | undefined;
    while (!signal.aborted) {
      this.#hint = Promise.withResolvers();
      let facts: ClusterFacts;
      try {
        facts = await this.#look(await connected(signal));
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ConnectionLostError) continue;
        throw error;
      }
      if (!sameFacts(last, facts)) {
        last = facts;
        yield facts;
      }
      await this.#rest(signal);
    }
  }

  /** Reads what is not known; answers what there is. */
  async #look(connection: ReadingConnection): Promise<ClusterFacts> {
    const { path } = this.#options;
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#isListStale = true;
      this.#isBehind = true;
      for (const name of this.#children.keys()) this.#stale.add(name);
    }
    if (this.#isListStale) {
      if (this.#isBehind) await settled(connection.sync());
      await this.#list(connection);
      this.#isBehind = false;
    }
    const epoch = connection.sessionId.toString(16);
    if (this.#isMissing) return { nodes: [], exists: false, epoch };
    await this.#readChildren(connection);
    const { nodes, faults, excess } = composeNodes(this.#children);
    if (excess !== undefined && excess !== this.#excess) {
      this.#options.log.warn(`${path}: ${excess}`, { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
    for (const line of newsOfFaults(this.#faults, faults)) {
      const at = { path, reason: line };
      this.#options.log.warn(`Left out a child of ${path}: ${line}`, { event: "discovery.entry_skipped", ...at });
    }
    this.#faults = faults;
    return { nodes, exists: true, epoch };
  }

  /** Lists the children and leaves a watch: on the list, or on the coming of a znode that is missing. */
  async #list(connection: ReadingConnection): Promise<void> {
    const { path, log } = this.#options;
    for (;;) {
      // What fires from here on is news, even if it comes before the answer is taken.
      this.#isListStale = false;
      try {
        this.#names = await connection.getChildren(path, { watch: true });
        if (this.#isMissing) log.info(`${path} is there`, { event: "discovery.path_found", path });
        this.#isMissing = false;
        const listed = new Set(this.#names);
        for (const name of this.#children.keys()) if (!listed.has(name)) this.#children.delete(name);
        return;
      } catch (error) {
        if (!isError(error, ERROR.noNode)) {
          this.#isListStale = true;
          throw error;
        }
      }
      if (await connection.exists(path, { watch: true })) continue;
      if (!this.#isMissing) log.info(`${path} does not exist`, { event: "discovery.path_missing", path });
      this.#isMissing = true;
      // What comes again under a name that is known is another znode.
      for (const name of this.#children.keys()) this.#stale.add(name);
      return;
    }
  }

  /** Reads what is new or changed; one that cannot be read fails them all, for a part is not told. */
  async #readChildren(connection: ReadingConnection): Promise<void> {
    const due = this.#names.filter((name) => !this.#children.has(name) || this.#stale.has(name));
    this.#stale.clear();
    // All are waited for even so: what came over a connection that was lost must not be noted after that.
    const results = await Promise.allSettled(
      due.map((name) => this.#gate.run(() => this.#readChild(connection, name))),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #readChild(connection: ReadingConnection, name: string): Promise<void> {
    try {
      const { data } = await connection.getData(`${this.#options.path}/${name}`, { watch: true });
      const before = this.#children.get(name);
      // What did not change stays the same value, so that no one is told of it.
      if (before?.node !== undefined && equalBytes(before.data, data)) return;
      this.#children.set(name, readChild(data, { withoutMetadata: this.#options.withoutMetadata, before }));
    } catch (error) {
      if (isError(error, ERROR.noNode)) this.#children.delete(name);
      else if (isError(error, ERROR.noAuth)) this.#children.set(name, sealedChild("It may not be read"));
      else throw error;
    }
  }

  /** Waits for a hint, or until it is time to look again without one. */
  async #rest(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { clock, random } = this.#options;
    const hint = this.#hint;
    const cancel = clock.after(RECHECK_MS * (0.8 + 0.4 * random()), () => {
      this.#isListStale = true;
      hint.resolve();
    });
    const abort = () => hint.resolve();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await hint.promise;
    } finally {
      cancel();
      signal.removeEventListener("abort", abort);
    }
  }
}

function isError(error: unknown, code: number): boolean {
  return error instanceof ZooKeeperError && error.code === code;
}

/** Waits for a request whose refusal is as good as its success. */
async function settled(request: Promise<void>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!(error instanceof ZooKeeperError)) throw error;
  }
}
