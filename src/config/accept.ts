import type { Desired, Draft, PluginFile } from "./desired.ts";
import type { Clock } from "../kernel/clock.ts";
import { Slices } from "../kernel/slices.ts";
import { suggest } from "../kernel/suggest.ts";
import { compareDiagnostics, type Diagnostic } from "./diagnostics.ts";
import type { Finding, Path } from "../kernel/findings.ts";
import { under, validateKnown, validateKnownAsync } from "../kernel/known_keys.ts";
import { settleClashes, type SettleOptions } from "./relations.ts";
import { fileKeysOf, type FileTexts, type SecretTexts, withSecrets } from "./secret_keys.ts";
import { withTemplates } from "./template_keys.ts";
import { balancersWithSection, CLUSTER_KEYS, clusterSectionOwner } from "./cluster_schema.ts";
import { HOST_KEYS, NODE_CHECK_KEYS } from "./check_schema.ts";
import { serviceSectionOwner } from "./service_schema.ts";
import type { Source } from "./source.ts";
import type { Cluster } from "../model/cluster.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import { isRecord } from "../model/node.ts";
import type { RegistrySource } from "../model/registry_source.ts";
import type { Service } from "../model/service.ts";
import type { BalancerInputs, HostFacts, PermissionRequest, Scope, Weighing } from "../plugin/contract.ts";
import { BeyondGrantError, type Decider, UndecidedError } from "../plugin/decider.ts";
import { RULE_KEYS, rulesOf, rulesSchema } from "../notify/rules.ts";
import { decide } from "../plugin/policy.ts";
import type { BalancerUse, PluginCatalog, PluginKind, PluginSource } from "../plugin/source.ts";
import type { Describe, DescribeSection, PluginInstance } from "../plugin/instance.ts";
import {
  type Accepted,
  type AcceptedBalancer,
  type AcceptedCluster,
  type AcceptedDiscovery,
  type AcceptedNodeCheck,
  type AcceptedNotifier,
  type AcceptedProbe,
  type AcceptedService,
  ANY_NODE,
} from "./accepted.ts";
import { findBalancerClashes, findClusterClashes, findServiceClashes, findServicePortClashes } from "./clashes.ts";

export interface AcceptOptions {
  /** The plugins that can be had. */
  readonly catalog: Pick<PluginCatalog, "find" | "names"> & Partial<Pick<PluginCatalog, "missing">>;
  /** Asks a plugin. */
  readonly describe: Describe;
  /** Asks a discovery's plugin about its section of a cluster's or a service's file. */
  readonly describeSection: DescribeSection;
  /** Opens the plugin of a balancer, which is distinguished from others by identity. */
  readonly openBalancer: (use: BalancerUse) => Promise<Decider>;
  /** What the files with secrets say that the config names. */
  readonly secrets?: SecretTexts;
  /** The templates that the config names. */
  readonly templates?: FileTexts | undefined;
  /** Whose time says when others get their turn while thousands of files are judged; all are judged at once without. */
  readonly clock?: Clock;
  /** How this host resolves names; a discovery that asks for a name server gets it in its scope. */
  readonly nameService?: Omit<Scope, "instance" | "target"> | undefined;
  /** What was accepted before: an object that is rejected now keeps its last good value. */
  readonly lastGood?: { readonly accepted: Accepted; readonly sources: Desired["sources"] } | undefined;
}

/** A host to render for. */
const SAMPLE_HOST: HostFacts = { fqdn: "sample.invalid", ip: "192.0.2.1" };

/** The id of a discovery's instance. */
export function discoveryId(name: string): string {
  return `discovery ${name}`;
}

/** The name of the discovery whose instance has an id; `undefined` if it is none of a discovery. */
export function discoveryOf(id: string): string | undefined {
  const prefix = discoveryId("");
  return id.startsWith(prefix) ? id.slice(prefix.length) : undefined;
}

/** The id of a notifier's instance. */
export function notifierId(name: string): string {
  return `notifier ${name}`;
}

