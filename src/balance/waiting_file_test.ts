import assert from "node:assert/strict";
import type { Step } from "../plugin/contract.ts";
import { NO_FILE, setAside, standsBack, withBrokenOff, withoutFile, withWritten } from "./waiting_file.ts";

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

Deno.test("WaitingFile waits half a second for its neighbours, the newest contents with the time of the first", () => {
  const first = setAside(NO_FILE, [file("a")], 0).file;
  const both = setAside(first, [file("b")], 400).file;
  assert.deepEqual([both.steps, both.dueAt], [[file("b")], 500]);
  assert.equal(withoutFile(both).dueAt, Infinity);
});

Deno.test("WaitingFile is written once a second at most", () => {
  const first = setAside(NO_FILE, [file("a")], 0).file;
  const written = withWritten(first, undefined, { beganMs: 500, nowMs: 510 });
  assert.deepEqual(written.steps, []);
  assert.equal(setAside(written, [file("b")], 600).file.dueAt, 1_500);
});

Deno.test("WaitingFile stands back three times, goes on waiting, and stands back again once it was written", () => {
  let waiting = setAside(NO_FILE, [file("a")], 0).file;
  for (let time = 0; time < 3; time++) {
    assert(standsBack(waiting));
    waiting = withBrokenOff(waiting);
    assert.equal(waiting.dueAt, 500, "it goes on waiting");
  }
  assert(!standsBack(waiting));
  assert(standsBack(withWritten(waiting, undefined, { beganMs: 500, nowMs: 500 })));
});

Deno.test("WaitingFile is tried again more and more rarely while it cannot be written, and tells since when it is behind", () => {
  let waiting = NO_FILE;
  let now = 500;
  for (const dueAfter of [2_000, 4_000, 8_000, 8_000]) {
    waiting = setAside(waiting, [file("a")], now).file;
    waiting = withWritten(waiting, "No space left", { beganMs: now, nowMs: now });
    waiting = setAside(waiting, [file("a")], now).file;
    assert.equal(waiting.dueAt, now + dueAfter);
    now = waiting.dueAt;
  }
  assert.deepEqual(waiting.behind, { text: "No space left", atMs: 500 });
  assert.equal(withWritten(waiting, undefined, { beganMs: now, nowMs: now }).behind, undefined);
  assert.equal(setAside(waiting, [], now).file.behind, undefined, "somebody else has written it");
});
