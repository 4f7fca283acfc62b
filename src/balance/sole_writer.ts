import { openTrusted } from "../system/trusted_file.ts";

/** Another writer manages the same balancer. */
export class OtherWriterError extends Error {
  override name = "OtherWriterError";
}

/**
 * Keeps a second writer off a balancer: the active one locks a file beside its config file, and one beside
 * its socket; the system releases the locks when the process ends, however that happens. Where no such file
 * can be made (a read-only directory, something else of that name) nothing is locked. Nor is it under a Deno
 * that cannot try a lock without blocking.
 */
export class SoleWriter implements Disposable {
  /** The locks, by the path of each. */
  readonly #held = new Map<string, Deno.FsFile>();

  /**
   * Makes sure that nobody else writes to the balancer with one of these files; throws {@linkcode
   * OtherWriterError} if somebody does, and holds nothing then. Locks for other files are released.
   */
  async claim(files: readonly string[]): Promise<void> {
    const paths = new Set(files.map((file) => `${file}.lock`));
    for (const [path, file] of this.#held) {
      // A writer that finds its lock file removed makes another, and has the lock on that one.
      if (!paths.has(path) || !isStillAt(path, file)) this.#release(path);
    }
    try {
      for (const path of paths) if (!this.#held.has(path)) await this.#lock(path);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const path of this.#held.keys()) this.#release(path);
  }

  async #lock(path: string): Promise<void> {
    const file = await open(path);
    if (file === undefined) return;
    try {
      if (!await file.tryLock(true)) throw new OtherWriterError(await describeHolder(path));
      // A link that was put there meanwhile leads to a file that is not ours to write.
      if (!isStillAt(path, file)) return file.close();
    } catch (error) {
      file.close();
      if (error instanceof OtherWriterError) throw error;
      // A file system without locks.
      return;
    }
    this.#held.set(path, file);
    await sign(file);
  }

  #release(path: string): void {
    this.#held.get(path)?.close();
    this.#held.delete(path);
  }
}

/** Only who may write may lock: otherwise any user of the machine could lock the writer out. */
const LOCK_MODE = 0o600;

async function open(path: string): Promise<Deno.FsFile | undefined> {
  if (!("tryLock" in Deno.FsFile.prototype)) return undefined;
  try {
    // Opening a pipe would block.
    if (await isOtherThanFile(path)) return undefined;
    return await openTrusted(path, { read: true, mode: LOCK_MODE, noLink: true });
  } catch {
    return undefined;
  }
}

async function isOtherThanFile(path: string): Promise<boolean> {
  const there = await Deno.lstat(path).catch(() => undefined);
  return there !== undefined && !there.isFile;
}

/**
 * Whether the path itself, not a link, is the open file, and its only name. Checked synchronously before each
 * command: waiting for a thread takes longer than the command.
 */
function isStillAt(path: string, file: Deno.FsFile): boolean {
  const there = lstatIfThere(path);
  const ours = file.statSync();
  return there?.isFile === true && there.nlink === 1 && there.dev === ours.dev && there.ino === ours.ino;
}

function lstatIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
}

/** Records who holds the lock. A full disk stores nothing, and is no reason not to write to the balancer. */
async function sign(file: Deno.FsFile): Promise<void> {
  try {
    await file.truncate();
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  } catch {
    // The lock holds without a name.
  }
}

async function describeHolder(path: string): Promise<string> {
  const owner = (await Deno.readTextFile(path).catch(() => "")).trim();
  const who = /^[0-9]{1,10}$/.test(owner) ? `process ${owner}` : "another process";
  return `${who} manages this balancer, and holds the lock ${path}`;
}
