/**
 * Notes the commit in `dist/commit`, which goes into binaries and packages:
 * what is made of a checkout has no repository to ask. Where there is no git
 * (in an image, of an archive), what was noted before stays, else `unknown`.
 */
export async function noteCommit(root: URL): Promise<void> {
  const note = new URL("dist/commit", root);
  await Deno.mkdir(new URL("dist/", root), { recursive: true });
  const commit = await askGit(root);
  if (commit !== undefined) return await Deno.writeTextFile(note, commit);
  await Deno.writeTextFile(note, "unknown\n", { createNew: true }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
}

async function askGit(root: URL): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["-C", root.pathname, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
      stdin: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
