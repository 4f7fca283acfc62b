/**
 * Balancers other than a process with a socket: files that some program reads,
 * child processes, a process known by its pid.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Executor } from "../../src/balance/executor.ts";
import { Writer } from "../../src/balance/writer.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import type { BalancerSources, PlanAllowance, Rendered, Seen, Step } from "../../src/plugin/contract.ts";
import type { Decider } from "../../src/plugin/decider.ts";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { kill } from "../support/haproxy.ts";
import { get } from "../support/http_load.ts";
import { TempDir } from "../support/temp_dir.ts";

/** The config of a balancer here is the text to render. */
type Plan = (text: string, seen: Seen, allowed: PlanAllowance) => readonly Step[];

/** A writer of a balancer made by a test. */
class Bench implements AsyncDisposable {
  readonly log: string[] = [];
  /** The kinds of successful steps, turn by turn. */
  readonly done: string[][] = [];
  readonly #stop = new AbortController();
  readonly #writer: Writer<string, unknown, Seen>;
  readonly #ended: Promise<void>;
  readonly #effects = new Executor();

  constructor(sources: BalancerSources, render: (text: string) => Rendered, plan: Plan) {
    const record = (level: string) => (text: string) => void this.log.push(`${level} ${text}`);
    const balancer: Partial<Decider<string, unknown, Seen>> = {
      name: "other",
      sources: () => sources,
      pid: () => undefined,
      observe: (seen) => seen,
      adopt: () => new Map(),
      render: ({ config }) => render(config),
      plan: ({ config }, _, seen, allowed) => plan(config, seen, allowed),
    };
    this.#writer = new Writer({
      balancer: balancer as Decider<string, unknown, Seen>,
      effects: this.#effects,
      clock: systemClock,
      random: systemRandom,
      log: { debug: record("debug"), info: record("info"), warn: record("warn"), error: record("error") },
      reconcileMs: 50,
      onApplied: ({ steps }) => void this.done.push(steps.map((step) => step.do)),
    });
    this.#ended = this.#writer.run(this.#stop.signal);
  }

  put(text: string): void {
    this.#writer.put({ config: text, host: { fqdn: "lb.test", ip: "127.0.0.1" }, clusters: [] });
  }

  /** Waits until a config is seen applied. */
  async apply(text: string): Promise<void> {
    this.put(text);
    const isApplied = () => this.#writer.standing.inForce && this.#writer.standing.served?.wanted.config === text;
    await eventually("it is applied", isApplied).catch((error) => {
      throw new Error(`${error.message}\n${this.log.join("\n")}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#effects[Symbol.dispose]();
  }
}

function rendered(files: Record<string, string>): Rendered {
  return { files: new Map(Object.entries(files).map(([path, text]) => [path, { text }])), notices: [] };
}

/** Installs differing files. */
function installs(files: Record<string, string>, seen: Seen, check: readonly string[] = []): readonly Step[] {
  return Object.entries(files).filter(([path, text]) => seen.files?.get(path) !== text).map(([path, contents]) => ({
    do: "install",
    path,
    contents,
    mode: 0o640,
    check,
    when: "now",
  }));
}

async function linesOf(path: string): Promise<number> {
  return (await Deno.readTextFile(path).catch(() => "")).split("\n").length - 1;
}

/** A balancer of two files that notifies a program of changes. */
function filesBench(dir: TempDir): Bench {
  const [one, other] = [dir.file("one.json"), dir.file("other.json")];
  const filesOf = (text: string) => ({ [one]: text, [other]: text.toUpperCase() });
  const sources = { kind: "files", file: one, moreFiles: [other], reloadIntervalMs: 0 } as const;
  return new Bench(sources, (text) => rendered(filesOf(text)), (text, seen, { owesNotify, reload }) => {
    const steps = installs(filesOf(text), seen);
    if (steps.length === 0 && !owesNotify) return [];
    return reload ? [...steps, { do: "notify", reason: "its files changed", run: [dir.file("notify")] }] : [];
  });
}

Deno.test("a balancer of files notifies its program of each change until it succeeds, and once when the writer starts", async () => {
  await using dir = new TempDir();
  const [one, other, told, broken] = ["one.json", "other.json", "told", "broken"].map((name) => dir.file(name));
  assert(one !== undefined && other !== undefined && told !== undefined && broken !== undefined);
  await dir.write("notify", `#!/bin/sh\n[ ! -e ${broken} ] && cat ${one} ${other} >> ${told} && echo >> ${told}\n`);
  await Deno.chmod(dir.file("notify"), 0o755);
  {
    await using bench = filesBench(dir);
    await bench.apply("a");
    assert.equal(await Deno.readTextFile(told), "aA\n");
    await bench.apply("b");
    assert.equal(await Deno.readTextFile(told), "aA\nbB\n");
    await Deno.writeTextFile(broken, "");
    const failing = bench.apply("c");
    await eventually(
      "it fails",
      () => bench.log.some((line) => /^error Cannot run the notify command/.test(line)),
    );
    assert.equal(await Deno.readTextFile(one), "c");
    await Deno.remove(broken);
    await failing;
    assert.equal(await Deno.readTextFile(told), "aA\nbB\ncC\n");
    await Deno.writeTextFile(other, "by hand");
    await eventually("the file is restored", async () => await Deno.readTextFile(other) === "C");
    await eventually("that is notified too", async () => await linesOf(told) === 4);
  }
  await using bench = filesBench(dir);
  await bench.apply("c");
  assert.equal(await linesOf(told), 5, "whether anybody has read the files is not known at a start");
  assert.deepEqual(bench.done, [["notify"]]);
});

/** A balancer that is a child process, whose argument is the config. */
function childBench(dir: TempDir, { endsWithWriter = false } = {}): Bench {
  const file = dir.file("file");
  const children = [{ name: "proxy", pidFile: dir.file("proxy.pid") }];
  const sources = { kind: "files", file, reloadIntervalMs: 0, children } as const;
  return new Bench(sources, () => rendered({ [file]: "x" }), (text, seen) => {
    const run = text === "" ? [] : ["/bin/sleep", text];
    const child = seen.supervised?.find(({ name }) => name === "proxy");
    const isRight = JSON.stringify(child?.run ?? []) === JSON.stringify(run);
    const supervise: Step = { do: "supervise", name: "proxy", reason: "its command line", run, endsWithWriter };
    return [...installs({ [file]: "x" }, seen), ...isRight ? [] : [supervise]];
  });
}

/** The pid that the host has recorded, and the command line of that process. */
async function child(dir: TempDir): Promise<{ readonly pid: number; readonly args: string }> {
  const [pid = ""] = (await Deno.readTextFile(dir.file("proxy.pid"))).split("\n");
  const args = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
  return { pid: Number(pid), args: args.replaceAll("\0", " ").trim() };
}

Deno.test("a child process is restarted when it ends, replaced when its command line changes, and outlives its writer", async () => {
  await using dir = new TempDir();
  let pid: number;
  {
    await using bench = childBench(dir);
    await bench.apply("1001");
    const first = await child(dir);
    assert.equal(first.args, "/bin/sleep 1001");
    kill(first.pid);
    await eventually("it is started again", async () => {
      const now = await child(dir);
      return now.pid !== first.pid && now.args === "/bin/sleep 1001";
    });
    const second = await child(dir);
    await bench.apply("1002");
    const third = await child(dir);
    assert.equal(third.args, "/bin/sleep 1002");
    await assert.rejects(Deno.stat(`/proc/${second.pid}/fd`), Deno.errors.NotFound);
    pid = third.pid;
  }
  {
    await using bench = childBench(dir);
    await bench.apply("1002");
    assert.deepEqual(bench.done, [[]], "it is found by its file");
    assert.equal((await child(dir)).pid, pid);
    // A pid that belongs to another process by now is ignored.
    await Deno.writeTextFile(dir.file("proxy.pid"), `${Deno.pid}\n["/bin/sleep","1002"]\n`);
    kill(pid);
    await eventually("another one is started", async () => (await child(dir)).args === "/bin/sleep 1002");
    await bench.apply("");
    assert.equal((await child(dir)).args, "");
  }
});

Deno.test("a child process ends with its writer if so configured", async () => {
  await using dir = new TempDir();
  {
    await using bench = childBench(dir, { endsWithWriter: true });
    await bench.apply("1003");
    assert.equal((await child(dir)).args, "/bin/sleep 1003");
  }
  await eventually("it has ended", async () => (await child(dir)).args === "");
});

Deno.test("a child process that keeps ending is restarted with growing delays", async () => {
  await using dir = new TempDir();
  const file = dir.file("file");
  const children = [{ name: "proxy", pidFile: dir.file("proxy.pid") }];
  const run = ["/bin/sh", "-c", `date +%s%3N >> ${dir.file("starts")}`];
  const sources = { kind: "files", file, reloadIntervalMs: 0, children } as const;
  await using bench = new Bench(sources, () => rendered({ [file]: "x" }), (_, seen) => [
    ...installs({ [file]: "x" }, seen),
    ...seen.supervised?.length === 1
      ? []
      : [{ do: "supervise", name: "proxy", reason: "it does not run", run } as const],
  ]);
  bench.put("x");
  await eventually("it was started five times", async () => await linesOf(dir.file("starts")) >= 5);
  // Without growing delays, five starts take a few hundred milliseconds; a busy machine may record the first one late.
  const [first = NaN, , , , fifth = NaN] = (await Deno.readTextFile(dir.file("starts"))).split("\n").map(Number);
  assert(fifth - first > 1_000, `the fifth start came ${fifth - first} ms after the first`);
});

Deno.test("nginx without a socket is reloaded by a signal, verified by its child processes", async () => {
  await setUp(["nginx"]);
  await using dir = new TempDir();
  const port = freePort();
  const [file, pidFile] = [dir.file("nginx.conf"), dir.file("nginx.pid")];
  const textOf = (answer: string) =>
    `pid ${pidFile};\nerror_log ${dir.file("error.log")};\nevents {}\nhttp { access_log off; ` +
    `server { listen 127.0.0.1:${port}; location / { return 200 "${answer}"; } } }\n`;
  const sources: BalancerSources = {
    kind: "process",
    contact: { by: "pid", pidFile, proof: "children" },
    file,
    program: "/usr/sbin/nginx",
    reloadIntervalMs: 0,
  };
  await using bench = new Bench(sources, (text) => rendered({ [file]: textOf(text) }), (text, seen) => {
    const steps = installs({ [file]: textOf(text) }, seen, ["/usr/sbin/nginx", "-t", "-q", "-c", "%"]);
    const { pid } = seen;
    if (pid === undefined) {
      return [...steps, { do: "start", reason: "it does not run", run: ["/usr/sbin/nginx", "-c", file] }];
    }
    if (steps.length === 0) return [];
    return [...steps, { do: "reload", reason: "its file changed", listens: [], how: { signal: "SIGHUP", pid } }];
  });
  try {
    await bench.apply("one");
    assert.equal(await get(port), "one");
    const master = (await Deno.readTextFile(pidFile)).trim();
    await bench.apply("two");
    await eventually("the new workers answer", async () => await get(port) === "two");
    assert.equal((await Deno.readTextFile(pidFile)).trim(), master);
    assert.deepEqual(bench.done.filter((steps) => steps.length > 0), [["install", "start"], ["install", "reload"]]);
  } finally {
    kill(Number(await Deno.readTextFile(pidFile)), "SIGTERM");
    await eventually("nginx has ended", () => Deno.stat(pidFile).then(() => false, () => true));
  }
});

Deno.test("a file gets the owner that its step names, and an unknown owner is reported", async () => {
  await using dir = new TempDir();
  const path = dir.file("x");
  const sources = { kind: "files", file: path, reloadIntervalMs: 0 } as const;
  const install = (owner: string): Step => ({
    do: "install",
    path,
    contents: "x",
    mode: 0o640,
    owner,
    check: [],
    when: "now",
  });
  const execute = (owner: string) =>
    new Executor().execute([install(owner)], sources, new AbortController().signal).then(([outcome]) => outcome);
  const own = `${Deno.uid()}:${Deno.gid()}`;
  assert.equal((await execute(own))?.ok, true);
  const { uid, gid } = await Deno.stat(path);
  assert.equal(`${uid}:${gid}`, own);
  assert.equal((await execute("root"))?.ok, Deno.uid() === 0);
  const nobody = await execute("nobody-at-all");
  assert(nobody?.ok === false);
  assert.match(nobody.failure.message, /Cannot install the file .*: \/etc\/passwd has no user "nobody-at-all"/);
});
