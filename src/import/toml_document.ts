import { parse, TomlError } from "smol-toml";
import type { Path } from "../kernel/findings.ts";
import type { Document } from "./report.ts";

/** A TOML text as a document; or why it is none, with its place. Pure. */
export function tomlDocument(file: string, text: string): Document | string {
  try {
    const value: unknown = parse(text);
    const places = placesOf(text);
    const locate = (path: Path) => {
      for (let length = path.length; length > 0; length--) {
        const place = places.get(path.slice(0, length).join("\0"));
        if (place !== undefined) return place;
      }
      return { line: 1, column: 1 };
    };
    return { file, value, locate };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason = ""] = error.message.split("\n");
    return `${file}:${error.line}:${error.column}: ${reason}`;
  }
}

/** Where tables and keys stand, each at the first line that names it. */
function placesOf(text: string): ReadonlyMap<string, { readonly line: number; readonly column: number }> {
  const places = new Map<string, { readonly line: number; readonly column: number }>();
  let table: readonly string[] = [];
  text.split("\n").forEach((content, i) => {
    const [, header] = /^\s*\[{1,2}([^\]]+)\]/.exec(content) ?? [];
    const [, indent = "", key] = /^(\s*)([A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*=/.exec(content) ?? [];
    const path = header !== undefined
      ? header.split(".").map(bare)
      : key !== undefined
      ? [...table, bare(key)]
      : undefined;
    if (path === undefined) return;
    if (header !== undefined) table = path;
    const name = path.join("\0");
    if (!places.has(name)) places.set(name, { line: i + 1, column: indent.length + 1 });
  });
  return places;
}

function bare(name: string): string {
  return name.trim().replace(/^(["'])(.*)\1$/, "$2");
}
