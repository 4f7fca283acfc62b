import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { OtherWriterError, SoleWriter } from "./sole_writer.ts";

Deno.test("SoleWriter keeps a second one off until the first has let go, and moves with its file", async () => {
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
  await assert.rejects(first.claim([dir.file("b")]), new RegExp(`process ${Deno.pid} writes to it`));
});

Deno.test("SoleWriter lets a writer work whose directory takes no lock file", async () => {
  await using dir = new TempDir();
  using writer = new SoleWriter();
  await writer.claim([`${dir.file("nowhere")}/haproxy.cfg`]);
});

Deno.test("SoleWriter keeps off who shares one file of several, and lets go of all that it cannot have whole", async () => {
  await using dir = new TempDir();
  using first = new SoleWriter();
  using second = new SoleWriter();
  using third = new SoleWriter();
  await first.claim([dir.file("one.cfg"), dir.file("socket")]);
  await assert.rejects(second.claim([dir.file("two.cfg"), dir.file("socket")]), /socket\.lock/);
  await third.claim([dir.file("two.cfg")]);
});

Deno.test("SoleWriter whose lock file was removed locks it again, or gives way to who was quicker", async () => {
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
