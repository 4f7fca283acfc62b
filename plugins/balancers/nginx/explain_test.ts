import assert from "node:assert/strict";
import type { Origin } from "../../../mod.ts";
import { explain } from "./explain.ts";

const CLUSTER = (...path: readonly (string | number)[]): Origin => ({ cluster: "web", path });
const FILE = [
  { text: "pid /run/x.pid;", origin: { path: ["pid_file"] } },
  { text: "http {" },
  { text: "  nonsense on;", origin: CLUSTER("lines", 0) },
  { text: "  deny nonsense;", origin: CLUSTER("lines", 1) },
  { text: "  listen 127.0.0.1:80;", origin: CLUSTER("listen") },
  { text: "  ssl_certificate /c.pem;", origin: { path: ["servers", "a", "tls", "cert"] } },
  { text: "  access_log /none/x.log;", origin: { path: ["http", 3] } },
  { text: "stream {", origin: CLUSTER("stream") },
];
const file = {
  text: FILE.map(({ text }) => `${text}\n`).join(""),
  notices: [],
  origins: new Map(FILE.flatMap(({ origin }, i) => origin === undefined ? [] : [[i + 1, origin] as const])),
};

Deno.test.each([
  {
    output:
      'nginx: [emerg] unknown directive "nonsense" in /x/nginx.conf:3\nnginx: configuration file /x/nginx.conf test failed',
    message: 'unknown directive "nonsense" ("nonsense on;")',
    origin: CLUSTER("lines", 0),
    remedy: [CLUSTER("lines", 0)],
  },
  // Without it more requests would get through.
  {
    output: 'nginx: [emerg] invalid parameter "nonsense" in /x/nginx.conf:4',
    message: /invalid parameter/,
    origin: CLUSTER("lines", 1),
    remedy: [],
  },
  {
    output: "nginx: [emerg] bind() to 127.0.0.1:80 failed (13: Permission denied)",
    message: /bind\(\) to 127\.0\.0\.1:80 failed/,
    origin: CLUSTER("listen"),
    remedy: [],
  },
  {
    output: "Reload aborted: cannot bind 127.0.0.1:80: address already in use (held by haproxy, pid 7)",
    message: "Reload aborted: cannot bind 127.0.0.1:80: address already in use (held by haproxy, pid 7)",
    origin: CLUSTER("listen"),
    remedy: [],
  },
  {
    output: 'nginx: [emerg] cannot load certificate "/c.pem": BIO_new_file() failed (SSL: error:80000002)',
    message: /cannot load certificate "\/c\.pem"/,
    origin: { path: ["servers", "a", "tls", "cert"] },
    remedy: [{ path: ["servers", "a"] }],
  },
  {
    output: 'nginx: [emerg] open() "/none/x.log" failed (2: No such file or directory)',
    message: /open\(\) "\/none\/x\.log" failed/,
    origin: { path: ["http", 3] },
    remedy: [{ path: ["http", 3] }],
  },
  {
    output: 'nginx: [emerg] unknown directive "stream" in /x/nginx.conf:8',
    message: /libnginx-mod-stream/,
    origin: CLUSTER("stream"),
    remedy: [],
  },
])("explain() finds what nginx rejects: $output", ({ output, message, origin, remedy }) => {
  const { cluster, faults } = explain(file, "/x/nginx.conf", output);
  assert.equal(cluster, "cluster" in origin ? origin.cluster : undefined);
  const [fault] = faults;
  assert.deepEqual({ origin: fault?.origin, remedy: fault?.remedy }, { origin, remedy });
  if (typeof message === "string") assert.equal(fault?.message, message);
  else assert.match(fault?.message ?? "", message);
});

Deno.test.each([
  'nginx: [emerg] open() "/run/x.pid" failed (13: Permission denied)',
  'nginx: [emerg] mkdir() "/var/lib/nginx/body" failed (13: Permission denied)',
])("explain() blames no config for what the system denies: %s", (output) => {
  assert.deepEqual(explain(file, "/x/nginx.conf", output), { faults: [] });
});

Deno.test.each([
  "include /etc/nginx/lists/office.conf",
  "auth_jwt realm",
  "access_by_lua_file /a.lua",
  "modsecurity_rules_file /m.conf",
  "js_access a.b",
  "ssl_verify_depth 2",
  "proxy_ssl_verify_depth 2",
  "limit_rate 1k",
  "real_ip_header X-Real-IP",
  "set_real_ip_from 192.0.2.1",
  "geo $x { default 0; }",
  "map $a $b { default 0; }",
  "rewrite ^/admin /login",
])("explain() leaves out the server or the cluster of a rejected line that may restrict requests: %s", (line) => {
  const rejected = (origin: Origin) => {
    const text = `http {\n  ${line}\n}\n`;
    return explain({ text, notices: [], origins: new Map([[2, origin]]) }, "/n.conf", "nginx: [emerg] no in /n.conf:2");
  };
  const ofCluster = rejected(CLUSTER("lines", 0));
  assert.deepEqual([ofCluster.cluster, ofCluster.faults[0]?.remedy], ["web", []]);
  const ofServer = rejected({ path: ["servers", "a", "lines", 0] });
  assert.deepEqual(ofServer.faults[0]?.remedy, [{ path: ["servers", "a"] }]);
  assert.deepEqual(rejected({ path: ["http", 0] }).faults[0]?.remedy, []);
});

Deno.test("explain() blames no line of its own for a fault in an included file", () => {
  const message = 'unknown directive "x" in /etc/nginx/conf.d/x.conf:3';
  assert.deepEqual(explain(file, "/x/nginx.conf", `nginx: [emerg] ${message}`), { faults: [{ message, remedy: [] }] });
});
