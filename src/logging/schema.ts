/**
 * What `logging.yaml` may say: the schema of Python's `logging.config.dictConfig`,
 * as far as configuration files use it. Pure.
 *
 * @module
 */
import { suggest } from "../kernel/suggest.ts";
import type { Finding, Path } from "../kernel/findings.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import {
  converted,
  flag,
  formatPath,
  houseSchema,
  type Issue,
  keys,
  list,
  mapOf,
  optional,
  text,
} from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import { compileFormat, RECORD_FIELDS } from "./format.ts";
import { type Arguments, type Entries, HANDLER_CLASSES, type HandlerClass, SWITCH } from "./handler_classes.ts";
import { DEFAULT_LOGGER, type HandlerPlan, LEVELS, type LogFormat, type LoggerPlan, type Logging } from "./plan.ts";
import { unknownDirectives } from "./wall_time.ts";

const LEVEL = converted(toLevel, `one of ${[...LEVELS.keys()].join(", ")}, or a number`);

function toLevel(value: unknown): number | undefined {
  if (typeof value === "string") return LEVELS.get(value.toUpperCase());
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : undefined;
}

const ANYTHING = converted((value) => ({ value }), "a value");

const CONTEXT_FILTERS: readonly string[] = ["lighthouse.log.ContextFilter", "lighthouse.log.context.ContextFilter"];

/** What a handler and a logger have in common. */
const COMMON = { level: optional(LEVEL), filters: optional(list(text())) };
const LOGGER = keys({ ...COMMON, handlers: optional(list(text())), propagate: optional(SWITCH) });
const FORMATTER = keys({
  format: optional(text()),
  fmt: optional(text()),
  datefmt: optional(text()),
  style: optional(text()),
  validate: optional(SWITCH),
  class: optional(text()),
  "()": optional(text()),
});
const NO_CLASS = converted(
  (value) => isRecord(value) && typeof classOf(value) === "string" ? value : undefined,
  "a map with a class",
);

/** The class of a handler or a formatter, by either of the keys that name one. */
function classOf(raw: unknown): string | undefined {
  if (!isRecord(raw)) return undefined;
  const named = raw["()"] ?? raw.class;
  return typeof named === "string" ? named : undefined;
}

/** The file as its schema gives it. */
interface LoggingFile {
  readonly disable_existing_loggers?: boolean;
  readonly formatters?: Readonly<Record<string, FormatterFile>>;
  readonly filters?: Readonly<Record<string, { readonly value: unknown }>>;
  readonly handlers?: Readonly<Record<string, HandlerFile>>;
  readonly loggers?: Readonly<Record<string, LoggerFile>>;
  readonly root?: LoggerFile;
}

interface FormatterFile {
  readonly format?: string;
  readonly fmt?: string;
  readonly datefmt?: string;
  readonly style?: string;
}

interface HandlerFile extends Arguments {
  readonly level?: number;
  readonly formatter?: string;
  readonly filters?: readonly string[];
}

interface LoggerFile {
  readonly level?: number;
  readonly propagate?: boolean;
  readonly handlers?: readonly string[];
  readonly filters?: readonly string[];
}

/**
 * Reads `logging.yaml`. Legal Python that Lighthouse has no counterpart for, such
 * as a handler class of someone's own, is a warning and is left out; the rest is
 * used.
 */
export function readLogging(raw: unknown): Checked<Logging> {
  const file = withoutNulls(raw, NULLS_DEPTH);
  const parts = isRecord(file) ? file : {};
  const { value, findings } = validateKnown(file, houseSchema(schemaFor(parts))["~standard"].validate);
  // What one part says of others is checked whatever else is wrong with the file.
  const faults = faultsOf(parts).map((issue): Finding => ({ severity: "error", at: "value", ...issue }));
  const remarks = [...findings, ...faults, ...remarksOn(parts)];
  if (value === undefined || faults.length > 0) return { value: undefined, findings: remarks };
  return { value: toLogging(value as unknown as LoggingFile, parts), findings: remarks };
}

/** A key without a value is no key to dictConfig, but at this depth the values of a handler begin. */
const NULLS_DEPTH = 3;

function withoutNulls(value: unknown, depth: number): unknown {
  if (depth === 0 || !isRecord(value)) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutNulls(inner, depth - 1)]));
}

/** The schema depends on the classes that the file names. */
function schemaFor(parts: Record<string, unknown>) {
  return keys({
    version: converted((value) => value === 1 ? value : undefined, "1"),
    formatters: optional(mapOf(FORMATTER)),
    filters: optional(mapOf(ANYTHING)),
    handlers: optional(named(parts.handlers, handlerSchema)),
    loggers: optional(mapOf(LOGGER)),
    root: optional(LOGGER),
    incremental: optional(flag()),
    disable_existing_loggers: optional(SWITCH),
  });
}

function named(raw: unknown, schemaOf: (value: unknown) => Entries[string]) {
  const entries = isRecord(raw) ? Object.entries(raw) : [];
  return keys(Object.fromEntries(entries.map(([key, value]) => [key, schemaOf(value)])));
}

