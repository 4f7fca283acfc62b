/** The metrics at `/metrics`, as Prometheus and its tools read them. */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { readSamples } from "../support/metric_samples.ts";
import { Prometheus, promtool } from "../support/prometheus.ts";
import { StatusClient } from "../support/status_client.ts";

const CHECKS = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } };

/** A host that offers a service and consumes it, with HAProxy's own exporter. */
class Host implements AsyncDisposable {
  readonly host: TestHost = new TestHost();
  readonly client: StatusClient = new StatusClient();
  readonly service: WebService = new WebService();
  readonly exporterPort: number = freePort();
  readonly clusterPort: number = freePort();

  async start(): Promise<Lighthouse> {
    const { host, service, exporterPort, clusterPort } = this;
    await host.configure({
      proxies: {
        metrics: {
          port: exporterPort,
          bind_address: "127.0.0.1",
          upstreams: [],
          options: ["mode http", "http-request use-service prometheus-exporter if { path /metrics }"],
        },
      },
    });
    await host.write("services/web", { discovery: "file", port: service.port, checks: CHECKS });
    await host.write("clusters/web", { discovery: "file", haproxy: { port: clusterPort, backend: ["mode http"] } });
    return Lighthouse.start("run", host.configDir, this.client.flags);
  }

  /** The samples of a scrape. */
  async samples(): Promise<Readonly<Record<string, number>>> {
    return readSamples(await (await this.client.ask("/metrics")).text());
  }

