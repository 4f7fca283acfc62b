import type { PluginEntry } from "../config/desired.ts";
import { compareDiagnostics, type Diagnostic } from "../config/diagnostics.ts";
import { loadDirectory } from "../config/load.ts";
import { isRemote, readUnpinnedPlugins } from "../config/plugins_schema.ts";
import { Source } from "../config/source.ts";
import { systemClock } from "../kernel/clock.ts";
import { PluginCache } from "../plugin/cache.ts";
import { PluginFault } from "../plugin/graph.ts";
import { type FetchedPlugin, fetchPlugin, locate, recallPlugin } from "./open_plugin.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { pluginCacheDir } from "./plugins.ts";

/** How long the reading of a config directory may take. */
const READ_DEADLINE_MS = 30_000;

/** `plugins.yaml` as a command reads and writes it. */
export interface PluginConfig {
  /** The config directory. */
  readonly dir: string;
  /** The file, which may not be there yet. */
  readonly file: string;
  /** What it says; empty if it is not there. */
  readonly text: string;
  /** Its entries by `kind/name`; those of a remote plugin may lack the hash. `undefined` if the file is faulty. */
  readonly entries: ReadonlyMap<string, PluginEntry> | undefined;
  /** What is wrong with it. */
  readonly diagnostics: readonly Diagnostic[];
  /** Where verified plugins are kept. */
  readonly cache: PluginCache;
}

/** Reads the plugins of a config directory; `undefined` if there is no such directory. */
export async function readPluginConfig(dir: string): Promise<PluginConfig | undefined> {
  const loaded = await loadDirectory(dir, { role: "check", signal: AbortSignal.timeout(READ_DEADLINE_MS) });
  if (!loaded.ok) return undefined;
  const cache = new PluginCache(loaded.desired.settings.pluginCache ?? pluginCacheDir());
  const at = dir.replace(/(?<=.)\/+$/, "");
  const known = await firstThatExists([`${at}/plugins.yaml`, `${at}/plugins.yml`]);
  const file = known ?? `${at}/plugins.yaml`;
  if (known === undefined) return { dir, file, text: "", entries: new Map(), diagnostics: [], cache };
  const bytes = await Deno.readFile(file);
  const source = new Source(file, bytes);
  const text = new TextDecoder().decode(bytes);
  if (source.problems.length > 0) return { dir, file, text, entries: undefined, diagnostics: source.problems, cache };
  const { value, findings } = readUnpinnedPlugins(source.value);
  const diagnostics = findings.map((finding) => source.diagnose(finding)).toSorted(compareDiagnostics);
  return { dir, file, text, entries: value, diagnostics, cache };
}

/** Replaces the text of `plugins.yaml` as a whole, through a link if it is one. */
export async function writePluginConfig({ file }: PluginConfig, text: string): Promise<void> {
  await writeAtomically(file, text, { mode: 0o644 });
}

/** Returns the modules of an entry as they were approved, without the network. Throws a `PluginFault` if they are unavailable. */
export async function findOffline(entry: PluginEntry, { dir, cache }: PluginConfig): Promise<FetchedPlugin> {
  const { name, url, sha256 } = entry;
  if (!isRemote(url)) {
    const fetched = await fetchPlugin(locate(url, dir), {
      clock: systemClock,
      signal: AbortSignal.timeout(READ_DEADLINE_MS),
    });
    if (sha256 === undefined || sha256 === fetched.sha256) return fetched;
    throw new PluginFault(
      `Code does not match its approved hash: expected sha256 ${sha256}, received ${fetched.sha256}`,
    );
  }
  if (sha256 === undefined) throw new PluginFault(`No approved hash yet; run: lighthouse plugin update ${name}`);
  const kept = await recallPlugin(sha256, { cache, clock: systemClock });
  if (kept === undefined) throw new PluginFault(`No verified copy of sha256 ${sha256} in ${cache.dir}`);
  return kept;
}

async function firstThatExists(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    try {
      await Deno.stat(path);
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}
