import assert from "node:assert/strict";
import { SILENT } from "../kernel/logger.ts";
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
  /** The active notifiers after each change. */
  readonly activity: (readonly string[])[] = [];
  /** What has left the config. */
  readonly gone = new Set<unknown>();
  readonly #log = new RecordingLogger();
  readonly notifications: Notifications = new Notifications({
    clock: this.clock,
    random: seededRandom(1),
    log: {
      ...SILENT,
      // As the log of a daemon is heard by its notifiers.
      info: (message, { event = "", ...fields } = {}) => {
        this.#log.info(message, { event, ...fields });
        const record = { event: String(event), level: "info", message, atMs: 0, fields } as EventRecord;
        this.notifications.hear(record);
      },
    },
    resolvedBy: (event) => event === "cluster.held" ? ["cluster.released"] : [],
    isConfigured: ({ fields }) => !this.gone.has(fields.cluster),
    onActive: () => this.activity.push([...this.notifications.active]),
    deliver: (_notifier, events) => {
      this.delivered.push(...events.map(({ event }) => event));
      return Promise.resolve();
    },
    host: () => "web01",
  });

  /** What was logged, with its fields. */
  get logged(): readonly unknown[] {
    return this.#log.records.map(({ properties }) => properties);
  }

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

Deno.test("Notifications delivers events from before the first config named the notifiers", async () => {
  await using bench = new Bench();
  bench.notifications.hear(record("config.invalid"));
  bench.notifications.hear(record("notifier.failed"));
  bench.notifications.apply(new Map([["ops", RULES]]));
  await bench.settle();
  assert.deepEqual(bench.delivered, ["config.invalid"]);
});

Deno.test("Notifications ends the states of objects removed from the config, once, for notifiers that announced them", async () => {
  await using bench = new Bench();
  const rules = new Map([["ops", { ...RULES, events: ["cluster.held"] }], ["dev", { ...RULES, events: ["a.b"] }]]);
  bench.notifications.apply(rules);
  for (const cluster of ["web", "api"]) bench.notifications.hear({ ...record("cluster.held"), fields: { cluster } });
  await bench.settle();
  bench.delivered.length = 0;
  bench.gone.add("web");
  for (let times = 0; times < 2; times++) {
    bench.notifications.apply(rules);
    await bench.settle();
  }
  assert.deepEqual(bench.delivered, ["config.obsolete"]);
  assert.deepEqual(bench.logged, [{ event: "config.obsolete", of: "cluster.held", cluster: "web" }]);
  bench.notifications.hear({ ...record("cluster.released"), fields: { cluster: "api" } });
  bench.notifications.hear({ ...record("cluster.released"), fields: { cluster: "web" } });
  await bench.settle();
  assert.deepEqual(bench.delivered, ["config.obsolete", "cluster.released"]);
});

Deno.test("Notifications makes a notifier active before its first delivery, and inactive ten minutes after the last", async () => {
  await using bench = new Bench();
  bench.notifications.apply(new Map([["ops", RULES], ["dev", { ...RULES, events: ["a.b"] }]]));
  await bench.settle();
  assert.deepEqual([...bench.notifications.active], []);
  bench.notifications.hear(record("registry.unreachable"));
  await bench.settle();
  bench.clock.advance(500_000);
  bench.notifications.hear(record("registry.reachable"));
  await bench.settle();
  bench.clock.advance(599_000);
  assert.deepEqual([bench.delivered.length, bench.activity], [2, [["ops"]]]);
  bench.clock.advance(1_000);
  assert.deepEqual(bench.activity, [["ops"], []]);
});

Deno.test("Notifications makes a removed notifier inactive", async () => {
  await using bench = new Bench();
  bench.notifications.apply(new Map([["ops", RULES]]));
  bench.notifications.hear(record("registry.unreachable"));
  await bench.settle();
  bench.notifications.apply(new Map());
  assert.deepEqual([...bench.notifications.active], []);
});

Deno.test("Notifications adds one listener to its signal, however many events there are", async () => {
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
