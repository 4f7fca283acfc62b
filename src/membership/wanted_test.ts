import assert from "node:assert/strict";
import fc from "fast-check";
import type { AcceptedBalancer, AcceptedCluster } from "../config/accepted.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { frozenNode, type Node, nodeName } from "../model/node.ts";
import type { NodesOverride } from "../model/override.ts";
import type { BalancerPlugin } from "../plugin/contract.ts";
import { composeWanted, WantedComposer, wantedNode } from "./wanted.ts";
import { onlySource } from "../model/registry_source.ts";
import { WEIGHT_POLICY_DEFAULT } from "../model/traffic.ts";

const HOST = { fqdn: "a.int", ip: "10.0.0.1" };

function map<T>(...entries: readonly (readonly [string, T])[]): ReadonlyMap<string, T> {
  return new Map(entries);
}

function cluster(name: string, sections: Record<string, unknown>, metaCluster?: string): AcceptedCluster {
  return {
    cluster: { ...CLUSTER_DEFAULTS, name, sources: [onlySource("zoo")], metaCluster, balancers: map() },
    sections: new Map(Object.entries(sections)),
  };
}

Deno.test("composeWanted() asks a balancer for the clusters with a section for it, sorted by name, with their members and metadata, and names the unknown ones", () => {
  const balancer: AcceptedBalancer = {
    file: { name: "haproxy", type: "haproxy", config: {} },
    plugin: {} as BalancerPlugin,
    config: { own: true },
  };
  const clusters = map(
    ["3", cluster("web", { haproxy: { port: 80 } }, "meta")],
    ["2", cluster("api", { haproxy: undefined, other: {} })],
    ["1", cluster("db", { other: {} })],
  );
  const nodes = [{ host: "b.int", ip: "10.0.0.2", port: 80, metadata: { zone: "east" } }];
  const asked = { clusters, unknownClusters: ["broken"] };
  assert.deepEqual(composeWanted("haproxy", balancer, asked, map(["web", nodes], ["db", nodes]), HOST), {
    unknown: ["broken"],
    config: { own: true },
    host: HOST,
    clusters: [
      { name: "api", metaCluster: undefined, config: undefined, nodes: [] },
      { name: "web", metaCluster: "meta", config: { port: 80 }, nodes: nodes.map(wantedNode) },
    ],
  });
});

Deno.test("composeWanted() gives a cluster without members its default servers", () => {
  const spare = { host: "10.0.0.9", ip: "10.0.0.9", port: 80, metadata: {} };
  const web = cluster("web", { haproxy: {} });
  const clusters = map(["1", { ...web, cluster: { ...web.cluster, defaultServers: [spare] } }]);
  const file = { name: "haproxy", type: "haproxy", config: {} };
  const balancer: AcceptedBalancer = { file, plugin: {} as BalancerPlugin, config: {} };
  const nodesWith = (members: readonly Node[]) =>
    composeWanted("haproxy", balancer, { clusters, unknownClusters: [] }, map(["web", members]), HOST).clusters[0]
      ?.nodes;
  assert.deepEqual(nodesWith([]), [wantedNode(spare)]);
  const member = { ...spare, host: "a.test" };
  assert.deepEqual(nodesWith([member]), [wantedNode(member)]);
});

Deno.test("composeWanted() has a node of a lower priority wait, without a traffic policy", () => {
  const clusters = map(["1", cluster("web", { haproxy: {} })]);
  const file = { name: "haproxy", type: "haproxy", config: {} };
  const balancer: AcceptedBalancer = { file, plugin: {} as BalancerPlugin, config: {} };
  const first = { host: "a.test", ip: "10.0.0.1", port: 80, metadata: {} };
  const spare = { ...first, host: "b.test", priority: 1 };
  const nodesWith = (members: readonly Node[]) =>
    composeWanted("haproxy", balancer, { clusters, unknownClusters: [] }, map(["web", members]), HOST).clusters[0]
      ?.nodes.map(({ node: { host }, pool }) => `${host} ${pool}`);
  assert.deepEqual(nodesWith([first, spare]), ["a.test primary", "b.test overflow"]);
  assert.deepEqual(nodesWith([spare]), ["b.test primary"]);
});

Deno.test("wantedNode() gives a member what its node's keys say, and nothing where they say nothing", () => {
  const node = { host: "a.test", ip: "10.0.0.1", port: 80, metadata: {} };
  assert.deepEqual(wantedNode(node), { node, state: "ready", pool: "primary" });
  const drained = { ...node, weight: 0, state: "drain" as const };
  assert.deepEqual(wantedNode(drained), { node: drained, weight: 0, state: "drain", pool: "primary" });
});

Deno.test("composeWanted() drains nodes that the cluster's file excludes, and applies operators' orders to the others", () => {
  const web = cluster("web", { haproxy: {} });
  const clusters = map(["1", { ...web, cluster: { ...web.cluster, exclude: ["a.test", "10.0.0.2:80"] } }]);
  const file = { name: "haproxy", type: "haproxy", config: {} };
  const balancer: AcceptedBalancer = { file, plugin: {} as BalancerPlugin, config: {} };
  const nodes = ["a.test", "b.test", "c.test"].map((host, i) => ({
    host,
    ip: `10.0.0.${i + 1}`,
    port: 80,
    metadata: {},
  }));
  const said = { cluster: "web", target: "c.test", kind: "maint", author: "alice", reason: "", sinceMs: 0 } as const;
  const states = (overrides: readonly NodesOverride[]) =>
    composeWanted(
      "haproxy",
      balancer,
      { clusters, unknownClusters: [] },
      map(["web", nodes]),
      HOST,
      undefined,
      overrides,
    )
      .clusters[0]?.nodes.map(({ state }) => state);
  assert.deepEqual(states([]), ["drain", "drain", "ready"]);
  assert.deepEqual(states([said]), ["drain", "drain", "maint"]);
  assert.deepEqual(states([{ ...said, cluster: "api" }]), ["drain", "drain", "ready"]);
  assert.deepEqual(states([{ ...said, target: "a.test" }]), ["maint", "drain", "ready"]);
});

