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
}

/** The process's log. Disposing of it drops what comes later. */
export class Log implements Disposable {
  #level: LogLevel;

  /** Opens the log; there is one in a process. */
  constructor({ level, format, write, terminal }: LogOptions) {
    this.#level = level;
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
      // Braces are placeholders to the library, but text to us.
      if (rank >= RANKS[this.#level]) logger[level](message.replaceAll(/[{}]/g, "$&$&"), { ...properties });
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

function formatterOf(format: "human" | "logfmt" | "json", color: boolean): TextFormatter {
  switch (format) {
    case "json":
      return jsonLinesFormatter;
    case "logfmt":
      return logfmtFormatter;
    case "human":
      return (record) => formatHuman(record, { color });
  }
}

/** Writes one record for a person: `09:46:42.123 INFO  writer: HAProxy was reloaded (reason="…")`. */
export function formatHuman(record: LogRecord, { color }: { color: boolean }): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  const level = record.level.toUpperCase().slice(0, 5).padEnd(5);
  const message = record.message.map((part) => typeof part === "string" ? part : String(part)).join("");
  const properties = Object.entries(record.properties).map(([key, value]) => `${key}=${quoted(value)}`).join(" ");
  const paint = (text: string, code: number) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const part = record.category.slice(1).join(".");
  const rest = properties === "" ? "" : ` ${paint(`(${properties})`, 90)}`;
  return `${paint(time, 90)} ${paint(level, COLORS[record.level])} ${part}: ${message}${rest}\n`;
}

function quoted(value: unknown): string {
  if (typeof value === "string") return /^[\w./:@%+-]+$/.test(value) ? value : JSON.stringify(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
