import assert from "node:assert/strict";
import fc from "fast-check";
import { Damper, type DamperOptions } from "./damper.ts";
import { FakeClock } from "./fake_clock.ts";

/** A damper on a clock of its own, with its runs as `ms: keys`. */
function make(options: Partial<DamperOptions> = {}): { clock: FakeClock; damper: Damper<string>; runs: string[] } {
  const clock = new FakeClock();
  const runs: string[] = [];
  const run = (keys: readonly string[]) => runs.push(`${Math.round(clock.now())}: ${keys.join(" ")}`);
  return { clock, damper: new Damper(run, { burst: 3, rate: 10, maxMs: 500, clock, ...options }), runs };
}

Deno.test("Damper runs at once while the budget lasts, and then at its rate", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 40; i++) {
    damper.trigger("web");
    clock.advance(10);
  }
  clock.advance(1_000);
  assert.deepEqual(runs, ["0: web", "10: web", "20: web", "100: web", "200: web", "300: web", "400: web"]);
});

Deno.test("Damper restores the burst of a source after a pause", () => {
  const { clock, damper, runs } = make();
  for (const pauseMs of [0, 0, 0, 300, 0, 0]) {
    clock.advance(pauseMs);
    damper.trigger("web");
  }
  assert.deepEqual(runs, ["0: web", "0: web", "0: web", "300: web", "300: web", "300: web"]);
});

Deno.test("Damper lets no change wait longer than maxMs, however low the rate", () => {
  const { clock, damper, runs } = make({ burst: 1, rate: 0.1 });
  for (let i = 0; i < 3_000; i++) {
    damper.trigger("web");
    clock.advance(1);
  }
  assert.deepEqual(runs.map((run) => parseInt(run)), [0, 501, 1_001, 1_501, 2_001, 2_501]);
});

Deno.test("Damper runs at once for other sources while a flapping source has used up its budget", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 1_000; i++) {
    if (i === 250 || i === 555) damper.trigger("calm");
    damper.trigger("flapping");
    clock.advance(1);
  }
  assert(runs.some((run) => /^250: .*calm/.test(run)) && runs.some((run) => /^555: .*calm/.test(run)), `${runs}`);
});

Deno.test("Damper joins a thousand sources that change once a second each", () => {
  const { clock, damper, runs } = make();
  for (let i = 0; i < 5_000; i++) {
    damper.trigger(`c${i % 1_000}`);
    clock.advance(1);
  }
  assert(runs.length <= 12 + 5 * 20 + 1, `${runs.length}`);
});

Deno.test("Damper joins nothing without a rate", () => {
  const { clock, damper, runs } = make({ burst: 1, rate: Infinity, maxMs: 0 });
  for (let i = 0; i < 100; i++) {
    damper.trigger("web");
    if (i % 2 === 0) clock.advance(1);
  }
  assert.equal(runs.length, 100);
});

Deno.test("Damper never loses a trigger, never delays one beyond maxMs, and never exceeds its budget", () => {
  const triggers = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(200)), { maxLength: 200 });
  fc.assert(fc.property(triggers, (story) => {
    const clock = new FakeClock();
    const waiting = new Map<string, number>();
    const early: number[] = [];
    const damper = new Damper<string>((keys) => {
      assert.deepEqual(new Set(keys), new Set(waiting.keys()));
      for (const since of waiting.values()) assert(clock.now() - since <= 501, `waited ${clock.now() - since} ms`);
      // One that has waited for the most that it may is run whatever is left.
      if ([...waiting.values()].every((since) => clock.now() - since < 499)) early.push(clock.now());
      waiting.clear();
    }, { burst: 2, rate: 5, maxMs: 500, clock });
    for (const [key, ms] of story) {
      if (!waiting.has(key)) waiting.set(key, clock.now());
      damper.trigger(key);
      clock.advance(ms);
    }
    clock.advance(1_000);
    assert.equal(waiting.size, 0);
    assert.equal(clock.pending, 0);
    // Each of three sources has a burst of two, and five a second; all have eight, and twenty a second.
    for (const at of early) {
      const within = early.filter((other) => other >= at && other < at + 1_000).length;
      assert(within <= 3 * (2 + 5) + 1, `${within} runs within a second`);
    }
  }));
});

Deno.test("Damper drops pending triggers when disposed of", () => {
  const { clock, damper, runs } = make({ burst: 1 });
  damper.trigger("web");
  damper.trigger("web");
  damper[Symbol.dispose]();
  clock.advance(1_000);
  assert.equal(runs.length, 1);
  assert.equal(clock.pending, 0);
});
