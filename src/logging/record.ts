/**
 * A record of the log as Python's formatters see one: `%(name)s` formats with
 * fields, widths and precisions. Pure: the time zone comes in.
 *
 * @module
 */
import type { LogFormat } from "./plan.ts";
import { strftime, wallTime, type Zone } from "./wall_time.ts";

/** One record. */
export interface LogEntry {
  /** The logger, dotted. */
  readonly name: string;
  /** As Python counts: 20 is `INFO`. */
  readonly level: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Made safe: nothing in it can be taken for a record of its own. */
  readonly message: string;
  /** What goes with it, written as `key=value`, safe too; the worker is not among it. */
  readonly properties: string;
  /** The worker that logged it, or that it is about; absent for all else. */
  readonly worker?: string;
}

/** What all records of a process have in common. */
export interface ProcessFacts {
  /** `WRITER`, `REPORTER` or `RUN`: what `lighthouse.log.ContextFilter` is for. */
  readonly program: string;
  readonly pid: number;
  /** When it began, in milliseconds since 1970. */
  readonly startedMs: number;
}

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: "DEBUG",
  20: "INFO",
  30: "WARNING",
  40: "ERROR",
  50: "CRITICAL",
};

/** The fields but for `message` and `asctime`, which depend on the format. */
const FIELDS: Readonly<Record<string, (entry: LogEntry, process: ProcessFacts) => string | number>> = {
  name: ({ name }) => name,
  levelname: ({ level }) => LEVEL_NAMES[level] ?? `Level ${level}`,
  levelno: ({ level }) => level,
  program: (_, { program }) => program,
  threadName: ({ worker }) => worker ?? "MainThread",
  thread: (_, { pid }) => pid,
  process: (_, { pid }) => pid,
  processName: () => "MainProcess",
  module: ({ name }) => name.split(".").at(-1) ?? "",
  created: ({ timeMs }) => timeMs / 1_000,
  msecs: ({ timeMs }) => Math.floor(timeMs) % 1_000,
  relativeCreated: ({ timeMs }, { startedMs }) => timeMs - startedMs,
  // As Python where it does not know.
  pathname: () => "(unknown file)",
  filename: () => "(unknown file)",
  lineno: () => 0,
  funcName: () => "(unknown function)",
};

const NUMERIC = ["levelno", "thread", "process", "created", "msecs", "relativeCreated", "lineno"];

/** The fields that a format may name. */
export const RECORD_FIELDS: readonly string[] = ["message", "asctime", ...Object.keys(FIELDS)];

/** A format that can be filled in. */
export interface CompiledFormat {
  /** The fields in it that do not exist: written as `-`. */
  readonly unknown: readonly string[];
  /** The conversions in it that Python has and Lighthouse has not: written as `%s`. */
  readonly unsupported: readonly string[];
  write(valueOf: (name: string) => string | number): string;
}

/** What {@linkcode compileFormat} accepts. */
export const FORMAT_WANTED = "a string with fields such as %(message)s, and %% for a percent sign";

const FIELD =
  /%(?:\((?<name>[^)]+)\)(?<flags>[#0+ -]*)(?<width>\d{0,3})(?:\.(?<precision>\d{0,2}))?(?<type>[a-zA-Z])|(?<percent>%)|)/g;

/** Reads a format; `undefined` if it is none. */
export function compileFormat(format: string): CompiledFormat | undefined {
  const matches = [...format.matchAll(FIELD)];
  const fields = matches.filter(({ groups }) => groups?.name !== undefined);
  if (fields.length === 0 || matches.some(({ groups }) => (groups?.name ?? groups?.percent) === undefined)) {
    return undefined;
  }
  const distinct = (values: readonly string[]) => [...new Set(values)];
  return {
    unknown: distinct(fields.map(({ groups }) => groups?.name ?? "").filter((name) => !RECORD_FIELDS.includes(name))),
    unsupported: distinct(
      fields.flatMap(([whole, name = "", flags = "", , , type = ""]) => {
        const isKnown = type === "s" ||
          "df".includes(type) && (NUMERIC.includes(name) || !RECORD_FIELDS.includes(name));
        return isKnown && !/[#+ ]/.test(flags) ? [] : [whole];
      }),
    ),
    write: (valueOf) =>
      format.replaceAll(FIELD, (...match) => {
        const groups: Record<string, string | undefined> = match.at(-1);
        return groups.name === undefined ? "%" : writeField(valueOf(groups.name), groups);
      }),
  };
}

function writeField(value: string | number, groups: Record<string, string | undefined>): string {
  const { flags = "", width, precision, type = "" } = groups;
  const isNumber = typeof value === "number" && "df".includes(type);
  const text = !isNumber
    ? [...String(value)].slice(0, precision === undefined ? undefined : Number(precision)).join("")
    : type === "f"
    ? value.toFixed(Number(precision ?? 6))
    : String(Math.trunc(value));
  if (flags.includes("-")) return text.padEnd(Number(width));
  return text.padStart(Number(width), isNumber && flags.includes("0") ? "0" : " ");
}

/** A formatter of `logging.yaml`, ready to write. */
export class RecordFormatter {
  readonly #compiled: CompiledFormat;
  readonly #datefmt: string;
  readonly #process: ProcessFacts;
  readonly #zone: Zone;
  /** A worker that no field names is written behind the message. */
  readonly #withWorker: boolean;

  /** @throws {TypeError} if the format is none; `logging.yaml` is checked before */
  constructor({ format, datefmt }: LogFormat, process: ProcessFacts, zone: Zone) {
    const compiled = compileFormat(format);
    if (compiled === undefined) throw new TypeError(`Cannot use the format as it must be ${FORMAT_WANTED}`);
    [this.#compiled, this.#process, this.#zone] = [compiled, process, zone];
    this.#datefmt = datefmt ?? "";
    this.#withWorker = !format.includes("%(threadName)");
  }

  /** Writes a record, without an end of line. */
  write(entry: LogEntry): string {
    return this.#compiled.write((name) => {
      if (name === "message") return this.#messageOf(entry);
      if (name === "asctime") return this.#asctime(entry.timeMs);
      return FIELDS[name]?.(entry, this.#process) ?? "-";
    });
  }

  #messageOf({ message, properties, worker }: LogEntry): string {
    const named = this.#withWorker && worker !== undefined
      ? `worker=${worker.includes(" ") ? JSON.stringify(worker) : worker}`
      : "";
    const all = [properties, named].filter((part) => part !== "").join(" ");
    return all === "" ? message : `${message} (${all})`;
  }

  #asctime(timeMs: number): string {
    const wall = wallTime(timeMs, this.#zone);
    if (this.#datefmt !== "") return strftime(this.#datefmt, wall);
    return `${strftime("%F %T", wall)},${String(Math.floor(timeMs) % 1_000).padStart(3, "0")}`;
  }
}
