/**
 * What an import says of its input: each key is converted, replaced by
 * something else, or not supported, and stands at a line and a column. A key
 * that a converter does not know is in the report too. Pure.
 *
 * @module
 */
import type { Path } from "../kernel/findings.ts";
import { isRecord } from "../model/node.ts";

/** `converted`: the same by another key. `replaced`: another means to the same end. */
export type Outcome = "converted" | "replaced" | "not supported";

/** What became of one key. */
export interface Entry {
  /** The file, as it was given. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** The key, with those around it: `services.web.check_interval`. It holds no value. */
  readonly key: string;
  readonly outcome: Outcome;
  /** Where it went, what replaces it, or why it is not supported. */
  readonly text: string;
}

/** What an import comes to: the files of a config directory by their paths, and the report. */
export interface Imported {
  readonly files: ReadonlyMap<string, string>;
  readonly report: readonly Entry[];
}

/** A file that is imported: its value, and where each part stands. */
export interface Document {
  readonly file: string;
  readonly value: unknown;
  readonly locate: (path: Path, at: "key" | "value") => { readonly line: number; readonly column: number };
}

/** The report of one document, while it is made. */
export class Ledger {
  readonly #document: Document;
  readonly #entries: Entry[] = [];
  readonly #noted: Path[] = [];
  /** The paths that the converter has looked at. */
  readonly #read = new Set<string>();

  constructor(document: Document) {
    this.#document = document;
  }

  /** The document's own value. */
  get root(): Key {
    return new Key(this, [], this.#document.value);
  }

  /** Notes that the converter looks at the value of a path. */
  look(path: Path): void {
    this.#read.add(JSON.stringify(path));
  }

  /** Notes what became of the value at a path, and of all in it. */
  note(path: Path, outcome: Outcome, text: string): void {
    const { line, column } = this.#document.locate(path, "key");
    this.#noted.push(path);
    this.#entries.push({ file: this.#document.file, line, column, key: nameOf(path), outcome, text });
  }

  /** Ends the report, in the order of the document: what nobody has noted is not supported. */
  end(): readonly Entry[] {
    this.#noteRest([], this.#document.value);
    return this.#entries.toSorted((a, b) => a.line - b.line || a.column - b.column);
  }

  #noteRest(path: Path, value: unknown): void {
    const isNoted = (noted: Path) => noted.length === path.length && startsWith(noted, path);
    if (this.#noted.some(isNoted)) return;
    const isRead = this.#read.has(JSON.stringify(path));
    const inner: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
      ? [...value.entries()]
      : isRecord(value)
      ? Object.entries(value)
      : [];
    if (!isRead) return this.note(path, "not supported", "unknown key");
    if (isRecord(value) && inner.length === 0) return this.note(path, "converted", "empty");
    if (inner.length === 0) return this.note(path, "not supported", "not used by Lighthouse");
    for (const [key, child] of inner) this.#noteRest([...path, key], child);
  }
}

/** A value of a document, and where it stands. */
export class Key {
  readonly #ledger: Ledger;
  readonly #path: Path;
  readonly value: unknown;

  constructor(ledger: Ledger, path: Path, value: unknown) {
    this.#ledger = ledger;
    this.#path = path;
    this.value = value;
    ledger.look(path);
  }

  /** Its own name: the last part of its path. */
  get name(): string {
    return String(this.#path.at(-1) ?? "");
  }

  /** The value of a map, `undefined` if it has none of the name or says nothing there. */
  get(name: string): Key | undefined {
    if (!isRecord(this.value) || !Object.hasOwn(this.value, name)) return undefined;
    const child = this.value[name];
    const key = new Key(this.#ledger, [...this.#path, name], child);
    return child === null ? void key.converted("empty; the default applies") : key;
  }

  /** Whether a map has the key, whatever it says there. */
  has(name: string): boolean {
    return isRecord(this.value) && Object.hasOwn(this.value, name);
  }

  /** The values of a map or a list; none for anything else. */
  get children(): readonly Key[] {
    const { value } = this;
    if (Array.isArray(value)) return value.map((each, i) => new Key(this.#ledger, [...this.#path, i], each));
    return isRecord(value) ? Object.keys(value).flatMap((name) => this.get(name) ?? []) : [];
  }

  /** A string; a number is one too. */
  get text(): string | undefined {
    return typeof this.value === "string" || typeof this.value === "number" ? String(this.value) : undefined;
  }

  /** A number, or digits in quotes. */
  get number(): number | undefined {
    const { text } = this;
    return text !== undefined && /^-?[0-9]+(?:\.[0-9]+)?$/.test(text.trim()) ? Number(text) : undefined;
  }

  /** The strings of a list, or a string alone. */
  get texts(): readonly string[] | undefined {
    const texts = Array.isArray(this.value) ? this.children.map(({ text }) => text) : [this.text];
    return texts.every((text) => text !== undefined) ? texts : undefined;
  }

  converted(to: string): this {
    return this.#note("converted", to);
  }

  replaced(by: string): this {
    return this.#note("replaced", by);
  }

  unsupported(why: string): this {
    return this.#note("not supported", why);
  }

  /** Takes a value if it is of the kind that is wanted, and reports it either way. */
  take<T>(value: T | undefined, wanted: string, to: string): T | undefined {
    if (value === undefined) this.unsupported(`not ${wanted}`);
    else this.converted(to);
    return value;
  }

  #note(outcome: Outcome, text: string): this {
    this.#ledger.note(this.#path, outcome, text);
    return this;
  }
}

/** A port, from 1 to 65535. */
export function portOf(key: Key): number | undefined {
  const { number } = key;
  return number !== undefined && Number.isInteger(number) && number >= 1 && number <= 65_535 ? number : undefined;
}

function startsWith(path: Path, start: Path): boolean {
  return start.every((part, i) => path[i] === part);
}

/** Writes a path as `services.web.checks[0].uri`. */
function nameOf(path: Path): string {
  return path.map((part, i) => typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`).join("");
}

/** Writes one line of a report. */
export function formatEntry({ file, line, column, key, outcome, text }: Entry): string {
  return `${file}:${line}:${column}: ${key}: ${outcome}: ${text}`;
}

/** Counts a report: `12 keys: 8 converted, 3 replaced, 1 not supported`. */
export function summary(report: readonly Entry[]): string {
  const count = (outcome: Outcome) => report.filter((entry) => entry.outcome === outcome).length;
  const counts = (["converted", "replaced", "not supported"] as const).map((outcome) => `${count(outcome)} ${outcome}`);
  return `${report.length} ${report.length === 1 ? "key" : "keys"}: ${counts.join(", ")}`;
}
