import assert from "node:assert/strict";
import fc from "fast-check";
import { FORMAT_NAMES, formatIn, type FormatSection } from "../../plugins/discovery/formats/table.ts";
import { decodeNode, encodeNode } from "../../plugins/discovery/node_json.ts";
import { nodeName, parseNode } from "../../src/model/node.ts";
import { nearly, RUNS } from "./mutation.ts";

const GOOD = new TextDecoder().decode(encodeNode({
  host: "web-1.example.com",
  ip: "10.0.0.1",
  port: 8000,
  peer: { name: "web-1.example.com", ip: "10.0.0.1", port: 1024 },
  metadata: { rack: "b2", tags: ["a", 1, null, { deep: true }] },
}));

/** What may stand in a config line and in a socket command as one word. */
const ONE_WORD = /^[A-Za-z0-9._:\-]+$/;

function check(bytes: Uint8Array): void {
  const parsed = decodeNode(bytes);
  if (!parsed.ok) return void assert.ok(parsed.reason.length > 0);
  const { node } = parsed;
  for (const word of [nodeName(node), node.ip, node.peer?.name ?? "none", node.peer?.ip ?? "none"]) {
    assert.match(word, ONE_WORD);
  }
  assert.ok(Number.isInteger(node.port) && node.port >= 1 && node.port <= 65_535);
  // What is read is what would be written, so that nothing hides in it.
  assert.deepEqual(decodeNode(encodeNode(node)), parsed);
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
}

Deno.test("an almost valid znode payload is a harmless node, or is rejected with a reason", () => {
  const payload = nearly(GOOD, GOOD.replaceAll('"', "'"), "{}", "[]", "");
  fc.assert(fc.property(payload, (text) => check(new TextEncoder().encode(text))), { numRuns: RUNS });
});

Deno.test("parsing any bytes of a znode does not throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => check(bytes)), { numRuns: RUNS });
});

/** A good value of each format; what is nearly one comes closest to being taken for one. */
const VALUES = [
  "10.0.0.1:8000",
  JSON.stringify({ host: "10.0.0.1", port: 8000, name: "i-1", weight: 5, haproxy_server_options: "weight 7 backup" }),
  JSON.stringify({
    status: "ALIVE",
    serviceEndpoint: { host: "10.0.0.1", port: 8000 },
    additionalEndpoints: { http: { host: "10.0.0.2", port: 81 }, __proto__: { host: "::1", port: 1 } },
    shard: 1,
    metadata: { weight: "5", zone: "a" },
  }),
  JSON.stringify({ address: "10.0.0.1", port: 8000, payload: { metadata: { instance_status: "UP", weight: "5" } } }),
  JSON.stringify({ address: { ip: "10.0.0.1", port: 5050 }, version: "1.11.0" }),
  JSON.stringify({ ip: "10.0.0.1", port: 8000, h: "a.example", w: 5, s: "drain", l: { a: "b" }, m: { __proto__: 1 } }),
];

const SECTIONS: readonly FormatSection[] = FORMAT_NAMES.flatMap((format): readonly FormatSection[] => [
  { format },
  {
    format,
    port: 80,
    endpoint: "http",
    fields: { ip: "ip", port: "port", host: "h", weight: "w", state: "s", labels: "l", metadata: "m" },
  },
]);

function checkEntry(section: FormatSection, name: string, data: Uint8Array): void {
  const { node, fault } = formatIn(section, "web").read(name, data);
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
  assert.equal(({} as Record<string, unknown>).host, undefined);
  if (node === undefined) return void assert.ok(fault === undefined || (fault.length > 0 && fault.length < 1_000));
  for (const word of [nodeName(node), node.ip]) assert.match(word, ONE_WORD);
  // What the host validates again is what was read, to the last label.
  assert.deepEqual(parseNode(node), { ok: true, node });
}

Deno.test("an entry with any content, in any format, is a harmless node, is no node, or is rejected with a reason", () => {
  const name = fc.oneof(
    fc.string(),
    fc.string().map((text) => `member_${text}`),
    fc.string().map((text) => `base64_${text.length}_${text}_0000000001`),
    nearly("10.0.0.1:80", "base64_24_eyJob3N0IjoiMTAuMC4wLjEi_0000000001"),
  );
  const data = fc.oneof(
    nearly(...VALUES).map((text) => new TextEncoder().encode(text)),
    fc.uint8Array({ maxLength: 400 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
  );
  const entry = fc.property(fc.constantFrom(...SECTIONS), name, data, checkEntry);
  fc.assert(entry, { numRuns: SECTIONS.length * RUNS });
});

Deno.test("whatever the names of entries are, a format selects some of them", () => {
  const names = fc.array(fc.oneof(fc.string(), fc.constantFrom("member_1", "json.info_0000000001", "__proto__")));
  fc.assert(
    fc.property(fc.constantFrom(...SECTIONS), names, (section, given) => {
      const selected = formatIn(section, "web").select?.(given) ?? given;
      assert.ok(selected.every((each) => given.includes(each)));
    }),
    { numRuns: RUNS },
  );
});
