import assert from "node:assert/strict";
import { seededRandom } from "../kernel/random.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { EventRecord } from "../model/event_record.ts";
import { Notifications } from "./notifications.ts";
import type { NotificationRules } from "./rules.ts";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";

const RULES: NotificationRules = {
  events: ["*"],
  level: "info",
  groupBy: ["event"],
  groupWaitMs: 0,
  groupIntervalMs: 0,
  repeatMs: undefined,
  sendResolved: true,
  queueMax: 1_000,
};

const record = (event: string): EventRecord => ({ event, level: "warn", message: event, atMs: 0, fields: {} });

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly delivered: string[] = [];
  readonly notifications = new Notifications({
    clock: this.clock,
    random: seededRandom(1),
    log: new RecordingLogger(),
    resolvedBy: () => [],
    deliver: (_notifier, events) => {
      this.delivered.push(...events.map(({ event }) => event));
      return Promise.resolve();
    },
    host: () => "web01",
  });

  /** Lets everything that waits have its turn. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      await Promise.resolve();
      this.clock.advance(1);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.notifications[Symbol.asyncDispose]();
  }
}

Deno.test("Notifications delivers what came before the first config named the notifiers", async () => {
  await using bench = new Bench();
  bench.notifications.hear(record("config.invalid"));
  bench.notifications.hear(record("notifier.failed"));
  bench.notifications.apply(new Map([["ops", RULES]]));
  await bench.settle();
  assert.deepEqual(bench.delivered, ["config.invalid"]);
});

Deno.test("Notifications adds one listener to its signal, however many events come", async () => {
  let added = 0;
  const { addEventListener } = AbortSignal.prototype;
  AbortSignal.prototype.addEventListener = function (this: AbortSignal, ...given: unknown[]) {
    added++;
    return Reflect.apply(addEventListener, this, given);
  } as typeof addEventListener;
  try {
    await using bench = new Bench();
    bench.notifications.apply(new Map([["ops", RULES]]));
    for (let i = 0; i < 50; i++) {
      bench.notifications.hear(record("registry.unreachable"));
      await bench.settle();
    }
    assert.equal(bench.delivered.length, 50);
    assert.ok(added < 5, `${added} listeners`);
  } finally {
    AbortSignal.prototype.addEventListener = addEventListener;
  }
});
