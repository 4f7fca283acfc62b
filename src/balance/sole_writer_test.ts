import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { OtherWriterError, SoleWriter } from "./sole_writer.ts";

Deno.test("SoleWriter keeps a second one off until the first releases its lock, and moves with its file", async () => {
  await using dir = new TempDir();
  using first = new SoleWriter();
  using second = new SoleWriter();
  await first.claim([dir.file("a")]);
  await first.claim([dir.file("a")]);
  await assert.rejects(second.claim([dir.file("a")]), OtherWriterError);
  await first.claim([dir.file("b")]);
  await second.claim([dir.file("a")]);
  first[Symbol.dispose]();
  await second.claim([dir.file("b")]);
  await assert.rejects(first.claim([dir.file("b")]), new RegExp(`process ${Deno.pid} manages this balancer`));
});

Deno.test("SoleWriter lets a writer work whose directory takes no lock file", async () => {
  await using dir = new TempDir();
  using writer = new SoleWriter();
  using other = new SoleWriter();
  const lockless = `${dir.file("nowhere")}/haproxy.cfg`;
  await writer.claim([lockless, dir.file("a")]);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(dir.path), ({ name }) => name), ["a.lock"], "none is made");
  await assert.rejects(other.claim([lockless, dir.file("a")]), OtherWriterError, "where one can be, it holds");
  await other.claim([lockless]);
});

Deno.test("SoleWriter blocks a writer that shares one of several files, and releases a partial claim", async () => {
  await using dir = new TempDir();
  using first = new SoleWriter();
  using second = new SoleWriter();
  using third = new SoleWriter();
  await first.claim([dir.file("one.cfg"), dir.file("socket")]);
  await assert.rejects(second.claim([dir.file("two.cfg"), dir.file("socket")]), /socket\.lock/);
  await third.claim([dir.file("two.cfg")]);
});

Deno.test("SoleWriter locks a removed lock file again, or yields to a faster writer", async () => {
  await using dir = new TempDir();
  using first = new SoleWriter();
  using second = new SoleWriter();
  await first.claim([dir.file("a")]);
  await Deno.remove(dir.file("a.lock"));
  await first.claim([dir.file("a")]);
  await assert.rejects(second.claim([dir.file("a")]), OtherWriterError);
  await Deno.remove(dir.file("a.lock"));
  await second.claim([dir.file("a")]);
  await assert.rejects(first.claim([dir.file("a")]), OtherWriterError);
});

Deno.test("SoleWriter writes only to its own file: not through a symlink, and not to a file with two hard links", async () => {
  await using dir = new TempDir();
  await dir.write("precious", "keep me");
  for (
    const [name, make] of [
      ["linked", () => Deno.symlink(dir.file("precious"), dir.file("linked.lock"))],
      ["dangling", () => Deno.symlink(dir.file("nothing"), dir.file("dangling.lock"))],
      ["twin", () => Deno.link(dir.file("precious"), dir.file("twin.lock"))],
      ["directory", () => Deno.mkdir(dir.file("directory.lock"))],
    ] as const
  ) {
    await make();
    using writer = new SoleWriter();
    await writer.claim([dir.file(name)]);
    await writer.claim([dir.file(name)]);
  }
  assert.equal(await Deno.readTextFile(dir.file("precious")), "keep me");
  await assert.rejects(Deno.lstat(dir.file("nothing")), Deno.errors.NotFound);
});

Deno.test("SoleWriter uses a lock that only its own user can hold", async () => {
  await using dir = new TempDir();
  using writer = new SoleWriter();
  await writer.claim([dir.file("a")]);
  assert.equal(((await Deno.stat(dir.file("a.lock"))).mode ?? 0) & 0o777, 0o600);
});

Deno.test("SoleWriter holds its lock although the disk has no room for its name", async () => {
  await using dir = new TempDir();
  using first = new SoleWriter();
  using second = new SoleWriter();
  const { write } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.write = () => Promise.reject(new Error("No space left on device (os error 28)"));
  try {
    await first.claim([dir.file("a")]);
  } finally {
    Deno.FsFile.prototype.write = write;
  }
  await assert.rejects(second.claim([dir.file("a")]), /another process manages this balancer/);
});
