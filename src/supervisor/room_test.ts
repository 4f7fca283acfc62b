import assert from "node:assert/strict";
import { parseOpenFilesLimit } from "../system/open_files.ts";
import { assertRoom, NoRoomError, openMax } from "./room.ts";

Deno.test("assertRoom() lets workers start while open files are left, and names what to change after", () => {
  assertRoom(undefined);
  assertRoom({ open: 100, limit: 256 });
  assertRoom({ open: 1_000_000, limit: Infinity });
  assert.throws(() => assertRoom({ open: 180, limit: 256 }), (error) => {
    assert.ok(error instanceof NoRoomError);
    return /180 of 256 open files .*LimitNOFILE .*isolation: shared/.test(error.message);
  });
});

Deno.test("openMax() leaves a plugin a share of the limit, and a discovery a larger one", () => {
  assert.deepEqual([256, 1_024, 65_536, Infinity].map((limit) => openMax({ open: 0, limit }, false)), [
    16,
    32,
    128,
    128,
  ]);
  assert.deepEqual([256, 1_024, 65_536].map((limit) => openMax({ open: 0, limit }, true)), [64, 256, 4_096]);
});

Deno.test("parseOpenFilesLimit() reads the soft limit", () => {
  const line = (soft: string) =>
    `Max processes   1   2   processes\nMax open files            ${soft}   1048576   files\n`;
  assert.equal(parseOpenFilesLimit(line("1024")), 1_024);
  assert.equal(parseOpenFilesLimit(line("unlimited")), Infinity);
  assert.equal(parseOpenFilesLimit("nothing"), undefined);
});
