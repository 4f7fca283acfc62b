/**
 * docs/reliability.md: that each row names the tests that hold its promise, and
 * that all of them exist.
 *
 * @module
 */
import assert from "node:assert/strict";

const DOCUMENT = new URL("../../docs/reliability.md", import.meta.url);
const text = await Deno.readTextFile(DOCUMENT);

/** The rows of all tables, but for the heads. */
const rows = [...text.matchAll(/^\| (.*) \|$/gm)].map(([, row = ""]) => row)
  .filter((row) => !row.startsWith("--- |") && !row.endsWith("| shown by"));

/** Where each name in brackets leads to. */
const files = new Map(
  [...text.matchAll(/^\[([\w-]+)\]: (\S+)$/gm)].map(([, name = "", path = ""]) => [name, new URL(path, DOCUMENT)]),
);

Deno.test("docs/reliability.md shows each promise by a test", () => {
  assert.ok(rows.length >= 40, `${rows.length}`);
  for (const row of rows) {
    const [hurts = "", does = "", shown = "", ...rest] = row.split(" | ");
    assert.ok(hurts !== "" && does !== "" && /\]\[|\]\(/.test(shown) && rest.length === 0, row);
  }
});

Deno.test("docs/reliability.md names tests that exist", async () => {
  const named = [...text.matchAll(/\[([^\]]+)\]\[([\w-]+)\]/g)];
  assert.ok(named.length >= 50, `${named.length}`);
  for (const [, test = "", file = ""] of named) {
    const path = files.get(file);
    assert.ok(path !== undefined, `${file} leads nowhere`);
    const source = await Deno.readTextFile(path);
    assert.ok(['"', "`"].some((quote) => source.includes(`${quote}${test}`)), `There is no test "${test}" in ${path.pathname}`);
  }
});
