import assert from "node:assert/strict";
import { Executor } from "../../src/balance/executor.ts";
import type { StepOutcome } from "../../src/balance/effects.ts";
import type { ProcessSources, Step } from "../../src/plugin/contract.ts";
import { TempDir } from "../support/temp_dir.ts";
import { kill } from "../support/haproxy.ts";
import { eventually } from "../support/eventually.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";

const signal = new AbortController().signal;

/** The place of a balancer. */
function sources(dir: TempDir): ProcessSources & { readonly contact: { readonly by: "commands" } } {
  return {
    kind: "process",
    contact: { by: "commands", socket: dir.file("socket"), queries: [], dialect: PROMPT },
    file: dir.file("config"),
    program: "sh",
    reloadIntervalMs: 0,
  };
}

function start(...run: string[]): Step {
  return { do: "start", reason: "a test", run };
}

/** Carries one step out. */
async function perform(
  step: Step,
  options: { programDeadlineMs?: number; signal?: AbortSignal } = {},
): Promise<StepOutcome> {
  await using dir = new TempDir();
  const [outcome] = await new Executor(options).execute([step], sources(dir), options.signal ?? signal);
  assert(outcome !== undefined);
  return outcome;
}

/** The names in a directory. */
function names({ path }: TempDir): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name);
}

/** Returns how a step failed; fails if it did not. */
function failureOf(outcome: StepOutcome | undefined): string {
  assert(outcome !== undefined && !outcome.ok);
  return `${outcome.failure.kind}: ${outcome.failure.message}`;
}

Deno.test("the executor captures a program's output, and the program's environment has only PATH", async () => {
  Deno.env.set("LIGHTHOUSE_TEST_SECRET", "s3cret");
  const outcome = await perform(start("sh", "-c", "env; echo to stderr >&2"));
  Deno.env.delete("LIGHTHOUSE_TEST_SECRET");
  assert(outcome.ok);
  assert.match(outcome.output, /to stderr/);
  assert.match(outcome.output, /^PATH=/m);
  assert.doesNotMatch(outcome.output, /s3cret|^HOME=/m);
});

Deno.test("the executor reports a program's exit status and output", async () =>
  assert.equal(
    failureOf(await perform(start("sh", "-c", "echo it is broken >&2; exit 3"))),
    "program: Cannot start the balancer: exit status 3: it is broken",
  ));

Deno.test("the executor kills a program that exceeds its timeout", async () =>
  assert.equal(
    failureOf(await perform(start("sh", "-c", "echo thinking; exec sleep 60"), { programDeadlineMs: 200 })),
    "late: Cannot start the balancer: did not exit within 200ms: thinking",
  ));

Deno.test("the executor does not wait for a daemon that keeps its parent's output open", async () => {
  const outcome = await perform(start("sh", "-c", "sleep 60 & echo $!"), { programDeadlineMs: 20_000 });
  assert(outcome.ok);
  kill(Number(outcome.output));
});

Deno.test("the executor reports a missing program", async () =>
  assert.match(
    failureOf(await perform(start("/nowhere/haproxy"))),
    /^system: Cannot start the balancer: .*\/nowhere\/haproxy/,
  ));

Deno.test("the executor stops a program when aborted", async () => {
  const stop = new AbortController();
  const done = perform(start("sleep", "60"), { signal: stop.signal });
  stop.abort(new Error("stopping"));
  await assert.rejects(done, /stopping/);
});

Deno.test("the executor leaves a file unchanged if its check rejects the candidate, and runs no later step", async () => {
  await using dir = new TempDir();
  await dir.write("config", "old");
  const install: Step = {
    do: "install",
    path: dir.file("config"),
    contents: "new",
    mode: 0o640,
    check: ["sh", "-c", 'echo "parsing [$0:7]: $(cat "$0")"; exit 1', "%"],
    when: "now",
  };
  const steps = [install, start("touch", dir.file("begun"))];
  const outcomes = await new Executor().execute(steps, sources(dir), signal);
  assert.equal(outcomes.length, 1);
  // The candidate is gone, so the message names the file that it was to become.
  assert.equal(failureOf(outcomes[0]), ["refused", `parsing [${dir.file("config")}:7]: new`].join(": "));
  assert.equal(await Deno.readTextFile(dir.file("config")), "old");
  assert.deepEqual(names(dir), ["config"]);
});

Deno.test("a check that fails without output is reported with its exit status", async () => {
  await using dir = new TempDir();
  const check = ["sh", "-c", "exit 3", "%"];
  const install: Step = { do: "install", path: dir.file("config"), contents: "new", mode: 0o640, check, when: "now" };
  const [outcome] = await new Executor().execute([install], sources(dir), signal);
  assert.equal(failureOf(outcome), ["refused", "sh: exit status 3, no output"].join(": "));
});

Deno.test("the executor writes nothing for a reload if an address is in use", async () => {
  await using dir = new TempDir();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const reload: Step = {
    do: "reload",
    reason: "a test",
    listens: [`127.0.0.1:${taken.addr.port}`],
    how: { run: ["touch", dir.file("begun")] },
  };
  const install: Step = {
    do: "install",
    path: dir.file("config"),
    contents: "new",
    mode: 0o640,
    check: [],
    when: "now",
  };
  const outcomes = await new Executor().execute([install, reload], sources(dir), signal);
  assert.equal(outcomes.length, 1);
  assert.match(
    failureOf(outcomes[0]),
    new RegExp(
      `^address: Reload aborted: cannot bind 127.0.0.1:${taken.addr.port}: address already in use \\(held by deno, pid ${Deno.pid}\\)$`,
    ),
  );
  assert.deepEqual(names(dir), []);
});

