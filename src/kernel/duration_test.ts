import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDuration, parseDuration, parsePercentage } from "./duration.ts";

Deno.test.each([
  { text: "500ms", ms: 500 },
  { text: "2s", ms: 2_000 },
  { text: "0.07s", ms: 70 },
  { text: "5m", ms: 300_000 },
  { text: "1.5h", ms: 5_400_000 },
  { text: "1d", ms: 86_400_000 },
  { text: "3", ms: 3_000 },
  { text: "0", ms: 0 },
  { text: "", ms: undefined },
  { text: "s", ms: undefined },
  { text: "2 s", ms: undefined },
  { text: "2S", ms: undefined },
  { text: "-2s", ms: undefined },
  { text: "1h30m", ms: undefined },
  { text: "2sec", ms: undefined },
  { text: "2s\n", ms: undefined },
  { text: ".5s", ms: undefined },
  { text: "1e3s", ms: undefined },
])("parseDuration() reads $text as $ms ms", ({ text, ms }) => assert.equal(parseDuration(text), ms));

Deno.test("parseDuration() reads bare digits in the unit of their key", () => {
  assert.equal(parseDuration("250", { bareUnit: "ms" }), 250);
  assert.equal(parseDuration("250s", { bareUnit: "ms" }), 250_000);
});

Deno.test("formatDuration() writes what parseDuration() reads", () => {
  fc.assert(fc.property(fc.nat(400_000_000), (ms) => assert.equal(parseDuration(formatDuration(ms)), ms)));
  assert.deepEqual([0, 50, 1_000, 90_000, 3_600_000, 86_400_000].map(formatDuration), [
    "0s",
    "50ms",
    "1s",
    "90s",
    "1h",
    "1d",
  ]);
});

Deno.test("parsePercentage() reads digits with and without the sign", () => {
  assert.deepEqual(["80%", "80", "0%", "80 %", "-1%", "8.5%", "%"].map(parsePercentage), [
    80,
    80,
    0,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
