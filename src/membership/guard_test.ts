import assert from "node:assert/strict";
import fc from "fast-check";
import { GUARD_DEFAULTS, type GuardSettings } from "../model/cluster.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterFacts } from "../model/topology.ts";
import { applyGuard, followPast, type GuardMemory, NO_MEMORY, type Past } from "./guard.ts";

function node(port: number): Node {
  return { host: "a.test", ip: "10.0.0.1", port, metadata: {} };
}

function nodes(count: number): readonly Node[] {
  return Array.from({ length: count }, (_, i) => node(8000 + i));
}

/** A cluster whose registry is watched. */
class Cluster {
  known: readonly Node[];
  memory: GuardMemory = NO_MEMORY;
  readonly #settings: GuardSettings;
  connectedAt = -Infinity;
  past: Past | undefined;

  constructor(known: readonly Node[], settings: Partial<GuardSettings> = {}) {
    this.known = known;
    this.#settings = { ...GUARD_DEFAULTS, ...settings };
  }

  /** Passes an answer in; returns how many nodes are served then. */
  hear(
    said: readonly Node[],
    now: number,
    { exists = true, epoch = "1", leaseMs }: Partial<ClusterFacts> = {},
  ): number {
    const { known, memory, connectedAt } = this;
    const past = this.past = followPast(this.past, { epoch, exists }, { known, now });
    const guarded = applyGuard({ known, said, settings: this.#settings, memory, now, connectedAt, past, leaseMs });
    [this.known, this.memory] = [guarded.nodes, guarded.memory];
    return this.known.length;
  }
}

Deno.test("applyGuard() accepts ordinary joins and leaves", () => {
  const cluster = new Cluster(nodes(3));
  assert.equal(cluster.hear(nodes(4), 0), 4);
  assert.equal(cluster.hear(nodes(1), 1), 1);
  assert.equal(cluster.memory.hold, undefined);
});

Deno.test("applyGuard() accepts an empty answer once it has arrived twice", () => {
  const cluster = new Cluster(nodes(3));
  assert.equal(cluster.hear([], 1_000), 3);
  assert.deepEqual(cluster.memory.hold, { cause: "empty", since: 1_000, reads: 1, said: 0, askAt: 3_000 });
  assert.equal(cluster.hear([], 3_000), 0);
  assert.deepEqual(cluster.memory, NO_MEMORY);
});

Deno.test("applyGuard() accepts no empty answer right after the registry became reachable, however often it arrives", () => {
  const cluster = new Cluster(nodes(3), { emptyGraceMs: 5_000 });
  cluster.connectedAt = 1_000;
  assert.equal(cluster.hear([], 1_100), 3);
  assert.equal(cluster.memory.hold?.askAt, 6_000);
  assert.equal(cluster.hear([], 2_000), 3);
  assert.equal(cluster.hear([], 6_000), 0);
});

Deno.test("applyGuard() does not count an outage toward the duration of a large loss", () => {
  const cluster = new Cluster(nodes(10), { maxShrinkPercent: 30, shrinkGraceMs: 60_000 });
  assert.equal(cluster.hear(nodes(2), 1_000), 10);
  // It was restarted meanwhile: its first answer may not be up to date yet.
  cluster.connectedAt = 100_000;
  assert.equal(cluster.hear(nodes(2), 100_100), 10);
  assert.equal(cluster.memory.hold?.askAt, 160_100);
  assert.equal(cluster.hear(nodes(2), 160_100), 2);
});

Deno.test("applyGuard() starts over when nodes were reported in between", () => {
  const cluster = new Cluster(nodes(3));
  assert.equal(cluster.hear([], 0), 3);
  assert.equal(cluster.hear(nodes(3), 100), 3);
  assert.equal(cluster.hear([], 600), 3);
});

Deno.test("applyGuard() does not take a first empty answer as confirmation of a partial loss", () => {
  const cluster = new Cluster(nodes(4), { maxShrinkPercent: 50, shrinkGraceMs: 10_000 });
  assert.equal(cluster.hear(nodes(1), 0), 4);
  assert.equal(cluster.hear([], 10_000), 4);
  assert.equal(cluster.hear([], 20_000), 0);
});

Deno.test("applyGuard() never removes the nodes of a cluster that must not be empty", () => {
  const cluster = new Cluster(nodes(3), { onEmpty: "keep", maxShrinkPercent: 50, shrinkGraceMs: 1_000 });
  for (const now of [0, 10_000, 1e9]) assert.equal(cluster.hear([], now), 3);
  assert.deepEqual([cluster.memory.hold?.cause, cluster.memory.hold?.askAt], ["empty", Infinity]);
});

Deno.test("applyGuard() keeps missing nodes while fewer than min_nodes remain, and accepts new nodes", () => {
  const cluster = new Cluster(nodes(3), { minNodes: 2 });
  assert.equal(cluster.hear([node(9000)], 0), 4);
  assert.equal(cluster.memory.hold?.cause, "few");
  assert.equal(cluster.hear([node(9000), node(9001)], 1e9), 2);
});

Deno.test("applyGuard() keeps the known nodes when more than max_nodes are reported", () => {
  const cluster = new Cluster(nodes(3), { maxNodes: 5 });
  assert.equal(cluster.hear(nodes(6), 0), 3);
  assert.deepEqual([cluster.memory.hold?.cause, cluster.memory.hold?.askAt], ["many", Infinity]);
  assert.equal(cluster.hear(nodes(5), 1), 5);
});

Deno.test("applyGuard() does not take an answer with too many nodes as the start of a large loss", () => {
  const cluster = new Cluster(nodes(10), { maxNodes: 20, maxShrinkPercent: 50, shrinkGraceMs: 60_000 });
  for (const now of [0, 30_000, 90_000]) assert.equal(cluster.hear(nodes(21), now), 10);
  assert.deepEqual([cluster.memory.hold?.since, cluster.memory.hold?.reads], [0, 3]);
  assert.equal(cluster.hear(nodes(2), 100_000), 10);
  assert.deepEqual(cluster.memory.hold, { cause: "shrunk", since: 100_000, reads: 1, said: 2, askAt: 160_000 });
  assert.equal(cluster.hear(nodes(2), 160_000), 2);
});

Deno.test("applyGuard() lets a cluster grow that never had min_nodes", () => {
  const cluster = new Cluster([], { minNodes: 5 });
  assert.equal(cluster.hear(nodes(1), 0), 1);
  assert.equal(cluster.hear(nodes(2), 1), 2);
});

Deno.test("applyGuard() holds a large loss until it has lasted for shrink_grace", () => {
  const cluster = new Cluster(nodes(10), { maxShrinkPercent: 50, shrinkGraceMs: 60_000 });
  assert.equal(cluster.hear(nodes(4), 0), 10);
  assert.deepEqual(cluster.memory.hold, { cause: "shrunk", since: 0, reads: 1, said: 4, askAt: 60_000 });
  assert.equal(cluster.hear(nodes(3), 30_000), 10);
  assert.equal(cluster.hear(nodes(3), 60_000), 3);
});

Deno.test("applyGuard() detects a large loss in small steps", () => {
  const cluster = new Cluster(nodes(10), { maxShrinkPercent: 50, shrinkGraceMs: 60_000 });
  const served = [9, 8, 7, 6, 5, 4, 3].map((count, i) => cluster.hear(nodes(count), i * 100));
  assert.deepEqual(served, [9, 8, 7, 6, 5, 5, 5]);
});

Deno.test("applyGuard() forgets old losses", () => {
  const cluster = new Cluster(nodes(10), { maxShrinkPercent: 50, shrinkGraceMs: 1_000 });
  assert.equal(cluster.hear(nodes(5), 0), 5);
  assert.equal(cluster.hear(nodes(3), 2_000), 3);
});

Deno.test("applyGuard() never holds the changes of a single flapping node", () => {
  const cluster = new Cluster(nodes(10), { maxShrinkPercent: 20, shrinkGraceMs: 60_000 });
  for (let i = 0; i < 20; i++) {
    assert.equal(cluster.hear(nodes(9), i * 2_000), 9);
    assert.equal(cluster.hear(nodes(10), i * 2_000 + 1_000), 10);
  }
});

Deno.test("applyGuard() never holds a rolling restart, regardless of its size, order and pace", () => {
  const restarts = fc.record({
    count: fc.integer({ min: 1, max: 40 }),
    percent: fc.integer({ min: 1, max: 99 }),
    order: fc.array(fc.nat()),
    stepMs: fc.integer({ min: 1, max: 20_000 }),
    isRenamed: fc.boolean(),
  });
  fc.assert(fc.property(restarts, ({ count, percent, order, stepMs, isRenamed }) => {
    const cluster = new Cluster(nodes(count), { maxShrinkPercent: percent, shrinkGraceMs: 60_000 });
    const atOnce = Math.floor(count * percent / 100);
    if (atOnce === 0) return;
    let members = [...nodes(count)];
    let now = 0;
    for (const [round, first] of order.entries()) {
      const away = members.slice(first % count).slice(0, atOnce);
      const left = members.filter((each) => !away.includes(each));
      assert.equal(cluster.hear(left, now += stepMs), left.length);
      // A new machine has a name of its own.
      const back = isRenamed ? away.map((_, i) => node(10_000 + round * 100 + i)) : away;
      members = [...left, ...back];
      assert.equal(cluster.hear(members, now += stepMs), count);
    }
  }));
});

Deno.test("applyGuard() holds each loss of more than max_shrink_percent within shrink_grace, in any number of steps", () => {
  const losses = fc.record({
    count: fc.integer({ min: 2, max: 40 }),
    percent: fc.integer({ min: 0, max: 90 }),
    cuts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
  });
  fc.assert(fc.property(losses, ({ count, percent, cuts }) => {
    const cluster = new Cluster(nodes(count), { maxShrinkPercent: percent, shrinkGraceMs: 60_000 });
    let left = count;
    for (const [at, cut] of cuts.entries()) {
      left = Math.max(0, left - cut);
      cluster.hear(nodes(left), at * 10);
      const isTooMuch = count - left > count * percent / 100;
      assert.equal(cluster.memory.hold !== undefined, isTooMuch, `${left} of ${count} are left at ${percent} %`);
      if (isTooMuch) return;
    }
  }));
});

Deno.test("applyGuard() remembers no more sizes of a cluster than it has nodes, and nothing where any loss is allowed", () => {
  const cluster = new Cluster(nodes(40), { maxShrinkPercent: 90, shrinkGraceMs: 86_400_000 });
  for (let i = 0; i < 5_000; i++) cluster.hear(nodes(10 + i * 7 % 31), i);
  assert.ok(cluster.memory.peaks.length <= 40, `${cluster.memory.peaks.length} sizes are remembered`);
  const free = new Cluster(nodes(40), { maxShrinkPercent: 100 });
  for (let i = 0; i < 100; i++) free.hear(nodes(1 + i % 40), i);
  assert.deepEqual(free.memory, NO_MEMORY);
});

Deno.test("applyGuard() never serves fewer nodes than are known while it holds, and never drops what the registry reports", () => {
  const count = fc.integer({ min: 0, max: 12 });
  const settings = fc.record({
    onEmpty: fc.constantFrom("keep" as const, "clear" as const),
    emptyGraceMs: fc.integer({ min: 0, max: 5_000 }),
    minNodes: fc.integer({ min: 0, max: 4 }),
    maxNodes: fc.constant(100),
    maxShrinkPercent: fc.integer({ min: 0, max: 100 }),
    shrinkGraceMs: fc.integer({ min: 0, max: 5_000 }),
  });
  fc.assert(
    fc.property(settings, fc.array(fc.tuple(count, fc.integer({ min: 0, max: 2_000 }))), (settings, answers) => {
      const cluster = new Cluster(nodes(6), settings);
      let now = 0;
      for (const [count, waitMs] of answers) {
        now += waitMs;
        const before = new Set(cluster.known.map(nodeName));
        const said = nodes(count);
        cluster.hear(said, now);
        const after = new Set(cluster.known.map(nodeName));
        for (const name of said.map(nodeName)) assert.ok(after.has(name));
        if (cluster.memory.hold !== undefined) { for (const name of before) assert.ok(after.has(name)); }
        else assert.equal(after.size, said.length);
      }
    }),
  );
});

const MISSING = { exists: false };

Deno.test("applyGuard() removes no node of a cluster that its registry does not have, however often it reports that", () => {
  const cluster = new Cluster(nodes(3));
  for (const now of [0, 10_000, 1e9]) assert.equal(cluster.hear([], now, MISSING), 3);
  assert.deepEqual(cluster.memory.hold, { cause: "missing", since: 0, reads: 3, said: 0, askAt: Infinity });
  const empty = new Cluster([]);
  assert.equal(empty.hear([], 0, MISSING), 0);
  assert.equal(empty.memory.hold, undefined, "there is nothing to hold");
});

Deno.test("applyGuard() does not take a missing cluster as confirmation that it is empty", () => {
  const cluster = new Cluster(nodes(3));
  assert.equal(cluster.hear([], 0, MISSING), 3);
  assert.equal(cluster.hear([], 60_000), 3);
  assert.deepEqual([cluster.memory.hold?.cause, cluster.memory.hold?.reads], ["empty", 1]);
  assert.equal(cluster.memory.hold?.askAt, 65_000);
  assert.equal(cluster.hear([], 65_000), 0);
});

Deno.test("applyGuard() holds nodes that a cluster lacks when it exists again, and accepts new ones at once", () => {
  const cluster = new Cluster(nodes(2));
  cluster.hear([], 0, MISSING);
  assert.equal(cluster.hear([node(9000)], 1_000), 3);
  assert.deepEqual([cluster.memory.hold?.cause, cluster.memory.hold?.askAt], ["behind", 6_000]);
  assert.equal(cluster.hear([node(8000), node(9000)], 1_500), 3);
  assert.equal(cluster.hear([node(8000), node(9000)], 6_000), 2);
});

Deno.test("applyGuard() holds a smaller answer of a changed epoch until every live member has had its lease", () => {
  const cluster = new Cluster(nodes(5));
  assert.equal(cluster.hear(nodes(4), 0), 4, "no answer before this one: it follows");
  assert.equal(cluster.hear(nodes(2), 1_000, { epoch: "2", leaseMs: 30_000 }), 4);
  assert.deepEqual([cluster.memory.hold?.cause, cluster.memory.hold?.askAt], ["behind", 31_000]);
  assert.equal(cluster.hear(nodes(3), 20_000, { epoch: "2", leaseMs: 30_000 }), 4);
  assert.equal(cluster.hear(nodes(3), 31_000, { epoch: "2", leaseMs: 30_000 }), 3);
  assert.equal(cluster.hear(nodes(2), 31_001, { epoch: "2", leaseMs: 30_000 }), 2, "its history is known by then");
});

Deno.test("applyGuard() does not accept a response from an earlier epoch as confirmation of an empty cluster", () => {
  const cluster = new Cluster(nodes(3));
  assert.equal(cluster.hear(nodes(3), 0), 3);
  assert.equal(cluster.hear([], 100), 3);
  assert.equal(cluster.hear([], 2_100, { epoch: "2" }), 3);
  assert.equal(cluster.memory.hold?.askAt, 7_100);
  assert.equal(cluster.hear([], 7_100, { epoch: "2" }), 0);
});

Deno.test("applyGuard() removes no node in the grace after a changed epoch, and none that is there, whatever is reported", () => {
  const answer = fc.record({
    count: fc.integer({ min: 0, max: 8 }),
    exists: fc.boolean(),
    isNew: fc.boolean(),
    waitMs: fc.integer({ min: 0, max: 3_000 }),
  });
  fc.assert(fc.property(fc.array(answer), fc.integer({ min: 0, max: 9_000 }), (answers, leaseMs) => {
    const cluster = new Cluster(nodes(8));
    let [now, epoch, brokenAt, existed] = [0, 0, -Infinity, true];
    for (const [at, { count, exists, isNew, waitMs }] of answers.entries()) {
      now += waitMs;
      if (isNew) epoch++;
      if (at > 0 && cluster.known.length > 0 && (isNew || (exists && !existed))) brokenAt = now;
      existed = exists;
      const before = cluster.known.length;
      const said = exists ? nodes(count) : [];
      const after = cluster.hear(said, now, { exists, epoch: `${epoch}`, leaseMs });
      assert.ok(after >= said.length);
      if (!exists || now < brokenAt + Math.max(5_000, leaseMs)) assert.ok(after >= before, `${after} of ${before}`);
    }
  }));
});
