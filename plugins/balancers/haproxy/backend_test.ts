import assert from "node:assert/strict";
import fc from "fast-check";
import { assignServerIds, backendTraits, isAtLeast, SERVER_ID_MAX } from "./backend.ts";

Deno.test.each([
  { lines: [], balance: "roundrobin", takesServers: true, placedById: false },
  { lines: ["balance leastconn"], balance: "leastconn", takesServers: true, placedById: false },
  { lines: ["balance first"], balance: "first", takesServers: true, placedById: false },
  { lines: ["balance sticky"], balance: "sticky", takesServers: true, placedById: false },
  { lines: ["balance random(2)"], balance: "random(2)", takesServers: true, placedById: true },
  { lines: ["balance static-rr"], balance: "static-rr", takesServers: false, placedById: false },
  { lines: ["balance source"], balance: "source", takesServers: false, placedById: false },
  { lines: ["balance uri", "hash-type consistent"], balance: "uri", takesServers: true, placedById: true },
  {
    lines: ["balance hdr(x) use_domain_only"],
    balance: "hdr(x) use_domain_only",
    takesServers: false,
    placedById: false,
  },
  { lines: ["hash-type consistent"], balance: "roundrobin", takesServers: true, placedById: false },
  {
    lines: ["balance uri", "hash-type consistent", "hash-type map-based"],
    balance: "uri",
    takesServers: false,
    placedById: false,
  },
])("backendTraits() of $lines knows whether servers can be added at run time", ({ lines, ...expected }) => {
  const { balance, takesServers, placedById } = backendTraits([], lines);
  assert.deepEqual({ balance, takesServers, placedById }, expected);
});

Deno.test("backendTraits() lets a backend's lines override those of defaults", () => {
  const traits = backendTraits(
    ["balance source", "hash-type consistent", "cookie SRV insert", "default-server inter 3s", "disabled"],
    ["balance uri", "default-server rise 1", "enabled"],
  );
  assert.equal(traits.balance, "uri");
  assert.equal(traits.placedById, true);
  assert.equal(traits.cookie, "keyword");
  assert.deepEqual(traits.defaultOptions, ["inter", "3s", "rise", "1"]);
  assert.equal(traits.disabled, false);
  assert.equal(backendTraits(["disabled"], []).disabled, true);
});

Deno.test("backendTraits() recognizes a hash without a hash type", () => {
  const lacks = (defaults: readonly string[], backend: readonly string[]) =>
    backendTraits(defaults, backend).lacksHashType;
  assert.deepEqual([
    lacks([], ["balance hdr(host)"]),
    lacks(["balance source"], []),
    lacks(["hash-type map-based"], ["balance uri"]),
    lacks([], ["balance uri", "hash-type consistent sdbm"]),
    lacks([], ["balance static-rr"]),
    lacks([], []),
  ], [true, true, false, false, false, false]);
});

Deno.test("backendTraits() knows the servers that the lines themselves define", () => {
  const { ownServers } = backendTraits([], ["server spare 10.0.0.9:80 id 7", "server-template t 1-3 10.0.0.8:80"]);
  assert.deepEqual(["spare", "t1", "t12", "t", "tx", "other"].map((name) => ownServers.has(name)), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  assert.deepEqual([...ownServers.ids], [7]);
});

Deno.test("assignServerIds() gives each name a unique id in any order, and keeps it when others join", () =>
  fc.assert(fc.property(fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 60 }), (names) => {
    const ids = assignServerIds(names, new Set([1, 2, 3]));
    assert.deepEqual(
      new Map([...ids].toSorted()),
      new Map([...assignServerIds(names.toReversed(), new Set([1, 2, 3]))].toSorted()),
    );
    assert.equal(new Set(ids.values()).size, names.length);
    for (const id of ids.values()) assert(id > 3 && id <= SERVER_ID_MAX);
  })));

Deno.test("assignServerIds() spreads names that differ in one digit, and resolves collisions", () => {
  const names = Array.from({ length: 5_000 }, (_, index) => `node${index}.int:8000`);
  const ids = [...assignServerIds(names, new Set()).values()];
  assert.equal(new Set(ids).size, names.length);
  // Each sixteenth of the range holds about a sixteenth of the names.
  const parts = Map.groupBy(ids, (id) => Math.floor(id / ((SERVER_ID_MAX + 1) / 16)));
  for (const [, part] of parts) assert(part.length > 200 && part.length < 430, `${part.length}`);
});

Deno.test("isAtLeast() compares versions, and an unknown one is less than any", () => {
  assert.deepEqual(
    [isAtLeast([2, 6, 0], 2, 6), isAtLeast([2, 10, 0], 2, 6), isAtLeast([3, 0, 0], 2, 6), isAtLeast([1, 9, 9], 2, 6)],
    [true, true, true, false],
  );
  assert.equal(isAtLeast(undefined, 0, 0), false);
});
