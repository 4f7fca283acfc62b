import assert from "node:assert/strict";
import fc from "fast-check";
import { type Node, nodeName, WEIGHT_MAX } from "../model/node.ts";
import type { NodeHealth, Override, SlowStart, TrafficPolicy } from "../model/traffic.ts";
import { hasFallback, type NodeShare, type Shares, shareTraffic, STEP_MS, type TrafficInput } from "./shares.ts";
import type { Sighting } from "./sightings.ts";

const NOW = 1_700_000_000_000;

function node(host: string, more: Partial<Node> = {}): Node {
  return { host, ip: "10.0.0.1", port: 80, metadata: {}, ...more };
}

function policy(more: Partial<TrafficPolicy> = {}): TrafficPolicy {
  return { weight: { default: 100 }, warmUpMs: 0, ...more };
}

/** What is known of nodes that have been there for a day, but for those that are given. */
function seen(nodes: readonly Node[], given: Readonly<Record<string, Partial<Sighting>>> = {}) {
  const all = new Map<string, Sighting>(
    nodes.map((each) => [nodeName(each), { sinceMs: NOW - 86_400_000, ...each.zone && { zone: each.zone } }]),
  );
  for (const [host, sighting] of Object.entries(given)) {
    all.set(`${host}:80`, { sinceMs: NOW - 86_400_000, ...all.get(`${host}:80`), ...sighting });
  }
  return all;
}

function share(input: Partial<TrafficInput> & Pick<TrafficInput, "nodes">): Shares {
  return shareTraffic({ nowMs: NOW, startedMs: NOW - 86_400_000, sightings: seen(input.nodes), ...input });
}

/** The weights by host; a node that is not ready, or waits, is shown as that. */
function shown({ nodes }: Shares): Record<string, unknown> {
  return Object.fromEntries(nodes.map(({ node: { host }, weight, state, pool }) => [
    host,
    state !== "ready" ? state : pool === "overflow" ? pool : weight,
  ]));
}

const RAMP: SlowStart = { delayMs: 10_000, rampMs: 60_000, from: 0.1, curve: "linear", graceMs: 60_000 };
const ZONES: TrafficPolicy = policy({ zones: { spillBelow: 0.8, key: { of: "zone" } } });
const OVERFLOW = policy({ overflow: { clusters: ["backup"], below: 0.8, capacity: 10 } });

function override(kind: Override["kind"], more: Partial<Override> = {}): Override {
  return { kind, author: "ann", reason: "disk", ...more };
}

Deno.test("without a policy nodes always get their own weights", () => {
  const nodes = [node("a"), node("b", { weight: 3 }), node("c", { weight: 0 }), node("d", { state: "drain" })];
  const { nodes: shares, changesAtMs } = share({ nodes });
  const got = shares.map((
    { node, weight, settledWeight, state, pool },
  ) => [node.host, weight, settledWeight, state, pool]);
  assert.deepEqual(got, [
    ["a", undefined, undefined, "ready", "primary"],
    ["b", 3, undefined, "ready", "primary"],
    ["c", 0, undefined, "ready", "primary"],
    ["d", undefined, undefined, "drain", "primary"],
  ]);
  assert.equal(changesAtMs, Infinity);
});

Deno.test("a weight comes from the registry, from a field, or from the file; 0 drains, and no weight is the default", () => {
  const nodes = [
    node("a", { weight: 50, metadata: { weight: 200, deep: { w: "25" } }, labels: { w: "0" } }),
    node("b", { metadata: { weight: "no" } }),
  ];
  const by = (weight: TrafficPolicy["weight"]) => shown(share({ nodes, policy: policy({ weight }) }));
  assert.deepEqual(by({ default: 100 }), { a: 128, b: 256 });
  assert.deepEqual(by({ default: 100, from: { of: "metadata", path: ["weight"] } }), { a: 256, b: 128 });
  assert.deepEqual(by({ default: 100, from: { of: "metadata", path: ["deep", "w"] } }), { a: 64, b: 256 });
  assert.deepEqual(by({ default: 100, from: { of: "labels", path: ["w"] } }), { a: "drain", b: 256 });
  assert.deepEqual(by({ default: 100, fixed: 7 }), { a: 256, b: 256 });
});

Deno.test("a new node waits, starts with its initial part and gets its full share at the end of the ramp", () => {
  const nodes = [node("old"), node("new")];
  const sightings = seen(nodes, { new: { sinceMs: NOW, newSinceMs: NOW } });
  const at = (ms: number) =>
    shown(share({ nodes, sightings, policy: policy({ slowStart: RAMP }), nowMs: NOW + ms })).new;
  assert.deepEqual([0, 9_999, 10_000, 40_000, 69_999, 70_000].map(at), [0, 0, 26, 141, 252, 256]);
});

