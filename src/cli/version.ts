/** What a build knows of itself, beside the version that `deno.json` gives. */
export interface Build {
  /** The version of Lighthouse. */
  readonly version: string;
  /** The project's root: a checkout, an unpacked package, or what a binary has in it. */
  readonly root: URL;
}

/** How long a program may take to say its version. */
const DEADLINE_MS = 5_000;

/** Where Debian keeps what only administrators run. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin";

/**
 * What `--version` prints: this program, its commit, the runtime, and the
 * HAProxy that would be found if no `program` were named. The first line is for
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

/** The commit of a checkout, else the one that was noted when it was packed. */
async function commitOf(root: URL): Promise<string> {
  // A package that was unpacked inside some other checkout is not of that checkout's commit.
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
    // It is not there, or may not be run: both are "not found" to whoever asks.
    return undefined;
  }
}
