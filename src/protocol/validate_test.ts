import assert from "node:assert/strict";
import fc from "fast-check";
import { validate } from "./validate.ts";
import { KEYS_MAX, NODES_MAX } from "./values.ts";
import type { ToHost } from "./messages.ts";

const NODE = { host: "a.int", ip: "10.0.0.1", port: 80, metadata: {} };
const ERROR = { name: "Error", message: "no" };

/** Validates a message and returns its valid parts. */
function accept(data: unknown): ToHost {
  const validated = validate(data);
  assert.ok(validated.ok, validated.ok ? "" : validated.fault);
  return validated.message;
}

/** Validates an invalid message and returns the fault. */
function faultOf(data: unknown): string {
  const validated = validate(data);
  assert.ok(!validated.ok, Deno.inspect(data));
  return validated.fault;
}

/** Nested lists. */
function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

/** A list that contains the same list twice, which does so again, and so on. */
function laughter(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value, value];
  return value;
}

const MESSAGES: readonly ToHost[] = [
  { type: "loaded", kind: "check", apiVersion: 1, name: "http" },
  { type: "broken", error: ERROR },
  { type: "snapshot", snapshot: { cluster: "web", nodes: [NODE], exists: true, epoch: "1" } },
  { type: "lost", cluster: "web", error: ERROR },
  { type: "keys", stream: 1, entries: [{ key: "a", value: "\u0000 as it is" }], exists: true, epoch: "1" },
  { type: "keysLost", stream: 1, error: ERROR },
  { type: "ended", reason: "expired" },
  { type: "connection", state: "connected", detail: "" },
  { type: "connection", state: "disconnected", detail: "away" },
  { type: "log", instance: "zookeeper", level: "warn", message: "look", properties: { a: 1, b: true, c: "x" } },
  { type: "stopped" },
  { type: "pong", seq: 1 },
  { type: "pong", seq: 1, open: 16 },
  { type: "ack", seq: 2 },
  { type: "nack", seq: 3, error: ERROR },
  { type: "outcome", seq: 4, outcome: { status: "pass" }, tookMs: 1.5 },
  { type: "outcome", seq: 5, outcome: { status: "pass", detail: "200" }, tookMs: 0 },
  { type: "outcome", seq: 6, outcome: { status: "fail", reason: "500" }, tookMs: 0 },
  { type: "outcome", seq: 6, outcome: { status: "unknown", reason: "no open file is left" }, tookMs: 0 },
  { type: "described", seq: 7, config: { uri: "/", ca: undefined }, permissions: { net: ["a:80"], read: ["/x"] } },
  { type: "invalid", seq: 8, issues: [{ message: "no", path: ["a", 0], unknownKey: { known: ["b"] } }] },
  {
    type: "introduced",
    seq: 9,
    introduction: { kind: "check", apiVersion: 1, name: "x", summary: "", stability: "stable", example: { a: [1] } },
  },
  {
    type: "parsed",
    seq: 10,
    parsed: { code: "import './a.ts';", imports: [{ specifier: "./a.ts", start: 7, end: 15, line: 1, column: 8 }] },
  },
];

Deno.test.each(MESSAGES)("validate() accepts $type unchanged, and drops unknown keys", (message) => {
  assert.deepEqual(validate(message), { ok: true, message, refused: [] });
  assert.deepEqual(validate({ ...message, extra: "x" }), { ok: true, message, refused: [] });
});

Deno.test("validate() rejects every message with a missing key or a wrong type", () => {
  const OPTIONAL = ["detail", "properties", "config", "unknownKey"];
  for (const message of MESSAGES) {
    for (const key of Object.keys(message)) {
      if (OPTIONAL.includes(key) && message.type !== "connection") continue;
      const { [key]: _gone, ...rest } = message as Record<string, unknown>;
      const isOptional = message.type === "pong" && key === "open";
      for (
        const spoilt of [...isOptional ? [] : [rest], { ...rest, [key]: Symbol.iterator }, { ...rest, [key]: null }]
      ) {
        const validated = validate(spoilt);
        // A wrong outcome is a failure of the check, not of its worker.
        if (key === "outcome") assert.ok(validated.ok && validated.message.type === "outcome");
        else assert.ok(!validated.ok, `${message.type} with a spoilt ${key}`);
      }
    }
  }
});

