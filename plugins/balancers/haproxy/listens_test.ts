import assert from "node:assert/strict";
import { haproxyCluster, haproxyConfig } from "../../../tests/support/haproxy.ts";
import haproxy from "./mod.ts";

const FILE = { config_file: "/h.cfg", socket_file: "/h.sock", pid_file: "/h.pid", bind_address: "127.0.0.1" };

function shown(listens: ReturnType<NonNullable<typeof haproxy.listens>> | undefined): readonly string[] {
  return (listens ?? []).map(({ host, port, path }) => `${host}:${port} ${path.join(".")}`);
}

Deno.test("haproxy.listens() returns where its own file has it listen, with the keys that set it", () => {
  const config = haproxyConfig({
    ...FILE,
    meta_clusters: { api: { port: 8080, frontend: ["mode http", "bind [::1]:8081,*:8082 ssl", "bind /run/x.sock"] } },
    proxies: { partner: { port: 7777, bind_address: "10.0.0.1", upstreams: [], options: ["bind ipv4@10.0.0.1:7778"] } },
    stats: { port: 9009 },
  });
  assert.deepEqual(shown(haproxy.listens?.(config)), [
    "127.0.0.1:8080 meta_clusters.api.port",
    "::1:8081 meta_clusters.api.frontend.1",
    "*:8082 meta_clusters.api.frontend.1",
    "10.0.0.1:7777 proxies.partner.port",
    "10.0.0.1:7778 proxies.partner.options.0",
    ":9009 stats.port",
  ]);
});

Deno.test("haproxy.listens() returns where a cluster listens: nowhere without a port", () => {
  const config = haproxyConfig(FILE);
  const section = { port: 80, frontend: ["maxconn 10", "bind :81"] };
  assert.deepEqual(shown(haproxy.listens?.(config, haproxyCluster(section))), ["127.0.0.1:80 port", ":81 frontend.1"]);
  assert.deepEqual(shown(haproxy.listens?.(config, haproxyCluster({ frontend: ["bind :81"] }))), []);
});
