import { openTrusted } from "../system/trusted_file.ts";
import type { Line, Sink } from "./outlet.ts";
import type { Output } from "./plan.ts";
import { isFull, rolledSuffix, rolloverAt, surplus } from "./rotation.ts";
import { LOCAL, UTC, type Zone } from "./wall_time.ts";

const encoder = new TextEncoder();

export interface FileSinkOptions extends Pick<Extract<Output, { to: "file" }>, "path" | "mode" | "rotation"> {
  /** Milliseconds since 1970; the machine's own by default. */
  readonly nowMs?: () => number;
}

/**
 * A file that lines are added to. It is opened again when the path leads to
 * another file than before: another process may rotate it too.
 */
export class FileSink implements Sink {
  readonly #options: FileSinkOptions;
  readonly #nowMs: () => number;
  readonly #zone: Zone;
  #file: Deno.FsFile | undefined;
  /** Which file is open: its device and inode. */
  #identity = "";
  #isFirst = true;
  #rolloverMs: number | undefined;
  #rest: Uint8Array = new Uint8Array();

  constructor(options: FileSinkOptions) {
    const { nowMs = Date.now, rotation } = options;
    [this.#options, this.#nowMs] = [options, nowMs];
    this.#zone = rotation?.by === "time" && rotation.utc ? UTC : LOCAL;
  }

  get unfinished(): boolean {
    return this.#rest.length > 0;
  }

  async write(lines: readonly Line[]): Promise<number> {
    const file = await this.#open();
    const isRest = this.unfinished;
    let taken = 0;
    if (!isRest && lines.length > 0) {
      const records = lines.map(({ text }) => encoder.encode(`${text}\n`));
      taken = await this.#countFitting(file, records);
      if (taken === 0) {
        await this.#roll();
        return await this.write(lines);
      }
      this.#rest = new Uint8Array(await new Blob(records.slice(0, taken)).arrayBuffer());
    }
    const { length } = this.#rest;
    try {
      while (this.unfinished) this.#rest = this.#rest.subarray(await file.write(this.#rest));
    } catch (error) {
      if (isRest) throw error;
      // What is partly in the file is this sink's to finish; of what is not, nothing counts as taken.
      if (this.#rest.length < length) return taken;
      this.#rest = new Uint8Array();
      throw error;
    }
    return taken;
  }

  interrupt(): void {}

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Answers how many records may be added before the file gives way: none if it must do so now. */
  async #countFitting(file: Deno.FsFile, records: readonly Uint8Array[]): Promise<number> {
    const { rotation } = this.#options;
    if (rotation === undefined) return records.length;
    const { size, isFile } = await file.stat();
    // What is no regular file cannot be renamed and replaced.
    if (!isFile) return records.length;
    if (rotation.by === "time") return this.#nowMs() < (this.#rolloverMs ?? Infinity) ? records.length : 0;
    let end = size;
    const full = records.findIndex(({ length }) => isFull(end, length, rotation.maxBytes) || !(end += length));
    return full === -1 ? records.length : full;
  }

  /** The open file; opens it, and opens it again when the path leads elsewhere by now. */
  async #open(): Promise<Deno.FsFile> {
    const { path, mode, rotation } = this.#options;
    if (this.#file !== undefined && await identify(path) === this.#identity) return this.#file;
    this.close();
    if (rotation?.by === "time" && this.#rolloverMs === undefined) {
      // The interval of a file that is there already began when it was last written.
      const writtenMs = (await unlessMissing(Deno.stat(path)))?.mtime?.getTime() ?? this.#nowMs();
      this.#rolloverMs = rolloverAt(rotation, Math.floor(writtenMs / 1_000) * 1_000, this.#zone);
    }
    // A file that rotates is never emptied, as with Python.
    const isEmptied = mode === "w" && this.#isFirst && rotation === undefined;
    this.#file = await openTrusted(path, { mode: 0o666, append: !isEmptied });
    if (isEmptied) await this.#file.truncate();
    this.#isFirst = false;
    this.#identity = await identify(path);
    return this.#file;
  }

  async #roll(): Promise<void> {
    const { path, rotation } = this.#options;
    this.close();
    if (rotation?.by === "size") {
      for (let i = rotation.backups - 1; i > 0; i--) {
        await unlessMissing(Deno.rename(`${path}.${i}`, `${path}.${i + 1}`));
      }
      await unlessMissing(Deno.rename(path, `${path}.1`));
    } else if (rotation?.by === "time") {
      const rolled = `${path}.${rolledSuffix(rotation, this.#rolloverMs ?? 0, this.#zone)}`;
      this.#rolloverMs = rolloverAt(rotation, Math.floor(this.#nowMs() / 1_000) * 1_000, this.#zone);
      // Another process that logs to the same file has been quicker: its work must not be overwritten.
      if (await identify(rolled) !== "") return;
      await unlessMissing(Deno.rename(path, rolled));
      const slash = path.lastIndexOf("/");
      const folder = slash === -1 ? "." : path.slice(0, slash) || "/";
      const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
      for (const name of surplus(rotation, path.slice(slash + 1), names)) {
        await unlessMissing(Deno.remove(`${folder}/${name}`));
      }
    }
  }
}

/** Tells a file from all others; empty if there is none. */
async function identify(path: string): Promise<string> {
  const info = await unlessMissing(Deno.stat(path));
  return info === undefined ? "" : `${info.dev}:${info.ino}`;
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
