import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { BUILTINS } from "../../workers/builtins.ts";
import { TempDir } from "../support/temp_dir.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("deno task compile embeds the entry of workers, every plugin and every package", async () => {
  await using dir = new TempDir("lighthouse-compile-");
  const [program, ...args] = config.tasks.compile.command.split(" ");
  assert.equal(program, "deno");
  const command = new Deno.Command(Deno.execPath(), {
    args: args.map((arg) => arg === "dist/lighthouse" ? dir.file("lighthouse") : arg),
    cwd: ROOT,
    // The runtime that is embedded would be downloaded; what else is embedded shows with any program in its place.
    env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
    stdin: "null",
  });
  const { success, stderr, stdout } = await command.output();
  const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
  assert.ok(success, said);

  // The tree names each folder, or folds it up as `name/*`.
  const folders = [...said.matchAll(/^[│ ]*[├└]─[─┬] (\S+?)(?:\/\*)? \(/gm)].map(([, name]) => name);
  const plugins = [...BUILTINS.keys()].map((key) => key.slice(key.indexOf("/") + 1));
  assert.ok(plugins.length >= 6);
  for (const folder of ["workers", ...plugins]) {
    assert.ok(folders.includes(folder), `${folder} is missing in:\n${said}`);
  }
  for (const name of ["yaml", "valibot", "node-zookeeper-client", "@logtape", "@optique"]) {
    assert.ok(said.includes(name), `${name} is missing in:\n${said}`);
  }
});
