import type { MetricFamily } from "../../src/metrics/tally.ts";
import { write } from "../../src/metrics/exposition.ts";

/** The samples of an exposition, by name and labels. */
export function readSamples(text: string): Readonly<Record<string, number>> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), line.slice(at + 1) === "+Inf" ? Infinity : Number(line.slice(at + 1))];
  }));
}

/** The collected samples, without the buckets of histograms. */
export function samplesOf(families: readonly MetricFamily[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(readSamples(write(families, "prometheus"))).filter(([name]) => !/_bucket\{/.test(name)),
  );
}
