/**
 * What `discovery:` and `combine:` may say: one discovery, or a list of them,
 * each with options of its own, and how their members become those of one
 * cluster. Pure.
 *
 * @module
 */
import { chosen, converted, houseSchema, keys, list, optional, seconds } from "../kernel/schema.ts";
import type { Finding, Path } from "../kernel/findings.ts";
import { isRecord } from "../model/node.ts";
import { type Combine, onlySource, type RegistrySource, sourceKey, UNION } from "../model/registry_source.ts";
import type { SourceTraffic } from "../model/traffic.ts";
import { deepFreeze, isName, name, NAME_WANTED, SECTION } from "./schema_words.ts";
import { type ReadSourceTraffic, SOURCE_TRAFFIC, sourceTraffic } from "./traffic_schema.ts";

/** The keys of an item of a cluster's `discovery:` that are Lighthouse's own; the other one names the discovery. */
export const ITEM_ENTRIES = { traffic: optional(SOURCE_TRAFFIC) };

/** The keys of `traffic` of an item. */
export const sourceTrafficSchema = houseSchema(SOURCE_TRAFFIC);

const ITEM_WANTED = `the name of a discovery, or a map of one discovery name to its options ({zookeeper: {path: /x}})`;

/**
 * The key `discovery`. `known`: the discoveries that there are, which tell a name from a misspelt key. `entries`: the
 * keys of an item beside that of its discovery.
 */
export function discoveryEntry(known: readonly string[] = [], entries: Parameters<typeof keys>[0] = {}) {
  return chosen((value) => Array.isArray(value) ? itemsEntry(known, entries) : name());
}

function itemsEntry(known: readonly string[], entries: Parameters<typeof keys>[0]) {
  return nonEmpty(chosen((value) => {
    const discovery = isRecord(value) ? discoveryIn(value, known) : undefined;
    if (discovery !== undefined) return keys({ ...entries, [discovery]: SECTION });
    return converted((item) => typeof item === "string" && isName(item) ? item : undefined, wantedOf(value));
  }));
}

/** An invalid name is reported as for a single discovery. */
function wantedOf(value: unknown): string {
  return typeof value === "string" ? NAME_WANTED : ITEM_WANTED;
}

function nonEmpty(item: Parameters<typeof list>[0]) {
  const wanted = "a list of at least one discovery";
  return chosen((value) =>
    Array.isArray(value) && value.length === 0 ? converted(() => undefined, wanted) : list(item)
  );
}

/** The one key of an item that names its discovery; `undefined` if none does, or several do. */
function discoveryIn(item: Readonly<Record<string, unknown>>, known: readonly string[]): string | undefined {
  const own = Object.keys(item).filter((key) => !Object.hasOwn(ITEM_ENTRIES, key));
  const among = own.filter((key) => known.includes(key));
  const [first, ...more] = among.length > 0 ? among : own;
  return first !== undefined && more.length === 0 && isName(first) ? first : undefined;
}

/** What {@linkcode readSources} answers. */
export interface ReadSources {
  readonly sources: readonly RegistrySource[];
  readonly findings: readonly Finding[];
}

/**
 * Reads the key `discovery` once its schema has taken it. `sectionOf` answers the section beside it that bears a
 * discovery's name, which an item without options of its own uses.
 */
export function readSources(
  said: unknown,
  { known, sectionOf }: {
    readonly known: readonly string[];
    readonly sectionOf: (discovery: string) => RegistrySource["options"];
  },
): ReadSources {
  if (typeof said === "string") return { sources: [onlySource(said, sectionOf(said))], findings: [] };
  const sources: RegistrySource[] = [];
  const findings: Finding[] = [];
  const owners = new Map<string, number>();
  for (const [index, item] of (Array.isArray(said) ? said : []).entries()) {
    const read = readItem(item, ["discovery", index], { known, sectionOf });
    if (read === undefined) continue;
    const { discovery } = read;
    const key = sourceKey(read);
    const owner = owners.get(key);
    if (owner !== undefined) {
      const message = `Cannot use discovery[${index}]: discovery[${owner}] is the same source: ${discovery} with ` +
        `${read.options === undefined ? "no" : "the same"} options`;
      findings.push({ severity: "error", path: read.at.name, at: "value", message });
      continue;
    }
    owners.set(key, index);
    const before = sources.filter((each) => each.discovery === discovery).length;
    sources.push(deepFreeze({ ...read, name: before === 0 ? discovery : `${discovery}#${before + 1}` }));
  }
  return { sources, findings };
}

/** Reads what items say of the requests of their nodes, once the schema has taken them. */
export function readSourceTraffic(said: unknown, sources: readonly RegistrySource[]): readonly SourceTraffic[] {
  const items: readonly unknown[] = Array.isArray(said) ? said : [];
  return sources.flatMap(({ name, at }) => {
    const item = items[Number(at.name[1])];
    return isRecord(item) && item["traffic"] !== undefined
      ? [sourceTraffic(name, item["traffic"] as ReadSourceTraffic)]
      : [];
  });
}