function handlerSchema(raw: unknown): Entries[string] {
  const known = HANDLER_CLASSES.get(classOf(raw) ?? "");
  const own = { class: optional(text()), "()": optional(text()), ...COMMON, formatter: optional(text()) };
  if (known !== undefined) return keys({ ...own, ...known.entries });
  if (classOf(raw) === undefined) return NO_CLASS;
  // Of a class that is not known, only the keys that all handlers have are looked at.
  const rest = isRecord(raw) ? Object.keys(raw).filter((key) => !Object.hasOwn(own, key)) : [];
  return keys({ ...own, ...Object.fromEntries(rest.map((key) => [key, ANYTHING])) });
}

/** What is wrong between the parts of a file. */
function faultsOf(parts: Record<string, unknown>): readonly Issue[] {
  const { formatters, filters, handlers, loggers, root } = parts;
  const faults = entriesOf(formatters).flatMap(([name, formatter]) => formatFaults(name, formatter));
  for (const [name, handler] of entriesOf(handlers)) {
    if (handler.formatter !== "") {
      faults.push(...unknownNames(["handlers", name, "formatter"], handler.formatter, formatters));
    }
    faults.push(...unknownNames(["handlers", name, "filters"], handler.filters, filters));
  }
  const all = [
    ...entriesOf(loggers).map(([name, logger]) => [["loggers", name], logger] as const),
    ...entriesOf({ root }).map(([name, logger]) => [[name], logger] as const),
  ];
  for (const [path, logger] of all) {
    faults.push(...unknownNames([...path, "handlers"], logger.handlers, handlers));
    faults.push(...unknownNames([...path, "filters"], logger.filters, filters));
  }
  return faults;
}

function formatFaults(name: string, formatter: Record<string, unknown>): Issue[] {
  const { format, fmt, style = "%" } = formatter;
  const own = format ?? fmt;
  if (typeof own !== "string" || own === "" || style !== "%") return [];
  const compiled = compileFormat(own);
  if (compiled.ok) return [];
  const path = ["formatters", name, formatter.format === undefined ? "fmt" : "format"];
  return [{ path, message: cannot(path, compiled.wanted, own) }];
}

/** A formatter's format; empty if the file gives none, or one of a style that is not used. */
function ownFormat({ format, fmt, style = "%" }: FormatterFile): string {
  return style === "%" ? format ?? fmt ?? "" : "";
}

/** Names that are not defined; what is no name is a fault of its own. */
function unknownNames(path: Path, names: unknown, defined: unknown): readonly Issue[] {
  const known = isRecord(defined) ? Object.keys(defined) : [];
  const kind = path.at(-1) === "formatter" ? "formatter" : String(path.at(-1)).replace(/s$/, "");
  const wanted = known.length === 0 ? `a ${kind}, of which none is defined` : `one of the ${kind}s ${known.join(", ")}`;
  const given: readonly (readonly [Path, unknown])[] = Array.isArray(names)
    ? names.map((name, i) => [[...path, i], name])
    : [[path, names]];
  return given.flatMap(([at, name]) =>
    typeof name !== "string" || known.includes(name) ? [] : [{ path: at, message: cannot(at, wanted, name) }]
  );
}

function cannot(path: Path, wanted: string, value: unknown): string {
  return `Cannot use ${formatPath(path)} as it must be ${wanted}: current value is ${JSON.stringify(value)}`;
}

/** Legal Python that is left out, or means something else here. */
function remarksOn(parts: Record<string, unknown>): readonly Finding[] {
  const remarks: Finding[] = [];
  const remark = (path: Path, message: string, at: "key" | "value" = "value") =>
    remarks.push({ severity: "warning", path, at, message });
  for (const [name, handler] of entriesOf(parts.handlers)) {
    const own = classOf(handler);
    if (own === undefined) continue;
    const path = ["handlers", name, Object.hasOwn(handler, "()") ? "()" : "class"];
    const known = [...HANDLER_CLASSES.keys()];
    if (!known.includes(own)) {
      remark(path, `Unknown handler ${JSON.stringify(own)}, which is not used: ${meant(own, known)}`);
    }
    const { encoding } = handler;
    if (typeof encoding === "string" && !/^(?:utf[-_]?8|u8|ascii|us-ascii)$/i.test(encoding)) {
      remark(["handlers", name, "encoding"], `Key encoding is not used: files are written in UTF-8`, "key");
    }
  }
  for (const [name, filter] of entriesOf(parts.filters)) {
    const own = filter["()"];
    const known = [...CONTEXT_FILTERS, "logging.Filter"];
    if (typeof own !== "string" || known.includes(own)) continue;
    remark(
      ["filters", name, "()"],
      `Unknown filter ${JSON.stringify(own)}, which lets all records pass: ${meant(own, known)}`,
    );
  }
  for (const [name, formatter] of entriesOf(parts.formatters)) remarks.push(...formatterRemarks(name, formatter));
  if (parts.disable_existing_loggers === true && !entriesOf(parts.loggers).some(([name]) => name === "lighthouse")) {
    const message = "Loggers that the file does not name are silent: write false if they are to be heard";
    remark(["disable_existing_loggers"], message, "key");
  }
  if (parts.incremental === true) {
    remark(["incremental"], "Key incremental is not used: the file replaces the previous one whole", "key");
  }
  return remarks;
}

