import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { writeAtomically } from "./atomic_file.ts";

/** The names in a directory, sorted. */
function names({ path }: TempDir): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).toSorted();
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

Deno.test("writeAtomically() makes a file with the mode that it is told", async () => {
  await using dir = new TempDir();
  await writeAtomically(dir.file("a"), "one", { mode: 0o640 });
  assert.equal(await Deno.readTextFile(dir.file("a")), "one");
  assert.equal(await modeOf(dir.file("a")), 0o640);
  assert.deepEqual(names(dir), ["a"]);
});

Deno.test("writeAtomically() replaces a file, which keeps its mode; who has the old one open still reads it", async () => {
  await using dir = new TempDir();
  await dir.write("a", "old");
  await Deno.chmod(dir.file("a"), 0o604);
  using open = await Deno.open(dir.file("a"));
  await writeAtomically(dir.file("a"), "new", { mode: 0o640 });
  assert.equal(await Deno.readTextFile(dir.file("a")), "new");
  assert.equal(await modeOf(dir.file("a")), 0o604);
  const bytes = new Uint8Array(8);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, await open.read(bytes) ?? 0)), "old");
});

Deno.test("writeAtomically() shows the check the whole candidate, and leaves the file as it was when it throws", async () => {
  await using dir = new TempDir();
  await dir.write("a", "old");
  let shown = "";
  const check = async (candidate: string) => {
    shown = await Deno.readTextFile(candidate);
    assert.equal(await Deno.readTextFile(dir.file("a")), "old");
    throw new Error("no good");
  };
  await assert.rejects(writeAtomically(dir.file("a"), "new", { mode: 0o640, check }), /no good/);
  assert.equal(shown, "new");
  assert.equal(await Deno.readTextFile(dir.file("a")), "old");
  assert.deepEqual(names(dir), ["a"]);
});

Deno.test("writeAtomically() writes what a link points to, and the link stays", async () => {
  await using dir = new TempDir();
  await dir.write("real/a", "old");
  await Deno.symlink("real/a", dir.file("link"));
  await writeAtomically(dir.file("link"), "new", { mode: 0o640 });
  assert.equal(await Deno.readTextFile(dir.file("real/a")), "new");
  assert((await Deno.lstat(dir.file("link"))).isSymlink);
});

Deno.test("writeAtomically() says that a directory is missing, and makes none", async () => {
  await using dir = new TempDir();
  await assert.rejects(writeAtomically(dir.file("none/a"), "new", { mode: 0o640 }), Deno.errors.NotFound);
  assert.deepEqual(names(dir), []);
});
