import assert from "node:assert/strict";
import fc from "fast-check";
import { Damper } from "./damper.ts";
import { FakeClock } from "./fake_clock.ts";

/** A damper on a fake clock, with its runs as `ms: keys`. */
function make(): { clock: FakeClock; damper: Damper<string>; runs: string[] } {
  const clock = new FakeClock();
  const runs: string[] = [];
  const damper = new Damper<string>((keys) => runs.push(`${clock.now()}: ${keys.join(" ")}`), {
    quietMs: 50,
    maxMs: 500,
    clock,
  });
  return { clock, damper, runs };
}

Deno.test("Damper runs at once for a quiet source", () => {
  const { clock, damper, runs } = make();
  damper.trigger("web");
  clock.advance(50);
  damper.trigger("web");
  assert.deepEqual(runs, ["0: web", "50: web"]);
});

Deno.test("Damper joins further triggers until there is a pause", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 5; i++) {
    damper.trigger("web");
    clock.advance(10);
  }
  clock.advance(1_000);
  assert.deepEqual(runs, ["0: web", "90: web"]);
});

Deno.test("Damper turns a thousand triggers a second into two runs a second", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 3_000; i++) {
    damper.trigger("web");
    clock.advance(1);
  }
  assert.deepEqual(runs.map((run) => parseInt(run)), [0, 501, 1_001, 1_501, 2_001, 2_501]);
});

Deno.test("Damper runs for a quiet source at once, or after the minimum time between runs, while another flaps", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 1_000; i++) {
    if (i === 200 || i === 520) damper.trigger("quiet");
    damper.trigger("flapping");
    clock.advance(1);
  }
  assert.match(runs[1] ?? "", /^200: .*quiet/);
  assert(runs.some((run) => /^5[2-7]\d: .*quiet/.test(run)), `${runs}`);
});

Deno.test("Damper does not run a thousand times for a thousand sources that change once a second each", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 5_000; i++) {
    damper.trigger(`c${i % 1_000}`);
    clock.advance(1);
  }
  assert(runs.length <= 101, `${runs.length}`);
});

Deno.test("Damper loses no trigger, delays none longer than maxMs, and keeps its runs apart", () => {
  const triggers = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(200)), { maxLength: 200 });
  fc.assert(fc.property(triggers, (story) => {
    const clock = new FakeClock();
    const waiting = new Map<string, number>();
    let ranAt = -Infinity;
    const damper = new Damper<string>((keys) => {
      assert(clock.now() - ranAt >= 50, `runs ${clock.now() - ranAt} ms apart`);
      ranAt = clock.now();
      assert.deepEqual(new Set(keys), new Set(waiting.keys()));
      for (const since of waiting.values()) assert(clock.now() - since <= 500, `waited ${clock.now() - since} ms`);
      waiting.clear();
    }, { quietMs: 50, maxMs: 500, clock });
    for (const [key, ms] of story) {
      if (!waiting.has(key)) waiting.set(key, clock.now());
      damper.trigger(key);
      clock.advance(ms);
    }
    clock.advance(1_000);
    assert.equal(waiting.size, 0);
    assert.equal(clock.pending, 0);
  }));
});

Deno.test("Damper cancels pending runs when it is disposed of", () => {
  const { clock, damper, runs } = make();
  damper.trigger("web");
  damper.trigger("web");
  damper[Symbol.dispose]();
  clock.advance(1_000);
  assert.equal(runs.length, 1);
  assert.equal(clock.pending, 0);
});