/** What {@linkcode accept} answers. */
export interface Verdict {
  readonly accepted: Accepted;
  /** Where each accepted object was read, by `folder/name`; and each file of the directory itself, by name. */
  readonly sources: Desired["sources"];
  readonly diagnostics: readonly Diagnostic[];
  /** Whether a balancer's plugin could not say: the same config is worth another try. */
  readonly isUndecided: boolean;
}

/** Has the plugins validate their parts of the config, and the policy decide on what they ask for. Never throws. */
export async function accept(desired: Desired, options: AcceptOptions): Promise<Verdict> {
  const diagnostics: Diagnostic[] = [];
  let isUndecided = false;
  const slices = options.clock && new Slices(options.clock);
  const lastGood = options.lastGood?.accepted;
  const sources = new Map(desired.sources);
  const keepSource = (key: string) => {
    const last = options.lastGood?.sources.get(key);
    if (last === undefined) sources.delete(key);
    else sources.set(key, last.kept);
  };

  async function each<In, Out>(
    folder: "discovery" | "balancers" | "notifiers" | "clusters" | "services",
    wanted: ReadonlyMap<string, In>,
    last: ReadonlyMap<string, Out> | undefined,
    judge: (value: In, last: Out | undefined) => Promise<Judged<Out>>,
    drafts: ReadonlyMap<string, Draft<In>> = new Map(),
  ): Promise<ReadonlyMap<string, Out>> {
    for (const { source, value } of drafts.values()) {
      diagnostics.push(...diagnose(source, (await judge(value, undefined)).findings));
    }
    const asked: Promise<Judged<Out> & { readonly name: string }>[] = [];
    for (const [name, value] of wanted) {
      // Thousands are judged while probes and members go on.
      if (slices?.isOver) await slices.next();
      const answer = judge(value, last?.get(name)).then((judged) => ({ name, ...judged }));
      // Whatever is thrown is thrown below.
      answer.catch(() => {});
      asked.push(answer);
    }
    const judged = await Promise.all(asked);
    const good = new Map<string, Out>();
    for (const { name, value, findings, isDoubtful = false } of judged) {
      isUndecided ||= isDoubtful;
      const source = desired.sources.get(`${folder}/${name}`);
      // The findings of a file before it was spoilt have been reported.
      if (!drafts.has(name)) diagnostics.push(...diagnose(source, findings));
      const kept = value ?? last?.get(name);
      if (kept !== undefined) good.set(name, kept);
      if (value === undefined) keepSource(`${folder}/${name}`);
    }
    return good;
  }

  /** Leaves the objects that get along with one another: an edit, or a last good value, may clash with what else there is. */
  function settle<Out>(
    folder: "clusters" | "services",
    wanted: ReadonlyMap<string, Out>,
    options: SettleOptions<Out>,
  ): ReadonlyMap<string, Out> {
    const { objects, relations } = settleClashes(wanted, options);
    for (const { key, finding } of relations) diagnostics.push(...diagnose(desired.sources.get(key), [finding]));
    for (const [file, value] of wanted) if (objects.get(file) !== value) keepSource(`${folder}/${file}`);
    return objects;
  }

  const [discovery, balancers, notifiers] = await Promise.all([
    each("discovery", desired.discovery, lastGood?.discovery, (file) => judgeDiscovery(file, desired, options)),
    each("balancers", desired.balancers, lastGood?.balancers, (file) => judgeBalancer(file, desired, options)),
    each("notifiers", desired.notifiers, lastGood?.notifiers, (file) => judgeNotifier(file, options)),
  ]);
  const clusters = await each(
    "clusters",
    desired.clusters,
    lastGood?.clusters,
    async (cluster, last) =>
      withOptions(
        await judgeCluster(cluster, { balancers, last, options, files: desired.balancers }),
        await judgeOptions("cluster", cluster, { discovery, desired, options }),
      ),
    desired.drafts.clusters,
  );
  const services = await each(
    "services",
    desired.services,
    lastGood?.services,
    async (service) =>
      withOptions(
        await judgeService(service, options),
        await judgeOptions("service", service, { discovery, desired, options }),
      ),
    desired.drafts.services,
  );
  const kept = new Map(balancers);
  for (const { key, finding } of findBalancerClashes({ balancers, clusters }, lastGood)) {
    const name = key.slice(key.indexOf("/") + 1);
    const before = lastGood?.balancers.get(name);
    if (before === undefined) continue;
    kept.set(name, before);
    keepSource(key);
    diagnostics.push(...diagnose(desired.sources.get(key), [finding]));
  }
  const { settings, host, logging, plugins } = desired;
  const settled = settle("clusters", clusters, {
    last: lastGood?.clusters,
    find: (now) => findClusterClashes({ balancers: kept, clusters: now }),
    isSame: (now, last) => now.cluster === last.cluster,
  });
  for (const { key, finding } of findServicePortClashes({ balancers: kept, clusters: settled, services })) {
    const source = desired.sources.get(key);
    const at = isRecord(source?.value) && Object.hasOwn(source.value, "ports") ? "ports" : "port";
    diagnostics.push(...diagnose(source, [{ ...finding, path: [at] }]));
  }
  return {
    accepted: {
      settings,
      host,
      logging,
      plugins,
      discovery,
      balancers: kept,
      notifiers,
      clusters: settled,
      unknownClusters: unknownClusters(desired, { balancers: kept, clusters: settled }, lastGood?.unknownClusters),
      services: settle("services", services, {
        last: lastGood?.services,
        find: findServiceClashes,
        isSame: (now, last) => now.service === last.service,
      }),
    },
    sources,
    diagnostics: diagnostics.toSorted(compareDiagnostics),
    isUndecided,
  };
}

