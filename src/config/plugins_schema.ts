/**
 * What `plugins.yaml` may say: the plugins that do not ship, where they are and
 * what they are granted. Pure.
 *
 * @module
 */
import {
  converted,
  flag,
  formatPath,
  type HouseSchema,
  houseSchema,
  type Issue,
  keys,
  list,
  mapOf,
  matching,
  optional,
  refined,
} from "../kernel/schema.ts";
import { NAME_SERVERS, OWN_CONFIG, OWN_TARGET } from "../model/allowance.ts";
import { parseEndpoint } from "../model/endpoint.ts";
import { isRecord, quote } from "../model/node.ts";
import type { PluginEntry } from "./desired.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";

/** The sections of the file, with the kind of plugin that each holds. */
export const PLUGIN_SECTIONS = {
  checks: "check",
  discovery: "discovery",
  balancers: "balancer",
  notifiers: "notifier",
} as const;
/** A section of the file. */
export type PluginSection = keyof typeof PLUGIN_SECTIONS;

/** What `plugins.yaml` says when it says nothing. */
export const NO_PLUGINS: ReadonlyMap<string, PluginEntry> = new Map();

/** What a plugin can be called in a config: its name there, which need not be the one it gives itself. */
export const PLUGIN_NAME = /^[a-z][a-z0-9_-]{0,62}$/;

const net = (placeholders: readonly string[]) =>
  list(
    converted(
      (value) => typeof value === "string" && (placeholders.includes(value) || isAddress(value)) ? value : undefined,
      `${placeholders.join(", ")}, host:port or unix:/path`,
    ),
  );
const sockets = list(matching(/^unix:\/(?!$)(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))/, "unix:/path"));
const path = list(
  matching(
    /^\/(?!$)(?!.*(?:\/\/|\/\.{1,2}(?:\/|$)))/,
    'an absolute path without empty, "." or ".." segments',
  ),
);
const ENTRY = {
  url: matching(/^\S+$/, "a URL (https:, http:, file:) or a path without spaces"),
  sha256: optional(matching(/^[0-9a-f]{64}$/, "64 lowercase hexadecimal digits")),
  insecure: optional(flag()),
};
const allowing = (...placeholders: readonly string[]) =>
  keys({
    ...ENTRY,
    allow: optional(keys({
      net: optional(net(placeholders)),
      read: optional(path),
      write: optional(path),
      env: optional(list(matching(/^[A-Za-z_][A-Za-z0-9_]*$/, "the name of an environment variable"))),
      run: optional(path),
    })),
  });

type PlacedEntry = ReturnType<typeof entriesOf>[number];

/** Judges the entries of each section whose keys are all fine, whatever is wrong in others. */
function judged<Output extends PluginSections>(
  schema: HouseSchema<Output>,
  faults: (placed: PlacedEntry) => readonly Issue[],
): HouseSchema<Output> {
  return (Object.keys(PLUGIN_SECTIONS) as PluginSection[]).reduce(
    (all, section) => refined(all, (file) => entriesOf({ [section]: file[section] }).flatMap(faults), [section]),
    schema,
  );
}

const UNPINNED_FILE = judged(
  houseSchema(keys({
    checks: optional(mapOf(allowing(OWN_TARGET))),
    discovery: optional(mapOf(allowing(OWN_CONFIG, NAME_SERVERS))),
    notifiers: optional(mapOf(allowing(OWN_CONFIG, NAME_SERVERS))),
    // A balancer's worker has no permission at all: this is what the host does for it.
    balancers: optional(mapOf(keys({
      ...ENTRY,
      allow: optional(
        keys({ net: optional(sockets), read: optional(path), write: optional(path), run: optional(path) }),
      ),
    }))),
  })),
  ({ section, name, entry }) => {
    const at = [section, name];
    const issues: Issue[] = [];
    if (!PLUGIN_NAME.test(name)) {
      const wanted = "1 to 63 lower-case letters, digits, _ and -, starting with a letter";
      const message = `Cannot use the name ${quote(name)}: must be ${wanted}`;
      issues.push({ path: at, message });
    }
    const fault = urlFault(entry);
    if (fault !== undefined) {
      const message = `Cannot use ${formatPath([...at, "url"])}: ${fault}; current value is ${quote(entry.url)}`;
      issues.push({ path: [...at, "url"], message });
    }
    return issues;
  },
);

const FILE = judged(
  UNPINNED_FILE,
  ({ section, name, entry }) => {
    const at = [section, name];
    const issues: Issue[] = [];
    if (entry.sha256 === undefined && isRemote(entry.url)) {
      const message =
        `Missing key ${formatPath([...at, "sha256"])}: must be the approved hash of the downloaded plugin; ` +
        `run lighthouse plugin update ${name}`;
      issues.push({ path: at, message });
    }
    return issues;
  },
);

/** Reads `plugins.yaml`: the entries by `kind/name`. */
export function readPlugins(raw: unknown): Checked<ReadonlyMap<string, PluginEntry>> {
  return readBy(raw, FILE);
}

/** Reads it for the command that writes the hashes, to which it is no fault that one is missing. */
export function readUnpinnedPlugins(raw: unknown): Checked<ReadonlyMap<string, PluginEntry>> {
  return readBy(raw, UNPINNED_FILE);
}

function readBy(raw: unknown, schema: typeof FILE): Checked<ReadonlyMap<string, PluginEntry>> {
  // A section without anything in it is one that somebody is about to fill.
  const file = isRecord(raw)
    ? Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null))
    : raw ?? {};
  const { value, findings } = validateKnown(file, schema["~standard"].validate);
  if (value === undefined) return { value, findings };
  const entries = entriesOf(value).map(({ section, name, entry }) => {
    const kind = PLUGIN_SECTIONS[section];
    return [`${kind}/${name}`, Object.freeze({ kind, section, name, ...entry })] as const;
  });
  return { value: new Map(entries), findings };
}

interface RawEntry {
  readonly url: string;
  readonly sha256?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly allow?: PluginEntry["allow"];
}

type PluginSections = { readonly [section in PluginSection]?: Readonly<Record<string, RawEntry>> | undefined };

function entriesOf(
  file: PluginSections,
): readonly { readonly section: PluginSection; readonly name: string; readonly entry: RawEntry }[] {
  return (Object.keys(PLUGIN_SECTIONS) as PluginSection[]).flatMap((section) =>
    Object.entries(file[section] ?? {}).map(([name, entry]) => ({ section, name, entry }))
  );
}

/** Whether a plugin is fetched over the network. */
export function isRemote(url: string): boolean {
  return /^https?:/i.test(url);
}

/** Why a URL cannot be that of a plugin; `undefined` if it can. */
export function urlFault({ url, insecure }: Pick<RawEntry, "url" | "insecure">): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) return undefined;
  if (!["https", "http", "file"].includes(scheme)) return "must be an https:, http: or file: URL, or a path";
  const parsed = URL.parse(url);
  if (parsed === null) return "must be a valid URL";
  if (parsed.username !== "" || parsed.password !== "") return "must be a URL without user name and password";
  if (scheme === "file") return parsed.host === "" ? undefined : "must be a local file: URL (file:///path)";
  if (scheme === "http" && insecure !== true && !isLoopback(parsed.hostname)) {
    return "must be an https: URL; http: requires a loopback host or insecure: true";
  }
  return undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function isAddress(text: string): boolean {
  return parseEndpoint(text) !== undefined || /^unix:\/[^/]/.test(text);
}
