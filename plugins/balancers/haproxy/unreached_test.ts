import assert from "node:assert/strict";
import { balancerSchema, clusterSchema, type HaproxyWanted } from "./config.ts";
import { render } from "./render.ts";
import { unreachedClusters } from "./unreached.ts";

function wanted(
  section: unknown,
  { own = {}, metaCluster }: { own?: object; metaCluster?: string } = {},
): HaproxyWanted {
  const places = { config_file: "/c", socket_file: "/s", pid_file: "/p" };
  const config = balancerSchema["~standard"].validate({ ...places, ...own });
  const cluster = clusterSchema["~standard"].validate(section);
  assert.ok("value" in config && "value" in cluster);
  return {
    config: config.value,
    host: { fqdn: "h", ip: "10.0.0.1" },
    clusters: [{ name: "web", metaCluster, config: cluster.value, nodes: [] }],
  };
}

Deno.test("unreachedClusters() names clusters that no request can reach", () => {
  assert.deepEqual(unreachedClusters(wanted({})), ["web"]);
  assert.deepEqual(unreachedClusters(wanted({ port: 8000 })), []);
  assert.deepEqual(unreachedClusters(wanted({ acl: "path_beg /" })), ["web"]);
  assert.deepEqual(unreachedClusters(wanted({ acl: "path_beg /" }, { metaCluster: "api" })), []);
});

Deno.test.each([
  { line: "use_backend web if { path /web }", then: [] },
  { line: "  default_backend web", then: [] },
  { line: "use_backend %[req.hdr(host),lower]", then: [] },
  { line: "use_backend web2", then: ["web"] },
  { line: "http-request deny if { path web }", then: ["web"] },
])("unreachedClusters() reads the line $line of a proxy", ({ line, then }) => {
  const own = { proxies: { edge: { port: 80, upstreams: [], options: [line] } } };
  assert.deepEqual(unreachedClusters(wanted({}, { own })), then);
});

Deno.test("render() adds a notice for a cluster that no request can reach, at its section", () => {
  assert.deepEqual(render(wanted({})).notices.filter(({ text }) => text.startsWith("No frontend routes to cluster")), [
    {
      text:
        "No frontend routes to cluster web: neither port nor meta_cluster is set, and no line refers to its backend",
      origin: { cluster: "web", path: [] },
    },
  ]);
});
