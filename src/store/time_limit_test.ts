import assert from "node:assert/strict";
import { parseTimeLimit, resolveTimeLimit } from "./time_limit.ts";

Deno.test.each([
  { text: "-7 days", ms: -604_800_000 },
  { text: "-7d", ms: -604_800_000 },
  { text: "+2 minutes", ms: 120_000 },
  { text: "+2m", ms: 120_000 },
  { text: "30 seconds", ms: 30_000 },
  { text: "1 hour", ms: 3_600_000 },
  { text: " 500ms ", ms: 500 },
  { text: "-1.5h", ms: -5_400_000 },
  { text: "5", ms: 5_000 },
  { text: "2 dinutes", ms: undefined },
  { text: "2 m", ms: undefined },
  { text: "+-2m", ms: undefined },
  { text: "", ms: undefined },
  { text: "soon", ms: undefined },
])("parseTimeLimit() reads $text as $ms ms from now", ({ text, ms }) => {
  assert.deepEqual(parseTimeLimit(text), ms === undefined ? undefined : { fromNowMs: ms });
});

Deno.test("parseTimeLimit() reads dates in UTC by default", () => {
  const at = (text: string) => {
    const limit = parseTimeLimit(text);
    return limit === undefined ? undefined : new Date(resolveTimeLimit(limit, 0)).toISOString();
  };
  assert.equal(at("2026-01-31"), "2026-01-31T00:00:00.000Z");
  assert.equal(at("2026-01-31T12:00:00"), "2026-01-31T12:00:00.000Z");
  assert.equal(at("2026-01-31 12:00:00+01:00"), "2026-01-31T11:00:00.000Z");
  assert.equal(at("2026-13-31"), undefined);
});