Deno.test("WantedComposer composes the same as composeWanted(), over any sequence of changes, and keeps what has not changed", () => {
  const balancer: AcceptedBalancer = {
    file: { name: "haproxy", type: "haproxy", config: {} },
    plugin: {} as BalancerPlugin,
    config: {},
  };
  const spare = frozenNode({ host: "spare", ip: "10.0.0.9", port: 80, metadata: {} });
  const forms = [0, 1, 2, 3].map((form) => {
    const web = cluster("web", { haproxy: { form } });
    const exclude = form === 1 ? ["a:3"] : [];
    const traffic = form === 2 ? { weight: WEIGHT_POLICY_DEFAULT, warmUpMs: 0 } : undefined;
    return { ...web, cluster: { ...web.cluster, exclude, traffic, defaultServers: form === 3 ? [spare] : [] } };
  });
  const [api] = [cluster("api", { haproxy: {} })];
  const node = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom(1, 1, 2));
  const step = fc.record({
    put: fc.array(node, { maxLength: 3 }),
    removed: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 2 }),
    form: fc.constantFrom(0, 0, 0, 1, 2, 3),
    drained: fc.constantFrom(undefined, undefined, "a:4", "a:5"),
    isReversed: fc.constantFrom(false, false, false, true),
    hasApi: fc.constantFrom(true, true, false),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
    const composer = new WantedComposer("haproxy");
    const members = new Map<string, Node>();
    const apiNodes = [spare];
    let last: ReturnType<typeof composeWanted> | undefined;
    for (const { put, removed, form, drained, isReversed, hasApi } of steps) {
      const old = new Map(members);
      for (const port of removed) members.delete(`a:${port}`);
      for (const [port, weight] of put) {
        const now = frozenNode({ host: "a", ip: "10.0.0.1", port, metadata: {}, weight });
        if (members.get(`a:${port}`)?.weight !== weight) members.set(`a:${port}`, now);
      }
      const sorted = [...members.values()].toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
      const nodes = isReversed ? sorted.toReversed() : sorted;
      const clusters = map(["1", forms[form] as AcceptedCluster], ...hasApi ? [["2", api] as const] : []);
      const accepted = { clusters: clusters as ReadonlyMap<string, AcceptedCluster>, unknownClusters: [] };
      const overrides: NodesOverride[] = drained === undefined
        ? []
        : [{ cluster: "web", target: drained, kind: "drain", author: "alice", reason: "", sinceMs: 0 }];
      const given = [balancer, accepted, map(["web", nodes], ["api", apiNodes]), HOST, undefined, overrides] as const;
      const now = composer.compose(...given);
      assert.deepEqual(now, composeWanted("haproxy", ...given));
      const before = new Set(last?.clusters);
      const isEqual = (name: string) => {
        const [one, other] = [last, now].map((each) => each?.clusters.find((cluster) => cluster.name === name));
        return one !== undefined && other !== undefined && JSON.stringify(one) === JSON.stringify(other);
      };
      // Shares are kept by the identity of their nodes, which a node that left and joined within a step has
      // lost.
      const isRemade = [...members].some(([name, node]) => old.has(name) && old.get(name) !== node);
      // Unsorted members are composed again.
      const keepsAll = form !== 3 && !isReversed && !isRemade;
      for (const each of now.clusters) if (isEqual(each.name) && keepsAll) assert.ok(before.has(each), each.name);
      last = now;
    }
  }));
});

Deno.test("composeWanted() gives a balancer the clusters and the keys that it asks for, and reports which clusters are unheard", () => {
  const balancer = {
    file: { name: "app", type: "template", config: {} },
    plugin: {} as BalancerPlugin,
    config: {},
    inputs: { clusters: ["db"], keys: [{ discovery: "etcd", prefix: "/a" }, { discovery: "etcd", prefix: "/b" }] },
  };
  const clusters = map(["1", cluster("web", { app: {} })], ["2", cluster("db", {})], ["3", cluster("api", {})]);
  const entries = [{ key: "x", value: "1" }];
  const wanted = composeWanted("app", balancer, { clusters, unknownClusters: [] }, map(), HOST, undefined, [], {
    keys: ({ prefix }) => prefix === "/a" ? entries : undefined,
    isUnheard: (each) => each.cluster.name !== "web",
  });
  assert.deepEqual(wanted.clusters.map(({ name }) => name), ["db", "web"]);
  assert.deepEqual(wanted.keys, [{ discovery: "etcd", prefix: "/a", entries }]);
  assert.deepEqual(wanted.unheard, ["db"]);
  const all = { ...balancer, inputs: { clusters: "all" as const } };
  const asked = composeWanted("app", all, { clusters, unknownClusters: [] }, map(), HOST);
  assert.deepEqual(asked.clusters.map(({ name }) => name), ["api", "db", "web"]);
});
