import { assert } from "../kernel/assert.ts";

/** Another writer keeps the same balancer. */
export class OtherWriterError extends Error {
  override name = "OtherWriterError";
}

/**
 * Keeps a second writer off a balancer: who writes to it holds a lock on a file
 * beside its config file, and on one beside its socket, which the system lets
 * go with the process, however that ends. Where no such file can be had (a
 * directory that may not be written) nothing is held. Nor is it under a Deno
 * that cannot ask for a lock without waiting for it.
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
      if (!paths.has(path) || !await isStillAt(path, file)) this.#release(path);
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
    if (!await file.tryLock(true)) {
      const owner = (await Deno.readTextFile(path).catch(() => "")).trim();
      file.close();
      const who = /^[0-9]{1,10}$/.test(owner) ? `process ${owner}` : "another process";
      throw new OtherWriterError(`${who} writes to it, and holds ${path}: two would undo each other's work`);
    }
    this.#held.set(path, file);
    await file.truncate();
    const sent = await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    assert(sent > 0, "a lock file takes a pid");
  }

  #release(path: string): void {
    this.#held.get(path)?.close();
    this.#held.delete(path);
  }
}

async function isStillAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const [there, ours] = await Promise.all([Deno.stat(path).catch(() => undefined), file.stat()]);
  return there !== undefined && there.dev === ours.dev && there.ino === ours.ino;
}

async function open(path: string): Promise<Deno.FsFile | undefined> {
  if (!("tryLock" in Deno.FsFile.prototype)) return undefined;
  try {
    return await Deno.open(path, { read: true, write: true, create: true, mode: 0o644 });
  } catch {
    return undefined;
  }
}
