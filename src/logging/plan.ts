/**
 * What `logging.yaml` asks for, as a value: who logs what, in which form, and
 * where to. The words are those of Python's `logging` module, whose schema the
 * file has.
 *
 * @module
 */

/** How a record becomes a line: fields such as `%(message)s`, and how `asctime` is written, as strftime reads it. */
export interface LogFormat {
  readonly format: string;
  /** ISO 8601 with milliseconds by default. */
  readonly datefmt?: string | undefined;
}

/** What the interval of a file is counted in, or the day of the week that ends it (`W0` is Monday). */
export type RotationUnit = "S" | "M" | "H" | "D" | "MIDNIGHT" | `W${0 | 1 | 2 | 3 | 4 | 5 | 6}`;

/** A file, with the arguments of Python's handlers for files; it rotates by time if `when` is given. */
export interface FileOutput {
  readonly to: "file";
  readonly filename: string;
  readonly maxBytes?: number;
  readonly backupCount?: number;
  readonly when?: RotationUnit;
  readonly interval?: number;
  readonly utc?: boolean;
}

/** A syslog server: a socket's path, or a host and a port. */
export type SyslogAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/** Where a handler writes to. */
export type Output =
  | { readonly to: "stream"; readonly stream: "stdout" | "stderr" }
  | FileOutput
  | { readonly to: "syslog"; readonly address: SyslogAddress; readonly facility: number }
  | { readonly to: "nowhere" };

/** One of `handlers`. */
export interface HandlerPlan {
  /** It takes records of this level and above. */
  readonly level: number;
  readonly format: LogFormat;
  readonly output: Output;
}

/** One of `loggers`, or `root`. */
export interface LoggerPlan {
  /** `undefined` if the file does not say; 0 asks the logger above. */
  readonly level?: number | undefined;
  /** Whether the handlers of the loggers above get its records too; true by default. */
  readonly propagate?: boolean | undefined;
  /** Names of handlers that exist. */
  readonly handlers: readonly string[];
}

/** `logging.yaml`, whole; loggers and handlers by the names that the file uses. */
export interface Logging {
  readonly root: LoggerPlan;
  readonly loggers: { readonly [name: string]: LoggerPlan };
  readonly handlers: { readonly [name: string]: HandlerPlan };
}

/** What applies when there is no `logging.yaml`. */
export const DEFAULT_LOGGING: Logging = { root: { handlers: [] }, loggers: {}, handlers: {} };
