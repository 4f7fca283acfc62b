import type { Desired, PluginEntry } from "../config/desired.ts";
import type { Finding } from "../kernel/findings.ts";
import { isRemote } from "../config/plugins_schema.ts";
import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { Allowance } from "../model/allowance.ts";
import { PluginCache } from "../plugin/cache.ts";
import { FetchFault, fetchModule } from "../plugin/fetch.ts";
import { flatten } from "../plugin/flatten.ts";
import { PluginFault } from "../plugin/graph.ts";
import type { PluginCatalog, PluginSource } from "../plugin/source.ts";
import type { HungPlugin } from "../config/reading.ts";
import type { Hangs } from "../supervisor/hangs.ts";
import { type FetchedPlugin, fetchPlugin, locate, type OpenPlugin, openPlugin, recallPlugin } from "./open_plugin.ts";

/** The waits before a plugin that could not be loaded is tried again; it is looked at each time the config is. */
const RETRY_BACKOFF = { firstMs: 5_000, maxMs: 300_000 };

export interface PluginLoaderOptions {
  /** The plugins that ship: nothing takes their names. */
  readonly builtins: PluginCatalog;
  /** Where verified plugins are kept, unless `lighthouse.yaml` says. */
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What hung before is not run again. */
  readonly hangs?: Hangs | undefined;
  /** Called when something was loaded, or could not be, after {@linkcode PluginLoader.load} had answered. */
  readonly onLate?: () => void;
}

/** What can be had at one time. */
export interface LoadedPlugins {
  /** What ships and what was loaded; the very same object as long as nothing has changed. */
  readonly catalog: PluginCatalog;
  /** What is wrong with `plugins.yaml`. */
  readonly findings: readonly Finding[];
}

/** The newest try to load what an entry says. */
interface Attempt {
  /** What was tried: another address or hash is another attempt. */
  readonly id: string;
  readonly controller: AbortController;
  /** Resolves when it is over, one way or the other. */
  readonly work: Promise<void>;
  /** Tries before this one that failed. */
  readonly failures: number;
  open: OpenPlugin | undefined;
  finding: Finding | undefined;
  /** Not tried again before; only for one that failed. */
  retryMs: number;
  /** Whether it was logged that it is not over yet. */
  isLate: boolean;
}

/** What is in use of an entry. */
interface Good {
  readonly open: OpenPlugin;
  readonly allow: Allowance | undefined;
}

/**
 * Loads the plugins of `plugins.yaml`, and keeps each one's last good version
 * in use until the next one is. What takes long goes on in the background.
 */
export class PluginLoader implements AsyncDisposable {
  readonly #options: PluginLoaderOptions;
  readonly #attempts = new Map<string, Attempt>();
  readonly #good = new Map<string, Good>();
  readonly #running = new Set<Promise<void>>();
  /** What each module hashes to, whose it is, and where is noted that it hung. */
  readonly #hashes = new Map<
    string,
    { readonly plugin: string; readonly sha256: string; readonly cache: PluginCache }
  >();
  /** What is kept out, by what the config calls it. */
  readonly #hung = new Map<string, HungPlugin>();
  #catalog: PluginCatalog;
  /** What the catalog was made of. */
  #state = "[]";

  constructor(options: PluginLoaderOptions) {
    this.#options = options;
    this.#catalog = options.builtins;
    if (options.hangs !== undefined) options.hangs.onForGood = (module, how) => this.#noteHung(module, how);
  }

