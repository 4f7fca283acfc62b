/**
 * A plugin's modules as a graph of sources, from anywhere. Each is identified
 * by its path relative to the folder of the plugin's entry (`mod.ts`,
 * `lib/codec.ts`, `../shared/bytes.ts`). Pure.
 *
 * @module
 */
import { quote } from "../kernel/quote.ts";

/** One import of a module, as written. */
export interface ModuleImport {
  /** What is imported. */
  readonly specifier: string;
  /** Start of the specifier with its quotes, in UTF-16 units. */
  readonly start: number;
  /** Its end. */
  readonly end: number;
  /** The line, from 1. */
  readonly line: number;
  /** The column, from 1. */
  readonly column: number;
}

/** A module without its types, and its remaining imports. */
export interface ParsedModule {
  /** JavaScript; types are replaced by spaces, so that positions stay the same. */
  readonly code: string;
  /** Static and dynamic imports, in order. */
  readonly imports: readonly ModuleImport[];
}

/** Maximum number of modules of a plugin. */
export const MODULES_MAX = 100;
/** Maximum size of a module in bytes. */
export const MODULE_BYTES_MAX = 1024 * 1024;
/** Maximum size of all modules of a plugin in bytes. */
export const GRAPH_BYTES_MAX = 4 * 1024 * 1024;

/** All modules of a plugin, as read. */
export interface ModuleGraph {
  /** The path of the module that exports the plugin: a name without a folder. */
  readonly entry: string;
  /** The source of each module by its path, including the entry. */
  readonly modules: ReadonlyMap<string, string>;
}

/** The same modules without types, with their imports. */
export interface ParsedGraph {
  /** The path of the module that exports the plugin. */
  readonly entry: string;
  /** Each module by its path. */
  readonly modules: ReadonlyMap<string, ParsedModule>;
}

/** Why a plugin cannot be loaded: an expected error with a message for operators. */
export class PluginFault extends Error {
  override name = "PluginFault";
}

/** Characters of a path: none that a URL or a shell would interpret. */
const PATH = /^(?:\.\.\/)*[A-Za-z0-9_.@+~$/-]+$/;
const ENDINGS = ".ts, .mts, .js or .mjs";

/** Whether a module's name has the suffix of TypeScript or JavaScript. */
export function hasModuleEnding(path: string): boolean {
  return /[^/]\.m?[tj]s$/.test(path);
}

/** Resolves an import; throws a {@linkcode PluginFault} for a forbidden one. */
export function resolveImport(from: string, specifier: string): string {
  const refuse = (wanted: string) => new PluginFault(`Cannot import ${quote(specifier)}: ${wanted}`);
  if (!/^\.\.?\//.test(specifier)) {
    throw refuse(
      "a plugin may import only its own relative modules (./x.ts); import type can name any module",
    );
  }
  if (!PATH.test(specifier)) throw refuse("its path may contain only letters, digits and _ . @ + ~ $ -");
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
 * Orders modules so that each comes after its imports, the entry last.
 * Throws a {@linkcode PluginFault} for cyclic imports.
 */
export function loadOrder({ entry, modules }: ParsedGraph): readonly string[] {
  const order = new Set<string>();
  const way: string[] = [];
  const enter = (path: string) => {
    if (order.has(path)) return;
    const at = way.indexOf(path);
    if (at !== -1) {
      const circle = [...way.slice(at), path].join(" imports ");
      throw new PluginFault(`Cannot load modules with cyclic imports: ${circle}`);
    }
    way.push(path);
    for (const { specifier } of modules.get(path)?.imports ?? []) enter(resolveImport(path, specifier));
    way.pop();
    order.add(path);
  };
  enter(entry);
  return [...order];
}

/** Size of a string in UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
