import assert from "node:assert/strict";
import { sourceFaults, stepFault } from "./balancer_policy.ts";
import type { AskedReload, PermissionRequest, ProcessSources, Seen, Step } from "./contract.ts";

const GRANTED: PermissionRequest = {
  net: ["unix:/run/x.sock"],
  read: ["/etc/read"],
  write: ["/run/x.conf", "/run/x.d/"],
  run: ["/usr/sbin/x"],
};
const DIALECT = { ending: "\n> ", batchBytesMax: 1_000 };
const SOURCES: ProcessSources = {
  kind: "process",
  contact: { by: "commands", socket: "/run/x.sock", queries: [], dialect: DIALECT },
  file: "/run/x.conf",
  program: "/usr/sbin/x",
  reloadIntervalMs: 0,
};

function asking(ask: string): AskedReload {
  return { ask, command: "reload", took: "yes", failed: "no" };
}

function install(path: string, check: readonly string[] = ["/usr/sbin/x", "-t", "%"]): Step {
  return { do: "install", path, contents: "", mode: 0o600, check, when: "now" };
}

Deno.test.each([
  { more: {}, faults: [] },
  { more: { file: "/run/x.d/a/b" }, faults: [] },
  { more: { file: "/etc/read" }, faults: ['write "/etc/read"'] },
  { more: { file: "/run/x.d/../x" }, faults: ['write "/run/x.d/../x"'] },
  { more: { file: "/run/x.confusing" }, faults: ['write "/run/x.confusing"'] },
  { more: { moreFiles: ["/run/x.d/b", "/etc/passwd"] }, faults: ['write "/etc/passwd"'] },
  {
    more: { contact: { by: "http", socket: "/run/docker.sock", queries: [] } } as const,
    faults: ['query the socket "/run/docker.sock"'],
  },
  { more: { contact: { by: "pid", pidFile: "/run/x.d/pid", proof: "process" } } as const, faults: [] },
  {
    more: { contact: { by: "pid", pidFile: "/run/sshd.pid", proof: "process" } } as const,
    faults: ['read "/run/sshd.pid"'],
  },
  { more: { children: [{ name: "a", pidFile: "/run/x.d/a.pid" }] }, faults: [] },
  {
    more: { children: [{ name: "a", pidFile: "/run/x.conf" }] },
    faults: ['write the pid of a child process to "/run/x.conf" (must end in .pid)'],
  },
  { more: { children: [{ name: "a", pidFile: "/run/sshd.pid" }] }, faults: ['write "/run/sshd.pid"'] },
  { more: { program: "x" }, faults: ['run "x"'] },
])("sourceFaults() checks $more", ({ more, faults }) => {
  assert.deepEqual(sourceFaults({ ...SOURCES, ...more }, GRANTED), faults);
});

