import assert from "node:assert/strict";
import { statusOf } from "./status.ts";
import { INITIAL_VERDICT, type Verdict } from "./verdict.ts";

const UP: Verdict = { ...INITIAL_VERDICT, up: true };
const DOWN: Verdict = { ...INITIAL_VERDICT, up: false };

Deno.test.each(
  [
    { why: "no checks count as up", verdicts: [], before: "unknown", then: "up" },
    { why: "all up means up", verdicts: [UP, UP], before: "down", then: "up" },
    { why: "one down means down", verdicts: [UP, DOWN], before: "up", then: "down" },
    {
      why: "one unknown keeps a new service unknown",
      verdicts: [UP, INITIAL_VERDICT],
      before: "unknown",
      then: "unknown",
    },
    {
      why: "a check that was just added deregisters nothing",
      verdicts: [UP, INITIAL_VERDICT],
      before: "up",
      then: "up",
    },
    { why: "down takes precedence over unknown", verdicts: [INITIAL_VERDICT, DOWN], before: "up", then: "down" },
  ] as const,
)("statusOf(): $why", ({ verdicts, before, then }) => assert.equal(statusOf(verdicts, before), then));
