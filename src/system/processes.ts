/**
 * Information of the kernel about processes. Deno denies all of /proc to a program
 * without full permissions, so it is read through programs that
 * every Linux has (`cat`, `grep`), with fixed arguments only.
 *
 * @module
 */

/** Timeout of such a read. */
const LOOK_DEADLINE_MS = 2_000;

/** How such a read is made. */
export interface LookOptions {
  /** Its timeout. */
  readonly deadlineMs?: number;
}

/** The bit of `CAP_SYS_RESOURCE` in `CapEff` (`capabilities(7)`). */
const CAP_SYS_RESOURCE = 24n;

/** The programs used for this, each with arguments that make it exit at once. */
const TOOLS: Readonly<Record<string, readonly string[]>> = {
  cat: ["/dev/null"],
  grep: ["-q", "x", "/dev/null"],
  sh: ["-c", ":"],
};

/** Returns which of these programs cannot be run here, as in an image without a shell. */
export async function findMissingTools(
  tools: Readonly<Record<string, readonly string[]>> = TOOLS,
): Promise<readonly string[]> {
  const missing = await Promise.all(
    Object.entries(tools).map(async ([program, args]) => {
      try {
        await new Deno.Command(program, { args: [...args], stdin: "null", stdout: "null", stderr: "null" }).output();
        return [];
      } catch {
        return [program];
      }
    }),
  );
  return missing.flat();
}

/** The first fields of `/proc/PID/stat`. */
export interface ProcessStat {
  readonly pid: number;
  /** The program's name, truncated to 15 characters by the kernel. */
  readonly name: string;
  /** The pid of the parent process. */
  readonly parent: number;
}

/** Reads these of processes, by pid; those that are gone are left out. `undefined` without /proc. */
export async function readStats(pids: readonly number[]): Promise<ReadonlyMap<number, ProcessStat> | undefined> {
  const output = await look("cat", ["/proc/self/stat", ...pids.map((pid) => `/proc/${Math.trunc(pid)}/stat`)]);
  const [own, ...rest] = output.split("\n").map(parseStat);
  if (own === undefined) return undefined;
  return new Map(rest.flatMap((stat) => stat === undefined ? [] : [[stat.pid, stat]]));
}

/** Finds processes by their command lines; returns their pids, sorted. */
export async function findProcesses(
  matches: (args: readonly string[]) => boolean,
  options?: LookOptions,
): Promise<readonly number[]> {
  // -z reads the NUL-terminated arguments one by one; -H puts the file's name before each.
  const output = await look("sh", ["-c", 'exec grep -szaH "" /proc/[0-9]*/cmdline'], options);
  const byPid = new Map<number, string[]>();
  for (const record of output.split("\0")) {
    const match = /^\/proc\/([0-9]+)\/cmdline:([^]*)$/.exec(record);
    if (match === null) continue;
    const [, pid = "", argument = ""] = match;
    byPid.set(Number(pid), [...byPid.get(Number(pid)) ?? [], argument]);
  }
  return [...byPid].filter(([, args]) => matches(args)).map(([pid]) => pid).toSorted((a, b) => a - b);
}

/** Of some processes, those of this PID namespace, not of a container's. */
export async function withoutContained(pids: readonly number[], options?: LookOptions): Promise<readonly number[]> {
  if (pids.length === 0) return pids;
  // A process in a namespace below ours has several pids.
  const statuses = await look("cat", pids.map((pid) => `/proc/${Math.trunc(pid)}/status`), options);
  const contained = new Set([...statuses.matchAll(/^NSpid:\t([0-9]+)\t[0-9]/gm)].map(([, pid]) => Number(pid)));
  return pids.filter((pid) => !contained.has(pid));
}

/** Reads the pids of a process's children, sorted; empty if it is gone. */
export async function readChildren(pid: number): Promise<readonly number[]> {
  const output = await look("sh", ["-c", 'exec cat /proc/"$0"/task/*/children', String(Math.trunc(pid))]);
  return output.split(/\s+/).filter((word) => word !== "").map(Number).toSorted((a, b) => a - b);
}