Deno.test.each<{ step: Step; fault: string | undefined }>([
  { step: install("/run/x.conf"), fault: undefined },
  { step: install("/etc/passwd"), fault: 'install "/etc/passwd"' },
  { step: install("/run/x.d//x"), fault: 'install "/run/x.d//x"' },
  { step: install("/etc/read"), fault: 'install "/etc/read"' },
  // The host ends the process that such a file names, whoever wrote it.
  { step: install("/run/x.d/a.pid"), fault: 'install the pid file "/run/x.d/a.pid"' },
  { step: install("/run/x.conf", []), fault: "install a file without a check command" },
  { step: install("/run/x.conf", ["/bin/sh", "%"]), fault: 'run "/bin/sh"' },
  {
    step: install("/run/x.conf", ["/usr/sbin/x"]),
    fault: "check a file with a command that lacks the placeholder %",
  },
  { step: { do: "command", command: "x", expect: [] }, fault: undefined },
  { step: { do: "start", reason: "x", run: ["/usr/sbin/x", "; rm"] }, fault: undefined },
  { step: { do: "start", reason: "x", run: ["/bin/sh", "-c", "x"] }, fault: 'run "/bin/sh"' },
  { step: { do: "reload", reason: "x", listens: [], how: { run: ["x"] } }, fault: 'run "x"' },
  { step: { do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: 7 } }, fault: undefined },
  { step: { do: "reload", reason: "x", listens: [], how: asking("/run/x.sock") }, fault: undefined },
  {
    step: { do: "reload", reason: "x", listens: [], how: asking("/run/docker.sock") },
    fault: 'query the master at "/run/docker.sock"',
  },
  {
    step: { do: "reload", reason: "x", listens: [], how: { signal: "SIGUSR2", pid: 8 } },
    fault: "signal process 8 (not a process of this balancer)",
  },
  {
    step: { do: "start", reason: "x", run: ["/usr/sbin/x"], master: asking("/run/docker.sock") },
    fault: 'query the master at "/run/docker.sock"',
  },
  { step: { do: "notify", reason: "x", run: ["/usr/sbin/x", "-s", "reload"] }, fault: undefined },
  { step: { do: "notify", reason: "x", run: ["/bin/sh", "-c", "x"] }, fault: 'run "/bin/sh"' },
  { step: { do: "supervise", name: "a", reason: "x", run: ["/usr/sbin/x"] }, fault: undefined },
  { step: { do: "supervise", name: "a", reason: "x", run: [] }, fault: undefined },
  { step: { do: "supervise", name: "a", reason: "x", run: ["/bin/sh"] }, fault: 'run "/bin/sh"' },
  {
    step: { do: "supervise", name: "b", reason: "x", run: ["/usr/sbin/x"] },
    fault: 'start the child process "b" (not listed in its sources)',
  },
])("stepFault() returns $fault for a step $step.do", ({ step, fault }) => {
  const sources = { ...SOURCES, children: [{ name: "a", pidFile: "/run/x.d/a.pid" }] };
  assert.equal(stepFault(step, { granted: GRANTED, sources, seen: { masterPid: 7 } }), fault);
});

Deno.test("stepFault() lets a start relieve only orphans that the host found", () => {
  const step = (pid: number): Step => ({ do: "start", reason: "x", run: ["/usr/sbin/x"], relieves: [pid] });
  const fault = (pid: number) =>
    stepFault(step(pid), { granted: GRANTED, sources: SOURCES, seen: { orphans: [7], oldWorkers: [8] } });
  assert.equal(fault(7), undefined);
  assert.equal(fault(8), "signal process 8 (not one of its orphan processes)");
});

Deno.test("stepFault() rejects a command for an http socket", () => {
  const sources: ProcessSources = { ...SOURCES, contact: { by: "http", socket: "/run/x.sock", queries: [] } };
  const command = { do: "command", command: "x", expect: [] } as const;
  const reload: Step = { do: "reload", reason: "x", listens: [], how: { run: ["/usr/sbin/x"] }, then: [command] };
  for (const step of [command, reload]) {
    const fault = stepFault(step, { granted: GRANTED, sources, seen: {} });
    assert.equal(fault, "send a command to a balancer that is queried by http");
  }
});

Deno.test("stepFault() allows signals only to the pid that the host found", () => {
  const step = (pid: number): Step => ({ do: "reload", reason: "x", listens: [], how: { signal: "SIGHUP", pid } });
  const by = (seen: Seen) => (pid: number) => stepFault(step(pid), { granted: GRANTED, sources: SOURCES, seen });
  assert.equal(by({ pid: 7 })(7), undefined);
  // A pid that a plugin read in an answer may be any process.
  assert.equal(by({ answers: ["8"] })(8), "signal process 8 (not a process of this balancer)");
  assert.equal(
    by({ pid: 7, children: [8], oldWorkers: [9], orphans: [10] })(10),
    "signal process 10 (not a process of this balancer)",
  );
});

Deno.test("stepFault() requires no check of a file without a program", () => {
  const sources = { kind: "files", file: "/run/x.conf", reloadIntervalMs: 0 } as const;
  const fault = (step: Step) => stepFault(step, { granted: GRANTED, sources, seen: {} });
  assert.equal(fault(install("/run/x.conf", [])), undefined);
  assert.equal(fault(install("/etc/passwd", [])), 'install "/etc/passwd"');
  assert.equal(fault(install("/run/x.conf", ["/bin/sh", "%"])), 'run "/bin/sh"');
  assert.equal(fault({ do: "command", command: "x", expect: [] }), "send a command to a balancer without a process");
});
