import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { KeptFiles } from "./kept_files.ts";

function keeper(failures: string[] = []): KeptFiles {
  return new KeptFiles({
    clock: new FakeClock(),
    redact: (line) => line,
    onFailure: (reason) => failures.push(reason),
  });
}

const LONG = `/srv/${"directory_with_a_long_name/".repeat(12)}haproxy.cfg`;

Deno.test.each([
  { what: "a short path", path: "/run/haproxy.cfg" },
  { what: "a path longer than a file name may be", path: LONG },
  { what: "a path of multi-byte characters", path: `/srv/${"größe→".repeat(60)}.cfg` },
])("keeps the last ten files of $what, and compares with them after a restart", async ({ path }) => {
  await using temp = new TempDir();
  const failures: string[] = [];
  const kept = keeper(failures);
  await kept.open(temp.path);
  for (let i = 0; i < 14; i++) {
    kept.take("haproxy", { path, text: `line ${i}\n`, isRead: true });
    await kept.idle();
  }
  const names = async () =>
    (await Array.fromAsync(Deno.readDir(temp.file("files/haproxy")), ({ name }) => name)).sort();
  assert.deepEqual(failures, []);
  const left = await names();
  assert.equal(left.length, 10, left.join("\n"));
  assert.ok(left.every((name) => new TextEncoder().encode(name).length <= 255 && !name.includes("\ufffd")), left[0]);
  const next = keeper(failures);
  await next.open(temp.path);
  next.take("haproxy", { path, text: "line 14\n", isRead: true });
  assert.deepEqual(next.takeDiff("haproxy"), ["-line 13", "+line 14"]);
  await next.idle();
});

Deno.test("shows no line of a private key in a difference", () => {
  const pem = (secret: string) =>
    `before\n  -----BEGIN RSA PRIVATE KEY-----\n  ${secret}1\n  ${secret}2\n  -----END RSA PRIVATE KEY-----\nafter ${secret}\n`;
  const kept = keeper();
  kept.take("haproxy", { path: "/a", text: pem("old"), isRead: true });
  kept.take("haproxy", { path: "/a", text: pem("new"), isRead: true });
  const masked = ["-  *****", "-  *****", "+  *****", "+  *****", "-after old", "+after new"];
  assert.deepEqual(kept.takeDiff("haproxy"), masked);
  kept.take("haproxy", { path: "/a", text: "-----BEGIN PRIVATE KEY-----\nold\n", isRead: true });
  kept.takeDiff("haproxy");
  kept.take("haproxy", { path: "/a", text: "-----BEGIN PRIVATE KEY-----\nnew\n", isRead: true });
  assert.deepEqual(kept.takeDiff("haproxy"), ["-*****", "+*****"]);
});
