/**
 * What `logging.yaml` may say: the schema of Python's `logging.config.dictConfig`.
 * Pure.
 *
 * @module
 */
import { compileFormat, type FormatStyle } from "../kernel/format_string.ts";
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
  refined,
  text,
} from "../kernel/schema.ts";
import {
  DEFAULT_LOGGER,
  type HandlerPlan,
  LEVELS,
  type LogFormat,
  type LoggerPlan,
  type Logging,
  RECORD_FIELDS,
} from "../model/logging.ts";
import { isRecord } from "../model/node.ts";
import { suggest } from "./diagnostics.ts";
import { type Arguments, type Entries, HANDLER_CLASSES, type HandlerClass, oneOf, SWITCH } from "./logging_handlers.ts";
import { type Checked, validateKnown } from "./known_keys.ts";
import type { Finding, Path } from "./findings.ts";

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
  style: optional(oneOf({ "%": "%", "{": "{", "$": "$" } as const, "%, { or $")),
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
  readonly incremental?: boolean;
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
  readonly style?: FormatStyle;
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
 * Reads `logging.yaml`. What other Python programs would find elsewhere, as a
 * handler of their own, is warned of and left out; the rest is in force.
 */
export function readLogging(raw: unknown): Checked<Logging> {
  const file = withoutNulls(raw, NULLS_DEPTH);
  const parts = isRecord(file) ? file : {};
  const incremental = parts.incremental === true;
  const schema = refined(
    houseSchema(schemaFor(parts, incremental)),
    (value) => faultsOf(value as unknown as LoggingFile, incremental),
  );
  const { value, findings } = validateKnown(file, schema["~standard"].validate);
  const remarks = [...findings, ...remarksOn(parts, incremental)];
  if (value === undefined) return { value, findings: remarks };
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
function schemaFor(parts: Record<string, unknown>, incremental: boolean) {
  return keys({
    version: converted((value) => value === 1 ? value : undefined, "1"),
    formatters: optional(mapOf(FORMATTER)),
    filters: optional(mapOf(ANYTHING)),
    handlers: optional(named(parts.handlers, (handler) => handlerSchema(handler, incremental))),
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

function handlerSchema(raw: unknown, incremental: boolean): Entries[string] {
  const known = HANDLER_CLASSES.get(classOf(raw) ?? "");
  const own = { class: optional(text()), "()": optional(text()), ...COMMON, formatter: optional(text()) };
  if (known !== undefined) return keys({ ...own, ...known.entries });
  if (!incremental && classOf(raw) === undefined) return NO_CLASS;
  // Of what we do not have, and of what is there already, only what all handlers have is looked at.
  const rest = isRecord(raw) ? Object.keys(raw).filter((key) => !Object.hasOwn(own, key)) : [];
  return keys({ ...own, ...Object.fromEntries(rest.map((key) => [key, ANYTHING])) });
}

/** What is wrong between the parts of a file whose keys are all fine. */
function faultsOf(file: LoggingFile, incremental: boolean): readonly Issue[] {
  if (incremental) return [];
  const { formatters = {}, filters = {}, handlers = {}, loggers = {}, root = {} } = file;
  const faults = Object.entries(formatters).flatMap(([name, formatter]) => formatFaults(name, formatter));
  for (const [name, handler] of Object.entries(handlers)) {
    if (handler.formatter !== undefined && handler.formatter !== "") {
      faults.push(...unknownNames(["handlers", name, "formatter"], handler.formatter, formatters));
    }
    faults.push(...unknownNames(["handlers", name, "filters"], handler.filters ?? [], filters));
  }
  const all = [
    ...Object.entries(loggers).map(([name, logger]) => [["loggers", name], logger] as const),
    [["root"], root] as const,
  ];
  for (const [path, logger] of all) {
    faults.push(...unknownNames([...path, "handlers"], logger.handlers ?? [], handlers));
    faults.push(...unknownNames([...path, "filters"], logger.filters ?? [], filters));
  }
  return faults;
}

function formatFaults(name: string, { format, fmt, style = "%" }: FormatterFile): Issue[] {
  const own = format ?? fmt ?? "";
  if (own === "") return [];
  const compiled = compileFormat(style, own, (field) => RECORD_FIELDS.get(field));
  if (compiled.ok) return [];
  const path = ["formatters", name, format === undefined ? "fmt" : "format"];
  return [{ path, message: cannot(path, compiled.wanted, own) }];
}

function unknownNames(path: Path, names: string | readonly string[], defined: object): readonly Issue[] {
  const known = Object.keys(defined);
  const kind = path.at(-1) === "formatter" ? "formatter" : String(path.at(-1)).replace(/s$/, "");
  const wanted = known.length === 0 ? `a ${kind}, of which none is defined` : `one of the ${kind}s ${known.join(", ")}`;
  const given = typeof names === "string"
    ? [[path, names] as const]
    : names.map((name, i) => [[...path, i], name] as const);
  return given.flatMap(([at, name]) => known.includes(name) ? [] : [{ path: at, message: cannot(at, wanted, name) }]);
}

function cannot(path: Path, wanted: string, value: unknown): string {
  return `Cannot use ${formatPath(path)} as it must be ${wanted}: current value is ${JSON.stringify(value)}`;
}

/** What is legal, and left out or written otherwise here. */
function remarksOn(parts: Record<string, unknown>, incremental: boolean): readonly Finding[] {
  if (incremental) return [];
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
  const { style = "%", format, fmt } = formatter;
  const text = format ?? fmt;
  if (typeof text !== "string" || (style !== "%" && style !== "{" && style !== "$")) return remarks;
  const compiled = compileFormat(style, text, (field) => RECORD_FIELDS.get(field));
  const path = ["formatters", name, format === undefined ? "fmt" : "format"];
  for (const field of compiled.ok ? compiled.unknown : []) {
    const message = `Unknown field ${field} in ${formatPath(path)}, which is written as -: ${
      meant(field, [...RECORD_FIELDS.keys()])
    }`;
    remarks.push({ severity: "warning", path, at: "value", message });
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
  const { formatters = {}, loggers = {}, root, incremental = false, disable_existing_loggers = false } = file;
  const filters = new Map(entriesOf(parts.filters));
  const raw = new Map(entriesOf(parts.handlers));
  const usable = Object.entries(incremental ? {} : file.handlers ?? {}).flatMap(([name, handler]) => {
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
    incremental,
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
  return { only: namesOf(handler.filters, filters), format: toFormat(formatter ?? {}), output: known.output(handler) };
}

const DEFAULT_FORMATS: Readonly<Record<FormatStyle, string>> = {
  "%": "%(message)s",
  "{": "{message}",
  "$": "${message}",
};

function toFormat({ format, fmt, datefmt, style = "%" }: FormatterFile): LogFormat {
  const own = format ?? fmt ?? "";
  return { style, format: own === "" ? DEFAULT_FORMATS[style] : own, ...(datefmt === undefined ? {} : { datefmt }) };
}

/** The loggers that filters let pass: those of `logging.Filter`, the only ones that keep anything back. */
function namesOf(names: readonly string[] = [], filters: Filters): readonly string[] {
  return names.flatMap((key) => {
    const { "()": own, name } = filters.get(key) ?? {};
    return (own === undefined || own === "logging.Filter") && typeof name === "string" && name !== "" ? [name] : [];
  });
}
