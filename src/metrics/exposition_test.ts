import assert from "node:assert/strict";
import { readSamples } from "../../tests/support/metric_samples.ts";
import { expose, type Format, formatFor, write } from "./exposition.ts";
import { Tally } from "./tally.ts";

function tallied(): Tally {
  const tally = new Tally();
  tally.count("lighthouse_watch_failures_total", { cluster: "web" }, 2);
  tally.observe("lighthouse_registration_duration_seconds", { discovery: "zk", operation: "register" }, 0.3);
  tally.observe("lighthouse_registration_duration_seconds", { discovery: "zk", operation: "register" }, 100);
  return tally;
}

Deno.test("write() writes Prometheus' text format: help and type once, buckets cumulative", () => {
  const text = write(tallied().collect((to) => to.add("process_open_fds", {}, 7)), "prometheus");
  assert.deepEqual(text.split("\n").filter((line) => !/le="(?!0\.25"|0\.5"|1"|\+Inf")/.test(line)), [
    "# HELP process_open_fds Open file descriptors, counted every 10s.",
    "# TYPE process_open_fds gauge",
    "process_open_fds 7",
    "# HELP lighthouse_registration_duration_seconds Duration of changes sent to registries.",
    "# TYPE lighthouse_registration_duration_seconds histogram",
    'lighthouse_registration_duration_seconds_bucket{discovery="zk",operation="register",le="0.25"} 0',
    'lighthouse_registration_duration_seconds_bucket{discovery="zk",operation="register",le="0.5"} 1',
    'lighthouse_registration_duration_seconds_bucket{discovery="zk",operation="register",le="1"} 1',
    'lighthouse_registration_duration_seconds_bucket{discovery="zk",operation="register",le="+Inf"} 2',
    'lighthouse_registration_duration_seconds_sum{discovery="zk",operation="register"} 100.3',
    'lighthouse_registration_duration_seconds_count{discovery="zk",operation="register"} 2',
    "# HELP lighthouse_watch_failures_total Watch failures for the cluster.",
    "# TYPE lighthouse_watch_failures_total counter",
    'lighthouse_watch_failures_total{cluster="web"} 2',
    "",
  ]);
});

Deno.test("write() writes OpenMetrics: families of counters without suffix, units, whole bounds as floats, an end", () => {
  const text = write(tallied().collect(), "openmetrics");
  assert.match(text, /^# TYPE lighthouse_watch_failures counter\nlighthouse_watch_failures_total\{cluster="web"\} 2$/m);
  assert.match(text, /^# UNIT lighthouse_registration_duration_seconds seconds$/m);
  assert.match(text, /_bucket\{discovery="zk",operation="register",le="1\.0"\} 1$/m);
  assert.match(text, /\n# EOF\n$/);
});

Deno.test("write() escapes label values", () => {
  const tally = new Tally();
  tally.count("lighthouse_watch_failures_total", { cluster: 'a"b\\c\nd' });
  const text = write(tally.collect(), "prometheus");
  assert.ok(text.includes('lighthouse_watch_failures_total{cluster="a\\"b\\\\c\\nd"} 1\n'));
  assert.equal(Object.keys(readSamples(text)).length, 1);
});

Deno.test.each<{ accept: string; format: Format }>([
  { accept: "", format: "prometheus" },
  { accept: "*/*", format: "prometheus" },
  { accept: "text/plain", format: "prometheus" },
  { accept: "text/html,application/xhtml+xml", format: "prometheus" },
  { accept: "application/openmetrics-text", format: "openmetrics" },
  { accept: "application/openmetrics-text; version=1.0.0; charset=utf-8", format: "openmetrics" },
  { accept: "application/openmetrics-text;version=2.0.0,text/plain;q=0.1", format: "prometheus" },
  { accept: "application/openmetrics-text;q=0", format: "prometheus" },
  { accept: "text/plain;q=0.9,application/openmetrics-text;q=0.5", format: "prometheus" },
  { accept: "application/openmetrics-text;q=broken", format: "prometheus" },
  {
    accept:
      "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    format: "openmetrics",
  },
])("formatFor($accept) is $format", ({ accept, format }) => {
  assert.equal(formatFor(accept), format);
});

Deno.test("expose() returns the content type of its format", () => {
  const families = tallied().collect();
  assert.equal(expose(families, null).contentType, "text/plain; version=0.0.4; charset=utf-8");
  const open = expose(families, "application/openmetrics-text");
  assert.equal(open.contentType, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  assert.match(open.body, /# EOF\n$/);
});
