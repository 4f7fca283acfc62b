import assert from "node:assert/strict";
import { parseOpenFilesLimit, parseStat } from "./processes.ts";

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

Deno.test("parseOpenFilesLimit() reads the hard limit, or the system's maximum with CAP_SYS_RESOURCE", () => {
  const limits =
    "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                files";
  assert.equal(parseOpenFilesLimit(`${limits}\nCapEff:\t0000000000000000\n1048576\n`), 4096);
  assert.equal(parseOpenFilesLimit(`${limits}\nCapEff:\t000001ffffffffff\n1048576\n`), 1_048_576);
  assert.equal(parseOpenFilesLimit(`${limits.replace("4096", "unlimited")}\nCapEff:\t0\n1048576\n`), 1_048_576);
  assert.equal(parseOpenFilesLimit(limits), 4096);
  assert.equal(parseOpenFilesLimit(""), undefined);
});
