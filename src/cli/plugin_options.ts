import type { Clock } from "../kernel/clock.ts";

export interface PluginCommandOptions {
  /** Resolves a path relative to where the command was typed. */
  readonly fromHere: (path: string) => string;
  readonly clock: Clock;
  /** Receives each line of output. */
  readonly print: (line: string) => void;
  /** Receives each error line. */
  readonly complain: (line: string) => void;
}
