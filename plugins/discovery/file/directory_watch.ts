import type { ClusterFacts, ClusterName, PluginLog } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import { Composition, newsOfFaults, NotedChildren, sameFacts, sealedChild } from "../children.ts";
import { equalBytes } from "../node_json.ts";
import { isOver, type NodeFile, readNodeFile, sameStamp, see, type Sighting, type Stamp } from "./lease.ts";
import { refuseLink } from "./link.ts";

export interface DirectoryWatchOptions {
  readonly cluster: ClusterName;
  /** The cluster's directory. */
  readonly path: string;
  /** The longest time between two looks at it. */
  readonly pollMs: number;
  /** The lease of a file that does not set its own. */
  readonly ttlMs: number;
  readonly clock: Clock;
  /** The time of day in milliseconds, to judge files that are seen for the first time. */
  readonly wallMs: () => number;
  readonly log: PluginLog;
  /** Called with each look: whether the registry could be read, and why not. */
  readonly onReach: (fault: string | undefined) => void;
  /** Whether nobody reads metadata. */
  readonly withoutMetadata?: boolean | undefined;
  /** Whether a node's address may be a host name; otherwise its file is left out. */
  readonly withNames?: boolean | undefined;
}

/** The suffix of files that are nodes. */
export const FILE_ENDING = ".json";

/** Files read at once. */
const READS_AT_ONCE_MAX = 32;
/** After so many files of a sweep, those that changed meanwhile are read. */
const SWEEP_SLICE = 64;
/** How many files hints may name before all are looked at instead. */
const HINTED_MAX = 1_024;
/** The least time from one look to the next, so that a storm of changes is combined. */
const LOOK_GAP_MS = 20;
/** A file without a sign of life for so many leases is removed. */
const REMOVE_AFTER_TTLS = 10;
/** The size limit of a node. */
const FILE_BYTES_MAX = 1_048_576;

/** A file and what is known about it. */
interface Known {
  readonly sighting: Sighting;
  /** When it was looked at, by the clock. */
  readonly lookedMs: number;
  /** `undefined` for a file that is not a node, as one that is half written. */
  readonly entry: NodeFile | undefined;
  /** Whether it had been unchanged for a while when it was read: a later change then has another time. */
  readonly isSettled: boolean;
}

/**
 * Two changes within so short a time may have the same timestamp: kernels count it in ticks of up to 10 ms.
 */
const TICK_MS = 20;

/**
 * Follows the files of one directory. A hint that names a file has that one looked at; periodically, and
 * after any other hint, a sweep looks at all of them, in slices between which the named ones come first. Its
 * history is known while it is the same directory; after that, and while everything on a host starts, a live
 * member takes up to one lease to be there again.
 */
export class DirectoryWatch {
  readonly #options: DirectoryWatchOptions;
  readonly #gate = new Gate(READS_AT_ONCE_MAX);
  readonly #known = new Map<string, Known>();
  /** The files with a lease that lasts, by the name of their node. */
  readonly #live = new NotedChildren<NodeFile>();
  readonly #composition: Composition;
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;
  #isMissing = false;
  #isReadable = true;
  /** The directory as last seen: another one has another history. */
  #epoch = "";
  #hint = Promise.withResolvers<void>();
  /** Files that hints named. */
  readonly #hinted = new Set<string>();
  /** Whether a sweep is due. */
  #isSweepDue = true;
  /** What the current sweep has yet to look at, the last first; `undefined` if there is no sweep. */
  #sweep: string[] | undefined;
  /**
   * Whether every file of this directory has been looked at: until then nothing is yielded, as a part is no
   * answer.
   */
  #isWhole = false;
  /** Whether what is known differs from what was yielded. */
  #isNews = false;

  constructor(options: DirectoryWatchOptions) {
    this.#options = options;
    this.#composition = new Composition({ withNames: options.withNames });
  }

  /** Whether the last look succeeded, and found no directory. */
  get isMissing(): boolean {
    return this.#isMissing && this.#isReadable;
  }

