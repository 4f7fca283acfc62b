import type { Clock } from "../kernel/clock.ts";

export interface PluginCommandOptions {
  /** Finds a path as it was meant where the command was typed. */
  readonly fromHere: (path: string) => string;
  readonly clock: Clock;
  /** Takes each line of what was asked for. */
  readonly print: (line: string) => void;
  /** Takes each line of what went wrong. */
  readonly complain: (line: string) => void;
}
