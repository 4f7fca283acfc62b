import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** The oldest Deno that the source is kept fit for. Its types differ, so what is shown is that it runs. */
const OLDEST = "2.4.2";

/** Runs a program to its end; answers what it wrote. */
async function run(
  program: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly said: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: ROOT,
    // It trusts what this machine trusts, as newer versions do by themselves.
    env: { NO_COLOR: "1", DENO_TLS_CA_STORE: "system,mozilla", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, said: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test(`lighthouse checks a directory and runs the demo under Deno ${OLDEST}, too`, async () => {
  await setUp(["haproxy"]);
  await using dir = new TempDir("lighthouse-older-");
  const { said } = await run("npx", ["--silent", "-y", "-p", `deno@${OLDEST}`, "-c", "command -v deno"]);
  // Beside its launcher, which would not pass a signal on.
  const path = (await Deno.realPath(said.trim())).replace(/bin\.cjs$/, "deno");
  const unstable = config.unstable.filter((name) => name !== "no-legacy-abort").map((name) => `--unstable-${name}`);
  const [, ...flags] = config.tasks.lighthouse.command.split(" ");
  const [command = "", ...rest] = flags;
  const program = await dir.write(
    "lighthouse",
    `#!/bin/sh\nexec ${path} ${command} --no-lock ${unstable.join(" ")} ${rest.join(" ")} "$@"\n`,
  );
  await Deno.chmod(program, 0o755);
  const version = await run(program, ["--version"]);
  assert.match(version.said, new RegExp(`^deno ${RegExp.escape(OLDEST)} `, "m"), version.said);

  const check = await run(program, ["check", "examples/web"]);
  assert.match(check.said, /examples\/web: valid: 0 errors, 0 warnings/);
  assert.equal(check.code, 0, check.said);

  const demo = await run(Deno.execPath(), ["task", "--quiet", "demo", "--once", `--program=${program}`]);
  assert.equal(demo.code, 0, demo.said);
  assert.match(demo.said, /requests failed +0$/m);
});
