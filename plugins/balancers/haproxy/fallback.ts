import type { Line, Tell } from "./lines.ts";
import { isPanicking, withoutIds } from "./panic.ts";
import type { ServedCluster } from "./served.ts";
import { FALLBACK_SUFFIX } from "./twins.ts";
import { words } from "./words.ts";

/**
 * Makes the last resort of a cluster that prefers some of its nodes: a backend with the others. HAProxy
 * itself chooses it while none of the preferred is up, so no request waits for the writer to notice. Nodes
 * that are drained or in maintenance get nothing there either.
 */
export function fallbackTwin(cluster: ServedCluster, { taken, tell }: {
  /** The names of all clusters. */
  readonly taken: ReadonlySet<string>;
  readonly tell: Tell;
}): ServedCluster | undefined {
  const { wanted: { name, config, nodes, hasFallback = false }, lines, members } = cluster;
  if (!hasFallback) return undefined;
  const twin = name + FALLBACK_SUFFIX;
  const obstacle = taken.has(twin)
    ? `another cluster is named ${twin}`
    : lines.some(({ text }) => ["server", "server-template"].includes(words(text)[0] ?? ""))
    ? "its own backend lines define servers"
    : undefined;
  if (obstacle !== undefined) {
    const loss = "if all preferred nodes go down, requests fail until the writer reacts";
    tell(`Cluster ${name} has no fallback backend: ${obstacle}; ${loss}`, { cluster: name, path: ["backend"] });
    return undefined;
  }
  return {
    ...cluster,
    wanted: { name: twin, nodes, config: { ...config, port: undefined, acl: undefined, panicThreshold: 0 } },
    lines: withoutIds(lines),
    // Which of them serve beside the preferred ones does not matter here.
    members: members.filter(({ isFallback }) => isFallback).map((member) => {
      const { settledWeight: weight = member.weight } = member;
      return { ...member, weight, settledWeight: weight, isSpare: false };
    }),
    fallbackOf: name,
  };
}

/**
 * The lines of a frontend that choose the last resort of a cluster, if it has one, where `condition` is true.
 */
export function fallbackLines(
  cluster: ServedCluster,
  twins: ReadonlySet<string>,
  condition = "",
): readonly Line[] {
  const { name } = cluster.wanted;
  const twin = name + FALLBACK_SUFFIX;
  if (!twins.has(twin)) return [];
  const when = condition === "" ? "" : `${condition} `;
  // Nodes that are up come before a panic, which sends requests to those that are not.
  return [`{ nbsrv(${name}) eq 0 }`, isPanicking(cluster, twins) ?? []].flat().map((isLow) => ({
    text: `use_backend ${twin} if ${when}${isLow} { nbsrv(${twin}) gt 0 }`,
    origin: { cluster: name, path: [], from: "file" },
  }));
}
