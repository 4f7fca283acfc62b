import assert from "node:assert/strict";
import { sourceFaults, stepFault } from "./balancer_policy.ts";
import type { BalancerSources, PermissionRequest, Step } from "./contract.ts";

const GRANTED: PermissionRequest = {
  net: ["unix:/run/x.sock"],
  read: ["/etc/read"],
  write: ["/run/x.conf", "/run/x.d/"],
  run: ["/usr/sbin/x"],
};
const SOURCES: BalancerSources = {
  socket: "/run/x.sock",
  queries: [],
  file: "/run/x.conf",
  program: "/usr/sbin/x",
  reloadIntervalMs: 0,
};

function install(path: string, check: readonly string[] = ["/usr/sbin/x", "-t", "%"]): Step {
  return { do: "install", path, contents: "", mode: 0o600, check, when: "now" };
}

Deno.test.each([
  { more: {}, faults: [] },
  { more: { file: "/run/x.d/a/b" }, faults: [] },
  { more: { file: "/etc/read" }, faults: ['write "/etc/read"'] },
  { more: { file: "/run/x.d/../x" }, faults: ['write "/run/x.d/../x"'] },
  { more: { file: "/run/x.confusing" }, faults: ['write "/run/x.confusing"'] },
  { more: { socket: "/run/docker.sock" }, faults: ['ask the socket "/run/docker.sock"'] },
  { more: { program: "x" }, faults: ['run "x"'] },
])("sourceFaults() judges $more", ({ more, faults }) => {
  assert.deepEqual(sourceFaults({ ...SOURCES, ...more }, GRANTED), faults);
});

Deno.test.each<{ step: Step; fault: string | undefined }>([
  { step: install("/run/x.conf"), fault: undefined },
  { step: install("/etc/passwd"), fault: 'install "/etc/passwd"' },
  { step: install("/run/x.d//x"), fault: 'install "/run/x.d//x"' },
  { step: install("/etc/read"), fault: 'install "/etc/read"' },
  { step: install("/run/x.conf", []), fault: "install a file that no program checks" },
  { step: install("/run/x.conf", ["/bin/sh", "%"]), fault: 'run "/bin/sh"' },
  {
    step: install("/run/x.conf", ["/usr/sbin/x"]),
    fault: "check a file by a command that does not name it (%)",
  },
  { step: { do: "command", command: "x", expect: [] }, fault: undefined },
  { step: { do: "start", reason: "x", run: ["/usr/sbin/x", "; rm"] }, fault: undefined },
  { step: { do: "start", reason: "x", run: ["/bin/sh", "-c", "x"] }, fault: 'run "/bin/sh"' },
  { step: { do: "reload", reason: "x", listens: [], how: { run: ["x"] } }, fault: 'run "x"' },
  { step: { do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: 7 } }, fault: undefined },
  { step: { do: "reload", reason: "x", listens: [], how: { master: "/run/x.sock" } }, fault: undefined },
  {
    step: { do: "reload", reason: "x", listens: [], how: { master: "/run/docker.sock" } },
    fault: 'ask the master at "/run/docker.sock"',
  },
  {
    step: { do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: 8 } },
    fault: "signal process 8, which is not its master",
  },
])("stepFault() says $fault of a step that does $step.do", ({ step, fault }) => {
  assert.equal(stepFault(step, { granted: GRANTED, sources: SOURCES, seen: { masterPid: 7 } }), fault);
});

Deno.test("stepFault() has no command for a socket that speaks http", () => {
  const sources = { ...SOURCES, speaks: "http" } as const;
  const command = { do: "command", command: "x", expect: [] } as const;
  const reload: Step = { do: "reload", reason: "x", listens: [], how: { run: ["/usr/sbin/x"] }, then: [command] };
  for (const step of [command, reload]) {
    const fault = stepFault(step, { granted: GRANTED, sources, seen: {} });
    assert.equal(fault, "send a command to a socket that speaks http");
  }
});
