import { type Diagnostic, EXCERPT_SOURCE_MAX, makeExcerpt } from "./diagnostics.ts";
import type { Severity } from "../kernel/findings.ts";
import type { Finding, Path } from "../kernel/findings.ts";
import { applyMasks, brokenMasks, lineMasks, namesSecret, redact, secretMasks, type Span } from "./redact.ts";
import type { YamlFault } from "./yaml_faults.ts";
import { parseYaml, type Tree } from "./yaml_tree.ts";

/** A file larger than this is not read. */
export const SOURCE_BYTES_MAX = 1024 * 1024;

/** The maximum number of problems that are reported for one file. */
const PROBLEMS_MAX = 20;

/** A place in a file: both from 1, the column in characters. */
export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters (code points). */
  readonly column: number;
}

/**
 * One YAML file: its value, and where each part of it stands. Reads what 1.0
 * read: the first document only, YAML 1.1's `yes`, `no`, `on`,
 * `off`, octal and sexagesimal numbers, `<<`; but rejects tags, a key given
 * twice, and what would not fit in memory. Never throws: what is wrong is in
 * {@linkcode Source.problems}.
 */
export class Source {
  /** The file, as the user named the directory. */
  readonly file: string;
  /** The value, frozen; `null` for a file without any; `undefined` if there are {@linkcode Source.problems}. */
  readonly value: unknown;
  /** Why the file cannot be used at all; empty if it can. */
  readonly problems: readonly Diagnostic[];
  /** Whether it says nothing at all, not even in a comment: what a file looks like that is about to be written. */
  readonly blank: boolean;

  readonly #bytes: Uint8Array;
  readonly #text: string;
  /** Where each line begins, as UTF-16 offsets. */
  readonly #lineStarts: readonly number[];
  readonly #tree: Tree | undefined;
  readonly #faulty: boolean;
  readonly #isKept: boolean;
  #kept: Source | undefined;

