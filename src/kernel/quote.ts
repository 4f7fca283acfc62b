import { MASK } from "./secret.ts";

/** Maximum length of a quoted value. */
const LENGTH_MAX = 80;

/** Characters that could deceive a terminal or a line reader: controls, direction marks, line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const UNPRINTABLE_RUN = new RegExp(`${UNPRINTABLE.source}+`, "gu");

/**
 * Escapes invisible and deceptive characters like JSON: `
 * `, `\u001b`. Printable ones stay.
 */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    const short = JSON.stringify(char).slice(1, -1);
    if (short !== char) return short;
    return char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
  });
}

/** Escapes each line like {@linkcode escapeUnprintable}; line breaks stay. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeUnprintable).join("\n");
}

/** Converts a string to one printable line: runs of invisible characters become a space. */
export function toPrintableLine(text: string): string {
  return text.replace(UNPRINTABLE_RUN, " ");
}

/**
 * Formats any value for a message: as JSON, at most 80 printable characters, so that no hostile string
 * reaches a log whole. Never throws, also for large or circular values, and takes no longer for them.
 *
 * @param isHidden whether the value of a key must not be shown
 */
export function quote(
  value: unknown,
  { isHidden = () => false }: { readonly isHidden?: (key: string) => boolean } = {},
): string {
  let text = "";
  /** Writes until the limit; each level writes at least a bracket, so the depth is bounded. */
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

/** Whether an object is plain, of no class. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The first entries of an object, as many as could be shown: the rest of 300,000 costs nothing. */
function firstEntries(value: object): readonly (readonly [string, unknown])[] {
  const entries: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    const inner = (value as Readonly<Record<string, unknown>>)[key];
    if (inner !== undefined && entries.push([key, inner]) > LENGTH_MAX) break;
  }
  return entries;
}

/** The name of an object's class: `Uint8Array`; for an error with its message. */
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
