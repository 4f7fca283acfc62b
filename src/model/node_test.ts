import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { METADATA_LENGTH_MAX, type Node, nodeName, parseNode, parsePort } from "./node.ts";

const NODE = { host: "a.int", ip: "10.0.0.1", port: 80, metadata: {} };
const PEER = { name: "a.int", ip: "10.0.0.1", port: 1024 };

/** Characters that could break out of a config line, or a socket command. */
const BREAKOUT = /[^A-Za-z0-9._:-]/;

/** All strings of a node that a balancer writes. */
function textsOf({ host, ip, peer }: Node): readonly string[] {
  return [host, ip, ...peer === undefined ? [] : [peer.name, peer.ip]];
}

/** Nested lists. */
function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

function circle(): unknown {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}

/** A list that contains a list twice, which does so again, and so on: short to send, endless to write. */
function laughter(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value, value];
  return value;
}

Deno.test("parseNode() accepts a valid node unchanged, with its peer", () => {
  assert.deepEqual(parseNode(NODE), { ok: true, node: NODE });
  const whole = { ...NODE, ip: "fe80::1", peer: PEER, metadata: { zone: "é", list: [1, null, { a: true }] } };
  assert.deepEqual(parseNode(whole), { ok: true, node: whole });
});

Deno.test("parseNode() fills in fields that older tools omit", () => {
  assert.deepEqual(parseNode({ ip: "10.0.0.1", port: "8080" }), {
    ok: true,
    node: { host: "10.0.0.1", ip: "10.0.0.1", port: 8080, metadata: {} },
  });
  assert.deepEqual(parseNode({ host: null, ip: "::1", port: 1, metadata: null, peer: null }), {
    ok: true,
    node: { host: "::1", ip: "::1", port: 1, metadata: {} },
  });
  const parsed = parseNode({ ...NODE, peer: { name: "b", ip: "10.0.0.2" } });
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.node.peer, { name: "b", ip: "10.0.0.2", port: 1024 });
});

Deno.test.each([
  { key: "ip", put: (ip: string) => ({ ...NODE, ip }) },
  { key: "peer.ip", put: (ip: string) => ({ ...NODE, peer: { ...PEER, ip } }) },
])("parseNode() reports a host name in $key as unresolved", ({ key, put }) => {
  const parsed = parseNode(put("db.a.int"));
  assert.deepEqual(parsed, {
    ok: false,
    reason: `Invalid node: ${key} must be an IPv4 or IPv6 address; received the unresolved host name "db.a.int"`,
  });
  const digits = parseNode(put("10.0.0"));
  assert.ok(!digits.ok);
  assert.doesNotMatch(digits.reason, /host name/);
});

Deno.test("parseNode() drops unknown keys", () => {
  const parsed = parseNode({ ...NODE, extra: "server evil", peer: { ...PEER, extra: 1 } });
  assert.deepEqual(parsed, { ok: true, node: { ...NODE, peer: PEER } });
});

const HOSTILE = [
  ..."a b|a\nb|a\r\n  server evil 1.2.3.4:80|a;b|a\"b|a'b|a\\b|a#b|a\u0000|a\u001b[2J|a\u2028b|a/b|a,b|ä|-a|$(a)|a%b|{a}"
    .split("|"),
  "",
  " ",
  "a".repeat(254),
];
const NO_TEXTS: readonly unknown[] = [0, true, [], {}, ["a"], { toString: 1, valueOf: 1 }, 1n];

const FIELDS: readonly { readonly field: string; readonly put: (value: unknown) => unknown; readonly then: RegExp }[] =
  [
    { field: "host", put: (host) => ({ ...NODE, host }), then: /: host must be a host name; received / },
    { field: "ip", put: (ip) => ({ ...NODE, ip }), then: /: ip must be an IPv4 or IPv6 address; received / },
    { field: "port", put: (port) => ({ ...NODE, port }), then: /: port must be an integer from 1 to 65535; received / },
    {
      field: "peer.name",
      put: (name) => ({ ...NODE, peer: { ...PEER, name } }),
      then: /: peer.name must be a host name; received /,
    },
    {
      field: "peer.ip",
      put: (ip) => ({ ...NODE, peer: { ...PEER, ip } }),
      then: /: peer.ip must be an IPv4 or IPv6 address; received /,
    },
    {
      field: "peer.port",
      put: (port) => ({ ...NODE, peer: { ...PEER, port } }),
      then: /: peer.port must be an integer from 1 to 65535; received /,
    },
  ];

Deno.test.each(FIELDS)("parseNode() rejects every hostile $field, and quotes it harmlessly", ({ put, then }) => {
  for (const value of [...HOSTILE, ...NO_TEXTS]) {
    const parsed = parseNode(put(value));
    assert.ok(!parsed.ok, Deno.inspect(value));
    assert.match(parsed.reason, then);
    assert.doesNotMatch(parsed.reason, /[\p{Cc}\p{Zl}]/u);
    assert.ok(parsed.reason.length < 200);
  }
});

