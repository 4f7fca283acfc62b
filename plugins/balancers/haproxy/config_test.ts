import assert from "node:assert/strict";
import { balancerSchema, clusterSchema } from "./config.ts";

const PLACES = { config_file: "/etc/haproxy.cfg", socket_file: "/run/haproxy.sock", pid_file: "/run/haproxy.pid" };

/** The messages of all issues. */
function issues(schema: typeof balancerSchema | typeof clusterSchema, value: unknown): readonly string[] {
  const result = schema["~standard"].validate(value);
  return "issues" in result ? result.issues.map(({ message }) => message) : [];
}

/** The value, which must be valid. */
function valid<T>(
  schema: { "~standard": { validate(value: unknown): { value: T } | { issues: unknown } } },
  value: unknown,
): T {
  const result = schema["~standard"].validate(value);
  assert("value" in result, JSON.stringify(result));
  return result.value;
}

Deno.test("the balancer's schema fills in defaults", () =>
  assert.deepEqual(valid(balancerSchema, PLACES), {
    configFile: "/etc/haproxy.cfg",
    socketFile: "/run/haproxy.sock",
    pidFile: "/run/haproxy.pid",
    program: "haproxy",
    directives: undefined,
    global: [],
    defaults: [],
    bindAddress: "",
    metaClusters: [],
    proxies: [],
    stats: undefined,
    restartIntervalMs: 2_000,
    reloadJitterMs: 0,
    masterSocket: undefined,
    reloadCommand: undefined,
    reloadTimeoutMs: 30_000,
  }));

Deno.test("the balancer's schema accepts all forms that 1.0 accepted", () => {
  const config = valid(balancerSchema, {
    ...PLACES,
    global: "daemon",
    defaults: null,
    meta_clusters: { b: { port: "8888" }, a: { frontend: ["mode http"] } },
    meta_cluster_ports: { a: 8889, c: 8890 },
    stats: { port: "9000", timeouts: { server: 30_000, client: "4000" } },
    restart_interval: 0.5,
  });
  assert.deepEqual(config.global, ["daemon"]);
  assert.deepEqual(config.defaults, []);
  assert.deepEqual(config.metaClusters, [
    { name: "a", port: 8889, frontend: ["mode http"] },
    { name: "b", port: 8888, frontend: [] },
    { name: "c", port: 8890, frontend: [] },
  ]);
  assert.deepEqual(config.stats?.timeouts, [{ name: "client", ms: 4_000 }, { name: "server", ms: 30_000 }]);
  assert.equal(config.restartIntervalMs, 500);
});

Deno.test("the balancer's schema reports each error with its position and the required value", () => {
  assert.deepEqual(issues(balancerSchema, {}), [
    "Missing key config_file: must be a path without control characters",
    "Missing key socket_file: must be a path without control characters",
    "Missing key pid_file: must be a path without control characters",
  ]);
  assert.deepEqual(issues(balancerSchema, { ...PLACES, defaults: ["mode http\n\tserver evil 6.6.6.6:80"], bogus: 1 }), [
    'Cannot use defaults[0]: must be one line without control characters; current value is "mode http\\n\\tserver evil 6.6.6.6:80"',
    "Unknown key bogus",
  ]);
  assert.deepEqual(issues(balancerSchema, { ...PLACES, meta_clusters: { x: {} } }), [
    'Cannot use meta_clusters.x: must be a map with a port; current value is {"frontend":[]}',
  ]);
  assert.deepEqual(issues(balancerSchema, { ...PLACES, proxies: { "a b": { port: 1, upstreams: [] } } }), [
    "Cannot use proxies.a b: must be named with only letters, digits and . : _ -, as HAProxy requires; " +
    'current value is {"port":1,"upstreams":[],"options":[],"bind_address":""}',
  ]);
  assert.match(
    issues(balancerSchema, { ...PLACES, stats: { port: 1, timeouts: { client: "4 s" } } })[0] ?? "",
    /stats\.timeouts\.client/,
  );
  assert.match(issues(balancerSchema, { ...PLACES, socket_file: "/run/a b" })[0] ?? "", /without spaces/);
});

