/**
 * What the kernel says of this process's open files.
 *
 * @module
 */

/** How many files this process has open, and may have. */
export interface OpenFiles {
  readonly open: number;
  /** The soft limit, `ulimit -n`; `Infinity` if there is none. */
  readonly limit: number;
}

/** Reads them from `/proc`; `undefined` where that cannot be told. */
export function ownOpenFiles(): OpenFiles | undefined {
  try {
    const open = [...Deno.readDirSync("/proc/self/fd")].length;
    const limit = parseOpenFilesLimit(Deno.readTextFileSync("/proc/self/limits"));
    return limit === undefined ? undefined : { open, limit };
  } catch {
    return undefined;
  }
}

/** Finds the soft limit of open files in what `/proc/PID/limits` says. */
export function parseOpenFilesLimit(limits: string): number | undefined {
  const [, soft] = /^Max open files\s+(\d+|unlimited)\s/m.exec(limits) ?? [];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}
