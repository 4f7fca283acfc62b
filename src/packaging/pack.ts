/**
 * Makes the npm package `dist/lighthouse-lighthouse-VERSION.tgz`: `deno task
 * pack`. It contains all of Lighthouse, with Deno as a
 * dependency, so that `npx` runs Lighthouse on a machine that has only Node.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- this program's output is its purpose
import config from "../../deno.json" with { type: "json" };
import { RUN_FLAGS } from "./flags.ts";
import { makeStage, pinnedDeno, ROOT } from "./stage.ts";

async function pack(): Promise<boolean> {
  await using stage = await makeStage();
  await Deno.mkdir(`${stage.path}/bin`);
  await Deno.copyFile(new URL("src/packaging/launcher.mjs", ROOT), `${stage.path}/bin/lighthouse.mjs`);
  const manifest = {
    name: config.name,
    version: config.version,
    description: "Keeps the local load balancer in sync with service discovery",
    license: config.license,
    bin: { lighthouse: "bin/lighthouse.mjs" },
    dependencies: { deno: await pinnedDeno() },
    lighthouse: { runFlags: RUN_FLAGS },
  };
  await Deno.writeTextFile(`${stage.path}/package.json`, `${JSON.stringify(manifest, null, 2)}\n`);
  const { success, stdout } = await new Deno.Command("npm", {
    args: ["pack", "--silent", "--pack-destination", new URL("dist/", ROOT).pathname],
    cwd: stage.path,
    stdin: "null",
    stdout: "piped",
  }).output();
  if (success) console.log(`dist/${new TextDecoder().decode(stdout).trim()}`);
  return success;
}

Deno.exit(await pack() ? 0 : 1);
