import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { FileTarget } from "./file_target.ts";

/** Writes lines. */
async function write(target: FileTarget, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    const bytes = new TextEncoder().encode(`${text}\n`);
    await (await target.open(bytes.length)).write(bytes);
  }
}

/** What the files of a directory hold, by name. */
async function contents(dir: TempDir): Promise<Record<string, string>> {
  const names = await Array.fromAsync(Deno.readDir(dir.path), ({ name }) => name);
  return Object.fromEntries(
    await Promise.all(names.toSorted().map(async (name) => [name, await Deno.readTextFile(dir.file(name))])),
  );
}

Deno.test("FileTarget appends to a file, also when it is opened again", async () => {
  await using dir = new TempDir();
  await dir.write("a.log", "old\n");
  const target = new FileTarget({ filename: dir.file("a.log") });
  await write(target, "one", "two");
  target.close();
  await write(target, "three");
  target.close();
  assert.deepEqual(await contents(dir), { "a.log": "old\none\ntwo\nthree\n" });
});

Deno.test("FileTarget notices that its file was moved or removed", async () => {
  await using dir = new TempDir();
  const target = new FileTarget({ filename: dir.file("a.log") });
  await write(target, "one");
  await Deno.rename(dir.file("a.log"), dir.file("a.log.1"));
  await write(target, "two");
  await Deno.remove(dir.file("a.log"));
  await write(target, "three");
  target.close();
  assert.deepEqual(await contents(dir), { "a.log": "three\n", "a.log.1": "one\n" });
});

Deno.test("FileTarget rotates by size, record by record, and keeps the configured number of files", async () => {
  await using dir = new TempDir();
  const target = new FileTarget({ filename: dir.file("a.log"), maxBytes: 12, backupCount: 2 });
  await write(target, "1111", "2222", "3333", "4444", "5555", "6666", "7777", "8888 is far too long");
  target.close();
  assert.deepEqual(await contents(dir), {
    "a.log": "8888 is far too long\n",
    "a.log.1": "7777\n",
    "a.log.2": "5555\n6666\n",
  });
});

Deno.test("FileTarget rotates by time, names files after their interval, and removes the oldest", async () => {
  await using dir = new TempDir();
  let nowMs = Date.UTC(2024, 0, 3, 10, 20, 30);
  const rotation = { when: "M", interval: 1, backupCount: 2, utc: true } as const;
  const target = new FileTarget({ filename: dir.file("a.log"), ...rotation }, () => nowMs);
  for (const text of ["one", "two", "three", "four"]) {
    await write(target, text);
    nowMs += 61_000;
  }
  target.close();
  assert.deepEqual(await contents(dir), {
    "a.log": "four\n",
    "a.log.2024-01-03_10-21": "two\n",
    "a.log.2024-01-03_10-22": "three\n",
  });
});

Deno.test("FileTarget counts the interval of an existing file from its last write", async () => {
  await using dir = new TempDir();
  await dir.write("a.log", "yesterday\n");
  await Deno.utime(dir.file("a.log"), new Date("2024-01-02T12:00:00Z"), new Date("2024-01-02T12:00:00Z"));
  const rotation = { when: "MIDNIGHT", interval: 1, backupCount: 0, utc: true } as const;
  const nowMs = () => Date.UTC(2024, 0, 3, 10);
  const target = new FileTarget({ filename: dir.file("a.log"), ...rotation }, nowMs);
  await write(target, "today");
  target.close();
  assert.deepEqual(await contents(dir), { "a.log": "today\n", "a.log.2024-01-02": "yesterday\n" });
});

Deno.test("FileTarget overwrites no file that another process has rotated", async () => {
  await using dir = new TempDir();
  let nowMs = Date.UTC(2024, 0, 3, 10, 20, 30);
  const rotation = { when: "H", interval: 1, backupCount: 0, utc: true } as const;
  const make = () => new FileTarget({ filename: dir.file("a.log"), ...rotation }, () => nowMs);
  const [first, second] = [make(), make()];
  await write(first, "one");
  await write(second, "two");
  nowMs += 3_600_000;
  await write(first, "three");
  await write(second, "four");
  for (const target of [first, second]) target.close();
  assert.deepEqual(await contents(dir), { "a.log": "three\nfour\n", "a.log.2024-01-03_10": "one\ntwo\n" });
});

Deno.test("FileTarget accepts nothing while it cannot write", async () => {
  await using dir = new TempDir();
  const target = new FileTarget({ filename: dir.file("missing/a.log") });
  await assert.rejects(target.open(4), Deno.errors.NotFound);
  await Deno.mkdir(dir.file("missing"));
  await write(target, "one");
  target.close();
  assert.equal(await Deno.readTextFile(dir.file("missing/a.log")), "one\n");
});
