import assert from "node:assert/strict";
import fc from "fast-check";
import { Tally } from "../metrics/tally.ts";
import { type About, LINES_MAX, publicationOf } from "./lines.ts";

function tallied(cluster = "web"): Tally {
  const tally = new Tally();
  tally.count("lighthouse_snapshots_total", { cluster, result: "changed" }, 3);
  tally.observe("lighthouse_propagation_seconds", { balancer: "haproxy", cluster }, 0.5);
  tally.observe("lighthouse_propagation_seconds", { balancer: "haproxy", cluster }, 0.25);
  return tally;
}

const families = (tally: Tally) => tally.collect((to) => to.add("process_open_fds", {}, 17));

function about(target: Partial<About["target"]> & Pick<About["target"], "type">, given: Partial<About> = {}): About {
  return {
    target: { prefix: undefined, tags: {}, ...target },
    host: "web01.example.org",
    role: "run",
    atSeconds: 1_700_000_000,
    before: new Map(),
    ...given,
  };
}

Deno.test("publicationOf() writes StatsD's lines with tags in Datadog's form: increments of counters, values of gauges", () => {
  const tally = tallied();
  const target = { type: "statsd", prefix: "edge", tags: { env: "prod", cluster: "mine" } } as const;
  const first = publicationOf(families(tally), about(target));
  assert.deepEqual(first.lines, [
    "edge.process_open_fds:17|g|#env:prod,cluster:mine,host:web01.example.org,role:run",
    "edge.lighthouse_snapshots_total:3|c|#env:prod,cluster:web,result:changed,host:web01.example.org,role:run",
    "edge.lighthouse_propagation_seconds_count:2|c|#env:prod,cluster:web,balancer:haproxy,host:web01.example.org,role:run",
    "edge.lighthouse_propagation_seconds_sum:0.75|c|#env:prod,cluster:web,balancer:haproxy,host:web01.example.org,role:run",
  ]);
  tally.count("lighthouse_snapshots_total", { cluster: "web", result: "changed" }, 2);
  const second = publicationOf(families(tally), about(target, { before: first.counters }));
  assert.deepEqual(second.lines.map((line) => line.split("|")[0]), [
    "edge.process_open_fds:17",
    "edge.lighthouse_snapshots_total:2",
  ]);
});

Deno.test("publicationOf() writes OpenTSDB's put lines, with the prefix apart from the name", () => {
  const { lines } = publicationOf(
    families(tallied("a b")),
    about({ type: "opentsdb", prefix: "edge.lb", tags: { dc: "eu" } }),
  );
  assert.deepEqual(lines, [
    "put edge.lb.process_open_fds 1700000000 17 dc=eu host=web01.example.org role=run",
    "put edge.lb.lighthouse_snapshots_total 1700000000 3 dc=eu cluster=a_b result=changed host=web01.example.org role=run",
    "put edge.lb.lighthouse_propagation_seconds_count 1700000000 2 dc=eu balancer=haproxy cluster=a_b host=web01.example.org role=run",
    "put edge.lb.lighthouse_propagation_seconds_sum 1700000000 0.75 dc=eu balancer=haproxy cluster=a_b host=web01.example.org role=run",
  ]);
});

Deno.test("publicationOf() writes Graphite's lines, with the labels' values as parts of the path", () => {
  const { lines } = publicationOf(families(tallied("web.eu")), about({ type: "graphite", prefix: "edge" }));
  assert.deepEqual(lines, [
    "edge.web01_example_org.run.process_open_fds 17 1700000000",
    "edge.web01_example_org.run.lighthouse_snapshots_total.web_eu.changed 3 1700000000",
    "edge.web01_example_org.run.lighthouse_propagation_seconds_count.haproxy.web_eu 2 1700000000",
    "edge.web01_example_org.run.lighthouse_propagation_seconds_sum.haproxy.web_eu 0.75 1700000000",
  ]);
});

Deno.test("publicationOf() writes one complete line per sample, for any label", () => {
  const forms = {
    statsd: /^[\w.]+:[0-9.e+-]+\|[cg]\|#[^|,:\s]+:[^|,\s]+(?:,[^|,:\s]+:[^|,\s]+)*$/,
    opentsdb: /^put [\w.]+ [0-9]+ [0-9.e+-]+(?: [\p{L}\p{N}_./-]+=[\p{L}\p{N}_./-]+)+$/u,
    graphite: /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+ [0-9.e+-]+ [0-9]+$/,
  };
  fc.assert(fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 300 }), (cluster) => {
    for (const type of ["statsd", "opentsdb", "graphite"] as const) {
      const { lines } = publicationOf(tallied(cluster).collect(), about({ type }));
      assert.equal(lines.length, 3);
      for (const line of lines) assert.match(line, forms[type]);
    }
  }));
});

Deno.test("publicationOf() is bounded: samples beyond its limit are left out and counted", () => {
  const families = new Tally().collect((to) => {
    for (let i = 0; i < 1_000; i++) to.add("lighthouse_cluster_age_seconds", { cluster: `c${i}` }, i);
  });
  const many = Array.from({ length: 11 }, () => families).flat();
  const { lines, omitted } = publicationOf(many, about({ type: "opentsdb" }));
  assert.deepEqual([lines.length, omitted], [LINES_MAX, 1_000]);
});
