/** Where records go; structural, so that tests can collect them and no part needs a logging library. */
export interface Logger {
  /** Detail for someone debugging. */
  debug(message: string, properties?: Readonly<Record<string, unknown>>): void;
  /** A change of state an operator wants to know. */
  info(message: string, properties?: Readonly<Record<string, unknown>>): void;
  /** Something an operator should look at. */
  warn(message: string, properties?: Readonly<Record<string, unknown>>): void;
  /** Something does not work. */
  error(message: string, properties?: Readonly<Record<string, unknown>>): void;
}

/** A logger that drops everything. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
