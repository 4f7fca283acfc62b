import { type Clock, systemClock } from "../kernel/clock.ts";
import { type OpenFiles, readOpenFiles } from "../system/open_files.ts";

/** Open files of a worker itself: six were measured; plus the connection of its probe. */
const FILES_PER_WORKER = 8;
/** Share of the limit reserved for the process itself: config, topology file, HAProxy's socket, status. */
const RESERVED_SHARE = 0.2;
/** Upper bound of that reserve. */
const RESERVED_MAX = 128;
/** Open files of the process besides its workers, where they cannot be counted. */
const FILES_OF_PROCESS = 48;
/** Third-party plugins leave room for this many workers of built-in ones. */
const SPARE_WORKERS = 4;
/** Maximum age of a count. */
const RECOUNT_MS = 1_000;
/** A plugin that holds at most this many is not the reason for a shortage. */
const MODEST_MAX = 16;

/** Thrown instead of starting a worker without enough open files: Deno would panic. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

/** Number of open files reserved for the process itself under a limit. */
function reservedOf(limit: number): number {
  return Math.min(RESERVED_MAX, Math.ceil(limit * RESERVED_SHARE));
}

/** How many connections and files a third-party plugin may have open at once, under a limit of the process. Pure. */
export function openMax(limit: number | undefined, isDiscovery: boolean): number {
  if (limit === undefined || limit === Infinity) return isDiscovery ? 4_096 : 128;
  // A discovery over HTTP may hold a connection for each cluster.
  return isDiscovery
    ? Math.min(4_096, Math.max(64, Math.floor(limit / 4)))
    : Math.min(128, Math.max(16, Math.floor(limit / 32)));
}

/** The worker that wants a place. */
export interface Applicant {
  /** Whether it runs a third-party plugin. */
  readonly isForeign: boolean;
  readonly isDiscovery: boolean;
}

/** The limit of open files, and how many are in use or promised to plugins. */
export interface Files {
  readonly open: number;
  readonly limit: number;
}

/**
 * Decides how many connections and files the plugin of one more worker may have open, or why there is
 * no room for it. The promises to plugins never exceed the limit, so that none can leave the process
 * without files: each gets a part of what is left. Pure.
 */
export function share(
  { open, limit }: Files,
  { isForeign, isDiscovery }: Applicant,
): { readonly openMax: number } | { readonly lack: string } {
  // Built-in plugins start whatever third-party ones take: their workers can be replaced and restarted.
  const kept = reservedOf(limit) + (isForeign ? FILES_PER_WORKER * SPARE_WORKERS : 0);
  const left = limit - kept - open - FILES_PER_WORKER;
  const part = Math.max(isDiscovery ? 16 : 4, Math.floor(left / (isDiscovery ? 4 : 8)));
  const most = isForeign ? Math.min(openMax(limit, isDiscovery), part) : 0;
  if (left >= most) return { openMax: most };
  const takes = isForeign
    ? `a worker with this plugin requires ${FILES_PER_WORKER + most}`
    : `a worker requires ${FILES_PER_WORKER}`;
  return {
    lack: `Cannot start another worker: ${open} of ${limit} file descriptors are in use or reserved for plugins, ` +
      `${kept} are reserved for the process, and ${takes}. ` +
      "Raise LimitNOFILE (ulimit -n), or set isolation: shared in lighthouse.yaml",
  };
}

/** Whether less than half of the reserve is left. Pure. */
export function isShort({ open, limit }: Files): boolean {
  return open + reservedOf(limit) / 2 > limit;
}

/** The open files of a worker. */
export interface Holder<Worker> {
  readonly worker: Worker;
  /** The plugin's key, shared by all its workers. */
  readonly module: string;
  readonly open: number;
}

/**
 * Selects the workers to end when the process runs out of open files: those of the plugin that holds
 * the most, greediest first, until the reserve is restored. None unless files are short. Pure.
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

/** A worker's place among the open files. */
export interface OpenFilesShare {
  /** How many connections and files its plugin may have open at once, for a third-party plugin. */
  readonly openMax: number;
  /** Its files are open: the next count includes them. */
  isUp(): void;
  /** It has ended. */
  leave(): void;
}

/**
 * The open files of this process: the last count, what workers take that are not in that count yet,
 * and the promises to plugins. Counting runs a shell, so it is not done for each worker.
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

  /** Files in use, as far as known; `undefined` until they were counted, and where they cannot be. */
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

  /** Counts again, unless a count is running. Where counting fails, the last count stays. */
  async count(): Promise<void> {
    await (this.#counting ??= this.#count().finally(() => this.#counting = undefined));
  }

  /** Ensures a count recent enough for one more worker: counts once a second at most, and only if needed. */
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
    // Without a count there is no limit, so nothing is promised.
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

  /**
   * Files in use, plus all that plugins may still open. Files that they hold already count twice,
   * which errs on the safe side.
   */
  get taken(): Files | undefined {
    const { inUse } = this;
    return inUse && { open: inUse.open + this.#promised, limit: inUse.limit };
  }

  async #count(): Promise<void> {
    const up = [...this.#starting].filter(({ isUp }) => isUp);
    // If even the pipe for counting cannot be opened, the last count stays.
    const files = await this.#read().catch(() => undefined);
    if (files === undefined) return;
    this.#counted = { ...files, atMs: this.#clock.now() };
    if (files.open !== undefined) { for (const starting of up) this.#starting.delete(starting); }
  }
}

/** This process's. */
export const ownRoom: Room = new Room({ clock: systemClock, read: readOpenFiles });
