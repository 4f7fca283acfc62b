/**
 * What a file of `clusters/` may say: a plain value goes in, a cluster comes
 * out, with what balancers are to judge of it. Pure.
 *
 * @module
 */
import {
  converted,
  flag,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  optional,
  percentage,
  refined,
  seconds,
} from "../kernel/schema.ts";
import { type Cluster, CLUSTER_DEFAULTS, GUARD_DEFAULTS } from "../model/cluster.ts";
import { isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { isRecord, type Node } from "../model/node.ts";
import type { AdditionsAllowed } from "../model/addition.ts";
import { isTarget, TARGET_WANTED } from "../model/override.ts";
import type { Finding } from "../kernel/findings.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import { draftTraffic, healthFaults, TRAFFIC, trafficPolicy, withoutHealthConfig } from "./traffic_schema.ts";
import { deepFreeze, name, namesMeant, pick, SECTION } from "./schema_words.ts";
import {
  combineEntry,
  discoveryEntry,
  draftSources,
  ITEM_ENTRIES,
  needlessCombine,
  readCombine,
  readSources,
  readSourceTraffic,
  unusedSections,
} from "./sources_schema.ts";

/**
 * Reads a file of `clusters/`. `balancers` and `discovery` are the names that
 * may have a section: those of the files in these folders, and of the balancers
 * that ship, whose section is known even while their own file is missing.
 */
export function readCluster(
  raw: unknown,
  { fileName, balancers, discovery = [], overflow = [], rendered = [] }: {
    readonly fileName: string;
    readonly balancers: Iterable<string>;
    readonly discovery?: readonly string[];
    /** The clusters that others name as their overflow: they may do without a balancer's section. */
    readonly overflow?: readonly string[];
    /** The clusters that balancers render without a section: so may these. */
    readonly rendered?: "all" | readonly string[];
  },
): Checked<Cluster> {
  const names = [...new Set(balancers)].filter((key) => !Object.hasOwn(CLUSTER_ENTRIES, key));
  const registries = namesMeant(raw, discovery).filter((key) => clusterSectionOwner(key, balancers) === undefined);
  const schema = houseSchema(keys({
    ...Object.fromEntries([...names, ...registries].map((key) => [key, optional(SECTION)])),
    ...CLUSTER_ENTRIES,
    discovery: discoveryEntry(discovery, ITEM_ENTRIES),
  }));
  const used = (value: object) => names.filter((key) => Object.hasOwn(value, key));
  const noSection: Issue = {
    path: [],
    message: names.length === 0
      ? "A cluster must have a section for at least one balancer: no balancer is known"
      : `Missing key ${names[0]}: a cluster must have a section for at least one balancer (${names.join(", ")})`,
  };
  const named = isRecord(raw) && typeof raw.name === "string" ? raw.name : fileName;
  const mayLack = rendered === "all" || rendered.includes(named) || overflow.includes(named);
  const needed = refined(schema, (value) => used(value).length === 0 && !mayLack ? [noSection] : [], []);
  // A key with nothing behind it says nothing.
  const said = !isRecord(raw)
    ? raw
    : withoutHealthConfig(raw.meta_cluster === null ? pick(raw, (key) => key !== "meta_cluster") : raw);
  const { value: file, findings: all } = validateKnown(said, needed["~standard"].validate);
  const isUnknown = ({ severity, at }: Finding) => severity === "warning" && at === "key";
  const unknownKeys = Object.freeze(all.filter(isUnknown));
  // Whether they are sections' keys is known where the plugins are.
  const findings = all.filter((finding) => !isUnknown(finding));
  const sections = file as unknown as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const sectionOf = (key: string) => registries.includes(key) ? sections[key] : undefined;
  const read = file && readSources(file.discovery, { known: discovery, sectionOf });
  const faults = file === undefined
    ? []
    : [...read?.findings ?? [], ...needlessCombine(file), ...guardFaults(file), ...healthFaults(raw)];
  if (file === undefined || read === undefined || faults.length > 0) {
    const draft = draftCluster(raw, { names, registries, known: discovery, unknownKeys });
    return { value: undefined, findings: [...findings, ...faults], draft };
  }
  const shares = readSourceTraffic(file.discovery, read.sources);
  const value: Cluster = {
    name: file.name ?? fileName,
    sources: deepFreeze(read.sources),
    combine: Object.freeze(readCombine(file.combine)),
    ...(file.meta_cluster === undefined ? {} : { metaCluster: file.meta_cluster }),
    guard: Object.freeze({
      onEmpty: file.on_empty ?? GUARD_DEFAULTS.onEmpty,
      emptyGraceMs: toMs(file.empty_grace) ?? GUARD_DEFAULTS.emptyGraceMs,
      minNodes: file.min_nodes ?? GUARD_DEFAULTS.minNodes,
      maxNodes: file.max_nodes ?? GUARD_DEFAULTS.maxNodes,
      maxShrinkPercent: file.max_shrink_percent ?? GUARD_DEFAULTS.maxShrinkPercent,
      shrinkGraceMs: toMs(file.shrink_grace) ?? GUARD_DEFAULTS.shrinkGraceMs,
    }),
    ...(file.traffic !== undefined || shares.length > 0) &&
      {
        traffic: deepFreeze(
          trafficPolicy(file.traffic ?? {}, { sources: shares, raw: isRecord(raw) ? raw.traffic : undefined }),
        ),
      },
    defaultServers: Object.freeze(file.default_servers ?? []),
    ...file.api !== undefined && { api: deepFreeze<AdditionsAllowed>(file.api) },
    ...file.exclude !== undefined && { exclude: Object.freeze(file.exclude) },
    balancers: new Map(used(file).map((key) => [key, deepFreeze(sections[key])])),
    unknownKeys,
  };
  return {
    value: Object.freeze(value),
    findings: [...findings, ...unusedSections(sections, { registries, said: file.discovery })],
  };
}

/** Types of balancers that are known by the names of their files alone: a discovery may have the name of the type. */
const NAMED_BY_FILE: ReadonlySet<string> = new Set(["file", "supervised", "template"]);

/** The balancers, of all that ship, that have a section in clusters' files even if their own file is missing. Pure. */
export function balancersWithSection(names: readonly string[]): readonly string[] {
  return names.filter((name) => !NAMED_BY_FILE.has(name));
}

/** Who else has a section or a key of that name in a cluster's file; `undefined` if nobody has. */
export function clusterSectionOwner(name: string, balancers: Iterable<string>): string | undefined {
  if (Object.hasOwn(CLUSTER_ENTRIES, name)) return `the ${name} key of clusters`;
  return [...balancers].includes(name) ? `the ${name} balancer` : undefined;
}

/** Answers what a cluster's file that is wrong says to the balancers, and what it calls the cluster, if it does. */
function draftCluster(
  raw: unknown,
  { names, registries, known, unknownKeys }: {
    readonly names: readonly string[];
    readonly registries: readonly string[];
    readonly known: readonly string[];
    readonly unknownKeys: readonly Finding[];
  },
): Cluster | undefined {
  if (!isRecord(raw)) return undefined;
  const sections = names.flatMap((name) => {
    const section = raw[name] ?? {};
    return Object.hasOwn(raw, name) && isRecord(section) ? [[name, deepFreeze(section)] as const] : [];
  });
  const name = typeof raw["name"] === "string" ? raw["name"] : "";
  const traffic = draftTraffic(raw);
  return Object.freeze({
    ...CLUSTER_DEFAULTS,
    name,
    ...traffic !== undefined && { traffic: deepFreeze(traffic) },
    sources: draftSources(raw, { registries, known }),
    balancers: new Map(sections),
    unknownKeys,
  });
}

/** Finds guards that contradict each other: no answer has enough nodes and not too many. */
function guardFaults(
  { min_nodes: min = GUARD_DEFAULTS.minNodes, max_nodes: max = GUARD_DEFAULTS.maxNodes }: {
    readonly min_nodes?: number | undefined;
    readonly max_nodes?: number | undefined;
  },
): readonly Finding[] {
  if (min <= max) return [];
  const message = `Cannot use min_nodes: must be at most max_nodes (${max}); current value is ${min}`;
  return [{ severity: "error", path: ["min_nodes"], at: "value", message }];
}

const CLUSTER_ENTRIES = {
  discovery: discoveryEntry(),
  combine: optional(combineEntry()),
  name: optional(name()),
  meta_cluster: optional(name()),
  on_empty: optional(converted((value) => value === "keep" || value === "clear" ? value : undefined, "keep or clear")),
  empty_grace: optional(seconds({ min: 0, max: 3_600 })),
  min_nodes: optional(integer({ min: 0, max: 100_000 })),
  max_nodes: optional(integer({ min: 1, max: 100_000 })),
  max_shrink_percent: optional(percentage()),
  shrink_grace: optional(seconds({ min: 0, max: 86_400 })),
  traffic: optional(TRAFFIC),
  exclude: optional(list(converted((value) => isTarget(value) ? value : undefined, TARGET_WANTED))),
  api: optional(keys({ nodes: optional(flag(), false), sources: optional(list(name()), []) })),
  default_servers: optional(
    list(converted(parseServer, "ADDRESS:PORT with an IPv4 address, or an IPv6 address in brackets")),
  ),
};

/** The keys of a cluster's file that are no section. */
export const CLUSTER_KEYS: readonly string[] = Object.keys(CLUSTER_ENTRIES);

/** A server without a name is called by its address. */
function parseServer(value: unknown): Node | undefined {
  const address = typeof value === "string" ? parseEndpoint(value) : undefined;
  if (address === undefined || !(isIpv4(address.host) || isIpv6(address.host))) return undefined;
  return Object.freeze({ host: address.host, ip: address.host, port: address.port, metadata: {} });
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

/** The keys of a cluster's file but for the sections of balancers. */
export const clusterSchema = houseSchema(keys(CLUSTER_ENTRIES));
