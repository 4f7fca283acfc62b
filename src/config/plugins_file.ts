/**
 * Changes of `plugins.yaml` that leave all else in it as it is: comments, order
 * and the operator's own words. Pure, from text to text.
 *
 * @module
 */
import { isCollection, isMap, isScalar, parseDocument, stringify, YAMLMap } from "yaml";
import type { PluginEntry } from "./desired.ts";

/** Which entry is meant. */
type EntryName = Pick<PluginEntry, "section" | "name">;

/** Adds an entry to a file, which may be empty; `text` must be valid. Keys are indented by two, as YAML mostly is. */
export function addEntry(
  text: string,
  { section, name, url, sha256, insecure, allow }: EntryName & Pick<PluginEntry, "url" | "sha256" | "allow"> & {
    readonly insecure?: boolean | undefined;
  },
): string {
  const document = parseDocument<YAMLMap, false>(text, { version: "1.1", uniqueKeys: false });
  if (!isMap(document.contents) || document.contents.items.length === 0) document.contents = new YAMLMap();
  const existing = document.get(section);
  if (!isMap(existing) || existing.items.length === 0) document.set(section, new YAMLMap());
  const entry = {
    url,
    ...sha256 === undefined ? {} : { sha256 },
    ...insecure ? { insecure } : {},
    ...allow === undefined ? {} : { allow },
  };
  document.setIn([section, name], document.createNode(entry));
  const allowed = document.getIn([section, name, "allow"], true);
  if (isCollection(allowed)) allowed.flow = true;
  return document.toString({ lineWidth: 0 });
}

/** Writes another hash, and another URL if there is one, into an entry that is there. */
export function changeEntry(
  text: string,
  { section, name, sha256, url }: EntryName & { readonly sha256: string; readonly url?: string | undefined },
): string {
  const at = (key: string) => {
    const node = parseDocument(text, { version: "1.1" }).getIn([section, name, key], true);
    return isScalar(node) ? node.range ?? undefined : undefined;
  };
  const replace = (key: string, value: string) => {
    const range = at(key);
    if (range !== undefined) text = `${text.slice(0, range[0])}${value}${text.slice(range[1])}`;
    return range !== undefined;
  };
  if (url !== undefined) replace("url", quoted(url));
  if (replace("sha256", quoted(sha256))) return text;
  const document = parseDocument(text, { version: "1.1" });
  document.setIn([section, name, "sha256"], sha256);
  return document.toString({ lineWidth: 0 });
}

/** Writes a text so that YAML reads it as one: it is quoted where it could be a number or the like. */
function quoted(value: string): string {
  return /^[a-z][A-Za-z0-9+.-]*:\/\/[A-Za-z0-9._~:/@?=&%+-]+$|^[0-9a-f]*[a-df][0-9a-f]*$/.test(value)
    ? value
    : JSON.stringify(value);
}

/** Writes a value as YAML, for an operator to copy: on one line, or in block form. */
export function writeYaml(value: unknown, { form }: { readonly form: "line" | "block" }): string {
  return stringify(value, { lineWidth: 0, collectionStyle: form === "line" ? "flow" : "block" }).trimEnd();
}
