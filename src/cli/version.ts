/** The facts of a build, beside the version of `deno.json`. */
export interface Build {
  /** The version of Lighthouse. */
  readonly version: string;
  /** The project's root: a checkout, an unpacked package, or what a binary has in it. */
  readonly root: URL;
}

/** The deadline of a program that prints its version. */
const DEADLINE_MS = 5_000;

/** Debian's directories for the programs of administrators. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin";

/**
 * The output of `--version`: this program, its commit, the runtime, and the
 * HAProxy that is found if no `program` is configured. The first line is for
 * scripts, so its second word is the version alone.
 */
export async function describeVersion({ version, root }: Build): Promise<string> {
  const [commit, haproxy] = await Promise.all([commitOf(root), haproxyFound()]);
  return [
    `lighthouse ${version}`,
    `commit ${commit}`,
    `deno ${Deno.version.deno} (${Deno.build.target})`,
    `haproxy ${haproxy}`,
  ].join("\n");
}

/** The commit of the checkout, else that recorded by the build. */
async function commitOf(root: URL): Promise<string> {
  // A package that is unpacked inside another checkout does not have the commit of that checkout.
  const isCheckout = await Deno.stat(new URL(".git", root)).then(() => true, () => false);
  if (isCheckout) {
    const said = await firstLineOf("git", ["-C", root.pathname, "rev-parse", "--short=12", "HEAD"]);
    if (said !== undefined) return said;
  }
  return await Deno.readTextFile(new URL("dist/commit", root)).then((text) => text.trim(), () => "unknown");
}

async function haproxyFound(): Promise<string> {
  const said = await firstLineOf("haproxy", ["-v"]);
  if (said === undefined) return "not found in PATH";
  return /version (\S+)/.exec(said)?.[1] ?? said;
}

async function firstLineOf(program: string, args: readonly string[]): Promise<string | undefined> {
  const path = `${Deno.env.get("PATH") ?? "/usr/bin:/bin"}:${SYSTEM_PATH}`;
  try {
    const { success, stdout } = await new Deno.Command(program, {
      args: [...args],
      env: { PATH: path },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.timeout(DEADLINE_MS),
    }).output();
    return success ? new TextDecoder().decode(stdout).split("\n")[0]?.trim() : undefined;
  } catch {
    // Missing or not executable: both are reported as not found.
    return undefined;
  }
}
