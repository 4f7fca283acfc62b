import { openTrusted } from "../system/trusted_file.ts";
import type { LogStream, Target } from "./outlet.ts";
import type { FileOutput } from "./plan.ts";
import { rolledSuffix, rolloverAt, surplus } from "./rotation.ts";
import { LOCAL, UTC, type Zone } from "./wall_time.ts";

/**
 * A file that lines are added to. It is opened again when the path leads to
 * another file than before: another process may rotate it too.
 */
export class FileTarget implements Target {
  readonly #output: Omit<FileOutput, "to">;
  readonly #nowMs: () => number;
  readonly #zone: Zone;
  #file: Deno.FsFile | undefined;
  /** Which file is open: its device and inode. */
  #identity = "";
  #rolloverMs = Infinity;

  /** `nowMs` answers milliseconds since 1970. */
  constructor(output: Omit<FileOutput, "to">, nowMs: () => number = Date.now) {
    [this.#output, this.#nowMs, this.#zone] = [output, nowMs, output.utc ? UTC : LOCAL];
  }

  async open(bytes: number): Promise<LogStream> {
    const file = await this.#current();
    if (!await this.#isDue(file, bytes)) return file;
    this.close();
    await this.#rotate();
    return await this.#current();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Whether the file gives way before so many bytes are added. What is no regular file cannot be renamed, and stays. */
  async #isDue(file: Deno.FsFile, bytes: number): Promise<boolean> {
    const { maxBytes = 0, backupCount = 0 } = this.#output;
    const isTime = this.#nowMs() >= this.#rolloverMs;
    if (!isTime && (maxBytes === 0 || backupCount === 0)) return false;
    const { size, isFile } = await file.stat();
    return isFile && (isTime || size > 0 && size + bytes >= maxBytes);
  }

  /** The open file; opens it, and opens it again when the path leads elsewhere by now. */
  async #current(): Promise<Deno.FsFile> {
    const { filename } = this.#output;
    const info = await unlessMissing(Deno.stat(filename));
    if (this.#file !== undefined && this.#identity === identify(info)) return this.#file;
    this.close();
    // The interval of a file that is there already began when it was last written.
    if (this.#identity === "") this.#schedule(info?.mtime?.getTime() ?? this.#nowMs());
    this.#file = await openTrusted(filename, { mode: 0o666, append: true });
    this.#identity = identify(await this.#file.stat());
    return this.#file;
  }

  #schedule(fromMs: number): void {
    const { when, interval = 1 } = this.#output;
    if (when !== undefined) {
      this.#rolloverMs = rolloverAt(when, interval, Math.floor(fromMs / 1_000) * 1_000, this.#zone);
    }
  }

  async #rotate(): Promise<void> {
    const { filename, backupCount = 0, when, interval = 1 } = this.#output;
    if (when === undefined) {
      const names = [filename, ...Array.from({ length: backupCount }, (_, i) => `${filename}.${i + 1}`)];
      for (let i = backupCount; i > 0; i--) await unlessMissing(Deno.rename(names[i - 1] ?? "", names[i] ?? ""));
      return;
    }
    const rolled = `${filename}.${rolledSuffix(when, interval, this.#rolloverMs, this.#zone)}`;
    this.#schedule(this.#nowMs());
    // Another process that logs to the same file has been quicker: its work must not be overwritten.
    if (await unlessMissing(Deno.stat(rolled)) !== undefined) return;
    await unlessMissing(Deno.rename(filename, rolled));
    const slash = filename.lastIndexOf("/") + 1;
    const [folder, base] = [filename.slice(0, slash) || "./", filename.slice(slash)];
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    for (const name of surplus(when, base, names, backupCount)) await unlessMissing(Deno.remove(folder + name));
  }
}

/** Distinguishes a file from all others; empty if there is none. */
const identify = (info?: Deno.FileInfo) => info === undefined ? "" : `${info.dev}:${info.ino}`;

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
