import type { Logger } from "../kernel/logger.ts";
import { retire } from "./retention.ts";
import { type DecodeOptions, decodeSnapshot, encodeSnapshot, type Snapshot } from "./snapshot.ts";
import type { SnapshotFiles } from "./snapshot_files.ts";
import { formatSnapshotName, nextSnapshotTime, parseSnapshotName } from "./snapshot_name.ts";
import { resolveTimeLimit, type TimeLimit } from "./time_limit.ts";

/** Suffix of the snapshot of a version that lost a conflict. */
const LOST = "lost";

export interface ArchiveOptions extends DecodeOptions {
  readonly files: SnapshotFiles;
  /** Returns the time in milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Snapshots older than this are removed. */
  readonly removeLimit: TimeLimit;
  readonly log: Logger;
}

/** A snapshot and when it was written. */
export interface Loaded extends Snapshot {
  readonly name: string;
  /** In milliseconds since 1970. */
  readonly writtenMs: number;
}

/** All snapshots of a store: writes and finds the newest, removes old ones. */
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

  /** The names of the snapshots of versions that lost a conflict; they are never removed. */
  get lost(): readonly string[] {
    return this.#lost;
  }

  /** Renames the snapshot of a lost version, so that it is never removed. */
  async keepLost(name: string): Promise<void> {
    this.#names = this.#names.filter((other) => other !== name);
    this.#lost = [...this.#lost, await this.#options.files.setAside(name, LOST)];
  }

  /** Finds the newest valid snapshot; corrupt ones are set aside and logged. `undefined` if there is none. */
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
        log.error("Corrupt snapshot renamed; reading the previous snapshot", {
          event: "store.snapshot_corrupt",
          name,
          aside,
          reason,
        });
      }
    }
    return undefined;
  }

  /** Writes a snapshot and returns its name; the snapshot is on disk when this resolves. Calls never overlap. */
  async save(snapshot: Snapshot, data: Uint8Array<ArrayBuffer>): Promise<string> {
    const { files, hashes, wallNow } = this.#options;
    const newestUs = parseSnapshotName(this.#names.at(-1) ?? "") ?? 0;
    const name = formatSnapshotName(nextSnapshotTime(wallNow(), newestUs));
    await files.write(name, encodeSnapshot(snapshot, data, hashes));
    this.#names = [...this.#names, name];
    return name;
  }

  /** Removes old snapshots; a failure is logged, and retried the next time. */
  async removeOld(good: string): Promise<void> {
    const { files, wallNow, removeLimit, log } = this.#options;
    const nowMs = wallNow();
    const limitUs = resolveTimeLimit(removeLimit, nowMs) * 1_000;
    for (const name of retire(this.#names, { good, nowUs: nowMs * 1_000, limitUs })) {
      try {
        await files.remove(name);
        this.#names = this.#names.filter((other) => other !== name);
      } catch (error) {
        log.warn("Cannot remove an old snapshot", {
          event: "store.snapshot_unremoved",
          name,
          reason: String(error),
        });
      }
    }
  }
}
