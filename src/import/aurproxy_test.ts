import assert from "node:assert/strict";
import { parse } from "yaml";
import { AURPROXY_FLAGS, AURPROXY_LISTS, type AurproxyBalancer, importAurproxy } from "./aurproxy.ts";
import { readCommandLine } from "./command_line.ts";
import { documentOf } from "./read_input.ts";
import type { Imported } from "./report.ts";

function aurproxy(
  { config, source, words = ["run"], balancer = "nginx" }: {
    readonly config?: unknown;
    readonly source?: unknown;
    readonly words?: readonly string[];
    readonly balancer?: AurproxyBalancer;
  },
): Imported {
  const nameOf = (name: string) => name.replaceAll("-", "_");
  return importAurproxy({
    commandLine: readCommandLine(words, { flags: AURPROXY_FLAGS, lists: AURPROXY_LISTS, nameOf }),
    ...config !== undefined && { config: documentOf("--config", JSON.stringify(config)) },
    ...source !== undefined && { source: documentOf("--mirror_source", JSON.stringify(source)) },
    balancer,
  });
}

const file = ({ files }: Imported, path: string) => parse(files.get(path) ?? assert.fail(`no ${path}`));
const SOURCE = { source_class: "tellapart.aurproxy.source.StaticProxySource", name: "web", host: "10.0.0.1", port: 80 };
const adjuster = (name: string, more: object) => ({ share_adjuster_class: `a.b.${name}ShareAdjuster`, ...more });
const route = (locations: readonly string[], source: object = SOURCE) => ({ locations, sources: [source] });

Deno.test.each([
  { adjusters: [adjuster("DelayStart", { seconds: 30 })], wanted: { delay: 30, ramp: 0, from: "0%" } },
  {
    adjusters: [adjuster("Ramping", { ramp_delay: 90, ramp_seconds: 60 })],
    wanted: { delay: 90, ramp: 60, from: "0%" },
  },
  {
    adjusters: [adjuster("DelayStart", { seconds: 30 }), adjuster("Ramping", { ramp_delay: 90, ramp_seconds: 60 })],
    wanted: { delay: 90, ramp: 60, from: "0%" },
  },
  {
    adjusters: [adjuster("Ramping", { ramp_delay: 90, ramp_seconds: 60 }), adjuster("DelayStart", { seconds: 105 })],
    wanted: { delay: 105, ramp: 45, from: "25%" },
  },
  {
    adjusters: [adjuster("Ramping", { ramp_delay: 1, ramp_seconds: 2 }), adjuster("DelayStart", { seconds: 9 })],
    wanted: { delay: 9, ramp: 0, from: "100%" },
  },
])("aurproxy's delay and ramp are combined into one slow start: $wanted", ({ adjusters, wanted }) => {
  const config = { servers: [{ ports: [80], routes: [route(["/"], { ...SOURCE, share_adjusters: adjusters })] }] };
  const { traffic } = file(aurproxy({ config }), "clusters/web.yaml");
  assert.deepEqual(traffic, { slow_start: wanted, warm_up: 180 });
});

Deno.test("each aurproxy option is converted or reported", () => {
  const config = { servers: [{ ports: [80], routes: [route(["/"])] }] };
  const words = [
    ...["run", "--management-port=31325", "--update_period", "2", "--max_update_frequency=7", "--setup"],
    ...["--registration-class=x.ElbSelfRegisterer", "--registration-arg=region=us-east-1", "--sentry_dsn=https://x"],
    ...[
      "--metric-publisher-class=x.Librato",
      "--metric-publisher-arg",
      "a=b",
      "--metric-publisher-arg",
      "c=d",
      "--odd",
    ],
  ];
  const imported = aurproxy({ config, words });
  assert.equal(file(imported, "balancers/nginx.yaml").reload_interval, 7);
  const outcomes = Object.fromEntries(
    imported.report.filter(({ file }) => file === "command line").map((entry) => [
      entry.key,
      entry.outcome,
    ]),
  );
  assert.deepEqual(outcomes, {
    arguments: "converted",
    management_port: "converted",
    update_period: "replaced",
    max_update_frequency: "converted",
    setup: "replaced",
    registration_class: "not supported",
    registration_arg: "not supported",
    sentry_dsn: "replaced",
    metric_publisher_class: "replaced",
    metric_publisher_arg: "replaced",
    odd: "not supported",
  });
});

