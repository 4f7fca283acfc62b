/**
 * One rule for every file that is written, and for every file whose contents
 * are trusted: another user of the machine must not be able to decide which
 * file that is. If others may create names in a directory, as in `/tmp`, a
 * link is followed only if this user or root made it, and a file must belong to this
 * user or root and have one name. This is the rule of Linux's
 * `fs.protected_symlinks`, `protected_regular` and `protected_hardlinks`, applied
 * also where the kernel does not: those are settings, know only sticky
 * directories, and cannot see for whom a link is resolved.
 *
 * @module
 */

/** A path that another user of the machine may have redirected. */
export class UntrustedPathError extends Error {
  override name = "UntrustedPathError";
}

/** A name in a directory. */
type Stat = Pick<Deno.FileInfo, "isSymlink" | "isDirectory" | "uid" | "nlink" | "mode">;

/** Number of attempts to open a file that appears and disappears. */
const TRIES_MAX = 10;

/** Maximum length of a chain of links, as in the kernel. */
const LINKS_MAX = 40;

/** Write permission for the group and for others. */
const GROUP_WRITES = 0o020, OTHERS_WRITE = 0o002;

/**
 * Returns why a user must not trust an entry of a directory; `undefined` if it is trusted, or if this
 * system has no users. Pure.
 */
export function distrust(entry: Stat, folder: Pick<Stat, "uid" | "mode">, uid: number | null): string | undefined {
  if (uid === null || folder.uid === null || folder.mode === null || entry.uid === null) return undefined;
  const isOurs = (owner: number | null) => owner === uid || owner === 0;
  const othersPutNames = !isOurs(folder.uid) || (folder.mode & (GROUP_WRITES | OTHERS_WRITE)) !== 0;
  if (!othersPutNames) return undefined;
  if (entry.isSymlink) {
    return isOurs(entry.uid) ? undefined : `a symlink created by user ${entry.uid}, in a directory writable by others`;
  }
  if (!isOurs(entry.uid) && (folder.mode & OTHERS_WRITE) !== 0) {
    return `owned by user ${entry.uid}, in a world-writable directory`;
  }
  if (!entry.isDirectory && (entry.nlink ?? 1) > 1) {
    return "a file with several hard links, in a directory writable by others";
  }
  return undefined;
}

/**
 * Resolves all links of a path. The target need not exist. Throws an {@linkcode UntrustedPathError} if
 * another user may have redirected the path.
 */
export async function resolveTrusted(path: string): Promise<string> {
  const walk = follow(path);
  for (let step = walk.next();;) {
    if (step.done) return step.value;
    const { ask, at } = step.value;
    try {
      step = walk.next(ask === "readLink" ? await Deno.readLink(at) : await Deno[ask](at));
    } catch (error) {
      step = walk.throw(error);
    }
  }
}

/** The same synchronously, for a process that may end soon. */
function resolveTrustedSync(path: string): string {
  const walk = follow(path);
  for (let step = walk.next();;) {
    if (step.done) return step.value;
    const { ask, at } = step.value;
    try {
      step = walk.next(ask === "readLink" ? Deno.readLinkSync(at) : Deno[`${ask}Sync`](at));
    } catch (error) {
      step = walk.throw(error);
    }
  }
}

/** Resolves a path; yields requests to the system one at a time. */
function* follow(
  path: string,
): Generator<{ readonly ask: "lstat" | "stat" | "readLink"; readonly at: string }, string, Deno.FileInfo | string> {
  const uid = ownUser();
  let at = "/";
  let rest = namesIn(path.startsWith("/") ? path : `${Deno.cwd()}/${path}`);
  for (let links = 0; rest.length > 0;) {
    const [name = "", ...after] = rest;
    rest = after;
    if (name === "..") {
      at = folderOf(at);
      continue;
    }
    const next = at === "/" ? `/${name}` : `${at}/${name}`;
    let entry: Deno.FileInfo;
    try {
      entry = (yield { ask: "lstat", at: next }) as Deno.FileInfo;
    } catch (error) {
      // A missing name leads nowhere, and below /proc and /dev, which Deno denies, only the kernel creates names.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
        return [next, ...rest].join("/");
      }
      throw error;
    }
    const fault = distrust(entry, (yield { ask: "stat", at }) as Deno.FileInfo, uid);
    if (fault !== undefined) throw new UntrustedPathError(`Cannot use ${path}: ${next} is ${fault}`);
    if (!entry.isSymlink) {
      at = next;
      continue;
    }
    if (++links > LINKS_MAX) {
      throw new UntrustedPathError(`Cannot use ${path}: too many levels of symbolic links (more than ${LINKS_MAX})`);
    }
    const target = (yield { ask: "readLink", at: next }) as string;
    if (target.startsWith("/")) at = "/";
    rest = [...namesIn(target), ...rest];
  }
  return at;
}

