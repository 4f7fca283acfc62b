import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { LocalDrain, NodesOverride, Pause } from "../model/override.ts";
import type { Disk } from "./disk.ts";
import { OperatorOrders } from "./operator_orders.ts";

const PATH = "/run/lighthouse/haproxy.cfg.overrides";

/** A clock, a disk and the log of consecutive processes. */
class Host {
  readonly clock = new FakeClock();
  /** The offset of the time of day from the clock. */
  wallOffsetMs = 1_700_000_000_000;
  readonly files = new Map<string, string>();
  readonly log = new RecordingLogger();
  changes = 0;
  isFull = false;
  readonly disk: Disk = {
    read: (path) => {
      const text = this.files.get(path);
      return text === undefined ? Promise.reject(new Deno.errors.NotFound()) : Promise.resolve(text);
    },
    write: (path, text) => {
      if (this.isFull) return Promise.reject(new Error("No space left on device"));
      this.files.set(path, text);
      return Promise.resolve();
    },
  };

  get now(): number {
    return this.wallOffsetMs + this.clock.now();
  }

  /** How often an event was logged, of a target or a file. */
  count(event: string, about: Readonly<Record<string, string>> = {}): number {
    return this.log.records.filter(({ properties = {} }) =>
      Object.entries({ event, ...about }).every(([key, value]) => properties[key] === value)
    ).length;
  }

  start(): OperatorOrders {
    return new OperatorOrders({
      clock: this.clock,
      wallNow: () => this.now,
      log: this.log,
      disk: this.disk,
      onChange: () => this.changes++,
    });
  }

  async startAt(path = PATH): Promise<OperatorOrders> {
    const orders = this.start();
    await orders.at(path);
    return orders;
  }

  drain(target: string, more: Partial<NodesOverride> = {}): NodesOverride {
    return { author: "alice", reason: "", sinceMs: this.now, cluster: "web", target, kind: "drain", ...more };
  }

  pause(more: Partial<Pause> = {}): Pause {
    return { author: "alice", reason: "why", sinceMs: this.now, ...more };
  }
}

function targets({ now }: OperatorOrders): readonly string[] {
  return now.overrides.map(({ target, kind }) => `${target} ${kind}`);
}

Deno.test("OperatorOrders keeps orders over a restart, until they expire", async () => {
  const host = new Host();
  {
    await using orders = await host.startAt();
    await orders.put("overrides", host.drain("a.test"));
    await orders.put("overrides", host.drain("b.test", { untilMs: host.now + 5_000 }));
    await orders.put("pauses", host.pause({ balancer: "haproxy", untilMs: host.now + 60_000 }));
    const local: LocalDrain = { author: "alice", reason: "", sinceMs: host.now, how: "drain" };
    await orders.put("local", local);
  }
  host.clock.advance(6_000);
  await using orders = await host.startAt();
  assert.deepEqual(targets(orders), ["a.test drain"]);
  assert.deepEqual(orders.now.pauses.map(({ balancer }) => balancer), ["haproxy"]);
  assert.deepEqual(orders.now.local.map(({ how }) => how), ["drain"]);
});

Deno.test("OperatorOrders has one order for each node's state and one for its weight, the newest", async () => {
  const host = new Host();
  await using orders = await host.startAt();
  await orders.put("overrides", host.drain("a.test"));
  await orders.put("overrides", host.drain("a.test", { kind: "weight", factor: 0.5 }));
  await orders.put("overrides", host.drain("a.test", { kind: "maint" }));
  assert.deepEqual(targets(orders), ["a.test weight", "a.test maint"]);
  const revoked = await orders.revoke("overrides", ({ kind }) => kind === "maint");
  assert.deepEqual(revoked.map(({ target }) => target), ["a.test"]);
  assert.deepEqual(targets(orders), ["a.test weight"]);
  assert.deepEqual(await orders.revoke("overrides", ({ kind }) => kind === "maint"), []);
});

Deno.test("OperatorOrders reports what expires at its time, also if the time of day was set", async () => {
  const host = new Host();
  await using orders = await host.startAt();
  await orders.put("overrides", host.drain("a.test", { untilMs: host.now + 1_000 }));
  await orders.put("overrides", host.drain("b.test", { untilMs: host.now + 3_600_000 }));
  const changes = host.changes;
  host.clock.advance(999);
  assert.deepEqual([targets(orders).length, host.changes], [2, changes]);
  host.clock.advance(1);
  assert.deepEqual([targets(orders), host.changes], [["b.test drain"], changes + 1]);
  assert.equal(host.count("override.expired", { target: "a.test" }), 1);
  host.wallOffsetMs += 3_600_000;
  host.clock.advance(60_000);
  assert.equal(host.count("override.expired", { target: "b.test" }), 1);
});

Deno.test("OperatorOrders holds what it cannot keep, reports that, and writes it when possible", async () => {
  const host = new Host();
  await using orders = await host.startAt();
  host.isFull = true;
  await orders.put("overrides", host.drain("a.test"));
  assert.deepEqual(targets(orders), ["a.test drain"]);
  assert.equal(orders.unkept, "No space left on device");
  assert.equal(host.count("override.unwritten"), 1);
  host.isFull = false;
  host.clock.advance(10_000);
  await eventually("it is written", () => orders.unkept === undefined);
  assert.match(host.files.get(PATH) ?? "", /a\.test/);
});

