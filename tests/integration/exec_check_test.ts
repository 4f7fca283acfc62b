import assert from "node:assert/strict";
import exec from "../../plugins/checks/exec/mod.ts";
import { WorkerError } from "../../src/protocol/wire_error.ts";
import { eventually } from "../support/eventually.ts";
import { probe, reasonOf } from "../support/probe.ts";
import { startInWorker } from "../support/probe_in_worker.ts";
import { TempDir } from "../support/temp_dir.ts";

const TARGET = "127.0.0.1:8001";

/** A config that runs a shell script. */
function sh(script: string, more: Record<string, unknown> = {}) {
  return { command: "/bin/sh", args: ["-c", script], ...more };
}

/** Whether a process still runs; a zombie does not. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Reads the pid that a script has written for the test. */
function pidIn(path: string): Promise<number> {
  return eventually("the script has written its pid", async () => Number(await Deno.readTextFile(path)) || undefined);
}

Deno.test.each([
  { what: "exit status 0", config: sh("exit 0"), detail: "Got exit status 0" },
  {
    what: "an expected exit status",
    config: sh("echo; echo fine; exit 3", { status: [0, 3] }),
    detail: 'Got exit status 3: "fine"',
  },
  {
    what: "an expected output",
    config: sh("echo now ready", { output: "ready" }),
    detail: 'Got exit status 0: "now ready"',
  },
  {
    what: "the port as a separate argument",
    config: {
      command: "/bin/echo",
      args: ["{host} {port}", "{target}", "{print}"],
      output: `127.0.0.1 8001 ${TARGET} {print}`,
    },
    detail: `Got exit status 0: "127.0.0.1 8001 ${TARGET} {print}"`,
  },
  {
    what: "the configured environment, and nothing else",
    config: { command: "/usr/bin/env", env: { PORT: "{port}" }, output: "PORT=8001\n" },
    detail: 'Got exit status 0: "PORT=8001"',
  },
  { what: "the root as its working directory", config: sh("pwd", { output: "/\n" }), detail: 'Got exit status 0: "/"' },
  {
    what: "a working directory of its own",
    config: sh("pwd", { output: "/usr\n", directory: "/usr" }),
    detail: 'Got exit status 0: "/usr"',
  },
  {
    what: "more output than is examined",
    config: sh("printf 0123456789; head -c 3000000 /dev/zero", {
      output: "789",
      output_limit: 10,
      env: { PATH: "/usr/bin:/bin" },
    }),
    detail: 'Got exit status 0: "0123456789"',
  },
  { what: "an empty standard input", config: { command: "/bin/cat" }, detail: "Got exit status 0" },
])("exec passes with $what, in a worker with no more than its program", async ({ config, detail }) => {
  await using check = await startInWorker("exec", config, TARGET);
  assert.deepEqual(await check.probe(), { status: "pass", detail });
});

Deno.test.each([
  { what: "another exit status", config: sh("exit 2"), reason: /^Got exit status 2 from \/bin\/sh, expected 0$/ },
  {
    what: "an unexpected exit status 0",
    config: sh("echo well", { status: [1, 2] }),
    reason: /^Got exit status 0 from \/bin\/sh, expected 1, 2: "well"$/,
  },
  { what: "a complaint", config: sh("echo out; echo broken >&2; exit 1"), reason: /expected 0: "broken"$/ },
  { what: "a program that crashes", config: sh("kill -SEGV $$"), reason: /^\/bin\/sh was killed by SIGSEGV/ },
  {
    what: "output without the expected text",
    config: sh("echo loading", { output: "ready" }),
    reason: /^"ready" not found in the first 65536 bytes of output of \/bin\/sh: "loading"$/,
  },
  {
    what: "the expected text beyond the examined output",
    config: sh("printf 0123456789ready", { output: "ready", output_limit: 10 }),
    reason: /^"ready" not found in the first 10 bytes/,
  },
  {
    what: "the expected text on standard error",
    config: sh("echo ready >&2", { output: "ready" }),
    reason: /^"ready" not found/,
  },
  { what: "controls", config: sh("printf '\\033[2Jout'; exit 1"), reason: /: "\\u001b\[2Jout"$/ },
  { what: "bytes that are not UTF-8", config: sh("printf '\\377\\376'; exit 1"), reason: /: "\ufffd\ufffd"$/ },
  {
    what: "no program",
    config: { command: "/nobody/has/this" },
    reason: /^Cannot run \/nobody\/has\/this: No such file or directory/,
  },
  {
    what: "no folder",
    config: sh("exit 0", { directory: "/nobody/has/this" }),
    reason: /^Cannot run \/bin\/sh: No such cwd/,
  },
  {
    what: "a file that is not executable",
    config: { command: "/etc/passwd" },
    reason: /^Cannot run \/etc\/passwd: .*Permission denied/,
  },
])("exec fails for $what", async ({ config, reason }) => {
  assert.match(await reasonOf(exec, config, TARGET), reason);
});

