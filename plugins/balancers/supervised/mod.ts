/**
 * A long-running program with a command line made of the members of clusters: it is restarted when that
 * changes.
 *
 * @module
 */
import type { BalancerPlugin, Rendered, Seen, Step, Wanted } from "../../../mod.ts";
import { commandLine } from "./command_line.ts";
import { balancerSchema, clusterSchema, type SupervisedConfig } from "./config.ts";

/** The name of the one child. */
const CHILD = "program";

function plan(wanted: Wanted<SupervisedConfig>, { supervised = [] }: Seen): readonly Step[] {
  if (pendingOf(wanted).length > 0 || unknownOf(wanted).length > 0) return [];
  const { signal, graceMs, intervalMs, output, endsWithWriter } = wanted.config;
  const run = commandLine(wanted);
  const there = supervised.find(({ name }) => name === CHILD)?.run ?? [];
  if (JSON.stringify(there) === JSON.stringify(run)) return [];
  const reason = run.length === 0 ? "no members" : there.length === 0 ? "not running" : "command line changed";
  return [{
    do: "supervise",
    name: CHILD,
    reason,
    run,
    endsWithWriter,
    signal,
    graceMs,
    intervalMs,
    ...output === "log" && { writesTo: "log" },
  }];
}

/** The clusters of the command line that no registry has reported. */
function pendingOf({ config: { command }, unheard = [] }: Wanted<SupervisedConfig>): readonly string[] {
  return unheard.filter((name) => command.some((part) => typeof part !== "string" && part.each === name));
}

/** The clusters of the command line about which nothing is known, as their files are invalid. */
function unknownOf({ config: { command }, clusters, unknown = [] }: Wanted<SupervisedConfig>): readonly string[] {
  const known = new Set(clusters.map(({ name }) => name));
  const named = command.flatMap((part) => typeof part === "string" || known.has(part.each) ? [] : [part.each]);
  return [...new Set(named)].filter((name) => unknown === "all" || unknown.includes(name));
}

/** Reports which clusters the command line names that are not rendered, or not known yet. */
function render(wanted: Wanted<SupervisedConfig>): Rendered {
  const { config: { command }, clusters } = wanted;
  const pending = pendingOf(wanted);
  const unknown = unknownOf(wanted);
  const excused = new Set([...clusters.map(({ name }) => name), ...unknown]);
  const notices = command.flatMap((part, i) =>
    typeof part === "string" || excused.has(part.each) ? [] : [{
      text: `Cluster ${part.each} is not rendered by this balancer; ` +
        "list it in clusters, or add a section to the cluster's file",
      origin: { path: ["command", i, "each"] },
    }]
  );
  const unheard = pending.length === 0 ? [] : [{
    text: `Cannot build the command line: no registry has reported cluster ${pending.join(" or ")} yet`,
    origin: { path: ["command"] },
    isOfData: true,
    isPending: true,
  }];
  const invalid = unknown.length === 0 ? [] : [{
    text: "Cannot build the command line: " +
      (unknown.length === 1
        ? `the file of cluster ${unknown[0]} is invalid or unreadable`
        : `the files of clusters ${unknown.join(", ")} are invalid or unreadable`),
    origin: { path: ["command"] },
    isOfData: true,
  }];
  const faults = [...unheard, ...invalid];
  return { files: new Map(), notices, ...faults.length > 0 && { faults } };
}

const supervised: BalancerPlugin<SupervisedConfig, object, Seen> = {
  kind: "balancer",
  apiVersion: 1,
  name: "supervised",
  summary: "Runs a program with the members of clusters as arguments",
  stability: "stable",
  ignoresMetadata: true,
  example: {
    command: ["/usr/bin/gor", "--input-raw", ":80", { each: "web", arguments: ["--output-http", "http://{address}"] }],
    pid_file: "/run/lighthouse/gor.pid",
  },
  config: balancerSchema,
  cluster: clusterSchema,
  permissions({ command: [program = ""], pidFile }) {
    const paths = [pidFile, fileOf(pidFile)];
    return { read: paths, write: paths, run: typeof program === "string" ? [program] : [] };
  },
  inputs: ({ clusters }) => clusters === undefined ? {} : { clusters },
  sources: ({ pidFile, endsWithWriter, signal }) => ({
    kind: "files",
    file: fileOf(pidFile),
    reloadIntervalMs: 0,
    children: [{ name: CHILD, pidFile, endsWithWriter, signal }],
  }),
  pid: () => undefined,
  observe: (seen) => seen,
  adopt: () => new Map(),
  render,
  plan: (wanted, _rendered, seen) => plan(wanted, seen),
};

/** Names the writer's lock and the last known members: no such file is written. */
function fileOf(pidFile: string): string {
  return pidFile.replace(/\.pid$/, ".supervised");
}

export default supervised;
