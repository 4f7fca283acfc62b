import assert from "node:assert/strict";
import { eventually } from "../../tests/support/eventually.ts";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { EventRecord } from "../model/event_record.ts";
import { Tally } from "../metrics/tally.ts";
import { afterFailure, WHOLE } from "./batching.ts";
import { Notifications } from "./notifications.ts";
import { rulesOf, rulesSchema } from "./rules.ts";

const REJECTED = 'Cannot deliver to 127.0.0.1:80: got status 400 Bad Request: "too odd", expected 200 to 299';

Deno.test.each([
  { count: 100, size: 50 },
  { count: 7, size: 3 },
  { count: 1, size: 1 },
])("afterFailure() of $count events sends $size next", ({ count, size }) => {
  const { batching, isDropped } = afterFailure(WHOLE, { count, reason: "connection refused" });
  assert.deepEqual([batching, isDropped], [{ size, rejections: 0 }, false]);
});

Deno.test.each([
  [REJECTED, true],
  [REJECTED.replace("400", "413"), true],
  ...[401, 403, 404, 408, 429, 500, 503].map((status) => [REJECTED.replace("400", `${status}`), false] as const),
  ['Cannot deliver to 127.0.0.1:80: got status 503 Oops: "got status 400", expected 200 to 299', false],
  ["connection refused", false],
])("an event alone that fails 10 times as %s is dropped: %s", (reason, want) => {
  let batching = WHOLE;
  const dropped: boolean[] = [];
  for (let i = 0; i < 10; i++) {
    const after = afterFailure(batching, { count: 1, reason });
    batching = after.batching;
    dropped.push(after.isDropped);
  }
  assert.deepEqual(dropped, [...Array(9).fill(false), want]);
});

Deno.test("an event that a notifier always rejects is dropped and counted, and all others are delivered", async () => {
  const clock = new FakeClock();
  const log = new RecordingLogger();
  const meter = new Tally();
  const delivered: string[] = [];
  await using notifications = new Notifications({
    clock,
    // The longest waits.
    random: () => 1,
    log,
    meter,
    resolvedBy: () => [],
    host: () => undefined,
    deliver: (_notifier, events) => {
      if (events.some(({ message }) => message === "event 33")) return Promise.reject(new Error(REJECTED));
      delivered.push(...events.map(({ message }) => message));
      return Promise.resolve();
    },
  });
  const rules = rulesSchema["~standard"].validate({ group_wait: 5, group_interval: 0 });
  assert.ok("value" in rules);
  notifications.apply(new Map([["ops", rulesOf(rules.value)]]));
  const events: readonly EventRecord[] = Array.from({ length: 100 }, (_, i) => ({
    event: "service.down",
    level: "warn",
    message: `event ${i}`,
    atMs: i,
    fields: {},
  }));
  for (const event of events) notifications.hear(event);
  await eventually("all others are delivered", () => {
    clock.advance(1_000);
    return delivered.length === events.length - 1;
  }, { everyMs: 1 });
  assert.ok(clock.now() < 180_000, `the others have waited ${clock.now() / 1_000} s for the one`);
  assert.deepEqual(delivered, events.map(({ message }) => message).filter((message) => message !== "event 33"));
  const series = meter.collect().flatMap((family) => family.series);
  assert.equal(series.find(({ labels }) => labels.includes('result="dropped"'))?.value, 1);
  assert.ok(
    log.records.some(({ properties }) => properties?.event === "notifier.delivered" && properties.dropped === 1),
  );
});