/**
 * What the clusters may be called whose files are there, and never said anything that could be served: to no balancer,
 * or to one whose plugin could not judge its section.
 */
function unknownClusters(
  { clusters, clusterFiles, drafts }: Desired,
  { balancers, clusters: accepted }: Pick<Accepted, "balancers" | "clusters">,
  last: Accepted["unknownClusters"] | undefined,
): Accepted["unknownClusters"] {
  if (clusterFiles === undefined) return accepted.size === 0 ? "all" : last ?? "all";
  const names = clusterFiles.filter((file) => !accepted.has(file)).flatMap((file) => {
    const read = clusters.get(file)?.name;
    const drafted = drafts.clusters.get(file)?.value.name ?? "";
    if (read !== undefined) return [read];
    return drafted === "" ? [file] : [file, drafted];
  });
  const isWhole = ({ cluster, sections }: AcceptedCluster) =>
    [...cluster.balancers.keys()].every((name) => sections.has(name) || !balancers.has(name));
  const known = new Set([...accepted.values()].map(({ cluster }) => cluster.name));
  const partly = [...accepted.values()].filter((each) => !isWhole(each)).map(({ cluster }) => cluster.name);
  return [...new Set([...names.filter((name) => !known.has(name)), ...partly])].toSorted();
}

interface Judged<T> {
  /** Absent if any finding is an error. */
  readonly value: T | undefined;
  readonly findings: readonly Finding[];
  /** Whether a plugin could not say now, so that it may say otherwise later. */
  readonly isDoubtful?: boolean;
}

