import type { Clock } from "../kernel/clock.ts";
import { MASK } from "../kernel/secret.ts";
import { Serial } from "../kernel/serial.ts";
import { utf8 } from "../kernel/utf8.ts";
import { createFile, makeDirectory, readTrusted } from "../system/trusted_file.ts";
import { diffLines } from "./line_diff.ts";

/** A file of a balancer that was replaced. */
export interface Installed {
  readonly path: string;
  readonly text: string;
  /** Whether the balancer is to read it; else it only follows the members, which the balancer has already. */
  readonly isRead: boolean;
}

export interface KeptFilesOptions {
  readonly clock: Clock;
  readonly redact: (line: string) => string;
  /** Hears why a file could not be kept. */
  readonly onFailure: (reason: string) => void;
}

/** So many files are kept of each path. */
const FILES_MAX = 10;
/** Files that only follow the members are kept once in so long: a deploy would push out all others. */
const FOLLOWS_EVERY_MS = 60_000;
/** So many lines that differ are listed. */
const LINES_MAX = 80;

/** The name of a kept file says so many bytes of its path; the longest name on disk is 255 bytes. */
const BASE_BYTES_MAX = 200;
/** The time that a name begins with: `20261130T031204.000Z`. */
const STAMP_LENGTH = 20;

/** What stands between the marks of a key or certificate (PEM), or behind the first mark if the last is missing. */
const PEM_BODY = /(-----BEGIN[A-Z0-9 ]*-*)([^]*?)(?=-----END|$)/g;

/** Words that a secret stands behind in a balancer's file. */
const SECRET_WORDS = /\b((?:insecure-)?password|stats\s+auth|authorization)\b(.*)$/i;

/** The last files of each balancer, and what each differs in from the previous one. */
export class KeptFiles {
  readonly #options: KeptFilesOptions;
  readonly #work = new Serial();
  /** The newest text of each file, by balancer and path. */
  readonly #newest = new Map<string, string>();
  readonly #diffs = new Map<string, string[]>();
  readonly #keptMs = new Map<string, number>();
  #dir: string | undefined;
  #stampMs = 0;

  constructor(options: KeptFilesOptions) {
    this.#options = options;
  }

  /** Takes a file that was replaced. */
  take(balancer: string, installed: Installed): void {
    const { path, text, isRead } = installed;
    const key = `${balancer}/${baseOf(path)}`;
    const was = this.#newest.get(key);
    this.#newest.set(key, text);
    if (isRead && was !== undefined) {
      const { redact } = this.#options;
      const shown = { before: lineOf(was, redact), after: lineOf(text, redact) };
      const diff = diffLines(was, text, { linesMax: LINES_MAX }, shown);
      if (diff.length > 0) this.#diffs.set(balancer, [...this.#diffs.get(balancer) ?? [], ...diff].slice(0, LINES_MAX));
    }
    const nowMs = this.#options.clock.now();
    if (!isRead && nowMs - (this.#keptMs.get(key) ?? -Infinity) < FOLLOWS_EVERY_MS) return;
    this.#keptMs.set(key, nowMs);
    void this.#work.run(() => this.#keep(balancer, installed)).catch((error) =>
      this.#options.onFailure(error instanceof Error ? error.message : String(error))
    );
  }

  /** What differs in the files of a balancer since this was last asked. */
  takeDiff(balancer: string): readonly string[] | undefined {
    const diff = this.#diffs.get(balancer);
    this.#diffs.delete(balancer);
    return diff;
  }

  /** Keeps files in a directory from now on; the newest that an earlier process kept is what the next one is compared with. */
  async open(dir: string): Promise<void> {
    this.#dir = `${dir}/files`;
    for (const balancer of await namesIn(this.#dir)) {
      const folder = `${this.#dir}/${balancer}`;
      const newest = new Map((await namesIn(folder)).toSorted().map((name) => [name.slice(STAMP_LENGTH), name]));
      for (const [base, name] of newest) {
        const text = await readTrusted(`${folder}/${name}`).catch(() => undefined);
        const key = `${balancer}/${base}`;
        if (text !== undefined && !this.#newest.has(key)) this.#newest.set(key, text);
      }
    }
  }

  /** Resolves when all that was taken is kept. */
  async idle(): Promise<void> {
    await this.#work.idle();
  }

  async #keep(balancer: string, { path, text }: Installed): Promise<void> {
    if (this.#dir === undefined) return;
    const folder = `${this.#dir}/${balancer}`;
    const base = baseOf(path);
    await makeDirectory(folder, { mode: 0o750 });
    // Two files of one millisecond have two names.
    this.#stampMs = Math.max(Date.now(), this.#stampMs + 1);
    const stamp = new Date(this.#stampMs).toISOString().replaceAll(/[-:]/g, "");
    await createFile(`${folder}/${stamp}${base}`, text, { mode: 0o600 });
    const own = (await namesIn(folder)).filter((name) => name.slice(STAMP_LENGTH) === base).toSorted();
    for (const name of own.slice(0, -FILES_MAX)) await Deno.remove(`${folder}/${name}`);
  }
}

/** What a kept file is called behind its time: `_run_haproxy_haproxy.cfg`. */
function baseOf(path: string): string {
  const bytes = utf8(path.replaceAll("/", "_"));
  let start = Math.max(0, bytes.length - BASE_BYTES_MAX);
  // Not in the middle of a character.
  while (((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return new TextDecoder().decode(bytes.subarray(start));
}

/** Writes a line of a text without its secrets. */
function lineOf(text: string, redact: (line: string) => string): (index: number) => string {
  const hidden = text.replace(PEM_BODY, (_, mark: string, body: string) => mark + body.replace(/\S[^\n]*/g, MASK));
  const lines = hidden.split("\n");
  return (index) => redact((lines[index] ?? "").replace(SECRET_WORDS, `$1 ${MASK}`));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