const FAULTS: readonly { readonly why: string; readonly data: unknown; readonly fault: RegExp }[] = [
  { why: "no object", data: "hello", fault: /A message must be an object; received "hello"/ },
  { why: "nothing", data: undefined, fault: /must be an object/ },
  { why: "a list", data: [{ type: "pong" }], fault: /must be an object/ },
  { why: "an unknown type", data: { type: "root" }, fault: /Unknown message type: "root"/ },
  { why: "a type that any object has", data: { type: "toString" }, fault: /Unknown message type/ },
  { why: "a type by inheritance", data: JSON.parse('{"__proto__":{"type":"stopped"}}'), fault: /Unknown message type/ },
  {
    why: "a number that is none",
    data: { type: "ack", seq: NaN },
    fault: /seq must be a number; received NaN/,
  },
  ...[NaN, Infinity, -Infinity, 1n, "1", null].flatMap((value) => [
    { why: `${value} as seq`, data: { type: "pong", seq: value }, fault: /seq must be a number/ },
    {
      why: `${value} as tookMs`,
      data: { type: "outcome", seq: 1, outcome: { status: "pass" }, tookMs: value },
      fault: /tookMs must be a number/,
    },
  ]),
  { why: "a permission that cannot be said", data: described({ ffi: ["/x"] }), fault: /permission "ffi"/ },
  {
    why: "a permission of everything",
    data: described({ net: true }),
    fault: /net must be a list; received true/,
  },
  { why: "a permission with a hole", data: described({ net: new Array(1) }), fault: /net must be a string/ },
  {
    why: "too many permissions",
    data: described({ net: new Array(1_001).fill("a:1") }),
    fault: /at most 1000 entries; received 1001/,
  },
  {
    why: "a permission that would be cut",
    data: described({ read: [`/${"x".repeat(3_000)}`] }),
    fault: /read must be a string/,
  },
  { why: "a permission with a control", data: described({ read: ["/a\n/b"] }), fault: /without control characters/ },
  { why: "a config with a big integer", data: described({}, { a: 1n }), fault: /config must be JSON data/ },
  { why: "a config with a map", data: described({}, { a: new Map() }), fault: /config must be JSON data/ },
  { why: "a config that is too deep", data: described({}, deep(1e5)), fault: /config must be JSON data/ },
  { why: "a config without an end", data: described({}, laughter(60)), fault: /config must be JSON data/ },
  {
    why: "issues with a hole",
    data: { type: "invalid", seq: 1, issues: new Array(2) },
    fault: /An issue must be an object/,
  },
  {
    why: "too many nodes",
    data: snapshotOf(new Array(NODES_MAX + 1)),
    fault: /nodes must have at most 100000 entries/,
  },
  { why: "too many keys", data: keysOf(new Array(KEYS_MAX + 1)), fault: /entries must have at most 10000 entries/ },
  { why: "a key that is none", data: keysOf([{ key: 1, value: "" }]), fault: /key must be a string/ },
  {
    why: "a long key",
    data: keysOf([{ key: "x".repeat(2_001), value: "" }]),
    fault: /key must be a string of at most/,
  },
  { why: "a value that is none", data: keysOf([{ key: "a", value: {} }]), fault: /The value of "a" must be a string/ },
  {
    why: "keys in another order",
    data: keysOf([{ key: "b", value: "" }, { key: "a", value: "" }]),
    fault: /entries must be sorted by key: "a" is after "b"/,
  },
  { why: "nodes that are no list", data: snapshotOf({ length: 1 }), fault: /nodes must be a list/ },
  {
    why: "an unknown level",
    data: { type: "log", instance: "x", level: "error", message: "" },
    fault: /Unknown log level/,
  },
  { why: "an unknown state", data: { type: "connection", state: "up", detail: "" }, fault: /Unknown connection state/ },
];

function described(permissions: unknown, config: unknown = {}): unknown {
  return { type: "described", seq: 1, config, permissions };
}

function keysOf(entries: unknown): unknown {
  return { type: "keys", stream: 1, entries, exists: true, epoch: "1" };
}

