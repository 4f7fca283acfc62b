import type { Clock } from "../kernel/clock.ts";

/** What the `plugin` commands are told besides their arguments. */
export interface PluginCommandOptions {
  /** Finds a path as it was meant where the command was typed. */
  readonly fromHere: (path: string) => string;
  /** Time. */
  readonly clock: Clock;
  /** Takes each line of what was asked for. */
  readonly print: (line: string) => void;
  /** Takes each line of what went wrong. */
  readonly complain: (line: string) => void;
}
