import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import { describeCommit } from "../../src/packaging/commit.ts";

async function git(dir: string, ...args: string[]): Promise<void> {
  const identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
  const { success, stderr } = await new Deno.Command("git", { args: ["-C", dir, ...identity, ...args] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

Deno.test("describeCommit() returns the commit of a checkout, never that of an enclosing one", async () => {
  await using dir = new TempDir();
  await git(dir.path, "init", "--quiet");
  await dir.write("archive/a", "a");
  await git(dir.path, "add", ".");
  await git(dir.path, "commit", "--quiet", "--message=one");
  const url = (name: string) => new URL(`file://${dir.file(name)}`);
  assert.match(await describeCommit(url("")), /^[0-9a-f]{12}$/);
  await dir.write("archive/a", "b");
  assert.match(await describeCommit(url("")), /^[0-9a-f]{12}-dirty$/);
  assert.equal(await describeCommit(url("archive/")), "unknown");
});

Deno.test("describeCommit() returns the environment's value without a repository", async () => {
  await using dir = new TempDir();
  Deno.env.set("LIGHTHOUSE_COMMIT", "0123456789ab\n");
  try {
    assert.equal(await describeCommit(new URL(`file://${dir.path}/`)), "0123456789ab");
  } finally {
    Deno.env.delete("LIGHTHOUSE_COMMIT");
  }
});
