import assert from "node:assert/strict";
import type { Cluster } from "../model/cluster.ts";
import { readCluster } from "./cluster_schema.ts";
import { findMissing, settleClashes } from "./relations.ts";
import { findClusterClashes } from "./clashes.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { onlySource } from "../model/registry_source.ts";

function cluster(name: string, more: Partial<Cluster> = {}): Cluster {
  return { ...CLUSTER_DEFAULTS, name, sources: [onlySource("zookeeper")], balancers: new Map(), ...more };
}

function accepted(clusters: ReadonlyMap<string, Cluster>) {
  return new Map([...clusters].map(([file, cluster]) => [file, { cluster, sections: new Map() }]));
}

/** Settles clusters of such names, by file; returns who keeps which name, and the findings. */
function settle(now: Record<string, Cluster>, last?: Record<string, Cluster>): [string, readonly string[]] {
  const { objects, relations } = settleClashes(new Map(Object.entries(now)), {
    last: last && new Map(Object.entries(last)),
    find: (clusters) => findClusterClashes({ balancers: new Map(), clusters: accepted(clusters) }),
    isSame: Object.is,
  });
  return [
    [...objects].map(([file, { name }]) => `${file}:${name}`).join(" "),
    relations.map(({ key, finding }) => `${key}: ${finding.message}`),
  ];
}

const CLASH = (key: string, name: string, owner: string) =>
  `clusters/${key}: Cannot use the name ${name}: already used by clusters/${owner}`;

Deno.test("settleClashes() gives a contested name to the first by file name", () => {
  assert.deepEqual(settle({ a: cluster("x"), b: cluster("x"), c: cluster("y") }), [
    "a:x c:y",
    [CLASH("b", "x", "a")],
  ]);
});

Deno.test("settleClashes() prefers an unchanged object, whatever the order of names", () => {
  const b = cluster("x");
  assert.deepEqual(settle({ a: cluster("x"), b }, { b }), ["b:x", [CLASH("a", "x", "b")]]);
});

Deno.test("settleClashes() replaces an invalid object by its last good value", () => {
  const [a, b] = [cluster("x"), cluster("y")];
  assert.deepEqual(settle({ a, b: cluster("x") }, { a, b }), ["a:x b:y", [CLASH("b", "x", "a")]]);
});

Deno.test("settleClashes() drops an object whose last good value clashes too", () => {
  const a = cluster("x");
  // The last good value of b is what a is called by now.
  assert.deepEqual(settle({ a, b: cluster("x") }, { a, b: cluster("x") }), ["a:x", [CLASH("b", "x", "a")]]);
});

Deno.test("settleClashes() lets two objects swap names", () => {
  assert.deepEqual(settle({ a: cluster("y"), b: cluster("x") }, { a: cluster("x"), b: cluster("y") }), ["a:y b:x", []]);
});

Deno.test("findMissing() suggests a similar name", () => {
  const clusters = new Map([
    ["web", cluster("web", { sources: [onlySource("zookeper")], balancers: new Map([["haproxi", {}]]) })],
    ["far", cluster("far", { sources: [onlySource("consul")] })],
  ]);
  const found = findMissing({ clusters, services: new Map(), balancers: ["haproxy"], discovery: ["zookeeper"] });
  assert.deepEqual(found.map(({ finding }) => finding.message), [
    "No discovery named zookeper: did you mean zookeeper?",
    "No balancer named haproxi: did you mean haproxy?",
    "No discovery named consul: there is no discovery/consul.yaml",
  ]);
});

Deno.test("findMissing() reports a discovery that is missing from a list as an error, at its item", () => {
  const { value } = readCluster({ discovery: ["zookeeper", { consul: { a: 1 } }], haproxy: {} }, {
    fileName: "web",
    balancers: ["haproxy"],
    discovery: ["zookeeper"],
  });
  assert.ok(value !== undefined, "the others are used");
  const found = findMissing({
    clusters: new Map([["web", value]]),
    services: new Map(),
    balancers: ["haproxy"],
    discovery: ["zookeeper"],
  });
  assert.deepEqual(found.map(({ finding: { severity, path } }) => [severity, path]), [["error", [
    "discovery",
    1,
    "consul",
  ]]]);
});
