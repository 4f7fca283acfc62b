import assert from "node:assert/strict";
import { TempDir } from "./temp_dir.ts";

/**
 * A page of docs/migrate with its files, written below a temporary directory
 * that replaces `/`, and its commands. Tests replace what differs for them.
 */
export class MigrationPage implements AsyncDisposable {
  readonly #text: string;
  readonly #temp: TempDir;
  readonly #replaced: Readonly<Record<string, string>>;
  readonly #files = new Map<string, string>();

  private constructor(text: string, temp: TempDir, replaced: Readonly<Record<string, string>>) {
    [this.#text, this.#temp, this.#replaced] = [text, temp, replaced];
  }

  /** Reads `docs/migrate/NAME.md` and writes its files: code blocks whose first line names one (`# /etc/x`, `// /etc/x`). */
  static async read(name: string, replaced: Readonly<Record<string, string>>): Promise<MigrationPage> {
    const text = await Deno.readTextFile(new URL(`../../docs/migrate/${name}.md`, import.meta.url));
    const page = new MigrationPage(text, new TempDir("lighthouse-migrate-"), replaced);
    for (const [, path = "", contents = ""] of text.matchAll(/^```\w+\n(?:#|\/\/) (\/\S+)\n([^]*?)^```$/gm)) {
      const written = page.replace(contents);
      page.#files.set(await page.#temp.write(path.slice(1), written), written);
    }
    assert.ok(page.#files.size > 0, "the page has files");
    return page;
  }

  /** A path of the page, below the temporary directory. */
  path(path: string): string {
    return this.#temp.file(path.slice(1));
  }

  /** Replaces what differs in the test, and the paths of the page. */
  replace(text: string): string {
    for (const [from, to] of Object.entries(this.#replaced)) text = text.replaceAll(from, to);
    return text.replaceAll(/(?:(?<![\w/])|(?<=file:\/\/))\/etc\/(?=\w)/g, `${this.#temp.file("etc")}/`);
  }

  /** The commands of `lighthouse` below a heading, as lists of words. */
  commands(heading: string): readonly (readonly string[])[] {
    const section = this.#text.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? assert.fail(heading);
    const blocks = [...section.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)].map(([, block = ""]) => block);
    return blocks.flatMap((block) => block.replaceAll(/\\\n\s*/g, "").split("\n"))
      .map((line) => /^\s*lighthouse (.*)$/.exec(line)?.[1]).filter((line) => line !== undefined)
      .map((line) => splitWords(this.replace(line)));
  }

  /** Fails if one of the page's files has changed. */
  async assertUnchanged(): Promise<void> {
    for (const [path, text] of this.#files) assert.equal(await Deno.readTextFile(path), text, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** The words of a shell line: a quoted part is one word. */
function splitWords(line: string): readonly string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2")
  );
}
