import assert from "node:assert/strict";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import { ownFrontends } from "./own_frontends.ts";
import { serve } from "./serve.ts";
import { wantedNode } from "../../../src/membership/wanted.ts";

const WANTED = {
  ...wantedOf({
    balancer: {
      bind_address: "",
      meta_clusters: { api: { port: 8100 } },
      proxies: {
        db: {
          port: 8200,
          bind_address: "127.0.0.1",
          upstreams: [],
          options: ["bind [::1]:8201,10.0.0.9:8202", "bind :8300-8302"],
        },
        local: { port: 8400, bind_address: "localhost", upstreams: [] },
        six: { port: 8500, bind_address: "::", upstreams: [] },
      },
      stats: { port: 9009 },
    },
    clusters: [
      { name: "web", haproxy: { port: 8000, frontend: ['bind "10.0.0.9:8001" # more'] } },
      { name: "silent", haproxy: { frontend: ["bind :8600"] } },
    ],
  }),
  host: { fqdn: "lb.test", ip: "10.0.0.1", addresses: ["127.0.0.1", "10.0.0.9", "2001:db8::9"] },
};

Deno.test.each([
  { ip: "127.0.0.1", port: 8000, want: "*:8000" },
  { ip: "127.9.9.9", port: 8000, want: "*:8000" },
  { ip: "10.0.0.1", port: 8000, want: "*:8000" },
  { ip: "10.0.0.9", port: 8000, want: "*:8000" },
  { ip: "::ffff:127.0.0.1", port: 8000, want: "*:8000" },
  { ip: "::FFFF:a00:1", port: 8000, want: "*:8000" },
  { ip: "10.0.0.2", port: 8000, want: undefined },
  { ip: "127.0.0.1", port: 8002, want: undefined },
  { ip: "::1", port: 8000, want: undefined },
  { ip: "10.0.0.9", port: 8001, want: "10.0.0.9:8001" },
  { ip: "127.0.0.1", port: 8001, want: undefined },
  { ip: "10.0.0.1", port: 8100, want: "*:8100" },
  { ip: "127.0.0.1", port: 8200, want: "127.0.0.1:8200" },
  { ip: "10.0.0.1", port: 8200, want: undefined },
  { ip: "0:0::1", port: 8201, want: "::1:8201" },
  { ip: "10.0.0.9", port: 8202, want: "10.0.0.9:8202" },
  { ip: "10.0.0.1", port: 8301, want: "*:8301" },
  { ip: "::1", port: 8400, want: "localhost:8400" },
  { ip: "2001:db8::9", port: 8500, want: "*:8500" },
  { ip: "10.0.0.1", port: 8500, want: "*:8500" },
  { ip: "10.0.0.1", port: 9009, want: "*:9009" },
  { ip: "10.0.0.1", port: 8600, want: undefined },
])("ownFrontends() returns $want for a node at $ip:$port", ({ ip, port, want }) => {
  assert.equal(ownFrontends(WANTED)({ ip, port }), want);
});

Deno.test("a node that is a frontend of this HAProxy is left out of any cluster, and named", () => {
  const told: string[] = [];
  const nodes = [["evil.test", "127.0.0.1", 8200], ["good.test", "10.0.0.2", 8000]] as const;
  const clusters = WANTED.clusters.map((cluster) => ({
    ...cluster,
    nodes: nodes.map(([host, ip, port]) => wantedNode({ host, ip, port, metadata: {} })),
  }));
  const served = serve({ ...WANTED, clusters }, (text) => void told.push(text));
  for (const { members } of served) assert.deepEqual(members.map(({ name }) => name), ["good.test:8000"]);
  assert(
    told.includes(
      "Cluster web: node evil.test:8200 at 127.0.0.1 is skipped: it is this HAProxy itself, which listens on 127.0.0.1:8200",
    ),
    told.join("\n"),
  );
});

Deno.test.each(["0.0.0.0", "::", "0::0.0.0.0", "::ffff:0.0.0.0", "::ffff:0:0", "::FFFF:0:0"])(
  "a node at %s, which HAProxy would take as wherever a client wanted to go, is left out",
  (ip) => {
    const [cluster] = WANTED.clusters;
    assert.ok(cluster);
    const node = { host: "loop.test", ip, port: 8000, metadata: {} };
    const told: string[] = [];
    const served = serve(
      { ...WANTED, clusters: [{ ...cluster, nodes: [wantedNode(node)] }] },
      (text) => void told.push(text),
    );
    assert.deepEqual(served.flatMap(({ members }) => members), []);
    assert.match(told.join(), /unspecified address/);
  },
);