Deno.test("if all nodes are new, all are equal", () => {
  const nodes = [node("a"), node("b")];
  const sightings = seen(nodes, { a: { newSinceMs: NOW }, b: { newSinceMs: NOW } });
  const { nodes: shares, changesAtMs } = share({ nodes, sightings, policy: policy({ slowStart: RAMP }) });
  assert.deepEqual(shares.map(({ weight }) => weight), [256, 256]);
  assert.equal(changesAtMs, Infinity);
});

Deno.test("a waiting node gets requests when no other is available", () => {
  const nodes = [node("old"), node("new")];
  const sightings = seen(nodes, { new: { newSinceMs: NOW } });
  const asked = { nodes, sightings, policy: policy({ slowStart: RAMP }) };
  assert.deepEqual(shown(share(asked)), { old: 256, new: 0 });
  assert.deepEqual(shown(share({ ...asked, down: new Set(["old:80"]) })), { old: 256, new: 256 });
});

Deno.test("if each change of a weight moves keys, a ramp has four steps", () => {
  const nodes = [node("old"), node("new")];
  const sightings = seen(nodes, { new: { newSinceMs: NOW } });
  let [nowMs, steps] = [NOW + 10_000, 0];
  for (;;) {
    const input = { nodes, sightings, policy: policy({ slowStart: RAMP }), nowMs, isHashed: true };
    const { changesAtMs } = share(input);
    if (changesAtMs === Infinity) break;
    [nowMs, steps] = [changesAtMs, steps + 1];
  }
  assert.equal(steps, 4);
});

Deno.test("a source's weight is a factor of its own, multiplied with the cluster's", () => {
  const nodes = [node("a"), node("b", { metadata: { w: 50 } }), node("c"), node("d", { weight: 200 })];
  const from = { of: "metadata", path: ["w"] } as const;
  const sources = [
    { source: "etcd", weight: { from, default: 200 } },
    { source: "spare", weight: { fixed: 0, default: 100 } },
  ];
  const sourceOf = (name: string) => ({ "b:80": "etcd", "c:80": "spare", "d:80": "etcd" })[name] ?? "zoo";
  const shares = share({ nodes, policy: policy({ sources }), sourceOf });
  assert.deepEqual(shown(shares), { a: 64, b: 32, c: "drain", d: 256 });
  assert.deepEqual(shares.nodes.map(({ factors }) => factors), [
    [{ name: "weight", value: 100, detail: "default" }],
    [{ name: "weight", value: 100, detail: "default" }, { name: "source", value: 0.5, detail: "etcd" }],
    [{ name: "weight", value: 100, detail: "default" }, { name: "source", value: 0, detail: "spare" }],
    [{ name: "weight", value: 200, detail: "registry" }, { name: "source", value: 2, detail: "etcd" }],
  ]);
  assert.deepEqual(shown(share({ nodes, policy: policy({ sources }) })), { a: 128, b: 128, c: 128, d: 256 });
});

Deno.test("a source's slow start ramps only its nodes, multiplied with that of the cluster", () => {
  const nodes = [node("old"), node("new"), node("other")];
  const newSinceMs = NOW - 40_000;
  const sightings = seen(nodes, { new: { newSinceMs }, other: { newSinceMs } });
  const sources = [{ source: "etcd", slowStart: RAMP }];
  const asked = { nodes, sightings, sourceOf: (name: string) => name === "other:80" ? "zoo" : "etcd" };
  const own = share({ ...asked, policy: policy({ sources }) });
  assert.deepEqual(shown(own), { old: 256, new: Math.round(0.55 * 256), other: 256 });
  const both = share({ ...asked, policy: policy({ slowStart: RAMP, sources }) });
  assert.deepEqual(shown(both), { old: 256, new: Math.round(0.55 ** 2 * 256), other: Math.round(0.55 * 256) });
  assert.equal(both.nodes[1]?.factors[1]?.detail, "etcd");
  const warm = policy({ sources, warmUpMs: 60_000 });
  assert.deepEqual(shown(share({ ...asked, policy: warm, startedMs: NOW })), { old: 256, new: 256, other: 256 });
});

