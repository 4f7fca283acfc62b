import { createHash } from "node:crypto";
import { writeAtomically } from "../system/atomic_file.ts";
import { readTrusted } from "../system/trusted_file.ts";
import { isRecord } from "../model/node.ts";
import type { FileChange } from "./entry.ts";
import { diffLines } from "./line_diff.ts";

/** One file of the config, as it is read. */
export interface TextFile {
  /** Its name on disk. */
  readonly file: string;
  readonly text: string;
  /** A line of it, from 0, without its secrets. */
  shownLine(index: number): string;
}

/** The files of a config, by their path in the directory without its ending: `clusters/web`. */
export type ConfigText = ReadonlyMap<string, TextFile>;

/** The digest of each file, by its path. */
type Digests = ReadonlyMap<string, string>;

/** So many files are listed with a change. */
const FILES_MAX = 50;
/** So many lines of one file that differ. */
const LINES_MAX = 60;

/** Knows the last config, in memory with its lines, and over restarts by the digests of its files. */
export class ConfigMemory {
  #last: ConfigText | undefined;

  /** Takes the first config, of which nothing is compared. */
  begin(config: ConfigText): void {
    this.#last = config;
  }

  /** Takes a config; answers in which files it differs from the last one. */
  take(config: ConfigText): readonly FileChange[] {
    const before = this.#last ?? new Map();
    this.#last = config;
    const changes: FileChange[] = [];
    for (const [key, now] of config) {
      const was = before.get(key);
      if (was === now || was?.text === now.text) continue;
      // Comparing takes time: what is not listed is not compared.
      if (changes.length === FILES_MAX) return changes;
      const shown = { before: (i: number) => was?.shownLine(i) ?? "", after: (i: number) => now.shownLine(i) };
      const diff = diffLines(was?.text ?? "", now.text, { linesMax: LINES_MAX }, shown);
      changes.push({ file: nameOf(key, now), change: was === undefined ? "added" : "changed", diff });
    }
    for (const [key, was] of before) {
      if (!config.has(key)) changes.push({ file: nameOf(key, was), change: "removed" });
    }
    return changes.slice(0, FILES_MAX);
  }

  /** In which files a config differs from that of an earlier process. */
  since(known: Digests, config: ConfigText): readonly FileChange[] {
    const now = digestsOf(config);
    const changes: FileChange[] = [];
    for (const [file, digest] of now) {
      if (known.get(file) !== digest) changes.push({ file, change: known.has(file) ? "changed" : "added" });
    }
    for (const file of known.keys()) if (!now.has(file)) changes.push({ file, change: "removed" });
    return changes.slice(0, FILES_MAX);
  }

  /** Reads the digests that an earlier process has left; `undefined` if there are none that can be used. */
  async read(place: string): Promise<Digests | undefined> {
    try {
      const value: unknown = JSON.parse(await readTrusted(place));
      if (!isRecord(value)) return undefined;
      return new Map(Object.entries(value).map(([file, digest]) => [file, String(digest)]));
    } catch {
      return undefined;
    }
  }

  /** Leaves the digests to the next process. */
  async keep(place: string): Promise<void> {
    if (this.#last === undefined) return;
    const digests = Object.fromEntries(digestsOf(this.#last));
    await writeAtomically(place, `${JSON.stringify(digests)}\n`, { mode: 0o640 });
  }
}

function nameOf(key: string, { file }: TextFile): string {
  return `${key}${/\.ya?ml$/.exec(file)?.[0] ?? ""}`;
}

/** The digest of a file's text, once for each object. */
const digests = new WeakMap<TextFile, string>();

function digestsOf(config: ConfigText): Digests {
  return new Map([...config].map(([key, file]) => {
    const digest = digests.get(file) ?? createHash("sha256").update(file.text).digest("hex").slice(0, 16);
    digests.set(file, digest);
    return [nameOf(key, file), digest];
  }));
}