Deno.test.each([
  {
    kind: "mirror",
    words: ["run", "--mirror_source", "{}", "--mirror_ports", "8080,8081", "--mirror_max_qps", "100"],
    wanted: ["--input-raw", ":8080", "--input-raw", ":8081", {
      each: "mirror",
      arguments: ["--output-tcp", "{address}|100"],
    }],
  },
  {
    kind: "replay",
    words: ["run_replay", "--replay-source", "{}", "--replay-port", "12346"],
    wanted: ["--input-tcp", "0.0.0.0:12346", { each: "replay", arguments: ["--output-http", "{address}"] }],
  },
])("gor runs as a supervised program, for mirroring and for replay: $kind", ({ kind, words, wanted }) => {
  const imported = aurproxy({ source: SOURCE, words });
  const { type, command } = file(imported, `balancers/${kind}.yaml`);
  assert.deepEqual([type, ...command.slice(3)], ["supervised", ...wanted]);
  assert.deepEqual(file(imported, `clusters/${kind}.yaml`)[kind], {});
});

Deno.test.each([
  {
    servers: [{ ports: [80], routes: [route(["/"])] }],
    wanted: { meta: undefined, web: { port: 80, frontend: ["mode http"] } },
  },
  {
    servers: [{ ports: [80], healthcheck_route: "/hc", routes: [route(["/"]), route(["/api", "/v2"])] }],
    wanted: {
      meta: { "port-80": { port: 80, frontend: ["mode http", "monitor-uri /hc"] } },
      web: { acl: "path_reg ^/(?!api|v2)" },
      "web-2": { acl: "path_reg ^(?:/api|/v2)" },
    },
  },
  {
    servers: [
      { ports: [80], hosts: ["a.org"], context: { default_server: "True" }, routes: [route(["/"])] },
      { ports: [80], hosts: ["b.org", "c.org"], routes: [route(["/"])] },
    ],
    wanted: {
      meta: { "a.org": { port: 80, frontend: ["mode http"] } },
      web: { acl: "base_reg -i ^(?!(?:b[.]org|c[.]org)(?::[0-9]+)?/)[^/]*/" },
      "web-2": { acl: "base_reg -i ^(?:b[.]org|c[.]org)(?::[0-9]+)?/" },
    },
  },
])("with HAProxy, servers are frontends or meta clusters: $wanted", ({ servers, wanted }) => {
  const imported = aurproxy({ config: { servers }, balancer: "haproxy" });
  const { meta, ...clusters } = wanted;
  assert.deepEqual(file(imported, "balancers/haproxy.yaml").meta_clusters, meta);
  for (const [name, section] of Object.entries(clusters)) {
    const { backend: _backend, ...own } = file(imported, `clusters/${name}.yaml`).haproxy;
    assert.deepEqual(own, section);
  }
});

Deno.test("with HAProxy, a check is HAProxy's own, unless it uses another port", () => {
  const check = (more: object) =>
    adjuster("HttpHealthCheck", { route: "/h", interval: 3, healthy_threshold: 4, ...more });
  const of = (more: object) => {
    const source = { ...SOURCE, share_adjusters: [check(more)] };
    const imported = aurproxy({
      config: { servers: [{ ports: [80], routes: [route(["/"], source)] }] },
      balancer: "haproxy",
    });
    return file(imported, "clusters/web.yaml");
  };
  const own = of({ http_method: "HEAD" });
  assert.equal(own.traffic, undefined);
  assert.deepEqual(own.haproxy.backend.slice(2), ["option httpchk HEAD /h", "http-check expect status 200"]);
  assert.equal(own.haproxy.server_options, "check inter 3s rise 4 fall 2");
  assert.equal(of({ port_name: "admin" }).traffic.health.http.port_name, "admin");
});

Deno.test("aurproxy streams are converted to one cluster per port", () => {
  const config = { servers: [{ ports: [5432, "5433"], streams: [{ sources: [SOURCE] }] }] };
  const stream = (port: number) => ({ listen: `0.0.0.0:${port}`, stream: "tcp", balance: "least_conn" });
  const imported = aurproxy({ config });
  assert.deepEqual(file(imported, "clusters/web.yaml").nginx, stream(5432));
  assert.deepEqual(file(imported, "clusters/web-5433.yaml").nginx, stream(5433));
  const tcp = file(aurproxy({ config, balancer: "haproxy" }), "clusters/web.yaml").haproxy;
  assert.deepEqual(tcp, { port: 5432, frontend: ["mode tcp"], backend: ["mode tcp", "balance leastconn"] });
});

Deno.test("an ApiSource of aurproxy becomes a cluster that accepts added nodes and sources", () => {
  const source = { source_class: "tellapart.aurproxy.source.ApiSource", name: "replay" };
  const of = (more: object) =>
    file(
      aurproxy({ config: { servers: [{ ports: [80], routes: [route(["/"], { ...source, ...more })] }] } }),
      "clusters/replay.yaml",
    );
  assert.deepEqual(of({}).api, { nodes: true, sources: ["static", "zookeeper"] });
  assert.deepEqual(of({ source_whitelist: ["a.StaticProxySource"] }).api, { nodes: true, sources: ["static"] });
  assert.deepEqual(of({}).static, { nodes: [] });
});
