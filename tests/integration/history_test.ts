/** The history of a host, written by real processes and read with `lighthouse history`. */
import assert from "node:assert/strict";
import { History } from "../../src/history/history.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { OperatorStage } from "../support/operator_stage.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A stage with a history. */
async function staged(): Promise<
  OperatorStage & { readonly journal: string; history(...args: string[]): Promise<string> }
> {
  const stage = new OperatorStage(["a", "b"]);
  await stage.configure();
  const journal = stage.host.dir.file("history");
  await stage.host.write("lighthouse", { history_dir: journal });
  return Object.assign(stage, {
    journal,
    async history(...args: string[]) {
      const { code, stdout, stderr } = await runCli(["history", stage.host.configDir, ...args]);
      assert.equal(code, 0, stderr);
      return stdout;
    },
  });
}

Deno.test("history: shows which file was edited, which node left, why the balancer was reloaded and who drained a node", async () => {
  await using stage = await staged();
  const writer = await stage.start();
  const [first, second] = stage.servers;
  assert.ok(first && second);
  await stage.do("drain", "web", `${first.node.host}:${first.port}`, "--author", "ann", "--reason", "kernel");
  await stage.serve([second]);
  await stage.host.untilServing("web", [second.port]);
  await stage.serve([second], { haproxy: { port: stage.port, backend: ["mode http", "timeout server 61s"] } });
  await writer.event("balancer.reloaded");
  assert.equal(await writer.stop(), 0);
  const text = await stage.history();
  assert.match(text, /override\.set .*author=ann reason=kernel/);
  assert.match(text, new RegExp(`cluster\\.changed .*left="a:${first.port} \\(static\\)"`));
  assert.match(text, /config\.applied [^\n]*\n {4}changed clusters\/web\.yaml\n(?: {6}[-+].*\n)+/);
  assert.match(text, /balancer\.reloaded [^\n]*reason=[^\n]*\n(?: {6}.*\n)* {6}\+ *timeout server 61s/);
  const records = (await stage.history("--json", "--event", "cluster.*", "--cluster", "web")).trim().split("\n");
  for (const record of records) assert.match(JSON.parse(record).event, /^cluster\./);
  assert.ok(records.some((record) => JSON.parse(record).fields.left?.startsWith("a:")), records.join("\n"));
  assert.equal(await stage.history("--since", "0"), "");
  const kept = await Array.fromAsync(Deno.readDir(`${stage.journal}/files/haproxy`), ({ name }) => name);
  assert.ok(kept.length >= 2 && kept.length <= 10, kept.join());
});

Deno.test("history: a restart that changed nothing is one line, also after kill -9 in the middle of a record", async () => {
  await using stage = await staged();
  let writer = await stage.start();
  await eventually("the history has the config", async () => /config\.applied/.test(await stage.history()));
  writer.kill("SIGKILL");
  await writer.ended();
  // The rest of an interrupted write.
  await Deno.writeTextFile(`${stage.journal}/writer.jsonl`, '{"time":"2026-11-30T03:1', { append: true });
  const before = (await stage.history()).split("\n").length;
  writer = await stage.start();
  await writer.event("config.applied");
  const restarted = () => stage.history();
  await eventually("the restart is logged", async () => (await restarted()).includes("Restarted"));
  assert.equal(await writer.stop(), 0);
  const lines = (await restarted()).trim().split("\n").slice(before - 1);
  assert.match(
    lines.join("\n"),
    /^\S+ \S+ +writer +process.starting +Restarted after an unlogged exit \(killed\?\); nothing changed \(pid \d+\)$/m,
  );
  assert.deepEqual(lines.slice(1).filter((line) => !/process\.stop/.test(line)), []);
});

Deno.test("history: --follow prints new records across a rotation of the file", async () => {
  await using stage = await staged();
  const writer = await stage.start();
  const lines: string[] = [];
  const { HistoryReader } = await import("../../src/history/read.ts");
  const reader = new HistoryReader(stage.journal);
  await eventually("the first records are read", async () => {
    lines.push(...(await reader.next()).map(({ event }) => event));
    return lines.includes("config.applied");
  });
  await Deno.rename(`${stage.journal}/writer.jsonl`, `${stage.journal}/writer.jsonl.1`);
  await stage.serve(stage.servers.slice(1));
  await eventually("the change is read", async () => {
    lines.push(...(await reader.next()).map(({ event }) => event));
    return lines.filter((event) => event === "config.applied").length === 2;
  });
  assert.equal(await writer.stop(), 0);
});

Deno.test("history: names the path it read when there is no history", async () => {
  await using stage = new OperatorStage([]);
  await stage.configure();
  const { code, stderr } = await runCli(["history", stage.host.configDir, "--journal", stage.host.dir.file("none")]);
  assert.equal(code, 1);
  assert.match(stderr, /Cannot read the history in \S+none: no such directory; set history_dir/);
});

// The hanging read ends some time after the pipe was written to; nobody awaits it, which is the point.
Deno.test("history: a disk that hangs delays the end by a second at most", {
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using temp = new TempDir();
  const place = temp.file("writer.config.json");
  // A read of a pipe hangs until somebody writes to it.
  assert.ok((await new Deno.Command("mkfifo", { args: [place] }).output()).success);
  const clock = new FakeClock();
  const history = new History({ role: "writer", pid: 1, clock, log: SILENT, redact: (line) => line });
  history.takeConfig({ dir: temp.path, config: new Map() });
  let hasEnded = false;
  const ended = history[Symbol.asyncDispose]().then(() => void (hasEnded = true));
  try {
    await eventually("the history has ended", () => {
      clock.advance(1_000);
      return hasEnded;
    }, { deadlineMs: 10_000 });
  } finally {
    await Deno.writeTextFile(place, "");
    await ended;
  }
});