async function judgeDiscovery(
  file: PluginFile,
  { balancers }: Desired,
  options: AcceptOptions,
): Promise<Judged<AcceptedDiscovery>> {
  const source = options.catalog.find("discovery", file.type);
  if (source === undefined) return unknownPlugin("discovery", file.type, ["type"], options.catalog);
  const id = discoveryId(file.name);
  const { instance, traits = NO_TRAITS, findings } = await judgeInstance({
    id,
    kind: "discovery",
    source,
    raw: file.config,
    scope: { instance: file.name, ...options.nameService },
    path: [],
  }, options);
  const ofBalancers = [...balancers.keys(), ...balancersWithSection(options.catalog.names("balancer"))];
  const owner = (traits.sections.includes("cluster") ? clusterSectionOwner(file.name, ofBalancers) : undefined) ??
    (traits.sections.includes("service") ? serviceSectionOwner(file.name, options.catalog.names("check")) : undefined);
  if (owner !== undefined) {
    const message =
      `Cannot use the name ${file.name} for a discovery with its own options: already used by ${owner}; ` +
      "rename the file";
    return { value: undefined, findings: [...findings, { severity: "error", path: [], at: "value", message }] };
  }
  return { value: instance && { file, instance, traits }, findings };
}

const NO_TRAITS: AcceptedDiscovery["traits"] = { capabilities: [], sections: [] };

/** The capability that a discovery needs for a file, in words. */
const NEEDED = {
  cluster: { capability: "watch", cannot: "cannot watch clusters" },
  service: { capability: "register", cannot: "cannot register nodes" },
} as const;

/** Judges what a cluster's or a service's file says to its discoveries, as far as there are any. */
async function judgeOptions(
  of: "cluster" | "service",
  { sources }: Cluster | Service,
  asked: {
    readonly discovery: ReadonlyMap<string, AcceptedDiscovery>;
    readonly desired: Desired;
    readonly options: AcceptOptions;
  },
): Promise<Judged<OwnOptions>> {
  const judged = await Promise.all(
    sources.map(async (source) => [source.name, await judgeSource(of, source, asked)] as const),
  );
  const findings = judged.flatMap(([, each]) => each.findings);
  const options = new Map(
    judged.flatMap(([name, { value }]) => value === undefined || !("options" in value) ? [] : [[name, value.options]]),
  );
  const value = judged.some(([, each]) => each.value === undefined) ? undefined : options.size > 0 ? { options } : {};
  return { value, findings };
}

/** What the discoveries' plugins made of their options, by the source's name. */
type OwnOptions = Pick<AcceptedCluster, "options">;

async function judgeSource(
  of: "cluster" | "service",
  { discovery: name, options: raw, at }: RegistrySource,
  { discovery, desired, options }: Parameters<typeof judgeOptions>[2],
): Promise<Judged<{ readonly options?: unknown }>> {
  const accepted = discovery.get(name);
  const file = accepted?.file ?? desired.discovery.get(name);
  const source = file && options.catalog.find("discovery", file.type);
  // What there is to say of a discovery that is missing or rejected is said elsewhere.
  if (accepted === undefined || file === undefined || source === undefined) return { value: {}, findings: [] };
  const { capability, cannot } = NEEDED[of];
  if (!accepted.traits.capabilities.includes(capability)) {
    const message = `Cannot use the ${name} discovery here: ${file.type} ${cannot}`;
    return { value: undefined, findings: [{ severity: "error", path: at.name, at: "value", message }] };
  }
  if (!accepted.traits.sections.includes(of)) {
    if (raw === undefined) return { value: {}, findings: [] };
    const isSection = at.options.length === 1;
    const message = isSection
      ? `Section ${name} is ignored: ${file.type} has no options for a ${of}`
      : `Cannot use options for ${name} here: ${file.type} has no options for a ${of}`;
    const severity = isSection ? "warning" : "error";
    return { value: isSection ? {} : undefined, findings: [{ severity, path: at.options, at: "key", message }] };
  }
  const filled = withSecrets(raw ?? {}, options.secrets ?? new Map());
  const { value, findings: found } = await validateKnownAsync(
    filled.value,
    (rest) => options.describeSection(source.module, of, rest),
    { otherForms: fileKeysOf },
  );
  const findings = under(at.options, [...filled.findings, ...filled.placed(found)]);
  return { value: hasError(findings) ? undefined : { options: value }, findings };
}

