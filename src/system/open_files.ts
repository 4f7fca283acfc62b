/**
 * The open files of this process. Deno denies /proc to a
 * program without full permissions, so a shell reads it.
 *
 * @module
 */
import { look } from "./processes.ts";

/** The number of open files of this process, and their limit. */
export interface OpenFiles {
  /** `undefined` if the kernel shows only the limit, as for a program with file capabilities. */
  readonly open: number | undefined;
  /** The soft limit, `ulimit -n`; `Infinity` if there is none. */
  readonly limit: number;
}

/** Counts the entries of a directory without a program besides the shell, then prints a file. */
const SCRIPT = 'set -- "$0" /proc/"$0"/fd/*; echo "Open files $(($# - 1))"; exec cat /proc/"$1"/limits';

/** Reads both from /proc; `undefined` without /proc or a shell. Throws if it takes too long. */
export async function readOpenFiles(): Promise<OpenFiles | undefined> {
  return parseOpenFiles(await look("sh", ["-c", SCRIPT, String(Deno.pid)]));
}

/** Parses the shell's output: a line with the count, then `/proc/PID/limits`. Pure. */
export function parseOpenFiles(output: string): OpenFiles | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(output)?.[1];
  if (soft === undefined) return undefined;
  const open = Number(/^Open files (\d+)$/m.exec(output)?.[1] ?? 0);
  return {
    // A pattern without a match stays as it is, and counts as one entry; every process has at least three.
    open: open > 1 ? open : undefined,
    limit: soft === "unlimited" ? Infinity : Number(soft),
  };
}