  /**
   * Reads `bytes`, which must be UTF-8, with or without a byte order mark.
   * `isKept`: the file has been changed since, and this version stays active.
   */
  constructor(file: string, bytes: Uint8Array, { isKept = false }: { readonly isKept?: boolean } = {}) {
    this.file = file;
    this.#isKept = isKept;
    this.#bytes = bytes;
    const decoded = decode(bytes);
    this.#text = decoded.text;
    this.#lineStarts = lineStartsOf(decoded.text);
    this.blank = decoded.text.trim() === "";
    const fault = decoded.fault ?? findControl(decoded.text);
    const parsed = fault === undefined ? parseYaml(decoded.text) : { faults: [fault] };
    this.#tree = parsed.tree;
    this.#faulty = parsed.faults.length > 0;
    this.problems = Object.freeze(
      parsed.faults.slice(0, PROBLEMS_MAX).map((found) => this.#diagnostic("error", found.message, found.offset)),
    );
    this.value = this.problems.length === 0 ? parsed.tree?.value ?? null : undefined;
    Object.freeze(this);
  }

  /** Whether the file holds exactly these bytes. */
  holds(bytes: Uint8Array): boolean {
    const own = this.#bytes;
    return own.length === bytes.length && own.every((byte, i) => byte === bytes[i]);
  }

  /** The same version, once the file holds another one: its diagnostics name the file alone, as its lines are gone. Always the same object. */
  get kept(): Source {
    return this.#isKept ? this : this.#kept ??= new Source(this.file, this.#bytes, { isKept: true });
  }

  /** The file as it was read, with its secrets: to compare, never to show. */
  get text(): string {
    return this.#text;
  }

  /** A line of the file, from 0, without its secrets. */
  shownLine(index: number): string {
    const text = this.#line(index);
    return applyMasks(text, this.#masks(index, text));
  }

  /**
   * Answers where the value at a path stands; for a list or a map in block
   * form, its key. What does not exist is where its nearest parent is.
   */
  locate(path: Path, at: "key" | "value" = "value"): Position {
    return this.#position(this.#tree?.offsetOf(path, at) ?? 0);
  }

  /** Makes a diagnostic of a finding; `under` is the path that the finding's own path starts from. No secret gets into it. */
  diagnose(finding: Finding, { under = [] }: { readonly under?: Path } = {}): Diagnostic {
    const path = [...under, ...finding.path];
    const secret = path.some((part) => typeof part === "string" && namesSecret(part));
    const message = secret ? finding.message.replace(/(current value is ).*/s, "$1*****") : finding.message;
    return this.#diagnostic(finding.severity, message, this.#tree?.offsetOf(path, finding.at) ?? 0);
  }

  #diagnostic(severity: Severity, message: string, offset: number): Diagnostic {
    const shown = redact(message, this.#tree?.secrets);
    if (this.#isKept) {
      return Object.freeze({ severity, file: this.file, message: `${shown} (in the active version)` });
    }
    const { line, column } = this.#position(offset);
    const start = this.#lineStarts[line - 1] ?? 0;
    const text = this.#line(line - 1);
    const excerpt = text.length > EXCERPT_SOURCE_MAX
      ? undefined
      : makeExcerpt(text, this.#inside(offset) - start, this.#masks(line - 1, text));
    return Object.freeze({
      severity,
      file: this.file,
      line,
      column,
      message: shown,
      ...(excerpt === undefined ? {} : { excerpt }),
    });
  }

  /** What must not be shown of a line. */
  #masks(index: number, text: string): readonly Span[] {
    const tree = this.#tree;
    // What is wrong may be that a secret is not where it was meant to be.
    const byLines = tree === undefined || this.#faulty ? brokenMasks(this.#allLines(), index) : [];
    if (tree === undefined) return byLines;
    const start = this.#lineStarts[index] ?? 0;
    const inTree = tree.masks.map((mask) => ({
      start: mask.start - start,
      end: Math.min(mask.end - start, text.length),
    }))
      .filter((mask) => mask.end > 0 && mask.start < text.length)
      .map((mask) => ({ start: Math.max(mask.start, 0), end: mask.end }));
    const byText = lineMasks(text, (offset) => tree.isSecretKeyAt(start + offset));
    return [...inTree, ...byText, ...byLines, ...secretMasks(text, tree.secrets)];
  }

  #line(index: number): string {
    const end = this.#lineStarts[index + 1] ?? this.#text.length + 1;
    return this.#text.slice(this.#lineStarts[index] ?? 0, end - 1).replace(/\r$/, "");
  }

  #allLines(): readonly string[] {
    return this.#lineStarts.map((_, index) => this.#line(index));
  }

  /** Moves an offset behind the last line that says something to its end. */
  #inside(offset: number): number {
    return Math.max(0, Math.min(offset, this.#text.trimEnd().length));
  }

  #position(offset: number): Position {
    const inside = this.#inside(offset);
    let [low, high] = [0, this.#lineStarts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= inside) low = middle;
      else high = middle - 1;
    }
    const before = this.#text.slice(this.#lineStarts[low] ?? 0, inside);
    return { line: low + 1, column: [...before].length + 1 };
  }
}

function decode(bytes: Uint8Array): { readonly text: string; readonly fault?: YamlFault } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    let [good, bad] = [0, bytes.length];
    while (bad - good > 1) {
      const middle = (good + bad) >> 1;
      if (isUtf8Start(bytes.subarray(0, middle))) good = middle;
      else bad = middle;
    }
    const offset = new TextDecoder().decode(bytes.subarray(0, good), { stream: true }).length;
    const message = "Cannot read the file: must be UTF-8; invalid byte at this position";
    return { text: new TextDecoder().decode(bytes), fault: { offset, message } };
  }
}

function isUtf8Start(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function findControl(text: string): YamlFault | undefined {
  // deno-lint-ignore no-control-regex
  const found = /[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]|\r(?!\n)/.exec(text);
  if (found === null) return undefined;
  const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return {
    offset: found.index,
    message: `Cannot read the file: must be text; found the control character U+${code}`,
  };
}

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