Deno.test("if each change of a weight moves keys, the ramps of cluster and source have four steps together", () => {
  const nodes = [node("old"), node("new")];
  const sightings = seen(nodes, { new: { newSinceMs: NOW } });
  const slow = { ...RAMP, delayMs: 0 };
  const sources = [{ source: "zoo", slowStart: { ...slow, rampMs: 50_000 } }];
  let [nowMs, steps] = [NOW, 0];
  for (;; steps++) {
    const input = { nodes, sightings, policy: policy({ slowStart: slow, sources }), nowMs, isHashed: true };
    const { changesAtMs } = share({ ...input, sourceOf: () => "zoo" });
    if (changesAtMs === Infinity) break;
    nowMs = changesAtMs;
  }
  assert.equal(steps, 4);
});

Deno.test("after the start of the writer shares are equal, but drain and zones apply", () => {
  const nodes = [node("a", { zone: "x" }), node("b", { zone: "x", state: "drain" }), node("c", { zone: "y" })];
  const sightings = seen(nodes, { a: { newSinceMs: NOW } });
  const slow = policy({ ...ZONES, slowStart: RAMP, warmUpMs: 60_000 });
  const asked = { nodes: [...nodes, node("d", { zone: "x" })], sightings, policy: slow, zone: "x", startedMs: NOW };
  const { changesAtMs } = share(asked);
  assert.deepEqual(shown(share(asked)), { a: 256, b: "drain", c: "overflow", d: 256 });
  assert.equal(changesAtMs, NOW + 60_000);
});

const ZONE_NODES = [
  ...["a", "b", "c", "d", "e"].map((host) => node(host, { zone: "x" })),
  ...["p", "q"].map((host) => node(host, { zone: "y" })),
];

/** The part of requests that the local nodes get. */
function localPart({ nodes }: Shares): number {
  return nodes.filter(({ isFallback }) => !isFallback).reduce((all, { share }) => all + share, 0);
}

for (const [down, part] of [[0, 1], [1, 1], [2, 0.75], [3, 0.5], [4, 0.25], [5, 0]] as const) {
  Deno.test(`with ${down} of 5 local nodes down and spill_below 80% the part ${part} of requests stays in the zone`, () => {
    const names = new Set(ZONE_NODES.slice(0, down).map(nodeName));
    const shares = share({ nodes: ZONE_NODES, policy: ZONES, zone: "x", down: names });
    assert(Math.abs(localPart(shares) - part) < 0.01, `${localPart(shares)}`);
    assert.equal(shares.nodes[5]?.pool, part === 1 ? "overflow" : "primary");
  });
}

Deno.test("local nodes that have left within the hour count as not ready, and then no more", () => {
  const nodes = ZONE_NODES.slice(2);
  const leftMs = NOW - 600_000;
  const sightings = seen(nodes, { a: { zone: "x", leftMs }, b: { zone: "x", leftMs } });
  const asked = { nodes, sightings, policy: ZONES, zone: "x" };
  assert(Math.abs(localPart(share(asked)) - 0.75) < 0.01);
  const { changesAtMs } = share(asked);
  assert.equal(changesAtMs, leftMs + 3_600_000);
  assert.equal(localPart(share({ ...asked, nowMs: changesAtMs })), 1);
});

Deno.test("a joining local node counts as ready until its first checks are due", () => {
  const sightings = seen(ZONE_NODES, { a: { sinceMs: NOW }, b: { sinceMs: NOW } });
  const asked = { nodes: ZONE_NODES, sightings, policy: ZONES, zone: "x", down: new Set(["a:80", "b:80"]) };
  assert.equal(localPart(share(asked)), 1);
  const { changesAtMs } = share(asked);
  assert.equal(changesAtMs, NOW + 10_000);
  assert(Math.abs(localPart(share({ ...asked, nowMs: changesAtMs })) - 0.75) < 0.01);
});

Deno.test("without a zone of this host, or without local nodes, all zones are alike", () => {
  const alike = Object.fromEntries(ZONE_NODES.map(({ host }) => [host, 256]));
  assert.deepEqual(shown(share({ nodes: ZONE_NODES, policy: ZONES })), alike);
  assert.deepEqual(shown(share({ nodes: ZONE_NODES, policy: ZONES, zone: "z" })), alike);
});

Deno.test("overflow nodes wait while the cluster is ready, and get the missing share below the threshold", () => {
  const nodes = Array.from({ length: 10 }, (_, i) => node(`n${i}`));
  const overflow = [{ name: "backup", nodes: [node("o1"), node("o2")] }];
  const part = (down: number) =>
    share({ nodes, overflow, policy: OVERFLOW, down: new Set(nodes.slice(0, down).map(nodeName)) })
      .nodes.slice(10).reduce((all, { share }) => all + share, 0);
  assert.equal(part(0), 0);
  assert.equal(part(2), 0);
  assert(Math.abs(part(6) - 0.5) < 0.01, `${part(6)}`);
  assert.equal(part(10), 1);
  const few = share({ nodes: nodes.slice(0, 4), overflow, policy: OVERFLOW });
  assert(Math.abs(few.nodes.slice(4).reduce((all, { share }) => all + share, 0) - 0.5) < 0.01);
});

