import assert from "node:assert/strict";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import { render } from "./render.ts";
import { describeDifference, newListeners, sectionListening } from "./structure.ts";

const before = render(wantedOf({
  balancer: { defaults: ["mode http"], bind_address: "127.0.0.1", stats: { port: 9000 } },
  clusters: [
    { name: "web", haproxy: { port: 8000, backend: ["mode http"] }, nodes: ["a.int:80 10.0.0.1 peer"] },
    { name: "old", haproxy: { port: 8001 } },
    { name: "quiet", haproxy: {} },
  ],
})).text;

const after = render(wantedOf({
  balancer: {
    defaults: ["mode http"],
    bind_address: "127.0.0.1",
    meta_clusters: { api: { port: 8888 } },
    proxies: { partner: { port: 1100, bind_address: "[::1]", upstreams: [] } },
  },
  clusters: [
    { name: "web", meta_cluster: "api", haproxy: { port: 8000, acl: "path_beg /web", backend: ["mode tcp"] } },
    {
      name: "new",
      haproxy: {
        port: 8002,
        frontend: ["bind 10.0.0.7:8003,*:8004", "bind :8010-8020", "bind web.int:8021,ipv4@web.int:8022,fd@3:8023"],
      },
    },
    { name: "quiet", haproxy: { port: 8005 } },
  ],
})).text;

Deno.test("describeDifference() names what was added, removed and changed", () => {
  assert.equal(
    describeDifference(before, after),
    "frontend api is new, cluster new is new, frontend quiet is new, listen partner is new, cluster old is gone and 2 more",
  );
  assert.equal(describeDifference(before, before), undefined);
});

Deno.test("newListeners() returns the plain addresses that only the second text listens on", () => {
  assert.deepEqual(newListeners(before, after), [
    "0.0.0.0:8004",
    "10.0.0.7:8003",
    "127.0.0.1:8002",
    "127.0.0.1:8005",
    "127.0.0.1:8888",
    "[::1]:1100",
    "web.int:8021",
  ]);
});

Deno.test("sectionListening() finds the section of a port", () => {
  assert.equal(sectionListening(after, "127.0.0.1:8005"), "frontend quiet");
  assert.equal(sectionListening(after, "127.0.0.1:8889"), undefined);
});
