import { MASK } from "./secret.ts";

/** A quoted value is at most so long. */
const LENGTH_MAX = 80;

/** What a terminal or a reader of lines could take for more than text: controls, direction marks, separators of lines. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const UNPRINTABLE_RUN = new RegExp(`${UNPRINTABLE.source}+`, "gu");

/**
 * Writes what cannot be seen, or would make a terminal show something else, as
 * JSON would escape it: `\n`, `\u001b`. What is printable stays as it is.
 */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    const short = JSON.stringify(char).slice(1, -1);
    if (short !== char) return short;
    return char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
  });
}

/** Escapes each line of a text as {@linkcode escapeUnprintable} does; its line breaks stay. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeUnprintable).join("\n");
}

/** Makes one printable line of a text: runs of what cannot be seen become a space. */
export function toPrintableLine(text: string): string {
  return text.replace(UNPRINTABLE_RUN, " ");
}

/**
 * Writes any value for a message: as JSON, at most 80 characters, all of them
 * printable, so that no hostile text reaches a log whole. Never throws, and
 * takes no longer for a large or a circular value.
 *
 * @param isHidden tells of a key that its value must not be shown
 */
export function quote(
  value: unknown,
  { isHidden = () => false }: { readonly isHidden?: (key: string) => boolean } = {},
): string {
  let text = "";
  /** Writes on until there is enough; each level writes at least a bracket, so none is too deep. */
  const write = (value: unknown): void => {
    if (text.length > LENGTH_MAX) return;
    if (typeof value === "string") text += escapeUnprintable(JSON.stringify(value.slice(0, LENGTH_MAX + 1)));
    else if (typeof value !== "object" || value === null) text += primitive(value);
    else if (Array.isArray(value)) writeAll("[", value.slice(0, LENGTH_MAX), "]", write);
    // Bytes, maps, streams: their entries may be millions, or none, and say little.
    else if (!isPlainObject(value)) text += escapeUnprintable(nameOf(value));
    else {
      writeAll("{", firstEntries(value), "}", ([key, inner]) => {
        write(key);
        text += ":";
        write(isHidden(key) ? MASK : inner);
      });
    }
  };
  const writeAll = <T>(open: string, items: readonly T[], close: string, each: (item: T) => void): void => {
    text += open;
    for (const [i, item] of items.entries()) {
      if (text.length > LENGTH_MAX) return;
      if (i > 0) text += ",";
      each(item);
    }
    text += close;
  };
  write(value);
  return text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX - 3).toWellFormed()}...` : text;
}

/** Whether an object is a map of keys as a literal makes it, of no class. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The first entries of an object that say something, as many as could be shown: of 300,000 the rest costs nothing. */
function firstEntries(value: object): readonly (readonly [string, unknown])[] {
  const entries: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    const inner = (value as Readonly<Record<string, unknown>>)[key];
    if (inner !== undefined && entries.push([key, inner]) > LENGTH_MAX) break;
  }
  return entries;
}

/** What an object of a class is called: `Uint8Array`; of an error its message is told as well. */
function nameOf(value: object): string {
  try {
    if (value instanceof Error) return `${value.name}: ${value.message.slice(0, LENGTH_MAX)}`;
    const { name } = value.constructor;
    return typeof name === "string" && name !== "" ? name.slice(0, LENGTH_MAX) : "an object";
  } catch {
    return "an object";
  }
}

function primitive(value: unknown): string {
  return typeof value === "function" ? "a function" : escapeUnprintable(String(value));
}