Deno.test("without any ready node the overflow gets all requests", () => {
  const drained = [node("a", { state: "drain" })];
  const overflow = [{ name: "backup", nodes: [node("o")] }];
  assert.deepEqual(shown(share({ nodes: drained, overflow, policy: OVERFLOW })), { a: "drain", o: 256 });
  assert.deepEqual(shown(share({ nodes: [], overflow, policy: OVERFLOW })), { o: 256 });
});

Deno.test("if all nodes are down, the preferred ones keep their shares", () => {
  const overflow = [{ name: "backup", nodes: [node("o")] }];
  const few = policy({ overflow: { clusters: ["backup"], below: 1, capacity: 0 } });
  const down = new Set(["a:80", "b:80", "o:80"]);
  const shares = share({ nodes: [node("a"), node("b")], overflow, policy: few, down });
  assert.deepEqual(shown(shares), { a: 256, b: 256, o: "overflow" });
});

Deno.test("an operator's override takes precedence over the policy until it expires", () => {
  const nodes = [node("a"), node("b"), node("c")];
  const overrides = new Map([
    ["a:80", [override("drain"), override("maint", { untilMs: NOW + 500 })]],
    ["b:80", [override("weight", { factor: 0.5, untilMs: NOW + 700 })]],
  ]);
  const asked = { nodes, overrides };
  assert.deepEqual(shown(share(asked)), { a: "maint", b: 128, c: 256 });
  assert.equal(share(asked).changesAtMs, NOW + 500);
  assert.deepEqual(shown(share({ ...asked, nowMs: NOW + 500 })), { a: "drain", b: 128, c: 256 });
  assert.equal(share({ ...asked, nowMs: NOW + 500 }).changesAtMs, NOW + 700);
  assert.deepEqual(shown(share({ ...asked, nowMs: NOW + 700 })), { a: "drain", b: undefined, c: undefined });
});

Deno.test("each factor is named, and weights are scaled from their product", () => {
  const nodes = [node("old"), node("new")];
  const sightings = seen(nodes, { new: { newSinceMs: NOW - 40_000 } });
  const overrides = new Map([["new:80", [override("weight", { factor: 0.5 })]]]);
  const { nodes: shares } = share({ nodes, sightings, overrides, policy: policy({ slowStart: RAMP }) });
  assert.deepEqual(shares[1]?.factors, [
    { name: "weight", value: 100, detail: "default" },
    { name: "override", value: 0.5, detail: "ann" },
    { name: "slow_start", value: 0.55 },
  ]);
  assert.equal(shares[1]?.weight, Math.round(0.5 * 0.55 * WEIGHT_MAX));
  assert.equal(shares[1]?.settledWeight, 128);
});

Deno.test("nodes of a higher priority number wait while one of a lower is ready and up, with a policy and without", () => {
  const spare = node("spare", { priority: 1 });
  const last = node("last", { priority: 5 });
  const drained = node("a", { state: "drain" });
  for (const given of [undefined, policy()]) {
    const at = (nodes: readonly Node[], down: readonly string[] = []) =>
      share({ nodes, policy: given, down: new Set(down) }).nodes
        .filter(({ pool, state }) => pool === "primary" && state === "ready").map(({ node: { host } }) => host);
    assert.deepEqual(at([node("a"), node("b"), spare, last]), ["a", "b"]);
    assert.deepEqual(at([drained, spare, last]), ["spare"]);
    assert.deepEqual(at([node("a", { weight: 0 }), spare, last]).filter((host) => host !== "a"), ["spare"]);
    assert.deepEqual(at([node("a"), spare, last], ["a:80"]), ["a", "spare"]);
    assert.deepEqual(at([node("a"), spare, last], ["a:80", "spare:80"]), ["a", "spare", "last"]);
    assert.deepEqual(at([node("a"), spare, last], ["a:80", "spare:80", "last:80"]), ["a"]);
    assert.deepEqual(at([spare]), ["spare"]);
    const shares = share({ nodes: [node("a"), spare], policy: given }).nodes;
    assert.deepEqual(shares.map(({ share, isFallback }) => [share, isFallback]), [[1, false], [0, true]]);
    assert.deepEqual(shares[1]?.factors.at(given === undefined ? 0 : 1), { name: "priority", value: 0, detail: "1" });
  }
});

