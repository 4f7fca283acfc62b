import assert from "node:assert/strict";
import fc from "fast-check";
import {
  isTarget,
  keyOfOrder,
  localDrainOf,
  nextEndMs,
  NO_ORDERS,
  type NodesOverride,
  type Orders,
  ordersAt,
  overridesOf,
  parseOrders,
  pauseOf,
} from "./override.ts";

const SAID = { author: "alice", reason: "", sinceMs: 1_000 };
const NODE = { host: "web1.test", ip: "10.0.0.1", port: 80 };

function drain(target: string, more: Partial<NodesOverride> = {}): NodesOverride {
  return { ...SAID, cluster: "web", target, kind: "drain", ...more };
}

/** What is said of a node, in the order in which it counts. */
function said(overrides: readonly NodesOverride[], cluster = "web", node = NODE): readonly string[] {
  const of = overridesOf(overrides, cluster, [node]).get(`${node.host}:${node.port}`) ?? [];
  return of.map(({ kind, factor }) => factor === undefined ? kind : `${kind} ${factor}`);
}

Deno.test.each([
  { target: "web1.test:80", meant: true },
  { target: "10.0.0.1:80", meant: true },
  { target: "web1.test", meant: true },
  { target: "10.0.0.1", meant: true },
  { target: "web1.test:81", meant: false },
  { target: "10.0.0.1:8080", meant: false },
  { target: "web1", meant: false },
])("overridesOf() finds the overrides of $target: $meant", ({ target, meant }) => {
  assert.deepEqual(said([drain(target)]), meant ? ["drain"] : []);
  assert.deepEqual(said([drain(target)], "api"), []);
});

Deno.test("overridesOf() finds an IPv6 node by its address in brackets", () => {
  const node = { host: "web1.test", ip: "2001:db8::1", port: 80 };
  assert.deepEqual(said([drain("[2001:db8::1]:80"), drain("2001:db8::1")], "web", node), ["drain", "drain"]);
  assert.deepEqual(said([drain("[2001:db8::1]:81")], "web", node), []);
});

Deno.test("overridesOf() returns the newest override of a node last, after those of its host", () => {
  const overrides = [
    drain("web1.test:80", { kind: "weight", factor: 0.5 }),
    drain("10.0.0.1:80", { kind: "weight", factor: 2 }),
    drain("web1.test", { kind: "maint" }),
  ];
  assert.deepEqual(said(overrides), ["maint", "weight 0.5", "weight 2"]);
});

Deno.test("overridesOf() does not compare each override with each node", () => {
  let reads = 0;
  const overrides = Array.from({ length: 200 }, (_, i) => ({
    ...drain(""),
    get target() {
      reads++;
      return `n${i}.test:80`;
    },
  }));
  const nodes = Array.from({ length: 200 }, (_, i) => ({ host: `n${i}.test`, ip: `10.0.0.${i}`, port: 80 }));
  assert.equal(overridesOf(overrides, "web", nodes).size, 200);
  assert(reads < 20 * overrides.length, `${reads} reads`);
});

Deno.test("pauseOf() and localDrainOf() prefer an order for one to an order for all", () => {
  const pauses = [{ ...SAID }, { ...SAID, balancer: "edge", reason: "of its own" }];
  assert.equal(pauseOf(pauses, "edge")?.reason, "of its own");
  assert.equal(pauseOf(pauses, "other"), pauses[0]);
  assert.equal(pauseOf([], "edge"), undefined);
  const local = [{ ...SAID, how: "drain" as const }, { ...SAID, service: "web", how: "deregister" as const }];
  assert.deepEqual([localDrainOf(local, "web")?.how, localDrainOf(local, "api")?.how], ["deregister", "drain"]);
});

Deno.test("ordersAt() drops expired orders, and nextEndMs() returns the next expiry", () => {
  const orders: Orders = {
    overrides: [drain("a.test"), drain("b.test", { untilMs: 5_000 })],
    pauses: [{ ...SAID, untilMs: 3_000 }],
    local: [],
  };
  assert.equal(nextEndMs(orders), 3_000);
  assert.equal(ordersAt(orders, 2_999).pauses.length, 1);
  assert.deepEqual(ordersAt(orders, 3_000).pauses, []);
  assert.deepEqual(ordersAt(orders, 5_000).overrides.map(({ target }) => target), ["a.test"]);
  assert.equal(nextEndMs(ordersAt(orders, 5_000)), Infinity);
  assert.equal(nextEndMs(NO_ORDERS), Infinity);
});