/** Options of {@linkcode openTrusted}. */
export interface OpenTrusted {
  /** Mode of a new file. */
  readonly mode: number;
  /** Whether to append. */
  readonly append?: boolean;
  /** Whether to read, too. */
  readonly read?: boolean;
  /** Whether to create a missing file; default: yes. */
  readonly create?: boolean;
  /** Whether a link in its place is an error, whoever made it. */
  readonly noLink?: boolean;
}

/**
 * Opens a file for writing, and creates it if missing; its contents stay. Throws an {@linkcode
 * UntrustedPathError} if another user may have redirected the path, also while it was opened.
 */
export async function openTrusted(
  path: string,
  { mode, append = false, read = false, create = true, noLink = false }: OpenTrusted,
): Promise<Deno.FsFile> {
  if (noLink) await refuseLink(path);
  const real = await resolveTrusted(path);
  const file = await openOrMake(real, { write: true, append, read, create, mode });
  try {
    // Nothing is written before it is certain that no link appeared meanwhile.
    const [there, ours] = await Promise.all([Deno.lstat(real), file.stat()]);
    const fault = distrust(there, await Deno.stat(folderOf(real)), ownUser());
    if (there.dev !== ours.dev || there.ino !== ours.ino || fault !== undefined) {
      throw new UntrustedPathError(
        `Cannot use ${path}: ${real} ${fault === undefined ? "was replaced during the check" : `is ${fault}`}`,
      );
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Opens a file; a missing one is created without following a link that appeared meanwhile: not even an
 * empty file may be created elsewhere.
 */
async function openOrMake(real: string, { create, ...how }: Deno.OpenOptions): Promise<Deno.FsFile> {
  const { mode: _mode, ...there } = how;
  for (let tries = 1;; tries++) {
    try {
      return await Deno.open(real, there);
    } catch (error) {
      if (!create || !(error instanceof Deno.errors.NotFound)) throw error;
    }
    try {
      return await Deno.open(real, { ...how, createNew: true });
    } catch (error) {
      // Another process has created it meanwhile; retry a few times.
      if (tries >= TRIES_MAX || !(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** Creates a missing file; if anything exists, a link too, throws `AlreadyExists`. */
export async function createFile(
  path: string,
  contents: string | readonly Uint8Array<ArrayBuffer>[],
  { mode = 0o666, isSynced = false }: {
    readonly mode?: number;
    /** Whether it must survive a crash of the machine. */
    readonly isSynced?: boolean;
  } = {},
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode });
  const parts = typeof contents === "string" ? [new TextEncoder().encode(contents)] : contents;
  for (const part of parts) await writeAll(file, part);
  if (isSynced) await file.sync();
}

/**
 * Replaces a small file synchronously, for a process that may end soon; creates its directory. A link
 * is replaced, not followed. Throws an {@linkcode UntrustedPathError} if another user may have
 * redirected the directory.
 */
export function placeFileSync(path: string, contents: string, { mode }: { readonly mode: number }): void {
  const folder = resolveTrustedSync(folderOf(path));
  Deno.mkdirSync(folder, { recursive: true });
  const file = `${folder}/${path.slice(path.lastIndexOf("/") + 1)}`;
  try {
    Deno.removeSync(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  Deno.writeTextFileSync(file, contents, { createNew: true, mode });
}

/** Creates a directory and its missing parents; an existing one is fine. Throws as {@linkcode resolveTrusted} does. */
export async function makeDirectory(path: string, { mode = 0o777 }: { readonly mode?: number } = {}): Promise<void> {
  await Deno.mkdir(await resolveTrusted(path), { recursive: true, mode });
}

/** Reads a file whose contents are trusted. Throws as {@linkcode resolveTrusted} does. */
export async function readTrusted(path: string): Promise<string> {
  return await Deno.readTextFile(await resolveTrusted(path));
}

/**
 * Throws an {@linkcode UntrustedPathError} if a directory whose contents are trusted belongs to
 * another user, or is writable by everybody.
 */
export async function requireOwnDirectory(path: string): Promise<void> {
  const uid = ownUser();
  const real = await resolveTrusted(path);
  const { uid: owner, mode } = await Deno.stat(real);
  if (uid === null || owner === null || mode === null) return;
  if (owner !== uid && owner !== 0) {
    throw new UntrustedPathError(
      `Cannot use the directory ${real}: must be owned by user ${uid}; current owner is user ${owner}`,
    );
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    throw new UntrustedPathError(`Cannot use the directory ${real}: world-writable; run chmod o-w ${real}`);
  }
}

/** Writes all the bytes: one call may write fewer. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
}

/** The parent directory of a path without links. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash) || "/";
}

async function refuseLink(path: string): Promise<void> {
  const there = await Deno.lstat(path).catch(() => undefined);
  if (there?.isSymlink) throw new UntrustedPathError(`Cannot use ${path}: symlink not allowed`);
}

/** The names of a path, one by one. */
function namesIn(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** The user of this process; `null` on systems without users. */
function ownUser(): number | null {
  return Deno.uid();
}
