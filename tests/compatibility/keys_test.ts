import assert from "node:assert/strict";
import { stringify } from "yaml";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";

/** Every key that 1.0 reads, with values of the types that it takes. */
const OLD: Readonly<Record<string, Record<string, unknown>>> = {
  "discovery/zookeeper": { hosts: ["zk01.int:2181", "zk02.int:2181/chroot"], path: "/lighthouse/services/" },
  "balancers/haproxy": {
    config_file: "haproxy.cfg",
    socket_file: "haproxy.sock",
    pid_file: "haproxy.pid",
    bind_address: "127.0.0.1",
    global: ["daemon", "maxconn 4000"],
    defaults: ["mode http", "timeout connect 2s", "timeout client 20s", "timeout server 20s"],
    meta_clusters: { stuff_api: { port: 8080, frontend: ["log 127.0.0.1 local0", "option httplog"] } },
    proxies: {
      partner: {
        port: 7777,
        bind_address: "127.0.0.1",
        upstreams: [{ host: "127.0.0.1", port: 88, max_conn: 400 }, { host: "127.0.0.2", port: "89" }],
        options: ["mode http"],
      },
    },
    stats: { port: 9009, uri: "/haproxy", timeouts: { client: 20000, connect: 4000, server: 30000 } },
  },
  "clusters/api_widgets": {
    name: "widgets",
    discovery: "zookeeper",
    meta_cluster: "stuff_api",
    haproxy: {
      port: 8009,
      acl: "path_beg /api/widgets",
      frontend: ["timeout client 2m"],
      backend: ["mode http", "option httpchk GET /health"],
      server_options: "check inter 2s",
    },
  },
  "services/multiapp": {
    name: "webapp",
    discovery: "zookeeper",
    host: "127.0.0.1",
    ports: [8000, "8001"],
    metadata: { role: "master", weights: [1, 2.5] },
    checks: {
      interval: 0.5,
      http: { uri: "/health", method: "HEAD", https: true, rise: "2", fall: 3 },
      tcp: { query: "PING\n", response: "+PONG\r", rise: 1, fall: 1 },
      redis: { rise: 1, fall: 1 },
    },
  },
  "services/plain": { discovery: "zookeeper", port: "8002", checks: { interval: 2, tcp: { rise: 1, fall: 1 } } },
  logging: {
    version: 1,
    disable_existing_loggers: false,
    filters: { context: { "()": "lighthouse.log.ContextFilter" } },
    formatters: { plain: { format: "[%(program)s] [%(threadName)s] %(message)s" } },
    handlers: { cli: { class: "lighthouse.log.cli.CLIHandler", filters: ["context"], formatter: "plain" } },
    loggers: { lighthouse: { level: "DEBUG", propagate: true } },
    root: { handlers: ["cli"], level: "INFO" },
  },
};

/** The keys without which 1.0 does not take a file; each is a path from the file. */
const NEEDED: readonly string[] = [
  "discovery/zookeeper hosts",
  "discovery/zookeeper path",
  "balancers/haproxy config_file",
  "balancers/haproxy socket_file",
  "balancers/haproxy pid_file",
  "balancers/haproxy meta_clusters stuff_api port",
  "balancers/haproxy proxies partner port",
  "balancers/haproxy proxies partner upstreams",
  "balancers/haproxy stats port",
  "clusters/api_widgets discovery",
  "clusters/api_widgets haproxy",
  "services/multiapp discovery",
  "services/multiapp ports",
  "services/multiapp checks",
  "services/multiapp checks interval",
  "services/multiapp checks http uri",
  "services/multiapp checks http rise",
  "services/multiapp checks http fall",
  "services/multiapp checks tcp query",
  "services/multiapp checks tcp response",
];

/** Writes a config directory; the paths of HAProxy's files become the test's own. */
async function write(dir: TempDir, files: typeof OLD): Promise<void> {
  for (const [name, contents] of Object.entries(files)) {
    const text = stringify(contents).replaceAll(/: (haproxy\.(?:cfg|sock|pid))$/gm, `: ${dir.path}/$1`);
    await dir.write(`config/${name}.yaml`, text);
  }
}

Deno.test("keys: every key of 1.0 is accepted, without an error or a warning", async () => {
  await using dir = new TempDir();
  await write(dir, OLD);
  const { code, stdout } = await runCli(["check", "--strict", dir.file("config")]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /valid: 0 errors, 0 warnings/);
});

Deno.test("keys: a missing key that 1.0 requires is reported with its name and position", async () => {
  await Promise.all([0, 1].map(async (half) => {
    for (const path of NEEDED.filter((_, at) => at % 2 === half)) {
      await using dir = new TempDir();
      const [file = "", ...keys] = path.split(" ");
      const files = structuredClone(OLD) as Record<string, Record<string, unknown>>;
      const parent = keys.slice(0, -1).reduce<Record<string, unknown>>(
        (at, key) => at[key] as Record<string, unknown>,
        files[file] ?? {},
      );
      delete parent[keys.at(-1) ?? ""];
      await write(dir, files);
      const { code, stdout } = await runCli(["check", dir.file("config")]);
      assert.equal(code, 1, `${path}: ${stdout}`);
      const key = keys.at(-1) === "ports" ? "port" : keys.at(-1);
      assert.match(stdout, new RegExp(`config/${file}\\.yaml:\\d+:\\d+: error: .*\\b${key}\\b`), path);
    }
  }));
});
