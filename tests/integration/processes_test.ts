import assert from "node:assert/strict";
import {
  countOwnThreads,
  findMissingTools,
  findProcesses,
  look,
  readOpenFilesLimit,
  readStats,
  SlowLookError,
} from "../../src/system/processes.ts";
import { Lighthouse, TASK_ARGS, TestHost, WebService } from "../support/lighthouse.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";

Deno.test("readStats() returns the owner of a process, and leaves out missing ones", async () => {
  const stats = await readStats([Deno.pid, 4_194_304]);
  assert.equal(stats?.get(Deno.pid)?.parent, Deno.ppid);
  assert.equal(stats?.size, 1);
});

Deno.test("findProcesses() finds a process by its arguments", async () => {
  const mark = `60.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  await using child = new Deno.Command("sleep", { args: [mark] }).spawn();
  await eventually("it is found", async () => {
    const found = await findProcesses((args) => args[0]?.endsWith("sleep") === true && args.includes(mark));
    return found.length === 1 && found[0] === child.pid;
  });
});

Deno.test("countOwnThreads() counts the workers of this process as they come and go", async () => {
  const workers = async () => await countOwnThreads(/^worker-[0-9]+$/);
  const before = await workers();
  assert.ok(before !== undefined);
  const worker = new Worker("data:text/javascript,", { type: "module", deno: { permissions: "none" } });
  await eventually("it is counted", async () => await workers() === before + 1);
  worker.terminate();
  await eventually("it is gone", async () => await workers() === before);
});

Deno.test("readOpenFilesLimit() reads the limit of this process and of another, and none of an ended one", async () => {
  const own = await readOpenFilesLimit();
  assert(own !== undefined && own > 0);
  assert.equal(await readOpenFilesLimit(Deno.pid), own);
  assert.equal(await readOpenFilesLimit(2 ** 22 + 1), undefined);
});

Deno.test("findMissingTools() names the programs that this machine lacks", async () => {
  assert.deepEqual(await findMissingTools(), []);
  assert.deepEqual(await findMissingTools({ sh: ["-c", ":"], "not-a-program": [] }), ["not-a-program"]);
});

Deno.test("look() returns nothing rather than a partial result at its deadline", async () => {
  await assert.rejects(
    look("sh", ["-c", "echo half; exec sleep 60"], { deadlineMs: 200 }),
    /sh did not finish within 0\.2s/,
  );
  assert.equal(await look("sh", ["-c", "echo all; exit 1"]), "all\n");
});

Deno.test("readOpenFiles() counts open files with the product's flags", async () => {
  const module = new URL("../../src/system/open_files.ts", import.meta.url);
  const program = `import { readOpenFiles } from ${JSON.stringify(module)};
    const before = await readOpenFiles();
    const files = Array.from({ length: 200 }, () => Deno.openSync("/dev/null"));
    const { open, limit } = await readOpenFiles();
    // The runtime closes some files of its own after its start.
    console.log(open - before.open > files.length / 2, open <= limit, limit);`;
  const source = `data:text/javascript,${encodeURIComponent(program)}`;
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 300; exec "$@"', "sh", Deno.execPath(), ...TASK_ARGS, source],
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "true true 300\n", new TextDecoder().decode(stderr));
});

Deno.test("look() rejects when a program does not end in time, by an error of its own", async () => {
  await assert.rejects(look("sleep", ["60"], { deadlineMs: 100 }), SlowLookError);
});

Deno.test("a machine without cat, grep and sh is served, and what cannot be observed is reported", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "command -v haproxy"] }).output();
  await host.configure({ program: new TextDecoder().decode(stdout).trim() });
  const checks = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 2 } };
  await host.write("services/web", { discovery: "file", port: web.port, checks });
  await host.write("clusters/web", { discovery: "file", haproxy: { port: freePort(), backend: ["mode http"] } });
  await using run = Lighthouse.start("run", host.configDir, [], { within: ["env", "PATH=/nowhere"] });
  await run.event("process.tools", { missing: "cat, grep, sh" });
  await host.untilServing("web", [web.port]);
  await host.write("clusters/api", { discovery: "file", haproxy: { port: freePort(), backend: ["mode http"] } });
  await run.event("balancer.reloaded", { reason: /cluster api is new/ });
  await host.untilServing("web", [web.port]);
});
