import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { Serial } from "../kernel/serial.ts";
import { type Addition, additionsAt, isSameAddition, parseAdditions } from "../model/addition.ts";
import { type Disk, OWN_DISK } from "./disk.ts";
import { seal, unseal } from "./sealed_text.ts";

export interface KeptAdditionsOptions {
  readonly clock: Pick<Clock, "after">;
  /** The time of day in milliseconds: what is written to disk outlives the clock. */
  readonly wallNow: () => number;
  readonly log: Logger;
  /** The file that they are kept in; `undefined`: they end with the process. */
  readonly path: string | undefined;
  readonly disk?: Disk | undefined;
  /** Called when additions have been set, removed or have expired. */
  readonly onChange: () => void;
}

/** The first word of every file of this format. */
const FORMAT = "lighthouse-additions-1";
/** The longest time between two checks for expiry, as the time of day may be set. */
const LOOK_MS = 60_000;

/** What was added to clusters over the admin interface, kept in a file over restarts. */
export class KeptAdditions implements Disposable {
  readonly #options: KeptAdditionsOptions;
  readonly #disk: Disk;
  readonly #writing = new Serial();
  #all: readonly Addition[] = [];
  #failure: string | undefined;
  #cancelNext = () => {};

  constructor(options: KeptAdditionsOptions) {
    this.#options = options;
    this.#disk = options.disk ?? OWN_DISK;
  }

  /** Those that are active now, sorted. */
  get now(): readonly Addition[] {
    return additionsAt(this.#all, this.#options.wallNow());
  }

  /** Why they do not survive this process; `undefined` if they do. */
  get unkept(): string | undefined {
    return this.#options.path === undefined ? "no state directory is set (STATE_DIRECTORY)" : this.#failure;
  }

  /** Reads the file. What cannot be used is logged and left as it is. */
  async read(): Promise<void> {
    const { path, log } = this.#options;
    if (path === undefined) return;
    const reject = (reason: string) =>
      log.warn("Cannot use the additions file; starting without additions", {
        event: "addition.unusable",
        path,
        reason,
      });
    try {
      const sealed = await unseal(await this.#disk.read(path), [FORMAT]);
      const all = sealed.ok ? parseAdditions(JSON.parse(sealed.body)) : undefined;
      if (all === undefined) return reject(sealed.ok ? "the file contains no valid additions" : sealed.reason);
      this.#all = all;
      this.#awaitEnd();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) reject(error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * Sets an addition, replacing one about the same thing, which is returned. Resolves when it is kept on
   * disk, or cannot be.
   */
  async put(addition: Addition): Promise<Addition | undefined> {
    const before = this.now.find((each) => isSameAddition(each, addition));
    await this.#change([...this.now.filter((each) => each !== before), addition]);
    return before;
  }

  /** Removes an addition; returns it, if there was one. */
  async remove(about: Pick<Addition, "cluster" | "kind" | "name">): Promise<Addition | undefined> {
    const before = this.now.find((each) => isSameAddition(each, about));
    if (before !== undefined) await this.#change(this.now.filter((each) => each !== before));
    return before;
  }

  [Symbol.dispose](): void {
    this.#cancelNext();
  }

  async #change(all: readonly Addition[]): Promise<void> {
    this.#all = all;
    this.#awaitEnd();
    this.#options.onChange();
    await this.#writing.run(() => this.#write());
  }

  /** Checks again when the next one expires. */
  #awaitEnd(): void {
    const { clock, wallNow } = this.#options;
    this.#cancelNext();
    const endMs = Math.min(...this.#all.map(({ untilMs = Infinity }) => untilMs));
    if (endMs === Infinity) return;
    const waitMs = Math.min(Math.max(0, endMs - wallNow()), LOOK_MS);
    this.#cancelNext = clock.after(waitMs, () => void this.#dropEnded());
  }

  async #dropEnded(): Promise<void> {
    const now = this.now;
    const ended = this.#all.filter((each) => !now.includes(each));
    if (ended.length === 0) return this.#awaitEnd();
    for (const { cluster, kind, name } of ended) {
      this.#options.log.info("Addition expired", { event: "addition.expired", cluster, kind, name });
    }
    await this.#change(now);
  }

  async #write(): Promise<void> {
    const { path, log } = this.#options;
    if (path === undefined) return;
    try {
      await this.#disk.write(path, await seal(FORMAT, JSON.stringify(this.now)));
      this.#failure = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#failure === undefined) {
        log.warn("Cannot save additions to disk", { event: "addition.unwritten", path, reason });
      }
      this.#failure = reason;
    }
  }
}
