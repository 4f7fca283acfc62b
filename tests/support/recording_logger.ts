import type { Logger } from "../../src/kernel/logger.ts";

/** A logger that keeps what it is told, as `level text`. */
export class RecordingLogger implements Logger {
  /** What was told, in order. */
  readonly lines: string[] = [];
  /** The same, with the properties. */
  readonly records: {
    readonly level: string;
    readonly text: string;
    readonly properties: Readonly<Record<string, unknown>> | undefined;
  }[] = [];
  /** Keeps detail. */
  debug(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("debug", text, properties);
  }
  /** Keeps a change of state. */
  info(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("info", text, properties);
  }
  /** Keeps what somebody should look at. */
  warn(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("warn", text, properties);
  }
  /** Keeps what does not work. */
  error(text: string, properties?: Readonly<Record<string, unknown>>): void {
    this.#note("error", text, properties);
  }

  /** The events that were told so far, as `level id`, without detail. */
  get events(): readonly string[] {
    return this.records.filter(({ level }) => level !== "debug").map(({ level, properties }) =>
      `${level} ${properties?.event}`
    );
  }

  #note(level: string, text: string, properties: Readonly<Record<string, unknown>> | undefined): void {
    this.lines.push(`${level} ${text}`);
    this.records.push({ level, text, properties });
  }

  /** What was told since the last time, without detail. */
  take(): readonly string[] {
    return this.lines.splice(0).filter((line) => !line.startsWith("debug "));
  }
}
