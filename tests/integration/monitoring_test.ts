/** examples/monitoring, checked against promtool and the table of metrics. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { type MetricDefinition, METRICS } from "../../src/metrics/table.ts";
import { promtool } from "../support/prometheus.ts";

const DIR = new URL("../../examples/monitoring/", import.meta.url);

interface Rule {
  readonly alert: string;
  readonly expr: string;
}

function read(name: string): string {
  return Deno.readTextFileSync(new URL(name, DIR));
}

const rules: readonly Rule[] = parse(read("alerts.yml")).groups.flatMap(({ rules }: { rules: Rule[] }) => rules);

/** All queries of the dashboard. */
function* queriesOf(value: unknown): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, each] of Object.entries(value)) {
    if ((key === "expr" || key === "definition") && typeof each === "string") yield each;
    else yield* queriesOf(each);
  }
}

/** Returns the parts of a query that no table has: a metric, or a label of one. */
function* faultsOf(query: string): Generator<string> {
  for (const [, name = "", matchers = ""] of query.matchAll(/\b((?:lighthouse|process)_\w+)(?:\{([^}]*)\})?/g)) {
    const family = Object.hasOwn(METRICS, name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
    if (!Object.hasOwn(METRICS, family)) {
      yield `${name} is no metric: ${query}`;
      continue;
    }
    const { kind, labels }: MetricDefinition = METRICS[family as keyof typeof METRICS];
    if ((kind === "histogram") !== (family !== name)) yield `${name} is a ${kind}: ${query}`;
    const known = new Set([...labels, "instance", "job", "le"]);
    for (const [, label = ""] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)) {
      if (!known.has(label)) yield `${name} has no label ${label}: ${query}`;
    }
  }
}

Deno.test.each([
  { args: ["check", "config", "prometheus.yml"] },
  { args: ["check", "rules", "--lint-fatal", "alerts.yml"] },
  { args: ["test", "rules", "alerts_test.yml"] },
])("promtool accepts $args", async ({ args }) => {
  const { success, said } = await promtool(args, { cwd: DIR.pathname });
  assert.ok(success, said);
});

Deno.test("each alert is tested, documented, and uses existing metrics and labels", () => {
  const tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[] =
    parse(read("alerts_test.yml")).tests;
  const cases = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  const raised = new Set(cases.filter(({ exp_alerts }) => exp_alerts.length > 0).map(({ alertname }) => alertname));
  const quiet = new Set(cases.filter(({ exp_alerts }) => exp_alerts.length === 0).map(({ alertname }) => alertname));
  const names = rules.map(({ alert }) => alert);
  assert.ok(names.length > 20);
  assert.deepEqual(names.filter((name) => !raised.has(name)), [], "alerts that no test raises");
  assert.deepEqual(names.filter((name) => !quiet.has(name)), [], "alerts that no test finds quiet");
  assert.deepEqual(names.filter((name) => !read("README.md").includes(`\`${name}\``)), [], "alerts without a word");
  assert.deepEqual(rules.flatMap(({ expr }) => [...faultsOf(expr)]), []);
});

Deno.test("the dashboard uses existing metrics and labels, each in a panel of its own", () => {
  const dashboard = JSON.parse(read("dashboard.json"));
  const queries = [...queriesOf(dashboard)];
  assert.ok(queries.length > 40);
  assert.deepEqual(queries.flatMap((query) => [...faultsOf(query)]), []);
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  assert.equal(new Set(ids).size, ids.length);
  // A row of README.md for each row of the dashboard.
  for (const { type, title } of dashboard.panels) {
    if (type === "row") assert.match(read("README.md"), new RegExp(`^\\| ${title} +\\|`, "m"));
  }
});

Deno.test("every metric of the daemon that indicates trouble is in an alert or on the dashboard", () => {
  const text = [...queriesOf(JSON.parse(read("dashboard.json"))), ...rules.map(({ expr }) => expr)].join("\n");
  const known = Object.keys(METRICS).filter((name) =>
    /_(?:failures|restarts|rejections|drift|holds|disconnects|rejected_messages|dropped_log_records)(?:_total)?$|_(?:behind|contested|pending|stuck_threads)$/
      .test(name)
  );
  assert.ok(known.length >= 9, known.join());
  assert.deepEqual(known.filter((name) => !text.includes(name)), []);
});
