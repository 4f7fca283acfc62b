/**
 * What `logging.yaml` may say: of the schema of Python's
 * `logging.config.dictConfig`, what configuration files write. Pure.
 *
 * @module
 */
import type { Finding, Path } from "../kernel/findings.ts";
import { type Checked, validateKnown } from "../kernel/known_keys.ts";
import { converted, flag, formatPath, houseSchema, keys, list, mapOf, optional, text } from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import { HANDLER_CLASSES } from "./handler_classes.ts";
import type { LogFormat, LoggerPlan, Logging, Output } from "./plan.ts";
import { fieldsOf, remarksOnFormat } from "./record.ts";

/** Python's levels by name: a logger or handler of a level lets through what is at least as grave. */
const LEVELS: ReadonlyMap<string, number> = new Map(
  Object.entries({ NOTSET: 0, DEBUG: 10, INFO: 20, WARN: 30, WARNING: 30, ERROR: 40, CRITICAL: 50, FATAL: 50 }),
);
const LEVEL = converted(
  (value) => LEVELS.get(String(value).toUpperCase()) ?? (Number.isInteger(value) ? Number(value) : undefined),
  `one of ${[...LEVELS.keys()].join(", ")}, or a number`,
);

type Unused = Readonly<Record<string, readonly [instead: string, same?: RegExp]>>;

const NO_FILTER: readonly [string] = ["all records pass; use the levels of loggers and handlers"];
const FORMAT_ALONE: readonly [string, RegExp] = ["a formatter supports only the format key", /^logging\.Formatter$/];
/** What is said where a filter is defined is not said again where it is named. */
const USES: Unused = { filters: [NO_FILTER[0], /(?:)/] };

/** Keys of dictConfig that are not used, what is done instead, and the values that ask for just that. */
const UNUSED: Readonly<Record<string, Unused>> = {
  file: {
    incremental: ["the file replaces the whole logging config", /^false$/],
    disable_existing_loggers: ["loggers that are not in the file stay active", /^false$/],
  },
  filters: {
    name: NO_FILTER,
    class: NO_FILTER,
    "()": [NO_FILTER[0], /^lighthouse\.log\.(?:context\.)?ContextFilter$/],
  },
  formatters: {
    class: FORMAT_ALONE,
    "()": FORMAT_ALONE,
    style: ["only fields of the form %(message)s are supported", /^%$/],
    defaults: ['unknown fields are written as "-"'],
    validate: ["formats are always validated", /^true$/],
  },
  handlers: {
    ...USES,
    mode: ["records are appended to the file", /^a$/],
    delay: ["the file is opened when the first record is written", /^true$/],
    encoding: ["files are written in UTF-8", /^(?:utf[-_]?8|u8|ascii|us-ascii)$/i],
    errors: ["files are written in UTF-8"],
    atTime: ["the file rotates at midnight"],
    socktype: ["messages are sent as datagrams", /^ext:\/\/socket\.SOCK_DGRAM$/],
    ".": ["messages end with NUL; add the ident to the format"],
  },
  loggers: USES,
  root: USES,
};

/**
 * Reads `logging.yaml`. What dictConfig has and Lighthouse has not is a warning
 * that names the key and says what is done instead; the rest is used.
 */
export function readLogging(raw: unknown): Checked<Logging> {
  const remarks: Finding[] = [];
  const remark = (path: Path, at: "key" | "value", message: string) =>
    void remarks.push({ severity: "warning", path, at, message });
  const file = usedOf(
    raw,
    [],
    (path, instead) => remark(path, "key", `Key ${formatPath(path)} is ignored: ${instead}`),
  );
  const { handlers, formatters } = isRecord(file) ? file : {};
  for (const [name, part] of entriesOf(handlers)) {
    const { key, own } = classOf(part);
    if (own === undefined || HANDLER_CLASSES.has(own)) continue;
    const known = [...HANDLER_CLASSES.keys()].join(", ");
    remark(
      ["handlers", name, key],
      "value",
      `Unknown handler ${JSON.stringify(own)} is ignored: known handlers are ${known}`,
    );
  }
  for (const [name, part] of entriesOf(formatters)) {
    for (const [key, message] of remarksOnFormat(isRecord(part) ? part : {})) {
      remark(["formatters", name, key], "value", message);
    }
  }
  const schema = houseSchema(schemaFor(entriesOf(handlers), entriesOf(formatters).map(([name]) => name)));
  const { value, findings } = validateKnown(file, schema["~standard"].validate);
  return { value: value && toLogging(value as LoggingFile), findings: [...findings, ...remarks] };
}

