import assert from "node:assert/strict";
import fc from "fast-check";
import { validate } from "../../src/protocol/validate.ts";
import type { ToHost } from "../../src/protocol/messages.ts";
import { RUNS } from "./mutation.ts";

/** Any value that a worker may post. */
const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withTypedArray: true,
  withSparseArray: true,
  maxDepth: 4,
});

const MESSAGES: readonly ToHost[] = [
  { type: "loaded", kind: "check", apiVersion: 1, name: "tcp" },
  {
    type: "snapshot",
    snapshot: {
      cluster: "web",
      nodes: [{ host: "a", ip: "10.0.0.1", port: 1, metadata: {} }],
      exists: true,
      epoch: "1",
    },
  },
  { type: "connection", state: "connected", detail: "" },
  { type: "log", instance: "a", level: "info", message: "m", properties: { a: 1 } },
  { type: "outcome", seq: 1, outcome: { status: "fail", reason: "no" }, tookMs: 1 },
  { type: "nack", seq: 1, error: { name: "Error", message: "m" } },
  { type: "lost", cluster: "web", error: { name: "Error", message: "m" } },
  { type: "ended", reason: "expired" },
];

/** A message of which one value, somewhere in it, is something else. */
const altered = fc.tuple(fc.constantFrom(...MESSAGES), fc.nat(20), anything).map(([message, at, value]) => {
  let count = 0;
  const alter = (old: unknown): unknown => {
    if (count++ === at) return value;
    if (Array.isArray(old)) return old.map(alter);
    if (typeof old !== "object" || old === null) return old;
    return Object.fromEntries(Object.entries(old).map(([key, inner]) => [key, alter(inner)]));
  };
  return alter(message);
});

function check(data: unknown): void {
  // What the host gets has been through a structured clone; what cannot be cloned never arrives.
  let arrived: unknown;
  try {
    arrived = structuredClone(data);
  } catch {
    return;
  }
  const validated = validate(arrived);
  if (!validated.ok) return void assert.ok(validated.fault.length > 0 && validated.fault.length < 10_000);
  assert.ok(JSON.stringify(validated.message).length > 0);
  assert.equal(Object.getPrototypeOf(validated.message), Object.prototype);
}

Deno.test("any data from a worker is a valid message, or is rejected with a reason", () => {
  fc.assert(fc.property(anything, check), { numRuns: RUNS });
  fc.assert(fc.property(altered, check), { numRuns: RUNS });
});
