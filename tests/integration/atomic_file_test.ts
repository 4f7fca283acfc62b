import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import { Mount, WHY_NO_MOUNT } from "../support/mount.ts";
import { writeAtomically } from "../../src/system/atomic_file.ts";

/** The names in a directory, sorted. */
function names({ path }: TempDir): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).toSorted();
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

Deno.test("writeAtomically() creates a file with the given mode", async () => {
  await using dir = new TempDir();
  await writeAtomically(dir.file("a"), "one", { mode: 0o640 });
  assert.equal(await Deno.readTextFile(dir.file("a")), "one");
  assert.equal(await modeOf(dir.file("a")), 0o640);
  assert.deepEqual(names(dir), ["a"]);
});

Deno.test("writeAtomically() replaces a file and keeps its mode; readers of the old file are unaffected", async () => {
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

Deno.test("writeAtomically() passes the complete candidate to the check, and leaves the file unchanged if the check throws", async () => {
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

Deno.test("writeAtomically() writes the target of a link, and the link stays", async () => {
  await using dir = new TempDir();
  await dir.write("real/a", "old");
  await Deno.symlink("real/a", dir.file("link"));
  await writeAtomically(dir.file("link"), "new", { mode: 0o640 });
  assert.equal(await Deno.readTextFile(dir.file("real/a")), "new");
  assert((await Deno.lstat(dir.file("link"))).isSymlink);
});

Deno.test("writeAtomically() removes candidates of killed processes, but not those that another process is checking", async () => {
  await using dir = new TempDir();
  const left = [
    "a.lighthouse-0188e7b4-1111-4222-8333-444455556666",
    "a.lighthouse-0188e7b4-1111-4222-8333-777788889999",
  ];
  for (const name of left) await dir.write(name, "half a fi");
  const foreign = ["a.lighthouse-notes", "b.lighthouse-0188e7b4-1111-4222-8333-444455556666"];
  for (const name of foreign) await dir.write(name, "not a candidate of a");
  const old = new Date(Date.now() - 3_600_000);
  for (const name of [left[0], ...foreign]) await Deno.utime(dir.file(name ?? ""), old, old);
  await writeAtomically(dir.file("a"), "new", { mode: 0o640 });
  assert.deepEqual(names(dir), ["a", left[1], ...foreign]);
});

Deno.test(
  "writeAtomically() writes a single-file mount in place after the check has passed",
  { ignore: WHY_NO_MOUNT !== undefined },
  async () => {
    await using dir = new TempDir();
    await dir.write("a", "old and long");
    await using _mount = await Mount.alone(dir.file("a"));
    const refuse = () => Promise.reject(new Error("no good"));
    await assert.rejects(writeAtomically(dir.file("a"), "new", { mode: 0o640, check: refuse }), /no good/);
    assert.equal(await Deno.readTextFile(dir.file("a")), "old and long");
    const shown: string[] = [];
    const check = async (candidate: string) => void shown.push(await Deno.readTextFile(candidate));
    await writeAtomically(dir.file("a"), "new", { mode: 0o640, check });
    assert.deepEqual([...new Set(shown)], ["new"]);
    assert.equal(await Deno.readTextFile(dir.file("a")), "new");
    assert.deepEqual(names(dir), ["a"]);
  },
);

Deno.test(
  "writeAtomically() writes a file in place if its directory is read-only, and reports that both are",
  { ignore: WHY_NO_MOUNT !== undefined },
  async () => {
    await using dir = new TempDir();
    await dir.write("folder/a", "old");
    await dir.write("writable", "old");
    await using _folder = await Mount.readOnly(dir.file("folder"));
    await assert.rejects(
      writeAtomically(dir.file("folder/a"), "new", { mode: 0o640 }),
      new RegExp(`Read-only file system.*; ${dir.file("folder/a")} or its directory must be writable$`),
    );
    await using _file = await Mount.alone(dir.file("folder/a"), { from: dir.file("writable") });
    await writeAtomically(dir.file("folder/a"), "new", { mode: 0o640, check: async () => {} });
    assert.equal(await Deno.readTextFile(dir.file("writable")), "new");
  },
);

Deno.test("writeAtomically() creates no candidate for a directory", async () => {
  await using dir = new TempDir();
  await dir.write("granted/a", "a");
  const check = () => assert.fail("there is nothing to check");
  await assert.rejects(writeAtomically(dir.file("granted"), "new", { mode: 0o640, check }), Deno.errors.IsADirectory);
  assert.deepEqual(names(dir), ["granted"]);
});

Deno.test("writeAtomically() reports a missing directory and creates none", async () => {
  await using dir = new TempDir();
  await assert.rejects(writeAtomically(dir.file("none/a"), "new", { mode: 0o640 }), Deno.errors.NotFound);
  assert.deepEqual(names(dir), []);
});
