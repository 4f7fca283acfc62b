import { type HistoryEntry, parseEntry } from "./entry.ts";

/** The files of a history: those that are written, `writer.jsonl`, and full ones, `writer.jsonl.1`. */
const FILE = /^[a-z]+\.jsonl(?:\.[0-9]+)?$/;
/** So much of a file is read at once. */
const CHUNK_BYTES = 256 * 1024;

/** How far one file was read. */
interface Progress {
  offset: number;
  /** The bytes of a line whose end is not there yet. */
  rest: Uint8Array<ArrayBuffer>;
}

/** Reads a history, and then what comes to it; files are known by what they are, as they are renamed when they are full. */
export class HistoryReader {
  readonly #dir: string;
  readonly #progress = new Map<string, Progress>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Answers the entries that came since the last call, oldest first; files that nobody wrote to since `sinceMs`
   * are left out. Throws what the file system throws if there is no such directory.
   */
  async next({ sinceMs = -Infinity }: { readonly sinceMs?: number } = {}): Promise<readonly HistoryEntry[]> {
    const names = await Array.fromAsync(Deno.readDir(this.#dir), ({ name }) => name);
    const entries: HistoryEntry[] = [];
    for (const name of names.filter((each) => FILE.test(each)).toSorted()) {
      try {
        using file = await Deno.open(`${this.#dir}/${name}`);
        const { dev, ino, size, mtime } = await file.stat();
        if (mtime !== null && mtime.getTime() < sinceMs) continue;
        const key = `${dev}:${ino}`;
        const progress = this.#progress.get(key) ?? { offset: 0, rest: new Uint8Array() };
        this.#progress.set(key, progress);
        for await (const line of linesOf(file, size, progress)) {
          const entry = parseEntry(line);
          if (entry !== undefined && entry.atMs >= sinceMs) entries.push(entry);
        }
      } catch (error) {
        // It was renamed or removed a moment ago.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return entries.toSorted((a, b) => a.atMs - b.atMs);
  }
}

async function* linesOf(file: Deno.FsFile, size: number, progress: Progress): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  await file.seek(progress.offset, Deno.SeekMode.Start);
  while (progress.offset < size) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, size - progress.offset));
    const read = await file.read(chunk);
    if (read === null) return;
    progress.offset += read;
    const bytes = new Uint8Array(progress.rest.length + read);
    bytes.set(progress.rest);
    bytes.set(chunk.subarray(0, read), progress.rest.length);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      yield decoder.decode(bytes.subarray(start, end));
      start = end + 1;
    }
    progress.rest = bytes.slice(start);
  }
}