const REFUSALS: readonly { readonly why: string; readonly node: unknown; readonly then: RegExp }[] = [
  { why: "nothing", node: undefined, then: /a node must be an object; received undefined/ },
  { why: "null", node: null, then: /a node must be an object; received null/ },
  { why: "a list", node: [NODE], then: /a node must be an object/ },
  { why: "a string", node: "10.0.0.1:80", then: /a node must be an object/ },
  { why: "a peer that is a string", node: { ...NODE, peer: "{}" }, then: /peer must be an object/ },
  { why: "metadata that is a list", node: { ...NODE, metadata: [] }, then: /metadata must be a JSON object/ },
  { why: "metadata that is a string", node: { ...NODE, metadata: "{}" }, then: /metadata must be a JSON object/ },
  { why: "metadata with a big integer", node: { ...NODE, metadata: { a: 1n } }, then: /must be a JSON object/ },
  { why: "metadata with a map", node: { ...NODE, metadata: { a: new Map() } }, then: /must be a JSON object/ },
  { why: "metadata that is a map", node: { ...NODE, metadata: new Map() }, then: /must be a JSON object/ },
  { why: "metadata with a date", node: { ...NODE, metadata: { a: new Date(0) } }, then: /must be a JSON object/ },
  { why: "metadata with a hole", node: { ...NODE, metadata: { a: new Array(1) } }, then: /must be a JSON object/ },
  { why: "circular metadata", node: { ...NODE, metadata: circle() }, then: /must be a JSON object/ },
  { why: "metadata that is too deep", node: { ...NODE, metadata: { a: deep(1e5) } }, then: /must be a JSON object/ },
  { why: "metadata without an end", node: { ...NODE, metadata: { a: laughter(60) } }, then: /must be a JSON object/ },
  {
    why: "metadata that is too long",
    node: { ...NODE, metadata: { a: "x".repeat(METADATA_LENGTH_MAX) } },
    then: /metadata must be at most 65536 characters; received 65544 characters/,
  },
];

Deno.test.each(REFUSALS)("parseNode() rejects $why", ({ node, then }) => {
  const parsed = parseNode(node);
  assert.ok(!parsed.ok);
  assert.match(parsed.reason, then);
});

Deno.test("parseNode() ignores inherited keys", () => {
  const own = parseNode(JSON.parse(`{"__proto__": {"ip": "10.0.0.1", "port": 80}, "host": "a"}`));
  assert.ok(!own.ok);
  const parsed = parseNode(JSON.parse(
    `{"ip": "10.0.0.1", "port": 80, "metadata": {"__proto__": {"x": 1}, "constructor": 1, "toString": "x"},
      "peer": {"__proto__": {"port": 9}, "name": "b", "ip": "10.0.0.2"}}`,
  ));
  assert.ok(parsed.ok);
  assert.equal(parsed.node.peer?.port, 1024);
  assert.equal(JSON.stringify(parsed.node.metadata), `{"__proto__":{"x":1},"constructor":1,"toString":"x"}`);
  assert.equal(({} as { x?: unknown }).x, undefined);
});

Deno.test("parseNode() accepts nothing that could break out", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    { weight: 8, arbitrary: fc.domain() },
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom(...HOSTILE),
    fc.tuple(fc.domain(), fc.constantFrom("\n", " ", ";", "\t", '"', "\\", "\u0000", "#")).map(([a, b]) => a + b),
  );
  const address = fc.oneof({ weight: 4, arbitrary: fc.ipV4() }, { weight: 2, arbitrary: fc.ipV6() }, text);
  const port = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 65_535 }) },
    fc.integer(),
    fc.nat().map(String),
    fc.double(),
  );
  const node = fc.record({
    host: text,
    ip: address,
    port,
    metadata: fc.option(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 }), { nil: undefined }),
    peer: fc.option(fc.record({ name: text, ip: address, port }, { requiredKeys: ["name", "ip"] }), {
      nil: undefined,
    }),
  }, { requiredKeys: ["ip", "port"] });
  let passed = 0;
  fc.assert(
    fc.property(node, (given) => {
      const parsed = parseNode(given);
      if (!parsed.ok) return;
      passed++;
      for (const text of textsOf(parsed.node)) assert.doesNotMatch(text, BREAKOUT);
      assert.ok(isIP(parsed.node.ip) !== 0);
      assert.ok(Number.isInteger(parsed.node.port) && parsed.node.port > 0 && parsed.node.port < 65_536);
      assert.doesNotMatch(nodeName(parsed.node), BREAKOUT);
      // An accepted node is accepted again, unchanged: all hosts agree.
      assert.deepEqual(parseNode(parsed.node), parsed);
    }),
    { numRuns: 300 },
  );
  assert.ok(passed > 10, `${passed} of 300 nodes passed`);
});

