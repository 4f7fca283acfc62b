import assert from "node:assert/strict";
import { BUILTINS } from "../../workers/builtins.ts";
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A runtime that makes binaries which run; Deno itself in its place makes some that only show what is in them. */
const DENORT = [Deno.env.get("DENORT_BIN")].find((path) => path !== undefined && !isDeno(path));

function isDeno(path: string): boolean {
  return Deno.realPathSync(path) === Deno.realPathSync(Deno.execPath());
}

/** Runs `deno task compile`; answers what it printed. */
async function compile(args: readonly string[], denort: string): Promise<string> {
  const { success, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "compile", ...args],
    cwd: ROOT,
    env: { DENORT_BIN: denort, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
  assert.ok(success, said);
  return said;
}

Deno.test("deno task compile embeds the entry of workers, every plugin, what they import and the commit", async () => {
  await using dir = new TempDir("lighthouse-compile-");
  const said = await compile(["--dir", dir.path], Deno.execPath());
  assert.ok((await Deno.stat(dir.file("lighthouse"))).isFile);
  // The tree names each folder, or folds it up as `name/*`.
  const names = [...said.matchAll(/^[│ ]*[├└]─[─┬] (\S+?)(?:\/\*)? \(/gm)].map(([, name]) => name);
  const folded = new Set([...said.matchAll(/ (\S+)\/\* \(/g)].map(([, name = ""]) => name.replace(/s$/, "")));
  const plugins = [...BUILTINS.keys()].map((key) => key.split("/") as [kind: string, name: string])
    .filter(([kind]) => !folded.has(kind));
  assert.ok(plugins.length >= 6);
  for (const name of ["workers", ...plugins.map(([, name]) => name)]) {
    assert.ok(names.includes(name), `${name} is missing in:\n${said}`);
  }
  // Where nothing else is in its folder, the tree shows the folder.
  assert.ok(names.some((name) => name === "dist/commit" || name === "dist"), `dist/commit is missing in:\n${said}`);
  for (const name of ["yaml.js", "valibot.js", "@logtape", "@optique"]) {
    assert.ok(names.includes(name), `${name} is missing in:\n${said}`);
  }
  assert.doesNotMatch(said, /fast-check|pure-rand/);
});

Deno.test("a compiled binary keeps no code cache, which anybody could put where it would be looked for", async () => {
  await using dir = new TempDir("lighthouse-compile-");
  await compile(["--dir", dir.path], Deno.execPath());
  const binary = new TextDecoder("latin1").decode(await Deno.readFile(dir.file("lighthouse")));
  // The binary holds its own metadata as JSON.
  const keys = [...binary.matchAll(/"code_cache_key":(null|[^,]{1,40})/g)].map(([, key]) => key);
  assert.deepEqual(keys, ["null"]);
});

Deno.test("deno task compile makes binaries for another platform, and says which there are", async () => {
  await using dir = new TempDir("lighthouse-compile-");
  await compile(["--dir", dir.path, "--target", "aarch64-unknown-linux-gnu"], Deno.execPath());
  assert.ok((await Deno.stat(dir.file("lighthouse-aarch64-unknown-linux-gnu"))).isFile);
  await assert.rejects(compile(["--target", "vax"], Deno.execPath()), /aarch64-apple-darwin/);
});

Deno.test({
  name: `the binary runs the demo (${DENORT === undefined ? "skipped: DENORT_BIN names no denort" : DENORT})`,
  ignore: DENORT === undefined,
}, async () => {
  await setUp(["haproxy"]);
  await using dir = new TempDir("lighthouse-compile-");
  await compile(["--dir", dir.path], DENORT ?? "");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo", "--once", `--program=${dir.file("lighthouse")}`],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, output);
  assert.match(output, /requests failed +0$/m);
});
