/**
 * Metrics as lines for StatsD, OpenTSDB and Graphite. Pure.
 *
 * A histogram is published as its count and its sum, as counters: these systems
 * cannot add buckets of Prometheus.
 *
 * @module
 */
import type { MetricFamily, Series } from "../metrics/tally.ts";
import type { PublisherTarget } from "./target.ts";

/** So many lines are published at once; gauges and counters beyond are left out. */
export const LINES_MAX = 10_000;

/** What is published once. */
export interface Publication {
  /** Without an end of line. */
  readonly lines: readonly string[];
  /** Samples that are left out, as there are too many. */
  readonly omitted: number;
  /** The counters as published: StatsD gets what is added to them. */
  readonly counters: ReadonlyMap<string, number>;
}

/** What stands beside the values. */
export interface About {
  readonly target: Pick<PublisherTarget, "type" | "prefix" | "tags">;
  /** The name of this host. */
  readonly host: string;
  /** `writer`, `reporter` or `run`: a host may have two processes. */
  readonly role: string;
  /** Seconds since 1970. */
  readonly atSeconds: number;
  /** The counters of the last publication that was sent. */
  readonly before: ReadonlyMap<string, number>;
}

/** One value. */
interface Sample {
  readonly name: string;
  readonly isCounter: boolean;
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
}

/** Writes one sample; `undefined` if there is nothing to say of it. */
type WriteSample = (sample: Sample, about: About, counters: Map<string, number>) => string | undefined;

const WRITERS: Readonly<Record<PublisherTarget["type"], WriteSample>> = {
  statsd: writeStatsd,
  opentsdb: writeOpentsdb,
  graphite: writeGraphite,
};

/** Writes metrics for a target. */
export function publicationOf(families: readonly MetricFamily[], about: About): Publication {
  const write = WRITERS[about.target.type];
  const lines: string[] = [];
  const counters = new Map<string, number>();
  let omitted = 0;
  for (const family of families) {
    for (const sample of samplesOf(family)) {
      if (lines.length >= LINES_MAX) {
        omitted++;
        continue;
      }
      const line = Number.isFinite(sample.value) ? write(sample, about, counters) : undefined;
      if (line !== undefined) lines.push(line);
    }
  }
  return { lines, omitted, counters };
}

function* samplesOf({ name, kind, series }: MetricFamily): Generator<Sample> {
  for (const each of series) {
    const labels = labelsOf(each);
    if (each.counts === undefined) yield { name, isCounter: kind === "counter", labels, value: each.value };
    else {
      const count = each.counts.reduce((sum, of) => sum + of, 0);
      yield { name: `${name}_count`, isCounter: true, labels, value: count };
      yield { name: `${name}_sum`, isCounter: true, labels, value: each.value };
    }
  }
}

/** The labels of a series, which it has as they are exposed. */
function labelsOf({ labels }: Series): readonly (readonly [string, string])[] {
  return [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = "", value = ""]) =>
    [name, value.replaceAll(/\\(.)/g, (_, char) => char === "n" ? "\n" : char)] as const
  );
}

/** The tags of a sample, each name once: its labels come before what the config adds. */
function tagsOf({ labels }: Sample, { target, host, role }: About): readonly (readonly [string, string])[] {
  return Object.entries({ ...target.tags, ...Object.fromEntries(labels), host, role });
}

/** `name:value|c|#tag:value,tag:value`: docs.datadoghq.com/developers/dogstatsd/datagram_shell. */
function writeStatsd(sample: Sample, about: About, counters: Map<string, number>): string | undefined {
  const { name, isCounter, value } = sample;
  const tags = tagsOf(sample, about).map(([tag, of]) => `${tag}:${of.replaceAll(/[^\p{L}\p{N}_.:/-]/gu, "_")}`);
  const line = (said: number, kind: string) => `${prefixed(name, about)}:${said}|${kind}|#${tags.join(",")}`;
  if (!isCounter) return line(value, "g");
  const key = `${name} ${tags.join(",")}`;
  counters.set(key, value);
  const added = value - (about.before.get(key) ?? 0);
  return added > 0 ? line(added, "c") : undefined;
}

/** `put name seconds value tag=value`: opentsdb.net/docs/build/html/api_telnet/put.html. */
function writeOpentsdb(sample: Sample, about: About): string {
  const tags = tagsOf(sample, about).map(([tag, of]) => `${tag}=${word(of, /[^\p{L}\p{N}_./-]/gu)}`);
  return `put ${prefixed(sample.name, about)} ${about.atSeconds} ${sample.value} ${tags.join(" ")}`;
}

/** `path value seconds`, the labels' values as parts of the path: graphite.readthedocs.io/en/latest/feeding-carbon.html. */
function writeGraphite({ name, labels, value }: Sample, about: About): string {
  const parts = [about.host, about.role, name, ...labels.map(([, of]) => of)].map((part) =>
    word(part, /[^A-Za-z0-9_-]/g)
  );
  return `${prefixed(parts.join("."), about)} ${value} ${about.atSeconds}`;
}

function prefixed(name: string, { target: { prefix } }: About): string {
  return prefix === undefined ? name : `${prefix}.${name}`;
}

function word(value: string, odd: RegExp): string {
  return value === "" ? "_" : value.replaceAll(odd, "_");
}
