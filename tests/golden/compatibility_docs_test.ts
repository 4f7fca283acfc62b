/**
 * The tables of docs/compatibility.md and docs/migrate/lighthouse-1.0.md: no cell
 * is empty, each row names its test, and each named test exists.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ShownByDocument } from "../support/shown_by.ts";

const document = await ShownByDocument.read("docs/compatibility.md");

Deno.test("docs/compatibility.md has no row that is not filled", () => {
  assert.ok(document.rows.length >= 174, `${document.rows.length}`);
  document.assertFilled(4);
});

Deno.test("docs/compatibility.md has each bug of 1.0's", () => {
  const bugs = document.rows.map(([bug = ""]) => /^\*\*B(\d+a?)\*\*/.exec(bug)?.[1]);
  const numbers = bugs.filter((number) => number !== undefined);
  assert.deepEqual(new Set(numbers), new Set([...Array(31).keys(), "4a", "9a"].map(String)));
});

Deno.test("docs/compatibility.md names in each row the tests that show it, and all of them exist", async () => {
  await document.assertShown();
});

Deno.test("docs/migrate/lighthouse-1.0.md names in each row the tests that show it, and all of them exist", async () => {
  const moving = await ShownByDocument.read("docs/migrate/lighthouse-1.0.md");
  assert.equal(moving.rows.length, 6);
  moving.assertFilled(4);
  await moving.assertShown();
});
