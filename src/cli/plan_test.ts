import assert from "node:assert/strict";
import { describeStep } from "./plan.ts";

Deno.test("describeStep() prints the step, its reason and how it is done", () => {
  assert.equal(
    describeStep({ do: "command", command: "set server web/a:80 state ready", expect: [""] }),
    "send: set server web/a:80 state ready",
  );
  const install = {
    do: "install",
    path: "/etc/h.cfg",
    contents: "x",
    mode: 0o640,
    check: ["haproxy", "-c", "-f", "%"],
  };
  assert.equal(
    describeStep({ ...install, do: "install", when: "now" }),
    "install /etc/h.cfg, after validation with: haproxy -c -f %",
  );
  assert.equal(
    describeStep({ ...install, do: "install", when: "soon" }),
    "install /etc/h.cfg, within a second, after validation with: haproxy -c -f %",
  );
  assert.equal(
    describeStep({ do: "start", reason: "nobody answers", run: ["haproxy", "-D"] }),
    "start (nobody answers): haproxy -D",
  );
  assert.equal(
    describeStep({ do: "reload", reason: "a new frontend", listens: [], how: { run: ["haproxy", "-sf", "1"] } }),
    "reload (a new frontend): haproxy -sf 1",
  );
  assert.equal(
    describeStep({ do: "reload", reason: "a new frontend", listens: [], how: { signal: "SIGUSR2", pid: 7 } }),
    "reload (a new frontend): SIGUSR2 to 7",
  );
});
