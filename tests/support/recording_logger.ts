import type { Logger } from "../../src/kernel/logger.ts";

/** A logger that records what it gets, as `level text`. */
export class RecordingLogger implements Logger {
  /** The records, in order. */
  readonly lines: string[] = [];
  /** The same, with the properties. */
  readonly records: {
    readonly level: string;
    readonly text: string;
    readonly properties: Readonly<Record<string, unknown>> | undefined;
  }[] = [];
  /** Records detail. */
  debug(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("debug", text, properties);
  }
  /** Records a change of state. */
  info(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("info", text, properties);
  }
  /** Records a warning. */
  warn(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("warn", text, properties);
  }
  /** Records an error. */
  error(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("error", text, properties);
  }

  /** The events recorded so far, as `level id`, without detail. */
  get events(): readonly string[] {
    return this.records.filter(({ level }) => level !== "debug").map(({ level, properties }) =>
      `${level} ${properties?.event}`
    );
  }

  #note(level: string, text: string, properties: Readonly<Record<string, unknown>> | undefined): void {
    this.lines.push(`${level} ${text}`);
    this.records.push({ level, text, properties });
  }

  /** What was recorded since the last call, without detail. */
  take(): readonly string[] {
    return this.lines.splice(0).filter((line) => !line.startsWith("debug "));
  }
}
