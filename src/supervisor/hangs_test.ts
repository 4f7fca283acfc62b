import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { Hangs } from "./hangs.ts";

Deno.test("Hangs pauses what hung, then runs it again if its thread has ended, and never if the thread is stuck", () => {
  const clock = new FakeClock();
  const threads = { count: 1, ends: 0, settledEnds: 0, ended() {} };
  const hangs = new Hangs({ clock, threads });
  assert.equal(hangs.refusal("slow"), undefined);
  hangs.note("slow", "no answer within 5 s");
  hangs.note("stuck", "no answer within 5 s");
  assert.equal(hangs.refusal("slow")?.isForGood, false);
  clock.advance(6_000);
  assert.equal(hangs.refusal("slow"), undefined, "only slow");
  threads.count = 2;
  assert.equal(hangs.refusal("slow"), undefined, "unrelated");
  assert.equal(hangs.refusal("stuck")?.isForGood, true);
  clock.advance(3_600_000);
  assert.match(
    hangs.refusal("stuck")?.reason ?? "",
    /^hung \(no answer within 5 s\), worker thread stuck; not restarted until the plugin changes/,
  );
});

Deno.test("Hangs reports once what hung with a stuck thread, and nothing else", () => {
  const threads = { count: 0, ends: 0, settledEnds: 0, ended() {} };
  const hangs = new Hangs({ clock: new FakeClock(), threads });
  const told: string[] = [];
  hangs.onForGood = (key, how) => told.push(`${key}: ${how}`);
  hangs.note("a", "no answer");
  hangs.confirm();
  assert.deepEqual(told, []);
  threads.count = 1;
  hangs.note("b", "no answer");
  hangs.confirm();
  hangs.confirm();
  assert.deepEqual(told, ["a: no answer"]);
});

Deno.test("Hangs does not blame a slow worker for a thread that gets stuck later", () => {
  const clock = new FakeClock();
  const threads = { count: 0, ends: 0, settledEnds: 0, ended() {} };
  const hangs = new Hangs({ clock, threads });
  const told: string[] = [];
  hangs.onForGood = (key) => told.push(key);
  hangs.note("slow", "no answer");
  clock.advance(3_600_000);
  hangs.note("stuck", "no answer");
  threads.count = 1;
  hangs.confirm();
  assert.deepEqual(told, ["stuck"]);
  assert.equal(hangs.refusal("slow"), undefined);
});

Deno.test("Hangs runs nothing again before the end of its worker is settled, or a minute later", () => {
  const clock = new FakeClock();
  const threads = { count: 0, ends: 4, settledEnds: 4, ended() {} };
  const hangs = new Hangs({ clock, threads });
  hangs.note("slow", "no answer");
  threads.ends = 5;
  clock.advance(59_000);
  assert.equal(hangs.refusal("slow")?.isForGood, false, "a busy machine has not been counted yet");
  clock.advance(1_000);
  assert.equal(hangs.refusal("slow"), undefined);
  hangs.note("slow", "no answer");
  [threads.ends, threads.settledEnds] = [6, 6];
  clock.advance(6_000);
  assert.equal(hangs.refusal("slow"), undefined);
});