Deno.test("a preferred node that waits for its slow start gets all requests, and no spare node does", () => {
  const nodes = [node("a"), node("spare", { priority: 1 })];
  const sightings = seen(nodes, { a: { sinceMs: NOW, newSinceMs: NOW } });
  assert.deepEqual(shown(share({ nodes, policy: policy({ slowStart: RAMP }), sightings })), {
    a: 256,
    spare: "overflow",
  });
});

Deno.test("waiting members serve before the clusters of the overflow", () => {
  const nodes = [node("a", { state: "drain" }), node("spare", { priority: 1 })];
  const overflow = [{ name: "backup", nodes: [node("o")] }];
  const small = policy({ overflow: { clusters: ["backup"], below: 0.5, capacity: 1 } });
  assert.deepEqual(shown(share({ nodes, policy: small, overflow, sightings: seen([]) })), {
    a: "drain",
    spare: 256,
    o: "overflow",
  });
});

Deno.test("a last resort is needed if some nodes are preferred to others", () => {
  assert(!hasFallback(undefined, "x"));
  assert(!hasFallback(policy({ slowStart: RAMP }), "x"));
  assert(!hasFallback(ZONES, undefined));
  assert(hasFallback(ZONES, "x"));
  assert(hasFallback(OVERFLOW, undefined));
});

const CHECKED = policy({
  health: { intervalMs: 3_000, isolation: "shared", panicBelow: 0, checks: [] },
});

/** What checks say of hosts: those that are named fail. */
function failing(...hosts: readonly string[]): ReadonlyMap<string, NodeHealth> {
  return new Map(hosts.map((host) => [`${host}:80`, { state: "failing", reason: "Got status 500" }]));
}

/** The health factor of each host, with its detail. */
function healthOf({ nodes }: Shares): Record<string, string> {
  return Object.fromEntries(nodes.map(({ node: { host }, factors }) => {
    const { value, detail } = factors.find(({ name }) => name === "health") ?? {};
    return [host, detail === undefined ? `${value}` : `${value} (${detail})`];
  }));
}

Deno.test("a node whose check fails gets nothing, its weight in the file stays, and the factor says why", () => {
  const nodes = [node("a"), node("b"), node("c")];
  const shares = share({ nodes, policy: CHECKED, health: failing("b") });
  assert.deepEqual(shown(shares), { a: 256, b: 0, c: 256 });
  assert.deepEqual(shares.nodes.map(({ settledWeight, share }) => [settledWeight, share]), [[256, 0.5], [256, 0], [
    256,
    0.5,
  ]]);
  assert.deepEqual(healthOf(shares), { a: "1", b: "0 (Got status 500)", c: "1" });
  assert.equal(shares.changesAtMs, Infinity);
});

Deno.test("a check without a verdict leaves the share unchanged", () => {
  const health = new Map([["b:80", { state: "unknown", reason: "no worker" } as const]]);
  const shares = share({ nodes: [node("a"), node("b")], policy: CHECKED, health });
  assert.deepEqual(shown(shares), { a: 256, b: 256 });
  assert.deepEqual(healthOf(shares), { a: "1", b: "1 (unknown: no worker)" });
});

Deno.test("if all nodes fail, or all passing ones are down in the balancer, checks are ignored, with the reason", () => {
  const nodes = [node("a"), node("b", { weight: 50 }), node("c", { state: "drain" })];
  const shares = share({ nodes, policy: CHECKED, health: failing("a", "b") });
  assert.deepEqual(shown(shares), { a: 256, b: 128, c: "drain" });
  const ignored = "1 (ignored because too few nodes pass: Got status 500)";
  assert.deepEqual(healthOf(shares), { a: ignored, b: ignored, c: "1" });
  const down = share({ nodes, policy: CHECKED, health: failing("a"), down: new Set(["b:80"]) });
  assert.deepEqual(down.nodes.map(({ share }) => share), [1, 0, 0]);
});

