import assert from "node:assert/strict";
import type { Step } from "../plugin/contract.ts";
import type { StepOutcome } from "./effects.ts";
import { type Outputs, withAttempts, withoutWaiting } from "./outputs.ts";

function notify(output: string, reason = "changed"): Step {
  return { do: "notify", reason, run: ["/bin/reload"], output };
}

function failed(step: Step): StepOutcome {
  return { ok: false, step, failure: { kind: "program", message: "no" } };
}

function went(step: Step): StepOutcome {
  return { ok: true, step, tookMs: 1, output: "" };
}

function attempt(outputs: Outputs, outcomes: readonly StepOutcome[], now: number): Outputs {
  return withAttempts(outputs, { plan: outcomes.map(({ step }) => step), outcomes, now, random: () => 1 });
}

Deno.test("an output that fails waits longer with each failure, and no other waits for it", () => {
  const plan = [notify("a"), notify("b")];
  let outputs: Outputs = new Map();
  let now = 0;
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    outputs = attempt(outputs, [failed(notify("a")), went(notify("b"))], now);
    const { steps, retryAt } = withoutWaiting(outputs, plan, now);
    assert.deepEqual(steps, [notify("b")]);
    waits.push(retryAt - now);
    now = retryAt;
    assert.deepEqual(withoutWaiting(outputs, plan, now), { steps: plan, retryAt: Infinity });
  }
  assert.deepEqual(waits.toSorted((a, b) => a - b), waits);
  assert.ok((waits[0] ?? 0) <= 1_000 && waits.at(-1) === 60_000, waits.join(", "));
});

Deno.test("an output that failed is tried at once with other contents, and without a backoff after a success", () => {
  const outputs = attempt(new Map(), [failed(notify("a"))], 0);
  assert.deepEqual(withoutWaiting(outputs, [notify("a")], 1).steps, []);
  assert.deepEqual(withoutWaiting(outputs, [notify("a", "another")], 1).steps, [notify("a", "another")]);
  assert.equal(attempt(outputs, [went(notify("a"))], 1).size, 0);
});
