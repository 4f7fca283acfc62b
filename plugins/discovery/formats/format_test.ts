import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node } from "../../../mod.ts";
import { FORMAT_NAMES, formatOf } from "./format.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test.each(
  [
    { format: "address", name: "anything", value: "10.0.0.5:8080", wanted: "10.0.0.5:8080" },
    { format: "address", name: "anything", value: " [::1]:8080\n", wanted: "::1:8080" },
    { format: "address", name: "anything", value: "10.0.0.5", port: 80, wanted: "10.0.0.5:80" },
    { format: "address", name: "anything", value: "10.0.0.5:81", port: 80, wanted: "10.0.0.5:81" },
    { format: "key", name: "10.0.0.5", value: "", port: 80, wanted: "10.0.0.5:80" },
    { format: "key", name: "10.0.0.5:81", value: "up", wanted: "10.0.0.5:81" },
    { format: "key", name: "::1", value: "up", port: 80, wanted: "::1:80" },
  ] as const,
)("$format reads $name with $value as $wanted", ({ format, name, value, wanted, ...rest }) => {
  const { node, fault } = formatOf(format, "port" in rest ? rest.port : undefined).read(name, bytes(value));
  assert.equal(fault, undefined);
  assert.equal(`${node?.ip}:${node?.port}`, wanted);
  assert.equal(node?.host, node?.ip);
});

Deno.test.each(
  [
    { format: "address", value: "10.0.0.5" },
    { format: "address", value: "web.example:80" },
    { format: "address", value: "10.0.0.5:0" },
    { format: "address", value: "10.0.0.5:80; server evil" },
    { format: "address", value: "" },
    { format: "key", value: "10.0.0.5:80" },
  ] as const,
)("$format finds fault with $value", ({ format, value }) => {
  const { node, fault } = formatOf(format).read("web01", bytes(value));
  assert.equal(node, undefined);
  assert.match(fault ?? "", /^Cannot use the (?:entry|node) as/);
});

Deno.test("each format reads the address and the port that it wrote, under the name that it gave", () => {
  const node = fc.record({
    ip: fc.oneof(fc.ipV4(), fc.constantFrom("::1", "2001:db8::5")),
    port: fc.integer({ min: 1, max: 65_535 }),
  }).map(({ ip, port }): Node => ({ host: "web.example", ip, port, metadata: { a: 1 } }));
  fc.assert(fc.property(fc.constantFrom(...FORMAT_NAMES), node, (name, given) => {
    const format = formatOf(name, name === "lighthouse" ? undefined : 8080);
    const entry = format.write(given);
    assert.ok(entry !== undefined);
    assert.equal(entry.name, format.nameOf(given));
    const { node: read } = format.read(entry.name, entry.data);
    assert.deepEqual([read?.ip, read?.port], [given.ip, given.port]);
  }));
});

Deno.test("a node that drains has no entry where a format has no place for that", () => {
  const node: Node = { host: "web.example", ip: "10.0.0.5", port: 80, state: "drain", metadata: {} };
  assert.deepEqual(FORMAT_NAMES.map((name) => formatOf(name).write(node) !== undefined), [true, false, false]);
});