/** Reads the command line of a process; `undefined` if it is gone. */
export async function readArguments(pid: number): Promise<readonly string[] | undefined> {
  const output = await look("cat", [`/proc/${Math.trunc(pid)}/cmdline`]);
  return output === "" ? undefined : output.replace(/\0$/, "").split("\0");
}

/**
 * Reads what distinguishes a process from every other with its pid, whatever it shows as its command line: the boot
 * and the time in it at which it began. `undefined` if it is gone, or a zombie.
 */
export async function readBirth(pid: number): Promise<string | undefined> {
  return parseBirth(await look("cat", birthFiles(pid)));
}

/** Reads the same at once, for who ends and waits for nobody; `undefined` too without /proc. */
export function readBirthSync(pid: number): string | undefined {
  try {
    const { stdout } = new Deno.Command("cat", { args: birthFiles(pid), stdin: "null", stderr: "null" }).outputSync();
    return parseBirth(new TextDecoder().decode(stdout));
  } catch {
    return undefined;
  }
}

function birthFiles(pid: number): string[] {
  return ["/proc/sys/kernel/random/boot_id", `/proc/${Math.trunc(pid)}/stat`];
}

/** Parses the id of the boot and a line of `/proc/PID/stat`, one after the other. Pure. */
export function parseBirth(output: string): string | undefined {
  // Of the fields behind the name the first is the state (Z and X: ended), the twentieth the time of the start.
  const [, boot, start] = /^([0-9a-f-]+)\n[0-9]+ \([^]*\) [^ZX] (?:\S+ ){18}([0-9]+) /.exec(output) ?? [];
  return boot === undefined ? undefined : `${boot}/${start}`;
}

/** Counts the threads of this process whose name matches a pattern; `undefined` without /proc. */
export async function countOwnThreads(name: RegExp): Promise<number | undefined> {
  const output = await look("sh", ["-c", 'exec cat /proc/"$0"/task/*/comm', String(Deno.pid)]);
  const names = output.split("\n").filter((line) => line !== "");
  return names.length === 0 ? undefined : names.filter((line) => name.test(line)).length;
}

/**
 * Parses one line `PID (NAME) STATE PPID …`; the name may contain anything, so it ends at the last
 * parenthesis. Pure.
 */
export function parseStat(line: string): ProcessStat | undefined {
  const match = /^([0-9]+) \(([^]*)\) \S ([0-9]+) /.exec(line);
  return match === null ? undefined : { pid: Number(match[1]), name: match[2] as string, parent: Number(match[3]) };
}

/** Thrown when such a program did not exit in time, so that the result is unknown. */
export class SlowLookError extends Error {
  override name = "SlowLookError";
}

/**
 * Runs a program and returns its output; it may fail, as files of processes that are gone are missing.
 * Throws if it does not exit in time: a partial result would be mistaken for a complete one.
 */
export async function look(
  program: string,
  args: string[],
  { deadlineMs = LOOK_DEADLINE_MS }: LookOptions = {},
): Promise<string> {
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    const { success, stdout } = await new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal,
    }).output();
    if (signal.aborted && !success) {
      throw new SlowLookError(`${program} did not finish within ${deadlineMs / 1_000}s`);
    }
    return new TextDecoder().decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/**
 * Returns the maximum number of open files of a process, or of this one's children if none is named;
 * `undefined` without /proc. A process that may raise its own limits (`CAP_SYS_RESOURCE`) gets the
 * system's maximum for any process.
 */
export async function readOpenFilesLimit(pid?: number): Promise<number | undefined> {
  const of = pid === undefined ? "self" : Math.trunc(pid);
  const output = await look("cat", [`/proc/${of}/limits`, `/proc/${of}/status`, "/proc/sys/fs/nr_open"]);
  return parseOpenFilesLimit(output);
}

/** Parses the same from `limits`, `status` and `nr_open` of /proc, one after the other. Pure. */
export function parseOpenFilesLimit(output: string): number | undefined {
  const most = Number(/^([0-9]+)$/m.exec(output)?.[1] ?? Infinity);
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(output)?.[1] ?? "0"}`);
  if ((capabilities >> CAP_SYS_RESOURCE & 1n) === 1n) return most;
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(output)?.[1];
  return hard === undefined ? undefined : Math.min(most, hard === "unlimited" ? Infinity : Number(hard));
}
