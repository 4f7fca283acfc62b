import assert from "node:assert/strict";
import fc from "fast-check";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { UNMETERED } from "./meter.ts";
import { type MetricDefinition, METRICS } from "./table.ts";
import { SERIES_MAX, Tally } from "./tally.ts";

Deno.test("Tally keeps a count for each combination of labels", () => {
  const tally = new Tally();
  tally.count("lighthouse_watch_failures_total", { cluster: "web" });
  tally.count("lighthouse_watch_failures_total", { cluster: "web" }, 2);
  tally.count("lighthouse_watch_failures_total", { cluster: "api" });
  tally.count("lighthouse_watch_failures_total", { cluster: "none" }, 0);
  tally.count("lighthouse_watch_failures_total", { cluster: "web" }, -1);
  tally.count("lighthouse_watch_failures_total", { cluster: "web" }, NaN);
  assert.deepEqual(samplesOf(tally.collect()), {
    'lighthouse_watch_failures_total{cluster="web"}': 3,
    'lighthouse_watch_failures_total{cluster="api"}': 1,
    'lighthouse_watch_failures_total{cluster="none"}': 0,
  });
});

Deno.test("Tally reads labels by name, in any order", () => {
  const tally = new Tally();
  tally.count("lighthouse_snapshots_total", { cluster: "web", result: "held" });
  tally.count("lighthouse_snapshots_total", { result: "held", cluster: "web" });
  assert.deepEqual(samplesOf(tally.collect()), { 'lighthouse_snapshots_total{cluster="web",result="held"}': 2 });
});

Deno.test("Tally sorts values into buckets, bounds included, and drops values that are not numbers", () => {
  const tally = new Tally();
  for (const value of [0, 0.001, 0.0011, 60, 61, NaN]) {
    tally.observe("lighthouse_propagation_seconds", { balancer: "haproxy", cluster: "web" }, value);
  }
  const [{ series: [series] = [] } = {}] = tally.collect();
  assert.deepEqual(series?.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
  assert.ok(Math.abs((series?.value ?? 0) - 121.0021) < 1e-9);
});

Deno.test("Tally is bounded: further label values are counted in one series", () => {
  const tally = new Tally();
  for (let i = 0; i < SERIES_MAX + 50; i++) {
    tally.count("lighthouse_snapshots_total", { cluster: `c${i}`, result: "changed" });
    tally.observe("lighthouse_propagation_seconds", { balancer: "haproxy", cluster: `c${i}` }, 1);
  }
  // Those that are known go on being counted as themselves.
  tally.count("lighthouse_snapshots_total", { cluster: "c0", result: "changed" });
  const samples = samplesOf(tally.collect());
  assert.equal(samples['lighthouse_snapshots_total{cluster="c0",result="changed"}'], 2);
  assert.equal(samples['lighthouse_snapshots_total{cluster="(other)",result="(other)"}'], 50);
  assert.equal(samples['lighthouse_propagation_seconds_count{balancer="(other)",cluster="(other)"}'], 50);
  for (const { series } of tally.collect()) assert.equal(series.length, SERIES_MAX + 1);
});

Deno.test("Tally exposes collected samples, counts omitted ones, and stores none of them", () => {
  const tally = new Tally();
  tally.count("lighthouse_watch_failures_total", { cluster: "web" });
  const families = tally.collect((to) => {
    for (let i = 0; i < SERIES_MAX + 3; i++) to.add("lighthouse_cluster_age_seconds", { cluster: `c${i}` }, i);
    to.add("process_open_fds", {}, 17);
  });
  const samples = samplesOf(families);
  assert.equal(samples["process_open_fds"], 17);
  assert.equal(samples['lighthouse_cluster_age_seconds{cluster="c999"}'], 999);
  assert.equal(samples['lighthouse_cluster_age_seconds{cluster="c1000"}'], undefined);
  assert.equal(samples['lighthouse_metric_series_omitted{metric="lighthouse_cluster_age_seconds"}'], 3);
  assert.deepEqual(Object.keys(samplesOf(tally.collect())), ['lighthouse_watch_failures_total{cluster="web"}']);
});

Deno.test("Tally exposes no series twice, however long the names in a config are", () => {
  const clusters = ["a", "b"].map((end) => "c".repeat(254) + end);
  const [{ series = [] } = {}] = new Tally().collect((to) => {
    for (const cluster of clusters) to.add("lighthouse_cluster_age_seconds", { cluster }, 1);
  });
  assert.deepEqual(series.map(({ labels }) => labels), clusters.map((cluster) => `cluster="${cluster}"`));
});

Deno.test("Tally never throws, for any label", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.double(), (cluster, value) => {
    const tally = new Tally();
    tally.count("lighthouse_watch_failures_total", { cluster }, value);
    tally.observe("lighthouse_propagation_seconds", { balancer: cluster, cluster }, value);
    UNMETERED.count("lighthouse_watch_failures_total", { cluster });
    assert.ok(tally.collect().length <= 2);
  }));
});

Deno.test("every metric follows Prometheus' conventions", () => {
  for (const [name, definition] of Object.entries<MetricDefinition>(METRICS)) {
    const { kind, unit, help, labels, buckets } = definition;
    assert.match(name, /^(?:lighthouse|process)(?:_[a-z]+)+$/);
    assert.equal(kind === "counter", name.endsWith("_total"), name);
    const base = name.replace(/_total$/, "");
    assert.equal(/_(?:seconds|bytes)$/.exec(base)?.[0], unit && `_${unit}`, `${name} ends with its base unit`);
    assert.match(help, /^[^\n]+\.$/, name);
    assert.ok(labels.every((label) => /^[a-z]+$/.test(label) && label !== "le"), name);
    assert.equal(buckets !== undefined, kind === "histogram", name);
    assert.deepEqual(buckets?.toSorted((a, b) => a - b), buckets, name);
  }
});
