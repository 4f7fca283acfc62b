import type { Logger } from "../kernel/logger.ts";
import type { Archive } from "./archive.ts";
import type { Leased } from "./leases.ts";
import { descend, type Lineage } from "./lineage.ts";
import type { Limits } from "./limits.ts";
import type { Path } from "./path.ts";
import { Refusal } from "./refusal.ts";
import type { Copy, Hashes } from "./snapshot.ts";
import { compactText } from "./tree.ts";
import type { Version } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

/** What a job makes of the copy that is current when its turn comes. */
export interface Change extends Leased {
  /** Which version it is; without one it is the next. Said for what must keep its name. */
  readonly version?: Version;
  /** The versions that it came from, if it is not what was current. */
  readonly lineage?: Lineage;
  /** Whether the version before it does not live on in it, so that its snapshot must stay. */
  readonly losesBefore?: boolean;
  /** Where the document differs, if it is a lease that has changed it. */
  readonly touched?: readonly Path[];
}

/** Decides a change; `undefined` if there is nothing to change. Runs when all changes before it are current. */
export type Decide = (current: Leased & { readonly version: Version }) => Change | Refusal | undefined;

interface Job {
  readonly decide: Decide;
  /** Whether it may be written together with those before and behind it. */
  readonly joins: boolean;
  readonly done: (outcome: Copy | Refusal) => void;
}

export interface JournalOptions {
  readonly archive: Archive;
  readonly hashes: Hashes;
  readonly limits: Limits;
  readonly log: Logger;
  /** Answers the addresses of the instances that are known. */
  readonly cluster: () => readonly string[];
  /** Is told of each copy that is on the disk from now on, before anyone who asked for it. */
  readonly publish: (copy: Copy, change: { readonly touched: readonly Path[] | undefined }) => void;
}

/**
 * Makes changes current, one after the other: a change is decided on the copy
 * that all before it have left, is written to the disk, and only then
 * published and acknowledged. Changes of leases that come while one is
 * being written are written together.
 */
export class Journal {
  readonly #options: JournalOptions;
  #current: Copy;
  #queue: Job[] = [];
  #running: Promise<void> | undefined;

  constructor(first: Copy, options: JournalOptions) {
    this.#current = first;
    this.#options = options;
  }

  /** The newest copy that is on the disk. */
  get current(): Copy {
    return this.#current;
  }

  /** Whether changes are on their way. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Has a change decided in its turn; answers the copy that holds it. */
  change(decide: Decide, { joins }: { readonly joins: boolean }): Promise<Copy | Refusal> {
    const { promise, resolve } = Promise.withResolvers<Copy | Refusal>();
    this.#queue.push({ decide, joins, done: resolve });
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when all that was asked for is done. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // What is asked for in this turn of the loop is written together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const alone = this.#queue.findIndex(({ joins }) => !joins);
      const batch = this.#queue.splice(0, alone === 0 ? 1 : alone === -1 ? this.#queue.length : alone);
      const name = await this.#write(batch);
      if (name !== undefined) await this.#options.archive.removeOld(name);
    }
    // In the same turn in which the queue was seen empty: a job that comes now starts a run of its own.
    this.#running = undefined;
  }

  /** Answers the name of the snapshot, if there was something to write. */
  async #write(batch: readonly Job[]): Promise<string | undefined> {
    const { archive, hashes, limits, log, cluster, publish } = this.#options;
    const before = this.#current;
    let next: Change | undefined;
    const touched: Path[] = [];
    const refusals = batch.map(({ decide }) => {
      const change = decide({ ...before, ...next });
      if (change === undefined || change instanceof Refusal) return change;
      touched.push(...change.touched ?? []);
      next = change;
      return undefined;
    });
    const settle = (outcome: Copy | Refusal) => batch.forEach(({ done }, i) => done(refusals[i] ?? outcome));
    if (next === undefined) {
      settle(before);
      return undefined;
    }
    const { data, leases, version, losesBefore } = next;
    const bytes = utf8(compactText(data));
    if (bytes.length > limits.documentBytesMax) {
      settle(
        new Refusal(
          "Content Too Large",
          `Cannot save ${bytes.length} bytes as the document must be at most ${limits.documentBytesMax}`,
        ),
      );
      return undefined;
    }
    const sequence = version?.sequence ?? before.version.sequence + 1;
    const lineage = next.lineage ??
      (version === undefined ? descend(before.lineage, before.version) : before.lineage);
    const copy: Copy = { version: { sequence, checksum: hashes.md5(bytes) }, data, leases, lineage };
    const nameBefore = archive.newest;
    try {
      const name = await archive.save({ copy, cluster: cluster() }, bytes);
      this.#current = copy;
      publish(copy, { touched: next.touched === undefined ? undefined : touched });
      settle(copy);
      if (losesBefore && nameBefore !== undefined) await this.#keep(nameBefore);
      return name;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error("A change cannot be written to the disk: it is refused", {
        event: "store.write_failed",
        sequence,
        reason,
      });
      settle(new Refusal("Internal Server Error", `Cannot write version ${sequence} to the disk: nothing was changed`));
      return undefined;
    }
  }

  async #keep(name: string): Promise<void> {
    const { archive, log } = this.#options;
    try {
      await archive.keepLost(name);
    } catch (error) {
      log.error("The snapshot of a version that has lost cannot be put aside", {
        event: "store.conflict_unsaved",
        name,
        reason: String(error),
      });
    }
  }
}
