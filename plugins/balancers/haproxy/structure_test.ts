import assert from "node:assert/strict";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import { explain } from "./explain.ts";
import { render } from "./render.ts";
import { clusterListening, describeDifference, newListeners } from "./structure.ts";

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
    { name: "new", haproxy: { port: 8002, frontend: ["bind 10.0.0.7:8003,*:8004", "bind :8010-8020"] } },
    { name: "quiet", haproxy: { port: 8005 } },
  ],
})).text;

Deno.test("describeDifference() names what came, what went and what changed", () => {
  assert.equal(
    describeDifference(before, after),
    "frontend api is new, cluster new is new, frontend quiet is new, listen partner is new, cluster old is gone and 2 more",
  );
  assert.equal(describeDifference(before, before), undefined);
});

Deno.test("newListeners() tells the plain addresses that only the second text listens on", () => {
  assert.deepEqual(newListeners(before, after), [
    "0.0.0.0:8004",
    "10.0.0.7:8003",
    "127.0.0.1:8002",
    "127.0.0.1:8005",
    "127.0.0.1:8888",
    "[::1]:1100",
  ]);
});

Deno.test("clusterListening() finds the cluster of a port", () => {
  assert.equal(clusterListening(after, "127.0.0.1:8005"), "quiet");
  assert.equal(clusterListening(after, "127.0.0.1:8888"), undefined);
});

/** The number of the first line that holds a text. */
function lineWith(text: string, part: string): number {
  return text.split("\n").findIndex((line) => line.includes(part)) + 1;
}

Deno.test.each([
  {
    why: "a line of a backend",
    output: `[NOTICE]   (7) : version\n[ALERT]    (7) : config : parsing [/h.cfg:${
      lineWith(after, "mode tcp")
    }] : bad\n[ALERT] (7) : config : Error(s) found in configuration file : /h.cfg`,
    cluster: "web",
    message: `bad (line ${lineWith(after, "mode tcp")}: "mode tcp")`,
  },
  {
    why: "a meta cluster's choice of a cluster",
    output: `[ALERT] (7) : config : parsing [/h.cfg:${lineWith(after, "acl is_web")}] : bad acl`,
    cluster: "web",
    message: `bad acl (line ${lineWith(after, "acl is_web")}: "acl is_web path_beg /web")`,
  },
  {
    why: "a port that HAProxy could not bind",
    output: `[ALERT] (7) : Binding [/h.cfg:${
      lineWith(after, "bind 127.0.0.1:8002")
    }] for frontend new: cannot bind socket (Address already in use) for [127.0.0.1:8002]`,
    cluster: "new",
    message: `Binding [/h.cfg:${
      lineWith(after, "bind 127.0.0.1:8002")
    }] for frontend new: cannot bind socket (Address already in use) for [127.0.0.1:8002] (line ${
      lineWith(after, "bind 127.0.0.1:8002")
    }: "bind 127.0.0.1:8002")`,
  },
  {
    why: "a proxy that is named without a line",
    output: "[ALERT] (7) : config : Proxy 'quiet': unable to find sync peers 'x'.",
    cluster: "quiet",
    message: "Proxy 'quiet': unable to find sync peers 'x'.",
  },
  {
    why: "a line of no cluster",
    output: "[ALERT] (7) : config : parsing [/h.cfg:6] : unknown keyword 'x' in 'global' section",
    cluster: undefined,
    message: `unknown keyword 'x' in 'global' section (line 6: ${JSON.stringify(after.split("\n")[5]?.trim())})`,
  },
  {
    why: "an address that the host found taken",
    output: "Cannot reload it as the address 127.0.0.1:8005 cannot be had: Address already in use",
    cluster: "quiet",
    message: "Cannot reload it as the address 127.0.0.1:8005 cannot be had: Address already in use",
  },
])(
  "explain() understands $why",
  ({ output, cluster, message }) =>
    assert.deepEqual(explain({ text: after, notices: [] }, output), { cluster, message }),
);
