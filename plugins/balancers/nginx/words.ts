/** One directive of a line: its words as nginx reads them. */
export type Directive = readonly string[];

/** A parsed line of an nginx config. */
export type ReadLine =
  | {
    readonly ok: true;
    /**
     * The line with a semicolon at its end where it needs one, without its comment; empty if there is nothing
     * else.
     */
    readonly text: string;
    /** Its directives and the heads of its blocks, in order. */
    readonly directives: readonly Directive[];
  }
  | { readonly ok: false; readonly why: string };

/** What a backslash makes of the next character; any other character keeps its backslash. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ...['"', "'", "\\"].map((same): [string, string] => [same, same]),
  ["t", "\t"],
  ["r", "\r"],
  ["n", "\n"],
]);

/**
 * Reads a line as nginx's own parser does (`ngx_conf_read_token()`): words are separated by spaces; quotes
 * count only at the start of a word; `#` at the start of a word ends the line; `{` of `${` is part of a word.
 * The line must close what it opens: otherwise it would affect the lines around it.
 */
export function readLine(line: string): ReadLine {
  const directives: string[][] = [];
  let current: string[] = [];
  let depth = 0, at = 0, end = 0, isOpen = false;
  while (at < line.length) {
    const char = line[at] as string;
    if (/\s/.test(char)) {
      at++;
      continue;
    }
    if (char === "#") break;
    if (char === ";" || char === "{") {
      if (current.length === 0) return { ok: false, why: `a directive before each ${char}` };
      directives.push(current);
      current = [];
      depth += char === "{" ? 1 : 0;
      isOpen = false;
      end = ++at;
    } else if (char === "}") {
      if (isOpen) return { ok: false, why: "a semicolon before each }" };
      if (--depth < 0) return { ok: false, why: "balanced braces" };
      end = ++at;
    } else {
      const word = readWord(line, at);
      if (word === undefined) {
        return { ok: false, why: "a closing quote for each quote, followed by a space or a semicolon" };
      }
      current.push(word.text);
      isOpen = true;
      end = at = word.end;
    }
  }
  if (depth > 0) return { ok: false, why: "balanced braces" };
  if (isOpen) directives.push(current);
  return { ok: true, text: `${line.slice(0, end).trim()}${isOpen ? ";" : ""}`, directives };
}

/** Reads the word at a place; `undefined` if a quote has no end, or is followed by more. */
function readWord(line: string, start: number): { readonly text: string; readonly end: number } | undefined {
  const first = line[start];
  const quote = first === '"' || first === "'" ? first : undefined;
  let at = quote === undefined ? start : start + 1;
  let text = "";
  while (at < line.length) {
    const char = line[at] as string;
    if (char === "\\") {
      const next = line[at + 1];
      // A backslash at the end would have nginx join the next line to the word.
      if (next === undefined) return undefined;
      text += ESCAPES.get(next) ?? `\\${next}`;
      at += 2;
      continue;
    }
    if (quote !== undefined ? char === quote : /[\s;{]/.test(char)) break;
    if (char === "$" && line[at + 1] === "{") {
      text += "${";
      at += 2;
      continue;
    }
    text += char;
    at++;
  }
  if (quote === undefined) return { text, end: at };
  if (line[at] !== quote) return undefined;
  const next = line[at + 1];
  return next === undefined || /[\s;{]/.test(next) ? { text, end: at + 1 } : undefined;
}

/** Writes a string as one word, whatever its characters are. */
export function quoted(text: string): string {
  if (/^[A-Za-z0-9_./:~^*=@%+,-]+$/.test(text)) return text;
  return `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
}
