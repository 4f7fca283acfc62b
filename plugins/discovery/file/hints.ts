import type { PluginLog } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";

export interface HintsOptions {
  /** The directory. */
  readonly path: string;
  /** How often everything is looked at although nothing was reported. */
  readonly pollMs: number;
  readonly clock: Clock;
  readonly log: PluginLog;
  /**
   * Called with the name of a directory inside where something may have changed, and of the file in it;
   * without them, anything may have.
   */
  readonly onHint: (name: string | undefined, file?: string) => void;
}

/** A watch on a directory stays silent if it is made in the same moment as another on it ends. */
const REOPEN_MS = 300;
/** How often a missing directory is looked for. */
const MISSING_MS = 50;
/** What is made inside a new directory at once may precede the watch on that directory. */
const SECOND_LOOK_MS = 50;

/**
 * Hints that a directory, or one inside it, should be looked at. Events get lost (in bursts, in new
 * directories) and end for good when the directory is replaced; so there is a slow poll beside them, and an
 * event is only a reason to look.
 */
export class Hints implements AsyncDisposable {
  readonly #options: HintsOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  #watcher: Deno.FsWatcher | undefined;
  #inode: number | null = null;
  #isDeaf = false;
  /** When everything was last hinted at. */
  #allAt = -Infinity;

  /** Starts watching. */
  constructor(options: HintsOptions) {
    this.#options = options;
    this.#running = Promise.all([this.#watch(), this.#poll()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#close();
    await this.#running;
  }

  async #watch(): Promise<void> {
    const { path, clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#inode = (await Deno.stat(path)).ino;
        if (signal.aborted) return;
        this.#watcher = Deno.watchFs(path, { recursive: true });
        this.#isDeaf = false;
        this.#hintAtAll();
        for await (const event of this.#watcher) if (!this.#take(event)) break;
      } catch (error) {
        // Nobody has registered yet, and a reader makes no directory. Or else out of watches: the poll
        // continues.
        if (!(error instanceof Deno.errors.NotFound) && !this.#isDeaf && !signal.aborted) {
          log.warn("Cannot watch directory; polling only", {
            event: "discovery.polling",
            path,
            error: String(error),
          });
        }
        this.#isDeaf = true;
      }
      this.#close();
      const isMissing = await Deno.stat(path).then(() => false, (error) => error instanceof Deno.errors.NotFound);
      await delay(isMissing ? MISSING_MS : REOPEN_MS, { clock, signal }).catch(() => {});
    }
  }

  /** Passes an event on; returns whether the watch is still usable. */
  #take({ kind, paths, flag }: Deno.FsEvent): boolean {
    const { path, pollMs, clock, onHint } = this.#options;
    // Renewing a lease modifies a file; changing a node replaces its file.
    if ((kind === "access" || kind === "modify") && flag === undefined) return true;
    if (flag !== undefined || !paths.every((each) => each === path || each.startsWith(`${path}/`))) {
      // Looking at thousands of directories itself causes so many events that some are lost: the poll is soon
      // enough then.
      if (clock.now() - this.#allAt >= pollMs) this.#hintAtAll();
    }
    for (const each of paths) {
      if (each === path) {
        this.#hintAtAll();
        if (kind === "remove") return false;
      }
      if (!each.startsWith(`${path}/`)) continue;
      const [name, file] = each.slice(path.length + 1).split("/");
      // A file that starts with a dot is half written.
      if (file?.startsWith(".")) continue;
      onHint(name, file);
      if (file === undefined && kind === "create") {
        delay(SECOND_LOOK_MS, { clock, signal: this.#stop.signal }).then(() => onHint(name), () => {});
      }
    }
    return true;
  }

  async #poll(): Promise<void> {
    const { path, pollMs, clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await delay(pollMs, { clock, signal }).catch(() => {});
      if (signal.aborted) return;
      this.#hintAtAll();
      const found = await Deno.stat(path).catch(() => undefined);
      // Another directory has replaced the watched one.
      if (this.#watcher !== undefined && found?.ino !== this.#inode) this.#close();
    }
  }

  #hintAtAll(): void {
    this.#allAt = this.#options.clock.now();
    this.#options.onHint(undefined);
  }

  #close(): void {
    try {
      this.#watcher?.close();
    } catch {
      // It has ended by itself.
    }
    this.#watcher = undefined;
  }
}
