import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Runs a program to its end, which must be a good one; answers what it printed. */
async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert.ok(success, `${program} ${args.join(" ")}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

Deno.test("deno task pack makes a package that npm installs and that runs the demo", async () => {
  await setUp(["haproxy"]);
  await using dir = new TempDir("lighthouse-pack-");
  const packed = (await run(Deno.execPath(), ["task", "--quiet", "pack"], ROOT)).trim();
  const page = await Deno.readTextFile(`${ROOT}docs/install.md`);
  const [, archive = ""] = /^npm install --global (\S+)$/m.exec(page) ?? [];
  assert.equal(archive, `./${packed}`, "docs/install.md names what is packed");
  const quietly = ["--silent", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...quietly, "--prefix", dir.path, "--global", archive], ROOT);
  const installed = dir.file("bin/lighthouse");

  assert.match(
    await run(installed, ["--version"], dir.path),
    new RegExp(`^lighthouse ${RegExp.escape(config.version)}\ncommit [0-9a-f]{12}`),
  );
  const modules = dir.file("lib/node_modules/@lighthouse/lighthouse");
  assert.ok((await Deno.stat(`${modules}/mod.ts`)).isFile);
  await assert.rejects(Deno.stat(`${modules}/src/app/accept_test.ts`), Deno.errors.NotFound);
  // It ends what it has started with a signal, which has to come through.
  const demo = await run(
    Deno.execPath(),
    ["task", "--quiet", "demo", "--once", `--program=${installed}`],
    ROOT,
  );
  assert.match(demo, /requests failed +0$/m);
});
