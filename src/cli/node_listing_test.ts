import assert from "node:assert/strict";
import type { Node } from "../model/node.ts";
import { changesOf, formatJson, formatNode, parseTemplate, selectNodes } from "./node_listing.ts";

function node(name: string, more: Partial<Node> = {}): Node {
  return { host: `${name}.int`, ip: "10.0.0.1", port: 80, metadata: {}, ...more };
}

const OWN = { fqdn: "a.int", ip: "10.0.0.9", addresses: ["10.0.0.9", "10.1.0.9"] };

Deno.test("others leaves out this host's nodes by name, by address and by any address of its interfaces", () => {
  const others = node("d", { ip: "10.0.0.4" });
  const nodes = [node("a"), node("b", { ip: "10.0.0.9" }), node("c", { ip: "10.1.0.9" }), others];
  assert.deepEqual(selectNodes(nodes, { without: OWN, one: false }), [others]);
});

Deno.test("one is the first ready node by name, and a draining one only if none is ready", () => {
  const [a, b, c] = [node("a", { state: "drain" }), node("b", { state: "ready" }), node("c")];
  assert.deepEqual(selectNodes([c, b, a], { one: true }), [b]);
  assert.deepEqual(selectNodes([a], { one: true }), [a]);
  assert.deepEqual(selectNodes([], { one: true }), []);
});

Deno.test("changes list removed, added and changed nodes", () => {
  const heavier = node("b", { weight: 2 });
  assert.deepEqual(changesOf([node("a"), node("b"), node("c")], [heavier, node("c"), node("d")]), [
    { sign: "-", node: node("a") },
    { sign: "~", node: heavier },
    { sign: "+", node: node("d") },
  ]);
});

Deno.test.each([
  { template: "{ip}:{port}", line: "10.0.0.1:80" },
  { template: "{address} {name} {state} {weight}.", line: "10.0.0.1:80 a.int:80 ready 5." },
  { template: "{host}\\t{labels.rack}|{metadata.color}|{metadata.more}", line: 'a.int\tr1|\\u001b[31mred|{"x":1}' },
  { template: "{zone}{labels.none}{metadata.constructor}{priority}", line: "" },
])("template $template", ({ template, line }) => {
  const parsed = parseTemplate(template);
  assert.ok(parsed);
  const said = { weight: 5, labels: { rack: "r1" }, metadata: { color: "\u001b[31mred", more: { x: 1 } } };
  assert.equal(formatNode(node("a", said), parsed), line);
});

Deno.test("a template without a field, with an unknown field or an unmatched brace is rejected", () => {
  for (const text of ["", "plain", "{nothing}", "{ip", "ip}", "{ip}}", "{metadata.}", "{toString}"]) {
    assert.equal(parseTemplate(text), undefined, text);
  }
});

Deno.test("a line without a template has the fields that are not the default", () => {
  assert.equal(formatNode(node("a"), undefined), "10.0.0.1:80 a.int");
  const said = node("a", { ip: "fd00::1", state: "drain", weight: 0, zone: "eu-1", priority: 1 });
  assert.equal(formatNode(said, undefined), "[fd00::1]:80 a.int state=drain weight=0 zone=eu-1 priority=1");
});

Deno.test("JSON output has no control characters of terminals", () => {
  const value = { text: "\u001b[31m\u009b\u202e" };
  const line = formatJson(value);
  assert.match(line, /^[\x20-\x7e]+$/);
  assert.deepEqual(JSON.parse(line), value);
});
