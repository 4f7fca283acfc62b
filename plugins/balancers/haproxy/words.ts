/** One word of a config line. */
export interface Word {
  /** The word as HAProxy reads it: without quotes, its escapes resolved. */
  readonly text: string;
  /** Where it starts in the line. */
  readonly start: number;
  /** Where it ends in the line. */
  readonly end: number;
}

/** What a backslash and a letter stand for; another letter keeps its backslash. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ...[" ", "\\", "#", "'", '"', "$"].map((same): [string, string] => [same, same]),
  ["t", "\t"],
  ["n", "\n"],
  ["r", "\r"],
]);

/** What separates words: HAProxy uses C's `isspace()`. */
const SPACE = /[ \t\n\v\f\r]/;

/**
 * Reads a config line as HAProxy's own parser does (`parse_line()` in its `tools.c`): words are separated by
 * spaces and tabs; single and double quotes keep spaces together and may start inside a word; a backslash
 * escapes outside single quotes; an unquoted `#` ends the line wherever it stands. Variables in double quotes
 * keep their `$NAME`, since their values are HAProxy's. An unclosed quote, which HAProxy rejects, takes the
 * rest of the line.
 */
export function readWords(line: string): readonly Word[] {
  const found: Word[] = [];
  let word: { text: string; readonly start: number } | undefined;
  let quote: string | undefined;
  let at = 0;
  const emit = (text: string, length: number) => {
    word ??= { text: "", start: at };
    word.text += text;
    at += length;
  };
  const close = () => {
    if (word !== undefined) found.push({ ...word, end: at });
    word = undefined;
  };
  while (at < line.length) {
    const char = line[at] as string;
    if (quote === undefined && char === "#") break;
    if (quote === undefined && SPACE.test(char)) {
      close();
      at++;
    } else if ((char === '"' || char === "'") && (quote === undefined || quote === char)) {
      emit("", 1);
      quote = quote === undefined ? char : undefined;
    } else if (char === "\\" && quote !== "'") {
      const { text, length } = readEscape(line.slice(at, at + ESCAPE_LENGTH_MAX));
      emit(text, length);
    } else {
      emit(char, 1);
    }
  }
  close();
  return found;
}

/** The words of a config line. */
export function words(line: string): readonly string[] {
  // Nearly every line has neither quotes, escapes nor comments, and a big config has many.
  if (!/["'\\#]/.test(line)) return line.split(SPACE).filter((word) => word !== "");
  return readWords(line).map(({ text }) => text);
}

/** A config line as written, without its comment and surrounding spaces. */
export function withoutComment(line: string): string {
  const found = readWords(line);
  return line.slice(found.at(0)?.start, found.at(-1)?.end ?? 0);
}

/** The longest escape: `\xHH`. */
const ESCAPE_LENGTH_MAX = 4;

function readEscape(rest: string): { readonly text: string; readonly length: number } {
  const known = ESCAPES.get(rest[1] ?? "");
  if (known !== undefined) return { text: known, length: 2 };
  const hex = /^\\x([0-9A-Fa-f]{2})/.exec(rest)?.[1];
  return hex === undefined ? { text: "\\", length: 1 } : { text: String.fromCharCode(parseInt(hex, 16)), length: 4 };
}
