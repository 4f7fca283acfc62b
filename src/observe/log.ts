import {
  configureSync,
  getLogger,
  jsonLinesFormatter,
  logfmtFormatter,
  type LogRecord,
  resetSync,
  type TextFormatter,
} from "@logtape/logtape";
import type { Logger } from "../kernel/logger.ts";
import { escapeUnprintable } from "../kernel/quote.ts";

/** How much is logged: records of this level and above. */
export type LogLevel = "debug" | "info" | "warning" | "error" | "fatal";
/** How a record looks. `auto`: human on a terminal, logfmt otherwise. */
export type LogFormat = "auto" | "human" | "logfmt" | "json";

const RANKS: Readonly<Record<LogLevel | "trace", number>> = {
  trace: 0,
  debug: 1,
  info: 2,
  warning: 3,
  error: 4,
  fatal: 5,
};
const COLORS: Readonly<Record<LogRecord["level"], number>> = {
  trace: 90,
  debug: 90,
  info: 34,
  warning: 33,
  error: 31,
  fatal: 35,
};

/** How the log is opened. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes each line, with its end. */
  readonly write: (line: string) => void;
  /** Whether lines go to a terminal: decides `auto`, and colours. */
  readonly terminal: boolean;
  /** Takes secrets out of a text; the last net, for what others have said of a config. */
  readonly redact?: (text: string) => string;
}

/** The process's log. Disposing of it drops what comes later. */
export class Log implements Disposable {
  #level: LogLevel;
  readonly #redact: (text: string) => string;

  /** Opens the log; there is one in a process. */
  constructor({ level, format, write, terminal, redact = (text) => text }: LogOptions) {
    this.#level = level;
    this.#redact = redact;
    const formatter = formatterOf(format === "auto" ? (terminal ? "human" : "logfmt") : format, terminal);
    configureSync({
      reset: true,
      sinks: { lines: (record) => write(formatter(record)) },
      loggers: [
        { category: ["lighthouse"], sinks: ["lines"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "warning" },
      ],
    });
  }

  /** Changes how much is logged from now on. */
  setLevel(level: LogLevel): void {
    this.#level = level;
  }

  /** A logger for one part: `writer`, `fleet`. */
  part(name: string): Logger {
    const logger = getLogger(["lighthouse", name]);
    const record = (level: "debug" | "info" | "warn" | "error", rank: number) =>
    (
      message: string,
      properties: Readonly<Record<string, unknown>> = {},
    ) => {
      if (rank < RANKS[this.#level]) return;
      const clean = Object.entries(properties).map(([key, value]) => [
        key,
        typeof value === "string" ? this.#redact(value) : value,
      ]);
      logger[level](asTemplate(this.#redact(message)), renamed(Object.fromEntries(clean)));
    };
    return {
      debug: record("debug", RANKS.debug),
      info: record("info", RANKS.info),
      warn: record("warn", RANKS.warning),
      error: record("error", RANKS.error),
    };
  }

  [Symbol.dispose](): void {
    resetSync();
  }
}

/** The keys that a line of logfmt has anyway: a second `level=` would be believed. */
const OWN_KEYS = new Set(["time", "level", "logger", "msg"]);

/** Braces are placeholders to the library, but text to us; it reads a message as a template if it has an opening one. */
function asTemplate(message: string): string {
  return message.includes("{") ? message.replaceAll(/[{}]/g, "$&$&") : message;
}

function renamed(properties: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [OWN_KEYS.has(key) ? `${key}_` : key, value]),
  );
}

function formatterOf(format: "human" | "logfmt" | "json", color: boolean): TextFormatter {
  switch (format) {
    case "json":
      return (record) => printable(jsonLinesFormatter(record));
    case "logfmt":
      return (record) => printable(logfmtFormatter(record));
    case "human":
      return (record) => formatHuman(record, { color });
  }
}

/** What is left unprintable in a line stands between quotes or for itself, where an escape says the same. */
function printable(line: string): string {
  return `${escapeUnprintable(line.trimEnd())}\n`;
}

/** Stands before each further line of a message, so that none can be taken for a record of its own. */
const CONTINUED = "\n  | ";

/**
 * Writes one record for a person: `09:46:42.123 INFO  writer: HAProxy was reloaded (reason="…")`.
 * Whatever the record holds, only the line feeds of its message make lines,
 * and these are marked.
 */
export function formatHuman(record: LogRecord, { color }: { color: boolean }): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  const level = record.level.toUpperCase().slice(0, 5).padEnd(5);
  const message = record.message.map((part) => typeof part === "string" ? part : String(part)).join("");
  const properties = Object.entries(record.properties).map(([key, value]) => `${plain(key)}=${shown(value)}`).join(" ");
  const paint = (text: string, code: number) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const part = record.category.slice(1).join(".");
  const rest = properties === "" ? "" : ` ${paint(`(${properties})`, 90)}`;
  const lines = message.split("\n").map(escapeUnprintable).join(CONTINUED);
  return `${paint(time, 90)} ${paint(level, COLORS[record.level])} ${part}: ${lines}${rest}\n`;
}

function shown(value: unknown): string {
  if (typeof value === "string") return plain(value);
  if (value instanceof Error) return plain(value.message);
  return escapeUnprintable(typeof value === "object" ? writeObject(value) : String(value));
}

/** Writes a text as it is if it can be nothing else, else between quotes. */
function plain(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : escapeUnprintable(JSON.stringify(text));
}

function writeObject(value: object | null): string {
  try {
    return JSON.stringify(value);
  } catch {
    return Deno.inspect(value, { colors: false, compact: true, breakLength: Infinity });
  }
}
