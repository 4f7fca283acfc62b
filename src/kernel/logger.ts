/** A destination of log records; structural, so that tests can collect them and no part needs a logging library. */
export interface Logger {
  /** Details for debugging. */
  debug(message: string, properties?: Readonly<Record<string, unknown>>): void;
  /** A change of state that an operator wants to know. */
  info(message: string, properties?: Readonly<Record<string, unknown>>): void;
  /** A problem that an operator should look at. */
  warn(message: string, properties?: Readonly<Record<string, unknown>>): void;
  /** A failure. */
  error(message: string, properties?: Readonly<Record<string, unknown>>): void;
}

/** A logger that drops everything. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