function readItem(
  item: unknown,
  path: Path,
  { known, sectionOf }: Parameters<typeof readSources>[1],
): Omit<RegistrySource, "name"> | undefined {
  if (typeof item === "string") {
    const options = sectionOf(item);
    return { discovery: item, ...options !== undefined && { options }, at: { name: path, options: [item] } };
  }
  const discovery = isRecord(item) ? discoveryIn(item, known) : undefined;
  if (!isRecord(item) || discovery === undefined) return undefined;
  const options = item[discovery];
  const at = { name: [...path, discovery], options: [...path, discovery] };
  return { discovery, ...isRecord(options) && Object.keys(options).length > 0 && { options }, at };
}

/**
 * Answers what of a file that is wrong its discoveries' plugins can judge. A section that is no map has its finding: its
 * plugin is not asked.
 */
export function draftSources(
  raw: Readonly<Record<string, unknown>>,
  { registries, known }: { readonly registries: readonly string[]; readonly known: readonly string[] },
): readonly RegistrySource[] {
  const sectionOf = (key: string) => {
    const section = raw[key] ?? {};
    return registries.includes(key) && isRecord(section) ? deepFreeze({ ...section }) : undefined;
  };
  const { sources } = readSources(raw["discovery"], { known, sectionOf });
  return sources.filter(({ discovery, options }) => known.includes(discovery) && options !== undefined);
}

/** The names of the discoveries that a `discovery:` names, as far as it can be read. */
export function discoveriesIn(said: unknown, known: readonly string[]): readonly string[] {
  const items = Array.isArray(said) ? said : [said];
  return items.flatMap((item) => {
    if (typeof item === "string") return [item];
    const discovery = isRecord(item) ? discoveryIn(item, known) : undefined;
    return discovery === undefined ? [] : [discovery];
  });
}

/** The discoveries that a `discovery:` names without options of their own: they use the section beside it. */
export function sectionsUsed(said: unknown): readonly string[] {
  return (Array.isArray(said) ? said : [said]).filter((item) => typeof item === "string");
}

/** Finds sections of registries that a file does not use: what they say has no effect. */
export function unusedSections(
  file: object,
  { registries, said }: { readonly registries: readonly string[]; readonly said: unknown },
): readonly Finding[] {
  const used = sectionsUsed(said);
  const named = discoveriesIn(said, registries);
  return registries.filter((key) => !used.includes(key) && Object.hasOwn(file, key)).map((key) => ({
    severity: "warning",
    path: [key],
    at: "key",
    message: named.includes(key)
      ? `Section ${key} is ignored: the entry in discovery has its own options`
      : `Section ${key} is ignored: discovery is ${named.join(", ")}`,
  }));
}

/** How long an empty source may stay so before the next one takes over, in seconds. */
const WAIT = 5;
/** How long an earlier source must have ready nodes before it takes over again, in seconds. */
const RETURN_AFTER = 60;

const COMBINE_WANTED = "union, all or first, or a map: {all: {match: address}}, {first: {wait: 5s, return_after: 60s}}";

const FIRST = keys({
  wait: optional(seconds({ min: 0, max: 3_600 }), WAIT),
  return_after: optional(seconds({ min: 0, max: 86_400 }), RETURN_AFTER),
});

const ALL = keys({
  match: optional(
    converted((value) => value === "host" || value === "address" ? value : undefined, "host or address"),
    "host",
  ),
});

/** The policies that have options. */
export const combineSchema = houseSchema(keys({ all: optional(ALL), first: optional(FIRST) }));

/** The key `combine`. */
export function combineEntry() {
  return chosen((value) => {
    const [only, ...more] = isRecord(value) ? Object.keys(value) : [];
    const options = isRecord(value) && only !== undefined && more.length === 0 ? value[only] : undefined;
    if (isRecord(options) && only === "first") return keys({ first: FIRST });
    if (isRecord(options) && only === "all") return keys({ all: ALL });
    return converted(
      (word) => word === "union" || word === "all" || word === "first" ? word : undefined,
      COMBINE_WANTED,
    );
  });
}

/** Reads the key `combine` once its schema has taken it. */
export function readCombine(said: unknown): Combine {
  if (said === "first") return first({});
  if (said === "all") return { policy: "all", match: "host" };
  if (!isRecord(said)) return UNION;
  if (isRecord(said["first"])) return first(said["first"]);
  const { match } = isRecord(said["all"]) ? said["all"] : {};
  return { policy: "all", match: match === "address" ? "address" : "host" };
}

function first({ wait = WAIT, return_after: returnAfter = RETURN_AFTER }: Readonly<Record<string, unknown>>): Combine {
  return {
    policy: "first",
    waitMs: Math.round(Number(wait) * 1_000),
    returnAfterMs: Math.round(Number(returnAfter) * 1_000),
  };
}

/** Says that a file combines what is one. */
export function needlessCombine(file: { readonly combine?: unknown; readonly discovery: unknown }): readonly Finding[] {
  if (file.combine === undefined || Array.isArray(file.discovery)) return [];
  const message = "Cannot use combine: discovery must be a list, such as [zookeeper, etcd]";
  return [{ severity: "error", path: ["combine"], at: "key", message }];
}
