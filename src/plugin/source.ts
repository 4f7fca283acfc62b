/** Where a plugin's code comes from. */
export interface PluginSource {
  /** What a worker is told to load: `builtin:kind/name`, or a `data:` URL. */
  readonly module: string;
  /** `builtin`: it ships with Lighthouse. `foreign`: somebody else wrote it. */
  readonly origin: "builtin" | "foreign";
}

/** A kind of plugin. */
export type PluginKind = "check" | "discovery" | "balancer";

/** The names of the plugins that can be had, by kind. */
export class PluginCatalog {
  readonly #builtins: ReadonlySet<string>;

  /** `builtins`: `kind/name` of each plugin that ships. */
  constructor(builtins: Iterable<string>) {
    this.#builtins = new Set(builtins);
  }

  /** Finds a plugin; `undefined` if there is none of that name. */
  find(kind: PluginKind, name: string): PluginSource | undefined {
    return this.#builtins.has(`${kind}/${name}`) ? { module: `builtin:${kind}/${name}`, origin: "builtin" } : undefined;
  }

  /** The names of one kind, sorted. */
  names(kind: PluginKind): readonly string[] {
    const prefix = `${kind}/`;
    return [...this.#builtins].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length))
      .toSorted();
  }
}
