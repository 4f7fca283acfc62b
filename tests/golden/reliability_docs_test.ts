/** docs/reliability.md: that each row names the tests that hold its promise, and that all of them exist. */
import assert from "node:assert/strict";
import { ShownByDocument } from "../support/shown_by.ts";

const document = await ShownByDocument.read("docs/reliability.md");

Deno.test("docs/reliability.md has no row that is not filled", () => {
  assert.ok(document.rows.length >= 60, `${document.rows.length}`);
  document.assertFilled(3);
});

Deno.test("docs/reliability.md names in each row the tests that show it, and all of them exist", async () => {
  await document.assertShown();
});
