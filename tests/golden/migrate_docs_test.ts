/**
 * Compares the tables of docs/migrate with the tests that they name.
 *
 * @module
 */
import { ShownByDocument } from "../support/shown_by.ts";

/** The tables of key by key for each page; lighthouse-1.0.md has one of another shape, which compatibility_docs_test.ts reads. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  "lighthouse-1.0.md": [],
  "aurproxy.md": ["aurproxy, feature by feature"],
  "confd.md": ["confd, feature by feature"],
  "smartstack.md": ["nerve, key by key", "synapse, key by key"],
};

for (const [page, headings] of Object.entries(TABLES)) {
  Deno.test.each(headings)(`each row of ${page} names what there is instead and a test: $0`, async (heading) => {
    const document = await ShownByDocument.read(`docs/migrate/${page}`, { heading });
    document.assertFilled(3);
    await document.assertShown();
  });
}
