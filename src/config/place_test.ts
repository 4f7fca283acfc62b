import assert from "node:assert/strict";
import { Source } from "./source.ts";
import type { AcceptedCluster } from "./accepted.ts";
import { placed, placeFinding } from "./place.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { onlySource } from "../model/registry_source.ts";

const yaml = (file: string, text: string) => new Source(file, new TextEncoder().encode(text));
const sources = new Map([
  [
    "clusters/site",
    yaml("conf/clusters/site.yaml", "discovery: zk\nname: web\nhaproxy:\n  backend:\n    - one\n    - two\n"),
  ],
  ["balancers/haproxy", yaml("conf/balancers/haproxy.yaml", "global:\n  - daemon\ndefaults: stats auth joe:secret\n")],
]);
const cluster = {
  cluster: { ...CLUSTER_DEFAULTS, name: "web", sources: [onlySource("zk")], balancers: new Map() },
  sections: new Map(),
};
const clusters: ReadonlyMap<string, AcceptedCluster> = new Map([["site", cluster]]);

Deno.test.each([
  {
    why: "a line of a cluster, by the name of its file",
    origin: { cluster: "web", path: ["backend", 1] },
    then: "conf/clusters/site.yaml:6:7: no",
  },
  {
    why: "a line of the balancer's file",
    origin: { path: ["global", 0] },
    then: "conf/balancers/haproxy.yaml:2:5: no",
  },
  {
    why: "a line that is a single string, not a list",
    origin: { path: ["defaults", 0] },
    then: "conf/balancers/haproxy.yaml:3:11: no",
  },
  { why: "a cluster as a whole", origin: { cluster: "web", path: [] }, then: "conf/clusters/site.yaml:3:1: no" },
])(
  "placed() locates $why",
  ({ origin, then }) =>
    assert.equal(placed({ accepted: { clusters }, sources, balancer: "haproxy" }, origin, "no"), then),
);

Deno.test("placed() shows no secrets", () => {
  const text = placed(
    { accepted: { clusters }, sources, balancer: "haproxy" },
    { path: ["defaults", 0] },
    'the line "stats auth joe:secret"',
  );
  assert.doesNotMatch(text, /secret/);
});

Deno.test("placeFinding() finds a cluster named after its file without a look at the others", () => {
  class Counted extends Map<string, AcceptedCluster> {
    looks = 0;
    override *[Symbol.iterator](): MapIterator<[string, AcceptedCluster]> {
      for (const entry of this.entries()) {
        this.looks++;
        yield entry;
      }
      return undefined;
    }
  }
  const many = new Counted();
  for (let i = 0; i < 100; i++) many.set(`c${i}`, { ...cluster, cluster: { ...cluster.cluster, name: `c${i}` } });
  many.set("site", cluster);
  const fileOf = (name: string) =>
    placeFinding({ clusters: many }, "haproxy", { severity: "error", message: "", origin: { cluster: name, path: [] } })
      .key;
  assert.deepEqual([fileOf("c99"), many.looks], ["clusters/c99", 0]);
  assert.equal(fileOf("web"), "clusters/site", "one of another name is looked for");
  assert.equal(fileOf("gone"), "balancers/haproxy");
});
