/** What {@linkcode writeAtomically} needs besides path and contents. */
export interface AtomicWriteOptions {
  /** The permission bits of a file that is not there yet; one that is keeps its bits and its owner. */
  readonly mode: number;
  /** Looks at the candidate before it takes the file's place; a throw leaves the file as it is. */
  readonly check?: (candidate: string) => Promise<void>;
}

/**
 * Replaces a file as a whole: a reader sees the old text or the new one, and
 * after a crash one of them is there. The candidate stands beside its target
 * until it is complete and has passed the check. Throws what the file system
 * or the check throws; then the target is as it was.
 */
export async function writeAtomically(
  path: string,
  contents: string,
  { mode, check }: AtomicWriteOptions,
): Promise<void> {
  // A link is followed, so that what it points to changes and the link stays.
  const target = await Deno.realPath(path).catch(() => path);
  const candidate = `${target}.lighthouse-${crypto.randomUUID()}`;
  const before = await Deno.stat(target).catch(() => undefined);
  try {
    {
      // Nobody else may read what is not yet known to be theirs.
      using file = await Deno.open(candidate, { write: true, createNew: true, mode: 0o600 });
      const bytes = new TextEncoder().encode(contents);
      for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
      await file.sync();
    }
    await keepOwner(candidate, before);
    await Deno.chmod(candidate, (before?.mode ?? mode) & 0o777);
    await check?.(candidate);
    await Deno.rename(candidate, target);
  } catch (error) {
    await Deno.remove(candidate).catch(() => {});
    throw error;
  }
  await syncDirectory(target.slice(0, target.lastIndexOf("/")) || (target.startsWith("/") ? "/" : "."));
}

/** Gives the candidate to the owner of the file that it replaces; only root can, and for others there is nothing to keep. */
async function keepOwner(candidate: string, before: Deno.FileInfo | undefined): Promise<void> {
  if (before === undefined || before.uid === null || before.gid === null) return;
  const own = await Deno.stat(candidate);
  if (own.uid === before.uid && own.gid === before.gid) return;
  await Deno.chown(candidate, before.uid, before.gid).catch(() => {});
}

/** Makes the renaming itself last; not every file system can, and the rename has happened all the same. */
async function syncDirectory(path: string): Promise<void> {
  try {
    using directory = await Deno.open(path);
    await directory.sync();
  } catch {
    return;
  }
}
