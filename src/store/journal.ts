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

/** What a job makes of the current copy. */
export interface Change extends Leased {
  /** The version; by default the next one. Given for a copy that must keep its version. */
  readonly version?: Version;
  /** The versions that it descends from, if not the current ones. */
  readonly lineage?: Lineage;
  /** Whether the previous version is lost by this change, so that its snapshot must stay. */
  readonly losesBefore?: boolean;
  /** Where the document differs, for changes of leases. */
  readonly touched?: readonly Path[];
}

/** Decides a change; `undefined` if there is nothing to change. Runs once all earlier changes are current. */
export type Decide = (current: Leased & { readonly version: Version }) => Change | Refusal | undefined;

interface Job {
  readonly decide: Decide;
  /** Whether it may be written together with its neighbours. */
  readonly joins: boolean;
  readonly done: (outcome: Copy | Refusal) => void;
}

export interface JournalOptions {
  readonly archive: Archive;
  readonly hashes: Hashes;
  readonly limits: Limits;
  readonly log: Logger;
  /** Returns the addresses of the known instances. */
  readonly cluster: () => readonly string[];
  /** Called with each copy once it is on disk, before the change is acknowledged. */
  readonly publish: (copy: Copy, change: { readonly touched: readonly Path[] | undefined }) => void;
}

/**
 * Applies changes one after another: each is decided on the copy left by all earlier ones, written
 * to disk, and only then published and acknowledged. Changes of leases that arrive during a write are
 * written together.
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

  /** The newest copy on disk. */
  get current(): Copy {
    return this.#current;
  }

  /** Whether changes are pending. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Queues a change; resolves with the copy that contains it. */
  change(decide: Decide, { joins }: { readonly joins: boolean }): Promise<Copy | Refusal> {
    const { promise, resolve } = Promise.withResolvers<Copy | Refusal>();
    this.#queue.push({ decide, joins, done: resolve });
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when all pending changes are done. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    // Changes of this turn of the event loop are written together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const alone = this.#queue.findIndex(({ joins }) => !joins);
      const batch = this.#queue.splice(0, alone === 0 ? 1 : alone === -1 ? this.#queue.length : alone);
      const name = await this.#write(batch);
      if (name !== undefined) await this.#options.archive.removeOld(name);
    }
    // In the turn in which the queue was empty: a later job starts a run of its own.
    this.#running = undefined;
  }

  /** Returns the name of the snapshot, if one was written. */
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
          `Cannot save ${bytes.length} bytes: the document must be at most ${limits.documentBytesMax} bytes`,
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
      log.error("Cannot write a change to disk; change rejected", {
        event: "store.write_failed",
        sequence,
        reason,
      });
      settle(new Refusal("Internal Server Error", `Cannot write version ${sequence} to disk; nothing changed`));
      return undefined;
    }
  }

  async #keep(name: string): Promise<void> {
    const { archive, log } = this.#options;
    try {
      await archive.keepLost(name);
    } catch (error) {
      log.error("Cannot keep the snapshot of the version that lost a conflict", {
        event: "store.conflict_unsaved",
        name,
        reason: String(error),
      });
    }
  }
}