Deno.test("OperatorOrders takes orders before it knows its file, and keeps them beside the file's", async () => {
  const host = new Host();
  {
    await using orders = await host.startAt();
    await orders.put("overrides", host.drain("a.test"));
  }
  await using orders = host.start();
  await orders.put("overrides", host.drain("b.test"));
  assert.match(orders.unkept ?? "", /no overrides file/);
  await orders.at(PATH);
  assert.equal(orders.unkept, undefined);
  assert.deepEqual(targets(orders), ["a.test drain", "b.test drain"]);
  assert.match(host.files.get(PATH) ?? "", /a\.test.*b\.test/);
});

Deno.test("OperatorOrders moves to another file with all active orders", async () => {
  const host = new Host();
  await using orders = await host.startAt();
  await orders.put("overrides", host.drain("a.test"));
  await orders.at("/elsewhere");
  assert.equal(host.files.get("/elsewhere"), host.files.get(PATH));
});

Deno.test.each([
  { what: "torn", change: (text: string) => text.slice(0, -10) },
  { what: "edited", change: (text: string) => text.replace("a.test", "b.test") },
  { what: "of the future", change: (text: string) => text.replace("overrides-1", "overrides-2") },
  { what: "empty", change: () => "" },
])("OperatorOrders starts without overrides where its file is $what, and reports it", async ({ change }) => {
  const host = new Host();
  {
    await using orders = await host.startAt();
    await orders.put("overrides", host.drain("a.test"));
  }
  host.files.set(PATH, change(host.files.get(PATH) ?? ""));
  await using orders = await host.startAt();
  assert.deepEqual(targets(orders), []);
  assert.equal(host.count("override.unusable", { path: PATH }), 1);
});

Deno.test("OperatorOrders does not write a file while no order was given", async () => {
  const host = new Host();
  {
    await using _orders = await host.startAt();
  }
  assert.equal(host.files.size, 0);
});

Deno.test("an order that arrives while the file is read is kept beside the file's", async () => {
  const host = new Host();
  {
    await using orders = await host.startAt();
    await orders.put("pauses", host.pause());
  }
  const reading = Promise.withResolvers<void>();
  const slow = new OperatorOrders({
    clock: host.clock,
    wallNow: () => host.now,
    log: host.log,
    disk: {
      read: async (path) => {
        await reading.promise;
        return await host.disk.read(path);
      },
      write: host.disk.write,
    },
    onChange() {},
  });
  {
    await using orders = slow;
    const known = orders.at(PATH);
    const kept = orders.put("overrides", host.drain("a.test"));
    reading.resolve();
    await Promise.all([known, kept]);
    assert.equal(orders.now.pauses.length, 1);
  }
  await using orders = await host.startAt();
  assert.equal(orders.now.pauses.length, 1);
  assert.deepEqual(targets(orders), ["a.test drain"]);
});

Deno.test("orders of an earlier run are taken too if their file is known only later, as when a config is fixed", async () => {
  const host = new Host();
  {
    await using orders = await host.startAt();
    await orders.put("local", { author: "alice", reason: "", sinceMs: host.now, how: "drain" });
  }
  {
    await using orders = await host.startAt("/var/lib/lighthouse/drained");
    assert.equal(orders.now.local.length, 0);
    await orders.at(PATH);
    assert.equal(orders.now.local.length, 1);
    await orders.revoke("local", () => true);
    await orders.put("pauses", host.pause());
    // From here on this process knows better than any file.
    host.files.set("/other", host.files.get(PATH) ?? "");
    await orders.revoke("pauses", () => true);
    await orders.at("/other");
    assert.equal(orders.now.pauses.length, 0);
  }
  await using orders = await host.startAt();
  assert.equal(orders.now.local.length, 0);
});

Deno.test("orders survive a restart with another file, by its copy", async () => {
  const host = new Host();
  const copy = "/var/lib/lighthouse/overrides";
  {
    await using orders = await host.startAt();
    await orders.put("overrides", host.drain("a.test"));
  }
  {
    // What was kept in one file alone is copied to the other at the start.
    await using orders = host.start();
    await orders.at(PATH, copy);
    assert.equal(host.files.get(copy), host.files.get(PATH));
    await orders.put("overrides", host.drain("b.test"));
  }
  await using orders = host.start();
  await orders.at("/etc/haproxy/renamed.cfg.overrides", copy);
  assert.deepEqual(targets(orders), ["a.test drain", "b.test drain"]);
  assert.equal(orders.unkept, undefined);
});

Deno.test("of two files that differ the newer counts, and one writable file is enough", async () => {
  const host = new Host();
  const copy = "/var/lib/lighthouse/overrides";
  {
    await using orders = host.start();
    await orders.at(PATH, copy);
    await orders.put("overrides", host.drain("a.test"));
    const older = host.files.get(copy) ?? "";
    host.clock.advance(1_000);
    await orders.revoke("overrides", () => true);
    await orders.put("overrides", host.drain("b.test"));
    host.files.set(copy, older);
  }
  await using orders = new OperatorOrders({
    clock: host.clock,
    wallNow: () => host.now,
    log: host.log,
    disk: {
      read: host.disk.read,
      write: (path, text) =>
        path === copy ? Promise.reject(new Error("Read-only file system")) : host.disk.write(path, text),
    },
    onChange() {},
  });
  await orders.at(copy, PATH);
  assert.deepEqual(targets(orders), ["b.test drain"]);
  await orders.put("overrides", host.drain("d.test"));
  assert.equal(orders.unkept, undefined);
  assert.match(host.files.get(PATH) ?? "", /d\.test/);
  assert.doesNotMatch(host.files.get(copy) ?? "", /d\.test/);
});
