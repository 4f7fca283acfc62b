/**
 * What a file of `services/` may say: a plain value goes in, a service comes
 * out, and of its checks what is the host's. Pure.
 *
 * @module
 */
import {
  converted,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  optional,
  refined,
  seconds,
} from "../kernel/schema.ts";
import {
  isRecord,
  type Json,
  LABEL_LENGTH_MAX,
  LABELS_MAX,
  METADATA_LENGTH_MAX,
  type Node,
  parseLabels,
  parsePort,
  PRIORITY_MAX,
  WEIGHT_MAX,
} from "../model/node.ts";
import type { Check, Service } from "../model/service.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import { deepFreeze, host, isHost, isName, name, namesMeant, pick, port, SECTION } from "./schema_words.ts";
import type { Finding, Path } from "../kernel/findings.ts";
import {
  badCheckNames,
  CHECK_ENTRIES,
  HOST_KEYS,
  type HostsCheck,
  readCheck,
  TIMEOUT_MS,
  withoutPluginKeys,
} from "./check_schema.ts";
import { discoveryEntry, draftSources, readSources, unusedSections } from "./sources_schema.ts";

/** The keys of `checks` that are no check. */
const ROUND_ENTRIES = {
  interval: seconds({ min: 0.01, max: 86_400 }),
  unknown_grace: optional(seconds({ min: 0, max: 86_400 }), 60),
};

/** Whether a key of `checks` names a check. */
function isCheckName(key: string): boolean {
  return !Object.hasOwn(ROUND_ENTRIES, key);
}

const METADATA = converted(
  toMetadata,
  `a map of JSON values, at most ${METADATA_LENGTH_MAX} characters`,
);

const LABELS = converted(toLabels, `a map of at most ${LABELS_MAX} labels of at most ${LABEL_LENGTH_MAX} characters`);

/** The keys of a service but for `checks`, and `ports` by itself. */
const SERVICE_ENTRIES = {
  discovery: discoveryEntry(),
  name: optional(name()),
  host: optional(host()),
  port: optional(port()),
  ports: optional(port()),
  metadata: optional(METADATA),
  weight: optional(integer({ min: 0, max: WEIGHT_MAX })),
  priority: optional(integer({ min: 0, max: PRIORITY_MAX })),
  labels: optional(LABELS),
};

/** YAML reads some labels as numbers and booleans. */
function toLabels(value: unknown): Node["labels"] {
  if (!isRecord(value)) return undefined;
  const isPlain = (each: unknown) => typeof each === "number" || typeof each === "boolean";
  return parseLabels(
    Object.fromEntries(Object.entries(value).map(([name, each]) => [name, isPlain(each) ? String(each) : each])),
  );
}

function toMetadata(value: unknown): { readonly [key: string]: Json } | undefined {
  if (value === null) return {};
  return isRecord(value) && isJson(value) && JSON.stringify(value).length <= METADATA_LENGTH_MAX ? value : undefined;
}

function isJson(value: unknown): value is { readonly [key: string]: Json } {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return ["boolean", "string", "object"].includes(typeof value);
  return Object.values(value).every((inner) => isJson(inner));
}

/** The keys of a service's file whose checks have these names. */
export function serviceSchema({ checkNames, hasList, known, registries = [] }: {
  readonly checkNames: readonly string[];
  readonly hasList: boolean;
  /** The discoveries that there are. */
  readonly known?: readonly string[];
  /** The discoveries that may have a section. */
  readonly registries?: readonly string[];
}) {
  return houseSchema(keys({
    ...Object.fromEntries(registries.map((registry) => [registry, optional(SECTION)])),
    ...SERVICE_ENTRIES,
    discovery: discoveryEntry(known),
    ports: optional(hasList ? list(port()) : port()),
    checks: keys({
      ...ROUND_ENTRIES,
      ...Object.fromEntries(checkNames.map((check) => [check, keys(CHECK_ENTRIES)])),
    }),
  }));
}

