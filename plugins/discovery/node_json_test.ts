import assert from "node:assert/strict";
import fc from "fast-check";
import type { Json, Node } from "../../mod.ts";
import { decodeNode, encodeNode, toPythonJson } from "./node_json.ts";

const PEER = { name: "localhost", ip: "127.0.0.1", port: 1024 };

/** A node as 1.0 wrote it in a run. */
const WRITTEN = String.raw`{"host": "localhost", "ip": "127.0.0.1", "metadata": "{\"role\": \"master\"}", ` +
  String.raw`"peer": "{\"ip\": \"127.0.0.1\", \"name\": \"localhost\", \"port\": 1024}", "port": 20101}`;

function nodeOf(metadata: Node["metadata"] = {}): Node {
  return { host: "localhost", ip: "127.0.0.1", port: 20101, peer: PEER, metadata };
}

function textOf(node: Node): string {
  return new TextDecoder().decode(encodeNode(node));
}

function decode(text: string): string {
  const parsed = decodeNode(new TextEncoder().encode(text));
  return parsed.ok ? JSON.stringify(parsed.node) : parsed.reason;
}

Deno.test("encodeNode() writes 1.0's bytes", () => {
  assert.equal(textOf(nodeOf({ role: "master" })), WRITTEN);
});

Deno.test("encodeNode() escapes metadata twice, as JSON within a string", () => {
  assert.match(
    textOf(nodeOf({ zone: "é", role: "master" })),
    /"metadata": "\{\\"role\\": \\"master\\", \\"zone\\": \\"\\\\u00e9\\"\}"/,
  );
});

Deno.test("encodeNode() leaves an absent peer out", () => {
  const { peer: _, ...node } = nodeOf();
  assert.equal(textOf(node), `{"host": "localhost", "ip": "127.0.0.1", "metadata": "{}", "port": 20101}`);
});

Deno.test.each([
  { value: "😀", python: String.raw`"\ud83d\ude00"` },
  { value: '\u0000\u0007\b\t\n\f\r\u007f\u2028"\\/', python: String.raw`"\u0000\u0007\b\t\n\f\r\u007f\u2028\"\\/"` },
  { value: { b: [1, true, null], a: {} }, python: `{"a": {}, "b": [1, true, null]}` },
  { value: { "\u{1f600}": 1, "\uffee": 2 }, python: String.raw`{"\uffee": 2, "\ud83d\ude00": 1}` },
  { value: [0.5, 1e-5, 1.5e-7, 0.0001, 1e21, 12345678901234567000, -3], python: null },
])("toPythonJson() of $value", ({ value, python }) => {
  const wanted = python ?? "[0.5, 1e-05, 1.5e-07, 0.0001, 1e+21, 12345678901234567000, -3]";
  assert.equal(toPythonJson(value as Json), wanted);
});

Deno.test("decodeNode() reads back what encodeNode() writes", () => {
  const metadata = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ noUnicodeString: false, maxDepth: 4 }), {
    maxKeys: 5,
  });
  fc.assert(fc.property(metadata, (metadata) => {
    const node = nodeOf(JSON.parse(JSON.stringify(metadata)));
    assert.deepEqual(decodeNode(encodeNode(node)), { ok: true, node });
  }));
});

Deno.test("decodeNode() never throws, whatever a registry contains", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.equal(decodeNode(bytes).ok, false);
  }));
  const anything = fc.oneof(fc.anything(), fc.constant("{}"), fc.ipV4(), fc.domain(), fc.integer());
  fc.assert(fc.property(fc.dictionary(fc.constantFrom("host", "ip", "port", "peer", "metadata"), anything), (value) => {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch {
      return; // A bigint or a cycle: JSON cannot express it.
    }
    const parsed = decodeNode(new TextEncoder().encode(text));
    if (!parsed.ok) assert.match(parsed.reason, /^Invalid node: /);
  }));
});

