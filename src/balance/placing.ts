import type { Seen } from "../plugin/contract.ts";
import {
  findProcesses,
  type LookOptions,
  type ProcessStat,
  readChildren,
  readStats,
  withoutContained,
} from "../system/processes.ts";
import { findUnixListenerOwners } from "../system/listeners.ts";
import { readTrusted } from "../system/trusted_file.ts";

/** What is known about the process that answers, and its relatives. */
export type Placement = Pick<Seen, "masterPid" | "isContained" | "oldWorkers">;

/** How the serving processes of a balancer are recognized. */
export interface Told {
  /** The name of its program. */
  readonly program: string;
  /** The file among their arguments. */
  readonly file: string;
  /** Arguments that a serving process does not have. */
  readonly otherRuns: readonly string[];
}

/**
 * Finds the owner of a process: its parent is its master if it runs the same program; a daemon's parent is
 * the init process, or a subreaper. A process that is not visible here, or is another program, is
 * unreachable.
 */
export async function placeProcess(
  pid: number,
  told: Told,
): Promise<Placement> {
  const { program } = told;
  const [stats, all] = await Promise.all([readStats([pid]), findOrphans(told)]);
  if (stats === undefined) return {};
  const own = stats.get(pid);
  if (own === undefined || !isProgram(own, program)) return { isContained: true };
  const parent = (await readStats([own.parent]))?.get(own.parent);
  const masterPid = parent?.name === own.name ? own.parent : undefined;
  const oldWorkers = all.filter((other) => other !== pid && other !== masterPid);
  return masterPid === undefined ? { oldWorkers } : { masterPid, oldWorkers };
}

/**
 * Throws if a process that is to receive a signal is not of the program: the pid may belong to another
 * process by now.
 */
export async function verifyProgram(pid: number, path: string): Promise<void> {
  const program = path.slice(path.lastIndexOf("/") + 1);
  const stat = (await readStats([pid]))?.get(pid);
  if (stat === undefined || !isProgram(stat, program)) {
    throw new Error(`process ${pid} ${stat === undefined ? "does not exist" : `is ${stat.name}; must be ${program}`}`);
  }
}

/**
 * Whether a process is of a program: its name is cut at 15 characters, and a packager may append a version.
 */
function isProgram({ name }: ProcessStat, program: string): boolean {
  return name.startsWith(program.slice(0, 15)) || program.startsWith(name);
}

/** A process that answered, or its master; or the orphans that answer in its place. */
export type WorkerPlacement = Placement & ({ readonly pid: number } | { readonly orphans: readonly number[] });

/**
 * Finds the master of a worker that answered at a socket. Workers may outlive a master that was killed:
 * nobody can reload them, so they are orphans, as is everything else that holds the socket.
 */
export async function placeWorker(pid: number, socket: string, told: Told): Promise<WorkerPlacement> {
  const place = await placeProcess(pid, told);
  if (place.masterPid !== undefined) return { ...place, pid: place.masterPid };
  const isKnown = place.isContained !== true && place.oldWorkers !== undefined;
  if (!isKnown || (await findOrphans(told)).includes(pid)) return { ...place, pid };
  const holders = await findUnixListenerOwners(socket);
  const stats = await readStats(holders);
  const orphans = holders.filter((holder) => {
    const stat = stats?.get(holder);
    return stat !== undefined && isProgram(stat, told.program);
  });
  return { orphans: [...new Set([pid, ...orphans])].toSorted((a, b) => a - b) };
}

/**
 * Finds the processes of a program that were started with a file, for a balancer whose socket is gone. In a
 * container, a file of that name is another one.
 */
export async function findOrphans(
  { program, file, otherRuns }: Told,
  options?: LookOptions,
): Promise<readonly number[]> {
  const isOne = (shown: readonly string[]) => {
    const [argv0 = "", ...args] = withoutTitle(shown);
    return argv0.slice(argv0.lastIndexOf("/") + 1) === program && args.includes(file) &&
      !otherRuns.some((argument) => args.includes(argument));
  };
  return await withoutContained(await findProcesses(isOne, options), options);
}

/**
 * A master may show its command line behind a title, as one string: `nginx: master process nginx -c
 * /etc/x.conf`.
 */
function withoutTitle(args: readonly string[]): readonly string[] {
  const [title = ""] = args;
  const shown = /^\S+: master process (.+)$/.exec(title)?.[1];
  return shown === undefined ? args : shown.split(" ");
}

/**
 * Finds the process that a pid file names; `undefined` if it does not run. A pid that belongs to another
 * program by now, or to a process of a container, counts as none.
 */
export async function findByPidFile(
  { pidFile, proof }: { readonly pidFile: string; readonly proof: "process" | "children" },
  { program }: Told,
): Promise<{ readonly pid: number; readonly children?: readonly number[] } | undefined> {
  const text = await readTrusted(pidFile).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const pid = Number(/^\s*([1-9][0-9]{0,9})\s*$/.exec(text)?.[1]);
  if (!Number.isInteger(pid) || pid < 2) return undefined;
  const stat = (await readStats([pid]))?.get(pid);
  if (stat === undefined || !isProgram(stat, program)) return undefined;
  if ((await withoutContained([pid])).length === 0) return undefined;
  return proof === "process" ? { pid } : { pid, children: await readChildren(pid) };
}
