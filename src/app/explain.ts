/**
 * Says of each node where it comes from, what it gets from a balancer and why:
 * what `lighthouse explain` prints. Pure.
 *
 * @module
 */
import type { Explained, ExplainedCluster, ExplainedNode } from "../admin/explained.ts";
import type { DecidedShares } from "../membership/traffic.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import { nodeName } from "../model/node.ts";
import type { WantedNode } from "../plugin/contract.ts";
import { type Parts, statusOf } from "../status/status.ts";

/** Explains all clusters. `nowMs` is the app's clock. */
export function explained(parts: Parts, nowMs: number): Explained {
  const facts = { version: "", pid: 0, startedMs: nowMs, nowMs, lateMs: 0 };
  const { clusters: states } = statusOf(parts, facts);
  const accepted = [...parts.accepted?.clusters.values() ?? []];
  const clusters = accepted.flatMap(({ cluster: { name }, sections }): readonly ExplainedCluster[] => {
    const state = states[name];
    const head = {
      cluster: name,
      state: state?.state ?? "unknown",
      reason: state?.reason ?? null,
      discovery: state?.discovery ?? "",
    };
    const members = new Map(state?.memberList.map((each) => [each.name, each]));
    const describe = (share: Described): ExplainedNode => {
      const key = nodeName(share.node);
      const member = share.from === undefined ? members.get(key) : undefined;
      return {
        name: key,
        address: formatEndpoint({ host: share.node.ip, port: share.node.port }),
        from: share.from ?? null,
        source: member?.source ?? null,
        since: member?.since ?? null,
        share: share.share ?? null,
        weight: share.weight ?? null,
        state: share.state,
        waits: share.pool === "overflow",
        down: share.isDown ?? null,
        factors: (share.factors ?? []).map(({ name, value, detail }) => ({ name, value, detail: detail ?? null })),
        override: share.override === undefined ? null : {
          author: share.override.author,
          reason: share.override.reason === "" ? null : share.override.reason,
          until: share.override.untilMs === undefined ? null : new Date(share.override.untilMs).toISOString(),
        },
      };
    };
    const served = [...parts.balancers].filter(([balancer]) => sections.has(balancer));
    if (served.length === 0) return [{ ...head, balancer: null, changesInSeconds: null, nodes: [] }];
    return served.map(([balancer, { writer: { standing } }]) => {
      const decided = parts.traffic.decided(balancer, name);
      const nodes = decided?.nodes ?? standing.served?.wanted.clusters.find((each) => each.name === name)?.nodes ?? [];
      const changesInMs = decided?.changesInMs ?? Infinity;
      return {
        ...head,
        balancer,
        changesInSeconds: changesInMs === Infinity ? null : Math.max(0, Math.ceil(changesInMs / 1_000)),
        nodes: nodes.map(describe),
      };
    });
  });
  return { role: parts.role, dir: parts.dir, clusters };
}

/** What a node gets: with its reasons where something was decided, and as the balancer is asked to serve it otherwise. */
type Described =
  & WantedNode
  & Partial<Pick<DecidedShares["nodes"][number], "share" | "isDown" | "factors" | "override">>;
