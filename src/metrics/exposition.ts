/**
 * The text formats of Prometheus, and which of them a client asks for.
 *
 * @module
 */
import type { MetricFamily, Series } from "./tally.ts";

/** A format that metrics are exposed in. */
export type Format = "prometheus" | "openmetrics";

const CONTENT_TYPES: { readonly [format in Format]: string } = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** Metrics as they are sent. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** Writes metrics in the format that an `Accept` header asks for; in Prometheus' own without one. Pure. */
export function expose(families: readonly MetricFamily[], accept: string | null | undefined): Exposition {
  const format = formatFor(accept ?? "");
  return { contentType: CONTENT_TYPES[format], body: write(families, format) };
}

/** The format that an `Accept` header prefers; where it says nothing of either, or likes both alike, Prometheus' own. Pure. */
export function formatFor(accept: string): Format {
  const ranges = accept.split(",").map((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    const version = parameters.find((parameter) => parameter.startsWith("version="))?.slice("version=".length);
    return { type, version, quality: quality === undefined ? 1 : Number(quality) || 0 };
  });
  const best = (fits: (range: (typeof ranges)[number]) => boolean) =>
    Math.max(0, ...ranges.filter(fits).map(({ quality }) => quality));
  const openmetrics = best(({ type, version }) =>
    type === "application/openmetrics-text" && (version === undefined || version === "1.0.0")
  );
  const prometheus = best(({ type, version }) =>
    type === "text/plain" && (version === undefined || version === "0.0.4")
  );
  return openmetrics > prometheus ? "openmetrics" : "prometheus";
}

/** Writes metrics in a format. Pure. */
export function write(families: readonly MetricFamily[], format: Format): string {
  const text: string[] = [];
  const isOpen = format === "openmetrics";
  for (const { name, kind, unit, help, series, buckets } of families) {
    // OpenMetrics names a counter's family without the suffix of its samples.
    const family = isOpen && kind === "counter" ? name.replace(/_total$/, "") : name;
    text.push(`# HELP ${family} ${escapeHelp(help)}\n# TYPE ${family} ${kind}\n`);
    if (isOpen && unit !== undefined) text.push(`# UNIT ${family} ${unit}\n`);
    for (const each of series) {
      if (buckets === undefined) text.push(`${name}${braced(each.labels)} ${formatValue(each.value)}\n`);
      else writeHistogram(name, each, buckets.map((bound) => formatBound(bound, isOpen)), text);
    }
  }
  if (isOpen) text.push("# EOF\n");
  return text.join("");
}

function writeHistogram(
  name: string,
  { labels, value, counts = [] }: Series,
  bounds: readonly string[],
  text: string[],
): void {
  const before = labels === "" ? "" : `${labels},`;
  let total = 0;
  for (let i = 0; i <= bounds.length; i++) {
    total += counts[i] ?? 0;
    text.push(`${name}_bucket{${before}le="${bounds[i] ?? "+Inf"}"} ${total}\n`);
  }
  text.push(`${name}_sum${braced(labels)} ${formatValue(value)}\n${name}_count${braced(labels)} ${total}\n`);
}

function braced(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

/** OpenMetrics wants a bound that is a whole number to be written as a float. */
function formatBound(bound: number, isOpen: boolean): string {
  return isOpen && Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
