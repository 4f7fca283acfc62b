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
import { DEFAULT_LOGGING, type Logging } from "./plan.ts";
import { Handlers, type HandlersOptions } from "./handlers.ts";
import type { EventRecord } from "../model/event_record.ts";
import type { LogEntry } from "./record.ts";
import { hasHandlers, loggerName, Route } from "./route.ts";

/** How much is logged: records of this level and above. */
export type LogLevel = "debug" | "info" | "warning" | "error" | "fatal";
/** How a record looks. `auto`: human on a terminal, logfmt otherwise. */
export type LogFormat = "auto" | "human" | "logfmt" | "json";

/** The levels as Python counts them. */
const RANKS: Readonly<Record<LogLevel | "trace", number>> = {
  trace: 5,
  debug: 10,
  info: 20,
  warning: 30,
  error: 40,
  fatal: 50,
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
  /** How much is logged whatever `logging.yaml` says of the root; what it says, or else `info`, unless given. */
  readonly level?: LogLevel | undefined;
  /** How a line looks that no handler of `logging.yaml` takes. */
  readonly format: LogFormat;
  /** Takes each such line, with its end. */
  readonly write: (line: string) => void;
  /** Whether lines go to a terminal: decides `auto`, and colours. */
  readonly terminal: boolean;
  /** Takes secrets out of a text; the last net, for what others have said of a config. */
  readonly redact?: (text: string) => string;
  /** What the handlers of `logging.yaml` need; no such file is applied without it. */
  readonly handlers?: Omit<HandlersOptions, "onFailure" | "onRecovery">;
}

/** The process's log. Disposing of it drops what comes later. */
export class Log implements Disposable, AsyncDisposable {
  readonly #level: LogLevel | undefined;
  readonly #redact: (text: string) => string;
  readonly #writeLine: (record: LogRecord) => void;
  readonly #handlers: Handlers | undefined;
  #logging: Logging = DEFAULT_LOGGING;
  #route: Route;
  #hasHandlers = false;
  readonly #listeners: ((record: EventRecord) => void)[] = [];

