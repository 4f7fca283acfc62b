import { fetchPlugin, locate, openPlugin, recallPlugin } from "../app/open_plugin.ts";
import { type PluginConfig, readPluginConfig, writePluginConfig } from "../app/plugin_config.ts";
import { CATALOG } from "../app/plugins.ts";
import { allowanceFor, requestedPermissionsOf } from "../app/requested_permissions.ts";
import type { PluginEntry } from "../config/desired.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { addEntry, changeEntry } from "../config/plugins_file.ts";
import { isRemote, PLUGIN_NAME, PLUGIN_SECTIONS, type PluginSection, urlFault } from "../config/plugins_schema.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Allowance } from "../model/allowance.ts";
import { OWN_TARGET } from "../model/allowance.ts";
import { PluginFault } from "../plugin/graph.ts";
import { EXIT } from "./exit_codes.ts";
import type { PluginArguments } from "./plugin_arguments.ts";
import { list, show, verify } from "./plugin_listing.ts";
import { testPlugin } from "./plugin_conformance.ts";
import { newPlugin } from "./plugin_new.ts";
import type { PluginCommandOptions } from "./plugin_options.ts";
import { describeChanges, describePlugin, describeRequested } from "./plugin_text.ts";

/** How long the fetching of one plugin may take. */
const FETCH_DEADLINE_MS = 60_000;

/** Runs one of the `plugin` commands; answers the exit code. */
export async function plugin(given: PluginArguments, options: PluginCommandOptions): Promise<number> {
  // Authors have no config directory.
  if (given.action === "new") return await newPlugin(given, options);
  if (given.action === "test") return await testPlugin(given, options);
  const dir = options.fromHere(given.config);
  const config = await readPluginConfig(dir);
  if (config === undefined) {
    options.complain(`Cannot read the config directory ${dir}; set another directory with --config`);
    return EXIT.failed;
  }
  for (const diagnostic of config.diagnostics) options.complain(formatDiagnostic(diagnostic));
  if (config.entries === undefined) return EXIT.failed;
  try {
    switch (given.action) {
      case "add":
        return await add(given, config, options);
      case "update":
        return await update(given, config, options);
      case "list":
        return await list(config, options);
      case "show":
        return await show(given.name, config, options);
      case "verify":
        return await verify(config, options);
    }
  } catch (error) {
    if (!(error instanceof PluginFault)) throw error;
    options.complain(error.message);
    return EXIT.failed;
  }
}

async function add(
  { source, name: wantedName, allow: grantsAll, pin, insecure }: Extract<PluginArguments, { readonly action: "add" }>,
  config: PluginConfig,
  { fromHere, clock, print }: PluginCommandOptions,
): Promise<number> {
  const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(source);
  const url = isPath ? await pathFromConfig(fromHere(source), config.dir) : source;
  const fault = urlFault({ url, insecure });
  if (fault !== undefined) {
    throw new PluginFault(`Cannot add ${source}: ${fault.replace("insecure: true", "--insecure")}`);
  }
  const signal = AbortSignal.timeout(FETCH_DEADLINE_MS);
  const fetched = await fetchPlugin(locate(url, config.dir), { clock, signal });
  const open = await openPlugin(fetched, { clock, label: wantedName ?? "new", signal });
  const { kind, name: ownName, example } = open.introduction;
  const section = (Object.keys(PLUGIN_SECTIONS) as PluginSection[]).find((each) => PLUGIN_SECTIONS[each] === kind);
  const name = wantedName ?? ownName;
  if (section === undefined || !PLUGIN_NAME.test(name)) {
    throw new PluginFault(`Invalid plugin name ${JSON.stringify(name)}; set another name with --name`);
  }
  const named = PLUGIN_SECTIONS[section];
  if (CATALOG.find(named, name) !== undefined) {
    throw new PluginFault(`Plugin name ${name} is taken by a built-in ${kind}; set another name with --name`);
  }
  if (config.entries?.has(`${kind}/${name}`)) {
    throw new PluginFault(
      `Cannot add ${name}: already in ${config.file}; update it with lighthouse plugin update ${name}, ` +
        "or set another name with --name",
    );
  }
  // What a check gets when nothing is said stands there to be seen, and to be changed.
  const own: Allowance | undefined = named === "check" ? { net: [OWN_TARGET] } : undefined;
  for (const line of describePlugin(name, open, { from: url })) print(line);
  print("");
  const requestedWith = (allow: Allowance | undefined) =>
    requestedPermissionsOf({
      kind: named,
      source: { module: open.module, origin: "foreign", name: `${kind}/${name}`, allow },
      example,
    });
  let [allow, requested] = [own, await requestedWith(own)];
  if (grantsAll && requested.refusal === undefined) {
    requested = await requestedWith(allowanceFor(requested.permissions, own));
    // What no grant covers, as a relative path, would be an error in the file.
    const granted = allowanceFor(requested.permissions.filter(({ isGranted }) => isGranted), own);
    allow = Object.keys(granted).length === 0 ? own : granted;
  }
  for (const line of describeRequested(requested, { example, allow })) print(line);
  const isPinned = isRemote(url) || pin;
  const sha256 = isPinned ? open.sha256 : undefined;
  await writePluginConfig(config, addEntry(config.text, { section, name, url, sha256, insecure, allow }));
  if (isPinned) await keep(open, config, print);
  print("");
  print(`Added to ${config.file} as ${section}.${name}.`);
  return EXIT.ok;
}

