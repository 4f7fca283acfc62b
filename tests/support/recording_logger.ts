import type { Logger } from "../../src/kernel/logger.ts";

/** A logger that keeps what it is told, as `level text`. */
export class RecordingLogger implements Logger {
  /** What was told, in order. */
  readonly lines: string[] = [];
  /** Keeps detail. */
  debug(text: string): void {
    this.lines.push(`debug ${text}`);
  }
  /** Keeps a change of state. */
  info(text: string): void {
    this.lines.push(`info ${text}`);
  }
  /** Keeps what somebody should look at. */
  warn(text: string): void {
    this.lines.push(`warn ${text}`);
  }
  /** Keeps what does not work. */
  error(text: string): void {
    this.lines.push(`error ${text}`);
  }

  /** What was told since the last time, without detail. */
  take(): readonly string[] {
    return this.lines.splice(0).filter((line) => !line.startsWith("debug "));
  }
}
