import type { Logger } from "../kernel/logger.ts";
import { retire } from "./retention.ts";
import { type DecodeOptions, decodeSnapshot, encodeSnapshot, type Snapshot } from "./snapshot.ts";
import type { SnapshotFiles } from "./snapshot_files.ts";
import { formatSnapshotName, nextSnapshotTime, parseSnapshotName } from "./snapshot_name.ts";
import { resolveTimeLimit, type TimeLimit } from "./time_limit.ts";

/** Ends the name of a snapshot whose version has lost. */
const LOST = "lost";

export interface ArchiveOptions extends DecodeOptions {
  readonly files: SnapshotFiles;
  /** Answers the time, in milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Snapshots older than this are removed. */
  readonly removeLimit: TimeLimit;
  readonly log: Logger;
}

/** A snapshot that was found, and when it was written. */
export interface Loaded extends Snapshot {
  readonly name: string;
  /** In milliseconds since 1970. */
  readonly writtenMs: number;
}

/** Every snapshot of a store: writes the newest, finds it again, and removes what is too old. */
export class Archive {
  readonly #options: ArchiveOptions;
  #names: readonly string[] = [];
  #lost: readonly string[] = [];

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  /** The name of the newest snapshot. */
  get newest(): string | undefined {
    return this.#names.at(-1);
  }

  /** The names of the files that hold versions which have lost against others; they are never removed. */
  get lost(): readonly string[] {
    return this.#lost;
  }

  /** Puts the snapshot of a version that has lost where nothing removes it. */
  async keepLost(name: string): Promise<void> {
    this.#names = this.#names.filter((other) => other !== name);
    this.#lost = [...this.#lost, await this.#options.files.setAside(name, LOST)];
  }

  /**
   * Finds the newest snapshot that is what was written; newer ones that are
   * not are set aside, and said. `undefined` if there is none at all.
   */
  async load(): Promise<Loaded | undefined> {
    const { files, log } = this.#options;
    this.#names = await files.names();
    this.#lost = await files.asides(LOST);
    for (const name of this.#names.toReversed()) {
      const bytes = await files.read(name);
      try {
        const snapshot = decodeSnapshot(bytes, this.#options);
        return { ...snapshot, name, writtenMs: (parseSnapshotName(name) ?? 0) / 1_000 };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const aside = await files.setAside(name, "corrupt");
        this.#names = this.#names.filter((other) => other !== name);
        log.error("A snapshot is corrupt: it is set aside, and the one before it is tried", {
          event: "store.snapshot_corrupt",
          name,
          aside,
          reason,
        });
      }
    }
    return undefined;
  }

  /**
   * Writes a snapshot; it is on the disk when this resolves. Answers its name.
   * Calls never overlap.
   */
  async save(snapshot: Snapshot, data: Uint8Array<ArrayBuffer>): Promise<string> {
    const { files, hashes, wallNow } = this.#options;
    const newestUs = parseSnapshotName(this.#names.at(-1) ?? "") ?? 0;
    const name = formatSnapshotName(nextSnapshotTime(wallNow(), newestUs));
    await files.write(name, encodeSnapshot(snapshot, data, hashes));
    this.#names = [...this.#names, name];
    return name;
  }

  /** Removes what is too old; what cannot be removed is said, and tried again the next time. */
  async removeOld(good: string): Promise<void> {
    const { files, wallNow, removeLimit, log } = this.#options;
    const nowMs = wallNow();
    const limitUs = resolveTimeLimit(removeLimit, nowMs) * 1_000;
    for (const name of retire(this.#names, { good, nowUs: nowMs * 1_000, limitUs })) {
      try {
        await files.remove(name);
        this.#names = this.#names.filter((other) => other !== name);
      } catch (error) {
        log.warn("An old snapshot cannot be removed", {
          event: "store.snapshot_unremoved",
          name,
          reason: String(error),
        });
      }
    }
  }
}
