/**
 * What the files of the config directory may say, as plain values go in and
 * model values come out. Pure: no file, no position; {@linkcode Source} turns a
 * {@linkcode Finding} into a place.
 *
 * @module
 */
import {
  converted,
  formatPath,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  matching,
  optional,
  refined,
  seconds,
} from "../kernel/schema.ts";
import { type Cluster, CLUSTER_DEFAULTS, GUARD_DEFAULTS } from "../model/cluster.ts";
import { isHostName, isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { isRecord, type Json, METADATA_LENGTH_MAX, type Node, parsePort } from "../model/node.ts";
import type { Check, Service } from "../model/service.ts";
import type { SchemaIssue, SchemaResult } from "../plugin/contract.ts";
import type { HostSettings, PluginFile, Settings } from "./desired.ts";
import { suggest } from "./diagnostics.ts";
import type { Finding, Path } from "./source.ts";

/** A value as far as it could be used, and what there is to say of it. */
export interface Checked<T> {
  /** Absent if any finding is an error. */
  readonly value: T | undefined;
  /** Errors and warnings, in the order found. */
  readonly findings: readonly Finding[];
  /** Present if the value is absent and plugins have parts of the file: their parts, and what would do for the rest. */
  readonly draft?: T | undefined;
}

/** A value that was valid, boxed since it may be anything; or why it was not. */
type Round<T> =
  | { readonly done: Checked<T> }
  | { readonly again: unknown; readonly warnings: readonly Finding[] };

/** A validator that still finds unknown keys after so many rounds is not believed any more. */
const ROUNDS_MAX = 1_000;

/**
 * Validates a value whose unknown keys are no reason to refuse it: each becomes
 * a warning, is taken away, and the rest is validated again, until no unknown
 * key is left.
 */
export function validateKnown<T>(value: unknown, validate: (value: unknown) => SchemaResult<T>): Checked<T> {
  let warnings: readonly Finding[] = [];
  for (let round = 1;; round++) {
    const next = judgeRound(value, validate(value), warnings, round);
    if ("done" in next) return next.done;
    [value, warnings] = [next.again, next.warnings];
  }
}

/** Does what {@linkcode validateKnown} does with a validator that takes its time, as a plugin's in its worker. */
export async function validateKnownAsync<T>(
  value: unknown,
  validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>,
): Promise<Checked<T>> {
  let warnings: readonly Finding[] = [];
  for (let round = 1;; round++) {
    const next = judgeRound(value, await validate(value), warnings, round);
    if ("done" in next) return next.done;
    [value, warnings] = [next.again, next.warnings];
  }
}

function judgeRound<T>(value: unknown, result: SchemaResult<T>, before: readonly Finding[], round: number): Round<T> {
  if (result.issues === undefined) return { done: { value: result.value, findings: before } };
  const warnings: Finding[] = [];
  let rest = value;
  if (round < ROUNDS_MAX) {
    for (const issue of result.issues) {
      if (issue.unknownKey === undefined) continue;
      const path = plainPath(issue.path);
      const next = withoutKey(rest, path);
      if (next === undefined) continue;
      rest = next.value;
      warnings.push({ severity: "warning", path, at: "key", message: unknownKeyMessage(path, issue.unknownKey.known) });
    }
  }
  if (warnings.length > 0) return { again: rest, warnings: [...before, ...warnings] };
  const errors = result.issues.map((issue) => errorOf(issue));
  return { done: { value: undefined, findings: [...before, ...errors] } };
}

function unknownKeyMessage(path: Path, known: readonly string[]): string {
  const meant = suggest(String(path.at(-1)), known);
  return `Unknown key ${formatPath(path)}, which is not used: ${
    meant === undefined ? `known are ${known.toSorted().join(", ") || "none"}` : `did you mean ${meant}?`
  }`;
}

function errorOf(issue: SchemaIssue): Finding {
  return { severity: "error", path: plainPath(issue.path), at: "value", message: issue.message };
}

function plainPath(path: SchemaIssue["path"]): Path {
  return (path ?? []).map((part) => {
    const key = typeof part === "object" ? part.key : part;
    return typeof key === "number" ? key : String(key);
  });
}

/** Copies a value without one key of a map in it; `undefined` if there is no such key to take away. */
function withoutKey(value: unknown, path: Path): { readonly value: unknown } | undefined {
  const [head, ...rest] = path;
  if (head === undefined || typeof value !== "object" || value === null || !Object.hasOwn(value, head)) {
    return undefined;
  }
  if (Array.isArray(value)) {
    const inner = rest.length === 0 ? undefined : withoutKey(value[Number(head)], rest);
    return inner === undefined ? undefined : { value: value.with(Number(head), inner.value) };
  }
  const entries = Object.entries(value);
  if (rest.length === 0) return { value: Object.fromEntries(entries.filter(([key]) => key !== String(head))) };
  const inner = withoutKey((value as Record<string, unknown>)[head], rest);
  return inner === undefined
    ? undefined
    : { value: Object.fromEntries(entries.map(([key, own]) => [key, key === String(head) ? inner.value : own])) };
}

/** A name becomes a path component in the registry and the name of a section: nothing that either could misread. */
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.:-]{1,255}$/;

