import assert from "node:assert/strict";
import { hashIn, parseCounters, parseStatus } from "./status.ts";

Deno.test("parseStatus() reads the pid and the hash, and nothing else", () => {
  assert.deepEqual(parseStatus("812 00ff00ff00ff00ff\n"), { pid: 812, hash: "00ff00ff00ff00ff" });
  for (const odd of ["", "812", "0 00ff00ff00ff00ff", "812 00ff", "812 00ff00ff00ff00ff x"]) {
    assert.equal(parseStatus(odd), undefined);
  }
});

Deno.test("parseCounters() reads the answer of stub_status", () => {
  const answer = "Active connections: 3 \nserver accepts handled requests\n 10 9 27 \nReading: 0 Writing: 1 Waiting: 2";
  assert.deepEqual(parseCounters(answer), {
    accepted: 10,
    handled: 9,
    requests: 27,
    open: { active: 3, reading: 0, writing: 1, waiting: 2 },
  });
  assert.equal(parseCounters("<html>"), undefined);
});

Deno.test("hashIn() finds no hash in a foreign file", () => assert.equal(hashIn("return 200 ok;"), undefined));