  /** Opens the log; there is one in a process. */
  constructor({ level, format, write, terminal, redact = (text) => text, handlers }: LogOptions) {
    [this.#level, this.#redact] = [level, redact];
    const formatter = formatterOf(format === "auto" ? (terminal ? "human" : "logfmt") : format, terminal);
    this.#writeLine = (record) => {
      try {
        write(formatter(record));
      } catch {
        // There is nobody left to tell, and nothing else is to stop for it.
      }
    };
    this.#handlers = handlers && new Handlers({
      ...handlers,
      onFailure: (handler, reason) =>
        this.#tellOwn("error", "Cannot write to a log handler; retrying", {
          event: "log.handler_failed",
          handler,
          reason,
        }),
      onRecovery: (handler, dropped) =>
        this.#tellOwn("info", "Log handler recovered", { event: "log.handler_restored", handler, dropped }),
    });
    this.#route = this.#routeOf(this.#logging);
    configureSync({
      reset: true,
      sinks: {
        lines: (record) => this.#take(record),
        own: (record) => this.#take({ ...record, properties: { event: "log.internal", ...record.properties } }),
      },
      loggers: [
        { category: ["lighthouse"], sinks: ["lines"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: ["own"], lowestLevel: "warning" },
      ],
    });
  }

  /** Applies `logging.yaml`, from the next record on. The same value again changes nothing. */
  configure(logging: Logging): void {
    if (logging === this.#logging) return;
    this.#logging = logging;
    this.#route = this.#routeOf(this.#logging);
    this.#hasHandlers = this.#handlers !== undefined && hasHandlers(this.#logging);
    this.#handlers?.apply(this.#logging.handlers);
  }

  /** Has a listener hear each record at `info` and above that names an event, whatever the log's own level. */
  listen(listener: (record: EventRecord) => void): void {
    this.#listeners.push(listener);
  }

  /** A logger for one part: `writer`, `fleet`; `plugin` is for what workers say, who are named by the property `worker`. */
  part(name: string): Logger {
    const category = ["lighthouse", name];
    const logger = getLogger(category);
    const record = (level: "debug" | "info" | "warn" | "error", rank: number) =>
    (
      message: string,
      properties: Readonly<Record<string, unknown>> = {},
    ) => {
      const isHeard = level !== "debug" && this.#listeners.length > 0 && typeof properties.event === "string";
      const isEnabled = this.#route.isEnabled(nameOf(category, properties), rank);
      if (!isEnabled && !isHeard) return;
      const clean = Object.fromEntries(
        Object.entries(properties).map(([key, value]) => [
          key,
          typeof value === "string" ? this.#redact(value) : value,
        ]),
      );
      const text = this.#redact(message);
      if (isHeard) {
        const record = toEventRecord(level, text, clean);
        for (const listener of this.#listeners) listener(record);
      }
      if (isEnabled) logger[level](asTemplate(text), renamed(clean));
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

  /** Drops what comes later, and waits a little until what was logged is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    resetSync();
    await this.#handlers?.[Symbol.asyncDispose]();
  }

  #routeOf(logging: Logging): Route {
    const said = this.#level === undefined
      ? logging
      : { ...logging, root: { ...logging.root, level: RANKS[this.#level] } };
    // Python's root logs warnings unless configured; without handlers the file only says how much is logged here.
    return new Route(said, { rootLevel: hasHandlers(logging) ? RANKS.warning : RANKS.info });
  }

  #take(record: LogRecord): void {
    if (!this.#hasHandlers || this.#handlers === undefined) return this.#writeLine(record);
    const entry = toEntry(record);
    const handlers = this.#route.handlersOf(entry.name, entry.level);
    if (handlers !== undefined && this.#handlers.write(handlers, entry)) return;
    // Nobody takes it: what matters is said all the same, as Python does.
    if (entry.level >= RANKS.warning) this.#writeLine(record);
  }

  /** Says what the handlers cannot. */
  #tellOwn(level: "info" | "error", message: string, properties: Record<string, unknown>): void {
    const { reason, ...rest } = properties;
    const clean = typeof reason === "string" ? { ...rest, reason: this.#redact(reason) } : rest;
    const timestamp = Date.now();
    this.#writeLine({
      category: ["lighthouse", "log"],
      level,
      message: [message],
      rawMessage: message,
      timestamp,
      properties: clean,
    });
    if (level === "info") this.part("log").info(message, clean);
  }
}

function nameOf(category: readonly string[], { worker }: Readonly<Record<string, unknown>>): string {
  return loggerName(category, category[1] === "plugin" && typeof worker === "string" ? worker : undefined);
}

/** A record as listeners take it: what is no string, number or boolean is written as JSON. */
function toEventRecord(
  level: EventRecord["level"],
  message: string,
  { event, ...rest }: Readonly<Record<string, unknown>>,
): EventRecord {
  const fields: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(rest)) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") fields[key] = value;
    else if (value !== undefined) fields[key] = shown(value);
  }
  return { event: String(event), level, message, atMs: Date.now(), fields };
}

/** A record as the handlers of `logging.yaml` take it. */
function toEntry({ category, level, message, properties, timestamp }: LogRecord): LogEntry {
  const { worker, ...rest } = properties;
  // What is said of a worker is found beside what it says itself.
  const isWorkers = typeof worker === "string";
  return {
    name: nameOf(category, properties),
    level: RANKS[level],
    timeMs: timestamp,
    message: messageText(message),
    properties: propertiesText(isWorkers ? rest : properties),
    ...(isWorkers ? { worker: escapeUnprintable(worker) } : {}),
  };
}

/** The keys that a line of logfmt has anyway: a second `level=` would be used. */
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
 * Writes one record for a person: `2026-01-31 09:46:42.123Z INFO  writer: HAProxy was reloaded (reason="…")`.
 * Whatever the record holds, only the line feeds of its message make lines,
 * and these are marked.
 */
export function formatHuman(record: LogRecord, { color }: { color: boolean }): string {
  const time = new Date(record.timestamp).toISOString().replace("T", " ");
  const level = (record.level === "warning" ? "warn" : record.level).toUpperCase().padEnd(5);
  const properties = propertiesText(record.properties);
  const paint = (text: string, code: number) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const part = record.category.slice(1).join(".");
  const rest = properties === "" ? "" : ` ${paint(`(${properties})`, 90)}`;
  const lines = messageText(record.message);
  return `${paint(time, 90)} ${paint(level, COLORS[record.level])} ${part}: ${lines}${rest}\n`;
}

function messageText(message: readonly unknown[]): string {
  const text = message.map((part) => typeof part === "string" ? part : String(part)).join("");
  return text.split("\n").map(escapeUnprintable).join(CONTINUED);
}

function propertiesText(properties: Readonly<Record<string, unknown>>): string {
  return Object.entries(properties).map(([key, value]) => `${plain(key)}=${shown(value)}`).join(" ");
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
