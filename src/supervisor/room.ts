import { type Clock, systemClock } from "../kernel/clock.ts";
import { type OpenFiles, readOpenFiles } from "../system/open_files.ts";

/** Files that a worker has open of itself: six were measured; and the connection of its probe. */
const FILES_PER_WORKER = 8;
/** Of the limit so much is left to the process itself: its config, the registry's file, HAProxy's socket, status. */
const RESERVED_SHARE = 0.2;
/** But no more than this. */
const RESERVED_MAX = 128;
/** What a process has open besides its workers, where that cannot be counted. */
const FILES_OF_PROCESS = 48;
/** Plugins that do not ship leave room for so many workers of those that do. */
const SPARE_WORKERS = 4;
/** A count that is not older is believed. */
const RECOUNT_MS = 1_000;
/** A plugin that holds no more than so many is not why a process runs out. */
const MODEST_MAX = 16;

/** Raised instead of starting a worker for which there are not enough open files: Deno would panic. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

/** How many open files are left to the process itself under a limit. */
function reservedOf(limit: number): number {
  return Math.min(RESERVED_MAX, Math.ceil(limit * RESERVED_SHARE));
}

/** How many connections and files a plugin that does not ship may have open at once, under a limit of the process. Pure. */
export function openMax(limit: number | undefined, isDiscovery: boolean): number {
  if (limit === undefined || limit === Infinity) return isDiscovery ? 4_096 : 128;
  // One that watches over HTTP may hold a connection for each cluster.
  return isDiscovery
    ? Math.min(4_096, Math.max(64, Math.floor(limit / 4)))
    : Math.min(128, Math.max(16, Math.floor(limit / 32)));
}

/** Which worker wants a place. */
export interface Applicant {
  /** Whether it runs a plugin that does not ship. */
  readonly isForeign: boolean;
  readonly isDiscovery: boolean;
}

/** How many open files there are, and how many are in use or promised to plugins. */
export interface Files {
  readonly open: number;
  readonly limit: number;
}

/**
 * Says how many connections and files the plugin of one more worker may have
 * open, or why there is no room for it. What is promised to plugins is never
 * more than there is, so none can leave the process without files: each is
 * promised a part of what is left only. Pure.
 */
export function share(
  { open, limit }: Files,
  { isForeign, isDiscovery }: Applicant,
): { readonly openMax: number } | { readonly lack: string } {
  // What ships goes on whatever plugins take: its workers can be replaced, and started again.
  const kept = reservedOf(limit) + (isForeign ? FILES_PER_WORKER * SPARE_WORKERS : 0);
  const left = limit - kept - open - FILES_PER_WORKER;
  const part = Math.max(isDiscovery ? 16 : 4, Math.floor(left / (isDiscovery ? 4 : 8)));
  const most = isForeign ? Math.min(openMax(limit, isDiscovery), part) : 0;
  if (left >= most) return { openMax: most };
  const takes = isForeign
    ? `a worker with this plugin takes ${FILES_PER_WORKER + most}`
    : `a worker takes ${FILES_PER_WORKER}`;
  return {
    lack: `Cannot start another worker: ${open} of ${limit} open files are in use or promised to plugins, ` +
      `${kept} are kept for the process, and ${takes}. ` +
      "Raise LimitNOFILE (ulimit -n), or set isolation: shared in lighthouse.yaml",
  };
}

/** Whether less than half of what is left to the process itself is there. Pure. */
export function isShort({ open, limit }: Files): boolean {
  return open + reservedOf(limit) / 2 > limit;
}

/** What a worker that runs a plugin holds open. */
export interface Holder<Worker> {
  readonly worker: Worker;
  /** What all workers of one plugin have in common. */
  readonly module: string;
  readonly open: number;
}

/**
 * Names the workers to end so that a process that runs out of open files gets
 * them back: those of the plugin that holds the most, the greediest first, until
 * the reserve is there again. None unless files are short. Pure.
 */
