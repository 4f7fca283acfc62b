import type { ClusterFacts, PluginLog } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { type Child, Composition, newsOfFaults, NotedChildren, sameFacts, sealedChild } from "../children.ts";
import type { Format } from "../formats/format.ts";
import { equalBytes } from "../node_json.ts";
import { ERROR, type WatchEvent } from "./connection.ts";
import { caughtUp, LookLoop, type ReadingConnection, type Watch } from "./look_loop.ts";
import { isError } from "./place.ts";

export interface ZnodeWatchOptions {
  /** Returns an established connection, waiting for one if necessary. */
  readonly connected: (signal: AbortSignal) => Promise<ReadingConnection>;
  /** The cluster's znode. */
  readonly path: string;
  readonly format: Format;
  readonly log: PluginLog;
  /** Whether nobody reads metadata. */
  readonly withoutMetadata?: boolean | undefined;
  /** Whether a node's address may be a host name; otherwise its entry is left out. */
  readonly withNames?: boolean | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** Children read at once: enough to hide the latency to the server, few enough to leave room for others. */
const READS_AT_ONCE_MAX = 256;

/**
 * Follows the children of one znode. Watches are only hints to look again: after each hint the list is read,
 * and of the children those that are new or changed; after each reconnect everything is, once the server has
 * caught up with the ensemble. So the history is known while the session lasts.
 */
export class ZnodeWatch implements Watch<ClusterFacts> {
  readonly #options: ZnodeWatchOptions;
  readonly #gate = new Gate(READS_AT_ONCE_MAX);
  /** The connection that the watches are set on. */
  #connection: ReadingConnection | undefined;
  #isListStale = true;
  /** Children to be read again although they are known. */
  readonly #stale = new Set<string>();
  #names: readonly string[] = [];
  readonly #children = new NotedChildren<Child>();
  readonly #composition: Composition;
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;
  /** Whether the server may be behind the one that was used last. */
  #isBehind = true;
  #isMissing = false;
  readonly #loop: LookLoop;

  constructor(options: ZnodeWatchOptions) {
    this.#options = options;
    const { connected, format, withNames, clock, random } = options;
    this.#composition = new Composition({ mayRepeat: format.sequenceOf !== undefined, withNames });
    this.#loop = new LookLoop({ connected, clock, random, onRecheck: () => this.#isListStale = true });
  }

  onEvent({ path }: WatchEvent): void {
    const own = this.#options.path;
    if (path === own) this.#isListStale = true;
    else if (path.startsWith(`${own}/`)) this.#stale.add(path.slice(own.length + 1));
    else return;
    this.#loop.hint();
  }

  onConnection(): void {
    this.#loop.hint();
  }

  async *snapshots(signal: AbortSignal): AsyncGenerator<ClusterFacts> {
    let last: ClusterFacts | undefined;
    for await (const facts of this.#loop.looks((connection) => this.#look(connection), signal)) {
      if (sameFacts(last, facts)) continue;
      last = facts;
      yield facts;
    }
  }

  /** Reads what is not known; returns the result. */
  async #look(connection: ReadingConnection): Promise<ClusterFacts> {
    const { path } = this.#options;
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#isListStale = true;
      this.#isBehind = true;
      for (const name of this.#children.current.keys()) this.#stale.add(name);
    }
    if (this.#isListStale) {
      if (this.#isBehind) await caughtUp(connection);
      await this.#list(connection);
      this.#isBehind = false;
    }
    const epoch = connection.sessionId.toString(16);
    if (this.#isMissing) return { nodes: [], exists: false, epoch };
    await this.#readChildren(connection);
    const { nodes, faults, excess } = this.#composition.change(
      this.#children.takeChanged(),
      () => this.#children.current,
    );
    if (excess !== undefined && excess !== this.#excess) {
      this.#options.log.warn("Metadata too large, partly omitted", {
        event: "discovery.excess",
        path,
        reason: excess,
      });
    }
    this.#excess = excess;
    for (const line of newsOfFaults(this.#faults, faults)) {
      const at = { path, reason: line };
      this.#options.log.warn("Entry skipped", { event: "discovery.entry_skipped", ...at });
    }
    this.#faults = faults;
    return { nodes, exists: true, epoch };
  }

  /** Lists the children and leaves a watch: on the list, or on the creation of a missing znode. */
  async #list(connection: ReadingConnection): Promise<void> {
    const { path, format, log } = this.#options;
    for (;;) {
      // What fires from here on is news, even if it arrives before the answer is taken.
      this.#isListStale = false;
      try {
        const all = await connection.getChildren(path, { watch: true });
        this.#names = format.select?.(all) ?? all;
        if (this.#isMissing) log.info("Path now exists", { event: "discovery.path_found", path });
        this.#isMissing = false;
        this.#forgetUnlisted();
        return;
      } catch (error) {
        if (!isError(error, ERROR.noNode)) {
          this.#isListStale = true;
          throw error;
        }
      }
      if (await connection.exists(path, { watch: true })) continue;
      if (!this.#isMissing) log.info("Path does not exist", { event: "discovery.path_missing", path });
      this.#isMissing = true;
      // A znode that is created again under a known name is another znode.
      for (const name of this.#children.current.keys()) this.#stale.add(name);
      return;
    }
  }

  /** Forgets the children that are not listed any more. */
  #forgetUnlisted(): void {
    let staying = 0;
    for (const name of this.#names) if (this.#children.current.has(name)) staying++;
    if (staying === this.#children.current.size) return;
    const listed = new Set(this.#names);
    for (const name of this.#children.current.keys()) if (!listed.has(name)) this.#children.note(name, undefined);
  }

  /** Reads what is new or changed; if one cannot be read all fail, as a partial result is not reported. */
  async #readChildren(connection: ReadingConnection): Promise<void> {
    const due = this.#names.filter((name) => !this.#children.current.has(name) || this.#stale.has(name));
    this.#stale.clear();
    // All are awaited even so: answers over a lost connection must not be noted after that.
    const results = await Promise.allSettled(
      due.map((name) => this.#gate.run(() => this.#readChild(connection, name))),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #readChild(connection: ReadingConnection, name: string): Promise<void> {
    const { path, format, withoutMetadata } = this.#options;
    try {
      const { data } = await connection.getData(`${path}/${name}`, { watch: true });
      const before = this.#children.current.get(name);
      // Unchanged children stay the same values, so that they are not reported.
      const isNode = before?.node !== undefined || before?.unresolved !== undefined;
      // Data that is not kept is empty, and equals nothing.
      if (isNode && before.data.length > 0 && equalBytes(before.data, data)) return;
      this.#children.note(name, format.read(name, data, { withoutMetadata, before }));
    } catch (error) {
      if (isError(error, ERROR.noNode)) this.#children.note(name, undefined);
      else if (isError(error, ERROR.noAuth)) this.#children.note(name, sealedChild("Permission denied"));
      else throw error;
    }
  }
}