function withOptions<T>(judged: Judged<T>, { value, findings }: Judged<OwnOptions>): Judged<T> {
  const all = [...judged.findings, ...findings];
  const both = judged.value === undefined || value === undefined ? undefined : { ...judged.value, ...value };
  return { ...judged, value: both, findings: all };
}

async function judgeNotifier(file: PluginFile, options: AcceptOptions): Promise<Judged<AcceptedNotifier>> {
  const source = options.catalog.find("notifier", file.type);
  if (source === undefined) return unknownPlugin("notifier", file.type, ["type"], options.catalog);
  const scope = { instance: file.name, ...options.nameService };
  const isOurs = ([key]: readonly [string, unknown]) => RULE_KEYS.includes(key);
  const [ours, theirs] = [
    Object.fromEntries(Object.entries(file.config).filter(isOurs)),
    Object.fromEntries(Object.entries(file.config).filter((entry) => !isOurs(entry))),
  ];
  const { value: read, findings: found } = validateKnown(ours, rulesSchema["~standard"].validate);
  const { instance, findings } = await judgeInstance(
    {
      id: notifierId(file.name),
      kind: "notifier",
      source,
      raw: theirs,
      scope,
      path: [],
      alsoKnown: RULE_KEYS,
    },
    options,
  );
  const all = [...found, ...findings];
  return {
    value: instance && read && !hasError(all) ? { file, instance, rules: rulesOf(read) } : undefined,
    findings: all,
  };
}

async function judgeBalancer(
  file: PluginFile,
  desired: Desired,
  options: AcceptOptions,
): Promise<Judged<AcceptedBalancer>> {
  const source = options.catalog.find("balancer", file.type);
  if (source === undefined) return unknownPlugin("balancer", file.type, ["type"], options.catalog);
  const { name, type } = file;
  try {
    const plugin = await options.openBalancer({ name, type, source });
    const filled = withSecrets(file.config, options.secrets ?? new Map());
    const written = withTemplates(type, filled.value, options.templates ?? new Map());
    const { value, findings: found } = await validateKnownAsync(
      written.value,
      plugin.config["~standard"].validate,
      { otherForms: fileKeysOf },
    );
    const findings = [...filled.findings, ...written.findings, ...filled.placed(found)];
    if (hasError(findings)) return { value: undefined, findings };
    if (source.origin === "foreign") await prove(plugin, value);
    const inputs = await plugin.inputs?.(value);
    const lacking = inputs === undefined ? [] : inputFindings(inputs, file, desired, options);
    return { value: { file, plugin, config: value, ...inputs && { inputs } }, findings: [...findings, ...lacking] };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = error instanceof UndecidedError ? reason : `Cannot load the ${type} balancer: ${reason}`;
    const findings: readonly Finding[] = [{ severity: "error", path: ["type"], at: "value", message }];
    return { value: undefined, findings, isDoubtful: isPassing(error) };
  }
}

/** What a balancer wants to render and cannot, as no file names it; it may still come. */
function inputFindings(
  { clusters = [], keys = [] }: BalancerInputs,
  { config }: PluginFile,
  { clusters: files, discovery, drafts }: Desired,
  { catalog }: AcceptOptions,
): readonly Finding[] {
  const names = [
    ...[...files.values()].map(({ name }) => name),
    ...[...drafts.clusters.values()].map(({ value }) => value.name),
  ];
  const named = clusters === "all" ? [] : clusters.filter((name) => !names.includes(name)).map((name): Finding => {
    const meant = suggest(name, names);
    const hint = meant === undefined ? "no file in clusters/ has this name" : `did you mean ${meant}?`;
    return {
      severity: "warning",
      path: ["clusters", clusters.indexOf(name)],
      at: "value",
      message: `No cluster named ${name}: ${hint}`,
    };
  });
  const places = [...new Set(keys.map(({ discovery }) => discovery))].flatMap((name): readonly Finding[] => {
    const file = discovery.get(name);
    if (file !== undefined && catalog.find("discovery", file.type) !== undefined) return [];
    const meant = suggest(name, [...discovery.keys()]);
    const hint = meant === undefined ? `discovery/${name}.yaml is missing or invalid` : `did you mean ${meant}?`;
    const path = pathTo(config, "discovery", name) ?? [];
    return [{
      severity: "warning",
      path,
      at: "value",
      message: `No discovery named ${name} (used by the keys section): ${hint}`,
    }];
  });
  return [...named, ...places];
}

