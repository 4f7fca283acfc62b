import assert from "node:assert/strict";
import { bad, good } from "../../tests/support/checked.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { readCluster } from "./cluster_schema.ts";
import { onlySource } from "../model/registry_source.ts";

Deno.test("readCluster() reads a cluster; a balancer's section may be empty", () => {
  const balancers = ["haproxy", "nginx"];
  const raw = { discovery: "zookeeper", name: "cache", meta_cluster: "stuff", haproxy: null, nginx: { port: 1 } };
  assert.deepEqual(good(readCluster(raw, { fileName: "x", balancers })), {
    ...CLUSTER_DEFAULTS,
    name: "cache",
    sources: [onlySource("zookeeper")],
    metaCluster: "stuff",
    balancers: new Map<string, unknown>([["haproxy", {}], ["nginx", { port: 1 }]]),
  });
  const least = good(readCluster({ discovery: "zookeeper", haproxy: {} }, { fileName: "x", balancers: ["haproxy"] }));
  const balancer = new Map([["haproxy", {}]]);
  assert.deepEqual(least, { ...CLUSTER_DEFAULTS, name: "x", sources: [onlySource("zookeeper")], balancers: balancer });
});

Deno.test("readCluster() reads the guard of the registry's answers, and the fallback of a cluster without members", () => {
  const { guard, defaultServers } = good(readCluster({
    discovery: "zookeeper",
    haproxy: {},
    on_empty: "keep",
    empty_grace: 1.5,
    min_nodes: 2,
    max_nodes: 500,
    max_shrink_percent: "50",
    shrink_grace: 30,
    default_servers: ["10.0.0.1:80", "[2001:db8::1]:80"],
  }, { fileName: "x", balancers: ["haproxy"] }));
  assert.deepEqual(guard, {
    onEmpty: "keep",
    emptyGraceMs: 1_500,
    minNodes: 2,
    maxNodes: 500,
    maxShrinkPercent: 50,
    shrinkGraceMs: 30_000,
  });
  assert.deepEqual(defaultServers.map(({ host, ip, port }) => [host, ip, port]), [
    ["10.0.0.1", "10.0.0.1", 80],
    ["2001:db8::1", "2001:db8::1", 80],
  ]);
});

Deno.test.each([
  { guards: { min_nodes: 5, max_nodes: 3 }, says: /must be at most max_nodes \(3\); current value is 5/ },
  { guards: { min_nodes: 10_001 }, says: /must be at most max_nodes \(10000\); current value is 10001/ },
])("readCluster() rejects $guards: no answer of a registry satisfies both", ({ guards, says }) => {
  const raw = { discovery: "z", haproxy: {}, ...guards };
  assert.match(bad(readCluster(raw, { fileName: "x", balancers: ["haproxy"] })), says);
});

Deno.test("readCluster() reads which nodes and hosts are excluded, and rejects invalid ones", () => {
  const read = (exclude: unknown) =>
    readCluster({ discovery: "z", haproxy: {}, exclude }, { fileName: "x", balancers: ["haproxy"] });
  const targets = ["web1.test", "web1.test:80", "10.0.0.1", "10.0.0.1:80", "::1", "[::1]:80"];
  assert.deepEqual(good(read(targets)).exclude, targets);
  assert.match(
    bad(read(["web1.test", "a b"])),
    /Cannot use exclude\[1\]: must be a node .*; current value is "a b"/,
  );
  assert.match(bad(read("web1.test")), /Cannot use exclude: must be a list/);
});

Deno.test("readCluster() reads a section as a balancer's only if that balancer exists", () => {
  const { value } = readCluster({ discovery: "z", haproxy: {}, nginx: {} }, { fileName: "x", balancers: ["haproxy"] });
  assert.deepEqual([...value?.balancers.keys() ?? []], ["haproxy"]);
  assert.match(
    value?.unknownKeys[0]?.message ?? "",
    /^Unknown key nginx is ignored: known keys are api, combine, default_servers, discovery, /,
  );
});

