/**
 * Keeps secrets out of what is printed of a config file. Pure. Where the file
 * can be parsed, {@linkcode Source} knows the places of its secrets; this module
 * judges by the text alone, for broken files, for secrets inside longer texts
 * (`stats auth user:password`, `redis://user:password@host`), and for messages.
 * In doubt it masks too much.
 *
 * @module
 */
import { isSecretKey, MASK } from "../kernel/secret.ts";

/** A part of a text: UTF-16 offsets, the end not included. */
export interface Span {
  /** Where it begins. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
}

/** A secret shorter than this is only recognised between quotes: it would be found in half of all words. */
const BARE_LENGTH_MIN = 4;

/** So much of the beginning of a longer secret gives it away, as in a value that was cut. */
const TELLTALE_LENGTH = 8;

/** Where a value was cut, less of it does. */
const CUT_LENGTH_MIN = 3;

/** Texts are only looked at up to this length, so that no pattern takes long. */
const REDACT_LENGTH_MAX = 8_192;

/** A message is cut to this length. */
const MESSAGE_LENGTH_MAX = 1_000;

/**
 * Finds what must not be shown of one line, by its text alone: all that
 * follows a secret's name, and the user part of an address.
 * `skip` says of an offset that the name there was already dealt with.
 */
export function lineMasks(line: string, skip: (offset: number) => boolean = () => false): readonly Span[] {
  const masks: Span[] = [...userParts(line)];
  const name = secretName(line, skip);
  if (name !== undefined && name.valueAt < line.length) masks.push({ start: name.valueAt, end: line.length });
  return mergeSpans(masks);
}

/** The user parts of addresses, found in time that grows as the line does, not as its square. */
function userParts(line: string): readonly Span[] {
  if (!line.includes("@")) return [];
  const tokens = [...line.matchAll(/\/\/([^\s:@/"']+)@/g)].map(({ index, 1: token = "" }) => ({
    start: index + 2,
    end: index + 2 + token.length,
  }));
  return [...tokens, ...userPartsOfUrls(line), ...barePasswords(line)];
}

/** `scheme://user:password@host`, with spaces in it only if nothing else fits. */
function userPartsOfUrls(line: string): readonly Span[] {
  const masks: Span[] = [];
  const lastAtBefore = [/["'\n]/g, /\s/g].map((stop) => {
    let [end, at] = [-1, -1];
    return (from: number) => {
      if (from > end) {
        stop.lastIndex = from;
        end = stop.exec(line)?.index ?? line.length;
        const inside = line.slice(from, end).lastIndexOf("@");
        at = inside === -1 ? -1 : from + inside;
      }
      return at >= from ? at : undefined;
    };
  });
  let after = 0;
  for (const { index, 0: head } of line.matchAll(/\/\/[^\s:@/?#"']*:/g)) {
    const start = index + head.length;
    const end = index < after ? undefined : lastAtBefore.map((find) => find(start)).find((at) => at !== undefined);
    if (end === undefined) continue;
    if (end > start) masks.push({ start, end });
    after = end + 1;
  }
  return masks;
}

/** `user:password@host`, where a word begins. */
function barePasswords(line: string): readonly Span[] {
  const masks: Span[] = [];
  let [from, end] = [0, -1];
  for (const { index: colon } of line.matchAll(/:/g)) {
    // The name before it; a word begins behind `=` and `(` too, which may stand in a name.
    let first = colon;
    while (first > from && !/[\s:@/"',[\]{}]/.test(line.charAt(first - 1))) first--;
    const begins = first === 0 || /[\s"'[{,]/.test(line.charAt(first - 1));
    const isName = begins ? colon > first : /[(=]./s.test(line.slice(first, colon));
    from = colon + 1;
    if (!isName || line.startsWith("//", from)) continue;
    if (from > end) {
      const stop = /[\s@]/g;
      stop.lastIndex = from;
      end = stop.exec(line)?.index ?? line.length;
    }
    if (end > from && line.charAt(end) === "@") masks.push({ start: from, end });
  }
  return masks;
}

/**
 * Finds what must not be shown of line `index` (from 0) of a file that cannot
 * be parsed. After the first secret's name only lines are shown that prove, by
 * a key and by their indentation, that they are not part of its value.
 */
export function brokenMasks(lines: readonly string[], index: number): readonly Span[] {
  const line = lines[index] ?? "";
  const find = secretFinder(lines);
  if (index > 0 && hiddenBySecretAbove(lines, index, find)) return [{ start: 0, end: line.length }];
  const name = find(line, () => false);
  return mergeSpans([...userParts(line), ...name === undefined ? [] : [{ start: name.valueAt, end: line.length }]]);
}

type SecretFinder = (line: string, skip: (offset: number) => boolean) => SecretName | undefined;

/** In a file with secrets any anchor may be that of a secret: its alias may be what is broken. */
function secretFinder(lines: readonly string[]): SecretFinder {
  if (!lines.some((line) => secretName(line, () => false) !== undefined)) return secretName;
  return (line, skip) => {
    const name = secretName(line, skip);
    const anchor = [...line.matchAll(/&[^\s,[\]{}]+\s*/g)].find((match) => !skip(match.index));
    if (anchor === undefined || (name !== undefined && name.start < anchor.index)) return name;
    const valueAt = Math.min(anchor.index + anchor[0].length, name?.valueAt ?? Infinity);
    return { start: anchor.index, valueAt, keyValueAt: valueAt };
  };
}

function hiddenBySecretAbove(lines: readonly string[], index: number, find: SecretFinder): boolean {
  // Columns of the secret keys whose values may still go on.
  const open: number[] = [];
  let until: Closer | undefined;
  let seen = false;
  for (let i = 0; i <= index; i++) {
    const line = lines[i] ?? "";
    let from = 0;
    if (until !== undefined) {
      if (i === index) return true;
      const end = closeAt(line, 0, until);
      if (typeof end !== "number") {
        until = end;
        continue;
      }
      [until, from] = [undefined, end];
    }
    const key = KEY_LINE.exec(line);
    if (key !== null && from === 0) {
      // An entry of a list belongs to the key that stands above it in the same column.
      const column = (key[1] ?? "").length + (key[2] === "" ? 0 : 0.5);
      while ((open.at(-1) ?? -1) >= column) open.pop();
    }
    if (i === index) return seen && (key === null || open.length > 0);
    let name = find(line, (offset) => offset < from);
    // A directive may stand before the key.
    for (let next = name; next !== undefined && name?.keyValueAt === undefined;) {
      const { start } = next;
      next = find(line, (offset) => offset <= start);
      name = next;
    }
    if (name?.keyValueAt === undefined) continue;
    seen = true;
    open.push(/^\s*(?:- +)*["']?$/.test(line.slice(0, name.start)) ? name.start : indentOf(line));
    const opener = /^(?:[!&][^\s]*\s+)*(["'[{])/.exec(line.slice(name.keyValueAt));
    if (opener !== null) {
      const end = closeAt(line, name.keyValueAt + opener[0].length - 1, { stack: "", quote: "" });
      until = typeof end === "number" ? undefined : end;
    }
  }
  return false;
}

/** A line that begins with a key, as far as text can tell; its indentation, and a list's dashes, in groups. */
const KEY_LINE = /^( *)((?:- +)*)(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|"[^"]*"|'[^']*')\s*:(?:\s|$)/;

/** What a value that began on an earlier line still waits for. */
interface Closer {
  /** The brackets that are open. */
  readonly stack: string;
  /** The quote that is open. */
  readonly quote: string;
}

/** Reads on in a quoted or bracketed value; answers where it ends, or what it still waits for at the end of the line. */
function closeAt(line: string, from: number, { stack, quote }: Closer): number | Closer {
  for (let i = from; i < line.length; i++) {
    const char = line[i] ?? "";
    if (quote !== "") {
      if (char === "\\" && quote === '"') i++;
      else if (char === quote) quote = "";
    } else if (char === '"' || char === "'") quote = char;
    else if (char === "[" || char === "{") stack += char;
    else if (char === "]" || char === "}") stack = stack.slice(0, -1);
    if (quote === "" && stack === "") return i + 1;
  }
  return { stack, quote };
}

/** The first word of a line that names a secret with a value after it. */
interface SecretName {
  /** Where the word begins. */
  readonly start: number;
  /** Where what follows it begins, all of which is masked. */
  readonly valueAt: number;
  /** If it may be a key: where its value begins, which may go on in the next lines. */
  readonly keyValueAt?: number;
}

function secretName(line: string, skip: (offset: number) => boolean): SecretName | undefined {
  for (const word of line.matchAll(WORD)) {
    if (!isSecretKey(word[0]) || skip(word.index)) continue;
    const end = word.index + word[0].length;
    const rest = line.slice(end);
    const at = (length: number) => ({ start: word.index, valueAt: end + length, keyValueAt: end + length });
    // At the end of a line the colon, and the value, may stand in the next one. What is broken may have signs in between.
    const after = /^[^\p{L}\p{N}\s:=]*\s*[:=]\s*|^[^\p{L}\p{N}\s]*\s*$/u.exec(rest);
    if (after !== null) return at(after[0].length);
    const blank = /^["']?\s+/.exec(rest);
    // A path is no secret: /auth/login.
    if (blank === null && rest.startsWith("/")) continue;
    if (blank === null) return at(0);
    const start = { start: word.index, valueAt: end + blank[0].length };
    // A key of several words, as "password of the database: x"; or one without its colon, unless it is a directive.
    const words = /^[\w .-]+["']?\s*:(?:\s+|$)/.exec(rest);
    if (words !== null) return { ...start, keyValueAt: end + words[0].length };
    return /^\s*- /.test(line) ? start : at(blank[0].length);
  }
  return undefined;
}

/** Whether a key names a secret, also if more words, or an unmatched quote, are in it. */
export function namesSecret(key: string): boolean {
  return isSecretKey(key) || (key.match(WORD) ?? []).some((word) => isSecretKey(word));
}

const WORD = /[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_])?/gu;

/** Masks what is secret in a message by its text, and the given secrets wherever they stand; cuts it if it is very long. */
export function redact(message: string, secrets: ReadonlySet<string> = new Set()): string {
  const lines = message.slice(0, REDACT_LENGTH_MAX).split("\n");
  const masked = lines.map((line) => {
    const known = applyMasks(line, secretMasks(line, secrets));
    return applyMasks(known, messageMasks(known));
  }).join("\n");
  return masked.length > MESSAGE_LENGTH_MAX ? `${masked.slice(0, MESSAGE_LENGTH_MAX - 3)}...` : masked;
}

/** Masks what is secret in a line of a file, which like a broken one is judged by its text alone. */
export function redactLine(line: string): string {
  const cut = line.slice(0, REDACT_LENGTH_MAX);
  return redact(applyMasks(cut, lineMasks(cut)));
}

/**
 * A message speaks of keys in prose ("Missing key password: must be a
 * string"), so there a secret's name alone hides nothing: only what it quotes
 * is judged like a line of a file.
 */
function messageMasks(message: string): readonly Span[] {
  const masks: Span[] = [...userParts(message)];
  for (const quoted of message.matchAll(/(?<=current value is |; received ).*|"(?:[^"\\]|\\.)*"/g)) {
    const masked = (offset: number) => MASKED_ENTRY.test(quoted[0].slice(offset));
    for (const { start, end } of lineMasks(quoted[0], masked)) {
      masks.push({ start: quoted.index + start, end: quoted.index + end });
    }
  }
  return mergeSpans(masks);
}

/** The rest of a value that whoever wrote the message has masked already. */
const MASKED_ENTRY = /^[\w.-]+"?:\s*"?\*{5}"?(?=[,}\]]|$)/;

/** Finds known secrets in a text, also in JSON's spelling, and the beginning of one that was cut. */
export function secretMasks(text: string, secrets: ReadonlySet<string>): readonly Span[] {
  const masks: Span[] = [];
  for (const secret of secrets) {
    for (const spelling of new Set([secret, JSON.stringify(secret).slice(1, -1)])) {
      if (spelling === "") continue;
      const bare = spelling.length >= BARE_LENGTH_MIN;
      const needle = bare ? spelling.slice(0, TELLTALE_LENGTH) : `"${spelling}"`;
      for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + 1)) {
        let end = at + needle.length;
        if (bare) { for (let i = needle.length; i < spelling.length && text[end] === spelling[i]; i++) end++; }
        masks.push(bare ? { start: at, end } : { start: at + 1, end: end - 1 });
      }
      const cut = cutAt(text, spelling);
      if (cut !== undefined) masks.push(cut);
    }
  }
  return mergeSpans(masks);
}

/** Finds the beginning of a secret where a quoted value was cut: at the end, or before three dots. */
function cutAt(text: string, secret: string): Span | undefined {
  const end = text.endsWith("...") ? text.length - 3 : text.length;
  for (let length = Math.min(secret.length, TELLTALE_LENGTH) - 1; length >= CUT_LENGTH_MIN; length--) {
    if (text.slice(end - length, end) === secret.slice(0, length)) return { start: end - length, end };
  }
  return undefined;
}

/** Joins spans that touch or overlap; sorted by their start. */
export function mergeSpans(spans: readonly Span[]): readonly Span[] {
  const merged: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && span.start <= last.end) {
      merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, span.end) };
    } else merged.push(span);
  }
  return merged;
}

/** Writes a text with its masked parts replaced. */
export function applyMasks(text: string, masks: readonly Span[]): string {
  let [out, at] = ["", 0];
  for (const { start, end } of mergeSpans(masks)) {
    out += text.slice(at, start) + MASK;
    at = end;
  }
  return out + text.slice(at);
}

function indentOf(line: string): number {
  return /^\s*/.exec(line)?.[0].length ?? 0;
}
