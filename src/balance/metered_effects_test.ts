import assert from "node:assert/strict";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { Tally } from "../metrics/tally.ts";
import type { BalancerSources, Seen, Step } from "../plugin/contract.ts";
import type { BalancerEffects, StepOutcome } from "./effects.ts";
import { meterEffects } from "./metered_effects.ts";

const SOURCES: BalancerSources = {
  kind: "process",
  contact: { by: "http", socket: "/run/haproxy.sock", queries: [] },
  file: "/etc/haproxy.cfg",
  program: "haproxy",
  reloadIntervalMs: 0,
};
const COMMAND: Step = { do: "command", command: "enable server web/a", expect: [""] };
const RELOAD: Step = { do: "reload", reason: "cluster web is new", listens: [], how: { run: ["haproxy"] } };

/** Effects that look and act as a test sets, each look taking two seconds. */
class Stage {
  readonly clock = new FakeClock();
  readonly tally = new Tally();
  seen: Seen | Error = { answers: [], files: new Map() };
  outcomes: readonly StepOutcome[] = [];
  readonly #signal = new AbortController().signal;
  readonly effects: BalancerEffects = meterEffects({
    observe: () => {
      this.clock.advance(2_000);
      return this.seen instanceof Error ? Promise.reject(this.seen) : Promise.resolve(this.seen);
    },
    execute: () => Promise.resolve(this.outcomes),
  } as Partial<BalancerEffects> as BalancerEffects, { balancer: "haproxy", clock: this.clock, meter: this.tally });

  observe(seen: Seen | Error): Promise<unknown> {
    this.seen = seen;
    return this.effects.observe(SOURCES, () => 7, this.#signal).catch((error) => error);
  }

  async execute(...outcomes: readonly StepOutcome[]): Promise<void> {
    this.outcomes = outcomes;
    assert.deepEqual(await this.effects.execute(outcomes.map(({ step }) => step), SOURCES, this.#signal), outcomes);
  }
}

function done(step: Step, tookMs: number): StepOutcome {
  return { ok: true, step, tookMs, output: "" };
}

Deno.test("meterEffects() times looks by their result, and passes it on", async () => {
  const stage = new Stage();
  const seen = { answers: ["x"] };
  assert.equal(await stage.observe(seen), seen);
  await stage.observe({ files: new Map() });
  const failure = new Error("silent");
  assert.equal(await stage.observe(failure), failure);
  // A process that is known by its pid alone runs, although it answers nothing.
  await stage.observe({ pid: 7 });
  const samples = samplesOf(stage.tally.collect());
  for (const [result, looks] of [["ok", 2], ["down", 1], ["error", 1]] as const) {
    const name = "lighthouse_balancer_look_duration_seconds";
    assert.equal(samples[`${name}_sum{balancer="haproxy",result="${result}"}`], 2 * looks);
    assert.equal(samples[`${name}_count{balancer="haproxy",result="${result}"}`], looks);
  }
});

Deno.test("meterEffects() counts steps by kind and result, reloads by cause, and commands that were sent together as one exchange", async () => {
  const stage = new Stage();
  await stage.execute(done(COMMAND, 4), done(COMMAND, 4), done({ ...RELOAD, cause: "structure" }, 500));
  await stage.execute(done(RELOAD, 500));
  await stage.execute({ ok: false, step: RELOAD, failure: { kind: "late", message: "late" } });
  const samples = samplesOf(stage.tally.collect());
  const [steps, durations] = ["lighthouse_balancer_steps_total", "lighthouse_balancer_step_duration_seconds"];
  assert.deepEqual(samples, {
    'lighthouse_balancer_reloads_total{balancer="haproxy",reason="structure"}': 1,
    'lighthouse_balancer_reloads_total{balancer="haproxy",reason="other"}': 1,
    [`${steps}{balancer="haproxy",step="command",result="ok"}`]: 2,
    [`${steps}{balancer="haproxy",step="reload",result="ok"}`]: 2,
    [`${steps}{balancer="haproxy",step="reload",result="late"}`]: 1,
    [`${durations}_sum{balancer="haproxy",step="command"}`]: 0.004,
    [`${durations}_count{balancer="haproxy",step="command"}`]: 1,
    [`${durations}_sum{balancer="haproxy",step="reload"}`]: 1,
    [`${durations}_count{balancer="haproxy",step="reload"}`]: 2,
  });
});