  /** Waits until a scrape has a matching sample; returns the scrape. */
  async until(name: string, is: (value: number) => boolean): Promise<Readonly<Record<string, number>>> {
    let seen: Readonly<Record<string, number>> = {};
    return await eventually(name, async () => {
      seen = await this.samples().catch(() => ({}));
      return is(seen[name] ?? NaN) && seen;
    }).catch((error) => {
      throw new Error(`${error.message}: last seen ${JSON.stringify(seen, null, 1)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

Deno.test("GET /metrics counts what a host does, from a probe to HAProxy serving the node", async () => {
  await using host = new Host();
  await using _daemon = await host.start();
  const propagated = 'lighthouse_propagation_seconds_count{balancer="haproxy",cluster="web"}';
  const up = await host.until(propagated, (count) => count >= 1);
  const service = `web:${host.service.port}`;
  const expected: Readonly<Record<string, (value: number) => boolean>> = {
    [`lighthouse_probes_total{service="${service}",check="http",result="pass"}`]: (value) => value >= 1,
    'lighthouse_probe_duration_seconds_count{check="http"}': (value) => value >= 1,
    [`lighthouse_service_up{service="${service}"}`]: (value) => value === 1,
    [`lighthouse_check_passing{service="${service}",check="http"}`]: (value) => value === 1,
    'lighthouse_registrations_total{discovery="file",operation="register",result="ok"}': (value) => value >= 1,
    [`lighthouse_registration_pending{service="${service}"}`]: (value) => value === 0,
    'lighthouse_registry_connected{discovery="file"}': (value) => value === 1,
    'lighthouse_registry_connects_total{discovery="file"}': (value) => value === 1,
    'lighthouse_snapshots_total{cluster="web",result="changed"}': (value) => value >= 1,
    'lighthouse_cluster_members{cluster="web",state="ready"}': (value) => value === 1,
    'lighthouse_cluster_state{cluster="web",state="current"}': (value) => value === 1,
    'lighthouse_cluster_age_seconds{cluster="web"}': (value) => value === 0,
    'lighthouse_balancer_members{balancer="haproxy",cluster="web"}': (value) => value === 1,
    'lighthouse_balancer_starts_total{balancer="haproxy"}': (value) => value === 1,
    'lighthouse_balancer_drift_total{balancer="haproxy"}': (value) => value === 0,
    'lighthouse_balancer_steps_total{balancer="haproxy",step="start",result="ok"}': (value) => value === 1,
    'lighthouse_balancer_look_duration_seconds_count{balancer="haproxy",result="ok"}': (value) => value >= 1,
    'lighthouse_worker_boots_total{kind="check",result="ok"}': (value) => value === 1,
    'lighthouse_worker_boots_total{kind="discovery",result="ok"}': (value) => value === 1,
    'lighthouse_workers{kind="check",state="serving"}': (value) => value === 1,
    'lighthouse_config_reads_total{result="changed"}': (value) => value >= 1,
    'lighthouse_config_findings{severity="error"}': (value) => value === 0,
    lighthouse_config_readable: (value) => value === 1,
    lighthouse_stuck_threads: (value) => value === 0,
    process_resident_memory_bytes: (value) => value > 10_000_000,
    process_cpu_seconds_total: (value) => value > 0,
    process_open_fds: (value) => value > 10,
    process_start_time_seconds: (value) => value > 1_600_000_000,
  };
  for (const [name, is] of Object.entries(expected)) assert.ok(is(up[name] ?? NaN), `${name} ${up[name]}`);
  const propagation = up[propagated.replace("_count", "_sum")] ?? NaN;
  assert.ok(propagation > 0 && propagation < 60, `${propagation} s`);

  host.service.healthy = false;
  await host.until(
    'lighthouse_registrations_total{discovery="file",operation="deregister",result="ok"}',
    (n) => n >= 1,
  );
  assert.equal((await host.samples())[`lighthouse_service_up{service="${service}"}`], 0);
  // A port of the cluster is structure: it requires a reload.
  await host.host.write("clusters/web", {
    discovery: "file",
    haproxy: { port: host.clusterPort, backend: ["mode http", "option redispatch"] },
  });
  await host.until('lighthouse_balancer_reloads_total{balancer="haproxy",reason="structure"}', (count) => count === 1);
  await host.host.write("clusters/web", "discovery: [");
  await host.until('lighthouse_config_findings{severity="error"}', (count) => count >= 1);
});

Deno.test("GET /metrics passes promtool check metrics, and is OpenMetrics for clients that prefer it", async () => {
  await using host = new Host();
  await using _daemon = await host.start();
  await host.until('lighthouse_propagation_seconds_count{balancer="haproxy",cluster="web"}', (count) => count >= 1);
  const response = await host.client.ask("/metrics");
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const { success, said } = await promtool(["check", "metrics"], { stdin: await response.text() });
  assert.deepEqual([success, said], [true, ""]);
  const open = await fetch(`http://${host.client.address}/metrics`, {
    headers: { accept: "application/openmetrics-text; version=1.0.0, text/plain; q=0.5" },
  });
  assert.equal(open.headers.get("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  assert.match(await open.text(), /^# UNIT lighthouse_propagation_seconds seconds$[^]*\n# EOF\n$/m);
});

Deno.test("Prometheus scrapes a host, whose counters advance meanwhile, and HAProxy's own exporter as docs/metrics.md configures it", async () => {
  await using host = new Host();
  await using _daemon = await host.start();
  await using prometheus = await Prometheus.start([
    { job: "lighthouse", target: host.client.address },
    { job: "haproxy", target: `127.0.0.1:${host.exporterPort}`, params: { scope: ["global", "frontend", "backend"] } },
  ]);
  const value = async (query: string) => (await prometheus.query(query))[0]?.value;
  await eventually("both are scraped", async () => await value("sum(up)") === 2);
  const quantile = "histogram_quantile(0.5, sum by (le) (lighthouse_propagation_seconds_bucket))";
  await eventually("propagation is there", async () => Number(await value(quantile)) > 0);
  await eventually(
    "probes are counted on",
    async () => Number(await value("increase(lighthouse_probes_total[10s])")) > 0,
  );
  await eventually(
    "HAProxy says the same",
    async () =>
      await value('haproxy_backend_active_servers{proxy="web"} == on () sum(lighthouse_balancer_members)') === 1,
  );
  assert.deepEqual(await prometheus.query('{__name__=~"haproxy_server_.*"}'), []);
  assert.deepEqual(await prometheus.query("lighthouse_metric_series_omitted"), []);
});
