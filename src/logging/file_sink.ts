import { openTrusted } from "../system/trusted_file.ts";
import type { Rotation } from "./plan.ts";
import type { Line, Sink } from "./outlet.ts";
import { isFull, nextRolloverAt, rolledSuffix, rolloverAt, surplus } from "./rotation.ts";
import { localTime, utcTime } from "./wall_time.ts";

const encoder = new TextEncoder();

/** What a {@linkcode FileSink} is told. */
export interface FileSinkOptions {
  /** The file. */
  readonly path: string;
  /** `w` empties the file when it is opened first. */
  readonly mode: "a" | "w";
  readonly rotation?: Rotation | undefined;
  /** Milliseconds since 1970; the machine's own unless told. */
  readonly nowMs?: () => number;
}

/**
 * A file that lines are added to. It is opened anew when the path leads to
 * another file than before: another process may rotate it too.
 */
export class FileSink implements Sink {
  readonly #options: FileSinkOptions;
  readonly #nowMs: () => number;
  #file: Deno.FsFile | undefined;
  /** Which file is open: its device and inode. */
  #identity = "";
  #isFirst = true;
  #rolloverAtS: number | undefined;
  #rest: Uint8Array = new Uint8Array();

  constructor(options: FileSinkOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
  }

  get unfinished(): boolean {
    return this.#rest.length > 0;
  }

  async write(lines: readonly Line[]): Promise<number> {
    const file = await this.#current();
    if (this.unfinished) {
      await this.#drain(file);
      return 0;
    }
    if (lines.length === 0) return 0;
    const { bytes, taken, rolls } = await this.#fit(file, lines);
    if (rolls) {
      await this.#roll();
      return await this.write(lines);
    }
    this.#rest = bytes;
    try {
      await this.#drain(file);
    } catch (error) {
      // Nothing of it is in the file yet: then it counts as not taken.
      if (this.#rest.length < bytes.length) return taken;
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

  async #drain(file: Deno.FsFile): Promise<void> {
    while (this.unfinished) this.#rest = this.#rest.subarray(await file.write(this.#rest));
  }

  /** Answers as many lines as may be added before the file gives way, or that it must do so now. */
  async #fit(
    file: Deno.FsFile,
    lines: readonly Line[],
  ): Promise<{ readonly bytes: Uint8Array; readonly taken: number; readonly rolls: boolean }> {
    const { rotation } = this.#options;
    const whole = {
      bytes: encoder.encode(lines.map(({ text }) => `${text}\n`).join("")),
      taken: lines.length,
      rolls: false,
    };
    if (rotation === undefined) return whole;
    const { size, isFile } = await file.stat();
    // What is no regular file cannot be renamed and made anew.
    if (!isFile) return whole;
    if (rotation.by === "time") return { ...whole, rolls: this.#nowMs() / 1_000 >= (this.#rolloverAtS ?? Infinity) };
    let [text, added, taken] = ["", 0, 0];
    for (const line of lines) {
      if (isFull(size + added, [...line.text].length + 1, rotation)) break;
      text += `${line.text}\n`;
      added += encoder.encode(line.text).length + 1;
      taken++;
    }
    return { bytes: encoder.encode(text), taken, rolls: taken === 0 };
  }

  /** The open file; opens it, and opens it anew when the path leads elsewhere by now. */
  async #current(): Promise<Deno.FsFile> {
    if (this.#file !== undefined && await identify(this.#options.path) === this.#identity) return this.#file;
    this.close();
    const { path, mode, rotation } = this.#options;
    // The interval of a file that is there already began when it was last written.
    if (rotation?.by === "time" && this.#rolloverAtS === undefined) {
      const writtenMs = await writtenAt(path) ?? this.#nowMs();
      this.#rolloverAtS = rolloverAt(rotation, Math.floor(writtenMs / 1_000), this.#face);
    }
    const empties = mode === "w" && this.#isFirst;
    // A file that rotates is never emptied, as with Python.
    const isEmptied = empties && rotation === undefined;
    this.#file = await openTrusted(path, { mode: 0o666, append: !isEmptied });
    if (isEmptied) await this.#file.truncate();
    this.#isFirst = false;
    this.#identity = await identify(path);
    return this.#file;
  }

  readonly #face = (epochSeconds: number) => {
    const { rotation } = this.#options;
    return rotation?.by === "time" && rotation.utc ? utcTime(epochSeconds * 1_000) : localTime(epochSeconds * 1_000);
  };

  async #roll(): Promise<void> {
    const { path, rotation } = this.#options;
    this.close();
    if (rotation?.by === "size") {
      for (let i = rotation.backups - 1; i > 0; i--) await renameIfThere(`${path}.${i}`, `${path}.${i + 1}`);
      await renameIfThere(path, `${path}.1`);
      return;
    }
    if (rotation === undefined) return;
    const rolled = `${path}.${rolledSuffix(rotation, this.#rolloverAtS ?? 0, this.#face)}`;
    this.#rolloverAtS = nextRolloverAt(rotation, Math.floor(this.#nowMs() / 1_000), this.#face);
    // Another process that logs to the same file has been quicker: its work must not be overwritten.
    if (await identify(rolled) !== "") return;
    await renameIfThere(path, rolled);
    const slash = path.lastIndexOf("/");
    const [folder, base] = slash === -1 ? [".", path] : [path.slice(0, slash) || "/", path.slice(slash + 1)];
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    for (const name of surplus(rotation, base, names)) await removeIfThere(`${folder}/${name}`);
  }
}

/** Tells a file from all others; empty if there is none. */
async function identify(path: string): Promise<string> {
  const info = await unlessMissing(Deno.stat(path));
  return info === undefined ? "" : `${info.dev}:${info.ino}`;
}

async function writtenAt(path: string): Promise<number | undefined> {
  return (await unlessMissing(Deno.stat(path)))?.mtime?.getTime();
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await unlessMissing(Deno.rename(from, to));
}

async function removeIfThere(path: string): Promise<void> {
  await unlessMissing(Deno.remove(path));
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