Deno.test("exec does not repeat a secret that its program prints", async () => {
  const config = sh('echo "login with $DB_PASSWORD failed" >&2; exit 1', {
    env: { DB_PASSWORD: "s3cret", USER: "me" },
  });
  assert.match(await reasonOf(exec, config, TARGET), /: "login with \*\*\*\*\* failed"$/);
});

Deno.test("exec runs no other program, and sets no variable of the dynamic linker", async () => {
  const refused = (error: unknown) => error instanceof WorkerError && error.kind === "NotCapable";
  await using other = await startInWorker("exec", sh("exit 0"), TARGET, {
    change: (config) => ({ ...config, command: "/bin/echo" }),
  });
  await assert.rejects(other.probe(), refused);
  await using linker = await startInWorker("exec", sh("exit 0"), TARGET, {
    change: (config) => ({ ...config, env: { LD_PRELOAD: "/nobody/has/this.so" } }),
  });
  await assert.rejects(linker.probe(), refused);
});

Deno.test.each([
  { what: "at once", script: "exec sleep 300" },
  {
    what: "though it ignores SIGTERM",
    script: "trap '' TERM; while :; do sleep 0.05; done",
  },
  { what: "though it floods its output", script: "while :; do echo flood; done" },
])("exec ends its program $what when it is aborted", async ({ script }) => {
  await using dir = new TempDir();
  const controller = new AbortController();
  const config = sh(`echo $$ > ${dir.file("pid")}; ${script}`, { env: { PATH: "/usr/bin:/bin" } });
  const rejected = assert.rejects(probe(exec, config, TARGET, controller.signal), /enough/);
  const pid = await pidIn(dir.file("pid"));
  assert.ok(runs(pid));
  controller.abort(new Error("enough"));
  await rejected;
  assert.ok(!runs(pid));
});

/** Aborts a program that forwards SIGTERM to its child; returns whether the child has ended by then, and ends it if not. */
async function childEndsWithItsParent(): Promise<boolean> {
  await using dir = new TempDir();
  const controller = new AbortController();
  const script = `sleep 300 & echo $! > ${dir.file("pid")}; wait`;
  const config = { command: "/usr/bin/timeout", args: ["60", "/bin/sh", "-c", script], env: { PATH: "/usr/bin:/bin" } };
  const rejected = assert.rejects(probe(exec, config, TARGET, controller.signal), /enough/);
  const pid = await pidIn(dir.file("pid"));
  controller.abort(new Error("enough"));
  await rejected;
  const ended = eventually("the child has ended", () => !runs(pid), { deadlineMs: 2_000 });
  return await ended.then(() => true, () => {
    Deno.kill(pid, "SIGKILL");
    return false;
  });
}

Deno.test("exec lets a program that forwards SIGTERM end its children", async () => {
  // The program has a tenth of a second for that, which a busy machine may not always give it.
  let ended = false;
  for (let round = 0; round < 5 && !ended; round++) ended = await childEndsWithItsParent();
  assert.ok(ended, "in none of five rounds");
});

Deno.test("exec does not wait for a child that holds its output once aborted", async () => {
  await using dir = new TempDir();
  const controller = new AbortController();
  const config = sh(`sleep 300 & echo $! > ${dir.file("pid")}`, { env: { PATH: "/usr/bin:/bin" } });
  const rejected = assert.rejects(probe(exec, config, TARGET, controller.signal), /enough/);
  const pid = await pidIn(dir.file("pid"));
  try {
    controller.abort(new Error("enough"));
    await rejected;
  } finally {
    Deno.kill(pid, "SIGKILL");
  }
});

Deno.test("exec leaves no program behind when its worker stops or its deadline passes", async () => {
  await using dir = new TempDir();
  const config = sh(`trap '' TERM; echo $$ > ${dir.file("pid")}; while :; do sleep 0.05; done`, {
    env: { PATH: "/usr/bin:/bin" },
  });
  await using check = await startInWorker("exec", config, TARGET);
  assert.deepEqual(await check.probe(2_000), { status: "fail", reason: "No response within 2s" });
  const late = await pidIn(dir.file("pid"));
  await eventually("the program is ended", () => !runs(late));

  await Deno.remove(dir.file("pid"));
  const probing = check.probe().catch(() => {});
  const pid = await pidIn(dir.file("pid"));
  await check.stop();
  await probing;
  await eventually("the program is ended", () => !runs(pid));
});

Deno.test("exec does not start if it was aborted earlier", async () => {
  await using dir = new TempDir();
  const config = { command: "/usr/bin/touch", args: [dir.file("begun")] };
  await assert.rejects(probe(exec, config, TARGET, AbortSignal.abort(new Error("too late"))), /too late/);
  await assert.rejects(Deno.stat(dir.file("begun")), Deno.errors.NotFound);
});
