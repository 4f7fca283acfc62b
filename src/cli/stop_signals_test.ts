import assert from "node:assert/strict";
import { eventually } from "../../tests/support/eventually.ts";
import { judgeStop, SAME_REQUEST_MS, StopSignals } from "./stop_signals.ts";

Deno.test("judgeStop() shuts down on the first signal and exits on the second, except for one Ctrl-C that arrives twice", () => {
  assert.equal(judgeStop(undefined, 5), "stop");
  assert.equal(judgeStop(5, 5 + SAME_REQUEST_MS - 1), "same");
  assert.equal(judgeStop(5, 5 + SAME_REQUEST_MS), "now");
});

Deno.test("StopSignals handles the signals until it is disposed", async () => {
  const did: string[] = [];
  let now = 0;
  {
    using _signals = new StopSignals({
      stop: () => did.push("stop"),
      exit: (code, signal) => did.push(`${signal} ${code}`),
      now: () => now,
    });
    Deno.kill(Deno.pid, "SIGTERM");
    await eventually("the first is heard", () => did.length === 1);
    now = SAME_REQUEST_MS;
    Deno.kill(Deno.pid, "SIGTERM");
    await eventually("the second is heard", () => did.length === 2);
  }
  assert.deepEqual(did, ["stop", "SIGTERM 143"]);
});