Deno.test.each([
  { what: "nothing", text: "", reason: /: empty/ },
  { what: "a text", text: "hello", reason: /not JSON/ },
  { what: "a list", text: "[1]", reason: /not a JSON object/ },
  { what: "no ip", text: `{"port": 1, "host": "a"}`, reason: /ip must be/ },
  { what: "a port out of range", text: `{"port": 70000, "ip": "10.0.0.1"}`, reason: /port must be/ },
  { what: "a command for a host", text: `{"port": 1, "ip": "10.0.0.1", "host": "a\\nquit"}`, reason: /host must be/ },
  { what: "half a peer", text: `{"port": 1, "ip": "10.0.0.1", "peer": "{}"}`, reason: /peer.name must be/ },
  { what: "no JSON for a peer", text: `{"port": 1, "ip": "10.0.0.1", "peer": "x"}`, reason: /peer must be/ },
  { what: "depth", text: "[".repeat(200_000), reason: /not JSON/ },
])("decodeNode() rejects $what", ({ text, reason }) => assert.match(decode(text), reason));

Deno.test("decodeNode() rejects bytes that are not UTF-8", () => {
  const parsed = decodeNode(Uint8Array.of(0x7b, 0xff, 0x7d));
  assert.equal(parsed.ok === false && parsed.reason, "Invalid node: not UTF-8");
});

Deno.test.each([
  {
    what: "a port in a string, no host and no peer",
    text: `{"ip": "10.0.0.1", "port": "80"}`,
    node: { host: "10.0.0.1", ip: "10.0.0.1", port: 80, metadata: {} },
  },
  {
    what: "a peer that is null and metadata that is not JSON",
    text: `{"ip": "10.0.0.1", "port": 80, "host": "a", "peer": null, "metadata": "x"}`,
    node: { host: "a", ip: "10.0.0.1", port: 80, metadata: {} },
  },
  {
    what: "plain objects, and keys that nobody knows",
    text:
      `{"ip": "10.0.0.1", "port": 80, "host": "a", "peer": {"name": "b", "ip": "10.0.0.2"}, "metadata": {"x": 1}, "y": 2}`,
    node: { host: "a", ip: "10.0.0.1", port: 80, metadata: { x: 1 }, peer: { name: "b", ip: "10.0.0.2", port: 1024 } },
  },
  {
    what: "metadata nested beyond reason, but not the node",
    text: `{"ip": "10.0.0.1", "port": 80, "metadata": {"x": ${"[".repeat(500)}${"]".repeat(500)}}}`,
    node: { host: "10.0.0.1", ip: "10.0.0.1", port: 80, metadata: {} },
  },
])("decodeNode() accepts $what", ({ text, node }) => assert.equal(decode(text), JSON.stringify(node)));

Deno.test("encodeNode() writes the optional keys beside those of 1.0, and none for a node without them", () => {
  const { peer: _, ...node } = nodeOf();
  assert.equal(
    textOf({ ...node, weight: 10, state: "drain", zone: "eu-1", labels: { tier: "gold" }, priority: 1 }),
    `{"host": "localhost", "ip": "127.0.0.1", "labels": {"tier": "gold"}, "metadata": "{}", "port": 20101, ` +
      `"priority": 1, "state": "drain", "weight": 10, "zone": "eu-1"}`,
  );
});

Deno.test("decodeNode() reads the optional keys that encodeNode() writes, with and without metadata", () => {
  const text = fc.string({ maxLength: 20 });
  const options = fc.record({
    weight: fc.integer({ min: 0, max: 256 }),
    state: fc.constantFrom("ready" as const, "drain" as const),
    zone: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
    labels: fc.dictionary(fc.string({ minLength: 1, maxLength: 20 }), text, { maxKeys: 4, noNullPrototype: true }),
    priority: fc.integer({ min: 0, max: 65_535 }),
  }, { requiredKeys: [] });
  fc.assert(fc.property(options, fc.boolean(), (options, withoutMetadata) => {
    const node = { ...nodeOf(), ...options };
    const decoded = decodeNode(encodeNode(node), { withoutMetadata });
    assert.ok(decoded.ok);
    assert.deepEqual(decoded.node, node);
  }));
});