async function update(
  { name, url }: Extract<PluginArguments, { readonly action: "update" }>,
  config: PluginConfig,
  { clock, print, complain }: PluginCommandOptions,
): Promise<number> {
  if (url !== undefined && name === undefined) {
    complain("--url requires the NAME of a plugin");
    return EXIT.usage;
  }
  const chosen = [...config.entries ?? []].filter(([key, entry]) => [undefined, key, entry.name].includes(name));
  if (chosen.length === 0 && name !== undefined) {
    complain(`Cannot update ${name}: no such entry in ${config.file}`);
    return EXIT.failed;
  }
  if (url !== undefined && chosen.length > 1) {
    complain(`Ambiguous name ${name}: write ${chosen.map(([key]) => key).join(" or ")}`);
    return EXIT.usage;
  }
  let [text, failures] = [config.text, 0];
  for (const [key, entry] of chosen) {
    try {
      text = await updateEntry(key, { ...entry, url: url ?? entry.url }, text, {
        config,
        clock,
        print,
        isMoved: url !== undefined,
      });
    } catch (error) {
      if (!(error instanceof PluginFault)) throw error;
      complain(`${key}: ${error.message}`);
      failures++;
    }
  }
  if (text !== config.text) await writePluginConfig(config, text);
  return failures === 0 ? EXIT.ok : EXIT.failed;
}

/** Fetches the plugin of an entry again and prints what changed; returns the new entry. */
async function updateEntry(
  key: string,
  entry: PluginEntry,
  text: string,
  { config, clock, print, isMoved }: {
    readonly config: PluginConfig;
    readonly clock: Clock;
    readonly print: (line: string) => void;
    readonly isMoved: boolean;
  },
): Promise<string> {
  const { kind, section, name, url, sha256, allow } = entry;
  if (sha256 === undefined && !isRemote(url)) {
    print(`${key}: local file without a hash, not verified`);
    return text;
  }
  const fault = urlFault(entry);
  if (fault !== undefined) throw new PluginFault(`Cannot fetch from ${url}: ${fault}`);
  const signal = AbortSignal.timeout(FETCH_DEADLINE_MS);
  const open = await openPlugin(await fetchPlugin(locate(url, config.dir), { clock, signal }), {
    clock,
    kind,
    label: key,
    signal,
  });
  if (open.sha256 === sha256 && !isMoved) {
    await keep(open, config, print);
    print(`${key}: unchanged, sha256 ${sha256}`);
    return text;
  }
  print(`${key}: sha256 was ${sha256 ?? "not set"}`);
  print(`${" ".repeat(key.length)}         is ${open.sha256}`);
  const requestedNow = async (module: string, example: unknown) =>
    await requestedPermissionsOf({ kind, source: { module, origin: "foreign", name: key, allow }, example });
  const before = sha256 === undefined ? undefined : await recallPlugin(sha256, { cache: config.cache, clock });
  if (before !== undefined) {
    for (const line of describeChanges(before.graph.modules, open.graph.modules)) print(`  ${line}`);
  } else if (sha256 !== undefined) {
    print(`  changed modules unknown: the previous version is missing from ${config.cache.dir}`);
  }
  const requested = await requestedNow(open.module, open.introduction.example);
  const old = before === undefined ? undefined : await openPlugin(before, { clock, label: key, signal });
  const asked = old === undefined ? [] : (await requestedNow(old.module, old.introduction.example)).permissions;
  const isNew = requested.permissions.filter((each) =>
    !asked.some(({ access, entry }) => access === each.access && entry === each.entry)
  );
  if (old !== undefined) {
    for (const { access, entry } of isNew) print(`  newly requested permission: ${access} ${entry}`);
  }
  if (requested.permissions.some(({ isGranted }) => !isGranted)) {
    for (const line of describeRequested(requested, { example: open.introduction.example, allow })) print(`  ${line}`);
  }
  await keep(open, config, print);
  return changeEntry(text, { section, name, sha256: open.sha256, ...isMoved && { url } });
}

async function keep(
  open: Awaited<ReturnType<typeof openPlugin>>,
  { cache }: PluginConfig,
  print: (line: string) => void,
): Promise<void> {
  try {
    await cache.put(open.sha256, open.graph);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    print(`Cannot cache the plugin in ${cache.dir} (${reason}); each start fetches the plugin again`);
  }
}

/** Writes the path of a plugin as `plugins.yaml` has it: relative if it is inside of the config directory. */
async function pathFromConfig(path: string, dir: string): Promise<string> {
  const real = async (each: string) => await Deno.realPath(each).catch(() => undefined);
  const [file, base] = [await real(path), await real(dir)];
  if (file === undefined) throw new PluginFault(`Cannot add ${path}: no such file`);
  return base !== undefined && file.startsWith(`${base}/`) ? `./${file.slice(base.length + 1)}` : file;
}
