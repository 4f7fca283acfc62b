import assert from "node:assert/strict";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { systemClock } from "../kernel/clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { formatEntry, type HistoryEntry, parseEntry } from "./entry.ts";
import { History } from "./history.ts";
import { diffLines } from "./line_diff.ts";
import { isShown, storyLines, storyOf } from "./story.ts";

const START_MS = Date.parse("2026-11-30T03:12:04.000Z");

function entry(event: string, given: Partial<HistoryEntry> = {}, seconds = 0): HistoryEntry {
  const base = { level: "info", message: event, role: "writer", pid: 1, fields: {} } as const;
  return { ...base, event, atMs: START_MS + 1_000 * seconds, ...given };
}

function items(entries: readonly HistoryEntry[]): readonly string[] {
  return [...storyLines(storyOf(entries), { color: false })];
}

/** What a process says while it starts and nothing has changed. */
function start(pid: number, seconds: number, config: Partial<HistoryEntry> = { files: [] }): readonly HistoryEntry[] {
  return [
    entry("admin.listening", { pid }, seconds),
    entry("process.starting", { pid }, seconds),
    entry("host.identity", { pid }, seconds),
    entry("cluster.last_known", { pid }, seconds + 1),
    entry("config.applied", { pid, ...config }, seconds + 1),
    entry("registry.connected", { pid }, seconds + 2),
    entry("cluster.changed", { pid, fields: { cluster: "web", nodes: 2 } }, seconds + 2),
  ];
}

Deno.test("parseEntry() reads the output of formatEntry(), and rejects a partial line", () => {
  const whole = entry("cluster.changed", {
    fields: { cluster: "web", nodes: 2 },
    files: [{ file: "clusters/web.yaml", change: "changed", diff: ["-a", "+b"] }],
    diff: ["+server c"],
  });
  const line = formatEntry(whole);
  assert.deepEqual(parseEntry(line), whole);
  for (const bad of [line.slice(0, -20), "", "null", "{}", '{"time":"x","event":"a.b"}']) {
    assert.equal(parseEntry(bad), undefined, bad);
  }
});

Deno.test.each([
  { was: "a\nb\nc", is: "a\nb\nc", want: [] },
  { was: "a\nb\nc", is: "a\nx\nc", want: ["-b", "+x"] },
  { was: "a\nb\nc\nd", is: "a\nc\nd\ne", want: ["-b", "+e"] },
  { was: "", is: "a", want: ["-", "+a"] },
])("diffLines() lists the lines that differ between $was and $is", ({ was, is, want }) => {
  const lines = { before: (i: number) => was.split("\n")[i] ?? "", after: (i: number) => is.split("\n")[i] ?? "" };
  assert.deepEqual(diffLines(was, is, { linesMax: 10 }, lines), want);
});

Deno.test("diffLines() lists a limited number of lines, and counts the rest", () => {
  const is = Array.from({ length: 5_000 }, (_, i) => `line ${i}`).join("\n");
  const lines = { before: () => "old", after: () => "*****" };
  assert.deepEqual(diffLines("old\n".repeat(5_000), is, { linesMax: 2 }, lines), ["-old", "-old", "… 9999 more lines"]);
});

Deno.test("storyOf() reports a restart without changes in one line", () => {
  const before = [...start(1, 0, {}), entry("process.stopping", {}, 60), entry("process.stopped", {}, 61)];
  const after = items([...before, ...start(2, 62)]);
  const news = after.slice(items(before).length - 2);
  assert.equal(news.length, 1, news.join("\n"));
  assert.match(news[0] ?? "", /process\.starting +Restarted after 1s; nothing changed \(pid 2\)$/);
});

Deno.test("storyOf() lists the changes of a restart, and reports an unlogged end", () => {
  const changed = { files: [{ file: "clusters/web.yaml", change: "changed" as const }] };
  const reloaded = entry("balancer.reloaded", { pid: 2, diff: ["+bind :80"] }, 64);
  const lines = items([...start(1, 0, {}), ...start(2, 62, changed), reloaded]).join("\n");
  assert.match(lines, /Restarted after an unlogged exit \(killed\?\) \(pid 2\)/);
  assert.match(lines, /config\.applied .*\n {4}changed clusters\/web\.yaml\n/);
  assert.match(lines, /balancer\.reloaded .*\n {6}\+bind :80$/);
});

Deno.test("storyOf() separates writer and reporter of one host", () => {
  const reporter = start(7, 30, {}).map((each) => ({ ...each, role: "reporter" }));
  const lines = items([...start(1, 0, {}), ...reporter]);
  assert.equal(lines.filter((line) => line.includes("Restarted")).length, 0, lines.join("\n"));
});

Deno.test.each([
  { filter: { cluster: "web" }, want: ["cluster.changed", "config.applied"] },
  { filter: { node: "a:80" }, want: ["cluster.changed"] },
  { filter: { node: "a" }, want: ["cluster.changed"] },
  { filter: { event: "cluster.*" }, want: ["cluster.changed", "cluster.held"] },
  { filter: { event: "cluster.held" }, want: ["cluster.held"] },
  { filter: { sinceMs: START_MS + 2_000 }, want: ["cluster.held"] },
  { filter: { untilMs: START_MS + 500 }, want: ["cluster.changed"] },
])("isShown() selects by $filter", ({ filter, want }) => {
  const entries = [
    entry("cluster.changed", { fields: { cluster: "web", joined: "a:80 (zookeeper), b:80 (zookeeper)" } }),
    entry("config.applied", { files: [{ file: "clusters/web.yaml", change: "changed" }] }, 1),
    entry("cluster.held", { fields: { cluster: "api" } }, 2),
  ];
  assert.deepEqual(entries.filter((each) => isShown(each, filter)).map(({ event }) => event), want);
});

Deno.test("History leaves out the output of programs", async () => {
  await using temp = new TempDir();
  {
    await using history = new History({
      role: "writer",
      pid: 1,
      clock: systemClock,
      log: SILENT,
      redact: (line) => line,
    });
    history.takeConfig({ dir: temp.path, config: new Map() });
    for (const event of ["balancer.child_output", "balancer.output", "plugin.log", "config.applied"]) {
      history.hear({ event, level: "info", message: event, atMs: START_MS, fields: {} });
    }
  }
  const lines = (await Deno.readTextFile(temp.file("writer.jsonl"))).trim().split("\n");
  assert.deepEqual(lines.map((line) => parseEntry(line)?.event), ["config.applied"]);
});