/** Where a key has a value, in a config. */
function pathTo(config: unknown, key: string, value: string): Path | undefined {
  const entries = Array.isArray(config) ? [...config.entries()] : isRecord(config) ? Object.entries(config) : [];
  for (const [name, inner] of entries) {
    if (name === key && inner === value) return [name];
    const below = pathTo(inner, key, value);
    if (below !== undefined) return [name, ...below];
  }
  return undefined;
}

/** Whether a plugin that was asked again might answer. */
function isPassing(error: unknown): boolean {
  return error instanceof UndecidedError && !(error instanceof BeyondGrantError);
}

/** Has a plugin give its first good word before it takes over: where it is, and a file without a cluster. Throws if it cannot. */
async function prove(plugin: Decider, config: unknown): Promise<void> {
  await plugin.sources(config);
  await plugin.listens?.(config);
  await plugin.render({ config, host: SAMPLE_HOST, clusters: [] });
}

/** Opens the plugin of a balancer that was not accepted; `undefined` if none can be had. */
async function pluginOf(
  name: string,
  { options: { catalog, openBalancer }, files }: {
    readonly options: AcceptOptions;
    readonly files: Desired["balancers"];
  },
): Promise<Decider | undefined> {
  const type = files.get(name)?.type ?? name;
  const source = catalog.find("balancer", type);
  // Findings of the plugin belong to the balancer's own file.
  return source && await openBalancer({ name, type, source }).catch(() => undefined);
}

async function judgeCluster(
  cluster: Cluster,
  { balancers, last, ...asked }: {
    readonly balancers: ReadonlyMap<string, AcceptedBalancer>;
    readonly last: AcceptedCluster | undefined;
    readonly options: AcceptOptions;
    /** The files of balancers, whether they were accepted or not. */
    readonly files: Desired["balancers"];
  },
): Promise<Judged<AcceptedCluster>> {
  const sections = new Map<string, unknown>();
  const all: Finding[] = [];
  /** The section that a key which stands beside it belongs into. */
  const owners = new Map<string, string>();
  const movesKeys = new Set<string>();
  let isDoubtful = false;
  for (const [name, raw] of cluster.balancers) {
    const balancer = balancers.get(name);
    try {
      // The section of a balancer whose own file cannot be used waits, but is judged all the same.
      const plugin = balancer?.plugin ?? await pluginOf(name, asked);
      if (plugin === undefined) continue;
      const { validate } = plugin.cluster["~standard"];
      const inside = isRecord(raw) ? CLUSTER_KEYS.filter((key) => Object.hasOwn(raw, key)) : [];
      const isAsked = cluster.unknownKeys.length > 0 || inside.length > 0;
      const own = await keysOf(isAsked ? validate : undefined);
      for (const key of own) owners.set(key, name);
      const filled = withSecrets(raw, asked.options.secrets ?? new Map());
      const { value, findings: found } = await validateKnownAsync(filled.value, validate, { otherForms: fileKeysOf });
      const low = inside.filter((key) => !own.includes(key));
      const findings = [...filled.findings, ...filled.placed(found)].map((finding) => raised(finding, low));
      all.push(...under([name], findings));
      if (balancer === undefined) continue;
      if (!hasError(findings)) {
        await balancer.plugin.listens?.(balancer.config, value);
        const weighing = cluster.traffic && await balancer.plugin.weighing?.(balancer.config, value);
        if (weighing?.by === "other") all.push(cannotShare(name, weighing));
        else if (weighing?.movesKeys) movesKeys.add(name);
      }
      sections.set(name, value);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      isDoubtful ||= isPassing(error);
      // One balancer's plugin that fails is no matter of the others: the section stays as it was.
      all.push({ severity: "warning", path: [name], at: "key", message: error.message });
      if (last?.sections.has(name)) sections.set(name, last.sections.get(name));
    }
  }
  all.push(...cluster.unknownKeys.map((finding) => placed(finding, owners)));
  const { value: nodeChecks = [], findings: ofChecks } = await judgeNodeChecks(cluster, asked.options);
  all.push(...ofChecks);
  const value = {
    cluster,
    sections,
    ...movesKeys.size > 0 && { movesKeys },
    ...nodeChecks.length > 0 && { nodeChecks },
  };
  return { value: hasError(all) ? undefined : value, findings: all, isDoubtful };
}

