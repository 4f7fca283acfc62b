import assert from "node:assert/strict";
import type { EventRecord } from "../model/event_record.ts";
import { type Grouping, nextDueMs, NO_GROUPS, takeDue, takeEvent } from "./grouping.ts";
import { rulesOf, rulesSchema } from "./rules.ts";

const resolvedBy = (event: string) => event === "registry.unreachable" ? ["registry.connected"] : [];

function rulesWith(keys: Record<string, unknown>) {
  const result = rulesSchema["~standard"].validate(keys);
  assert.ok("value" in result, JSON.stringify(result));
  return rulesOf(result.value);
}

function event(id: string, fields: EventRecord["fields"] = {}, level: EventRecord["level"] = "warn"): EventRecord {
  return { event: id, level, message: id, atMs: 0, fields };
}

/** A notifier at a time of its own. */
class Notifier {
  nowMs = 0;
  dropped = 0;
  #grouping: Grouping = NO_GROUPS;
  readonly #rules;

  constructor(keys: Record<string, unknown>) {
    this.#rules = rulesWith(keys);
  }

  hear(...records: readonly EventRecord[]): void {
    for (const record of records) {
      const { grouping, isDropped } = takeEvent(this.#grouping, record, {
        rules: this.#rules,
        resolvedBy,
        nowMs: this.nowMs,
      });
      this.#grouping = grouping;
      if (isDropped) this.dropped++;
    }
  }

  /** What is delivered, one string for each delivery, when time has come. */
  at(seconds: number, isEnding = false): readonly string[] {
    this.nowMs = seconds * 1_000;
    const delivered: string[] = [];
    for (;;) {
      const { grouping, events } = takeDue(this.#grouping, { rules: this.#rules, nowMs: this.nowMs, isEnding });
      this.#grouping = grouping;
      if (events.length === 0) return delivered;
      delivered.push(events.map((each) => each.event).join(" "));
    }
  }

  get nextSeconds(): number {
    return nextDueMs(this.#grouping, this.#rules) / 1_000;
  }

  get waiting(): number {
    return this.#grouping.waiting;
  }
}

Deno.test("a notifier waits group_wait for the first events of a group, and group_interval for further ones", () => {
  const notifier = new Notifier({ group_wait: 30, group_interval: "5m" });
  notifier.hear(event("cluster.held", { cluster: "web" }), event("cluster.held", { cluster: "web" }));
  assert.deepEqual([notifier.at(29), notifier.nextSeconds], [[], 30]);
  assert.deepEqual(notifier.at(30), ["cluster.held cluster.held"]);
  notifier.hear(event("cluster.held", { cluster: "web" }));
  notifier.hear(event("cluster.held", { cluster: "api" }));
  assert.deepEqual(notifier.at(60), ["cluster.held"], "the other group has a wait of its own");
  assert.deepEqual([notifier.at(329), notifier.nextSeconds], [[], 330]);
  assert.deepEqual(notifier.at(330), ["cluster.held"]);
  assert.equal(notifier.waiting, 0);
});

Deno.test("a notifier announces the end of a state in the group of its start, though its events do not include it", () => {
  const down = event("registry.unreachable", { worker: "discovery zk" });
  const notifier = new Notifier({ events: ["registry.unreachable"], group_wait: 1, group_interval: 10 });
  notifier.hear(down);
  assert.deepEqual(notifier.at(1), ["registry.unreachable"]);
  notifier.hear(event("registry.connected", { worker: "discovery etcd" }, "info"));
  assert.deepEqual(notifier.at(20), [], "the registry of another worker");
  notifier.hear(event("registry.connected", { worker: "discovery zk" }, "info"));
  assert.deepEqual(notifier.at(30), ["registry.connected"]);
  notifier.hear(event("registry.connected", { worker: "discovery zk" }, "info"));
  assert.deepEqual(notifier.at(60), [], "it has ended already");
  const quiet = new Notifier({ events: ["registry.unreachable"], group_wait: 1, send_resolved: false });
  quiet.hear(down);
  quiet.at(1);
  quiet.hear(event("registry.connected", { worker: "discovery zk" }, "info"));
  assert.deepEqual(quiet.at(1_000), []);
});

Deno.test("a notifier repeats lasting states, and no other events", () => {
  const notifier = new Notifier({ group_wait: 0, repeat: "4h" });
  notifier.hear(event("registry.unreachable", { worker: "discovery zk" }), event("cluster.held", { cluster: "web" }));
  assert.deepEqual(notifier.at(0), ["registry.unreachable", "cluster.held"]);
  assert.deepEqual([notifier.at(14_399), notifier.nextSeconds], [[], 14_400]);
  assert.deepEqual(notifier.at(14_400), ["registry.unreachable"]);
  notifier.hear(event("registry.connected", { worker: "discovery zk" }, "info"));
  notifier.at(20_000);
  assert.deepEqual(notifier.at(100_000), []);
  const once = new Notifier({ group_wait: 0, repeat: 0 });
  once.hear(event("registry.unreachable", { worker: "discovery zk" }));
  once.at(0);
  assert.equal(once.nextSeconds, Infinity);
});

Deno.test("a notifier drops events when its queue is full, and delivers queued events when the process ends", () => {
  const notifier = new Notifier({ queue: 2, level: "info" });
  notifier.hear(event("a.b"), event("a.c"), event("a.d"));
  assert.deepEqual([notifier.dropped, notifier.waiting], [1, 2]);
  assert.deepEqual(notifier.at(1, true), ["a.b", "a.c"]);
});

Deno.test("a notifier gets the events and levels of its file", () => {
  const notifier = new Notifier({ events: ["registry.*", "cluster.held"], level: "warn", group_wait: 0 });
  notifier.hear(
    event("registry.connected", {}, "info"),
    event("registry.unreachable"),
    event("cluster.held"),
    event("cluster.silent"),
  );
  assert.deepEqual(notifier.at(0), ["registry.unreachable", "cluster.held"]);
});