export function greediest<Worker>(
  { open, limit }: Files,
  holders: readonly Holder<Worker>[],
): readonly Holder<Worker>[] {
  if (!isShort({ open, limit })) return [];
  const byModule = Map.groupBy(holders, ({ module }) => module);
  const sum = (held: readonly Holder<Worker>[]) => held.reduce((all, { open }) => all + open, 0);
  const most = [...byModule.values()].toSorted((a, b) => sum(b) - sum(a))[0] ?? [];
  if (sum(most) <= MODEST_MAX) return [];
  let missing = open + reservedOf(limit) - limit;
  const ending: Holder<Worker>[] = [];
  for (const holder of most.toSorted((a, b) => b.open - a.open)) {
    if (missing <= 0 || holder.open <= 0) break;
    missing -= holder.open;
    ending.push(holder);
  }
  return ending;
}

/** A place for one worker among the open files. */
export interface OpenFilesShare {
  /** How many connections and files its plugin may have open at once, if it does not ship. */
  readonly openMax: number;
  /** Its files are open: the next count finds them. */
  isUp(): void;
  /** It has ended. */
  leave(): void;
}

/**
 * What is known of this process's open files: what was last counted, what the
 * workers take that are not in that count yet, and what is promised to plugins.
 * Counting runs a shell, so no worker is counted for by itself.
 */
export class Room {
  readonly #clock: Clock;
  readonly #read: () => Promise<OpenFiles | undefined>;
  readonly #starting = new Set<{ isUp: boolean }>();
  #workers = 0;
  #promised = 0;
  #counted: (OpenFiles & { readonly atMs: number }) | undefined;
  #counting: Promise<void> | undefined;

  constructor({ clock, read }: { readonly clock: Clock; readonly read: () => Promise<OpenFiles | undefined> }) {
    [this.#clock, this.#read] = [clock, read];
  }

  /** What is in use, as far as known; `undefined` until it was counted, and where it cannot be. */
  get inUse(): Files | undefined {
    if (this.#counted === undefined) return undefined;
    const { open, limit } = this.#counted;
    return {
      open: open === undefined
        ? FILES_OF_PROCESS + FILES_PER_WORKER * this.#workers
        : open + FILES_PER_WORKER * this.#starting.size,
      limit,
    };
  }

  /** Counts again, unless that is being done. Where it cannot be done, the last count stays. */
  async count(): Promise<void> {
    await (this.#counting ??= this.#count().finally(() => this.#counting = undefined));
  }

  /** Sees to it that what is known is fresh enough for one more worker: counts once a second at most, and only if need be. */
  async prepare(applicant: Applicant): Promise<void> {
    const isFresh = this.#counted !== undefined && this.#clock.now() - this.#counted.atMs < RECOUNT_MS;
    const { taken } = this;
    if (taken === undefined || (!isFresh && "lack" in share(taken, applicant))) await this.count();
  }

  /** Takes a place for one more worker. Throws a {@linkcode NoRoomError} if there is none. */
  enter(applicant: Applicant): OpenFilesShare {
    const { taken } = this;
    const given = taken === undefined
      ? { openMax: openMax(undefined, applicant.isDiscovery) }
      : share(taken, applicant);
    if ("lack" in given) throw new NoRoomError(given.lack);
    const starting = { isUp: false };
    this.#starting.add(starting);
    this.#workers++;
    // Nothing is promised where nothing was counted: there is no limit to keep.
    const promised = taken === undefined || !applicant.isForeign ? 0 : given.openMax;
    this.#promised += promised;
    let isIn = true;
    return {
      openMax: given.openMax,
      isUp: () => void (starting.isUp = true),
      leave: () => {
        if (!isIn) return;
        isIn = false;
        this.#workers--;
        this.#promised -= promised;
        this.#starting.delete(starting);
      },
    };
  }

  /** What is in use, with all that plugins may still open. What they hold already counts twice: that errs on the safe side. */
  get taken(): Files | undefined {
    const { inUse } = this;
    return inUse && { open: inUse.open + this.#promised, limit: inUse.limit };
  }

  async #count(): Promise<void> {
    const up = [...this.#starting].filter(({ isUp }) => isUp);
    // What cannot look now, as there is no file left for a pipe, knows as much as before.
    const files = await this.#read().catch(() => undefined);
    if (files === undefined) return;
    this.#counted = { ...files, atMs: this.#clock.now() };
    if (files.open !== undefined) { for (const starting of up) this.#starting.delete(starting); }
  }
}

/** This process's. */
export const ownRoom: Room = new Room({ clock: systemClock, read: readOpenFiles });
