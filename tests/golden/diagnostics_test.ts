/**
 * The findings for each mistake: a case is a file in
 * `diagnostics/`, with `# why`, the files of a config directory, a line
 * `----`, and the findings. `UPDATE_GOLDEN=1` writes the last part again.
 *
 * A file begins with `=== path`. After the path may stand `escaped` (the text
 * holds `\r`, `\t`, `\0`, `\xFF`… as in a string; a line feed only where a line
 * ends), `unended` (no line feed at the end), `-> target` (a link) or, for a
 * path that ends with `/`, nothing (a folder). The plugins validate them too;
 * HAProxy does not, as the files name a missing program.
 *
 * @module
 */
import assert from "node:assert/strict";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import type { Role } from "../../src/config/load.ts";
import { validateDirectory } from "../../src/app/validate.ts";
import { TempDir } from "../support/temp_dir.ts";

const CASES = new URL("./diagnostics/", import.meta.url);

const names = [...Deno.readDirSync(CASES)].map(({ name }) => name).toSorted();

Deno.test("the golden diagnostics are at least as many as promised", () => {
  assert.ok(names.length >= 60, `${names.length}`);
  assert.deepEqual(names.filter((name) => !/^[a-z0-9-]+\.txt$/.test(name)), []);
});

for (const name of names) {
  Deno.test(`diagnostics of ${name.replace(".txt", "").replaceAll("-", " ")} are as in the golden file`, async () => {
    const path = new URL(name, CASES);
    const [input = "", expected = ""] = (await Deno.readTextFile(path)).split(/^----\n/m);
    await using temp = new TempDir();
    const shown = await show(temp, input);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(path, `${input}----\n${shown}`);
    else assert.equal(shown, expected);
  });
}

async function show(temp: TempDir, input: string): Promise<string> {
  const [head = "", ...files] = input.split(/^=== /m);
  await Deno.mkdir(temp.file("config"));
  for (const file of files) await make(temp, file);
  const role = (/^# role: (\w+)$/m.exec(head)?.[1] ?? "check") as Role;
  const { diagnostics } = await validateDirectory(temp.file("config"), { role });
  return diagnostics.map((each) => `${formatDiagnostic(each).replaceAll(`${temp.path}/`, "")}\n`).join("");
}

async function make(temp: TempDir, file: string): Promise<void> {
  const end = file.indexOf("\n");
  const [path = "", how, target = ""] = file.slice(0, end).split(" ");
  const contents = file.slice(end + 1);
  if (path.endsWith("/")) await Deno.mkdir(temp.file(`config/${path}`), { recursive: true });
  else if (how === "->") {
    await Deno.mkdir(temp.file(`config/${path.slice(0, path.lastIndexOf("/"))}`), { recursive: true });
    await Deno.symlink(target, temp.file(`config/${path}`));
  } else {
    await temp.write(`config/${path}`, "");
    await Deno.writeFile(temp.file(`config/${path}`), bytesOf(how === "unended" ? contents.trimEnd() : contents, how === "escaped"));
  }
}

function bytesOf(contents: string, escaped: boolean): Uint8Array<ArrayBuffer> {
  if (!escaped) return new TextEncoder().encode(contents);
  const bytes: number[] = [];
  for (const [part, code] of contents.matchAll(/\\x([0-9A-F]{2})|\\[0rt]|[^\\]+/g)) {
    if (code !== undefined) bytes.push(Number.parseInt(code, 16));
    else if (part === "\\0") bytes.push(0);
    else if (part === "\\r") bytes.push(13);
    else if (part === "\\t") bytes.push(9);
    else bytes.push(...new TextEncoder().encode(part));
  }
  return new Uint8Array(bytes);
}
