/**
 * Throws if a cluster's directory is a symbolic link: anyone who may write to the registry could make
 * Lighthouse write or remove files elsewhere with it. A missing one is fine.
 */
export async function refuseLink(folder: string): Promise<void> {
  try {
    if (!(await Deno.lstat(folder)).isSymlink) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Error(`Cannot write to ${folder}: must be a directory, not a symbolic link`);
}
