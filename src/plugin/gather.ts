import { Gate } from "../kernel/gate.ts";
import { quote } from "../kernel/quote.ts";
import type { ParsedModule } from "./graph.ts";
import {
  byteLength,
  GRAPH_BYTES_MAX,
  type ModuleGraph,
  MODULES_MAX,
  type ParsedGraph,
  PluginFault,
  resolveImport,
} from "./graph.ts";

/** Number of modules fetched in parallel. */
const READS_AT_ONCE_MAX = 6;

/** How {@linkcode gather} gets modules. */
export interface GatherOptions {
  /** Reads a module by its path; throws a {@linkcode PluginFault} if it cannot. */
  readonly read: (path: string, signal: AbortSignal) => Promise<string>;
  /** Strips a module's types and finds its imports; throws a {@linkcode PluginFault} if it is invalid. */
  readonly parse: (path: string, text: string) => Promise<ParsedModule>;
  /**
   * Whether modules may be outside of the entry's folder: not for a file, which could otherwise read
   * the whole disk.
   */
  readonly mayLeave?: boolean;
}

/** Reads a plugin's entry and all its imports, except type imports. Throws the first {@linkcode PluginFault}. */
export async function gather(
  entry: string,
  { read, parse, mayLeave = true }: GatherOptions,
): Promise<{ readonly graph: ModuleGraph; readonly parsed: ParsedGraph }> {
  const gate = new Gate(READS_AT_ONCE_MAX);
  const texts = new Map<string, string>();
  const modules = new Map<string, ParsedModule>();
  const met = new Set<string>();
  const running: Promise<void>[] = [];
  const failed = new AbortController();
  let bytes = 0;
  const take = async (path: string): Promise<void> => {
    if (met.has(path)) return;
    if (met.size >= MODULES_MAX) {
      throw new PluginFault(`Cannot load the plugin: more than ${MODULES_MAX} modules`);
    }
    met.add(path);
    const parsed = await gate.run(async () => {
      failed.signal.throwIfAborted();
      const text = await read(path, failed.signal);
      bytes += byteLength(text);
      if (bytes > GRAPH_BYTES_MAX) {
        throw new PluginFault(`Cannot load the plugin: its modules are larger than ${GRAPH_BYTES_MAX} bytes in total`);
      }
      texts.set(path, text);
      return await parse(path, text);
    });
    modules.set(path, parsed);
    const imported = parsed.imports.map(({ specifier, line, column }) => {
      try {
        const imported = resolveImport(path, specifier);
        if (mayLeave || !imported.startsWith("../")) return imported;
        throw new PluginFault(
          `Cannot import ${quote(specifier)}: must be a module in or below the directory of the plugin's entry`,
        );
      } catch (error) {
        if (!(error instanceof PluginFault)) throw error;
        throw new PluginFault(`${path}:${line}:${column}: ${error.message}`);
      }
    });
    for (const each of imported) begin(each);
  };
  const begin = (path: string) => running.push(take(path).catch((error) => failed.abort(error)));
  begin(entry);
  // A finished module may queue more.
  for (const each of running) await each;
  failed.signal.throwIfAborted();
  return { graph: { entry, modules: texts }, parsed: { entry, modules } };
}

/** Parses modules from a cache; throws a {@linkcode PluginFault} if they are incomplete. */
export function regather(
  { entry, modules }: ModuleGraph,
  { parse }: Pick<GatherOptions, "parse">,
): Promise<{ readonly graph: ModuleGraph; readonly parsed: ParsedGraph }> {
  const read = (path: string) => {
    const text = modules.get(path);
    return text === undefined
      ? Promise.reject(new PluginFault(`Cannot find the module ${quote(path)} in the cache`))
      : Promise.resolve(text);
  };
  return gather(entry, { read, parse });
}
