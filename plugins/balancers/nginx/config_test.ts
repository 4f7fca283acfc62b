import assert from "node:assert/strict";
import { balancerSchema, clusterSchema } from "./config.ts";

const PLACES = { config_file: "/etc/nginx/l.conf", pid_file: "/run/nginx.pid", status_socket: "/run/l/nginx.sock" };

function issuesOf(schema: typeof balancerSchema | typeof clusterSchema, value: unknown): readonly string[] {
  const result = schema["~standard"].validate(value);
  return "issues" in result ? result.issues.map(({ message }) => message) : [];
}

Deno.test("the config of the documentation is valid", () => {
  const servers = {
    public: {
      listen: ["0.0.0.0:8080", 8081, "[::1]:8082"],
      hosts: ["www.example.org", "*.example.org", "_"],
      default_server: true,
      healthcheck_route: "/hc",
      deny: ["/health"],
      tls: { cert: "/c", key: "/k" },
    },
  };
  assert.deepEqual(issuesOf(balancerSchema, { ...PLACES, servers, main: "worker_processes auto", http: null }), []);
  for (
    const section of [
      {},
      {
        server: "public",
        locations: ["/", "= /a", "^~ /b", "~ \\.png$", "~* ^/c"],
        balance: "hash $request_uri consistent",
      },
      { listen: 5432, stream: "tcp", timeouts: { connect: "2s", read: 60 } },
      { listen: "127.0.0.1:53", stream: "udp", balance: "random two" },
      { server: "public", mirror: { cluster: "shadow", percent: "10%" }, keepalive: 32, empty_status: 503 },
    ]
  ) assert.deepEqual(issuesOf(clusterSchema, section), []);
});

Deno.test.each([
  {
    why: "a line that closes what it did not open",
    file: { http: ["}"] },
    message: /Cannot use http\[0\]: must be an nginx line with balanced braces/,
  },
  { why: "an open quote", file: { http: ['log_format x "$host'] }, message: /a closing quote/ },
  { why: "pid in main", file: { main: ["pid /x"] }, message: /main\[0\]: must be absent, because pid_file sets it/ },
  {
    why: "daemon in main",
    file: { main: ["daemon off"] },
    message: /under a service manager, pass -g .daemon off;. to nginx/,
  },
  { why: "no master", file: { main: ["master_process off"] }, message: /a reload requires a master process/ },
  {
    why: "a variable in a path",
    file: { config_file: "/x/$y" },
    message: /config_file: must be an absolute path/,
  },
  { why: "a relative path", file: { pid_file: "x" }, message: /pid_file: must be an absolute path/ },
  {
    why: "a name as an address",
    file: { servers: { a: { listen: ["localhost:80"] } } },
    message: /servers\.a\.listen\[0\]: must be a port, or an address/,
  },
  { why: "no address", file: { servers: { a: { listen: [] } } }, message: /servers\.a\.listen: must be a list/ },
  { why: "a port too large", file: { servers: { a: { listen: [65_536] } } }, message: /servers\.a\.listen\[0\]/ },
  {
    why: "a hostile host",
    file: { servers: { a: { listen: [80], hosts: ["x;"] } } },
    message: /servers\.a\.hosts\[0\]/,
  },
  {
    why: "two defaults of one port",
    file: { servers: { a: { listen: [80], default_server: true }, b: { listen: [80], default_server: true } } },
    message: /servers\.b\.default_server: must be false, because server a is already the default of port 80/,
  },
  {
    why: "TLS on half a port",
    file: { servers: { a: { listen: [80] }, b: { listen: [80], tls: { cert: "/c", key: "/k" } } } },
    message: /both with tls, or both without/,
  },
])("balancers/nginx.yaml with $why is an error", ({ file, message }) => {
  assert.match(issuesOf(balancerSchema, { ...PLACES, ...file }).join("\n"), message);
});

Deno.test.each([
  {
    why: "server and listen",
    section: { server: "a", listen: 80 },
    message: /listen: must be absent when server is set/,
  },
  {
    why: "stream without listen",
    section: { stream: "tcp" },
    message: /stream: must be omitted, or set together with listen/,
  },
  {
    why: "stream and mirror",
    section: { stream: "tcp", listen: 1, mirror: { cluster: "x" } },
    message: /mirror: must be absent when stream is set/,
  },
  {
    why: "stream and keepalive",
    section: { stream: "tcp", listen: 1, keepalive: 2 },
    message: /keepalive: must be absent/,
  },
  {
    why: "stream and ip_hash",
    section: { stream: "tcp", listen: 1, balance: "ip_hash" },
    message: /hash \$remote_addr when stream is set/,
  },
  {
    why: "stream and a send timeout",
    section: { stream: "udp", listen: 1, timeouts: { send: 1 } },
    message: /read applies to both directions/,
  },
  {
    why: "least_time, which is not open source",
    section: { balance: "least_time header" },
    message: /balance: must be round_robin, least_conn/,
  },
  { why: "a balance that goes on", section: { balance: "hash $a; server 1.2.3.4" }, message: /balance: must be/ },
  { why: "a named location", section: { locations: ["@x"] }, message: /locations\[0\]: must be an nginx location/ },
  {
    why: "no location",
    section: { locations: [] },
    message: /locations: must be a list of at least one location/,
  },
  { why: "an odd status", section: { empty_status: 200 }, message: /empty_status: must be/ },
  {
    why: "a mirror of nothing",
    section: { mirror: { cluster: "x", percent: 0 } },
    message: /mirror\.percent: must be/,
  },
])("a section nginx with $why is an error", ({ section, message }) => {
  assert.match(issuesOf(clusterSchema, section).join("\n"), message);
});
