/**
 * What the kernel says of this process's open files. Deno denies /proc to a
 * program that does not run with every permission, so a shell looks.
 *
 * @module
 */
import { look } from "./processes.ts";

/** How many files this process has open, and may have. */
export interface OpenFiles {
  /** `undefined` where the kernel shows only the limit, as of a program with file capabilities. */
  readonly open: number | undefined;
  /** The soft limit, `ulimit -n`; `Infinity` if there is none. */
  readonly limit: number;
}

/** Counts the entries of a directory without a program besides the shell, then prints a file. */
const SCRIPT = 'set -- "$0" /proc/"$0"/fd/*; echo "Open files $(($# - 1))"; exec cat /proc/"$1"/limits';

/** Reads them from /proc; `undefined` where there is none, or nothing to look with. Throws if looking takes too long. */
export async function readOpenFiles(): Promise<OpenFiles | undefined> {
  return parseOpenFiles(await look("sh", ["-c", SCRIPT, String(Deno.pid)]));
}

/** Reads what the shell printed: a line with the count, then `/proc/PID/limits`. Pure. */
export function parseOpenFiles(output: string): OpenFiles | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(output)?.[1];
  if (soft === undefined) return undefined;
  const open = Number(/^Open files (\d+)$/m.exec(output)?.[1] ?? 0);
  return {
    // A pattern that matches nothing stays itself, and counts as one; each process has three.
    open: open > 1 ? open : undefined,
    limit: soft === "unlimited" ? Infinity : Number(soft),
  };
}
