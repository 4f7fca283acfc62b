import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { ServerClock } from "./server_clock.ts";

Deno.test("ServerClock logs once when the clocks differ by seconds, and once when they agree again", () => {
  const log = new RecordingLogger();
  let nowMs = Date.parse("Mon, 30 Nov 2026 12:00:00 GMT");
  const clock = new ServerClock({ log, wallNow: () => nowMs });
  const note = (date: string | undefined) => {
    const before = log.records.length;
    clock.note(date);
    return log.records.slice(before).map(({ properties }) => properties);
  };
  assert.deepEqual(note("Mon, 30 Nov 2026 12:00:03 GMT"), []);
  assert.deepEqual(note("Mon, 30 Nov 2026 13:00:00 GMT"), [{ event: "discovery.clock_differs", offsetSeconds: 3_601 }]);
  nowMs += 60_000;
  assert.deepEqual(note("Mon, 30 Nov 2026 13:01:00 GMT"), []);
  assert.deepEqual(note(undefined), []);
  assert.deepEqual(note("yesterday"), []);
  assert.deepEqual(note("Mon, 30 Nov 2026 12:00:58 GMT"), [{ event: "discovery.clock_agrees" }]);
  assert.deepEqual(note("Mon, 30 Nov 2026 11:00:00 GMT"), [{
    event: "discovery.clock_differs",
    offsetSeconds: -3_659,
  }]);
});
