/**
 * Reads what is imported: files of other tools. Nothing is ever written there.
 *
 * @module
 */
import { formatDiagnostic } from "../config/diagnostics.ts";
import { Source, SOURCE_BYTES_MAX } from "../config/source.ts";
import { isRecord } from "../model/node.ts";
import { type ErbTag, withoutErb } from "./erb.ts";
import type { Document } from "./report.ts";

/** The input cannot be read, or the output not be written; the message says what and why. */
export class ImportError extends Error {
  override readonly name = "ImportError";
}

/** One YAML or JSON file; with `erb` its tags of Ruby are found and left out. */
export async function readDocument(
  path: string,
  { erb = false }: { readonly erb?: boolean } = {},
): Promise<{ readonly document: Document; readonly tags: readonly ErbTag[] }> {
  const text = await readText(path);
  const { text: plain, tags } = erb ? withoutErb(text) : { text, tags: [] };
  return { document: documentOf(path, plain), tags };
}

/** Reads a text that is YAML or JSON. */
export function documentOf(file: string, text: string): Document {
  const source = new Source(file, new TextEncoder().encode(text));
  if (source.problems.length > 0) {
    throw new ImportError(source.problems.map((problem) => formatDiagnostic(problem)).join("\n"));
  }
  if (!isRecord(source.value)) throw new ImportError(`Cannot import ${file}: must be a map at the top level`);
  return { file, value: source.value, locate: (at, side) => source.locate(at, side) };
}

/** Reads a text file of a config; larger ones are none. */
export async function readText(path: string): Promise<string> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new ImportError(`Cannot import ${path}: not a regular file`);
    if (size > SOURCE_BYTES_MAX) {
      throw new ImportError(`Cannot import ${path}: ${size} bytes exceed the limit of ${SOURCE_BYTES_MAX}`);
    }
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof ImportError) throw error;
    throw new ImportError(`Cannot import ${path}: ${error instanceof Deno.errors.NotFound ? "no such file" : error}`);
  }
}

/** The files of a service directory (`service_conf_dir`), by their names without the ending. */
export async function readServiceFiles(
  { file, value }: Document,
  options: { readonly erb?: boolean } = {},
): Promise<
  { readonly services: ReadonlyMap<string, Document>; readonly tags: ReadonlyMap<string, readonly ErbTag[]> }
> {
  const dir = isRecord(value) ? value.service_conf_dir : undefined;
  const services = new Map<string, Document>();
  const tags = new Map<string, readonly ErbTag[]>();
  if (typeof dir !== "string") return { services, tags };
  const folder = dir.startsWith("/") ? dir : `${file.slice(0, file.lastIndexOf("/") + 1)}${dir}`;
  for (const name of await namesIn(folder, /\.(?:ya?ml|json)$/)) {
    const path = `${folder}/${name}`;
    const read = await readDocument(path, options);
    services.set(name.replace(/\.[a-z]+$/, ""), read.document);
    if (read.tags.length > 0) tags.set(path, read.tags);
  }
  return { services, tags };
}

/** The names of a directory's files that match, sorted. */
export async function namesIn(dir: string, pattern: RegExp): Promise<readonly string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(dir));
    return entries.filter(({ name }) => pattern.test(name)).map(({ name }) => name).toSorted();
  } catch (error) {
    throw new ImportError(
      `Cannot import ${dir}: ${error instanceof Deno.errors.NotFound ? "no such directory" : error}`,
    );
  }
}

/** The paths of all files below a directory, sorted. */
export async function filesBelow(dir: string, under = ""): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const name of await namesIn(`${dir}/${under}`, /^[^.]/)) {
    const path = `${under}${name}`;
    const { isDirectory } = await Deno.stat(`${dir}/${path}`);
    paths.push(...isDirectory ? await filesBelow(dir, `${path}/`) : [path]);
  }
  return paths;
}