Deno.test("below the panic threshold all nodes keep their shares, unless another cluster has nodes that pass", () => {
  const nodes = ["a", "b", "c", "d"].map((host) => node(host));
  const health = { intervalMs: 3_000, isolation: "shared", panicBelow: 0.5, checks: [] } as const;
  const at = (...hosts: readonly string[]) =>
    shown(share({ nodes, policy: policy({ health }), health: failing(...hosts) }));
  assert.deepEqual(at("c", "d"), { a: 256, b: 256, c: 0, d: 0 });
  assert.deepEqual(at("b", "c", "d"), { a: 256, b: 256, c: 256, d: 256 });
  const overflow = [{ name: "backup", nodes: [node("o")] }];
  const both = policy({ health, overflow: { clusters: ["backup"], below: 0.5, capacity: 0 } });
  assert.deepEqual(shown(share({ nodes, overflow, policy: both, health: failing("b", "c", "d") })), {
    a: 256,
    b: 0,
    c: 0,
    d: 0,
    o: 256,
  });
  assert.deepEqual(
    shown(share({ nodes, overflow, policy: both, health: failing("a", "b", "c", "d") })),
    { a: 0, b: 0, c: 0, d: 0, o: 256 },
  );
  assert.deepEqual(
    shown(share({ nodes, overflow, policy: both, health: failing("a", "b", "c", "d", "o") })),
    { a: 256, b: 256, c: 256, d: 256, o: "overflow" },
  );
});

Deno.test("nodes with failing checks count as missing for zones and overflow", () => {
  const nodes = ["a", "b", "c", "d"].map((host) => node(host, { zone: "x" }));
  const other = node("far", { zone: "y" });
  const zoned = { ...ZONES, ...CHECKED, zones: { spillBelow: 1, key: { of: "zone" } as const } };
  const asked = { nodes: [...nodes, other], zone: "x", policy: zoned };
  assert.deepEqual(shown(share({ ...asked, health: failing("d") })).far, 256);
  assert.equal(share({ ...asked, health: failing("d") }).nodes.at(-1)?.share.toFixed(2), "0.25");
  assert.deepEqual(shown(share(asked)).far, "overflow");
});

// Properties, of any policy and any nodes.

const ms = (max: number) => fc.integer({ min: 0, max });
const anySlowStart: fc.Arbitrary<SlowStart | undefined> = fc.option(
  fc.record({
    delayMs: fc.constantFrom(0, 3_000, 10_000),
    rampMs: fc.constantFrom(0, 1_500, 20_000, 600_000),
    from: fc.constantFrom(0, 0.1, 1),
    curve: fc.constantFrom("linear", "quadratic"),
    graceMs: fc.constant(60_000),
  }),
  { nil: undefined },
);
const anySource = fc.record({
  source: fc.constantFrom("zoo", "etcd"),
  weight: fc.option(fc.record({ default: fc.constantFrom(50, 200, 0) }), { nil: undefined }),
  slowStart: anySlowStart,
});
const anyPolicy: fc.Arbitrary<TrafficPolicy> = fc.record({
  weight: fc.record({ default: fc.constantFrom(1, 100, 0) }),
  warmUpMs: fc.constantFrom(0, 5_000),
  slowStart: anySlowStart,
  sources: fc.option(fc.uniqueArray(anySource, { selector: ({ source }) => source, maxLength: 2 }), { nil: undefined }),
  zones: fc.option(
    fc.record({ spillBelow: fc.constantFrom(0.1, 0.8, 1), key: fc.constant({ of: "zone" } as const) }),
    { nil: undefined },
  ),
  overflow: fc.option(
    fc.record({ clusters: fc.constant(["backup"]), below: fc.constantFrom(0.5, 1), capacity: ms(12) }),
    { nil: undefined },
  ),
  health: fc.option(
    fc.record({
      intervalMs: fc.constant(3_000),
      isolation: fc.constant("shared" as const),
      panicBelow: fc.constantFrom(0, 0.5),
      checks: fc.constant([]),
    }),
    { nil: undefined },
  ),
});
const anyNode = (prefix: string) =>
  fc.tuple(
    ms(7),
    fc.option(fc.constantFrom(0, 1, 3, 256), { nil: undefined }),
    fc.constantFrom("ready", "ready", "ready", "drain"),
    fc.constantFrom("x", "y", undefined),
    fc.constantFrom(undefined, undefined, 0, 1, 2),
  ).map(([i, weight, state, zone, priority]) => node(`${prefix}${i}`, { weight, state, zone, priority }));
