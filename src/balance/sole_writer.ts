import { assert } from "../kernel/assert.ts";

/** Another writer keeps the same balancer. */
export class OtherWriterError extends Error {
  override name = "OtherWriterError";
}

/**
 * Keeps a second writer off a balancer: who writes to it holds a lock on a file
 * beside its config file, which the system lets go with the process, however
 * that ends. Where no such file can be had (a directory that may not be
 * written) nothing is held: there, nobody can write the config file either. Nor
 * is it under a Deno that cannot ask for a lock without waiting for it.
 */
export class SoleWriter implements Disposable {
  #held: { readonly path: string; readonly file: Deno.FsFile | undefined } | undefined;

  /**
   * Makes sure that nobody else writes to the balancer with this config file;
   * throws {@linkcode OtherWriterError} if somebody does. What was held for
   * another config file is let go.
   */
  async claim(configFile: string): Promise<void> {
    const path = `${configFile}.lock`;
    if (this.#held?.path === path && this.#held.file !== undefined) return;
    this[Symbol.dispose]();
    const file = await open(path);
    if (file !== undefined && !await file.tryLock(true)) {
      const owner = (await Deno.readTextFile(path).catch(() => "")).trim();
      file.close();
      const who = /^[0-9]{1,10}$/.test(owner) ? `process ${owner}` : "another process";
      throw new OtherWriterError(`${who} writes to it, and holds ${path}: two would undo each other's work`);
    }
    this.#held = { path, file };
    if (file === undefined) return;
    await file.truncate();
    const sent = await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    assert(sent > 0, "a lock file takes a pid");
  }

  [Symbol.dispose](): void {
    this.#held?.file?.close();
    this.#held = undefined;
  }
}

async function open(path: string): Promise<Deno.FsFile | undefined> {
  if (!("tryLock" in Deno.FsFile.prototype)) return undefined;
  try {
    return await Deno.open(path, { read: true, write: true, create: true, mode: 0o644 });
  } catch {
    return undefined;
  }
}
