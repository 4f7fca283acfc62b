/**
 * Says of each node where it comes from, what it gets from a balancer and why:
 * what `lighthouse explain` prints. Pure.
 *
 * @module
 */
import type {
  Explained,
  ExplainedCluster,
  ExplainedNode,
  ExplainedSource,
  NodeInBalancer,
} from "../admin/explained.ts";
import { redact } from "../config/redact.ts";
import { discoveryId } from "../config/accept.ts";
import type { LeftOut } from "../membership/left_out.ts";
import type { DecidedShares } from "../membership/traffic.ts";
import { rendersCluster, wantedNode } from "../membership/wanted.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import { nodeName } from "../model/node.ts";
import { pauseOf } from "../model/override.ts";
import type { RegistrySource } from "../model/registry_source.ts";
import type { NodeDetail, WantedNode } from "../plugin/contract.ts";
import type { ClusterName } from "../model/topology.ts";
import type { Override } from "../model/traffic.ts";
import { type Parts, statusOf } from "../status/status.ts";
import type { BalancerDetails } from "./balancers.ts";

/** What is known beside the parts. */
export interface Details {
  /** What each balancer has of its nodes. */
  readonly balancers: ReadonlyMap<string, BalancerDetails>;
  /** The entries of registries that were left out. */
  readonly leftOut: Pick<LeftOut, "of">;
}

/** So many entries that were left out are named. */
const LEFT_OUT_MAX = 20;

/** Explains all clusters. `nowMs` is the app's clock. */
export function explained(parts: Parts, nowMs: number, details: Details): Explained {
  const facts = { version: "", pid: 0, startedMs: nowMs, nowMs, lateMs: 0 };
  const { clusters: states, discovery: registries, host } = statusOf(parts, facts);
  const accepted = [...parts.accepted?.clusters.values() ?? []];
  const clusters = accepted.flatMap(
    ({ cluster, sections }): readonly ExplainedCluster[] => {
      const { name, sources, defaultServers } = cluster;
      const state = states[name];
      const sourceOf = ({ name: source, discovery }: RegistrySource): ExplainedSource => {
        const { registry = "unknown", forSeconds = null, detail = null } = registries[discovery] ?? {};
        const nodes = sources.length > 1 ? state?.sources[source]?.nodes : state?.nodes;
        const leftOut = details.leftOut.of(discoveryId(discovery)).slice(0, LEFT_OUT_MAX).map(({ reason, atMs }) => ({
          reason: redact(reason),
          agoSeconds: Math.round((nowMs - atMs) / 1_000),
        }));
        return { source, registry, forSeconds, detail: detail === "" ? null : detail, nodes: nodes ?? null, leftOut };
      };
      const head = {
        cluster: name,
        state: state?.state ?? "unknown",
        reason: state?.reason ?? null,
        discovery: state?.discovery ?? "",
        sources: sources.map(sourceOf),
      };
      const members = new Map(state?.memberList.map((each) => [each.name, each]));
      const describe = (share: Described, { details: seen, hasOf }: Seen): ExplainedNode => {
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
          down: seen.get(key)?.isDown ?? share.isDown ?? null,
          check: seen.get(key)?.check ?? null,
          sessions: seen.get(key)?.sessions ?? null,
          has: hasOf(key),
          factors: (share.factors ?? []).map(({ name, value, detail }) => ({ name, value, detail: detail ?? null })),
          override: share.override === undefined ? null : saidBy(share.override),
        };
      };
      const served = [...parts.balancers].filter(([balancer]) =>
        rendersCluster(balancer, parts.accepted?.balancers.get(balancer) ?? {}, { cluster, sections })
      );
      if (served.length === 0) {
        return [{
          ...head,
          balancer: null,
          paused: null,
          silence: null,
          changesInSeconds: null,
          nodes: [],
          others: [],
        }];
      }
      return served.map(([balancer]) => {
        const decided = parts.traffic.decided(balancer, name);
        const members = parts.live.nodes(name) ?? [];
        const nodes = decided?.nodes ?? (members.length > 0 ? members : defaultServers).map(wantedNode);
        const { nodes: clusters, silence } = details.balancers.get(balancer) ?? {};
        const seen = seenOf(clusters, name);
        const names = new Set(nodes.map(({ node }) => nodeName(node)));
        const pause = pauseOf(parts.orders.now.pauses, balancer);
        const changesInMs = decided?.changesInMs ?? Infinity;
        return {
          ...head,
          balancer,
          paused: pause === undefined ? null : saidBy(pause),
          silence: silence === undefined ? null : redact(silence),
          changesInSeconds: changesInMs === Infinity ? null : Math.max(0, Math.ceil(changesInMs / 1_000)),
          nodes: nodes.map((each) => describe(each, seen)),
          others: [...seen.details.keys()].flatMap((name) => {
            const has = names.has(name) ? null : seen.hasOf(name);
            // Who is in maintenance, and is no member, is about to be deleted.
            return has === null || has.state === "maint" ? [] : [{ name, has }];
          }),
        };
      });
    },
  );
  return { role: parts.role, dir: parts.dir, host: host?.name ?? null, clusters };
}

/** What a balancer has of the nodes of a cluster. */
interface Seen {
  readonly details: ReadonlyMap<string, NodeDetail>;
  /** What it has of one; `null` where it does not say. */
  readonly hasOf: (name: string) => NodeInBalancer | null;
}

function seenOf(clusters: BalancerDetails["nodes"] | undefined, cluster: ClusterName): Seen {
  const details = new Map(clusters?.get(cluster)?.map((each) => [each.node, each]));
  const takes = ({ state, weight = 0, isDown }: NodeDetail) => state === "ready" && !isDown ? weight : 0;
  const total = details.values().reduce((all, each) => all + takes(each), 0);
  return {
    details,
    hasOf: (name) => {
      const detail = details.get(name);
      if (detail === undefined) return (clusters?.size ?? 0) > 0 ? { state: "absent", weight: 0, share: 0 } : null;
      const { state, weight } = detail;
      if (state === undefined || weight === undefined) return null;
      return { state, weight, share: total === 0 ? 0 : takes(detail) / total };
    },
  };
}

function saidBy({ author, reason, untilMs }: Pick<Override, "author" | "reason" | "untilMs">) {
  return {
    author,
    reason: reason === "" ? null : reason,
    until: untilMs === undefined ? null : new Date(untilMs).toISOString(),
  };
}

/** What a node gets: with its reasons where something was decided, and as the balancer is asked to serve it otherwise. */
type Described =
  & WantedNode
  & Partial<Pick<DecidedShares["nodes"][number], "share" | "isDown" | "factors" | "override">>;
