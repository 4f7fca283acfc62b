import type { ClusterFacts, ClusterName, PluginLog } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import { quote } from "../../../src/model/node.ts";
import { composeNodes, newsOfFaults, sameFacts, sealedChild } from "../children.ts";
import { isOver, type NodeFile, readNodeFile, sameStamp, see, type Sighting, type Stamp } from "./lease.ts";
import { refuseLink } from "./link.ts";

export interface DirectoryWatchOptions {
  readonly cluster: ClusterName;
  /** The cluster's directory. */
  readonly path: string;
  /** How often it is looked at at least. */
  readonly pollMs: number;
  /** The lease of a file that does not say its own. */
  readonly ttlMs: number;
  readonly clock: Clock;
  /** The time of day in milliseconds, to judge files that are seen for the first time. */
  readonly wallMs: () => number;
  readonly log: PluginLog;
  /** Called with each look: whether the registry could be read, and why not. */
  readonly onReach: (fault: string | undefined) => void;
  /** Whether nobody reads metadata. */
  readonly withoutMetadata?: boolean | undefined;
}

/** The ending of the files that are nodes. */
export const FILE_ENDING = ".json";

/** Files read at once. */
const READS_AT_ONCE_MAX = 32;
/** The least time from one look to the next, so that a storm of changes is joined. */
const LOOK_GAP_MS = 20;
/** A file without a sign of life for so many leases is removed. */
const REMOVE_AFTER_TTLS = 10;
/** No node is so large. */
const FILE_BYTES_MAX = 1_048_576;

/** A file and what is known of it. */
interface Known {
  readonly sighting: Sighting;
  /** `undefined` for what is no node: somebody's half-written file. */
  readonly entry: NodeFile | undefined;
}

/**
 * Follows the files of one directory. Its past is known as long as it is the
 * same directory; after that, and while everything on a host starts, a living
 * member takes up to one lease to be there again.
 */
export class DirectoryWatch {
  readonly #options: DirectoryWatchOptions;
  readonly #gate = new Gate(READS_AT_ONCE_MAX);
  #known: ReadonlyMap<string, Known> = new Map();
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;
  #lookedMs: number | undefined;
  #isMissing = false;
  #isReadable = true;
  /** The directory as it was seen last: another one has another past. */
  #epoch = "";
  #hint = Promise.withResolvers<void>();

  constructor(options: DirectoryWatchOptions) {
    this.#options = options;
  }

  /** Whether the last look could be made, and found no directory. */
  get isMissing(): boolean {
    return this.#isMissing && this.#isReadable;
  }

  /** Takes note that something may have changed. */
  onHint(): void {
    this.#hint.resolve();
  }

