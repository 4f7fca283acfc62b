import type { Line, Tell } from "./lines.ts";
import type { ServedCluster } from "./served.ts";
import { PANIC_SUFFIX as SUFFIX } from "./twins.ts";
import { withoutComment, words } from "./words.ts";

/** Options that concern checks, and how many words they have. */
const CHECK_OPTIONS: ReadonlyMap<string, number> = new Map([
  ["check", 1],
  ["no-check", 1],
  ["agent-check", 1],
  ["no-agent-check", 1],
  ["observe", 2],
  ["on-error", 2],
]);

/**
 * Makes the twin of a cluster that has a `panic_threshold`: a backend with the same lines and members, none
 * of them checked. HAProxy itself chooses between the two for each request, so the writer need not react.
 */
export function panicTwin(cluster: ServedCluster, { taken, tell }: {
  /** The names of all clusters. */
  readonly taken: ReadonlySet<string>;
  readonly tell: Tell;
}): ServedCluster | undefined {
  const { wanted: { name, config, nodes }, lines, options, serverOptions, traits } = cluster;
  if (config.panicThreshold === 0) return undefined;
  const obstacle = obstacleTo(cluster, taken);
  if (obstacle !== undefined) {
    tell(`Cluster ${name}: panic_threshold has no effect: ${obstacle}`, { cluster: name, path: ["panic_threshold"] });
    return undefined;
  }
  return {
    ...cluster,
    wanted: { name: name + SUFFIX, nodes, config: { ...config, port: undefined, acl: undefined } },
    lines: withoutIds(lines),
    traits: { ...traits, defaultOptions: withoutChecks(traits.defaultOptions) },
    options: withoutChecks(options),
    serverOptions: `${withoutComment(serverOptions)} no-check no-agent-check`.trim(),
    panicOf: name,
  };
}

/** The lines of a frontend that choose the twin of a cluster, if it has one, where `condition` is true. */
export function panicLines(cluster: ServedCluster, twins: ReadonlySet<string>, condition = ""): {
  /** Placed first in the frontend: rules of the user may end the evaluation. */
  readonly first: readonly Line[];
  /** Placed right before the line that chooses the cluster. */
  readonly choice: readonly Line[];
} {
  const { name } = cluster.wanted;
  const twin = name + SUFFIX;
  const isLow = isPanicking(cluster, twins);
  if (isLow === undefined) return { first: [], choice: [] };
  const all = allOf(name);
  const origin = { cluster: name, path: ["panic_threshold"] };
  return {
    first: [{ text: `tcp-request content set-var(${all}) nbsrv(${twin})`, origin }],
    choice: [{ text: `use_backend ${twin} if ${condition === "" ? "" : `${condition} `}${isLow}`, origin }],
  };
}

/** The condition under which too few servers of a cluster are up; `undefined` if it has no such twin. */
export function isPanicking({ wanted: { name, config } }: ServedCluster, twins: ReadonlySet<string>) {
  // The servers of the twin are all up, so their number is that of all members.
  return twins.has(name + SUFFIX)
    ? `{ nbsrv(${name}),mul(100),div(${allOf(name)}) lt ${config.panicThreshold} }`
    : undefined;
}

/** The variable that holds how many members a cluster has. */
function allOf(name: string): string {
  return `txn.lighthouse_all_${name.replaceAll(/[^A-Za-z0-9]/g, (other) => `_${other.charCodeAt(0)}_`)}`;
}

/** Lines for a twin: an id can be used by one backend only. */
export function withoutIds(lines: readonly Line[]): readonly Line[] {
  return lines.filter(({ text }) => !["id", "guid"].includes(words(text)[0] ?? ""));
}

function obstacleTo({ wanted: { name }, lines, options }: ServedCluster, taken: ReadonlySet<string>) {
  if (taken.has(name + SUFFIX)) return `another cluster is named ${name + SUFFIX}`;
  if (options.includes("track")) return "its servers track the checks of other servers";
  if (!options.includes("check")) return 'its servers have no check; add "check" to server_options';
  if (lines.some(({ text }) => ["server", "server-template"].includes(words(text)[0] ?? ""))) {
    return "its own backend lines define servers";
  }
  return undefined;
}

function withoutChecks(options: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let i = 0; i < options.length;) {
    const option = options[i] as string;
    const length = CHECK_OPTIONS.get(option);
    if (length === undefined) kept.push(option);
    i += length ?? 1;
  }
  return kept;
}
