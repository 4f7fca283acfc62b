import assert from "node:assert/strict";
import fc from "fast-check";
import { haproxyCluster, haproxyConfig } from "../../../tests/support/haproxy.ts";
import type { Node } from "../../../mod.ts";
import { render, structureMark } from "./render.ts";
import type { HaproxyWanted } from "./config.ts";
import { wantedNode } from "../../../src/membership/wanted.ts";

const CONFIG = haproxyConfig({
  config_file: "/etc/haproxy.cfg",
  socket_file: "/run/haproxy.sock",
  pid_file: "/run/haproxy.pid",
  defaults: ["mode http"],
  meta_clusters: { api: { port: 8888 } },
});

const peer = fc.record({
  name: fc.constantFrom("a.int", "b.int", "lb.test"),
  ip: fc.constantFrom("10.0.0.1", "10.0.0.2"),
  port: fc.constantFrom(1024, 1025),
});
const node: fc.Arbitrary<Node> = fc.record({
  host: fc.constantFrom("a.int", "b.int", "c.int"),
  ip: fc.constantFrom("10.0.0.1", "10.0.0.2"),
  port: fc.constantFrom(80, 81),
  peer: fc.option(peer, { nil: undefined }),
  metadata: fc.constant({}),
});
const clusters = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom("web", "api-a", "api-b", "db"),
    metaCluster: fc.constantFrom(undefined, "api"),
    config: fc.constantFrom(
      haproxyCluster({ port: 8000, backend: ["mode http"] }),
      haproxyCluster({ acl: "path_beg /a", backend: ["balance random"] }),
    ),
    nodes: fc.array(node, { maxLength: 5 }).map((nodes) => nodes.map(wantedNode)),
  }),
  { selector: ({ name }) => name, maxLength: 4 },
);

function wanted(of: HaproxyWanted["clusters"]): HaproxyWanted {
  return { config: CONFIG, host: { fqdn: "lb.test", ip: "10.0.0.9" }, version: [2, 6, 12], clusters: of };
}

Deno.test("render() depends on the desired state, not on the order of its entries", () =>
  fc.assert(fc.property(
    clusters.chain((given) => {
      const anyOrder = <T>(items: readonly T[]) =>
        fc.shuffledSubarray([...items], { minLength: items.length, maxLength: items.length });
      const shuffled = fc.tuple(
        ...given.map((cluster) => anyOrder(cluster.nodes).map((nodes) => ({ ...cluster, nodes }))),
      );
      return fc.tuple(fc.constant(given), shuffled.chain((others) => anyOrder(others)));
    }),
    ([given, shuffled]) => assert.deepEqual(render(wanted(shuffled)), render(wanted(given))),
  )));

Deno.test("render() marks the same structure for any members and peers", () =>
  fc.assert(fc.property(clusters, (given) => {
    const empty = given.map((cluster) => ({ ...cluster, nodes: [] }));
    const mark = structureMark(render(wanted(given)).text);
    assert.match(mark ?? "", /^[0-9a-f]{16}$/);
    assert.equal(mark, structureMark(render(wanted(empty)).text));
  })));

Deno.test("render() marks a new structure when anything except members changes", () => {
  const base = { name: "web", config: haproxyCluster({ port: 8000, backend: ["mode http"] }), nodes: [] };
  const mark = (changed: Partial<HaproxyWanted> = {}) => structureMark(render({ ...wanted([base]), ...changed }).text);
  const section = (config: Record<string, unknown>) => ({ clusters: [{ ...base, config: haproxyCluster(config) }] });
  const marks = [
    mark(),
    mark(section({ port: 8001, backend: ["mode http"] })),
    mark(section({ port: 8000, backend: ["mode tcp"] })),
    mark(section({ port: 8000, backend: ["mode http"], server_options: "check" })),
    mark(section({ port: 8000, backend: ["mode http"], frontend: ["log global"] })),
    mark({ config: { ...CONFIG, bindAddress: "127.0.0.1" } }),
    mark({ config: { ...CONFIG, defaults: ["mode tcp"] } }),
    mark({ config: { ...CONFIG, socketFile: "/run/other.sock" } }),
    mark({ clusters: [] }),
  ];
  assert.equal(new Set(marks).size, marks.length);
});

Deno.test("render() writes only the name, address and port of a hostile node", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("a.int", "10.0.0.1", "a\nb", "a b", "\t"));
  const hostile = fc.record({
    host: text,
    ip: text,
    port: fc.oneof(fc.double(), fc.integer(), text as fc.Arbitrary<unknown>),
    peer: fc.option(fc.record({ name: text, ip: text, port: fc.oneof(fc.integer(), text as fc.Arbitrary<unknown>) }), {
      nil: undefined,
    }),
    metadata: fc.constant({}),
  }) as fc.Arbitrary<Node>;
  const good: Node = { host: "good.int", ip: "10.0.0.1", port: 80, metadata: {} };
  const before =
    render(wanted([{ name: "web", config: haproxyCluster({}), nodes: [wantedNode(good)] }])).text.split("\n").length;
  fc.assert(fc.property(fc.array(hostile, { maxLength: 5 }), (nodes) => {
    const { text } = render(
      wanted([{ name: "web", config: haproxyCluster({}), nodes: [good, ...nodes].map(wantedNode) }]),
    );
    const lines = text.split("\n");
    const servers = lines.filter((line) => line.startsWith("\tserver "));
    const peers = lines.filter((line) => /^\tpeer |^peers /.test(line));
    assert(servers.includes("\tserver good.int:80 10.0.0.1:80  "));
    for (const line of servers) assert.match(line, /^\tserver [A-Za-z0-9_.:-]+ [0-9a-fA-F.:\[\]]+:[0-9]+ {2}$/);
    for (const line of peers) assert.match(line, /^(?:peers web|\tpeer [A-Za-z0-9_.-]+ [0-9a-fA-F.:\[\]]+:[0-9]+)$/);
    assert.equal(lines.length, before + servers.length - 1 + peers.length);
  }));
});