/** A part of the file without keys that have no value, and those that are not used, which are reported. */
function usedOf(part: unknown, path: Path, report: (path: Path, instead: string) => void): unknown {
  if (!isRecord(part)) return part;
  const unused = path.length === 0 ? UNUSED.file : path.length === 2 || path[0] === "root" ? UNUSED[path[0] ?? ""] : {};
  return Object.fromEntries(
    entriesOf(part).flatMap(([key, value]) => {
      const [instead, same] = unused?.[key] ?? [];
      if (value === null) return [];
      if (instead === undefined) return [[key, path.length < 2 ? usedOf(value, [...path, key], report) : value]];
      if (!same?.test(String(value))) report([...path, key], instead);
      return [];
    }),
  );
}

const entriesOf = (raw: unknown): readonly [string, unknown][] => isRecord(raw) ? Object.entries(raw) : [];

/** The class of a handler, by either of the keys that name one. */
function classOf(raw: unknown): { readonly key: string; readonly own: string | undefined } {
  const key = isRecord(raw) && raw["()"] !== undefined ? "()" : "class";
  const own = isRecord(raw) ? raw[key] : undefined;
  return { key, own: typeof own === "string" ? own : undefined };
}

/** The schema depends on the classes and names in the file. */
function schemaFor(handlers: readonly [string, unknown][], formatters: readonly string[]) {
  const nameIn = (kind: string, known: readonly string[]) =>
    converted(
      (value) => known.find((name) => name === value),
      known.length === 0
        ? `the name of a ${kind}, but no ${kind} is defined`
        : `one of the ${kind}s ${known.join(", ")}`,
    );
  const level = optional(LEVEL);
  const names = list(nameIn("handler", handlers.map(([name]) => name)));
  const logger = keys({ level, handlers: optional(names), propagate: optional(flag()) });
  const own = {
    class: optional(text()),
    "()": optional(text()),
    level,
    formatter: optional(nameIn("formatter", formatters)),
  };
  const handler = (raw: unknown) => {
    const known = HANDLER_CLASSES.get(classOf(raw).own ?? "");
    if (known !== undefined) return keys({ ...own, ...known.entries });
    return converted((value) => classOf(value).own === undefined ? undefined : {}, "a map with a class key");
  };
  return keys({
    version: converted((value) => value === 1 ? value : undefined, "1"),
    filters: optional(mapOf(keys({}))),
    formatters: optional(mapOf(keys({ format: optional(text()), datefmt: optional(text()) }))),
    handlers: optional(keys(Object.fromEntries(handlers.map(([name, raw]) => [name, handler(raw)])))),
    loggers: optional(mapOf(logger)),
    root: optional(logger),
  });
}

/** The file as its schema gives it. */
interface LoggingFile {
  readonly formatters?: { readonly [name: string]: Partial<LogFormat> };
  readonly handlers?: { readonly [name: string]: { readonly level?: number; readonly formatter?: string } };
  readonly loggers?: { readonly [name: string]: Partial<LoggerPlan> };
  readonly root?: Partial<LoggerPlan>;
}

function toLogging({ formatters = {}, handlers = {}, loggers = {}, root = {} }: LoggingFile): Logging {
  const plans = Object.entries(handlers).flatMap(([name, handler]) => {
    const known = HANDLER_CLASSES.get(classOf(handler).own ?? "");
    if (known === undefined) return [];
    const { level = 0, formatter = "" } = handler;
    const { format = "", datefmt } = formatters[formatter] ?? known.format ?? {};
    const given = Object.entries(handler).filter(([key]) => Object.hasOwn(known.entries, key));
    const output = { ...known.output, ...Object.fromEntries(given) } as Output;
    return [
      [name, {
        level,
        format: { format: fieldsOf(format).length > 0 ? format : "%(message)s", datefmt },
        output,
      }] as const,
    ];
  });
  const usable = new Set(plans.map(([name]) => name));
  const toLogger = ({ level, propagate, handlers = [] }: Partial<LoggerPlan>): LoggerPlan => ({
    level,
    propagate,
    handlers: handlers.filter((name) => usable.has(name)),
  });
  return {
    root: toLogger(root),
    loggers: Object.fromEntries(Object.entries(loggers).map(([name, logger]) => [name, toLogger(logger)])),
    handlers: Object.fromEntries(plans),
  };
}
