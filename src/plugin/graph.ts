/**
 * A plugin's modules as a graph of texts, wherever they come from: each is
 * known by its path as seen from the folder of the plugin's entry (`mod.ts`,
 * `lib/codec.ts`, `../shared/bytes.ts`). Pure.
 *
 * @module
 */
import { quote } from "../kernel/quote.ts";

/** One import of a module, as it stands in the code. */
export interface ModuleImport {
  /** What is imported. */
  readonly specifier: string;
  /** Where the specifier with its quotes begins in the code, in UTF-16 units. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** The line, from 1. */
  readonly line: number;
  /** The column, from 1. */
  readonly column: number;
}

/** A module without its types, and what is left of its imports. */
export interface ParsedModule {
  /** JavaScript; what was a type is blank, so that every place is where it was. */
  readonly code: string;
  /** Static and dynamic ones, in order. */
  readonly imports: readonly ModuleImport[];
}

/** A plugin has no more modules. */
export const MODULES_MAX = 100;
/** No module has more bytes. */
export const MODULE_BYTES_MAX = 1024 * 1024;
/** All modules of a plugin together have no more bytes. */
export const GRAPH_BYTES_MAX = 4 * 1024 * 1024;

/** All modules of a plugin, as they were read. */
export interface ModuleGraph {
  /** The path of the module that exports the plugin: a name without a folder. */
  readonly entry: string;
  /** The text of each module by its path, that of the entry among them. */
  readonly modules: ReadonlyMap<string, string>;
}

/** The same modules without types, and with their imports. */
export interface ParsedGraph {
  /** The path of the module that exports the plugin. */
  readonly entry: string;
  /** Each module by its path. */
  readonly modules: ReadonlyMap<string, ParsedModule>;
}

/** Why a plugin cannot be loaded: an expected error, whose message an operator reads. */
export class PluginFault extends Error {
  override name = "PluginFault";
}

/** What a path's characters are: none that a URL or a shell would read as something else. */
const PATH = /^(?:\.\.\/)*[A-Za-z0-9_.@+~$/-]+$/;
const ENDINGS = ".ts, .mts, .js or .mjs";

/** Whether a module's name tells that it is TypeScript or JavaScript; nothing else does. */
export function hasModuleEnding(path: string): boolean {
  return /[^/]\.m?[tj]s$/.test(path);
}

/** Answers the path of what a module imports; throws a {@linkcode PluginFault} for what a plugin may not import. */
export function resolveImport(from: string, specifier: string): string {
  const refuse = (wanted: string) => new PluginFault(`Cannot import ${quote(specifier)} as ${wanted}`);
  if (!/^\.\.?\//.test(specifier)) {
    throw refuse(
      "a plugin may import relative modules of its own alone (./x.ts); types may come from anywhere by import type",
    );
  }
  if (!PATH.test(specifier)) throw refuse("its path may have letters, digits and _ . @ + ~ $ - alone");
  if (!hasModuleEnding(specifier)) throw refuse(`its name must end in ${ENDINGS}`);
  const path: string[] = [];
  for (const part of [...from.split("/").slice(0, -1), ...specifier.split("/")]) {
    if (part === "" || part === ".") continue;
    if (part === ".." && path.length > 0 && path.at(-1) !== "..") path.pop();
    else path.push(part);
  }
  return path.join("/");
}

/**
 * Orders modules so that each comes after all that it imports, the entry last.
 * Throws a {@linkcode PluginFault} if some import one another in a circle.
 */
export function loadOrder({ entry, modules }: ParsedGraph): readonly string[] {
  const order = new Set<string>();
  const way: string[] = [];
  const enter = (path: string) => {
    if (order.has(path)) return;
    const at = way.indexOf(path);
    if (at !== -1) {
      const circle = [...way.slice(at), path].join(" imports ");
      throw new PluginFault(`Cannot load modules that import one another in a circle: ${circle}`);
    }
    way.push(path);
    for (const { specifier } of modules.get(path)?.imports ?? []) enter(resolveImport(path, specifier));
    way.pop();
    order.add(path);
  };
  enter(entry);
  return [...order];
}

/** A text's size in UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