/**
 * Reads a file of `services/`; `fileName` is its name without the ending,
 * `plugins` are the names of the checks that there are, `discovery` those of
 * the files in `discovery/`, which may have a section.
 */
export function readService(
  given: unknown,
  { fileName, plugins = [], discovery = [] }: {
    readonly fileName: string;
    readonly plugins?: readonly string[];
    readonly discovery?: readonly string[];
  },
): Checked<Service> {
  const registries = namesMeant(given, discovery).filter((key) => serviceSectionOwner(key, plugins) === undefined);
  const { raw, findings: misplaced } = withoutMisplaced(given, { plugins, registries });
  const checks = isRecord(raw) && isRecord(raw.checks) ? raw.checks : {};
  const checkNames = Object.keys(checks).filter(isCheckName);
  const hasList = isRecord(raw) && Array.isArray(raw.ports);
  const schema = serviceSchema({ checkNames, hasList, known: discovery, registries });
  const needed = refined(schema, ({ port, ports }) => port === undefined && ports === undefined ? [NO_PORTS] : [], [
    "port",
    "ports",
  ]);
  const checked = validateKnown(isRecord(raw) ? hostsPart(raw) : raw, needed["~standard"].validate);
  const file = checked.value;
  const sections = file as unknown as Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;
  const sectionOf = (key: string) => registries.includes(key) ? sections[key] : undefined;
  const read = file && readSources(file.discovery, { known: discovery, sectionOf });
  const findings = [
    ...misplaced,
    ...checked.findings,
    ...read?.findings ?? [],
    ...badCheckNames(["checks"], checkNames),
  ];
  if (file === undefined || read === undefined || hasErrors(findings)) {
    return { value: undefined, findings, draft: draftService(raw, { registries, known: discovery }) };
  }

  const ports = [file.ports ?? file.port ?? []].flat();
  const intervalMs = Math.round(file.checks.interval * 1_000);
  const hosts = file.checks as unknown as Readonly<Record<string, HostsCheck>>;
  const value: Service = {
    name: file.name ?? fileName,
    sources: read.sources,
    host: file.host ?? "127.0.0.1",
    ports: [...new Set(ports)].toSorted((a, b) => a - b),
    metadata: file.metadata ?? {},
    ...file.weight !== undefined && { weight: file.weight },
    ...file.priority !== undefined && { priority: file.priority },
    ...file.labels !== undefined && { labels: file.labels },
    intervalMs,
    unknownGraceMs: Math.round(file.checks.unknown_grace * 1_000),
    checks: checkNames.map((check) => readCheck(check, hosts[check], checks[check], { intervalMs })),
  };
  return {
    value: deepFreeze(value),
    findings: [...findings, ...remarksOn(raw, value), ...unusedSections(file, { registries, said: file.discovery })],
  };
}

/** Who else has a section or a key of that name in a service's file; `undefined` if nobody has. */
export function serviceSectionOwner(name: string, checks: readonly string[]): string | undefined {
  if (name === "checks" || Object.hasOwn(SERVICE_ENTRIES, name)) return `the ${name} key of services`;
  return checks.includes(name) ? `the ${name} check` : undefined;
}

const NO_PORTS: Issue = {
  path: [],
  message: "Missing key ports: must be a port or a list of ports",
};

/**
 * Takes away what stands at a wrong depth, and says where it belongs: a check or
 * a key of `checks` beside it, which would leave the service without what it
 * says, and a key of a check in `checks` itself.
 */
