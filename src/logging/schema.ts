/**
 * What `logging.yaml` may say: the schema of Python's `logging.config.dictConfig`,
 * as far as configuration files use it. Pure.
 *
 * @module
 */
import type { Finding, Path } from "../kernel/findings.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import { converted, houseSchema, keys, list, mapOf, optional, text } from "../kernel/schema.ts";
import { suggest } from "../kernel/suggest.ts";
import { isRecord } from "../model/node.ts";
import { type Arguments, type Entries, HANDLER_CLASSES, type HandlerClass, SWITCH } from "./handler_classes.ts";
import { DEFAULT_LOGGING, type HandlerPlan, type LogFormat, type LoggerPlan, type Logging } from "./plan.ts";
import { compileFormat, FORMAT_WANTED, RECORD_FIELDS } from "./record.ts";
import { unknownDirectives } from "./wall_time.ts";

/** Python's levels by name: a logger or handler of a level lets through what is at least as grave. */
const LEVELS: ReadonlyMap<string, number> = new Map([
  ["NOTSET", 0],
  ["DEBUG", 10],
  ["INFO", 20],
  ["WARN", 30],
  ["WARNING", 30],
  ["ERROR", 40],
  ["CRITICAL", 50],
  ["FATAL", 50],
]);
const LEVEL = converted(
  (value) =>
    typeof value === "string"
      ? LEVELS.get(value.toUpperCase())
      : typeof value === "number" && Number.isInteger(value) && value >= 0
      ? value
      : undefined,
  `one of ${[...LEVELS.keys()].join(", ")}, or a number`,
);
const ANYTHING = converted((value) => ({ value }), "a value");
const CLASS = { class: optional(text()), "()": optional(text()) };
const NO_CLASS = converted((value) => classOf(value) === undefined ? undefined : value, "a map with a class");
const FORMAT = converted(
  (value) => typeof value === "string" && (value === "" || compileFormat(value) !== undefined) ? value : undefined,
  FORMAT_WANTED,
);
const FILTER_CLASSES = ["lighthouse.log.ContextFilter", "lighthouse.log.context.ContextFilter", "logging.Filter"];

type Parts = Readonly<Record<string, unknown>>;

/** The file as its schema gives it. */
interface LoggingFile {
  readonly disable_existing_loggers?: boolean;
  readonly formatters?: Readonly<Record<string, { format?: string; datefmt?: string; style?: string }>>;
  readonly handlers?: Readonly<Record<string, HandlerFile>>;
  readonly loggers?: Readonly<Record<string, LoggerFile>>;
  readonly root?: LoggerFile;
}
type HandlerFile = Arguments & { level?: number; formatter?: string; filters?: readonly string[] };
type LoggerFile = Omit<LoggerPlan, "handlers" | "only"> & Partial<Record<"handlers" | "filters", readonly string[]>>;

/**
 * Reads `logging.yaml`. Legal Python that Lighthouse has no counterpart for, such
 * as a handler class of someone's own, is a warning and is left out; the rest is
 * used.
 */
export function readLogging(raw: unknown): Checked<Logging> {
  const file = withoutNulls(raw, NULLS_DEPTH);
  const parts = isRecord(file) ? file : {};
  const { value, findings } = validateKnown(file, houseSchema(schemaFor(parts))["~standard"].validate);
  return { value: value && toLogging(value as LoggingFile, parts), findings: [...findings, ...remarksOn(parts)] };
}

/** A key without a value is no key to dictConfig, but at this depth the values of a handler begin. */
const NULLS_DEPTH = 3;

function withoutNulls(value: unknown, depth: number): unknown {
  if (depth === 0 || !isRecord(value)) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutNulls(inner, depth - 1)]));
}

/** The class of a handler, a formatter or a filter, by either of the keys that name one. */
function classOf(raw: unknown): string | undefined {
  const named = isRecord(raw) ? raw["()"] ?? raw.class : undefined;
  return typeof named === "string" ? named : undefined;
}

function partsOf(raw: unknown): readonly (readonly [string, Record<string, unknown>])[] {
  return isRecord(raw)
    ? Object.entries(raw).filter((entry): entry is [string, Record<string, unknown>] => isRecord(entry[1]))
    : [];
}

/** The schema depends on the classes and names in the file. */
function schemaFor({ formatters, filters, handlers, loggers }: Parts) {
  const common = { level: optional(LEVEL), filters: optional(list(nameIn(filters, "filter"))) };
  const logger = keys({
    ...common,
    handlers: optional(list(nameIn(handlers, "handler"))),
    propagate: optional(SWITCH),
  });
  const eachOf = (raw: unknown, schemaOf: (part: unknown) => Entries[string]) =>
    optional(keys(Object.fromEntries(
      Object.entries(isRecord(raw) ? raw : {}).map(([name, part]) => [name, schemaOf(part)]),
    )));
  return keys({
    version: converted((value) => value === 1 ? value : undefined, "1"),
    formatters: eachOf(formatters, (raw) => {
      const format = isRecord(raw) && (raw.style ?? "%") !== "%" ? text() : FORMAT;
      return keys({ ...CLASS, format: optional(format), datefmt: optional(text()), style: optional(text()) });
    }),
    filters: optional(mapOf(ANYTHING)),
    handlers: eachOf(handlers, (raw) => {
      const own = { ...CLASS, ...common, formatter: optional(nameIn(formatters, "formatter")) };
      const known = HANDLER_CLASSES.get(classOf(raw) ?? "");
      if (known !== undefined) return keys({ ...own, ...known.entries });
      if (!isRecord(raw) || classOf(raw) === undefined) return NO_CLASS;
      // Of a class that is not known, only the keys that all handlers have are looked at.
      const rest = Object.keys(raw).filter((key) => !Object.hasOwn(own, key));
      return keys({ ...own, ...Object.fromEntries(rest.map((key) => [key, ANYTHING])) });
    }),
    loggers: eachOf(loggers, () => logger),
    root: optional(logger),
    disable_existing_loggers: optional(SWITCH),
  });
}