function formatterRemarks(name: string, formatter: Record<string, unknown>): readonly Finding[] {
  const remarks: Finding[] = [];
  const own = classOf(formatter);
  if (own !== undefined && own !== "logging.Formatter") {
    const path = ["formatters", name, Object.hasOwn(formatter, "()") ? "()" : "class"];
    const message = `Unknown formatter ${
      JSON.stringify(own)
    }, which is not used: records are written by the key format alone`;
    remarks.push({ severity: "warning", path, at: "value", message });
  }
  const remark = (key: string, message: string) =>
    remarks.push({ severity: "warning", path: ["formatters", name, key], at: "value", message });
  const { style = "%", format, fmt, datefmt } = formatter;
  if (style !== "%") {
    remark("style", `Style ${JSON.stringify(style)} is not supported; records are written as %(message)s. Use style %`);
  }
  const pattern = format ?? fmt;
  const key = format === undefined ? "fmt" : "format";
  const compiled = typeof pattern === "string" && style === "%" ? compileFormat(pattern) : undefined;
  if (compiled?.ok) {
    for (const field of compiled.unknown) {
      remark(key, `Unknown field ${field}, written as -: ${meant(field, [...RECORD_FIELDS.keys()])}`);
    }
    for (const conversion of compiled.unsupported) {
      remark(key, `Conversion ${conversion} is not supported; written as %s. Use s, d or f, with width and precision`);
    }
  }
  for (const directive of typeof datefmt === "string" ? unknownDirectives(datefmt) : []) {
    remark("datefmt", `Directive ${directive} is not supported; written as it is`);
  }
  return remarks;
}

function meant(word: string, known: readonly string[]): string {
  const suggestion = suggest(word, known);
  return suggestion === undefined ? `known are ${known.join(", ")}` : `did you mean ${suggestion}?`;
}

function entriesOf(raw: unknown): readonly (readonly [string, Record<string, unknown>])[] {
  return isRecord(raw)
    ? Object.entries(raw).filter((entry): entry is [string, Record<string, unknown>] => isRecord(entry[1]))
    : [];
}

function toLogging(file: LoggingFile, parts: Record<string, unknown>): Logging {
  const { formatters = {}, loggers = {}, root, disable_existing_loggers = false } = file;
  const filters = new Map(entriesOf(parts.filters));
  const raw = new Map(entriesOf(parts.handlers));
  const usable = Object.entries(file.handlers ?? {}).flatMap(([name, handler]) => {
    const known = HANDLER_CLASSES.get(classOf(raw.get(name)) ?? "");
    return known === undefined ? [] : [[name, toHandler(handler, known, { formatters, filters })] as const];
  });
  const handlers = Object.fromEntries(usable);
  const levels = Object.entries(file.handlers ?? {}).flatMap(([name, { level }]) =>
    level === undefined ? [] : [[name, level]]
  );
  const toLogger = (logger: LoggerFile): LoggerPlan => ({
    level: logger.level,
    propagate: logger.propagate,
    handlers: (logger.handlers ?? []).filter((name) => Object.hasOwn(handlers, name)),
    only: namesOf(logger.filters, filters),
  });
  return Object.freeze({
    disableOthers: disable_existing_loggers,
    root: root === undefined ? DEFAULT_LOGGER : toLogger(root),
    loggers: Object.fromEntries(Object.entries(loggers).map(([name, logger]) => [name, toLogger(logger)])),
    handlers,
    handlerLevels: Object.fromEntries(levels),
  });
}

type Filters = ReadonlyMap<string, Record<string, unknown>>;

function toHandler(
  handler: HandlerFile,
  known: HandlerClass,
  { formatters, filters }: { readonly formatters: Readonly<Record<string, FormatterFile>>; readonly filters: Filters },
): HandlerPlan {
  const formatter = handler.formatter === undefined ? undefined : formatters[handler.formatter];
  const format = formatter === undefined ? known.format ?? MESSAGE_ALONE : toFormat(formatter);
  return { only: namesOf(handler.filters, filters), format, output: known.output(handler) };
}

const MESSAGE_ALONE: LogFormat = { format: "%(message)s" };

function toFormat(formatter: FormatterFile): LogFormat {
  const { datefmt } = formatter;
  return { format: ownFormat(formatter) || MESSAGE_ALONE.format, ...datefmt !== undefined && { datefmt } };
}

/** The loggers that filters let pass: those of `logging.Filter`, the only ones that keep anything back. */
function namesOf(names: readonly string[] = [], filters: Filters): readonly string[] {
  return names.flatMap((key) => {
    const { "()": own, name } = filters.get(key) ?? {};
    return (own === undefined || own === "logging.Filter") && typeof name === "string" && name !== "" ? [name] : [];
  });
}