const anyNodes = (prefix: string) => fc.uniqueArray(anyNode(prefix), { maxLength: 6, selector: nodeName });
const anyOverride: fc.Arbitrary<Override> = fc.record({
  kind: fc.constantFrom("drain", "maint", "weight"),
  factor: fc.constantFrom(0, 0.5, 2),
  untilMs: fc.option(ms(30_000).map((each) => NOW - 10_000 + each), { nil: undefined }),
  author: fc.constant("ann"),
  reason: fc.constant(""),
});
const anySighting = fc.tuple(ms(90_000), fc.boolean(), fc.option(ms(4_000_000), { nil: undefined })).map(
  ([ago, isNew, left]): Sighting => ({
    sinceMs: NOW - ago - (left ?? 0),
    ...isNew && { newSinceMs: NOW - ago - (left ?? 0) },
    ...left !== undefined && { leftMs: NOW - left },
    zone: ago % 2 === 0 ? "x" : "y",
  }),
);
const names = Array.from({ length: 8 }, (_, i) => `n${i}:80`);
const anyInput: fc.Arbitrary<TrafficInput> = fc.record({
  nowMs: fc.constant(NOW),
  startedMs: fc.constantFrom(NOW - 86_400_000, NOW - 1_000),
  policy: fc.option(anyPolicy, { nil: undefined, freq: 8 }),
  zone: fc.constantFrom("x", "x", undefined),
  isHashed: fc.boolean(),
  nodes: anyNodes("n"),
  overflow: anyNodes("o").map((nodes) => [{ name: "backup", nodes }]),
  sightings: fc.dictionary(fc.constantFrom(...names, "gone:1", "gone:2"), anySighting).map((all) =>
    new Map(Object.entries(all))
  ),
  down: fc.subarray([...names, "o1:80", "o2:80"]).map((all) => new Set(all)),
  health: fc.dictionary(
    fc.constantFrom(...names, "o1:80", "o2:80"),
    fc.record({ state: fc.constantFrom("passing", "failing", "unknown"), reason: fc.constant("why") }),
  ).map((all) => new Map(Object.entries(all))),
  overrides: fc.dictionary(fc.constantFrom(...names), fc.array(anyOverride, { maxLength: 2 })).map((all) =>
    new Map(Object.entries(all))
  ),
  sourceOf: fc.constant((name: string) => ["zoo", "etcd", undefined][Number(name.charAt(1)) % 3]),
});

function keyOf({ nodes }: Shares): string {
  return JSON.stringify(nodes.map(({ weight, settledWeight, state, pool }) => [weight, settledWeight, state, pool]));
}

Deno.test("weights are within bounds, and shares add up to 1 or 0", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const { nodes } = shareTraffic(input);
      assert.deepEqual(nodes.slice(0, input.nodes.length).map(({ node }) => node), input.nodes);
      for (const { weight = 0, settledWeight = 0, share } of nodes) {
        for (const each of [weight, settledWeight]) assert(Number.isInteger(each) && each >= 0 && each <= WEIGHT_MAX);
        assert(share >= 0 && share <= 1);
      }
      const total = nodes.reduce((all, { share }) => all + share, 0);
      assert(total === 0 || Math.abs(total - 1) < 1e-9);
    }),
    { numRuns: 500 },
  );
});

