/**
 * How a plugin that does not ship comes to be: it is fetched and parsed, its
 * hash is compared by whoever asked, and only then it is opened: made one
 * module, and asked in a worker without permissions what it is. Nothing of it
 * ever runs in this process.
 *
 * @module
 */
import type { Clock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import { PLUGIN_API_VERSION } from "../plugin/contract.ts";
import type { PluginCache } from "../plugin/cache.ts";
import { fetchModule } from "../plugin/fetch.ts";
import { flatten } from "../plugin/flatten.ts";
import { gather, regather } from "../plugin/gather.ts";
import { type ModuleGraph, type ParsedGraph, PluginFault } from "../plugin/graph.ts";
import { hashGraph } from "../plugin/hash.ts";
import type { PluginKind } from "../plugin/source.ts";
import type { Introduction } from "../protocol/messages.ts";
import { Describer } from "../supervisor/describer.ts";
import type { Hangs } from "../supervisor/hangs.ts";
import { ModuleParser } from "../supervisor/module_parser.ts";

/** How long all modules of a plugin together may take to arrive. */
const FETCH_DEADLINE_MS = 30_000;

/** A plugin's modules, and what they hash to; nothing of them was run. */
export interface FetchedPlugin {
  /** The modules as they were read. */
  readonly graph: ModuleGraph;
  /** The same, without types. */
  readonly parsed: ParsedGraph;
  /** The hash of the graph. */
  readonly sha256: string;
}

/** A plugin that said what it is. */
export interface OpenPlugin extends FetchedPlugin {
  /** The module that a worker loads: a `data:` URL. */
  readonly module: string;
  /** What it says of itself, in a worker without permissions. */
  readonly introduction: Introduction;
}

/**
 * Answers where the plugin of an entry is: a URL as it is, a path as seen from
 * the config directory.
 */
export function locate(url: string, dir: string): URL {
  if (/^(?:https?|file):/i.test(url)) return new URL(url);
  const base = dir.startsWith("/") ? dir : `${Deno.cwd()}/${dir}`;
  return new URL(encodePath(url), `file://${encodePath(base)}/`);
}

/** A path's characters that mean something in a URL stand for themselves. */
function encodePath(path: string): string {
  return encodeURI(path).replaceAll("?", "%3F").replaceAll("#", "%23");
}

/**
 * Fetches a plugin's entry and all that it imports. Throws a `PluginFault` that
 * says what stands in the way, or the signal's reason.
 */
export async function fetchPlugin(
  url: URL,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<FetchedPlugin> {
  const deadline = AbortSignal.timeout(FETCH_DEADLINE_MS);
  const either = AbortSignal.any([signal, deadline]);
  try {
    await using parser = new ModuleParser({ clock });
    const first = await fetchModule(url, { signal: either, mayRedirect: true });
    const entry = first.url.pathname.slice(first.url.pathname.lastIndexOf("/") + 1);
    const { graph, parsed } = await gather(entry, {
      read: async (path, failed) => {
        if (path === entry) return first.text;
        const options = { signal: AbortSignal.any([either, failed]), mayRedirect: false };
        return (await fetchModule(new URL(path, first.url), options)).text;
      },
      parse: (path, text) => parser.parse(path, text),
      mayLeave: url.protocol !== "file:",
    });
    return { graph, parsed, sha256: await hashGraph(graph) };
  } catch (error) {
    signal.throwIfAborted();
    if (!deadline.aborted) throw error;
    throw new PluginFault(`Cannot read ${url.href}: modules not fetched within ${formatDuration(FETCH_DEADLINE_MS)}`);
  }
}

/** Finds a plugin in the cache; `undefined` if it is not there as it was. */
export async function recallPlugin(
  sha256: string,
  { cache, clock }: { readonly cache: PluginCache; readonly clock: Clock },
): Promise<FetchedPlugin | undefined> {
  const graph = await cache.get(sha256);
  if (graph === undefined) return undefined;
  await using parser = new ModuleParser({ clock });
  return { ...await regather(graph, { parse: (path, text) => parser.parse(path, text) }), sha256 };
}

/**
 * Opens a plugin: `kind` is what it has to be, if that is known. Throws a
 * `PluginFault` for what is no plugin, for another kind and for a version of
 * the contract that is not spoken here.
 */
export async function openPlugin(
  fetched: FetchedPlugin,
  { clock, kind, label, signal, hangs }: {
    readonly clock: Clock;
    readonly kind?: PluginKind | undefined;
    readonly label: string;
    readonly signal: AbortSignal;
    /** What hung before is not run again. */
    readonly hangs?: Hangs | undefined;
  },
): Promise<OpenPlugin> {
  const module = flatten(fetched.parsed, { label });
  await using describer = new Describer({ clock, signal, hangs });
  let introduction: Introduction;
  try {
    introduction = await describer.introduce(module);
  } catch (error) {
    signal.throwIfAborted();
    throw new PluginFault(`Cannot use the plugin: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { apiVersion, kind: its } = introduction;
  if (apiVersion !== PLUGIN_API_VERSION) {
    throw new PluginFault(
      `Cannot use the plugin: written for API version ${apiVersion}; this version of Lighthouse supports version ${PLUGIN_API_VERSION}`,
    );
  }
  if (kind !== undefined && its !== kind) {
    throw new PluginFault(`Cannot use the plugin as a ${kind}: the plugin is a ${its}`);
  }
  return { ...fetched, module, introduction };
}