function withoutMisplaced(
  raw: unknown,
  { plugins, registries }: { readonly plugins: readonly string[]; readonly registries: readonly string[] },
): { readonly raw: unknown; readonly findings: readonly Finding[] } {
  if (!isRecord(raw)) return { raw, findings: [] };
  const isCheck = (key: string) =>
    key !== "checks" && !Object.hasOwn(SERVICE_ENTRIES, key) && !registries.includes(key) &&
    (plugins.includes(key) || isLikeCheck(raw[key]));
  const isRound = (key: string) => Object.hasOwn(ROUND_ENTRIES, key) && !registries.includes(key);
  const beside = Object.keys(raw).filter(isCheck);
  const rounds = Object.keys(raw).filter((key) => isRound(key) && !isCheck(key));
  const { checks } = raw;
  const above = isRecord(checks)
    ? Object.keys(checks).filter((key) => Object.hasOwn(CHECK_ENTRIES, key) && !isRecord(checks[key]))
    : [];
  const error = (path: Path, message: string): Finding => ({ severity: "error", path, at: "key", message });
  const findings = [
    ...beside.map((key) => error([key], `Cannot use ${key} here: ${key} is a check and belongs under checks`)),
    ...rounds.map((key) => error([key], `Cannot use ${key} here: ${key} belongs under checks`)),
    ...above.map((key) =>
      error(["checks", key], `Cannot use checks.${key}: ${key} belongs in a single check; use checks.NAME.${key}`)
    ),
  ];
  if (findings.length === 0) return { raw, findings };
  const rest = pick(raw, (key) => !isCheck(key) && !isRound(key));
  if (isRecord(checks)) rest.checks = pick(checks, (key) => !above.includes(key));
  return { raw: rest, findings };
}

/** Whether a map is a check by its keys, whatever it is called: one with a name of its own, or a misspelt one. */
function isLikeCheck(value: unknown): boolean {
  return isRecord(value) && ["rise", "fall"].some((key) => Object.hasOwn(value, key));
}

/** Answers a service file with only the host's keys left in each check. */
function hostsPart(raw: Record<string, unknown>): Record<string, unknown> {
  const { checks } = raw;
  return isRecord(checks)
    ? { ...raw, checks: withoutPluginKeys(checks, { isCheck: isCheckName, own: HOST_KEYS }) }
    : raw;
}

/** Answers what a service file that is wrong says to the plugins of its checks. */
function draftService(
  raw: unknown,
  names: { readonly registries: readonly string[]; readonly known: readonly string[] },
): Service | undefined {
  if (!isRecord(raw) || !isRecord(raw.checks)) return undefined;
  const valid = <T>(value: unknown, isRight: (value: unknown) => value is T) => isRight(value) ? value : undefined;
  const checks = Object.entries(raw.checks).flatMap(([key, check]): Check[] => {
    if (!isCheckName(key) || !isName(key) || !isRecord(check)) return [];
    if (check.type !== undefined && !isNameLike(check.type)) return [];
    const own = {
      rise: 1,
      fall: 1,
      type: valid(check.type, isNameLike),
      host: valid(check.host, isHost),
    };
    return [readCheck(key, own, check, { intervalMs: TIMEOUT_MS.max })];
  });
  const ports = [raw.ports ?? raw.port].flat().map(parsePort).filter((one) => one !== undefined);
  return deepFreeze({
    name: "",
    sources: draftSources(raw, names),
    host: valid(raw.host, isHost) ?? "127.0.0.1",
    ports: ports.length === 0 ? [1] : ports,
    metadata: {},
    intervalMs: TIMEOUT_MS.max,
    unknownGraceMs: 0,
    checks,
  });
}

function isNameLike(value: unknown): value is string {
  return typeof value === "string" && isName(value);
}

/** Says what is legal but seldom meant. */
function remarksOn(raw: unknown, service: Service): readonly Finding[] {
  const remarks: Finding[] = [];
  const remark = (path: Path, message: string) => remarks.push({ severity: "warning", path, at: "key", message });
  if (isRecord(raw) && Object.hasOwn(raw, "port") && Object.hasOwn(raw, "ports")) {
    remark(["port"], "The port key is ignored: ports takes precedence");
  }
  if (service.ports.length === 0) remark(["ports"], "No port is checked or registered: ports is an empty list");
  if (service.checks.length === 0) {
    remark(["checks"], "No checks configured: every port counts as up");
  }
  return remarks;
}

/** Whether a finding among them is an error. */
function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.severity === "error");
}
