import { type Clock, systemClock } from "../kernel/clock.ts";
import { Coalescer } from "../kernel/coalescer.ts";
import { delay } from "../kernel/delay.ts";
import { Latest } from "../kernel/latest.ts";
import { type Logger, SILENT } from "../kernel/logger.ts";
import { type FolderName, FOLDERS } from "./tree.ts";
import { planWatch, type WatchPlan } from "./watch_plan.ts";

/** A word that the directory may have changed: whoever hears it reads it again, whole. */
export interface Hint {
  /** `change`: the system told of one. `rescan`: it is time to look. `poke`: somebody asked. */
  readonly why: "change" | "rescan" | "poke";
}

/** How {@linkcode watchDirectory} goes about it. */
export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** The folders that somebody reads; all unless told. */
  readonly folders?: readonly FolderName[];
  /** A hint is given when nothing has changed for so long; 30 ms unless told. */
  readonly quietMs?: number;
  /** But at the latest so long after the first change; 200 ms unless told. */
  readonly maxMs?: number;
  /** A hint is given after so long without one, whatever the system told; 10 s unless told. */
  readonly rescanMs?: number;
  /** The same while the system cannot tell of all changes; 400 ms unless told. */
  readonly unwatchedRescanMs?: number;
  /** The time; the machine's own unless told. */
  readonly clock?: Clock;
  /** Hears when changes can and cannot be watched. */
  readonly log?: Logger;
}

/** A directory of thousands of files is not read again and again while they are copied: it is read when that pauses. */
const QUIET_PER_READING = 0.25, QUIET_MS_MAX = 250;
/** Nor is it read for more than a part of the time while files come without a pause. */
const PAUSE_PER_READING = 4, PAUSE_MS_MAX = 5_000;

/**
 * A path that was removed and made again can only be watched again once the
 * old watcher is closed, and not in the same turn of the event loop.
 */
const REOPEN_PAUSE_MS = 20;

/**
 * Watches the config directory `dir`: it gives a hint as soon as it watches,
 * and then whenever the directory may have changed, whatever happens to it:
 * files that are written or replaced, links that are swapped, the whole
 * directory removed and made again. A hint that nobody took is not kept beside
 * a newer one: both say the same. End it by its signal or by disposing of it.
 */
export function watchDirectory(dir: string, options: WatchOptions = {}): DirectoryWatch {
  return new DirectoryWatch(dir, options);
}

/** How the next hints are joined after a reading that took so long. Pure. */
export function paceAfter(
  tookMs: number,
  { quietMs, maxMs }: Required<Pick<WatchOptions, "quietMs" | "maxMs">>,
): { readonly quietMs: number; readonly maxMs: number } {
  return {
    quietMs: Math.max(quietMs, Math.min(tookMs * QUIET_PER_READING, QUIET_MS_MAX)),
    maxMs: Math.max(maxMs, Math.min(tookMs * PAUSE_PER_READING, PAUSE_MS_MAX)),
  };
}

/** Made by {@linkcode watchDirectory}. */
export class DirectoryWatch implements AsyncIterable<Hint>, AsyncDisposable {
  readonly #dir: string;
  readonly #options: Required<Omit<WatchOptions, "signal">>;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #hints = new Latest<Hint>();
  readonly #coalescer: Coalescer;
  /** The open watchers, by the path that each watches. */
  readonly #watchers = new Map<
    string,
    { readonly identity: string; readonly watcher: Deno.FsWatcher; gone: boolean }
  >();
  readonly #readers = new Set<Promise<void>>();
  /** Files that are watched besides. */
  #files: readonly string[] = [];
  #plan: WatchPlan = { points: new Map(), complete: true };
  #planning: Promise<void> = Promise.resolve();
  #planAgain = false;
  #hasHinted = false;
  #complete = true;
  #cancelRescan: (() => void) | undefined;