  /** Notes that a file may have changed; without a name, any of them. */
  onHint(file?: string): void {
    if (file === undefined || this.#hinted.size >= HINTED_MAX) this.#isSweepDue = true;
    else this.#hinted.add(file);
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
          // Unreachable is not empty: nothing is yielded, and the poll looks again.
          this.#isReadable = false;
          [this.#isSweepDue, this.#sweep, this.#isWhole] = [true, undefined, false];
          onReach(error instanceof Error ? error.message : String(error));
        }
        if (signal.aborted) return;
        if (facts !== undefined && !sameFacts(last, facts)) {
          last = facts;
          yield facts;
        }
        if (this.#sweep !== undefined) continue;
        await delay(LOOK_GAP_MS, { clock, signal }).catch(() => {});
        if (!signal.aborted) await this.#hint.promise;
      }
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * Looks at the files that hints named, and at a slice of the sweep; returns the result if it has changed.
   */
  async #look(): Promise<ClusterFacts | undefined> {
    const { path } = this.#options;
    const isOther = this.#epoch !== await identify(path).catch(() => undefined);
    // The current sweep ends first: one that takes longer than a poll would never reach its last files.
    if (isOther || (this.#isSweepDue && this.#sweep === undefined)) {
      if (!await this.#beginSweep()) return { nodes: [], exists: false, epoch: this.#epoch };
    }
    const due = new Set([...this.#hinted, ...this.#sweep?.splice(-SWEEP_SLICE) ?? []]);
    this.#hinted.clear();
    await Promise.all([...due].map((name) => this.#gate.run(() => this.#lookAt(name))));
    if (this.#sweep?.length === 0) {
      this.#sweep = undefined;
      this.#isWhole = true;
      await this.#removeLongDead();
      // The next one became due meanwhile.
      if (this.#isSweepDue) this.#hint.resolve();
    }
    if (!this.#isWhole || !this.#isNews) return undefined;
    this.#isNews = false;
    return this.#compose();
  }

  /** Lists the directory, to look at all files of it; returns whether it exists. */
  async #beginSweep(): Promise<boolean> {
    // Hints from here on are news, even if they arrive before the list is taken.
    this.#isSweepDue = false;
    const names = await this.#list();
    for (const name of this.#known.keys()) {
      if (names?.has(name) !== true) this.#note(name, undefined);
    }
    if (names === undefined) {
      [this.#sweep, this.#isWhole] = [undefined, false];
      return false;
    }
    // It is taken from its end: new files come first.
    const [known, others] = [[...this.#known.keys()], [...names].filter((name) => !this.#known.has(name))];
    this.#sweep = [...known, ...others];
    return true;
  }

  #compose(): ClusterFacts {
    const { path, log, ttlMs } = this.#options;
    let leaseMs = ttlMs;
    for (const { entry } of this.#known.values()) leaseMs = Math.max(leaseMs, entry?.lease?.ttlMs ?? 0);
    const { nodes, faults, excess } = this.#composition.change(this.#live.takeChanged(), () => this.#live.current);
    if (excess !== undefined && excess !== this.#excess) {
      log.warn("Metadata too large, partly omitted", { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
    for (const line of newsOfFaults(this.#faults, faults)) {
      log.warn("Entry skipped", { event: "discovery.entry_skipped", path, reason: line });
    }
    this.#faults = faults;
    return { nodes, exists: true, epoch: this.#epoch, leaseMs };
  }

  /** Notes what is known about a file now. */
  #note(name: string, known: Known | undefined): void {
    if (known === undefined) this.#known.delete(name);
    else this.#known.set(name, known);
    if (!isNodeFile(name)) return;
    const isLive = known !== undefined && !isOver(known.entry?.lease, known.sighting);
    if (this.#live.note(name.slice(0, -FILE_ENDING.length), isLive ? known.entry : undefined)) this.#isNews = true;
  }

  async #list(): Promise<ReadonlySet<string> | undefined> {
    const { path, log } = this.#options;
    const names = new Set<string>();
    try {
      let epoch: string;
      do {
        epoch = await identify(path);
        names.clear();
        for await (const { name, isFile } of Deno.readDir(path)) if (isFile) names.add(name);
        // Another directory may have replaced it meanwhile.
      } while (epoch !== await identify(path));
      if (epoch !== this.#epoch || this.#isMissing) [this.#isWhole, this.#isNews] = [false, true];
      this.#epoch = epoch;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      if (!this.#isMissing) log.info("Path does not exist", { event: "discovery.path_missing", path });
      this.#isMissing = true;
      return undefined;
    }
    if (this.#isMissing) log.info("Path now exists", { event: "discovery.path_found", path });
    this.#isMissing = false;
    return names;
  }

  async #lookAt(name: string): Promise<void> {
    const { path, ttlMs, wallMs, clock, pollMs } = this.#options;
    const before = this.#known.get(name);
    const known = await this.#find(name, before);
    if (known === undefined) {
      return this.#note(name, undefined);
    }
    const { stamp, entry, isSettled } = known;
    const lookedMs = clock.now();
    // Time in which this process did not run was not watched.
    const watchedMs = Math.min(lookedMs - (before?.lookedMs ?? lookedMs), 2 * pollMs);
    const sighting = see(before?.sighting, stamp, {
      watchedMs,
      wallMs: wallMs(),
      ttlMs: entry?.lease?.ttlMs ?? ttlMs,
    });
    this.#note(name, { sighting, lookedMs, entry, isSettled });
    const [wasOver, isOverNow] = [
      before !== undefined && isOver(before.entry?.lease, before.sighting),
      isOver(entry?.lease, sighting),
    ];
    if (before === undefined || wasOver || !isOverNow) return;
    this.#options.log.info("Lease expired", {
      event: "discovery.lease_expired",
      path,
      entry: name,
    });
  }

  /** Reads a file unless it is unchanged; `undefined` if there is none. Links are not followed. */
  async #find(
    name: string,
    before: Known | undefined,
  ): Promise<{ readonly stamp: Stamp } & Pick<Known, "entry" | "isSettled"> | undefined> {
    const file = `${this.#options.path}/${name}`;
    try {
      const { isFile, ino, mtime, size } = await Deno.lstat(file);
      if (!isFile) return undefined;
      const stamp: Stamp = { inode: ino ?? 0, modifiedMs: mtime?.getTime() ?? 0, size };
      const isSettled = this.#options.wallMs() - stamp.modifiedMs > TICK_MS;
      if (!isNodeFile(name)) return { stamp, entry: undefined, isSettled };
      if (before?.entry !== undefined && before.isSettled && sameStamp(before.sighting.stamp, stamp)) {
        return { stamp, entry: before.entry, isSettled };
      }
      return { stamp, entry: await this.#read(file, stamp, before?.entry), isSettled };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async #read(file: string, { size }: Stamp, before: NodeFile | undefined): Promise<NodeFile> {
    if (size > FILE_BYTES_MAX) return sealed(`Larger than ${FILE_BYTES_MAX} bytes`);
    let data: Uint8Array;
    try {
      data = await Deno.readFile(file);
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) return sealed("Permission denied");
      throw error;
    }
    // A renewed lease changes nothing that is reported. Data that is not kept is empty, and equals nothing.
    if (before !== undefined && before.data.length > 0 && equalBytes(before.data, data)) return before;
    return readNodeFile(data, { withoutMetadata: this.#options.withoutMetadata, before });
  }

  /** Removes leftovers: nodes of ended reporters, and unfinished files. */
  async #removeLongDead(): Promise<void> {
    const { path, ttlMs } = this.#options;
    for (const [name, { entry, sighting }] of this.#known) {
      const leaseMs = entry === undefined ? (isHalfWritten(name) ? ttlMs : undefined) : entry.lease?.ttlMs;
      if (leaseMs === undefined || sighting.silentMs < REMOVE_AFTER_TTLS * leaseMs) continue;
      // Who may not remove it leaves it to the others.
      await refuseLink(path).then(() => Deno.remove(`${path}/${name}`)).catch(() => {});
    }
  }
}

/** The identity of a directory, which differs from that of another at the same path. */
async function identify(path: string): Promise<string> {
  const { dev, ino } = await Deno.stat(path);
  return `${dev}:${ino}`;
}

/** Whether a file is a node; others are left alone, and files that start with a dot are half written. */
function isNodeFile(name: string): boolean {
  return name.endsWith(FILE_ENDING) && !name.startsWith(".");
}

function isHalfWritten(name: string): boolean {
  return name.startsWith(".") && name.endsWith(".tmp");
}

function sealed(fault: string): NodeFile {
  return { ...sealedChild(fault), lease: undefined };
}
