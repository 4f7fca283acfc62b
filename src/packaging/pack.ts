/**
 * Makes the npm package `dist/lighthouse-VERSION.tgz`: `deno task pack`. It
 * holds the sources, and Deno comes with it as a dependency, so that `npx`
 * runs Lighthouse on a machine that has Node alone.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- this program's output is its purpose
import config from "../../deno.json" with { type: "json" };
import { noteCommit } from "./commit.ts";
import { RUN_FLAGS } from "./flags.ts";

const ROOT = new URL("../../", import.meta.url);
/** What is packed. */
const STAGE = new URL("dist/npm/", ROOT);

/** What goes into the package, besides what is made for it. */
const CONTENTS = [
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "deno.json",
  "deno.lock",
  "dist/commit",
  "docs",
  "mod.ts",
  "plugins",
  "src",
  "workers",
] as const;

/** Whether a file of those folders is for developers alone. */
function isForDevelopers(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("src/packaging/") || path.startsWith("src/plugin/skeleton/");
}

/** Copies a file, or a folder with all that is in it. */
async function stage(path: string): Promise<void> {
  const from = new URL(path, ROOT);
  if ((await Deno.stat(from)).isDirectory) {
    for await (const { name } of Deno.readDir(from)) await stage(`${path}/${name}`);
  } else if (!isForDevelopers(path)) {
    const to = new URL(path, STAGE);
    await Deno.mkdir(new URL(".", to), { recursive: true });
    await Deno.copyFile(from, to);
  }
}

/** The pinned version of Deno. */
async function pinnedDeno(): Promise<string> {
  const pinned = /^deno (\S+)$/m.exec(await Deno.readTextFile(new URL(".tool-versions", ROOT)))?.[1];
  if (pinned === undefined) throw new Error("Cannot find deno in .tool-versions");
  return pinned;
}

await noteCommit(ROOT);
await Deno.remove(STAGE, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
for (const path of CONTENTS) await stage(path);
await Deno.mkdir(new URL("bin/", STAGE), { recursive: true });
await Deno.copyFile(new URL("src/packaging/launcher.mjs", ROOT), new URL("bin/lighthouse.mjs", STAGE));
await Deno.writeTextFile(
  new URL("package.json", STAGE),
  `${
    JSON.stringify(
      {
        name: config.name,
        version: config.version,
        description: "Keeps a local HAProxy in step with service discovery",
        license: config.license,
        bin: { lighthouse: "bin/lighthouse.mjs" },
        dependencies: { deno: await pinnedDeno() },
        lighthouse: { runFlags: RUN_FLAGS },
      },
      null,
      2,
    )
  }\n`,
);
const { success, stdout } = await new Deno.Command("npm", {
  args: ["pack", "--silent", "--pack-destination", new URL("dist/", ROOT).pathname],
  cwd: STAGE,
  stdin: "null",
  stdout: "piped",
}).output();
if (success) console.log(`dist/${new TextDecoder().decode(stdout).trim()}`);
Deno.exit(success ? 0 : 1);