/** What {@linkcode isName} wants, for messages. */
export const NAME_WANTED = "a name of at most 255 letters, digits and _ . : -";

/** Whether a text can name a service, a cluster, a discovery or a balancer. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

const name = () => matching(NAME, NAME_WANTED);
const port = () => integer({ min: 1, max: 65_535 });
const host = () => converted((value) => isHost(value) ? value : undefined, "a host name or an IP address");

function isHost(value: unknown): value is string {
  return typeof value === "string" && (isHostName(value) || isIpv4(value) || isIpv6(value));
}

/** The probe's deadline when the file names none: its interval, kept between these. */
const TIMEOUT_MS = { min: 1_000, max: 5_000 };

/** The keys of a check that are the host's; all others are the plugin's. */
const CHECK_ENTRIES = {
  rise: integer({ min: 0 }),
  fall: integer({ min: 0 }),
  timeout: optional(seconds({ min: 0.01, max: 3_600 })),
  type: optional(name()),
  host: optional(host()),
  port: optional(port()),
};

const INTERVAL = seconds({ min: 0.01, max: 86_400 });

const METADATA = converted(
  toMetadata,
  `a map of what JSON can say, at most ${METADATA_LENGTH_MAX} characters`,
);

function toMetadata(value: unknown): { readonly [key: string]: Json } | undefined {
  if (value === null) return {};
  return isRecord(value) && isJson(value) && JSON.stringify(value).length <= METADATA_LENGTH_MAX ? value : undefined;
}

function isJson(value: unknown): value is { readonly [key: string]: Json } {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return ["boolean", "string", "object"].includes(typeof value);
  return Object.values(value).every((inner) => isJson(inner));
}

/** Reads a file of `services/`; `fileName` is its name without the ending. */
export function readService(raw: unknown, { fileName }: { readonly fileName: string }): Checked<Service> {
  const checks = isRecord(raw) && isRecord(raw.checks) ? raw.checks : {};
  const checkNames = Object.keys(checks).filter((key) => key !== "interval");
  const schema = houseSchema(keys({
    discovery: name(),
    name: optional(name()),
    host: optional(host()),
    port: optional(port()),
    ports: optional(isRecord(raw) && Array.isArray(raw.ports) ? list(port()) : port()),
    metadata: optional(METADATA),
    checks: keys({
      interval: INTERVAL,
      ...Object.fromEntries(checkNames.map((check) => [check, keys(CHECK_ENTRIES)])),
    }),
  }));
  const needed = refined(schema, ({ port, ports }) => port === undefined && ports === undefined ? [NO_PORTS] : []);
  const checked = validateKnown(isRecord(raw) ? hostsPart(raw) : raw, needed["~standard"].validate);
  const findings = [...checked.findings, ...checkNames.filter((check) => !isName(check)).map(badCheckName)];
  const file = checked.value;
  if (file === undefined || hasErrors(findings)) return { value: undefined, findings, draft: draftService(raw) };

  const ports = [file.ports ?? file.port ?? []].flat();
  const intervalMs = Math.round(file.checks.interval * 1_000);
  const hosts = file.checks as unknown as Readonly<Record<string, HostsCheck>>;
  const value: Service = {
    name: file.name ?? fileName,
    discovery: file.discovery,
    host: file.host ?? "127.0.0.1",
    ports: [...new Set(ports)].toSorted((a, b) => a - b),
    metadata: file.metadata ?? {},
    intervalMs,
    checks: checkNames.map((check) => readCheck(check, hosts[check], checks[check], intervalMs)),
  };
  return { value: deepFreeze(value), findings: [...findings, ...remarksOn(raw, value)] };
}

