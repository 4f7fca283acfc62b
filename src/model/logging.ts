/**
 * What `logging.yaml` asks for, as a value: who logs what, in which form, and
 * where to. The words are those of Python's `logging` module, whose schema the
 * file has.
 *
 * @module
 */

/** Python's levels by name: a logger or handler of a level lets through what is at least as grave. */
export const LEVELS: ReadonlyMap<string, number> = new Map([
  ["NOTSET", 0],
  ["DEBUG", 10],
  ["INFO", 20],
  ["WARN", 30],
  ["WARNING", 30],
  ["ERROR", 40],
  ["CRITICAL", 50],
  ["FATAL", 50],
]);

/** The facilities of syslog by name, as Python numbers them. */
export const FACILITIES: ReadonlyMap<string, number> = new Map([
  ["kern", 0],
  ["user", 1],
  ["mail", 2],
  ["daemon", 3],
  ["auth", 4],
  ["syslog", 5],
  ["lpr", 6],
  ["news", 7],
  ["uucp", 8],
  ["cron", 9],
  ["authpriv", 10],
  ["ftp", 11],
  ["ntp", 12],
  ["security", 13],
  ["console", 14],
  ["solaris-cron", 15],
  ["local0", 16],
  ["local1", 17],
  ["local2", 18],
  ["local3", 19],
  ["local4", 20],
  ["local5", 21],
  ["local6", 22],
  ["local7", 23],
]);

/** The fields that a format may name, and what they are: Python refuses `%d` for a text. */
export const RECORD_FIELDS: ReadonlyMap<string, "text" | "int" | "float"> = new Map([
  ["name", "text"],
  ["msg", "text"],
  ["args", "text"],
  ["levelname", "text"],
  ["levelno", "int"],
  ["pathname", "text"],
  ["filename", "text"],
  ["module", "text"],
  ["exc_info", "text"],
  ["exc_text", "text"],
  ["stack_info", "text"],
  ["lineno", "int"],
  ["funcName", "text"],
  ["created", "float"],
  ["msecs", "float"],
  ["relativeCreated", "float"],
  ["thread", "int"],
  ["threadName", "text"],
  ["processName", "text"],
  ["process", "int"],
  ["taskName", "text"],
  ["message", "text"],
  ["asctime", "text"],
  ["program", "text"],
]);

/** How a record becomes a text. */
export interface LogFormat {
  /** The kind of `format`: `%(name)s`, `{name}` or `$name`. */
  readonly style: "%" | "{" | "$";
  /** The text with fields in it. */
  readonly format: string;
  /** How `asctime` is written, as strftime reads it; ISO 8601 with milliseconds unless said. */
  readonly datefmt?: string;
}

/** When a file gives way to a new one, and how many old ones are kept. */
export type Rotation =
  | { readonly by: "size"; readonly maxBytes: number; readonly backups: number }
  | {
    readonly by: "time";
    /** What an interval is counted in, or the day of the week (`W0` is Monday), in capitals. */
    readonly when: RotationUnit;
    readonly interval: number;
    /** 0 keeps all. */
    readonly backups: number;
    readonly utc: boolean;
  };

/** The units of a rotation by time, as Python names them. */
export type RotationUnit = "S" | "M" | "H" | "D" | "MIDNIGHT" | `W${0 | 1 | 2 | 3 | 4 | 5 | 6}`;

/** Where a handler writes to. */
export type Output =
  | {
    readonly to: "stream";
    readonly stream: "stdout" | "stderr";
    /** What ends a record. */
    readonly terminator: string;
    /** Whether a terminal gets the line of `lighthouse.log.cli.CLIHandler` instead of the format. */
    readonly cli: boolean;
  }
  | {
    readonly to: "file";
    readonly path: string;
    /** `w` empties the file when it is opened first. */
    readonly mode: "a" | "w";
    /** Whether it is opened by the first record only. */
    readonly delay: boolean;
    readonly rotation?: Rotation;
  }
  | {
    readonly to: "syslog";
    readonly address: { readonly path: string } | { readonly host: string; readonly port: number };
    /** Datagrams unless said; a path's other kind is tried too. */
    readonly socktype?: "datagram" | "stream";
    readonly facility: number;
    /** Stands before each message. */
    readonly ident: string;
    /** Whether a NUL ends each message. */
    readonly appendNul: boolean;
  }
  | { readonly to: "nowhere" };

/** One of `handlers`. */
export interface HandlerPlan {
  /** It takes records of these loggers alone, and of those below them: all of the filters must let one pass. */
  readonly only: readonly string[];
  readonly format: LogFormat;
  readonly output: Output;
}

/** One of `loggers`, or `root`. */
export interface LoggerPlan {
  /** `undefined` if the file does not say; 0 asks the logger above. */
  readonly level: number | undefined;
  /** Whether the handlers of the loggers above get its records too; `undefined` if the file does not say. */
  readonly propagate: boolean | undefined;
  /** Names of handlers. Those that cannot be used here are left out. */
  readonly handlers: readonly string[];
  /** Like a handler's. */
  readonly only: readonly string[];
}

/** `logging.yaml`, whole. */
export interface Logging {
  /** Whether it changes levels alone, and leaves handlers as they are. */
  readonly incremental: boolean;
  /** Whether loggers that the file does not name are silent. */
  readonly disableOthers: boolean;
  readonly root: LoggerPlan;
  /** By the name that the file uses. */
  readonly loggers: { readonly [name: string]: LoggerPlan };
  readonly handlers: { readonly [name: string]: HandlerPlan };
  /** The handlers' levels; all that is said of them if {@linkcode Logging.incremental}. */
  readonly handlerLevels: { readonly [name: string]: number };
}

/** What a logger does that the file says nothing of. */
export const DEFAULT_LOGGER: LoggerPlan = Object.freeze({
  level: undefined,
  propagate: undefined,
  handlers: Object.freeze([]),
  only: Object.freeze([]),
});

/** What is in force when there is no `logging.yaml`. */
export const DEFAULT_LOGGING: Logging = Object.freeze({
  incremental: false,
  disableOthers: false,
  root: DEFAULT_LOGGER,
  loggers: Object.freeze({}),
  handlers: Object.freeze({}),
  handlerLevels: Object.freeze({}),
});
