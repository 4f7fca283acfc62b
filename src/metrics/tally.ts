import type { Collector, Meter } from "./meter.ts";
import { type LabelsOf, type MetricDefinition, type MetricName, METRICS } from "./table.ts";

/** A metric with the values that it has now. */
export interface MetricFamily extends MetricDefinition {
  readonly name: string;
  readonly series: readonly Series[];
}

/** The value of one combination of labels. */
export interface Series {
  /** The labels as they are exposed, escaped: `cluster="web",cause="few"`; empty if there are none. */
  readonly labels: string;
  /** Of a counter or gauge; of a histogram the sum of what was observed. */
  readonly value: number;
  /** What each bucket of a histogram has, `+Inf` last; not cumulative. */
  readonly counts?: readonly number[];
}

/** A metric exposes at most this many series; what comes with further label values is counted in one series more. */
export const SERIES_MAX = 1_000;
/** Each label of that series. No name in a config can have parentheses. */
const OTHER = "(other)";
/** A longer label value is cut; no name of a config is, as two of them could become one series. */
const VALUE_LENGTH_MAX = 300;

/** A series while it is counted. */
interface Counted extends Series {
  value: number;
  readonly counts?: number[];
}

/** The series of a metric by the value of a label, and below it by the next: to find one costs no new string. */
type Level = Map<string, Level | Counted>;

/** What is counted of one metric. */
interface Metric {
  readonly labels: readonly string[];
  readonly buckets: readonly number[] | undefined;
  readonly root: Level;
  readonly series: Counted[];
  /** Counts what comes with further label values. */
  other?: Counted;
}

/** Keeps the counts of one process: bounded, whatever the labels are. */
export class Tally implements Meter {
  readonly #metrics = new Map<string, Metric>();

  /** See {@linkcode Meter.count}. */
  count<Name extends MetricName<"counter">>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    if (by >= 0) this.#seriesOf(name, labels).value += by;
  }

  /** See {@linkcode Meter.observe}. A value that is no number is dropped. */
  observe<Name extends MetricName<"histogram">>(name: Name, labels: LabelsOf<Name>, value: number): void {
    if (Number.isNaN(value)) return;
    const { buckets } = METRICS[name];
    const series = this.#seriesOf(name, labels);
    let at = 0;
    while (at < buckets.length && value > (buckets[at] ?? 0)) at++;
    series.value += value;
    const { counts } = series;
    if (counts !== undefined) counts[at] = (counts[at] ?? 0) + 1;
  }

  /** All metrics that have values, in the order of the table; `project` adds what is known elsewhere. */
  collect(project: (to: Collector) => void = () => {}): readonly MetricFamily[] {
    const projected = new Projection();
    project(projected);
    return Object.entries<MetricDefinition>(METRICS).flatMap(([name, definition]) => {
      const series = projected.seriesOf(name) ?? this.#metrics.get(name)?.series ?? [];
      return series.length === 0 ? [] : [{ ...definition, name, series }];
    });
  }

  #seriesOf(name: MetricName, labels: Readonly<Record<string, string>>): Counted {
    let metric = this.#metrics.get(name);
    if (metric === undefined) {
      const { labels, buckets }: MetricDefinition = METRICS[name];
      this.#metrics.set(name, metric = { labels, buckets, root: new Map(), series: [] });
    }
    let at: Level | Counted | undefined = metric.root;
    for (const label of metric.labels) at = (at as Level | undefined)?.get(cut(labels[label]));
    if (metric.labels.length === 0) at = metric.series[0];
    return at as Counted | undefined ?? addSeries(metric, labels);
  }
}

function addSeries(metric: Metric, labels: Readonly<Record<string, string>>): Counted {
  const { labels: names, buckets, root, series } = metric;
  const isFull = series.length >= SERIES_MAX;
  if (isFull && metric.other !== undefined) return metric.other;
  const values = isFull ? Object.fromEntries(names.map((name) => [name, OTHER])) : labels;
  const added: Counted = {
    labels: labelText(names, values),
    value: 0,
    ...buckets && { counts: [...buckets.map(() => 0), 0] },
  };
  series.push(added);
  if (isFull) return metric.other = added;
  let level = root;
  for (const [index, name] of names.entries()) {
    const value = cut(labels[name]);
    if (index === names.length - 1) level.set(value, added);
    else {
      const next = level.get(value) as Level | undefined ?? new Map();
      level.set(value, next);
      level = next;
    }
  }
  return added;
}

/** Values that are known elsewhere, at one time. */
class Projection implements Collector {
  readonly #series = new Map<string, Series[]>();
  readonly #omitted = new Map<string, number>();

  add<Name extends MetricName<"gauge" | "counter">>(name: Name, labels: LabelsOf<Name>, value: number): void {
    let series = this.#series.get(name);
    if (series === undefined) this.#series.set(name, series = []);
    if (series.length < SERIES_MAX) series.push({ labels: labelText(METRICS[name].labels, labels), value });
    else this.#omitted.set(name, (this.#omitted.get(name) ?? 0) + 1);
  }

  /** The series of a metric; `undefined` if it has none. */
  seriesOf(name: string): readonly Series[] | undefined {
    if (name !== "lighthouse_metric_series_omitted") return this.#series.get(name);
    return [...this.#omitted].map(([metric, value]) => ({ labels: labelText(["metric"], { metric }), value }));
  }
}

function labelText(names: readonly string[], values: Readonly<Record<string, string>>): string {
  return names.map((name) => `${name}="${escape(cut(values[name]))}"`).join(",");
}

function cut(value = ""): string {
  return value.length > VALUE_LENGTH_MAX ? value.slice(0, VALUE_LENGTH_MAX) : value;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