const NO_PORTS: Issue = {
  path: [],
  message: "Missing key ports: it must be a port, or a list of ports (or port, a single one)",
};

/** Answers a service file with only the host's keys left in each check. */
function hostsPart(raw: Record<string, unknown>): Record<string, unknown> {
  const { checks } = raw;
  if (!isRecord(checks)) return raw;
  const own = Object.entries(checks).map(([key, check]) => [
    key,
    key === "interval" || !isRecord(check) ? check : pick(check, (inner) => Object.hasOwn(CHECK_ENTRIES, inner)),
  ]);
  return { ...raw, checks: Object.fromEntries(own) };
}

function badCheckName(check: string): Finding {
  return {
    severity: "error",
    path: ["checks", check],
    at: "key",
    message: `Cannot use ${JSON.stringify(check)} as the name of a check as it must be ${NAME_WANTED}`,
  };
}

/** Answers what a service file that is wrong says to the plugins of its checks. */
function draftService(raw: unknown): Service | undefined {
  if (!isRecord(raw) || !isRecord(raw.checks)) return undefined;
  const valid = <T>(value: unknown, isRight: (value: unknown) => value is T) => isRight(value) ? value : undefined;
  const checks = Object.entries(raw.checks).flatMap(([key, check]): Check[] => {
    if (key === "interval" || !isName(key) || !isRecord(check)) return [];
    if (check.type !== undefined && !isNameLike(check.type)) return [];
    const own = {
      rise: 1,
      fall: 1,
      type: valid(check.type, isNameLike),
      host: valid(check.host, isHost),
    };
    return [readCheck(key, own, check, TIMEOUT_MS.max)];
  });
  const ports = [raw.ports ?? raw.port].flat().map(parsePort).filter((one) => one !== undefined);
  return deepFreeze({
    name: "",
    discovery: "",
    host: valid(raw.host, isHost) ?? "127.0.0.1",
    ports: ports.length === 0 ? [1] : ports,
    metadata: {},
    intervalMs: TIMEOUT_MS.max,
    checks,
  });
}

function isNameLike(value: unknown): value is string {
  return typeof value === "string" && isName(value);
}

