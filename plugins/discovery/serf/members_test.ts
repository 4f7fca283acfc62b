import assert from "node:assert/strict";
import fc from "fast-check";
import { formatPorts, type Member, parsePorts, readMembers, select } from "./members.ts";

function member(name: string, tags: Readonly<Record<string, string>>, status = "alive"): Member {
  return { name, ip: "10.0.0.1", tags: new Map(Object.entries(tags)), status };
}

const WEB = { tags: new Map(), portTag: "web" };

Deno.test.each([
  { bytes: [10, 0, 0, 1], wanted: "10.0.0.1" },
  { bytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1], wanted: "10.0.0.1" },
  { bytes: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], wanted: "2001:db8::1" },
  { bytes: [1, 2, 3], wanted: "" },
])("readMembers() reads the address $bytes", ({ bytes, wanted }) => {
  const [first] = readMembers({
    Members: [{ Name: "a", Addr: new Uint8Array(bytes), Status: "alive", Tags: { a: "b" } }],
  });
  assert.deepEqual(first, { name: "a", ip: wanted, tags: new Map([["a", "b"]]), status: "alive" });
});

Deno.test("readMembers() throws at an invalid list of members", () => {
  for (
    const answer of [undefined, {}, { Members: 5 }, { Members: [{}] }, { Members: [{ Name: "a", Status: "alive" }] }]
  ) {
    assert.throws(() => readMembers(answer), /nvalid response from the serf agent/);
  }
});

Deno.test.each([
  { status: "alive", wanted: ["a:80"] },
  { status: "leaving", wanted: ["a:80 drain"] },
  { status: "left", wanted: [] },
  { status: "failed", wanted: [] },
  { status: "none", wanted: [] },
])("a member that is $status is $wanted, and known", ({ status, wanted }) => {
  const { nodes, exists } = select([member("a", { web: "80" }, status)], WEB);
  assert.deepEqual(nodes.map(({ host, port, state }) => `${host}:${port}${state ? ` ${state}` : ""}`), wanted);
  assert.ok(exists);
});

Deno.test("parsePorts() reads what formatPorts() writes, and no other text", () => {
  const port = fc.record({
    port: fc.integer({ min: 1, max: 65_535 }),
    owner: fc.option(fc.stringMatching(/^[0-9a-z]{1,16}$/), { nil: undefined }),
    isDraining: fc.boolean(),
  }, { noNullPrototype: true });
  fc.assert(fc.property(fc.uniqueArray(port, { minLength: 1, selector: (each) => each.port }), (ports) => {
    assert.deepEqual(parsePorts(formatPorts(ports)), ports.toSorted((a, b) => a.port - b.port));
  }));
  for (const text of ["", "0", "65536", "80,", "80/down", "80@", "80@A", "-1", "8e1", "80 81"]) {
    assert.equal(parsePorts(text), undefined);
  }
  assert.equal(formatPorts([]), "");
});

Deno.test("whatever members announce, the selection is valid, and no other member is left out for it", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("80", "__proto__", "web", "a.example", "80; server x"),
  );
  const hostile = fc.record({
    name: text,
    ip: text,
    tags: fc.array(fc.tuple(text, text), { maxLength: 80 }).map((tags) => new Map(tags)),
    status: fc.constantFrom("alive", "leaving", "failed", "odd"),
  });
  fc.assert(fc.property(fc.array(hostile, { maxLength: 5 }), (members) => {
    const { nodes } = select([...members, member("good.example", { web: "8000" })], WEB);
    assert.ok(nodes.some(({ host, port }) => host === "good.example" && port === 8000));
    for (const { host } of nodes) assert.match(host, /^[\w.:-]+$/);
  }));
});
