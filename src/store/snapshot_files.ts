import { systemClock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import { createFile, makeDirectory, openTrusted, requireOwnDirectory } from "../system/trusted_file.ts";
import { parseSnapshotName } from "./snapshot_name.ts";

/** Storage of snapshots. */
export interface SnapshotFiles {
  /** Returns the names of all snapshots, oldest first. */
  names(): Promise<readonly string[]>;
  /** Returns the names of files set aside under a suffix, oldest first. */
  asides(suffix: string): Promise<readonly string[]>;
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Writes a snapshot. When this resolves, the snapshot survives a crash of the machine; when it
   * throws, no such file exists.
   */
  write(name: string, parts: readonly Uint8Array<ArrayBuffer>[]): Promise<void>;
  remove(name: string): Promise<void>;
  /** Renames a snapshot so that it no longer counts as one; returns its new name. */
  setAside(name: string, suffix: string): Promise<string>;
}

/** Suffix of an incomplete file. */
const UNFINISHED = ".tmp";

/**
 * How long a lock is tried, and how often: a process that starts a program passes its locks on until the program is
 * executed, so a store that has just ended may still appear to hold its own.
 */
const LOCK_TRY_MS = 1_000, LOCK_POLL_MS = 20;

/** Tries a lock; a Deno without `tryLock` waits for it. */
async function takeLock(file: Deno.FsFile & { readonly tryLock?: (exclusive: boolean) => Promise<boolean> }) {
  if (file.tryLock === undefined) {
    await file.lock(true);
    return true;
  }
  using patience = deadline(LOCK_TRY_MS, { clock: systemClock });
  while (!await file.tryLock(true)) {
    const isPatient = await delay(LOCK_POLL_MS, { clock: systemClock, signal: patience.signal }).then(
      () => true,
      () => false,
    );
    if (!isPatient) return false;
  }
  return true;
}

/** The directory of a store (`data.d`), which belongs to one process at a time. */
export class DataDirectory implements SnapshotFiles, Disposable {
  readonly #path: string;
  readonly #lock: Deno.FsFile;

  private constructor(path: string, lock: Deno.FsFile) {
    this.#path = path;
    this.#lock = lock;
  }

  /**
   * Creates the directory if missing, locks it for this process, and removes incomplete files of a
   * crash. Throws if another process has it.
   */
  static async open(path: string): Promise<DataDirectory> {
    await makeDirectory(path, { mode: 0o700 });
    // Whoever can write a snapshot there controls the stored document.
    await requireOwnDirectory(path);
    const lock = await openTrusted(`${path}/.lock`, { mode: 0o600, noLink: true });
    if (!await takeLock(lock)) {
      lock.close();
      throw new Error(`Cannot use the data directory ${path}: in use by another process`);
    }
    for await (const { name } of Deno.readDir(path)) {
      if (name.endsWith(UNFINISHED)) await Deno.remove(`${path}/${name}`);
    }
    return new DataDirectory(path, lock);
  }

  names(): Promise<readonly string[]> {
    return this.#list((name) => parseSnapshotName(name) !== undefined);
  }

  asides(suffix: string): Promise<readonly string[]> {
    const end = `.${suffix}`;
    return this.#list((name) => name.endsWith(end) && parseSnapshotName(name.slice(0, -end.length)) !== undefined);
  }

  read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return Deno.readFile(`${this.#path}/${name}`);
  }

  async write(name: string, parts: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    const target = `${this.#path}/${name}`;
    const unfinished = `${target}${UNFINISHED}`;
    try {
      await createFile(unfinished, parts, { mode: 0o600, isSynced: true });
      await Deno.rename(unfinished, target);
      await this.#sync();
    } catch (error) {
      // An unacknowledged change must not be found later, renamed or not.
      for (const path of [unfinished, target]) await Deno.remove(path).catch(() => {});
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await Deno.remove(`${this.#path}/${name}`);
  }

  async setAside(name: string, suffix: string): Promise<string> {
    const aside = `${name}.${suffix}`;
    await Deno.rename(`${this.#path}/${name}`, `${this.#path}/${aside}`);
    await this.#sync();
    return aside;
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }

  async #list(isWanted: (name: string) => boolean): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const { name, isFile } of Deno.readDir(this.#path)) if (isFile && isWanted(name)) names.push(name);
    return names.sort();
  }

  async #sync(): Promise<void> {
    using directory = await Deno.open(this.#path);
    await directory.sync();
  }
}
