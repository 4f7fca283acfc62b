import type { Owner } from "./owner.ts";
import { createFile, folderOf, openTrusted, resolveTrusted, UntrustedPathError, writeAll } from "./trusted_file.ts";

export interface AtomicWriteOptions {
  /** Mode of a new file; an existing one keeps its mode and owner. */
  readonly mode: number;
  /** Whether an existing file gets the mode, too. */
  readonly setsMode?: boolean | undefined;
  /** The file's owner, whoever owns an existing one. */
  readonly owner?: Owner | undefined;
  /** Checks the candidate before it replaces the file; a thrown error leaves the file unchanged. */
  readonly check?: ((candidate: string) => Promise<void>) | undefined;
}

/** Suffix of a candidate beside its target. */
const CANDIDATE = /^\.lighthouse-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A candidate of this age belongs to a dead process: no check takes as long. */
const CANDIDATE_AGE_MAX_MS = 60_000;

/** Minimum time between two searches for stale candidates of a file. */
const SWEEP_INTERVAL_MS = 60_000;

/** When stale candidates were last searched, by the path of the target. */
const swept = new Map<string, number>();

/** The system's errors for a read-only directory, or for a file that is a mount point. */
const NOT_REPLACEABLE: ReadonlySet<unknown> = new Set(["EACCES", "EPERM", "EROFS", "EBUSY"]);

/**
 * Replaces a file atomically: a reader sees the old contents or the new ones,
 * also after a crash. The candidate stays beside its
 * target until it is complete and has passed the check. Throws what the file
 * system or the check throws, and an `UntrustedPathError` if another user may
 * have redirected the path; then the target is unchanged.
 *
 * A file that can be written but not replaced, because it is a mount point or
 * its directory belongs to another user, is written in place once the
 * candidate has passed the check. A crash at that moment can leave half of it.
 */
export async function writeAtomically(
  path: string,
  contents: string,
  { mode, setsMode = false, owner, check }: AtomicWriteOptions,
): Promise<void> {
  // Links are followed: the target changes and the link stays.
  const target = await resolveTrusted(path);
  const before = await Deno.stat(target).catch(() => undefined);
  if (before?.isDirectory) throw new Deno.errors.IsADirectory(`Is a directory: ${target}`);
  await sweep(target);
  const candidate = `${target}.lighthouse-${crypto.randomUUID()}`;
  try {
    // Private until the owner is set.
    await createFile(candidate, contents, { mode: 0o600, isSynced: true });
    if (owner === undefined) await keepOwner(candidate, before);
    else await Deno.chown(candidate, owner.uid, owner.gid);
    await Deno.chmod(candidate, ((setsMode ? undefined : before?.mode) ?? mode) & 0o777);
    await check?.(candidate);
    await Deno.rename(candidate, target);
  } catch (error) {
    await Deno.remove(candidate).catch(() => {});
    if (before === undefined || !isNotReplaceable(error)) throw error;
    return await writeInPlace(target, contents, { check, why: error });
  }
  await syncDirectory(folderOf(target));
}

/** Writes into the file itself, once a candidate in a private directory has passed the check. */
async function writeInPlace(
  target: string,
  contents: string,
  { check, why }: Pick<AtomicWriteOptions, "check"> & { readonly why: Error },
): Promise<void> {
  let file: Deno.FsFile;
  try {
    file = await openTrusted(target, { mode: 0o600, create: false });
  } catch (error) {
    if (error instanceof UntrustedPathError) throw error;
    why.message += `; ${target} or its directory must be writable`;
    throw why;
  }
  using _file = file;
  if (check !== undefined) {
    const dir = await Deno.makeTempDir({ prefix: "lighthouse-candidate-" });
    try {
      const candidate = `${dir}/candidate.lighthouse-${crypto.randomUUID()}`;
      await createFile(candidate, contents, { mode: 0o600 });
      await check(candidate);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }
  const before = await Deno.readFile(target);
  try {
    await overwrite(file, new TextEncoder().encode(contents));
  } catch (error) {
    // The disk may be full; the old contents fit in any case.
    await overwrite(file, before).catch(() => {});
    throw error;
  }
}

async function overwrite(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  await file.seek(0, Deno.SeekMode.Start);
  await writeAll(file, bytes);
  await file.truncate(bytes.length);
  await file.sync();
}

function isNotReplaceable(error: unknown): error is Error {
  return error instanceof Error && NOT_REPLACEABLE.has((error as Error & { readonly code?: string }).code);
}

/** Removes the candidates of killed processes; failures are ignored. */
async function sweep(target: string): Promise<void> {
  const now = performance.now();
  if (now < (swept.get(target) ?? -Infinity) + SWEEP_INTERVAL_MS) return;
  swept.set(target, now);
  const folder = folderOf(target);
  const name = target.slice(folder === "/" ? 1 : folder.length + 1);
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (!entry.isFile || !entry.name.startsWith(name) || !CANDIDATE.test(entry.name.slice(name.length))) continue;
      const path = `${folder}/${entry.name}`;
      const writtenMs = (await Deno.lstat(path)).mtime?.getTime() ?? Infinity;
      if (Date.now() - writtenMs > CANDIDATE_AGE_MAX_MS) await Deno.remove(path);
    }
  } catch {
    return;
  }
}

/**
 * Gives the candidate to the owner of the replaced file; only root can, and for other users the owner
 * stays the same.
 */
async function keepOwner(candidate: string, before: Deno.FileInfo | undefined): Promise<void> {
  if (before === undefined || before.uid === null || before.gid === null) return;
  const own = await Deno.stat(candidate);
  if (own.uid === before.uid && own.gid === before.gid) return;
  await Deno.chown(candidate, before.uid, before.gid).catch(() => {});
}

/** Syncs the directory; not every file system can, and the rename has happened anyway. */
async function syncDirectory(path: string): Promise<void> {
  try {
    using directory = await Deno.open(path);
    await directory.sync();
  } catch {
    return;
  }
}