const statement = fc.record({
  author: fc.constantFrom("alice", "bob (sudo)", "ünïcode"),
  reason: fc.constantFrom("", "kernel update", "disk"),
  sinceMs: fc.nat(),
}).chain((base) =>
  fc.record({ untilMs: fc.nat() }, { requiredKeys: [] })
    .map((more) => ({ ...base, ...more }))
);
const target = fc.constantFrom("a.test", "a.test:80", "10.0.0.1", "10.0.0.1:80", "::1", "[::1]:80", "::1:80");
const cluster = fc.constantFrom("web", "__proto__");
const orders: fc.Arbitrary<Orders> = fc.record({
  overrides: fc.array(
    fc.tuple(
      statement,
      cluster,
      target,
      fc.oneof(
        fc.record({ kind: fc.constantFrom("drain" as const, "maint" as const) }),
        fc.record({ kind: fc.constant("weight" as const), factor: fc.double({ min: 0, max: 10, noNaN: true }) }),
      ),
    ).map(([said, cluster, target, what]) => ({ ...said, cluster, target, ...what })),
  ),
  pauses: fc.array(
    fc.tuple(statement, fc.option(cluster, { nil: undefined })).map(([said, balancer]) => ({
      ...said,
      ...balancer !== undefined && { balancer },
    })),
  ),
  local: fc.array(
    fc.tuple(
      statement,
      fc.option(cluster, { nil: undefined }),
      fc.constantFrom("drain" as const, "deregister" as const),
    )
      .map(([said, service, how]) => ({ ...said, how, ...service !== undefined && { service } })),
  ),
});

Deno.test("parseOrders() reads any orders back from JSON", () =>
  fc.assert(fc.property(orders, (orders) => {
    const plain = JSON.parse(JSON.stringify(orders));
    assert.deepEqual(JSON.parse(JSON.stringify(parseOrders(plain))), plain);
  })));

Deno.test("parseOrders() rejects orders with an invalid part", () =>
  fc.assert(fc.property(fc.json({ noUnicodeString: false }), (text) => {
    const good = drain("a.test");
    const value = JSON.parse(text);
    for (const part of ["author", "cluster", "target", "kind", "reason", "sinceMs"]) {
      const parsed = parseOrders({ ...NO_ORDERS, overrides: [{ ...good, [part]: value }] });
      for (const each of parsed?.overrides ?? []) {
        assert.ok(isTarget(each.target) && typeof each.cluster === "string" && Number.isFinite(each.sinceMs));
      }
    }
    assert.equal(parseOrders(value), undefined);
  })));

Deno.test.each([
  { what: "an author of two lines", change: { author: "alice\nbob" } },
  { what: "no author", change: { author: "" } },
  { what: "a reason with characters that reverse text", change: { reason: "\u202e" } },
  { what: "a target that is a config line", change: { target: "web1\n\tserver x 10.6.6.6:80" } },
  { what: "a weight without a factor", change: { kind: "weight" } },
  { what: "a factor beyond the largest", change: { kind: "weight", factor: 10.5 } },
  { what: "another kind", change: { kind: "ready" } },
])("parseOrders() rejects $what", ({ change }) => {
  assert.equal(parseOrders({ ...NO_ORDERS, overrides: [{ ...drain("a.test"), ...change }] }), undefined);
});

Deno.test("keyOfOrder() distinguishes orders by their subject", () => {
  const keys = [
    drain("a.test"),
    drain("a.test", { cluster: "api" }),
    drain("a.test:80"),
    drain("a.test", { kind: "weight", factor: 5 }),
    { ...SAID },
    { ...SAID, balancer: "null" },
  ].map(keyOfOrder);
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(keyOfOrder(drain("a.test")), keyOfOrder(drain("a.test", { kind: "maint" })));
});