Deno.test("readCluster() requires a section for at least one balancer", () => {
  const wanted = ": Missing key haproxy: a cluster must have a section for at least one balancer (haproxy, nginx)";
  assert.equal(bad(readCluster({ discovery: "z" }, { fileName: "x", balancers: ["haproxy", "nginx"] })), wanted);
  assert.equal(
    bad(readCluster({ discovery: "z", haproxi: {} }, { fileName: "x", balancers: ["haproxy", "nginx"] })),
    wanted,
  );
});

Deno.test("readCluster() reads a balancer's name that equals a key as the key", () => {
  const balancers = ["haproxy", "name", "discovery"];
  assert.equal(good(readCluster({ discovery: "z", name: "n", haproxy: {} }, { fileName: "x", balancers })).name, "n");
});

Deno.test("readCluster() reads an empty meta_cluster as none", () => {
  const raw = { discovery: "zookeeper", meta_cluster: null, haproxy: {} };
  assert.equal(good(readCluster(raw, { fileName: "x", balancers: ["haproxy"] })).metaCluster, undefined);
});

Deno.test("readCluster() returns the sections of an invalid cluster for balancers to validate", () => {
  const { value, draft } = readCluster({ haproxy: { prot: 80 }, edge: 7 }, {
    fileName: "x",
    balancers: ["haproxy", "edge"],
  });
  assert.equal(value, undefined);
  assert.deepEqual([...draft?.balancers ?? []], [["haproxy", { prot: 80 }]]);
});

Deno.test("readCluster() reads the section of its discovery, and warns of that of another", () => {
  const names = { fileName: "x", balancers: ["haproxy"], discovery: ["static", "zookeeper", "name", "haproxy"] };
  const raw = { discovery: "static", static: { nodes: [] }, zookeeper: {}, haproxy: {}, name: "n", statik: 1 };
  const { value, findings } = readCluster(raw, names);
  assert.deepEqual(value?.sources[0]?.options, { nodes: [] });
  assert.deepEqual(findings.map(({ severity, path, message }) => [severity, path, message]), [
    ["warning", ["zookeeper"], "Section zookeeper is ignored: discovery is static"],
  ]);
  assert.match(value?.unknownKeys[0]?.message ?? "", /^Unknown key statik is ignored: did you mean static\?$/);
  assert.equal(readCluster({ discovery: "static", haproxy: {} }, names).value?.sources[0]?.options, undefined);
  assert.equal(
    bad(readCluster({ discovery: "static", static: 7, haproxy: {} }, names)),
    "static: Cannot use static: must be a map; current value is 7",
  );
  assert.deepEqual(readCluster({ discovery: "static", static: { nodes: 1 } }, names).draft?.sources[0]?.options, {
    nodes: 1,
  });
});

Deno.test("readCluster() reads several sources: names, options of their own, and sections beside the list", () => {
  const names = { fileName: "x", balancers: ["haproxy"], discovery: ["zookeeper", "etcd", "static"] };
  const discovery = ["zookeeper", { etcd: { path: "/a" } }, { etcd: { path: "/b" } }, "static"];
  const raw = { discovery, static: { nodes: [] }, combine: { first: { wait: "500ms" } }, haproxy: {} };
  const { sources, combine } = good(readCluster(raw, names));
  assert.deepEqual(sources.map(({ name, discovery, options, at }) => [name, discovery, options, at.options]), [
    ["zookeeper", "zookeeper", undefined, ["zookeeper"]],
    ["etcd", "etcd", { path: "/a" }, ["discovery", 1, "etcd"]],
    ["etcd#2", "etcd", { path: "/b" }, ["discovery", 2, "etcd"]],
    ["static", "static", { nodes: [] }, ["static"]],
  ]);
  assert.deepEqual(combine, { policy: "first", waitMs: 500, returnAfterMs: 60_000 });
});

Deno.test.each([
  { combine: undefined, read: { policy: "union" } },
  { combine: "all", read: { policy: "all", match: "host" } },
  { combine: { all: { match: "address" } }, read: { policy: "all", match: "address" } },
  { combine: "first", read: { policy: "first", waitMs: 5_000, returnAfterMs: 60_000 } },
])("readCluster() reads combine: $combine", ({ combine, read }) => {
  const raw = { discovery: ["a", "b"], ...combine !== undefined && { combine }, haproxy: {} };
  assert.deepEqual(good(readCluster(raw, { fileName: "x", balancers: ["haproxy"] })).combine, read);
});