Deno.test("the balancer's schema reports all faults at once: a fault of one key hides none across keys", () => {
  const found = issues(balancerSchema, {
    ...PLACES,
    restart_interval: "soon",
    bogus: 1,
    meta_clusters: { x: {} },
    proxies: { "a b": { port: 1, upstreams: [] } },
    master_socket: "/run/master.sock",
    reload_command: ["systemctl", "reload", "haproxy"],
  });
  const about = (key: string) => found.some((issue) => issue.includes(` ${key}: `));
  assert.deepEqual(
    ["restart_interval", "meta_clusters.x", "proxies.a b", "reload_command"].filter((key) => !about(key)),
    [],
  );
  assert.equal(found.length, 5, found.join("\n"));
});

Deno.test("the balancer's schema requires a single way to reload, and a valid command", () => {
  const both = { ...PLACES, master_socket: "/run/master.sock", reload_command: ["systemctl", "reload", "haproxy"] };
  assert.match(issues(balancerSchema, both)[0] ?? "", /Cannot use reload_command: must be absent/);
  for (const reload_command of ["systemctl reload haproxy", [], [""], [1]]) {
    assert.match(
      issues(balancerSchema, { ...PLACES, reload_command })[0] ?? "",
      /a list of a program and its arguments/,
    );
  }
});

Deno.test("the balancer's schema requires a path of its own for each file and socket", () => {
  assert.deepEqual(issues(balancerSchema, { ...PLACES, pid_file: PLACES.socket_file }), [
    `Cannot use pid_file: must be a path other than that of socket_file; current value is "${PLACES.socket_file}"`,
  ]);
  assert.deepEqual(issues(balancerSchema, { ...PLACES, master_socket: PLACES.socket_file }), [
    `Cannot use master_socket: must be a path other than that of socket_file; current value is "${PLACES.socket_file}"`,
  ]);
});

Deno.test("the cluster's schema accepts an empty section, one line for many, and digits for a port", () => {
  const DEFAULTS = { drainTimeoutMs: 0, closeAfterDrain: false, panicThreshold: 0 };
  assert.deepEqual(valid(clusterSchema, null), {
    port: undefined,
    acl: undefined,
    frontend: [],
    backend: [],
    serverOptions: "",
    ...DEFAULTS,
  });
  assert.deepEqual(valid(clusterSchema, { port: "8000", backend: "mode http", server_options: null }), {
    port: 8000,
    acl: undefined,
    frontend: [],
    backend: ["mode http"],
    serverOptions: "",
    ...DEFAULTS,
  });
});

Deno.test("the cluster's schema rejects what could break out of a line, and invalid ports", () => {
  for (
    const section of [{ acl: "a\nb" }, { server_options: "check\r\nserver x 1.2.3.4:5" }, { backend: ["a\u0000"] }]
  ) {
    assert.match(issues(clusterSchema, section)[0] ?? "", /without control characters/);
  }
  assert.match(issues(clusterSchema, { port: 70_000 })[0] ?? "", /an integer from 1 to 65535/);
  assert.match(issues(clusterSchema, { frontend: [8000] })[0] ?? "", /frontend\[0\]: must be one line without/);
});

Deno.test("a line with a line feed left by YAML is one line", () => {
  const { backend, acl, serverOptions } = valid(clusterSchema, {
    backend: ["mode http\n", "balance leastconn\r\n"],
    acl: "path_beg /a\n",
    server_options: "check inter 1s\n\n",
  });
  assert.deepEqual([backend, acl, serverOptions], [
    ["mode http", "balance leastconn"],
    "path_beg /a",
    "check inter 1s",
  ]);
  assert.equal(issues(clusterSchema, { backend: ["mode http\nserver evil 6.6.6.6:80\n"] }).length, 1);
});