  constructor(dir: string, options: WatchOptions) {
    const { quietMs = 30, maxMs = 200, rescanMs = 10_000, unwatchedRescanMs = 400, clock = systemClock, log = SILENT } =
      options;
    const { folders = FOLDERS } = options;
    this.#dir = dir;
    this.#options = { folders, quietMs, maxMs, rescanMs, unwatchedRescanMs, clock, log };
    this.#signal = options.signal === undefined
      ? this.#stop.signal
      : AbortSignal.any([options.signal, this.#stop.signal]);
    this.#coalescer = new Coalescer(() => this.#hint("change"), { quietMs, maxMs, clock });
    if (this.#signal.aborted) return;
    this.#signal.addEventListener("abort", () => this.#close(), { once: true });
    this.#scheduleRescan();
    this.#replan();
  }

  /** Gives a hint at once: somebody asks to look again. */
  poke(): void {
    this.#hint("poke");
  }

  /** Watches these files too, and the links on the way to them, instead of those named before. */
  follow(files: readonly string[]): void {
    if (files.length === this.#files.length && files.every((file, i) => file === this.#files[i])) return;
    this.#files = [...files];
    this.#replan();
  }

  /**
   * Answers the hints, the newest only; ends when the watch does. To be iterated by one at a time: how long that one
   * takes says how often it is asked while files go on coming.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Hint, void, undefined> {
    while (!this.#signal.aborted) {
      let hint: Hint;
      try {
        hint = await this.#hints.take(this.#signal);
      } catch {
        return;
      }
      const { clock } = this.#options;
      const startedMs = clock.now();
      yield hint;
      this.#coalescer.pace(paceAfter(clock.now() - startedMs, this.#options));
    }
  }

  /** Ends the watch, and resolves when everything is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("The watch was stopped", "AbortError"));
    await this.#planning;
    await Promise.all(this.#readers);
  }

  #hint(why: Hint["why"]): void {
    if (this.#signal.aborted) return;
    this.#hasHinted = true;
    this.#hints.put({ why });
    this.#scheduleRescan();
    this.#replan();
  }

  #scheduleRescan(): void {
    const { clock, rescanMs, unwatchedRescanMs } = this.#options;
    this.#cancelRescan?.();
    this.#cancelRescan = clock.after(this.#complete ? rescanMs : unwatchedRescanMs, () => this.#hint("rescan"));
  }

  #close(): void {
    this.#cancelRescan?.();
    this.#coalescer[Symbol.dispose]();
    for (const path of [...this.#watchers.keys()]) this.#closeWatcher(path);
  }

  #closeWatcher(path: string): void {
    const open = this.#watchers.get(path);
    this.#watchers.delete(path);
    try {
      open?.watcher.close();
    } catch {
      // It has ended by itself.
    }
  }

  /** Looks what is to be watched now, once more if it is already looking. */
  #replan(): void {
    if (this.#planAgain) return;
    this.#planAgain = true;
    this.#planning = this.#planning.then(async () => {
      this.#planAgain = false;
      try {
        await this.#followPlan();
      } catch (error) {
        if (!this.#signal.aborted) this.#setComplete(false, error);
      }
    });
  }

  async #followPlan(): Promise<void> {
    const { folders } = this.#options;
    const plan = await planWatch(this.#dir, { folders, files: this.#files, signal: this.#signal });
    const stale = [...this.#watchers].filter(([path, open]) =>
      open.gone || plan.points.get(path)?.identity !== open.identity
    );
    const fresh = [...plan.points].filter(([path]) =>
      !this.#watchers.has(path) || stale.some(([stalePath]) => stalePath === path)
    );
    this.#plan = plan;
    for (const [path] of stale) this.#closeWatcher(path);
    if (stale.length > 0 && fresh.length > 0) {
      await delay(REOPEN_PAUSE_MS, { clock: this.#options.clock, signal: this.#signal });
    }
    if (this.#signal.aborted) return;
    let failure: unknown = plan.complete ? undefined : new Error("some paths cannot be watched");
    let again = false;
    for (const [path, { identity }] of fresh) {
      try {
        this.#open(path, identity);
        // Nobody was notified of what happened before the watcher was open.
        again = true;
      } catch (error) {
        // What has just been removed is no reason for alarm: the next look finds it missing.
        if (error instanceof Deno.errors.NotFound) again = true;
        else failure = error;
      }
    }
    this.#setComplete(failure === undefined, failure);
    if (!again) return;
    if (this.#hasHinted) this.#coalescer.trigger();
    // Nobody has read anything yet: there is nothing to wait for.
    else this.#hint("change");
  }

  #open(path: string, identity: string): void {
    const watcher = Deno.watchFs(path, { recursive: false });
    const open = { identity, watcher, gone: false };
    this.#watchers.set(path, open);
    const reader = this.#read(path, open).finally(() => this.#readers.delete(reader));
    this.#readers.add(reader);
  }

  async #read(path: string, open: { readonly watcher: Deno.FsWatcher; gone: boolean }): Promise<void> {
    try {
      for await (const event of open.watcher) {
        // Reading may be reported as access; a hint for it would never end.
        if (event.kind === "access") continue;
        if (event.paths.includes(path)) open.gone = true;
        if (event.flag === "rescan" || event.paths.some((each) => this.#matters(each))) this.#coalescer.trigger();
      }
    } catch (error) {
      this.#setComplete(false, error);
    }
    if (this.#watchers.get(path) !== open || this.#signal.aborted) return;
    // It ended by itself: another is opened at the next look.
    open.gone = true;
    this.#coalescer.trigger();
  }

  #matters(path: string): boolean {
    const point = this.#plan.points.get(path);
    if (point !== undefined) return true;
    const slash = path.lastIndexOf("/");
    const [folder, name] = [path.slice(0, Math.max(1, slash)), path.slice(slash + 1)];
    const around = this.#plan.points.get(folder);
    return around !== undefined && (around.names.has(name) || (around.yaml && /\.ya?ml$/.test(name)));
  }

  #setComplete(complete: boolean, cause: unknown): void {
    if (this.#complete === complete || this.#signal.aborted) return;
    this.#complete = complete;
    this.#scheduleRescan();
    const { log, rescanMs, unwatchedRescanMs } = this.#options;
    if (complete) log.info("Watching the config directory again", { event: "config.watched", rescanMs });
    else {
      log.warn("Cannot watch the config directory; polling instead", {
        event: "config.unwatched",
        everyMs: unwatchedRescanMs,
        cause: cause instanceof Error ? cause.message : String(cause),
      });
    }
  }
}
