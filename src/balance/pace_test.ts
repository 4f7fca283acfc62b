import assert from "node:assert/strict";
import { seededRandom } from "../kernel/random.ts";
import type { Step } from "../plugin/contract.ts";
import {
  childAt,
  failedConfigRetryAt,
  isLeftover,
  type Pace,
  rejectedFileRetryAt,
  takenAddressRetryAt,
  UNHURRIED,
  withChild,
  withForced,
  withLeftover,
  withReload,
  withReloadDue,
  withTrouble,
} from "./pace.ts";

/** Draws that are always the highest, so that each wait is its ceiling. */
const HIGHEST = () => 1;

function reload(reason: string): Step {
  return { do: "reload", reason, listens: [], how: { run: ["haproxy"] } };
}
const START: Step = { do: "start", reason: "nobody answers", run: ["haproxy"] };
const COMMAND: Step = { do: "command", command: "del server web/a", expect: [""] };

function dueAt(pace: Pace, now: number, jitterMs = 0): number | undefined {
  return withReloadDue(pace, now, jitterMs, HIGHEST).reloadDueAt;
}

Deno.test("Pace allows the first reload at once, and the next after the interval", () => {
  assert.equal(dueAt(UNHURRIED, 100), 100);
  const pace = withReloadDue(withReload(UNHURRIED, reload("frontend web"), 100, 2_000), 500, 0, HIGHEST);
  assert.equal(pace.reloadDueAt, 2_100);
  assert.equal(dueAt(pace, 5_000), 2_100, "it has been due since then");
});

Deno.test("Pace draws the jitter of a reload once for as long as one is desired", () => {
  const random = seededRandom(7);
  const pace = withReloadDue(UNHURRIED, 0, 10_000, random);
  const { reloadDueAt: due = -1 } = pace;
  assert(due > 0 && due <= 10_000, `${due}`);
  assert.equal(withReloadDue(pace, 1_000, 10_000, random), pace);
  assert.notEqual(withReloadDue({ ...pace, reloadDueAt: undefined }, 1_000, 10_000, random).reloadDueAt, due);
});

Deno.test("Pace makes reloads for the same reason less and less often, once a minute at last, until all is applied or the reason changes", () => {
  let pace = UNHURRIED;
  const waits = (reason: string) => {
    pace = withReload(pace, reload(reason), 0, 2_000);
    return dueAt(pace, 0);
  };
  const vain = Array.from({ length: 9 }, () => waits("frontend web"));
  assert.deepEqual(vain, [2_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.equal(waits("frontend api"), 2_000);
  waits("frontend api");
  waits("frontend api");
  pace = { ...pace, vain: undefined };
  assert.equal(waits("frontend api"), 2_000);
});

Deno.test("Pace counts a start as a reload that is not in vain", () => {
  let pace = UNHURRIED;
  for (let i = 0; i < 5; i++) pace = withReload(pace, START, 0, 2_000);
  assert.equal(dueAt(pace, 0), 2_000);
});

Deno.test("Pace waits longer with each failure, up to a minute, until all is applied", () => {
  let pace = UNHURRIED;
  const waits = Array.from({ length: 8 }, () => {
    const [next, at] = withTrouble(pace, 100, HIGHEST);
    pace = next;
    return at - 100;
  });
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  assert.equal(withTrouble({ ...pace, troubles: 0 }, 0, HIGHEST)[1], 1_000);
});

Deno.test("Pace answers commands that keep failing by reloads ten seconds apart, then up to a minute, and starts over when none was needed for a while", () => {
  let pace = UNHURRIED;
  const takes = (second: number) => {
    const next = withForced(pace, second * 1_000, HIGHEST);
    pace = next ?? pace;
    return next !== undefined;
  };
  const forced = Array.from({ length: 300 }, (_, second) => second).filter(takes);
  assert.deepEqual(forced, [0, 10, 30, 70, 130, 190, 250]);
  assert(!takes(309));
  assert(takes(400) && takes(410));
});

Deno.test("Pace retries a rejected file after a minute, and a config without a process after an increasing wait", () => {
  assert.equal(rejectedFileRetryAt(500), 60_500);
  assert.deepEqual([1, 2, 9].map((times) => failedConfigRetryAt(0, times, HIGHEST)), [4_000, 8_000, 60_000]);
  assert.deepEqual([1, 2, 9].map((times) => takenAddressRetryAt(0, times, HIGHEST)), [4_000, 8_000, 10_000]);
});

Deno.test("Pace retries in the background steps that are planned again, and recognizes them until there are none", () => {
  let pace = UNHURRIED;
  const leftoverAt = (...steps: readonly Step[]) => {
    const [next, at] = withLeftover(pace, 0, steps);
    pace = next;
    return at;
  };
  assert(!isLeftover(pace, []));
  assert.deepEqual(Array.from({ length: 4 }, () => leftoverAt(COMMAND)), [1_000, 2_000, 4_000, 8_000]);
  assert(isLeftover(pace, [{ ...COMMAND }]) && !isLeftover(pace, [COMMAND, COMMAND]));
  assert.equal(leftoverAt(COMMAND, COMMAND), 1_000);
  assert.equal(leftoverAt(), Infinity);
  assert(!isLeftover(pace, [COMMAND, COMMAND]));
  assert.equal(leftoverAt(COMMAND, COMMAND), 1_000);
});

Deno.test("Pace delays a child longer with each start that follows soon, and not after it has lived", () => {
  const child: Step = { do: "supervise", name: "agent", run: ["agent"], reason: "it does not run" };
  let pace = UNHURRIED;
  const waits = [0, 0, 1_000, 3_000].map((now) => {
    pace = withChild(pace, child, now);
    return childAt(pace, child) - now;
  });
  assert.deepEqual(waits, [0, 1_000, 2_000, 4_000]);
  assert.equal(childAt(withChild(pace, child, 63_000), child), 63_000);
});