Deno.test("while a node is ready, up and not waiting for others, requests go somewhere, and only to such nodes", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const { nodes } = shareTraffic(input);
      const takes = nodes.filter(({ state, isDown, weight }) => state === "ready" && !isDown && weight !== 0);
      const total = nodes.reduce((all, { share }) => all + share, 0);
      if (takes.length > 0) assert(total > 0);
      // A node that is ready and up has a weight, unless its slow start has it wait beside one that has not.
      const isUp = nodes.filter(({ state, isDown }) => state === "ready" && !isDown);
      if (isUp.some(({ weight, node }) => weight !== 0 || node.weight !== 0)) assert(total > 0);
      for (const { share, state, isDown } of nodes) {
        if (share > 0) assert(state === "ready" && (!isDown || isUp.length === 0));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("no ready node starves: it has a weight, waits for its slow start, or is not preferred", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      for (const { weight, state, pool, factors } of shareTraffic(input).nodes) {
        if (input.policy === undefined || state !== "ready" || pool === "overflow" || weight !== 0) continue;
        assert(factors.some(({ name, value }) => (name === "slow_start" || name === "health") && value === 0));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("failing nodes get nothing, unless all ready ones fail: then each node that is up gets requests", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const { nodes } = shareTraffic(input);
      if (input.policy?.health === undefined) return;
      const ready = nodes.filter(({ state }) => state === "ready");
      const isFailing = ({ node }: NodeShare) => input.health?.get(nodeName(node))?.state === "failing";
      const isOut = ({ factors }: NodeShare) => factors.some(({ name, value }) => name === "health" && value === 0);
      for (const each of nodes) {
        if (isOut(each)) assert(isFailing(each) && each.share === 0 && each.weight === 0);
        if (each.share > 0 && isFailing(each)) assert(!ready.some(isOut));
      }
      assert(ready.length === 0 || !ready.every(isOut));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a node's share does not depend on the order of nodes", () => {
  fc.assert(
    fc.property(anyInput, (input) => {
      const byName = ({ nodes }: Shares) =>
        new Map(nodes.map(({ node, weight, settledWeight, state, pool }) => [
          nodeName(node),
          [weight, settledWeight, state, pool],
        ]));
      const other = shareTraffic({
        ...input,
        nodes: input.nodes.toReversed(),
        overflow: input.overflow?.map(({ name, nodes }) => ({ name, nodes: nodes.toReversed() })),
        sightings: new Map([...input.sightings ?? []].toReversed()),
      });
      const sorted = (shares: Shares) => [...byName(shares)].toSorted(([a], [b]) => a < b ? -1 : 1);
      assert.deepEqual(sorted(other), sorted(shareTraffic(input)));
      assert.equal(other.changesAtMs, shareTraffic(input).changesAtMs);
    }),
    { numRuns: 300 },
  );
});

Deno.test("the result is valid until the time it names, and differs then", () => {
  fc.assert(
    fc.property(anyInput, fc.float({ min: 0, max: 1, noNaN: true }), (input, at) => {
      const now = shareTraffic(input);
      const { changesAtMs } = now;
      assert(changesAtMs > input.nowMs);
      const lastMs = Math.min(changesAtMs, NOW + 7_200_000);
      const before = Math.min(lastMs - 1, Math.floor(NOW + at * (lastMs - NOW)));
      assert.equal(keyOf(shareTraffic({ ...input, nowMs: Math.max(NOW, before) })), keyOf(now));
      assert.equal(keyOf(shareTraffic({ ...input, nowMs: lastMs - 1 })), keyOf(now));
      if (changesAtMs < Infinity) assert.notEqual(keyOf(shareTraffic({ ...input, nowMs: changesAtMs })), keyOf(now));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a ramp never decreases, and ends", () => {
  fc.assert(
    fc.property(anyPolicy, fc.boolean(), ms(5_000), (any, isHashed, ago) => {
      const nodes = [node("old"), node("new")];
      const sightings = seen(nodes, { new: { newSinceMs: NOW - ago } });
      const { slowStart, sources = [] } = any;
      // A weight of 0 has no ramp.
      const ramps = sources.map(({ source, slowStart }) => ({ source, slowStart }));
      const asked = {
        nodes,
        sightings,
        policy: policy({ slowStart, sources: ramps }),
        isHashed,
        sourceOf: () => "zoo",
      };
      let last = -1;
      let [nowMs, turns] = [NOW, 0];
      const isTwice = slowStart !== undefined && ramps.some((each) => each.slowStart !== undefined);
      for (; turns < 200; turns++) {
        const shares = share({ ...asked, nowMs });
        const weight = shares.nodes[1]?.weight ?? 0;
        assert(weight >= last);
        last = weight;
        if (shares.changesAtMs === Infinity) break;
        if (turns > 0) assert(shares.changesAtMs - nowMs >= STEP_MS, "one command a second at most");
        nowMs = shares.changesAtMs;
      }
      assert.equal(last, WEIGHT_MAX);
      assert(turns <= (isHashed ? (isTwice ? 6 : 5) : isTwice ? 130 : 65), `${turns}`);
    }),
    { numRuns: 300 },
  );
});

Deno.test("ends of overrides without effect are not all evaluated in advance, and none is missed", () => {
  const nodes = Array.from({ length: 1_000 }, (_, i) => node(`n${i}`, i === 0 ? {} : { state: "drain" }));
  const untilMs = (i: number) => NOW + 1_000 * (1_000 - i);
  const overrides = new Map(nodes.map((each, i) => [nodeName(each), [override("drain", { untilMs: untilMs(i) })]]));
  const ends: number[] = [];
  let nowMs = NOW;
  let last = share({ nodes, overrides });
  while (last.changesAtMs !== Infinity && last.nodes[0]?.state === "drain") {
    nowMs = last.changesAtMs;
    ends.push(nowMs);
    last = share({ nodes, overrides, nowMs });
  }
  assert.equal(nowMs, untilMs(0));
  assert(ends.length > 1, "the first answer did not look as far as the last end");
});

Deno.test("a weight of 0 % drains a node and leaves the other weights unchanged", () => {
  const nodes = [node("a"), node("b"), node("c", { weight: 3 })];
  const overrides = new Map([["a:80", [override("weight", { factor: 0, untilMs: NOW + 5_000 })]]]);
  const { nodes: shares, changesAtMs } = share({ nodes, overrides });
  assert.deepEqual(shares.map(({ state, weight }) => [state, weight]), [
    ["drain", undefined],
    ["ready", undefined],
    ["ready", 3],
  ]);
  assert.equal(changesAtMs, NOW + 5_000);
});