  /** Those that are kept out as they hung, now or before a restart. */
  get hung(): readonly HungPlugin[] {
    return [...this.#hung.values()];
  }

  /** Tries again what failed, at the next {@linkcode load}, however short the time since. */
  retry(): void {
    for (const attempt of this.#attempts.values()) attempt.retryMs = -Infinity;
  }

  /**
   * Answers what can be had of what is wanted; waits at most `waitMs` for what
   * is not loaded yet, and not when the signal is aborted. A file without a hash
   * is looked at each time. Never throws; not to be called again before it has
   * answered.
   */
  async load(
    { plugins, settings }: Pick<Desired, "plugins" | "settings">,
    { dir, waitMs, signal }: { readonly dir: string; readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<LoadedPlugins> {
    const cache = new PluginCache(settings.pluginCache ?? this.#options.cacheDir);
    for (const [key, attempt] of this.#attempts) {
      if (plugins.has(key)) continue;
      attempt.controller.abort();
      this.#attempts.delete(key);
      this.#good.delete(key);
      this.#hung.delete(key);
    }
    for (const [key, entry] of plugins) {
      const id = JSON.stringify([dir, cache.dir, entry.url, entry.sha256 ?? null]);
      const before = this.#attempts.get(key);
      if (before?.id === id && !await this.#isToBeTried(before, entry, dir)) continue;
      before?.controller.abort();
      const failures = before?.id === id && before.finding !== undefined ? before.failures + 1 : 0;
      this.#attempts.set(key, this.#begin(key, entry, { id, cache, dir, failures }));
    }
    await this.#settle(waitMs, signal);
    return this.#answer(plugins);
  }

  /** Gives up what is still being loaded. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { controller } of this.#attempts.values()) controller.abort();
    await Promise.all(this.#running);
  }

  async #isToBeTried(attempt: Attempt, { url }: PluginEntry, dir: string): Promise<boolean> {
    if (attempt.finding !== undefined) return this.#options.clock.now() >= attempt.retryMs || !isRemote(url);
    return attempt.open !== undefined && !isRemote(url) && !await isUnchanged(attempt.open, locate(url, dir));
  }

  /** Waits until every attempt is over, or for so long; those that are not are late, and not waited for again. */
  async #settle(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const open = [...this.#attempts.values()].filter(({ open, finding, isLate }) =>
      open === undefined && finding === undefined && !isLate
    );
    if (open.length === 0) return;
    const late = Promise.withResolvers<void>();
    const giveUp = () => late.resolve();
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    const cancel = waitMs === Infinity ? () => {} : this.#options.clock.after(waitMs, giveUp);
    await Promise.race([Promise.all(open.map(({ work }) => work)), late.promise]);
    cancel();
    signal?.removeEventListener("abort", giveUp);
    for (const attempt of open) attempt.isLate = attempt.open === undefined && attempt.finding === undefined;
  }

  #begin(
    key: string,
    entry: PluginEntry,
    { id, cache, dir, failures }: {
      readonly id: string;
      readonly cache: PluginCache;
      readonly dir: string;
      readonly failures: number;
    },
  ): Attempt {
    const { clock, random, log, onLate } = this.#options;
    const controller = new AbortController();
    const { signal } = controller;
    const work = Promise.withResolvers<void>();
    const attempt: Attempt = {
      id,
      controller,
      work: work.promise,
      failures,
      open: undefined,
      finding: undefined,
      retryMs: Infinity,
      isLate: false,
    };
    const run = async () => {
      try {
        const { open, finding } = await this.#open(key, entry, { cache, dir, signal });
        [attempt.open, attempt.finding] = [open, finding];
      } catch (error) {
        if (signal.aborted) return;
        attempt.finding = toFinding(entry, error);
      }
      if (attempt.finding !== undefined) {
        attempt.retryMs = clock.now() + Math.round(backoffMs(failures, RETRY_BACKOFF, random));
      }
      if (attempt.open !== undefined) {
        const { sha256, graph, introduction } = attempt.open;
        log.info("Plugin loaded", {
          event: "plugin.loaded",
          plugin: key,
          name: introduction.name,
          modules: graph.modules.size,
          sha256,
        });
      }
      if (attempt.isLate && !signal.aborted) onLate?.();
    };
    const running = run().finally(() => {
      work.resolve();
      this.#running.delete(running);
    });
    this.#running.add(running);
    return attempt;
  }

  /** Opens what an entry asks for; with a finding besides if it is only what was kept of it. */
  async #open(
    key: string,
    entry: PluginEntry,
    { cache, dir, signal }: { readonly cache: PluginCache; readonly dir: string; readonly signal: AbortSignal },
  ): Promise<{ readonly open: OpenPlugin; readonly finding?: Finding }> {
    const { builtins, clock, hangs } = this.#options;
    const { kind, name, sha256 } = entry;
    if (builtins.find(kind, name) !== undefined) {
      throw new PluginFault(`Cannot use the name ${name}: a built-in ${kind} has this name; choose another`);
    }
    const open = async (fetched: FetchedPlugin) => {
      const how = await cache.hung(fetched.sha256);
      if (how === undefined) this.#hung.delete(key);
      else {
        this.#noteOut(key, { sha256: fetched.sha256, how, cache });
        throw new PluginFault(
          `Cannot use the plugin: its worker hung (${how}) and could not be stopped; the plugin stays disabled until it ` +
            `changes, or ${cache.hungFile(fetched.sha256)} is removed`,
        );
      }
      this.#hashes.set(flatten(fetched.parsed, { label: key }), { plugin: key, sha256: fetched.sha256, cache });
      return await openPlugin(fetched, { clock, kind, label: key, signal, hangs });
    };
    const kept = async () => sha256 === undefined ? undefined : await recallPlugin(sha256, { cache, clock });
    const first = isRemote(entry.url) ? await kept() : undefined;
    if (first !== undefined) return { open: await open(first) };
    try {
      const fetched = await fetchPlugin(locate(entry.url, dir), { clock, signal });
      if (sha256 !== undefined && fetched.sha256 !== sha256) throw new HashFault(entry, fetched.sha256, dir);
      const opened = await open(fetched);
      if (sha256 !== undefined) await this.#keep(cache, opened);
      return { open: opened };
    } catch (error) {
      signal.throwIfAborted();
      // A file that has changed, or is gone: what was approved is still there.
      const last = isRemote(entry.url) ? undefined : await kept();
      if (last === undefined) throw error instanceof FetchFault ? withoutCopy(error, cache) : error;
      return {
        open: await open(last),
        finding: toFinding(entry, error, "the approved version stays active, from the cache"),
      };
    }
  }

  #noteOut(
    plugin: string,
    { sha256, how, cache }: { readonly sha256: string; readonly how: string; readonly cache: PluginCache },
  ): void {
    this.#hung.set(plugin, { plugin, sha256, reason: how, file: cache.hungFile(sha256) });
  }

  #noteHung(module: string, how: string): void {
    const known = this.#hashes.get(module);
    if (known === undefined) return;
    const { plugin, sha256, cache } = known;
    this.#noteOut(plugin, { sha256, how, cache });
    const at = { sha256, reason: how, file: cache.hungFile(sha256) };
    try {
      cache.noteHung(sha256, how);
      this.#options.log.error("Plugin hung; disabled until it changes or its record file is removed", {
        event: "plugin.hung",
        ...at,
      });
    } catch (error) {
      this.#options.log.error("Plugin hung; cannot keep it disabled after a restart", {
        event: "plugin.hung",
        ...at,
        error: String(error),
      });
    }
  }

  async #keep(cache: PluginCache, { sha256, graph }: OpenPlugin): Promise<void> {
    try {
      await cache.put(sha256, graph);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.warn("Cannot cache plugin on disk; next start fetches it again", {
        event: "plugin.uncached",
        dir: cache.dir,
        reason,
      });
    }
  }

  #answer(plugins: Desired["plugins"]): LoadedPlugins {
    const loaded = new Map<string, PluginSource>();
    const missing = new Map<string, string>();
    const findings: Finding[] = [];
    for (const [key, entry] of plugins) {
      const { open, finding } = this.#attempts.get(key) ?? {};
      if (open !== undefined) this.#good.set(key, { open, allow: entry.allow });
      const good = this.#good.get(key);
      if (good !== undefined) {
        loaded.set(key, { module: good.open.module, origin: "foreign", name: key, allow: good.allow });
      } else missing.set(key, finding === undefined ? "still loading" : "not loaded");
      if (finding !== undefined) {
        const goesOn = open === undefined && good !== undefined ? "; its last good version stays active" : "";
        findings.push({ ...finding, message: `${finding.message}${goesOn}` });
      } else if (open === undefined) {
        const message = `Plugin ${entry.name} is still loading`;
        findings.push({ severity: "warning", path: [entry.section, entry.name, "url"], at: "value", message });
      }
    }
    const state = JSON.stringify([[...loaded], [...missing]]);
    if (state !== this.#state) {
      this.#state = state;
      this.#catalog = this.#options.builtins.with({ loaded, missing });
    }
    return { catalog: this.#catalog, findings };
  }
}

