import assert from "node:assert/strict";
import type { Step } from "../plugin/contract.ts";
import { WaitingFile } from "./waiting_file.ts";

const NEVER = new AbortController().signal;
const COMMAND: Step = { do: "command", command: "add server web/a", expect: [""] };

function file(contents: string, when: "now" | "soon" = "soon"): Step & { do: "install" } {
  return { do: "install", path: "/etc/haproxy.cfg", contents, mode: 0o644, check: [], when };
}

/** Writes at once. */
function atOnce(): Promise<string> {
  return Promise.resolve("written");
}

/** Writes until it is broken off. */
function forEver(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

Deno.test("WaitingFile takes the file that may wait out of a plan, and leaves one that may not", () => {
  const waiting = new WaitingFile();
  const soon = file("a");
  assert.deepEqual(waiting.setAside([COMMAND, soon], 0), [COMMAND]);
  assert.deepEqual(waiting.steps, [soon]);
  assert.deepEqual(waiting.setAside([file("b", "now")], 0), [file("b", "now")]);
  assert.deepEqual([waiting.steps, waiting.dueAt], [[], Infinity]);
});

Deno.test("WaitingFile waits half a second for its neighbours, the newest contents with the time of the first", () => {
  const waiting = new WaitingFile();
  waiting.setAside([file("a")], 0);
  waiting.setAside([file("b")], 400);
  assert.deepEqual([waiting.steps, waiting.dueAt], [[file("b")], 500]);
  waiting.forget();
  assert.equal(waiting.dueAt, Infinity);
});

Deno.test("WaitingFile is written once a second at most", async () => {
  const waiting = new WaitingFile();
  waiting.setAside([file("a")], 0);
  assert.equal(await waiting.write(atOnce, { now: 500, last: false, signal: NEVER }), "written");
  assert.deepEqual(waiting.steps, []);
  waiting.setAside([file("b")], 600);
  assert.equal(waiting.dueAt, 1_500);
});

Deno.test("WaitingFile stands back for a wish three times, then is written", async () => {
  const waiting = new WaitingFile();
  waiting.setAside([file("a")], 0);
  for (let time = 0; time < 3; time++) {
    const written = waiting.write(forEver, { now: 500, last: false, signal: NEVER });
    waiting.standBack();
    assert.equal(await written, undefined);
    assert.equal(waiting.dueAt, 500, "it goes on waiting");
  }
  let finish = (_: string) => {};
  const slow = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      finish = resolve;
      signal.addEventListener("abort", reject);
    });
  const written = waiting.write(slow, { now: 500, last: false, signal: NEVER });
  waiting.standBack();
  finish("written");
  assert.equal(await written, "written");
  // From then on it stands back again.
  waiting.setAside([file("b")], 600);
  const next = waiting.write(forEver, { now: 1_500, last: false, signal: NEVER });
  waiting.standBack();
  assert.equal(await next, undefined);
});

Deno.test("WaitingFile stands back for no wish at the end, but for the end itself", async () => {
  const waiting = new WaitingFile();
  waiting.setAside([file("a")], 0);
  const end = new AbortController();
  const written = waiting.write(forEver, { now: 500, last: true, signal: end.signal });
  waiting.standBack();
  end.abort();
  assert.equal(await written, undefined);
});

Deno.test("WaitingFile passes on what else goes wrong, and goes on waiting", async () => {
  const waiting = new WaitingFile();
  waiting.setAside([file("a")], 0);
  const broken = () => Promise.reject(new Error("it broke"));
  await assert.rejects(waiting.write(broken, { now: 500, last: false, signal: NEVER }), /it broke/);
  assert.equal(waiting.steps.length, 1);
});

Deno.test("WaitingFile is tried again more and more rarely while it cannot be written, and tells since when it is behind", async () => {
  const waiting = new WaitingFile();
  let now = 500;
  for (const dueAfter of [2_000, 4_000, 8_000, 8_000]) {
    waiting.setAside([file("a")], now);
    await waiting.write(atOnce, { now, last: false, signal: NEVER });
    waiting.note("No space left", now);
    waiting.setAside([file("a")], now);
    assert.equal(waiting.dueAt, now + dueAfter);
    now = waiting.dueAt;
  }
  assert.deepEqual(waiting.behind, { text: "No space left", atMs: 500 });
  waiting.note(undefined, now);
  assert.equal(waiting.behind, undefined);
  waiting.note("No space left", now);
  waiting.setAside([], now);
  assert.equal(waiting.behind, undefined, "somebody else has written it");
});
