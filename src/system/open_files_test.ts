import assert from "node:assert/strict";
import { parseOpenFiles } from "./open_files.ts";

const limits = (soft: string) =>
  `Limit   Soft Limit   Hard Limit   Units\nMax processes   1   2   processes\nMax open files            ${soft}   1048576   files\n`;

Deno.test("parseOpenFiles() reads the number of open files and the soft limit", () => {
  assert.deepEqual(parseOpenFiles(`Open files 41\n${limits("1024")}`), { open: 41, limit: 1_024 });
  assert.deepEqual(parseOpenFiles(`Open files 41\n${limits("unlimited")}`), { open: 41, limit: Infinity });
});

Deno.test("parseOpenFiles() returns no count if the kernel shows none, and nothing without a limit", () => {
  assert.deepEqual(parseOpenFiles(`Open files 1\n${limits("1024")}`), { open: undefined, limit: 1_024 });
  assert.equal(parseOpenFiles("Open files 41\n"), undefined);
  assert.equal(parseOpenFiles(""), undefined);
});
