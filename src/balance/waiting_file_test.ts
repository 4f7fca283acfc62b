import assert from "node:assert/strict";
import type { Step } from "../plugin/contract.ts";
import {
  isDue,
  NO_FILE,
  setAside,
  standsBack,
  withBrokenOff,
  withChange,
  withoutFile,
  withWriting,
  withWritten,
} from "./waiting_file.ts";

const COMMAND: Step = { do: "command", command: "add server web/a", expect: [""] };

function file(contents: string, when: "now" | "soon" = "soon"): Step & { do: "install" } {
  return { do: "install", path: "/etc/haproxy.cfg", contents, mode: 0o644, check: [], when };
}

Deno.test("WaitingFile takes the file that may wait out of a plan, and leaves one that may not", () => {
  const soon = file("a");
  const aside = setAside(NO_FILE, [COMMAND, soon], 0);
  assert.deepEqual([aside.rest, aside.file.steps], [[COMMAND], [soon]]);
  const none = setAside(aside.file, [file("b", "now")], 0);
  assert.deepEqual(none.rest, [file("b", "now")]);
  assert.deepEqual([none.file.steps, none.file.dueAt], [[], Infinity]);
});

Deno.test("WaitingFile waits half a second for further changes, and writes the newest contents at the time of the first", () => {
  const first = setAside(NO_FILE, [file("a")], 0).file;
  const both = setAside(first, [file("b")], 400).file;
  assert.deepEqual([both.steps, both.dueAt], [[file("b")], 500]);
  assert.equal(withoutFile(both).dueAt, Infinity);
});

Deno.test("WaitingFile is written at most once a second", () => {
  const first = setAside(NO_FILE, [file("a")], 0).file;
  const written = withWritten(withWriting(first, 500), undefined, 510);
  assert.deepEqual(written.steps, []);
  assert.equal(setAside(written, [file("b")], 600).file.dueAt, 1_500);
});

Deno.test("WaitingFile is written less often where that takes long, at least every five seconds", () => {
  for (const [tookMs, dueAt] of [[100, 1_500], [800, 3_700], [3_000, 5_500]] as const) {
    const first = setAside(NO_FILE, [file("a")], 0).file;
    const written = withWritten(withWriting(first, 500), undefined, 500 + tookMs);
    assert.equal(setAside(written, [file("b")], 600).file.dueAt, dueAt);
  }
});

Deno.test("WaitingFile yields three times, keeps waiting, and yields again once it was written", () => {
  let waiting = setAside(NO_FILE, [file("a")], 0).file;
  for (let now = 500; now < 3_500; now += 1_000) {
    assert(standsBack(waiting));
    waiting = withBrokenOff(withWriting(waiting, now));
    assert.deepEqual([waiting.steps, waiting.dueAt], [[file("a")], now + 1_000], "it keeps its interval");
  }
  assert(!standsBack(waiting));
  assert(standsBack(withWritten(withWriting(waiting, 3_500), undefined, 3_510)));
});

Deno.test("WaitingFile is retried less and less often while it cannot be written, and says since when it lags behind", () => {
  let waiting = NO_FILE;
  let now = 500;
  for (const dueAfter of [2_000, 4_000, 8_000, 8_000]) {
    waiting = setAside(waiting, [file("a")], now).file;
    waiting = withWritten(withWriting(waiting, now), "No space left", now);
    waiting = setAside(waiting, [file("a")], now).file;
    assert.equal(waiting.dueAt, now + dueAfter);
    now = waiting.dueAt;
  }
  assert.deepEqual(waiting.behind, { text: "No space left", atMs: 500 });
  assert.equal(withWritten(withWriting(waiting, now), undefined, now).behind, undefined);
  assert.equal(setAside(waiting, [], now).file.behind, undefined, "somebody else has written it");
});

Deno.test("WaitingFile is planned again if a change arrives when it is due", () => {
  const waiting = withChange(setAside(NO_FILE, [file("a")], 0).file, 400);
  assert.deepEqual([waiting.steps, waiting.dueAt, isDue(waiting, 500)], [[], 500, false]);
  const planned = setAside(waiting, [file("b")], 500).file;
  assert.deepEqual([planned.steps, isDue(planned, 500)], [[file("b")], true]);
});

Deno.test("WaitingFile keeps a change that arrives while it is written, and its interval", () => {
  const changed = withChange(withWriting(setAside(NO_FILE, [file("a")], 0).file, 500), 510);
  assert.equal(withWritten(changed, undefined, 600).dueAt, 1_500);
  const brokenOff = withBrokenOff(changed);
  assert.deepEqual([brokenOff.steps, brokenOff.dueAt], [[], 1_500]);
});
