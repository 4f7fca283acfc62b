import { openPlugin } from "../app/open_plugin.ts";
import { findOffline, type PluginConfig } from "../app/plugin_config.ts";
import { CATALOG } from "../app/plugins.ts";
import { introduceAll, requestedPermissionsOf } from "../app/requested_permissions.ts";
import type { PluginEntry } from "../config/desired.ts";
import type { Clock } from "../kernel/clock.ts";
import { PluginFault } from "../plugin/graph.ts";
import { EXIT } from "./exit_codes.ts";
import type { PluginCommandOptions } from "./plugin_options.ts";
import { describePlugin, describeRequested, table } from "./plugin_text.ts";

const KINDS = ["check", "discovery", "balancer"] as const;
/** The deadline of a plugin's introduction. */
const OPEN_DEADLINE_MS = 30_000;

/** Lists the built-in plugins and those of `plugins.yaml`, each with its summary. */
export async function list(config: PluginConfig, { clock, print }: PluginCommandOptions): Promise<number> {
  const shipped = KINDS.flatMap((kind) => CATALOG.names(kind).map((name) => ({ kind, name })));
  const introductions = await introduceAll(shipped.map(({ kind, name }) => `builtin:${kind}/${name}`));
  const rows = shipped.map(({ kind, name }, i) => [kind, name, "built-in", introductions[i]?.summary ?? ""]);
  let failures = 0;
  for (const entry of config.entries?.values() ?? []) {
    const { kind, name, url } = entry;
    try {
      const { introduction } = await openOffline(entry, config, clock);
      rows.push([kind, name, url, introduction.summary]);
    } catch (error) {
      if (!(error instanceof PluginFault)) throw error;
      rows.push([kind, name, url, `unavailable: ${error.message}`]);
      failures++;
    }
  }
  for (const line of table(rows)) print(line);
  return failures === 0 ? EXIT.ok : EXIT.failed;
}

/** Prints the description of each plugin of a name. */
export async function show(
  wanted: string,
  config: PluginConfig,
  { clock, print, complain }: PluginCommandOptions,
): Promise<number> {
  const isWanted = (kind: string, name: string) => wanted === name || wanted === `${kind}/${name}`;
  const shipped = KINDS.flatMap((kind) =>
    CATALOG.names(kind).filter((name) => isWanted(kind, name)).map((name) => ({ kind, name }))
  );
  const entries = [...config.entries?.values() ?? []].filter(({ kind, name }) => isWanted(kind, name));
  if (shipped.length + entries.length === 0) {
    complain(`Unknown plugin ${wanted}: neither built-in nor in ${config.file}; see lighthouse plugin list`);
    return EXIT.failed;
  }
  for (const { kind, name } of shipped) {
    const source = { module: `builtin:${kind}/${name}`, origin: "builtin" } as const;
    const [introduction] = await introduceAll([source.module]);
    if (introduction === undefined) continue;
    for (const line of describePlugin(name, { introduction }, { from: "built-in" })) print(line);
    if (introduction.example === undefined) continue;
    const { example } = introduction;
    print("");
    for (
      const line of describeRequested(await requestedPermissionsOf({ kind, source, example }), {
        example,
        allow: undefined,
      })
    ) {
      print(line);
    }
  }
  for (const entry of entries) {
    const open = await openOffline(entry, config, clock);
    const { kind, name, url, allow } = entry;
    const { example } = open.introduction;
    for (const line of describePlugin(name, open, { from: url })) print(line);
    print("");
    const source = { module: open.module, origin: "foreign", name: `${kind}/${name}`, allow } as const;
    for (const line of describeRequested(await requestedPermissionsOf({ kind, source, example }), { example, allow })) {
      print(line);
    }
  }
  return EXIT.ok;
}

/** Verifies each entry against its approved hash. */
export async function verify(config: PluginConfig, { clock, print }: PluginCommandOptions): Promise<number> {
  let failures = 0;
  for (const [key, entry] of config.entries ?? []) {
    try {
      const { sha256 } = await openOffline(entry, config, clock);
      print(`${key}: ok, sha256 ${sha256}${entry.sha256 === undefined ? ", local file, not pinned" : ""}`);
    } catch (error) {
      if (!(error instanceof PluginFault)) throw error;
      print(`${key}: FAILED: ${error.message}`);
      failures++;
    }
  }
  const count = config.entries?.size ?? 0;
  print(`${config.file}: ${count - failures} of ${count} plugins match their approved hash`);
  return failures === 0 ? EXIT.ok : EXIT.failed;
}

async function openOffline(entry: PluginEntry, config: PluginConfig, clock: Clock) {
  const { kind, name } = entry;
  const signal = AbortSignal.timeout(OPEN_DEADLINE_MS);
  return await openPlugin(await findOffline(entry, config), {
    clock,
    kind,
    label: `${kind}/${name}`,
    signal,
  });
}