/** A check's own keys as {@linkcode CHECK_ENTRIES} gives them. */
interface HostsCheck {
  readonly rise: number;
  readonly fall: number;
  readonly timeout?: number | undefined;
  readonly type?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

function readCheck(check: string, own: HostsCheck | undefined, raw: unknown, intervalMs: number): Check {
  const { rise = 1, fall = 1, timeout, type = check, host, port } = own ?? {};
  const timeoutMs = timeout === undefined
    ? Math.min(TIMEOUT_MS.max, Math.max(TIMEOUT_MS.min, intervalMs))
    : Math.round(timeout * 1_000);
  return {
    name: check,
    type,
    rise,
    // The predecessor takes a check down at once for a fall of 0, which is what 1 does.
    fall: Math.max(1, fall),
    timeoutMs,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    config: isRecord(raw) ? pick(raw, (key) => !Object.hasOwn(CHECK_ENTRIES, key)) : {},
  };
}

/** Says what is legal but seldom meant. */
function remarksOn(raw: unknown, service: Service): readonly Finding[] {
  const remarks: Finding[] = [];
  const remark = (path: Path, message: string) => remarks.push({ severity: "warning", path, at: "key", message });
  if (isRecord(raw) && Object.hasOwn(raw, "port") && Object.hasOwn(raw, "ports")) {
    remark(["port"], "Key port is not used as ports is there too");
  }
  if (service.ports.length === 0) remark(["ports"], "No port is checked or registered as ports is an empty list");
  if (service.checks.length === 0) {
    remark(["checks"], "Nothing is checked as there is no check: every port counts as up");
  }
  return remarks;
}

/**
 * Reads a file of `clusters/`. `balancers` are the names that may have a
 * section: those of the files in `balancers/`, besides HAProxy.
 */
export function readCluster(
  raw: unknown,
  { fileName, balancers }: { readonly fileName: string; readonly balancers: Iterable<string> },
): Checked<Cluster> {
  const names = [...new Set([...KNOWN_BALANCERS, ...balancers])].filter((key) => !Object.hasOwn(CLUSTER_ENTRIES, key));
  const schema = houseSchema(keys({
    ...Object.fromEntries(names.map((key) => [key, optional(SECTION)])),
    ...CLUSTER_ENTRIES,
  }));
  const used = (value: object) => names.filter((key) => Object.hasOwn(value, key));
  const noSection: Issue = {
    path: [],
    message: `Missing key ${names[0]}: a cluster must have a section for at least one balancer (${names.join(", ")})`,
  };
  const needed = refined(schema, (value) => used(value).length === 0 ? [noSection] : []);
  // A key with nothing behind it says nothing.
  const said = isRecord(raw) && raw.meta_cluster === null ? pick(raw, (key) => key !== "meta_cluster") : raw;
  const { value: file, findings } = validateKnown(said, needed["~standard"].validate);
  if (file === undefined) return { value: undefined, findings, draft: draftCluster(raw, names) };
  const sections = file as unknown as Readonly<Record<string, unknown>>;
  const value: Cluster = {
    name: file.name ?? fileName,
    discovery: file.discovery,
    ...(file.meta_cluster === undefined ? {} : { metaCluster: file.meta_cluster }),
    guard: Object.freeze({
      onEmpty: file.on_empty ?? GUARD_DEFAULTS.onEmpty,
      emptyGraceMs: toMs(file.empty_grace) ?? GUARD_DEFAULTS.emptyGraceMs,
      minNodes: file.min_nodes ?? GUARD_DEFAULTS.minNodes,
      maxNodes: file.max_nodes ?? GUARD_DEFAULTS.maxNodes,
      maxShrinkPercent: file.max_shrink_percent ?? GUARD_DEFAULTS.maxShrinkPercent,
      shrinkGraceMs: toMs(file.shrink_grace) ?? GUARD_DEFAULTS.shrinkGraceMs,
    }),
    defaultServers: Object.freeze(file.default_servers ?? []),
    balancers: new Map(used(file).map((key) => [key, deepFreeze(sections[key])])),
  };
  return { value: Object.freeze(value), findings };
}

/** Answers what a cluster's file that is wrong says to the balancers. */
function draftCluster(raw: unknown, names: readonly string[]): Cluster | undefined {
  if (!isRecord(raw)) return undefined;
  const sections = names.flatMap((name) => {
    const section = raw[name] ?? {};
    return Object.hasOwn(raw, name) && isRecord(section) ? [[name, deepFreeze(section)] as const] : [];
  });
  return Object.freeze({ ...CLUSTER_DEFAULTS, name: "", discovery: "", balancers: new Map(sections) });
}

/** Balancers whose section in a cluster's file is known even while their own file is missing. */
const KNOWN_BALANCERS: readonly string[] = ["haproxy"];

const CLUSTER_ENTRIES = {
  discovery: name(),
  name: optional(name()),
  meta_cluster: optional(name()),
  on_empty: optional(converted((value) => value === "keep" || value === "clear" ? value : undefined, "keep or clear")),
  empty_grace: optional(seconds({ min: 0, max: 3_600 })),
  min_nodes: optional(integer({ min: 0, max: 100_000 })),
  max_nodes: optional(integer({ min: 1, max: 100_000 })),
  max_shrink_percent: optional(integer({ min: 0, max: 100 })),
  shrink_grace: optional(seconds({ min: 0, max: 86_400 })),
  default_servers: optional(
    list(converted(parseServer, "ADDRESS:PORT, with an IPv4 address or an IPv6 one in brackets")),
  ),
};

/** A server without a name is called by its address. */
function parseServer(value: unknown): Node | undefined {
  const address = typeof value === "string" ? parseEndpoint(value) : undefined;
  if (address === undefined || !(isIpv4(address.host) || isIpv6(address.host))) return undefined;
  return Object.freeze({ host: address.host, ip: address.host, port: address.port, metadata: {} });
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

const SECTION = converted((value) => value === null ? {} : isRecord(value) ? value : undefined, "a map");

/** Reads a file of `discovery/` or `balancers/`; all but `type` is left for its plugin to judge. */
export function readPluginFile(raw: unknown, { fileName }: { readonly fileName: string }): Checked<PluginFile> {
  const file = raw ?? {};
  const schema = houseSchema(keys({ type: optional(name()) }));
  const { value, findings } = validateKnown(
    isRecord(file) ? pick(file, (key) => key === "type") : file,
    schema["~standard"].validate,
  );
  if (value === undefined || !isRecord(file)) return { value: undefined, findings };
  const config = pick(file, (key) => key !== "type");
  return { value: deepFreeze({ name: fileName, type: value.type ?? fileName, config }), findings };
}

/** What `lighthouse.yaml` says when it says nothing. */
export const DEFAULT_SETTINGS: Settings = Object.freeze({
  isolation: "worker",
  updates: Object.freeze({ quietMs: 50, maxMs: 500 }),
});

const SETTINGS = refined(
  houseSchema(keys({
    isolation: optional(
      converted((value) => value === "worker" || value === "shared" ? value : undefined, "worker or shared"),
    ),
    updates: optional(keys({
      quiet: optional(seconds({ min: 0, max: 60 }), DEFAULT_SETTINGS.updates.quietMs / 1_000),
      max: optional(seconds({ min: 0, max: 60 }), DEFAULT_SETTINGS.updates.maxMs / 1_000),
    })),
    plugin_cache: optional(matching(/^\/./, "an absolute path")),
    topology_file: optional(matching(/^\/.*[^/]$/, "the absolute path of a file")),
  })),
  ({ updates }) =>
    updates !== undefined && updates.quiet > updates.max
      ? [{
        path: ["updates"],
        message: `Cannot use updates as quiet must be <= max: current values are ${updates.quiet} and ${updates.max}`,
      }]
      : [],
);

/** Reads `lighthouse.yaml`. */
export function readSettings(raw: unknown): Checked<Settings> {
  const { value, findings } = validateKnown(raw ?? {}, SETTINGS["~standard"].validate);
  if (value === undefined) return { value, findings };
  const { isolation = DEFAULT_SETTINGS.isolation, updates, plugin_cache: pluginCache, topology_file: topologyFile } =
    value;
  const settings = {
    isolation,
    updates: updates === undefined
      ? DEFAULT_SETTINGS.updates
      : { quietMs: updates.quiet * 1_000, maxMs: updates.max * 1_000 },
    ...pluginCache === undefined ? {} : { pluginCache },
    ...topologyFile === undefined ? {} : { topologyFile },
  };
  return { value: deepFreeze(settings), findings };
}

/** What `host.yaml` says when it says nothing. */
export const DEFAULT_HOST: HostSettings = Object.freeze({});

const HOST = houseSchema(keys({
  name: optional(
    converted((value) => typeof value === "string" && isHostName(value) ? value : undefined, "a host name"),
  ),
  ip: optional(
    converted(
      (value) => typeof value === "string" && (isIpv4(value) || isIpv6(value)) ? value : undefined,
      "an IPv4 or IPv6 address",
    ),
  ),
  peer_port: optional(port()),
}));

/** Reads `host.yaml`. */
export function readHost(raw: unknown): Checked<HostSettings> {
  const { value, findings } = validateKnown(raw ?? {}, HOST["~standard"].validate);
  if (value === undefined) return { value, findings };
  const { name, ip, peer_port } = value;
  return {
    value: Object.freeze({
      ...(name === undefined ? {} : { name }),
      ...(ip === undefined ? {} : { ip }),
      ...(peer_port === undefined ? {} : { peerPort: peer_port }),
    }),
    findings,
  };
}

/** Whether a finding among them is an error. */
function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.severity === "error");
}

function pick(map: Record<string, unknown>, wanted: (key: string) => boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([key]) => wanted(key)));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
