import assert from "node:assert/strict";
import { parseBirth, parseOpenFilesLimit, parseStat } from "./processes.ts";

Deno.test.each([
  { why: "a plain name", line: "917 (haproxy) S 1 917 917 0 -1", then: { pid: 917, name: "haproxy", parent: 1 } },
  {
    why: "a name that looks like the rest of the line",
    line: "5 (a) R 9 (b) S 4 5 5",
    then: { pid: 5, name: "a) R 9 (b", parent: 4 },
  },
  { why: "an empty line", line: "", then: undefined },
  { why: "something else", line: "cat: /proc/5/stat: No such file or directory", then: undefined },
])("parseStat() reads $why", ({ line, then }) => assert.deepEqual(parseStat(line), then));

const STAT = "S 1 917 917 0 -1 4194560 1405 0 0 0 5 5 0 0 20 0 1 0 4855897 2990080 416 18446744073709551615";
Deno.test.each([
  { why: "the boot and the start", output: `dbb8-c5\n917 (haproxy) ${STAT}\n`, then: "dbb8-c5/4855897" },
  { why: "a name that looks like the rest of the line", output: `d\n5 (a) R 9 (b) ${STAT}\n`, then: "d/4855897" },
  { why: "nothing of one that has ended", output: `d\n917 (haproxy) ${STAT.replace("S", "Z")}\n`, then: undefined },
  { why: "nothing of one that is gone", output: "d\n", then: undefined },
  { why: "nothing without /proc", output: "", then: undefined },
])("parseBirth() reads $why", ({ output, then }) => assert.equal(parseBirth(output), then));

Deno.test("parseOpenFilesLimit() reads the hard limit, or the system's maximum with CAP_SYS_RESOURCE", () => {
  const limits =
    "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                files";
  assert.equal(parseOpenFilesLimit(`${limits}\nCapEff:\t0000000000000000\n1048576\n`), 4096);
  assert.equal(parseOpenFilesLimit(`${limits}\nCapEff:\t000001ffffffffff\n1048576\n`), 1_048_576);
  assert.equal(parseOpenFilesLimit(`${limits.replace("4096", "unlimited")}\nCapEff:\t0\n1048576\n`), 1_048_576);
  assert.equal(parseOpenFilesLimit(limits), 4096);
  assert.equal(parseOpenFilesLimit(""), undefined);
});
