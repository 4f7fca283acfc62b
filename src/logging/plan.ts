/**
 * What `logging.yaml` asks for, as a value: who logs what, in which form, and
 * where to. The words are those of Python's `logging` module, whose schema the
 * file has.
 *
 * @module
 */

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
    readonly when: RotationUnit;
    readonly interval: number;
    /** 0 keeps all. */
    readonly backups: number;
    readonly utc: boolean;
  };

/** What an interval is counted in, or the day of the week (`W0` is Monday), in capitals. */
export type RotationUnit = "S" | "M" | "H" | "D" | "MIDNIGHT" | `W${0 | 1 | 2 | 3 | 4 | 5 | 6}`;

/** A syslog server: a socket's path, or a host and a port. */
export type SyslogAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** Where a handler writes to. */
export type Output =
  | { readonly to: "stream"; readonly stream: "stdout" | "stderr" }
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
    readonly address: SyslogAddress;
    /** Datagrams by default; a path is then tried as a stream too. */
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
  /** It takes records of this level and above. */
  readonly level: number;
  /** It takes records of these loggers alone, and of those below them: all of the filters must let one pass. */
  readonly only: readonly string[];
  readonly format: LogFormat;
  readonly output: Output;
}

/** One of `loggers`, or `root`. */
export interface LoggerPlan {
  /** `undefined` if the file does not say; 0 asks the logger above. */
  readonly level?: number | undefined;
  /** Whether the handlers of the loggers above get its records too; true by default. */
  readonly propagate?: boolean | undefined;
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
}

/** What applies when there is no `logging.yaml`. */
export const DEFAULT_LOGGING: Logging = Object.freeze({
  disableOthers: false,
  root: Object.freeze({ handlers: Object.freeze([]), only: Object.freeze([]) }),
  loggers: Object.freeze({}),
  handlers: Object.freeze({}),
});