/** Has the plugins of checks judge `traffic.health`, for any node. */
async function judgeNodeChecks(
  { name, traffic }: Cluster,
  options: AcceptOptions,
): Promise<Judged<readonly AcceptedNodeCheck[]>> {
  const judged = await Promise.all((traffic?.health?.checks ?? []).map(async (check) => {
    const path = ["traffic", "health", check.name];
    const source = options.catalog.find("check", check.type);
    if (source === undefined) return { ...unknownPlugin("check", check.type, path, options.catalog), checks: [] };
    const id = `health ${name}/${check.name}`;
    const { instance, findings } = await judgeInstance({
      id,
      kind: "check",
      source,
      raw: check.config,
      scope: { instance: id, target: ANY_NODE },
      path,
      alsoKnown: NODE_CHECK_KEYS,
    }, options);
    return { findings, checks: instance === undefined ? [] : [{ check, instance }] };
  }));
  return { value: judged.flatMap(({ checks }) => checks), findings: judged.flatMap(({ findings }) => findings) };
}

/** Says that a balancer does not share as `traffic` asks for. */
function cannotShare(name: string, { path, reason }: Extract<Weighing, { by: "other" }>): Finding {
  const message = `Cannot apply traffic: ${reason}`;
  return { severity: "error", path: [name, ...path], at: path.length === 0 ? "key" : "value", message };
}

/** The keys of a section: a plugin names them where it is asked for one that it lacks. */
async function keysOf(validate: Decider["cluster"]["~standard"]["validate"] | undefined): Promise<readonly string[]> {
  const { issues = [] } = await validate?.({ " ": 0 }) ?? {};
  return issues.flatMap(({ unknownKey }) => unknownKey?.known ?? []);
}

/** A key of a section that stands beside it would leave the cluster without what it says. */
function placed(finding: Finding, owners: ReadonlyMap<string, string>): Finding {
  const key = String(finding.path.at(0));
  const section = finding.path.length === 1 ? owners.get(key) : undefined;
  if (section === undefined) return finding;
  const message = `Cannot use ${key} here: ${key} belongs under ${section}`;
  return { ...finding, severity: "error", message };
}

/** A key of the cluster that stands in a section would leave the cluster without it: a guard that guards nothing. */
function raised(finding: Finding, misplaced: readonly string[]): Finding {
  const key = String(finding.path.at(0));
  if (finding.path.length !== 1 || !misplaced.includes(key)) return finding;
  const message = `Cannot use ${key} here: ${key} belongs at the top level of the file`;
  return { ...finding, severity: "error", message };
}

