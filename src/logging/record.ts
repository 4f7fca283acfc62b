/**
 * A record of the log as Python's formatters see one: `%(name)s` formats with
 * fields, widths and precisions. Pure: the time zone comes in.
 *
 * @module
 */
import type { LogFormat } from "./plan.ts";
import { strftime, unknownDirectives, type Zone } from "./wall_time.ts";

/** One record. */
export interface LogEntry {
  /** The logger, dotted. */
  readonly name: string;
  /** As Python counts: 20 is `INFO`. */
  readonly level: number;
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
}

const LEVEL_NAMES = ["NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

type Field = (entry: LogEntry, process: ProcessFacts, format: LogFormat, zone: Zone) => string | number;

/** The fields that a format may name. */
const FIELDS: Readonly<Record<string, Field>> = {
  message: ({ message, properties, worker }, _, { format }) => {
    // A worker that no field names is written behind the message.
    const isNamed = worker === undefined || format.includes("%(threadName)");
    const own = isNamed ? "" : `worker=${worker.includes(" ") ? JSON.stringify(worker) : worker}`;
    const all = [properties, own].filter((part) => part !== "").join(" ");
    return all === "" ? message : `${message} (${all})`;
  },
  asctime: ({ timeMs }, _, { datefmt }, zone) =>
    strftime(datefmt || `%F %T,${String(Math.floor(timeMs) % 1_000).padStart(3, "0")}`, timeMs, zone),
  name: ({ name }) => name,
  levelname: ({ level }) => LEVEL_NAMES[level / 10] ?? `Level ${level}`,
  levelno: ({ level }) => level,
  program: (_, { program }) => program,
  threadName: ({ worker }) => worker ?? "MainThread",
  process: (_, { pid }) => pid,
  module: ({ name }) => name.split(".").at(-1) ?? "",
  created: ({ timeMs }) => timeMs / 1_000,
  msecs: ({ timeMs }) => Math.floor(timeMs) % 1_000,
};
const NO_FIELD = "The format has no field such as %(message)s; only the message is written";
const KNOWN = Object.keys(FIELDS).join(", ");
/** Fields that are no numbers. */
const TEXTS = ["message", "asctime", "name", "levelname", "program", "threadName", "module"];

/** A field with flags, width, precision and conversion, or a percent sign. */
const FIELD = /%\((\w+)\)([#0+ -]*)(\d{0,3})(?:\.(\d{0,2}))?([a-zA-Z])|%%/g;

/** The fields in a format. */
export const fieldsOf = (format: string) => [...format.matchAll(FIELD)].filter(([, name]) => name !== undefined);

/** Fills in a format. */
export function fillFormat(format: string, valueOf: (name: string) => string | number): string {
  return format.replaceAll(
    FIELD,
    (_, name?: string, flags = "", width = "", precision?: string, type = "") => {
      if (name === undefined) return "%";
      const value = valueOf(name);
      const isNumber = typeof value === "number" && "df".includes(type);
      const text = !isNumber
        ? [...String(value)].slice(0, precision === undefined ? undefined : Number(precision)).join("")
        : type === "f"
        ? value.toFixed(Number(precision ?? 6))
        : String(Math.trunc(value));
      if (flags.includes("-")) return text.padEnd(Number(width));
      return text.padStart(Number(width), isNumber && flags.includes("0") ? "0" : " ");
    },
  );
}

/** What of a formatter is not written as Python does, with the key that asks for it. */
export function remarksOnFormat({ format = "", datefmt = "" }: Readonly<Record<string, unknown>>) {
  const fields = fieldsOf(String(format));
  const unknown = fields.filter(([, name = ""]) => !Object.hasOwn(FIELDS, name));
  const unsupported = fields.filter(([, name = "", flags = "", , , type = ""]) =>
    /[#+ ]/.test(flags) || type !== "s" && (!"df".includes(type) || TEXTS.includes(name))
  );
  const hasOther = fields.length > 0 && String(format).replaceAll(FIELD, "").includes("%");
  const remark = (key: "format" | "datefmt", message: string) => [key, message] as const;
  return [
    ...unknown.map(([, name]) =>
      remark("format", `Unknown field ${name} is written as "-": known fields are ${KNOWN}`)
    ),
    ...unsupported.map(([whole]) => remark("format", `Conversion ${whole} is not supported; written as %s`)),
    ...format === "" || fields.length > 0 ? [] : [remark("format", NO_FIELD)],
    ...hasOther
      ? [remark("format", "A % without a field such as %(message)s is written literally; write %% instead")]
      : [],
    ...unknownDirectives(String(datefmt)).map((directive) =>
      remark("datefmt", `Directive ${directive} is not supported; written literally`)
    ),
  ];
}

/** Writes a record, without an end of line. */
export function writeRecord(entry: LogEntry, process: ProcessFacts, format: LogFormat, zone: Zone): string {
  return fillFormat(format.format, (name) => FIELDS[name]?.(entry, process, format, zone) ?? "-");
}
