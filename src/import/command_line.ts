/**
 * The command line of another program, as a document: each option is a key, and
 * stands at its column. Pure.
 *
 * @module
 */
import type { Path } from "../kernel/findings.ts";
import type { Document } from "./report.ts";

/** How the report calls it. */
const FILE = "command line";

/** How a program writes its options. */
export interface OptionStyle {
  /** The options that are followed by no value. */
  readonly flags: readonly string[];
  /** The options that may be given several times: their values are a list. */
  readonly lists: readonly string[];
  /** Makes one name of the ways to write it. */
  readonly nameOf?: (name: string) => string;
}

/**
 * Reads words such as `-node http://x`, `--watch` and `--config=x`. What is no
 * option stands at the key `arguments`, the words before the first option too.
 */
export function readCommandLine(
  words: readonly string[],
  { flags, lists, nameOf = (name) => name }: OptionStyle,
): Document {
  const columns = columnsOf(words);
  const values = new Map<string, unknown>();
  const places = new Map<string, number>();
  const rest: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [, written = "", given] = /^--?([A-Za-z][\w-]*)(?:=([^]*))?$/.exec(words[i] ?? "") ?? [];
    if (written === "") {
      places.set(JSON.stringify(["arguments", rest.length]), columns[i] ?? 1);
      rest.push(words[i] ?? "");
      continue;
    }
    const name = nameOf(written);
    const isFlag = flags.includes(name);
    const column = columns[i] ?? 1;
    const value = given ?? (isFlag ? true : words[++i] ?? "");
    const flag = isFlag && (value === "true" || value === "false") ? value === "true" : value;
    if (!places.has(JSON.stringify([name]))) places.set(JSON.stringify([name]), column);
    if (lists.includes(name)) {
      const list = values.get(name);
      const all = Array.isArray(list) ? list : [];
      places.set(JSON.stringify([name, all.length]), column);
      values.set(name, [...all, flag]);
    } else values.set(name, flag);
  }
  if (rest.length > 0) values.set("arguments", rest);
  return {
    file: FILE,
    value: Object.fromEntries(values),
    locate: (path: Path) => ({ line: 1, column: columnOf(path, places) }),
  };
}

/** Where each word begins, with a space between them. */
function columnsOf(words: readonly string[]): readonly number[] {
  let column = 1;
  return words.map((word) => {
    const at = column;
    column += [...word].length + 1;
    return at;
  });
}

function columnOf(path: Path, places: ReadonlyMap<string, number>): number {
  for (let length = path.length; length > 0; length--) {
    const column = places.get(JSON.stringify(path.slice(0, length)));
    if (column !== undefined) return column;
  }
  return 1;
}