/** A name that is defined in a part of the file. */
function nameIn(defined: unknown, kind: string) {
  const known = isRecord(defined) ? Object.keys(defined) : [];
  return converted(
    (value) => known.find((name) => name === value) ?? (kind === "formatter" && value === "" ? "" : undefined),
    known.length === 0 ? `a ${kind}, of which none is defined` : `one of the ${kind}s ${known.join(", ")}`,
  );
}

/** Legal Python that is left out, or means something else here. */
function remarksOn({ formatters, filters, handlers, loggers, disable_existing_loggers }: Parts): readonly Finding[] {
  const remarks: Finding[] = [];
  const remark = (path: Path, message: string, at: "key" | "value" = "value") =>
    void remarks.push({ severity: "warning", path, at, message });
  const unknownClass = (
    kind: string,
    [name, part]: readonly [string, Parts],
    known: readonly string[],
    fate: string,
  ) => {
    const own = classOf(part);
    if (own === undefined || known.includes(own)) return;
    const path = [`${kind}s`, name, Object.hasOwn(part, "()") ? "()" : "class"];
    remark(path, `Unknown ${kind} ${JSON.stringify(own)}, ${fate}: ${meant(own, known)}`);
  };
  for (const handler of partsOf(handlers)) {
    unknownClass("handler", handler, [...HANDLER_CLASSES.keys()], "which is not used");
    const [name, { encoding }] = handler;
    if (typeof encoding === "string" && !/^(?:utf[-_]?8|u8|ascii|us-ascii)$/i.test(encoding)) {
      remark(["handlers", name, "encoding"], "Key encoding is not used: files are written in UTF-8", "key");
    }
  }
  for (const filter of partsOf(filters)) unknownClass("filter", filter, FILTER_CLASSES, "which lets all records pass");
  for (const formatter of partsOf(formatters)) {
    unknownClass("formatter", formatter, ["logging.Formatter"], "of which the key format alone is used");
    const [name, { style = "%", format, datefmt }] = formatter;
    const path = (key: string) => ["formatters", name, key];
    if (style !== "%") {
      remark(
        path("style"),
        `Style ${JSON.stringify(style)} is not supported; records are written as %(message)s. Use style %`,
      );
    }
    const { unknown = [], unsupported = [] } = typeof format === "string" && style === "%" && compileFormat(format) ||
      {};
    for (const field of unknown) {
      remark(path("format"), `Unknown field ${field}, written as -: ${meant(field, RECORD_FIELDS)}`);
    }
    for (const conversion of unsupported) {
      const message =
        `Conversion ${conversion} is not supported; written as %s. Use s, d or f, with width and precision`;
      remark(path("format"), message);
    }
    for (const directive of typeof datefmt === "string" ? unknownDirectives(datefmt) : []) {
      remark(path("datefmt"), `Directive ${directive} is not supported; written as it is`);
    }
  }
  if (disable_existing_loggers === true && !partsOf(loggers).some(([name]) => name === "lighthouse")) {
    const message = "Loggers that the file does not name are silent: write false if they are to be heard";
    remark(["disable_existing_loggers"], message, "key");
  }
  return remarks;
}

function meant(word: string, known: readonly string[]): string {
  const suggestion = suggest(word, known);
  return suggestion === undefined ? `known are ${known.join(", ")}` : `did you mean ${suggestion}?`;
}

const MESSAGE_ALONE: LogFormat = { format: "%(message)s" };

function toLogging(file: LoggingFile, { filters, handlers: raw }: Parts): Logging {
  const only = (names: readonly string[] = []) =>
    names.flatMap((key) => loggerIn(isRecord(filters) ? filters[key] : {}));
  const toHandler = (handler: HandlerFile, known: HandlerClass): HandlerPlan => {
    const { style = "%", format, datefmt } = file.formatters?.[handler.formatter ?? ""] ?? {};
    const formatted = handler.formatter === undefined ? known.format ?? MESSAGE_ALONE : {
      format: style === "%" && format || MESSAGE_ALONE.format,
      ...datefmt !== undefined && { datefmt },
    };
    return { level: handler.level ?? 0, only: only(handler.filters), format: formatted, output: known.output(handler) };
  };
  const handlers = Object.fromEntries(
    Object.entries(file.handlers ?? {}).flatMap(([name, handler]) => {
      const known = HANDLER_CLASSES.get(classOf(isRecord(raw) ? raw[name] : undefined) ?? "");
      return known === undefined ? [] : [[name, toHandler(handler, known)]];
    }),
  );
  const toLogger = ({ level, propagate, handlers: names = [], filters }: LoggerFile): LoggerPlan => ({
    level,
    propagate,
    handlers: names.filter((name) => Object.hasOwn(handlers, name)),
    only: only(filters),
  });
  return Object.freeze({
    disableOthers: file.disable_existing_loggers ?? false,
    root: file.root === undefined ? DEFAULT_LOGGING.root : toLogger(file.root),
    loggers: Object.fromEntries(Object.entries(file.loggers ?? {}).map(([name, logger]) => [name, toLogger(logger)])),
    handlers,
  });
}

/** The logger whose records a filter lets pass: that of a `logging.Filter`, the only kind that stops any. */
function loggerIn(filter: unknown): readonly string[] {
  const { "()": own = "logging.Filter", name } = isRecord(filter) ? filter : {};
  return own === "logging.Filter" && typeof name === "string" && name !== "" ? [name] : [];
}
