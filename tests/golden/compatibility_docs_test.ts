/**
 * docs/compatibility.md: that no cell is empty, that each row names its test,
 * and that each test that is named exists.
 *
 * @module
 */
import assert from "node:assert/strict";

const DOCUMENT = new URL("../../docs/compatibility.md", import.meta.url);

const document = await Deno.readTextFile(DOCUMENT);

/** The cells of each row of each table, but for the heads. */
const rows = [...document.matchAll(/^\| (.*) \|$/gm)].map(([, row = ""]) => row)
  .filter((row) => !/^--- \|/.test(row) && !row.endsWith("| shown by"))
  .map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()));

/** Where each name in brackets leads to. */
const files = new Map(
  [...document.matchAll(/^\[([\w-]+)\]: (\S+)$/gm)].map(([, name = "", path = ""]) => [name, new URL(path, DOCUMENT)]),
);

Deno.test("docs/compatibility.md has no row that is not filled", () => {
  assert.ok(rows.length >= 180, `${rows.length}`);
  for (const row of rows) {
    assert.equal(row.length, 4, row.join(" | "));
    for (const cell of row) assert.notEqual(cell, "", row.join(" | "));
  }
});

Deno.test("docs/compatibility.md has each bug of the predecessor's", () => {
  const numbers = rows.map(([bug = ""]) => /^\*\*B(\d+a?)\*\*/.exec(bug)?.[1]).filter((number) => number !== undefined);
  assert.deepEqual(new Set(numbers), new Set([...Array(31).keys(), "4a", "9a"].map(String)));
});

Deno.test("docs/compatibility.md names in each row the tests that show it, and all of them exist", async () => {
  const texts = new Map<string, string>();
  for (const [name, file] of files) texts.set(name, await Deno.readTextFile(file));
  for (const row of rows) {
    const shownBy = row.at(-1) ?? "";
    const named = [...shownBy.matchAll(/\[([^\]]+)\]\[([\w-]+)\]/g)];
    const golden = [...shownBy.matchAll(/\]\((\S+)\)/g)];
    assert.ok(named.length + golden.length > 0, row.join(" | "));
    for (const [, test = "", file = ""] of named) {
      assert.ok(texts.get(file)?.includes(test), `There is no test "${test}" in ${files.get(file) ?? file}`);
    }
    for (const [, path = ""] of golden) assert.ok((await Deno.stat(new URL(path, DOCUMENT))).isFile, path);
  }
});