function snapshotOf(nodes: unknown): unknown {
  return { type: "snapshot", snapshot: { cluster: "web", nodes, exists: true, epoch: "1" } };
}

Deno.test.each(FAULTS)("validate() rejects $why", ({ data, fault }) => {
  assert.match(faultOf(data), fault);
  assert.ok(faultOf(data).length < 300);
});

Deno.test("validate() leaves out invalid and duplicate nodes, and names them", () => {
  const validated = validate(snapshotOf([
    { ...NODE, host: "b.int" },
    { ...NODE, host: "evil\n  server x" },
    NODE,
    { ...NODE, ip: "10.0.0.9" },
    ,
    { ...NODE, port: 8080 },
    "10.0.0.1",
  ]));
  assert.ok(validated.ok && validated.message.type === "snapshot");
  assert.deepEqual(
    validated.message.snapshot.nodes.map(({ host, ip, port }) => `${host} ${ip} ${port}`),
    [
      "a.int 10.0.0.1 80",
      "a.int 10.0.0.1 8080",
      "b.int 10.0.0.1 80",
    ],
  );
  assert.equal(validated.refused.length, 4);
  assert.match(validated.refused.join("\n"), /Two nodes have the same name, a\.int:80/);
});

Deno.test("validate() sorts nodes by name", () => {
  const nodes = Array.from({ length: 20 }, (_, i) => ({ ...NODE, host: `${"cba"[i % 3]}${i}.int`, port: 80 + i % 2 }));
  const sorted = accept(snapshotOf(nodes));
  fc.assert(fc.property(fc.shuffledSubarray(nodes, { minLength: nodes.length }), (shuffled) => {
    assert.deepEqual(accept(snapshotOf(shuffled)), sorted);
  }));
});

Deno.test.each([
  { answer: undefined },
  { answer: "pass" },
  { answer: { status: "ok" } },
  { answer: { status: true } },
  { answer: [] },
])("validate() turns the outcome $answer into a failure that quotes it", ({ answer }) => {
  const message = accept({ type: "outcome", seq: 1, outcome: answer, tookMs: 1 });
  assert.ok(message.type === "outcome" && message.outcome.status === "fail");
  assert.match(message.outcome.reason, /^invalid outcome .*: must be \{ status: "pass" \| "fail" \| "unknown" \}$/);
});

Deno.test("validate() removes what could forge a log line from every string, and truncates it", () => {
  const evil = "a\r\nERROR forged\u001b[2J\u009b1m\u0000\u2028";
  const long = "x".repeat(10_000);
  const message = accept({
    type: "log",
    instance: evil,
    level: "info",
    message: evil + long,
    properties: { [evil]: evil, [`z${long}`]: long, big: 1n, list: [evil], none: undefined, map: new Map() },
  });
  assert.ok(message.type === "log");
  const texts = [message.instance, message.message, ...Object.entries(message.properties).flat().map(String)];
  for (const text of texts) {
    assert.doesNotMatch(text, /[\p{Cc}\u2028\u2029]/u);
    assert.ok(text.length <= 2_000);
  }
  assert.deepEqual(Object.keys(message.properties)[0], "a ERROR forged [2J 1m ");
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i]));
  const cut = accept({ type: "log", instance: "", level: "info", message: "", properties: many });
  assert.ok(cut.type === "log");
  assert.equal(Object.keys(cut.properties).length, 20);
});

Deno.test("validate() never throws, for any message", () => {
  const anything = fc.anything({
    withBigInt: true,
    withMap: true,
    withSet: true,
    withDate: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
    maxDepth: 2,
  });
  fc.assert(
    fc.property(fc.constantFrom(...MESSAGES), anything, fc.nat(), (message, value, at) => {
      const keys = Object.keys(message);
      const spoilt = { ...message, [keys[at % keys.length] ?? "type"]: value };
      for (
        const data of [value, spoilt, snapshotOf(value), snapshotOf([value]), described(value), described({}, value)]
      ) {
        const validated = validate(data);
        if (!validated.ok) assert.ok(validated.fault.length < 300, validated.fault);
      }
    }),
    { numRuns: 100 },
  );
  fc.assert(fc.property(fc.jsonValue(), (value) => void validate(value)));
});
