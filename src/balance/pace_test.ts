import assert from "node:assert/strict";
import { seededRandom } from "../kernel/random.ts";
import type { Step } from "../plugin/contract.ts";
import { Pace } from "./pace.ts";

/** Draws that are always the highest, so that each wait is its ceiling. */
const HIGHEST = () => 1;

function reload(reason: string): Step {
  return { do: "reload", reason, listens: [], how: { run: ["haproxy"] } };
}
const START: Step = { do: "start", reason: "nobody answers", run: ["haproxy"] };
const COMMAND: Step = { do: "command", command: "del server web/a", expect: [""] };

Deno.test("Pace allows the first reload at once, and the next after the interval", () => {
  const pace = new Pace(HIGHEST);
  assert.equal(pace.reloadAt(100, 0), 100);
  pace.noteReload(reload("frontend web"), 100, 2_000);
  assert.equal(pace.reloadAt(500, 0), 2_100);
  assert.equal(pace.reloadAt(5_000, 0), 2_100, "it has been due since then");
});

Deno.test("Pace draws the jitter of a reload once for as long as one is wanted", () => {
  const pace = new Pace(seededRandom(7));
  const due = pace.reloadAt(0, 10_000);
  assert(due > 0 && due <= 10_000, `${due}`);
  assert.equal(pace.reloadAt(1_000, 10_000), due);
  pace.forgetReload();
  assert.notEqual(pace.reloadAt(1_000, 10_000), due);
});

Deno.test("Pace makes reloads for the same reason rarer and rarer, up to a minute, until all is in force or the reason is another", () => {
  const pace = new Pace(HIGHEST);
  const waits = (reason: string) => {
    pace.noteReload(reload(reason), 0, 2_000);
    return pace.reloadAt(0, 0);
  };
  const vain = Array.from({ length: 9 }, () => waits("frontend web"));
  assert.deepEqual(vain, [2_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.equal(waits("frontend api"), 2_000);
  waits("frontend api");
  waits("frontend api");
  pace.settle();
  assert.equal(waits("frontend api"), 2_000);
});

Deno.test("Pace counts a start as a reload that is not in vain", () => {
  const pace = new Pace(HIGHEST);
  for (let i = 0; i < 5; i++) pace.noteReload(START, 0, 2_000);
  assert.equal(pace.reloadAt(0, 0), 2_000);
});

Deno.test("Pace waits longer with each trouble, up to a minute, until all is in force", () => {
  const pace = new Pace(HIGHEST);
  const waits = Array.from({ length: 8 }, () => pace.retryAt(100) - 100);
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  pace.settle();
  assert.equal(pace.retryAt(0), 1_000);
});

Deno.test("Pace answers commands that keep failing by a reload ten seconds apart, then more, up to a minute", () => {
  const pace = new Pace(HIGHEST);
  const forced = Array.from({ length: 300 }, (_, second) => second).filter((second) => pace.takeForced(second * 1_000));
  assert.deepEqual(forced, [0, 10, 30, 70, 130, 190, 250]);
});

Deno.test("Pace begins with short waits again when commands have not failed for a while", () => {
  const pace = new Pace(HIGHEST);
  for (let second = 0; second < 300; second++) pace.takeForced(second * 1_000);
  assert(!pace.takeForced(309_000));
  assert(pace.takeForced(400_000) && pace.takeForced(410_000));
});

Deno.test("Pace tries a refused file again after a minute, and a config without a process after a wait that grows", () => {
  const pace = new Pace(HIGHEST);
  assert.equal(pace.refusedFileRetryAt(500), 60_500);
  assert.deepEqual([1, 2, 9].map((times) => pace.failedConfigRetryAt(0, times)), [4_000, 8_000, 60_000]);
});

Deno.test("Pace holds starts back until it is told otherwise", () => {
  const pace = new Pace(HIGHEST);
  assert.equal(pace.startAllowedAt, -Infinity);
  pace.holdStarts(3_000);
  assert.equal(pace.startAllowedAt, 3_000);
});

Deno.test("Pace tries steps that are planned again at leisure, and knows them again until there are none", () => {
  const pace = new Pace(HIGHEST);
  assert(!pace.isLeftover([]));
  const waits = Array.from({ length: 4 }, () => pace.leftoverAt(0, [COMMAND]));
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000]);
  assert(pace.isLeftover([{ ...COMMAND }]) && !pace.isLeftover([COMMAND, COMMAND]));
  assert.equal(pace.leftoverAt(0, [COMMAND, COMMAND]), 1_000);
  assert.equal(pace.leftoverAt(0, []), Infinity);
  assert(!pace.isLeftover([COMMAND, COMMAND]));
  assert.equal(pace.leftoverAt(0, [COMMAND, COMMAND]), 1_000);
});
