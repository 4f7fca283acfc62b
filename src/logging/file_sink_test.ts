import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { FileSink } from "./file_sink.ts";

/** Writes lines until all are taken. */
async function write(sink: FileSink, ...texts: readonly string[]): Promise<void> {
  for (let lines = texts.map((text) => ({ text, level: 20 })); lines.length > 0 || sink.unfinished;) {
    lines = lines.slice(await sink.write(lines));
  }
}

/** What the files of a directory hold, by name. */
async function contents(dir: TempDir): Promise<Record<string, string>> {
  const names = await Array.fromAsync(Deno.readDir(dir.path), ({ name }) => name);
  return Object.fromEntries(
    await Promise.all(names.toSorted().map(async (name) => [name, await Deno.readTextFile(dir.file(name))])),
  );
}

Deno.test("FileSink adds to a file, or empties it first, but not again when it is opened anew", async () => {
  await using dir = new TempDir();
  await dir.write("a.log", "old\n");
  await dir.write("w.log", "old\n");
  const [a, w] = [
    new FileSink({ path: dir.file("a.log"), mode: "a" }),
    new FileSink({ path: dir.file("w.log"), mode: "w" }),
  ];
  for (const sink of [a, w]) {
    await write(sink, "one", "two");
    sink.close();
    await write(sink, "three");
    sink.close();
  }
  assert.deepEqual(await contents(dir), { "a.log": "old\none\ntwo\nthree\n", "w.log": "one\ntwo\nthree\n" });
});

Deno.test("FileSink notices that its file was moved or removed", async () => {
  await using dir = new TempDir();
  const sink = new FileSink({ path: dir.file("a.log"), mode: "a" });
  await write(sink, "one");
  await Deno.rename(dir.file("a.log"), dir.file("a.log.1"));
  await write(sink, "two");
  await Deno.remove(dir.file("a.log"));
  await write(sink, "three");
  sink.close();
  assert.deepEqual(await contents(dir), { "a.log": "three\n", "a.log.1": "one\n" });
});

Deno.test("FileSink rotates by size, record by record, and keeps so many files", async () => {
  await using dir = new TempDir();
  const rotation = { by: "size", maxBytes: 12, backups: 2 } as const;
  const sink = new FileSink({ path: dir.file("a.log"), mode: "a", rotation });
  await write(sink, "1111", "2222", "3333", "4444", "5555", "6666", "7777", "8888 is far too long");
  sink.close();
  assert.deepEqual(await contents(dir), {
    "a.log": "8888 is far too long\n",
    "a.log.1": "7777\n",
    "a.log.2": "5555\n6666\n",
  });
});

Deno.test("FileSink rotates by time, names files after their interval, and removes the oldest", async () => {
  await using dir = new TempDir();
  let nowMs = Date.UTC(2024, 0, 3, 10, 20, 30);
  const rotation = { by: "time", when: "M", interval: 1, backups: 2, utc: true } as const;
  const sink = new FileSink({ path: dir.file("a.log"), mode: "a", rotation, nowMs: () => nowMs });
  for (const text of ["one", "two", "three", "four"]) {
    await write(sink, text);
    nowMs += 61_000;
  }
  sink.close();
  assert.deepEqual(await contents(dir), {
    "a.log": "four\n",
    "a.log.2024-01-03_10-21": "two\n",
    "a.log.2024-01-03_10-22": "three\n",
  });
});

Deno.test("FileSink counts the interval of a file that is there from when it was last written", async () => {
  await using dir = new TempDir();
  await dir.write("a.log", "yesterday\n");
  await Deno.utime(dir.file("a.log"), new Date("2024-01-02T12:00:00Z"), new Date("2024-01-02T12:00:00Z"));
  const rotation = { by: "time", when: "MIDNIGHT", interval: 1, backups: 0, utc: true } as const;
  const nowMs = () => Date.UTC(2024, 0, 3, 10);
  const sink = new FileSink({ path: dir.file("a.log"), mode: "a", rotation, nowMs });
  await write(sink, "today");
  sink.close();
  assert.deepEqual(await contents(dir), { "a.log": "today\n", "a.log.2024-01-02": "yesterday\n" });
});

Deno.test("FileSink overwrites no file that another process has rotated", async () => {
  await using dir = new TempDir();
  let nowMs = Date.UTC(2024, 0, 3, 10, 20, 30);
  const rotation = { by: "time", when: "H", interval: 1, backups: 0, utc: true } as const;
  const make = () => new FileSink({ path: dir.file("a.log"), mode: "a", rotation, nowMs: () => nowMs });
  const [first, second] = [make(), make()];
  await write(first, "one");
  await write(second, "two");
  nowMs += 3_600_000;
  await write(first, "three");
  await write(second, "four");
  for (const sink of [first, second]) sink.close();
  assert.deepEqual(await contents(dir), { "a.log": "three\nfour\n", "a.log.2024-01-03_10": "one\ntwo\n" });
});

Deno.test("FileSink takes nothing while it cannot write", async () => {
  await using dir = new TempDir();
  const sink = new FileSink({ path: dir.file("missing/a.log"), mode: "a" });
  await assert.rejects(sink.write([{ text: "one", level: 20 }]), Deno.errors.NotFound);
  await Deno.mkdir(dir.file("missing"));
  await write(sink, "one");
  sink.close();
  assert.equal(await Deno.readTextFile(dir.file("missing/a.log")), "one\n");
});
