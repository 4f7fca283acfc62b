import type { BalancerSources } from "../plugin/contract.ts";
import { look } from "../system/processes.ts";
import { isListening } from "./http_socket.ts";
import { filesOf, socketOf } from "./sources.ts";
import { folderOf, resolveTrusted, UntrustedPathError } from "../system/trusted_file.ts";

/** An obstacle to writing a balancer's files. */
export interface WritingObstacle {
  /** `warning`: no start will succeed. `notice`: it may be resolved by then, or for another user. */
  readonly severity: "warning" | "notice";
  readonly message: string;
}

/** Everything that the host or the balancer's program writes for it. */
function writtenPaths(sources: BalancerSources): readonly string[] {
  const socket = socketOf(sources);
  const { alsoWrites = [], contact } = sources.kind === "process" ? sources : {};
  const pidFiles = (sources.children ?? []).map(({ pidFile }) => pidFile);
  return [
    ...new Set([
      ...filesOf(sources),
      ...socket === undefined ? [] : [socket],
      ...contact?.by === "pid" ? [contact.pidFile] : [],
      ...alsoWrites,
      ...pidFiles,
    ]),
  ];
}

/** A path that two balancers write: the second of them cannot be served. */
export interface SharedPath {
  /** The balancer that comes second. */
  readonly balancer: string;
  readonly message: string;
}

/** Finds paths that several balancers write, under whatever name: `..` and symlinks are resolved. */
export async function findSharedPaths(
  balancers: ReadonlyMap<string, BalancerSources>,
): Promise<readonly SharedPath[]> {
  const owners = new Map<string, string>();
  const found: SharedPath[] = [];
  for (const [balancer, sources] of balancers) {
    for (const path of writtenPaths(sources)) {
      const real = await realPlace(path);
      const owner = owners.get(real) ?? balancer;
      owners.set(real, owner);
      if (owner !== balancer) {
        found.push({ balancer, message: `Cannot use ${path}: already used by balancer ${owner}` });
      }
    }
  }
  return found;
}

/** Where a path leads, whether or not it exists. */
async function realPlace(path: string): Promise<string> {
  const real = await Deno.realPath(path).catch(() => undefined);
  if (real !== undefined) return real;
  const folder = await Deno.realPath(folderOf(path)).catch(() => folderOf(path));
  return `${folder}/${path.slice(path.lastIndexOf("/") + 1)}`;
}

/**
 * Throws, before a balancer's program is started, if another user of the machine may have redirected a file
 * that the program writes, or if its directory is missing: the program would follow the one, and report the
 * other obscurely.
 */
export async function verifyWrittenPaths(sources: BalancerSources): Promise<void> {
  for (const path of writtenPaths(sources)) {
    const folder = folderOf(await resolveTrusted(path));
    if (!await isThere(folder)) throw new Error(`the directory of ${path} does not exist`);
  }
}

/**
 * Removes the Unix socket of a killed process, if the program itself makes it: nginx cannot bind one that
 * exists. Nothing that somebody listens on is removed, and no other kind of file.
 */
export async function removeDeadSocket(sources: BalancerSources): Promise<void> {
  if (sources.kind === "files" || sources.contact.by !== "http") return;
  const { contact: { socket }, alsoWrites = [] } = sources;
  if (!alsoWrites.includes(socket)) return;
  const real = await resolveTrusted(socket);
  const stat = await Deno.lstat(real).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (stat?.isSocket === true && !await isListening(real)) await Deno.remove(real);
}

/** Reports the obstacles that a writer would meet if this user started it now; looks, and writes nothing. */
export async function findWritingObstacles(sources: BalancerSources): Promise<readonly WritingObstacle[]> {
  const found: WritingObstacle[] = [];
  const missing = new Map<string, string[]>();
  for (const path of writtenPaths(sources)) {
    try {
      const folder = folderOf(await resolveTrusted(path));
      if (!await isThere(folder)) missing.set(folder, [...missing.get(folder) ?? [], path]);
    } catch (error) {
      if (!(error instanceof UntrustedPathError)) continue;
      found.push({ severity: "warning", message: error.message });
    }
  }
  for (const [folder, paths] of missing) {
    found.push({
      severity: "notice",
      message: `Directory ${folder} does not exist: ` +
        `${paths.join(", ")} ${paths.length === 1 ? "is" : "are"} written there; create the directory`,
    });
  }
  for (const file of filesOf(sources)) {
    const inPlace = missing.has(folderOf(file)) ? undefined : await whyInPlace(file);
    if (inPlace !== undefined) found.push({ severity: "notice", message: inPlace });
  }
  return found;
}

/** Why a config file cannot be replaced atomically; `undefined` if it can. */
async function whyInPlace(path: string): Promise<string | undefined> {
  const real = await resolveTrusted(path).catch(() => undefined);
  if (real === undefined || !await isThere(real)) return undefined;
  const mounts = (await look("cat", ["/proc/self/mountinfo"])).split("\n").map((line) => line.split(" ")[4]);
  // The kernel writes spaces and backslashes as octal numbers.
  const mounted = real.replaceAll(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const inPlace = "the file is written in place, and a crash can truncate the file";
  if (mounts.includes(mounted)) return `${path} is a mount point: ${inPlace}; mount the directory instead`;
  const folder = folderOf(real);
  if (await mayWrite(folder)) return undefined;
  return await mayWrite(real)
    ? `Directory ${folder} is not writable, but ${path} is: ${inPlace}; make the directory writable`
    : `Neither ${path} nor its directory is writable by user ${Deno.uid()}`;
}

/** Whether this user may write; where a group may, that counts as yes. */
async function mayWrite(path: string): Promise<boolean> {
  const { uid, mode } = await Deno.stat(path);
  const user = Deno.uid();
  if (user === null || user === 0 || mode === null) return true;
  return (mode & (uid === user ? 0o200 : 0o022)) !== 0;
}

function isThere(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}
