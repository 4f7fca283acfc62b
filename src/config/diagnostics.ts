/**
 * What is wrong with the config directory, in the form that an operator reads:
 *
 * ```text
 * config/services/web.yaml:4:11: error: Cannot use checks.http.rise: must be an integer >= 0; current value is "two"
 *    4 |     rise: two
 *      |           ^
 * ```
 *
 * Pure.
 *
 * @module
 */
import type { Severity } from "../kernel/findings.ts";
import { MASK } from "../kernel/secret.ts";
import { mergeSpans, type Span } from "./redact.ts";

const COLORS: { readonly [severity in Severity]: number } = { error: 31, warning: 33, notice: 36 };

/** The line that a diagnostic is about, fit to be printed: secrets masked, control characters replaced, cut if long. */
export interface Excerpt {
  /** The line. */
  readonly text: string;
  /** The column in `text` that a caret goes under, in character cells from 0. */
  readonly caret: number;
}

/** One thing wrong, and where. It holds no secret. */
export interface Diagnostic {
  /** How bad it is. */
  readonly severity: Severity;
  /** The file, as the user named the directory: `config/services/web.yaml`. */
  readonly file: string;
  /** From 1; absent if it is about the whole file, or a directory. */
  readonly line?: number | undefined;
  /** From 1, in characters; absent if `line` is. */
  readonly column?: number | undefined;
  /** What is wrong and what is wanted. */
  readonly message: string;
  /** The line; absent if `line` is, or if it cannot be shown. */
  readonly excerpt?: Excerpt | undefined;
}

/** Writes a diagnostic in the form above, without a line feed at the end. */
export function formatDiagnostic(diagnostic: Diagnostic, { color = false }: { readonly color?: boolean } = {}): string {
  const paint = (code: number, text: string) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const { severity, file, line, column, message, excerpt } = diagnostic;
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  const label = paint(COLORS[severity], `${severity}:`);
  const head = `${paint(1, `${replaceUnprintable(place)}:`)} ${label} ${replaceUnprintable(message)}`;
  if (line === undefined || excerpt === undefined) return head;
  const number = String(line).padStart(4);
  const blank = " ".repeat(number.length);
  const caret = `${" ".repeat(excerpt.caret)}${paint(32, "^")}`;
  const shown = excerpt.text === "" ? "" : ` ${excerpt.text}`;
  return `${head}\n${paint(2, `${number} |`)}${shown}\n${paint(2, `${blank} |`)} ${caret}`;
}

/** Orders diagnostics by file, then by place. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  return compareText(a.file, b.file) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0) ||
    compareText(a.message, b.message);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Of a line longer than this only the place is shown. */
export const EXCERPT_SOURCE_MAX = 4_096;

/** An excerpt has at most so many character cells. */
const EXCERPT_WIDTH_MAX = 100;

/** So many cells are kept before the caret when a line is cut. */
const EXCERPT_LEAD = 60;

/** A tab is shown as so many spaces, so that the caret stands right whatever the terminal's tab stops. */
const TAB_WIDTH = 4;

/** Makes a line printable; `offset` is the UTF-16 offset in it that the caret goes under. */
export function makeExcerpt(line: string, offset: number, masks: readonly Span[]): Excerpt {
  const cells: { readonly text: string; readonly width: number }[] = [];
  let caretCell: number | undefined;
  const spans = mergeSpans(masks);
  let at = 0;
  while (at < line.length) {
    const mask = spans.find((span) => span.start <= at && at < span.end);
    const char = String.fromCodePoint(line.codePointAt(at) ?? 0x20);
    const next = mask === undefined ? at + char.length : mask.end;
    if (caretCell === undefined && offset < next) caretCell = cells.length;
    cells.push(mask === undefined ? printable(char) : { text: MASK, width: MASK.length });
    at = next;
  }
  return cut(cells, caretCell ?? cells.length);
}

function cut(cells: readonly { readonly text: string; readonly width: number }[], caretCell: number): Excerpt {
  const starts = [0];
  for (const cell of cells) starts.push((starts.at(-1) ?? 0) + cell.width);
  const startOf = (cell: number) => starts[cell] ?? 0;
  const total = startOf(cells.length);
  let first = 0;
  if (total > EXCERPT_WIDTH_MAX) {
    while (startOf(caretCell) - startOf(first) > EXCERPT_LEAD) first++;
  }
  let last = cells.length;
  while (startOf(last) - startOf(first) > EXCERPT_WIDTH_MAX) last--;
  const text = cells.slice(first, last).map((cell) => cell.text).join("");
  const [before, after] = [first > 0 ? "..." : "", last < cells.length ? "..." : ""];
  return Object.freeze({
    text: `${before}${text}${after}`.trimEnd(),
    caret: before.length + startOf(caretCell) - startOf(first),
  });
}

/** Control characters and those that turn the writing's direction could make a terminal show something else. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;

/** A key or a file's name, too, may hold what a terminal obeys. */
function replaceUnprintable(text: string): string {
  return text.replaceAll(new RegExp(UNPRINTABLE, "gu"), "\uFFFD");
}

function printable(char: string): { readonly text: string; readonly width: number } {
  if (char === "\t") return { text: " ".repeat(TAB_WIDTH), width: TAB_WIDTH };
  if (UNPRINTABLE.test(char)) return { text: "\uFFFD", width: 1 };
  if (/\p{M}/u.test(char)) return { text: char, width: 0 };
  return { text: char, width: isWide(char.codePointAt(0) ?? 0) ? 2 : 1 };
}

/** The blocks whose characters take two cells in a terminal: East Asian ones and pictographs (Unicode's UAX #11). */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115F],
  [0x2E80, 0x303E],
  [0x3041, 0xA4CF],
  [0xAC00, 0xD7A3],
  [0xF900, 0xFAFF],
  [0xFE30, 0xFE6F],
  [0xFF00, 0xFF60],
  [0xFFE0, 0xFFE6],
  [0x1F300, 0x1F64F],
  [0x1F680, 0x1F6FF],
  [0x1F900, 0x1FAFF],
  [0x20000, 0x3FFFD],
];

function isWide(code: number): boolean {
  return WIDE.some(([first, last]) => code >= first && code <= last);
}