Deno.test("parseNode() never throws", () => {
  const anything = fc.anything({ withBigInt: true, withMap: true, withNullPrototype: true, maxDepth: 2 });
  fc.assert(
    fc.property(anything, (value) => {
      for (const given of [value, { ...NODE, host: value }, { ...NODE, metadata: value }, { ...NODE, peer: value }]) {
        assert.equal(typeof parseNode(given).ok, "boolean");
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("nodeName() is unique: no two hosts and ports share one", () => {
  const host = fc.oneof(fc.domain(), fc.ipV6(), fc.ipV4());
  const port = fc.integer({ min: 1, max: 65_535 });
  fc.assert(fc.property(host, port, host, port, (a, portA, b, portB) => {
    const same = nodeName({ host: a, port: portA }) === nodeName({ host: b, port: portB });
    assert.equal(same, a === b && portA === portB);
  }));
});

Deno.test.each([
  { given: 80, then: 80 },
  { given: "80", then: 80 },
  { given: "00080", then: 80 },
  { given: "0", then: undefined },
  { given: "65536", then: undefined },
  { given: "080000", then: undefined },
  { given: " 80", then: undefined },
  { given: "8e1", then: undefined },
  { given: 80.5, then: undefined },
  { given: [80], then: undefined },
])("parsePort() of $given", ({ given, then }) => assert.equal(parsePort(given), then));

const OPTIONS = {
  weight: 256,
  state: "drain",
  zone: "eu-west-1a",
  labels: { tier: "gold" },
  priority: 0,
} as const;

Deno.test("parseNode() accepts the optional keys, sorts labels and treats null as absent", () => {
  const labels = { b: "2", a: "1" };
  const parsed = parseNode({ ...NODE, ...OPTIONS, labels });
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.node, { ...NODE, ...OPTIONS, labels });
  assert.equal(JSON.stringify(parsed.node.labels), `{"a":"1","b":"2"}`);
  const absent = { weight: null, state: null, zone: null, labels: null, priority: undefined };
  assert.deepEqual(parseNode({ ...NODE, ...absent }), { ok: true, node: NODE });
});

const BAD_OPTIONS: readonly { readonly key: string; readonly values: readonly unknown[]; readonly then: RegExp }[] = [
  {
    key: "weight",
    values: [-1, 257, 1.5, NaN, -0, "1", true, []],
    then: /: weight must be an integer from 0 to 256;/,
  },
  { key: "state", values: ["maint", "", 1, {}, ["drain"]], then: /: state must be "ready" or "drain";/ },
  { key: "zone", values: ["", "a b", "a/b", "ä", "x".repeat(65), 1], then: /zone must be 1 to 64 letters,/ },
  {
    key: "labels",
    values: [
      [],
      "a",
      new Map(),
      { a: 1 },
      { "": "x" },
      { a: "x\ny" },
      { "a\u202e": "x" },
      { a: "x".repeat(257) },
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])),
    ],
    then: /: labels must be an object of at most 64 strings of at most 256 printable characters;/,
  },
  { key: "priority", values: [-1, 65_536, 0.5, "0"], then: /: priority must be an integer from 0 to 65535;/ },
];

Deno.test.each(BAD_OPTIONS)(
  "parseNode() rejects a node with a bad $key, and names the key",
  ({ key, values, then }) => {
    for (const value of values) {
      const parsed = parseNode({ ...NODE, [key]: value });
      assert.ok(!parsed.ok, Deno.inspect(value));
      assert.match(parsed.reason, then);
      assert.doesNotMatch(parsed.reason, /[\p{Cc}\p{Cf}\p{Zl}]/u);
    }
  },
);

Deno.test("parseNode() accepts only optional keys in range", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.string(), fc.constantFrom("ready", "drain"));
  const number = fc.oneof(fc.integer({ min: -2, max: 300 }), fc.double());
  const given = fc.record({
    weight: fc.oneof(number, text),
    state: text,
    zone: text,
    labels: fc.dictionary(text, fc.oneof({ weight: 4, arbitrary: text }, number), { maxKeys: 3 }),
    priority: number,
  }, { requiredKeys: [] });
  fc.assert(fc.property(given, (options) => {
    const parsed = parseNode({ ...NODE, ...options });
    if (!parsed.ok) return;
    const { weight = 0, state = "ready", zone = "a", labels = {}, priority = 0 } = parsed.node;
    assert.ok(Number.isInteger(weight) && weight >= 0 && weight <= 256);
    assert.ok(state === "ready" || state === "drain");
    assert.match(zone, /^[A-Za-z0-9._-]{1,64}$/);
    for (const entry of Object.entries(labels).flat()) assert.doesNotMatch(entry, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    assert.ok(Number.isInteger(priority) && priority >= 0);
    // A node that crosses as JSON is accepted again, with the same JSON.
    const again = parseNode(JSON.parse(JSON.stringify(parsed.node)));
    assert.ok(again.ok);
    assert.equal(JSON.stringify(again.node), JSON.stringify(parsed.node));
  }));
});
