import type { Allowance } from "../model/allowance.ts";
import type { PluginKind } from "./instance.ts";

/** Origin of a plugin's code. */
export interface PluginSource {
  /** The module that a worker loads: `builtin:kind/name`, or a `data:` URL. */
  readonly module: string;
  /** `builtin`: part of Lighthouse. `foreign`: a third-party plugin. */
  readonly origin: "builtin" | "foreign";
  /** For a third-party plugin its `kind/name`: the same for all its versions, and short where `module` is long. */
  readonly name?: string | undefined;
  /** What the operator grants beyond the defaults; only for a third-party plugin. */
  readonly allow?: Allowance | undefined;
}

export type { PluginKind };

/** The third-party plugins of a {@linkcode PluginCatalog}, by `kind/name`. */
export interface ForeignPlugins {
  /** The loaded ones. */
  readonly loaded: ReadonlyMap<string, PluginSource>;
  /** Why the others were not loaded. */
  readonly missing: ReadonlyMap<string, string>;
}

/** The available plugins, by kind. */
export class PluginCatalog {
  readonly #builtins: ReadonlySet<string>;
  readonly #foreign: ForeignPlugins;

  /** `builtins`: `kind/name` of each built-in plugin. */
  constructor(builtins: Iterable<string>, foreign: ForeignPlugins = { loaded: new Map(), missing: new Map() }) {
    this.#builtins = new Set(builtins);
    this.#foreign = foreign;
  }

  /** The same built-in plugins, and these besides. */
  with(foreign: ForeignPlugins): PluginCatalog {
    return new PluginCatalog(this.#builtins, foreign);
  }

  /** Finds a plugin; `undefined` if there is none of that name. Built-in plugins are never replaced. */
  find(kind: PluginKind, name: string): PluginSource | undefined {
    const key = `${kind}/${name}`;
    return this.#builtins.has(key) ? { module: `builtin:${key}`, origin: "builtin" } : this.#foreign.loaded.get(key);
  }

  /** Why a plugin of the config is not available; `undefined` if it is, or if the config does not name it. */
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

/** A balancer of the config, and its plugin. */
export interface BalancerUse {
  /** The balancer's name in the config. */
  readonly name: string;
  /** The plugin's name. */
  readonly type: string;
  readonly source: PluginSource;
}
