/**
 * Documents whose tables name, in the last cell of each row, the tests that
 * prove the row: `[a test's name][file]`, with `[file]: path` below, or a link to
 * a golden file.
 *
 * @module
 */
import assert from "node:assert/strict";

/** A document with such tables. */
export class ShownByDocument {
  /** The cells of each row of each table, without the heads. */
  readonly rows: readonly (readonly string[])[];
  readonly #url: URL;
  readonly #text: string;

  private constructor(url: URL, text: string, section: string) {
    [this.#url, this.#text] = [url, text];
    this.rows = [...section.matchAll(/^\| (.*) \|$/gm)].map(([, row = ""]) => row)
      .filter((row) => !/^--- \|/.test(row) && !row.endsWith("| shown by"))
      .map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  }

  /** Reads a document, by its path from the project's root; with a heading, only the tables below it. */
  static async read(path: string, { heading }: { readonly heading?: string } = {}): Promise<ShownByDocument> {
    const url = new URL(`../../${path}`, import.meta.url);
    const text = await Deno.readTextFile(url);
    const section = heading === undefined
      ? text
      : text.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? assert.fail(`${path} has no ${heading}`);
    return new ShownByDocument(url, text, section);
  }

  /** Fails unless each row has this many cells, none of them empty. */
  assertFilled(cells: number): void {
    for (const row of this.rows) {
      assert.equal(row.length, cells, row.join(" | "));
      for (const cell of row) assert.notEqual(cell, "", row.join(" | "));
    }
  }

  /** Fails unless each row names a test or a golden file, and all that the document names are there. */
  async assertShown(): Promise<void> {
    for (const row of this.rows) assert.match(row.at(-1) ?? "", /\]\[[\w-]+\]|\]\(\S+\)/, row.join(" | "));
    // What the other cells say may look like a reference: a log line has brackets, too.
    const shown = [this.#text.replaceAll(/^\|.*$/gm, ""), ...this.rows.map((row) => row.at(-1))].join("\n");
    await this.#assertTests(shown);
    for (const row of this.rows) {
      for (const [, path = ""] of (row.at(-1) ?? "").matchAll(/\]\((\S+)\)/g)) {
        assert.ok((await Deno.stat(new URL(path, this.#url))).isFile, path);
      }
    }
  }

  /** Fails unless all tests are there that the document names, in whichever cell. */
  async assertNamedExist(): Promise<void> {
    await this.#assertTests(this.#text);
  }

  async #assertTests(text: string): Promise<void> {
    const sources = new Map<string, string>();
    for (const [, name = "", path = ""] of this.#text.matchAll(/^\[([\w-]+)\]: (\S+)$/gm)) {
      sources.set(name, await Deno.readTextFile(new URL(path, this.#url)));
    }
    for (const [, test = "", file = ""] of text.matchAll(/\[([^\]]+)\]\[([\w-]+)\]/g)) {
      assert.ok(sources.get(file)?.includes(test), `There is no test "${test}" in ${file}`);
    }
  }
}
