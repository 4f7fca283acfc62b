import assert from "node:assert/strict";
import { connectionsFor, type HttpLimits } from "./limits.ts";
import { phaseLimitMs } from "./connection.ts";
import { toShed } from "./shedding.ts";

Deno.test("toShed() selects a sixteenth of all connections, the longest waiting first", () => {
  const connections = Array.from({ length: 64 }, (_, i) => ({ phase: "idle" as const, sinceMs: 100 - i }));
  assert.deepEqual(toShed(connections).map(({ sinceMs }) => sinceMs), [37, 38, 39, 40]);
});

Deno.test("toShed() spares connections whose client waits for an answer", () => {
  assert.deepEqual(toShed([{ phase: "answering", sinceMs: 0 }, { phase: "head", sinceMs: 9 }]).length, 1);
  assert.deepEqual(toShed([{ phase: "answering", sinceMs: 0 }]), []);
});

Deno.test.each([
  { openFiles: 1_024, share: 3 / 4, then: 768 },
  { openFiles: 65_536, share: 3 / 4, then: 20_000 },
  { openFiles: 64, share: 1 / 16, then: 8 },
  { openFiles: Infinity, share: 1 / 16, then: 20_000 },
  { openFiles: undefined, share: 1 / 2, then: 512 },
])("connectionsFor() derives $then connections", ({ openFiles, share, then }) => {
  assert.equal(connectionsFor(openFiles, { share, most: 20_000 }), then);
});

Deno.test("phaseLimitMs() limits each phase except waiting for the server", () => {
  const limits: HttpLimits = { connectionsMax: 1, handshakeMs: 1, headMs: 2, bodyMs: 3, stallMs: 4, idleMs: 5 };
  const phases = ["handshake", "head", "idle", "body", "writing", "answering"] as const;
  assert.deepEqual(phases.map((phase) => phaseLimitMs(phase, limits)), [1, 2, 5, 4, 4, undefined]);
  assert.ok((phaseLimitMs("lingering", limits) ?? Infinity) < 10_000);
});
