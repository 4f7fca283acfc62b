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
export const FACILITIES: ReadonlyMap<string, number> = new Map(
  ("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron " +
    "local0 local1 local2 local3 local4 local5 local6 local7").split(" ").map((name, number) => [name, number]),
);

/** How a record becomes a line. */
export interface LogFormat {
  /** A string with fields in it, such as `%(message)s`. */
  readonly format: string;
  /** How `asctime` is written, as strftime reads it; ISO 8601 with milliseconds by default. */
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
  /** Whether loggers that the file does not name are silent. */
  readonly disableOthers: boolean;
  readonly root: LoggerPlan;
  /** By the name that the file uses. */
  readonly loggers: { readonly [name: string]: LoggerPlan };
  readonly handlers: { readonly [name: string]: HandlerPlan };
  /** The handlers' levels. */
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
  disableOthers: false,
  root: DEFAULT_LOGGER,
  loggers: Object.freeze({}),
  handlers: Object.freeze({}),
  handlerLevels: Object.freeze({}),
});