  /** Yields each answer that differs from the last; ends when the signal is aborted. */
  async *snapshots(signal: AbortSignal): AsyncGenerator<ClusterFacts> {
    const { clock, onReach } = this.#options;
    let last: ClusterFacts | undefined;
    const abort = () => this.#hint.resolve();
    signal.addEventListener("abort", abort);
    try {
      while (!signal.aborted) {
        this.#hint = Promise.withResolvers();
        let facts: ClusterFacts | undefined;
        try {
          facts = await this.#look();
          this.#isReadable = true;
          onReach(undefined);
        } catch (error) {
          // Unreachable is not empty: nothing is said, and the poll looks again.
          this.#isReadable = false;
          onReach(error instanceof Error ? error.message : String(error));
        }
        if (signal.aborted) return;
        if (facts !== undefined && !sameFacts(last, facts)) {
          last = facts;
          yield facts;
        }
        await delay(LOOK_GAP_MS, { clock, signal }).catch(() => {});
        if (!signal.aborted) await this.#hint.promise;
      }
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Reads the directory; answers what there is. */
  async #look(): Promise<ClusterFacts> {
    const { path, log, clock, pollMs, ttlMs } = this.#options;
    const names = await this.#list();
    if (names === undefined) return { nodes: [], exists: false, epoch: this.#epoch };
    const nowMs = clock.now();
    // Time in which this process did not run was not watched.
    const watchedMs = Math.min(nowMs - (this.#lookedMs ?? nowMs), 2 * pollMs);
    this.#lookedMs = nowMs;
    const found = await Promise.all(names.map((name) => this.#gate.run(() => this.#lookAt(name, watchedMs))));
    const before = this.#known;
    const known = new Map(found.filter((each) => each !== undefined));
    this.#known = known;
    const live = new Map<string, NodeFile>();
    let leaseMs = ttlMs;
    for (const [name, { entry, sighting }] of known) {
      if (entry === undefined) continue;
      leaseMs = Math.max(leaseMs, entry.lease?.ttlMs ?? 0);
      if (!isOver(entry.lease, sighting)) {
        live.set(name.slice(0, -FILE_ENDING.length), entry);
        continue;
      }
      const earlier = before.get(name);
      if (earlier !== undefined && !isOver(entry.lease, earlier.sighting)) {
        log.info(`The lease of ${quote(name)} in ${path} is over`, {
          event: "discovery.lease_expired",
          path,
          entry: name,
        });
      }
    }
    await this.#removeLongDead();
    const { nodes, faults, excess } = composeNodes(live);
    if (excess !== undefined && excess !== this.#excess) {
      log.warn(`${path}: ${excess}`, { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
    for (const line of newsOfFaults(this.#faults, faults)) {
      log.warn(`Left out a file of ${path}: ${line}`, { event: "discovery.entry_skipped", path, reason: line });
    }
    this.#faults = faults;
    return { nodes, exists: true, epoch: this.#epoch, leaseMs };
  }

  async #list(): Promise<readonly string[] | undefined> {
    const { path, log } = this.#options;
    let names: string[];
    try {
      let epoch: string;
      do {
        epoch = await identify(path);
        names = [];
        for await (const { name, isFile } of Deno.readDir(path)) if (isFile) names.push(name);
        // Another directory may have been put in its place meanwhile.
      } while (epoch !== await identify(path));
      this.#epoch = epoch;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      if (!this.#isMissing) log.info(`${path} does not exist`, { event: "discovery.path_missing", path });
      this.#isMissing = true;
      this.#known = new Map();
      return undefined;
    }
    if (this.#isMissing) log.info(`${path} is there`, { event: "discovery.path_found", path });
    this.#isMissing = false;
    return names;
  }

  async #lookAt(name: string, watchedMs: number): Promise<readonly [string, Known] | undefined> {
    const { path, ttlMs, wallMs } = this.#options;
    const file = `${path}/${name}`;
    const before = this.#known.get(name);
    let entry: NodeFile | undefined;
    try {
      const stat = await Deno.stat(file);
      const stamp: Stamp = { inode: stat.ino ?? 0, modifiedMs: stat.mtime?.getTime() ?? 0, size: stat.size };
      if (isNodeFile(name)) {
        const isKnown = before?.entry !== undefined && sameStamp(before.sighting.stamp, stamp);
        entry = isKnown ? before.entry : await this.#read(file, stamp, before?.entry);
      }
      const seen = { watchedMs, wallMs: wallMs(), ttlMs: entry?.lease?.ttlMs ?? ttlMs };
      return [name, { sighting: see(before?.sighting, stamp, seen), entry }];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async #read(file: string, { size }: Stamp, before: NodeFile | undefined): Promise<NodeFile> {
    if (size > FILE_BYTES_MAX) return sealed(`It has more than ${FILE_BYTES_MAX} bytes`);
    let data: Uint8Array;
    try {
      data = await Deno.readFile(file);
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) return sealed("It may not be read");
      throw error;
    }
    // A lease that is renewed by writing changes nothing that anybody is told of.
    return readNodeFile(data, { withoutMetadata: this.#options.withoutMetadata, before });
  }

  /** Removes what the dead left behind: nodes, and files that were never finished. */
  async #removeLongDead(): Promise<void> {
    const { path, ttlMs } = this.#options;
    for (const [name, { entry, sighting }] of this.#known) {
      const leaseMs = entry === undefined ? (isHalfWritten(name) ? ttlMs : undefined) : entry.lease?.ttlMs;
      if (leaseMs === undefined || sighting.silentMs < REMOVE_AFTER_TTLS * leaseMs) continue;
      // Whoever may not remove it leaves it to the others.
      await refuseLink(path).then(() => Deno.remove(`${path}/${name}`)).catch(() => {});
    }
  }
}

/** What tells a directory from another at the same path. */
async function identify(path: string): Promise<string> {
  const { dev, ino } = await Deno.stat(path);
  return `${dev}:${ino}`;
}

/** Whether a file is a node; others are left alone, those that begin with a dot are half written. */
function isNodeFile(name: string): boolean {
  return name.endsWith(FILE_ENDING) && !name.startsWith(".");
}

function isHalfWritten(name: string): boolean {
  return name.startsWith(".") && name.endsWith(".tmp");
}

function sealed(fault: string): NodeFile {
  return { ...sealedChild(fault), lease: undefined };
}