async function judgeService(service: Service, options: AcceptOptions): Promise<Judged<AcceptedService>> {
  const probes: AcceptedProbe[] = [];
  const findings = new Map<string, Finding>();
  const note = (found: readonly Finding[]) => {
    // Each port asks the same of the same lines.
    for (const finding of found) findings.set(JSON.stringify(finding), finding);
  };
  const wanted = service.ports.flatMap((port) => service.checks.map((check) => ({ port, check })));
  await Promise.all(wanted.map(async ({ port, check }) => {
    const path = ["checks", check.name];
    const source = options.catalog.find("check", check.type);
    if (source === undefined) return note(unknownPlugin("check", check.type, path, options.catalog).findings);
    const target = formatEndpoint({ host: check.host ?? service.host, port: check.port ?? port });
    const id = `check ${service.name}:${port}/${check.name}`;
    const scope = { instance: id, target };
    const judged = await judgeInstance(
      { id, kind: "check", source, raw: check.config, scope, path, alsoKnown: HOST_KEYS },
      options,
    );
    note(judged.findings);
    if (judged.instance !== undefined) probes.push({ port, check, instance: judged.instance });
  }));
  const all = [...findings.values()];
  const sorted = probes.toSorted((a, b) => a.instance.id < b.instance.id ? -1 : 1);
  return { value: hasError(all) ? undefined : { service, probes: sorted }, findings: all };
}

async function judgeInstance(
  { id, kind, source, raw, scope, path, alsoKnown }: {
    readonly id: string;
    readonly kind: "check" | "discovery" | "notifier";
    readonly source: PluginSource;
    readonly raw: unknown;
    readonly scope: Scope;
    readonly path: Path;
    readonly alsoKnown?: readonly string[] | undefined;
  },
  { describe, secrets = new Map() }: AcceptOptions,
): Promise<{
  readonly instance?: PluginInstance;
  readonly traits?: AcceptedDiscovery["traits"] | undefined;
  readonly findings: readonly Finding[];
}> {
  let permissions: PermissionRequest = {};
  let traits: AcceptedDiscovery["traits"] | undefined;
  const filled = withSecrets(raw, secrets);
  const { value: config, findings } = await validateKnownAsync(filled.value, async (rest) => {
    const described = await describe(source.module, rest, scope);
    if (!described.ok) return { issues: described.issues };
    ({ permissions, traits } = described);
    return { value: described.config };
  }, { alsoKnown, otherForms: fileKeysOf });
  const at = under(path, [...filled.findings, ...filled.placed(findings)]);
  if (hasError(at)) return { findings: at };
  const grant = decide(permissions, { kind, source, scope, config: raw });
  if (!grant.ok) {
    const message = `Cannot grant the plugin's requested permissions: ${grant.reasons.join("; ")}`;
    return { findings: [...at, { severity: "error", path, at: "value", message }] };
  }
  const { module, name: plugin } = source;
  const { granted } = grant;
  const own = usesNameServers(granted, scope) ? scope : withoutNameService(scope);
  const instance = { id, kind, module, config, scope: own, granted, ...plugin !== undefined && { plugin } };
  return { instance, traits, findings: at };
}

/** Whether an instance may ask a name server: only such a one is begun again when the name servers change. */
export function usesNameServers({ net = [] }: PermissionRequest, { nameServers = [] }: Scope): boolean {
  return net.some((endpoint) => nameServers.includes(endpoint));
}

function withoutNameService({ instance, target }: Scope): Scope {
  return { instance, ...target !== undefined && { target } };
}

function unknownPlugin(kind: PluginKind, name: string, path: Path, catalog: AcceptOptions["catalog"]): Judged<never> {
  const missing = catalog.missing?.(kind, name);
  if (missing !== undefined) {
    const message = `Cannot use the ${name} ${kind} in plugins.yaml: ${missing}`;
    return { value: undefined, findings: [{ severity: "error", path, at: "key", message }] };
  }
  const known = catalog.names(kind);
  const meant = suggest(name, known);
  const hint = meant === undefined
    ? known.length === 0 ? `no ${kind} is available` : `available are ${known.join(", ")}`
    : `did you mean ${meant}?`;
  const message = `Unknown ${kind} ${JSON.stringify(name)}: ${hint}`;
  return { value: undefined, findings: [{ severity: "error", path, at: "key", message }] };
}

function hasError(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === "error");
}

function diagnose(source: Source | undefined, findings: readonly Finding[]): readonly Diagnostic[] {
  return source === undefined ? [] : findings.map((finding) => source.diagnose(finding));
}
