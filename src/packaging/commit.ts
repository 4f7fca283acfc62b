/**
 * Returns the commit of a checkout, for builds, which have no repository. Without git (in an image, or
 * from an archive), it is taken from the environment (`LIGHTHOUSE_COMMIT`), else it is `unknown`.
 */
export async function describeCommit(root: URL): Promise<string> {
  // An archive unpacked inside another checkout does not have that checkout's commit.
  const isCheckout = await askGit(root, ["rev-parse", "--show-prefix"]) === "";
  const commit = isCheckout && await askGit(root, ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
  return commit || Deno.env.get("LIGHTHOUSE_COMMIT")?.trim() || "unknown";
}

async function askGit(root: URL, args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      args: ["-C", root.pathname, ...args],
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
