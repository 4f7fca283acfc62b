import { createFile, makeDirectory, openTrusted, requireOwnDirectory } from "../system/trusted_file.ts";
import { parseSnapshotName } from "./snapshot_name.ts";

/** Where snapshots are kept. */
export interface SnapshotFiles {
  /** Answers the names of all snapshots, oldest first. */
  names(): Promise<readonly string[]>;
  /** Answers the names of what was set aside under a suffix, oldest first. */
  asides(suffix: string): Promise<readonly string[]>;
  /** Reads one whole. */
  read(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Writes one. When it resolves, the snapshot is there whatever happens to
   * the machine; when it throws, there is none of that name.
   */
  write(name: string, parts: readonly Uint8Array<ArrayBuffer>[]): Promise<void>;
  /** Removes one. */
  remove(name: string): Promise<void>;
  /** Renames one so that it is a snapshot no more; answers its new name. */
  setAside(name: string, suffix: string): Promise<string>;
}

/** Ends the name of a file that is not complete. */
const UNFINISHED = ".tmp";

/** Takes a lock if it is free; a Deno that cannot ask waits until it is. */
async function takeLock(file: Deno.FsFile & { readonly tryLock?: (exclusive: boolean) => Promise<boolean> }) {
  if (file.tryLock !== undefined) return await file.tryLock(true);
  await file.lock(true);
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
   * Makes the directory if it is not there, takes it for this process, and
   * clears it of what a crash left unfinished. Throws if another process has it.
   */
  static async open(path: string): Promise<DataDirectory> {
    await makeDirectory(path, { mode: 0o700 });
    // Who may put a snapshot there would say what is stored.
    await requireOwnDirectory(path);
    const lock = await openTrusted(`${path}/.lock`, { mode: 0o600, noLink: true });
    if (!await takeLock(lock)) {
      lock.close();
      throw new Error(`Cannot use the data directory ${path} as another process does`);
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
      // Renamed or not: what was not acknowledged must not be found later.
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
