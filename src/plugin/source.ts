import type { Allowance } from "../model/allowance.ts";
import type { PluginKind } from "./instance.ts";

/** Where a plugin's code comes from. */
export interface PluginSource {
  /** What a worker is told to load: `builtin:kind/name`, or a `data:` URL. */
  readonly module: string;
  /** `builtin`: it ships with Lighthouse. `foreign`: somebody else wrote it. */
  readonly origin: "builtin" | "foreign";
  /** Of a foreign one, its `kind/name`: the same for all its versions, and short where `module` is long. */
  readonly name?: string | undefined;
  /** What the operator grants it beyond the defaults; for a foreign one alone. */
  readonly allow?: Allowance | undefined;
}

export type { PluginKind };

/** What a {@linkcode PluginCatalog} has besides what ships, all by `kind/name`. */
export interface ForeignPlugins {
  /** What was loaded. */
  readonly loaded: ReadonlyMap<string, PluginSource>;
  /** Why the others were not. */
  readonly missing: ReadonlyMap<string, string>;
}

/** The names of the plugins that can be had, by kind. */
export class PluginCatalog {
  readonly #builtins: ReadonlySet<string>;
  readonly #foreign: ForeignPlugins;

  /** `builtins`: `kind/name` of each plugin that ships. */
  constructor(builtins: Iterable<string>, foreign: ForeignPlugins = { loaded: new Map(), missing: new Map() }) {
    this.#builtins = new Set(builtins);
    this.#foreign = foreign;
  }

  /** The same plugins that ship, and these besides. */
  with(foreign: ForeignPlugins): PluginCatalog {
    return new PluginCatalog(this.#builtins, foreign);
  }

  /** Finds a plugin; `undefined` if there is none of that name. What ships is never replaced. */
  find(kind: PluginKind, name: string): PluginSource | undefined {
    const key = `${kind}/${name}`;
    return this.#builtins.has(key) ? { module: `builtin:${key}`, origin: "builtin" } : this.#foreign.loaded.get(key);
  }

  /** Why a plugin that the config names cannot be had; `undefined` if it can, or if it names none. */
  missing(kind: PluginKind, name: string): string | undefined {
    return this.#foreign.missing.get(`${kind}/${name}`);
  }

  /** The names of one kind, sorted. */
  names(kind: PluginKind): readonly string[] {
    const prefix = `${kind}/`;
    return [...new Set([...this.#builtins, ...this.#foreign.loaded.keys()])].filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length)).toSorted();
  }
}

/** A balancer of the config, and where its plugin is. */
export interface BalancerUse {
  /** What the config calls the balancer. */
  readonly name: string;
  /** What it calls the plugin. */
  readonly type: string;
  readonly source: PluginSource;
}
