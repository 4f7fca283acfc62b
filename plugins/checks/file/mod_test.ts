import assert from "node:assert/strict";
import { issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import { TempDir } from "../../../tests/support/temp_dir.ts";
import file from "./mod.ts";

const TARGET = "127.0.0.1:1";

Deno.test("file fails while its flag exists, and passes again when it is removed", async () => {
  await using dir = new TempDir();
  const path = dir.file("out");
  assert.deepEqual(await probe(file, { path }, TARGET), { status: "pass", detail: `${path} does not exist` });
  await dir.write("out", "");
  assert.equal(await reasonOf(file, { path }, TARGET), `${path} exists`);
  await Deno.remove(path);
  assert.equal((await probe(file, { path }, TARGET)).status, "pass");
});

Deno.test("file passes while its flag exists, with down_when: absent", async () => {
  await using dir = new TempDir();
  const config = { path: dir.file("warm"), down_when: "absent" };
  assert.equal(await reasonOf(file, config, TARGET), `${config.path} does not exist`);
  await dir.write("warm", "never told");
  assert.deepEqual(await probe(file, config, TARGET), { status: "pass", detail: `${config.path} exists` });
});

Deno.test.each([
  { what: "its first line", contents: "disk is changed\nback at 5\n", told: ': "disk is changed"' },
  { what: "an unterminated line", contents: "out", told: ': "out"' },
  { what: "nothing of an empty first line", contents: "\nsecond", told: "" },
  { what: "no raw control characters", contents: "\u001b[2Jout\r\n", told: ': "\\u001b[2Jout"' },
  { what: "no more than 80 characters", contents: "x".repeat(10_000), told: `: "${"x".repeat(77)}..."` },
])("file reports $what as the reason", async ({ contents, told }) => {
  await using dir = new TempDir();
  const path = await dir.write("out", contents);
  assert.equal(await reasonOf(file, { path }, TARGET), `${path} exists${told}`);
});

Deno.test("file accepts a folder as a flag, and follows links", async () => {
  await using dir = new TempDir();
  assert.equal(await reasonOf(file, { path: dir.path }, TARGET), `${dir.path} exists`);
  await Deno.symlink(dir.file("nowhere"), dir.file("link"));
  assert.equal((await probe(file, { path: dir.file("link") }, TARGET)).status, "pass");
  await dir.write("nowhere", "now here");
  assert.match(await reasonOf(file, { path: dir.file("link") }, TARGET), /exists: "now here"$/);
});

Deno.test("file counts a path through a file as absent, and is unknown if it cannot read it", async () => {
  await using dir = new TempDir();
  await dir.write("plain", "");
  assert.equal((await probe(file, { path: dir.file("plain/inside") }, TARGET)).status, "pass");
  const path = dir.file("x".repeat(300));
  for (const down_when of ["exists", "absent"]) {
    assert.match(await reasonOf(file, { path, down_when }, TARGET), /^Cannot read .*too long/);
  }
});

Deno.test("file does not start when it is already aborted", async () => {
  await assert.rejects(probe(file, { path: "/out" }, TARGET, AbortSignal.abort(new Error("too late"))), /too late/);
});

Deno.test.each([
  { raw: {}, message: /^Missing key path: must be an absolute file path$/ },
  {
    raw: { path: "out" },
    message: /^Cannot use path: must be an absolute file path; current value is "out"$/,
  },
  { raw: { path: "/out", down_when: "gone" }, message: /^Cannot use down_when: must be "exists" or "absent"/ },
])("file rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(file, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});

Deno.test("file requests only permission to read its flag", () => {
  const scope = { instance: "web:8000/file", target: "web:8000" };
  assert.deepEqual(file.permissions({ path: "/etc/out", down_when: "exists" }, scope), { read: ["/etc/out"] });
});
