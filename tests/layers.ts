/**
 * Who may import whom, and who must stay pure: the one table that the lint
 * plugin (`lint_plugin.ts`) enforces and that `tidy_test.ts` compares with the
 * tree. The first row that fits a file is its row; tests are free.
 *
 * @module
 */

/** What is allowed to the files of one layer. */
export interface Layer {
  /** The layer's name, unique. */
  readonly name: string;
  /** Which files it is made of, as paths from the project's root. */
  readonly files: RegExp;
  /** The other layers whose values it may import; a layer always may import itself. */
  readonly imports: readonly string[];
  /** The layers of which it may import types alone. */
  readonly types?: readonly string[];
  /** The npm packages it may import; `any` only where each plugin brings its own. */
  readonly npm?: readonly string[] | "any";
  /** The modules of Node that it may import although it is pure, as they only reckon. */
  readonly node?: readonly string[];
  /** Whether it decides only: no effect, no time, no chance. Defaults to false. */
  readonly pure?: boolean;
}

/** The layers, the specific before the general. A room is a folder; a part of it that must stay pure is a layer of its own. */
export const LAYERS: readonly Layer[] = [
  { name: "kernel/clock", files: /^src\/kernel\/clock\.ts$/, imports: [] },
  { name: "kernel/random", files: /^src\/kernel\/random\.ts$/, imports: [] },
  {
    name: "kernel/schema",
    files: /^src\/kernel\/(?:schema|known_keys)\.ts$/,
    imports: ["kernel"],
    npm: ["valibot"],
    pure: true,
  },
  {
    name: "kernel",
    files: /^src\/kernel\//,
    imports: [],
    types: ["kernel/clock", "kernel/random"],
    pure: true,
  },
  { name: "metrics", files: /^src\/metrics\//, imports: [], pure: true },
  { name: "model", files: /^src\/model\//, imports: ["kernel"], node: ["node:crypto"], pure: true },
  { name: "traffic", files: /^src\/traffic\//, imports: ["model"], pure: true },
  { name: "system", files: /^src\/system\//, imports: ["kernel"] },
  {
    name: "dns/decide",
    files: /^src\/dns\/(?:hosts_file|message|resolv_conf)\.ts$/,
    imports: ["model"],
    pure: true,
  },
  {
    name: "dns",
    files: /^src\/dns\//,
    imports: ["kernel", "kernel/clock", "model", "system", "dns/decide"],
  },
  {
    name: "http",
    files: /^src\/http\//,
    imports: ["kernel", "kernel/clock", "kernel/schema", "model", "system"],
    npm: ["yaml"],
  },
  {
    name: "logging/decide",
    files: /^src\/logging\/(?:events|handler_classes|plan|record|rotation|route|schema|wall_time)\.ts$/,
    imports: ["kernel", "kernel/schema", "model"],
  },
  {
    name: "logging",
    files: /^src\/logging\//,
    imports: ["kernel", "kernel/clock", "logging/decide", "model", "system"],
    npm: ["@logtape/logtape"],
  },
  {
    name: "history",
    files: /^src\/history\//,
    imports: ["kernel", "kernel/clock", "model", "logging", "system"],
  },
  {
    name: "notify/decide",
    files: /^src\/notify\/(?:batching|grouping|rules)\.ts$/,
    imports: ["kernel", "kernel/schema", "model"],
    pure: true,
  },
  {
    name: "notify",
    files: /^src\/notify\//,
    imports: ["kernel", "kernel/clock", "kernel/random", "metrics", "model", "notify/decide"],
  },
  {
    name: "publish/decide",
    files: /^src\/publish\/(?:lines|target)\.ts$/,
    imports: ["kernel", "kernel/schema", "model"],
    types: ["metrics"],
    pure: true,
  },
  {
    name: "publish",
    files: /^src\/publish\//,
    imports: ["kernel", "kernel/clock", "kernel/random", "metrics", "model", "system", "publish/decide"],
  },
  { name: "contract", files: /^src\/plugin\/contract\.ts$/, imports: [], types: ["model"], pure: true },
  {
    name: "plugin/decider",
    files: /^src\/plugin\/(?:decider|instance)\.ts$/,
    imports: [],
    types: ["contract", "model"],
    pure: true,
  },
  {
    name: "plugin/policy",
    files: /^src\/plugin\/(?:balancer_)?policy\.ts$/,
    imports: ["kernel", "model", "contract"],
    types: ["plugin"],
    pure: true,
  },
  {
    name: "plugin/graph",
    files: /^src\/plugin\/(?:graph|flatten)\.ts$/,
    imports: ["kernel", "model"],
    pure: true,
  },
  {
    name: "plugin",
    files: /^src\/plugin\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/schema",
      "model",
      "contract",
      "plugin/graph",
      "plugin/policy",
      "system",
    ],
    types: ["plugin/decider"],
  },
  {
    name: "protocol",
    files: /^src\/protocol\//,
    imports: ["kernel", "model", "contract"],
    types: ["plugin/decider", "plugin/graph"],
    pure: true,
  },
  {
    name: "config/desired",
    files:
      /^src\/config\/(?:accepted|desired|diagnostics|[a-z_]+_schema|place|plugins_file|redact|same_value|schema_words|secret_keys|source|yaml_faults|yaml_scalars|yaml_tree)\.ts$/,
    imports: ["kernel", "kernel/schema", "model", "publish/decide"],
    types: ["contract", "logging/decide", "notify/decide", "plugin/decider"],
    npm: ["yaml"],
    pure: true,
  },
  {
    name: "config",
    files: /^src\/config\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "kernel/schema",
      "model",
      "system",
      "contract",
      "config/desired",
      "logging/decide",
      "notify/decide",
      "plugin/decider",
      "plugin/policy",
    ],
    types: ["plugin"],
  },
  {
    name: "reporter/decide",
    files: /^src\/reporter\/(?:monitor|registrations|schedule|status|verdict)\.ts$/,
    imports: ["kernel", "metrics", "model"],
    types: ["kernel/clock", "kernel/random", "contract", "config/desired", "reporter"],
    pure: true,
  },
  {
    name: "reporter",
    files: /^src\/reporter\//,
    imports: ["kernel", "kernel/clock", "kernel/random", "metrics", "model", "reporter/decide"],
    types: ["contract"],
  },
  {
    name: "supervisor/decide",
    files: /^src\/supervisor\/reconcile\.ts$/,
    imports: ["kernel", "model"],
    types: ["kernel/clock", "kernel/random", "contract", "plugin/decider"],
    pure: true,
  },
  {
    name: "supervisor",
    files: /^src\/supervisor\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "metrics",
      "model",
      "contract",
      "protocol",
      "plugin",
      "plugin/decider",
      "plugin/graph",
      "plugin/policy",
      "supervisor/decide",
      "system",
    ],
  },
  {
    name: "balance/decide",
    files:
      /^src\/balance\/(?:acceptance|command_memory|decide|difference|known_version|outputs|pace|processes|standing|waiting_file)\.ts$/,
    imports: ["kernel", "model"],
    types: ["kernel/random", "contract", "balance"],
    node: ["node:assert/strict", "node:util"],
    pure: true,
  },
  {
    name: "balance",
    files: /^src\/balance\//,
    imports: [
      "balance/decide",
      "kernel",
      "kernel/clock",
      "kernel/random",
      "kernel/schema",
      "metrics",
      "model",
      "plugin/decider",
      "system",
    ],
    types: ["contract"],
  },
  {
    name: "membership/decide",
    files: /^src\/membership\/(?:guard|live_topology|wanted)\.ts$/,
    imports: ["kernel", "model", "traffic"],
    types: ["kernel/clock", "contract", "config/desired"],
    pure: true,
  },
  {
    name: "membership",
    files: /^src\/membership\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "metrics",
      "model",
      "traffic",
      "system",
      "plugin/decider",
      "config/desired",
      "config",
      "membership/decide",
      "traffic",
    ],
    types: ["contract", "balance", "supervisor"],
  },
  {
    name: "status",
    files: /^src\/status\//,
    imports: [
      "kernel",
      "kernel/clock",
      "metrics",
      "model",
      "system",
      "http",
      "config/desired",
      "config",
      "publish",
      "publish/decide",
    ],
    types: [
      "kernel/random",
      "contract",
      "balance",
      "balance/decide",
      "membership",
      "membership/decide",
      "reporter",
      "reporter/decide",
      "supervisor",
    ],
  },
  {
    name: "admin",
    files: /^src\/admin\//,
    imports: ["kernel", "kernel/clock", "kernel/schema", "model", "system", "http"],
  },
  {
    name: "app",
    files: /^src\/app\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "kernel/schema",
      "metrics",
      "model",
      "system",
      "contract",
      "protocol",
      "plugin/decider",
      "plugin/graph",
      "plugin/policy",
      "plugin",
      "config/desired",
      "config",
      "supervisor/decide",
      "supervisor",
      "balance",
      "reporter/decide",
      "reporter",
      "membership/decide",
      "membership",
      "status",
      "logging/decide",
      "notify",
      "notify/decide",
      "dns/decide",
      "workers/builtins",
    ],
    types: ["admin"],
  },
  {
    name: "conformance",
    files: /^src\/conformance\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "model",
      "contract",
      "protocol",
      "plugin/policy",
      "supervisor",
    ],
    types: ["plugin", "plugin/decider"],
  },
  { name: "store/time", files: /^src\/store\/(?:snapshot_name|time_limit)\.ts$/, imports: ["kernel"] },
  {
    name: "store/decide",
    files:
      /^src\/store\/(?:copy_text|history|json_text|leases|limits|lineage|lock|metrics|page|path|refusal|retention|rights|snapshot|transaction|tree|tree_changes|version)\.ts$/,
    imports: ["kernel", "metrics", "store/time"],
    pure: true,
  },
  {
    name: "store",
    files: /^src\/store\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "kernel/schema",
      "metrics",
      "model",
      "http",
      "store/time",
      "store/decide",
      "system",
    ],
  },
  {
    name: "skeleton/files",
    files: /^src\/skeleton\/(?:balancer|check|discovery|notifier)\//,
    imports: [],
    types: ["mod"],
  },
  { name: "skeleton", files: /^src\/skeleton\//, imports: [], types: ["plugin"] },
  {
    name: "import/convert",
    files: /^src\/import\/(?!(?:read_\w+|write_directory)\.ts)/,
    imports: ["kernel", "model", "config/desired"],
    npm: ["yaml", "smol-toml"],
    pure: true,
  },
  {
    name: "import",
    files: /^src\/import\//,
    imports: ["kernel", "model", "system", "config/desired", "import/convert"],
  },
  {
    name: "cli",
    files: /^src\/cli\//,
    imports: [
      "kernel",
      "kernel/schema",
      "model",
      "contract",
      "config/desired",
      "config",
      "plugin/graph",
      "plugin",
      "http",
      "admin",
      "app",
      "conformance",
      "import",
      "import/convert",
      "history",
      "skeleton",
      "store",
      "store/decide",
      "store/time",
      "system",
    ],
    types: ["kernel/clock", "kernel/random", "status"],
    npm: ["@optique/core", "@optique/run"],
  },
  {
    name: "main",
    files: /^src\/main\.ts$/,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "metrics",
      "model",
      "config/desired",
      "config",
      "logging",
      "history",
      "publish",
      "publish/decide",
      "status",
      "admin",
      "app",
      "cli",
      "manifest",
      "system",
    ],
    npm: ["@optique/core", "@optique/run"],
  },
  {
    name: "workers/builtins",
    files: /^workers\/builtins\.ts$/,
    imports: ["plugins/checks", "plugins/discovery", "plugins/balancers", "plugins/notifiers"],
    types: ["contract"],
  },
  {
    name: "workers/parse",
    files: /^workers\/parse(?:_worker)?\.ts$/,
    imports: ["kernel", "model", "contract", "protocol", "plugin/graph"],
    npm: ["acorn", "amaro"],
  },
  {
    name: "workers",
    files: /^workers\//,
    imports: ["kernel", "model", "contract", "protocol", "workers/builtins"],
  },
  {
    name: "plugins/checks",
    files: /^plugins\/checks\//,
    imports: ["kernel", "kernel/schema", "model", "system"],
    types: ["mod"],
  },
  {
    name: "plugins/discovery",
    files: /^plugins\/discovery\//,
    imports: [
      "kernel",
      "kernel/clock",
      "kernel/random",
      "kernel/schema",
      "model",
      "system",
      "http",
      "dns",
      "dns/decide",
    ],
    types: ["mod"],
    npm: "any",
  },
  {
    name: "plugins/notifiers",
    files: /^plugins\/notifiers\//,
    imports: ["kernel", "kernel/schema", "model", "http"],
    types: ["mod"],
  },
  {
    name: "plugins/balancers",
    files: /^plugins\/balancers\//,
    imports: ["kernel", "kernel/schema", "model"],
    types: ["mod"],
    npm: ["valibot", "liquidjs"],
    // A hash, told at once; `crypto.subtle` answers later.
    node: ["node:crypto"],
    pure: true,
  },
  {
    name: "packaging",
    files: /^src\/packaging\//,
    imports: ["manifest"],
    npm: ["@optique/core", "@optique/run"],
  },
  { name: "manifest", files: /^deno\.json$/, imports: [] },
  { name: "mod", files: /^mod\.ts$/, imports: [], types: ["contract", "model"], pure: true },
  { name: "examples/plugins", files: /^examples\/plugins\//, imports: [], types: ["mod"] },
];

