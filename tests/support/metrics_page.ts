/**
 * Generates docs/metrics.md from `src/metrics/table.ts`; run it to write the page:
 * `deno run --allow-write=docs tests/support/metrics_page.ts`.
 *
 * @module
 */
import { type MetricDefinition, METRICS } from "../../src/metrics/table.ts";
import { SERIES_MAX } from "../../src/metrics/tally.ts";

const HEAD = `# Metrics

With \`--status ADDRESS\`, \`writer\`, \`reporter\` and \`run\` serve \`GET /metrics\`, next to [\`/status\` and \`/health\`](operations.md#status-and-health).
Every [store](store.md#web-page-and-metrics) also serves \`/metrics\`, at its own address:

\`\`\`sh
lighthouse run /etc/lighthouse --status 127.0.0.1:9180
curl -s http://127.0.0.1:9180/metrics
\`\`\`

\`\`\`yaml
# prometheus.yml
scrape_configs:
  - job_name: lighthouse
    static_configs: [{targets: ["app1.example:9180", "app2.example:9180"]}]
\`\`\`

Prometheus needs a reachable address: use \`--status 0.0.0.0:9180\` only in a network that is allowed to read the names and addresses of this host's services.
Fleets without Prometheus scrape the same address with their own agent: Datadog's OpenMetrics check, Telegraf or the OpenTelemetry collector.
The [\`publishers\`](config/lighthouse.md#publishers) of lighthouse.yaml push the same metrics to StatsD, OpenTSDB or Graphite.
Metrics are collected only with \`--status\` or a publisher. [examples/monitoring](../examples/monitoring/README.md) has a scrape config, alert rules and a dashboard.

The response is in Prometheus' text format 0.0.4, or in OpenMetrics 1.0.0 if the \`Accept\` header prefers OpenMetrics. Names follow the Prometheus
conventions: base units, \`_total\` for counters. Ages are gauges in seconds, computed at scrape time, so clocks need not be synchronized.

Label values are names from the config, kinds and results; node addresses are never label values. A metric has at most ${
  SERIES_MAX.toLocaleString("en")
} series.
Above that limit, counts are added to one series whose labels are all \`(other)\`, and omitted gauges are counted in
\`lighthouse_metric_series_omitted\`. When an object is removed from the config, its gauges disappear at once; its counters keep their last value
until the process restarts.
`;

const TAIL = `## Propagation

\`lighthouse_propagation_seconds\` is the time from the arrival of a membership change in the host process until a read of the balancer's state
confirms that the change is served. Every change counts, including changes applied in one batch. For a change held by a
[guard](config/clusters.md), the time starts with the snapshot that confirms the change. The registry's own delay, and the time in the worker that reads
the response (under a millisecond), are not included.

\`\`\`promql
histogram_quantile(0.99, sum by (le, cluster) (rate(lighthouse_propagation_seconds_bucket[5m])))
\`\`\`

## HAProxy's own metrics

Only HAProxy can count requests, response times, connections and the state of each server. Debian's package and the official
images include its exporter (\`haproxy -vv\` lists \`prometheus-exporter\`). Add one proxy to serve the exporter:

\`\`\`yaml
# balancers/haproxy.yaml
proxies:
  metrics:
    port: 8405
    bind_address: 127.0.0.1
    upstreams: []
    options:
      - mode http
      - http-request use-service prometheus-exporter if { path /metrics }
\`\`\`

Two servers produce about 190 metrics and 700 lines; a thousand servers produce tens of thousands. Scrape only the scopes that the dashboards need:

\`\`\`yaml
# prometheus.yml
scrape_configs:
  - job_name: haproxy
    static_configs: [{targets: ["app1.example:8405"]}]
    params:
      scope: [global, frontend, backend]   # without server: constant in the number of nodes
\`\`\`

| signal | query |
| --- | --- |
| requests per second by cluster | \`sum by (proxy) (rate(haproxy_backend_http_requests_total[5m]))\` |
| share of 5xx | \`sum by (proxy) (rate(haproxy_backend_http_responses_total{code="5xx"}[5m])) / sum by (proxy) (rate(haproxy_backend_http_responses_total[5m]))\` |
| servers that accept requests | \`haproxy_backend_active_servers\`, compared with \`lighthouse_balancer_members\` |
| queued requests | \`haproxy_backend_current_queue\` |

In backends, \`proxy\` is the cluster's name; [in frontends](../plugins/balancers/haproxy/README.md), \`proxy\` can differ in HAProxy 3.1 and newer. Counters restart
from zero at each reload, because the new process has new counters. \`rate()\` handles such resets.
`;

/** The whole page. */
export function metricsPage(): string {
  const parts = Map.groupBy(Object.entries<MetricDefinition>(METRICS), ([, { part }]) => part);
  const sections = [...parts].map(([part, metrics]) =>
    [
      `## ${part}`,
      "",
      "| metric | kind | unit | labels | meaning |",
      "| --- | --- | --- | --- | --- |",
      ...metrics.map(([name, { kind, unit = "", labels, help }]) =>
        `| \`${name}\` | ${kind} | ${unit} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`
      ),
      "",
    ].join("\n")
  );
  return [HEAD, ...sections, TAIL].join("\n");
}

if (import.meta.main) Deno.writeTextFileSync(new URL("../../docs/metrics.md", import.meta.url), metricsPage());