Deno.test("the executor reads each of a thousand commands a few times", async () => {
  await using dir = new TempDir();
  let reads = 0;
  const steps = Array.from({ length: 1_000 }, (_, i): Step => ({
    get do() {
      reads++;
      return "command" as const;
    },
    command: `set server web/s${i} state ready`,
    expect: [""],
  }));
  const [outcome] = await new Executor().execute(steps, sources(dir), signal);
  assert.match(failureOf(outcome), /^unreachable: /);
  assert.ok(reads <= 10 * steps.length, `${reads} reads of ${steps.length} steps`);
});

Deno.test("the executor signals a master, and reports when it is gone", async () => {
  await using dir = new TempDir();
  const ready = dir.file("ready");
  const program = `trap "exit 7" USR2; touch ${ready}; while :; do sleep 0.01; done`;
  await using child = new Deno.Command("sh", { args: ["-c", program] }).spawn();
  await eventually("it listens to signals", () => Deno.stat(ready));
  const step: Step = {
    do: "reload",
    reason: "a test",
    listens: [],
    how: { signal: "SIGUSR2", pid: child.pid },
  };
  assert((await perform(step)).ok);
  assert.equal((await child.status).code, 7);
  assert.match(failureOf(await perform(step)), /^system: Cannot reload the balancer/);
});

Deno.test("the executor reads a program's version, and returns none for a missing or silent program", async () => {
  await using dir = new TempDir();
  const program = await dir.write("versioned", "#!/bin/sh\necho HAProxy version 2.10.3-dev4 2026/10/17\n");
  await Deno.chmod(program, 0o755);
  assert.deepEqual(await new Executor().version(program, signal), [2, 10, 3]);
  assert.equal(await new Executor().version(dir.file("none"), signal), undefined);
  assert.equal(await new Executor().version("true", signal), undefined);
  assert.equal(await new Executor().version("false", signal), undefined);
});

Deno.test("the executor does not block on a lock file that is a pipe", async () => {
  await using dir = new TempDir();
  const { file } = sources(dir);
  assert((await new Deno.Command("mkfifo", { args: [`${file}.lock`] }).output()).success);
  using executor = new Executor({ isSole: true });
  const step: Step = { do: "install", path: file, contents: "text", mode: 0o600, check: [], when: "now" };
  const outcomes = await executor.execute([step], sources(dir), signal);
  assert.deepEqual(outcomes.map(({ ok }) => ok), [true]);
});

Deno.test("the executor signals only the balancer's program, and asks no other process to exit", async () => {
  await using dir = new TempDir();
  await using stranger = new Deno.Command("sleep", { args: ["60"], stdin: "null" }).spawn();
  let hasEnded = false;
  const ending = stranger.status.then(() => hasEnded = true);
  const executor = new Executor();
  const haproxy = { ...sources(dir), program: "haproxy" };
  const how = { signal: "SIGUSR2", pid: stranger.pid } as const;
  const [outcome] = await executor.execute([{ do: "reload", reason: "a test", listens: [], how }], haproxy, signal);
  assert.match(failureOf(outcome), /^system: Cannot reload the balancer: .*haproxy/);
  assert.equal(await executor.softStop(stranger.pid, haproxy), false);
  // An earlier signal would have ended the process earlier.
  Deno.kill(stranger.pid, "SIGCONT");
  await new Deno.Command("sleep", { args: ["0"] }).output();
  assert.equal(hasEnded, false);
  stranger.kill("SIGKILL");
  await ending;
});

Deno.test("the executor runs no step while another writer uses the file or the socket", async () => {
  await using dir = new TempDir();
  using first = new Executor({ isSole: true });
  await first.execute([start("true")], sources(dir), signal);
  for (const elsewhere of [{ file: dir.file("other") }, { socket: dir.file("other") }]) {
    using second = new Executor({ isSole: true });
    const [outcome] = await second.execute(
      [start("touch", dir.file("done"))],
      { ...sources(dir), ...elsewhere },
      signal,
    );
    assert.match(failureOf(outcome), /^taken: Cannot start the balancer: process [0-9]+ manages this balancer/);
  }
  assert.equal(names(dir).includes("done"), false);
});

Deno.test("the executor detects at once that the observed process has closed the connection", async () => {
  await using dir = new TempDir();
  const at = sources(dir);
  const executor = new Executor();
  await executor.watchSocket(at, signal);
  using listener = Deno.listen({ transport: "unix", path: at.contact.socket });
  const stop = new AbortController();
  let hasHeard = false;
  const attending = executor.watchSocket(at, stop.signal).then(() => hasHeard = true);
  const connection = await listener.accept();
  assert.equal(hasHeard, false);
  connection.close();
  await eventually("it hears", () => hasHeard);
  await attending;
});

Deno.test("the executor searches for unresponsive processes once, not at each poll", async () => {
  await using dir = new TempDir();
  const count = dir.file("count");
  // Every search of all processes begins with a shell.
  await dir.write("sh", `#!/bin/sh\necho >> ${count}\nexec /bin/sh "$@"\n`);
  await Deno.chmod(dir.file("sh"), 0o755);
  const path = Deno.env.get("PATH") ?? "";
  Deno.env.set("PATH", `${dir.path}:${path}`);
  try {
    const executor = new Executor();
    for (let look = 0; look < 20; look++) {
      assert.deepEqual((await executor.observe(sources(dir), () => undefined, signal)).orphans, []);
    }
  } finally {
    Deno.env.set("PATH", path);
  }
  const looks = (await Deno.readTextFile(count)).length;
  assert(looks >= 1 && looks <= 5, `${looks} looks at all processes`);
});