/** A plugin whose modules are not those that were approved. */
class HashFault extends PluginFault {
  constructor({ name, sha256 }: PluginEntry, got: string, dir: string) {
    super(
      `Cannot use the plugin ${name}: the code does not match its approved hash; ` +
        `expected sha256 ${sha256}, received ${got}. ` +
        `Review the changes, then run: lighthouse plugin update ${name} --config ${dir}`,
    );
  }
}

function withoutCopy({ message }: FetchFault, { dir }: PluginCache): PluginFault {
  return new PluginFault(`${message}; no verified copy in ${dir}`);
}

function toFinding({ section, name }: PluginEntry, error: unknown, more?: string): Finding {
  const message = error instanceof Error ? error.message : String(error);
  return {
    severity: "error",
    path: [section, name, error instanceof HashFault ? "sha256" : "url"],
    at: "value",
    message: more === undefined ? message : `${message}; ${more}`,
  };
}

/** Whether the files of a plugin still say what they said. */
async function isUnchanged({ graph }: FetchedPlugin, url: URL): Promise<boolean> {
  const signal = new AbortController().signal;
  try {
    for (const [path, text] of graph.modules) {
      if ((await fetchModule(new URL(path, url), { signal, mayRedirect: false })).text !== text) return false;
    }
    return true;
  } catch {
    return false;
  }
}