/** The names that a pure layer must not reach for: effects, time and chance come in as parameters. */
export const IMPURE_GLOBALS: ReadonlySet<string> = new Set([
  "Deno",
  "Date",
  "Temporal",
  "Worker",
  "WebSocket",
  "console",
  "crypto",
  "fetch",
  "performance",
  "setInterval",
  "setTimeout",
]);

/** Whether a file is a test or serves tests alone: those may import what they need. */
export function isTest(path: string): boolean {
  return path.startsWith("tests/") || path.endsWith("_test.ts");
}

/** Answers the layer of a file, by its path from the project's root. */
export function layerOf(path: string): Layer | undefined {
  return LAYERS.find((layer) => layer.files.test(path));
}

/**
 * Says what is wrong with an import, or `undefined` if nothing is.
 *
 * @param from the importing file, as a path from the project's root
 * @param specifier the import as it is written
 * @param typesOnly whether nothing of it is left at run time
 */
export function importFault(from: string, specifier: string, typesOnly: boolean): string | undefined {
  const layer = layerOf(from);
  if (layer === undefined || isTest(from)) return undefined;
  if (/^\.\.?\//.test(specifier)) {
    const path = resolvePath(from, specifier);
    if (isTest(path)) return `${from} must not import ${path}: only tests import tests`;
    const to = layerOf(path);
    if (to === undefined) return `${from} must not import ${path}: no layer of tests/layers.ts holds it`;
    if (to === layer || layer.imports.includes(to.name)) return undefined;
    const types = layer.types?.includes(to.name) ?? false;
    if (types && typesOnly) return undefined;
    return types
      ? `${layer.name} may import types alone from ${to.name}`
      : `${layer.name} may not import ${to.name}: allowed are ${
        [...layer.imports, ...layer.types ?? []].join(", ") || "none"
      }`;
  }
  if (specifier.startsWith("node:")) {
    return layer.pure && !layer.node?.includes(specifier)
      ? `${layer.name} is pure: it may not import ${specifier}`
      : undefined;
  }
  const name = packageName(specifier);
  if (layer.npm === "any" || layer.npm?.includes(name)) return undefined;
  return `${layer.name} may not import the package ${name}: allowed are ${layer.npm?.join(", ") ?? "none"}`;
}

/** Resolves a relative specifier to a path from the project's root. */
export function resolvePath(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** `npm:@a/b@1/c` and `@a/b/c` are both of the package `@a/b`. */
function packageName(specifier: string): string {
  const bare = specifier.replace(/^npm:\/?/, "");
  return /^(?:@[^/]+\/)?[^/@]+/.exec(bare)?.[0] ?? bare;
}
