/**
 * What `--help` says of each command: a case is a file in `cli/`, with the
 * command line, a line `----`, and what is printed. `UPDATE_GOLDEN=1` writes
 * the last part again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";

const CASES = new URL("./cli/", import.meta.url);

const names = [...Deno.readDirSync(CASES)].map(({ name }) => name).toSorted();

Deno.test("there is a golden help for every command that the help names", async () => {
  const { stdout } = await runCli(["--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, command]) => command);
  assert.deepEqual(commands.toSorted(), names.map((name) => name.replace(".txt", "")).filter((name) => name !== "all"));
});

for (const name of names) {
  Deno.test(`the help of ${name.replace(".txt", "")} is as in the golden file`, async () => {
    const path = new URL(name, CASES);
    const [line = "", expected = ""] = (await Deno.readTextFile(path)).split(/^----\n/m);
    const { code, stdout, stderr } = await runCli(line.trim().replace(/^lighthouse /, "").split(" "));
    assert.equal(stderr, "");
    assert.equal(code, 0);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(path, `${line}----\n${stdout}`);
    else assert.equal(stdout, expected);
  });
}
