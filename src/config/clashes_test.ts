import assert from "node:assert/strict";
import type { Service } from "../model/service.ts";
import type { BalancerPlugin, Listening } from "../plugin/contract.ts";
import type { AcceptedBalancer, AcceptedCluster } from "./accepted.ts";
import { findBalancerClashes, findClusterClashes, findServicePortClashes, type Listeners } from "./clashes.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { onlySource } from "../model/registry_source.ts";

/** A balancer whose own file and whose clusters' sections are lists of `host:port`. */
function listens(addresses: readonly string[]): readonly Listening[] {
  return addresses.map((address, i) => {
    const colon = address.lastIndexOf(":");
    return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), path: ["at", i] };
  });
}

const PLUGIN = {
  listens: (config: readonly string[], section?: readonly string[]) => listens(section ?? config),
} as unknown as BalancerPlugin;

function listeners(
  own: Record<string, readonly string[]>,
  clusters: Record<string, Record<string, readonly string[]>>,
): Listeners {
  const balancer = ([name, config]: [string, readonly string[]]): [string, AcceptedBalancer] => [
    name,
    { file: { name, type: name, config: {} }, plugin: PLUGIN, config },
  ];
  const cluster = ([name, sections]: [string, Record<string, readonly string[]>]): [string, AcceptedCluster] => [
    name,
    {
      cluster: { ...CLUSTER_DEFAULTS, name, sources: [onlySource("zoo")], balancers: new Map() },
      sections: new Map(Object.entries(sections)),
    },
  ];
  return {
    balancers: new Map(Object.entries(own).map(balancer)),
    clusters: new Map(Object.entries(clusters).map(cluster)),
  };
}

Deno.test.each([
  { why: "one port twice", a: ":80", b: ":80", clash: true },
  { why: "one port of all addresses and of one", a: ":80", b: "127.0.0.1:80", clash: true },
  { why: "the same with a star", a: "127.0.0.1:80", b: "*:80", clash: true },
  { why: "two ports", a: ":80", b: ":81", clash: false },
  { why: "two addresses", a: "127.0.0.1:80", b: "127.0.0.2:80", clash: false },
  { why: "all addresses of IPv6 and one of it", a: ":::80", b: "::1:80", clash: true },
  { why: "IPv4 and IPv6", a: "0.0.0.0:80", b: ":::80", clash: false },
  { why: "one name", a: "Localhost:80", b: "localhost:80", clash: true },
])("findClusterClashes() checks $why", ({ a, b, clash }) => {
  const found = findClusterClashes(listeners({ haproxy: [] }, { a: { haproxy: [a] }, b: { haproxy: [b] } }));
  assert.deepEqual(
    found.map(({ key, finding }) => [key, finding.path, finding.message]),
    clash ? [["clusters/b", ["haproxy", "at", 0], "Cannot use port 80: already used by clusters/a"]] : [],
  );
});

Deno.test("findClusterClashes() reports clusters that use a port of a balancer's own, of any balancer", () => {
  const found = findClusterClashes(
    listeners({ haproxy: [":80", ":80"], edge: [":90"] }, { a: { haproxy: [":90", ":91"], edge: [":91"] } }),
  );
  assert.deepEqual(found.map(({ key, finding }) => `${key}: ${finding.message}`), [
    "clusters/a: Cannot use port 90: already used by at[0] of balancers/edge",
  ]);
});

Deno.test("findBalancerClashes() reports a balancer that takes the port of a served cluster", () => {
  const before = listeners({ haproxy: [":80"] }, { web: { haproxy: [":90"] } });
  const told = (now: Listeners, last: Listeners | undefined) =>
    findBalancerClashes(now, last).map(({ key, finding }) => `${key}: ${finding.message}`);
  assert.deepEqual(told(listeners({ haproxy: [":90"] }, { web: { haproxy: [":90"] } }), before), [
    "balancers/haproxy: Cannot use port 90: already used by clusters/web",
  ]);
  assert.deepEqual(
    told(listeners({ haproxy: [":90"] }, { web: { haproxy: [":80"] } }), before),
    [],
    "they change places",
  );
  assert.deepEqual(told(listeners({ haproxy: [":90"] }, { new: { haproxy: [":90"] } }), before), []);
  assert.deepEqual(told(listeners({ haproxy: [":90"] }, { web: { haproxy: [":90"] } }), undefined), []);
});

Deno.test.each([
  { host: "127.0.0.1", at: ":80", clash: true },
  { host: "127.0.0.1", at: "127.0.0.1:80", clash: true },
  { host: "localhost", at: "127.0.0.1:80", clash: true },
  { host: "10.0.0.9", at: "127.0.0.1:80", clash: false },
  { host: "127.0.0.1", at: ":81", clash: false },
])("findServicePortClashes() checks a service at $host:80 beside a cluster at $at", ({ host, at, clash }) => {
  const service: Service = {
    name: "app",
    sources: [onlySource("zoo")],
    host,
    ports: [80],
    metadata: {},
    intervalMs: 1_000,
    unknownGraceMs: 60_000,
    checks: [],
  };
  const services = new Map([["app", { service, probes: [] }]]);
  const found = findServicePortClashes({ ...listeners({ haproxy: [] }, { web: { haproxy: [at] } }), services });
  assert.deepEqual(
    found.map(({ key, finding }) => `${key} ${finding.severity}: ${finding.message}`),
    clash
      ? [
        "services/app warning: Port 80 is also used by clusters/web on this host: the service's checks connect to the balancer",
      ]
      : [],
  );
});

Deno.test("clashes among thousands of clusters are found with few reads of each cluster's addresses", () => {
  const count = 3_000;
  let asked = 0;
  const plugin = {
    listens: (config: readonly string[], section?: readonly string[]) => {
      asked++;
      return listens(section ?? config);
    },
  } as unknown as BalancerPlugin;
  const sections = Object.fromEntries(Array.from({ length: count }, (_, i) => [`c${i}`, { haproxy: [`:${i + 1}`] }]));
  const { balancers, clusters } = listeners({ haproxy: [":65000"] }, sections);
  const all = { balancers: new Map([...balancers].map(([name, each]) => [name, { ...each, plugin }])), clusters };
  assert.deepEqual(findClusterClashes(all), []);
  assert.deepEqual(findBalancerClashes(all, all), []);
  assert.deepEqual(findServicePortClashes({ ...all, services: new Map() }), []);
  assert.ok(asked <= 6 * count, `${asked} times for ${count} clusters`);
});
