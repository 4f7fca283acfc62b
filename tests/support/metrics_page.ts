/**
 * Generates docs/metrics.md from `src/metrics/table.ts`; run it to write the page:
 * `deno run --allow-write=docs tests/support/metrics_page.ts`.
 *
 * @module
 */
import { type MetricDefinition, METRICS } from "../../src/metrics/table.ts";
import { SERIES_MAX } from "../../src/metrics/tally.ts";

const HEAD = `# Metrics

\`--status ADDRESS\` of \`writer\`, \`reporter\` and \`run\` serves \`GET /metrics\` beside [\`/status\` and \`/health\`](operations.md#status-and-health), and
so does every [store](store.md#the-page-and-the-figures) at its own address:

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

Prometheus needs an address that it reaches: \`--status 0.0.0.0:9180\` on a network that may read names and addresses of this host's services.
Fleets without Prometheus scrape the same address with their own agent (Datadog's OpenMetrics check, Telegraf, the OpenTelemetry collector):
the same metrics are pushed to StatsD, OpenTSDB or Graphite by [\`publishers\`](config/lighthouse.md#publishers) of lighthouse.yaml.
Without \`--status\` and without publishers nothing is counted. [examples/monitoring](../examples/monitoring/README.md) has a scrape config, alert rules and a dashboard.

The answer is Prometheus' text format 0.0.4, or OpenMetrics 1.0.0 if \`Accept\` prefers it. Names follow the conventions: base
units, \`_total\` for counters. Ages are gauges in seconds, computed at the scrape: they need no common clock.

Labels have few values: names from the config, kinds, results; never the address of a node. A metric has at most ${
  SERIES_MAX.toLocaleString("en")
} series:
counts with further label values go to a series whose labels are all \`(other)\`, and gauges beyond are counted in
\`lighthouse_metric_series_omitted\`. Counters of what left the config stay at their last value until the process restarts; its gauges go at once.
`;

const TAIL = `## Propagation

\`lighthouse_propagation_seconds\` is the time from the arrival of a membership change in the host process to the look at the balancer that finds it
served. Every change counts, those joined with others too. A change that a [guard](config/clusters.md) holds starts with the snapshot
that confirms it. What comes before is not in it: the registry's own delay, and the worker that reads its answer (under a millisecond).

\`\`\`promql
histogram_quantile(0.99, sum by (le, cluster) (rate(lighthouse_propagation_seconds_bucket[5m])))
\`\`\`

## HAProxy's own metrics

HAProxy knows what no other process does: requests, response times, connections, the state of each server. Debian's package and the official
images have its exporter built in (\`haproxy -vv\` lists \`prometheus-exporter\`). One proxy serves it:

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

Two servers make about 190 metrics and 700 lines; a thousand servers make tens of thousands. Scrape what the dashboards need:

\`\`\`yaml
# prometheus.yml
scrape_configs:
  - job_name: haproxy
    static_configs: [{targets: ["app1.example:8405"]}]
    params:
      scope: [global, frontend, backend]   # without server: constant in the number of nodes
\`\`\`

| to watch | query |
| --- | --- |
| requests a second by cluster | \`sum by (proxy) (rate(haproxy_backend_http_requests_total[5m]))\` |
| share of 5xx | \`sum by (proxy) (rate(haproxy_backend_http_responses_total{code="5xx"}[5m])) / sum by (proxy) (rate(haproxy_backend_http_responses_total[5m]))\` |
| servers that take requests | \`haproxy_backend_active_servers\`, beside \`lighthouse_balancer_members\` |
| queued requests | \`haproxy_backend_current_queue\` |

\`proxy\` is the cluster's name in backends; [in frontends](../plugins/balancers/haproxy/README.md) it may differ from HAProxy 3.1 on. Counters restart
at each reload, as the new process counts from zero: \`rate()\` copes.
`;

/** The whole page. */
export function metricsPage(): string {
  const parts = Map.groupBy(Object.entries<MetricDefinition>(METRICS), ([, { part }]) => part);
  const sections = [...parts].map(([part, metrics]) =>
    [
      `## ${part}`,
      "",
      "| metric | kind | unit | labels | what it is |",
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
