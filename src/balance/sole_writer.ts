import { openTrusted } from "../system/trusted_file.ts";

/** Another writer keeps the same balancer. */
export class OtherWriterError extends Error {
  override name = "OtherWriterError";
}

/**
 * Keeps a second writer off a balancer: who writes to it holds a lock on a file
 * beside its config file, and on one beside its socket, which the system lets
 * go with the process, however that ends. Where no such file can be had (a
 * directory that may not be written, something else of that name) nothing is
 * held. Nor is it under a Deno that cannot ask for a lock without waiting for it.
 */
export class SoleWriter implements Disposable {
  /** The locks, by the path of each. */
  readonly #held = new Map<string, Deno.FsFile>();

  /**
   * Makes sure that nobody else writes to the balancer with one of these files;
   * throws {@linkcode OtherWriterError} if somebody does, and holds nothing
   * then. What was held for other files is let go.
   */
  async claim(files: readonly string[]): Promise<void> {
    const paths = new Set(files.map((file) => `${file}.lock`));
    for (const [path, file] of this.#held) {
      // Who finds a lock file removed makes another, and has the lock on that one.
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
      // A link that was put there meanwhile leads to a file that is not ours to write to.
      if (!isStillAt(path, file)) return file.close();
    } catch (error) {
      file.close();
      if (error instanceof OtherWriterError) throw error;
      // A file system that knows no locks.
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

/** Only who may write may lock: else any user of the machine could keep the writer off. */
const LOCK_MODE = 0o600;

async function open(path: string): Promise<Deno.FsFile | undefined> {
  if (!("tryLock" in Deno.FsFile.prototype)) return undefined;
  try {
    // A pipe would be waited for.
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
 * Whether the path itself, no link there, is the file that is open, and is its only name. Asked before each command, and
 * at once: to wait for a thread that asks takes longer than the command.
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

/** Leaves word of who holds the lock. A disk that is full takes none, and is no reason not to write to the balancer. */
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
  return `${who} keeps this balancer in sync, and holds ${path}`;
}
