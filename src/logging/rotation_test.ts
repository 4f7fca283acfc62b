import assert from "node:assert/strict";
import type { RotationUnit } from "./plan.ts";
import { rolledSuffix, rolloverAt, surplus } from "./rotation.ts";
import { UTC } from "./wall_time.ts";

/** Milliseconds since 1970 of a time in UTC. */
function at(text: string): number {
  return Date.parse(`${text}Z`);
}

function shown(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19);
}

// What Python 3.11 answers from a Wednesday on.
Deno.test.each([
  ["S", 30, "2024-01-03T10:20:30", "2024-01-03_10-20-00"],
  ["M", 5, "2024-01-03T10:25:00", "2024-01-03_10-20"],
  ["H", 1, "2024-01-03T11:20:00", "2024-01-03_10"],
  ["D", 1, "2024-01-04T10:20:00", "2024-01-03"],
  ["MIDNIGHT", 1, "2024-01-04T00:00:00", "2024-01-03"],
  ["W0", 1, "2024-01-09T00:00:00", "2024-01-02"],
  ["W2", 1, "2024-01-04T00:00:00", "2023-12-28"],
  ["W6", 1, "2024-01-08T00:00:00", "2024-01-01"],
])("rolloverAt() for %s times %d", (when, interval, wanted, suffix) => {
  const rollover = rolloverAt(when as RotationUnit, interval, at("2024-01-03T10:20:00"), UTC);
  assert.equal(shown(rollover), wanted);
  assert.equal(rolledSuffix(when as RotationUnit, interval, rollover, UTC), suffix);
});

Deno.test("rolloverAt() uses local midnight, also on days of 23 or 25 hours", () => {
  // Summer time begins in Berlin on 2024-03-31 at 01:00 UTC and ends on 2024-10-27 at 01:00 UTC.
  const berlin = (timeMs: number) =>
    timeMs >= at("2024-03-31T01:00:00") && timeMs < at("2024-10-27T01:00:00") ? 120 : 60;
  const spring = rolloverAt("MIDNIGHT", 1, at("2024-03-30T23:30:00"), berlin);
  assert.equal(shown(spring), "2024-03-31T22:00:00");
  assert.equal(rolledSuffix("MIDNIGHT", 1, spring, berlin), "2024-03-31");
  const autumn = rolloverAt("MIDNIGHT", 1, at("2024-10-26T22:30:00"), berlin);
  assert.equal(shown(autumn), "2024-10-27T23:00:00");
  assert.equal(rolledSuffix("MIDNIGHT", 1, autumn, berlin), "2024-10-27");
});

Deno.test("rolloverAt() is always in the future, also if the clock skips midnight", () => {
  const now = at("2024-01-03T23:59:59");
  for (const when of ["S", "M", "H", "D", "MIDNIGHT", "W3"] as const) {
    assert.ok(rolloverAt(when, 1, now, UTC) > now, when);
  }
  // Summer time began in São Paulo on 2018-11-04 at midnight, 03:00 UTC.
  const saoPaulo = (timeMs: number) => timeMs < at("2018-11-04T03:00:00") ? -180 : -120;
  const evening = at("2018-11-04T02:30:00");
  assert.ok(rolloverAt("MIDNIGHT", 1, evening, saoPaulo) > evening);
});

Deno.test("surplus() names only the oldest files of its own kind", () => {
  const names = [
    "a.log",
    "a.log.2024-01-01",
    "a.log.2024-01-03",
    "a.log.2024-01-02",
    "a.log.1",
    "b.log.2023-01-01",
    "a.log.2023-01-01.gz",
  ];
  assert.deepEqual(surplus("MIDNIGHT", "a.log", names, 2), ["a.log.2024-01-01"]);
  assert.deepEqual(surplus("MIDNIGHT", "a.log", names, 3), []);
  assert.deepEqual(surplus("MIDNIGHT", "a.log", names, 0), []);
  assert.deepEqual(surplus("H", "a.log", names, 1), []);
});
