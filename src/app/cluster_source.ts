/**
 * Which registry is asked about a cluster: what a command line names is looked
 * up in the accepted config. Pure.
 *
 * @module
 */
import type { Accepted, AcceptedDiscovery } from "../config/accepted.ts";
import { suggest } from "../kernel/suggest.ts";
import type { GuardSettings } from "../model/cluster.ts";
import { GUARD_DEFAULTS } from "../model/cluster.ts";
import type { ClusterName } from "../model/topology.ts";
import type { DiscoveryCapability } from "../plugin/contract.ts";

/** A cluster of one registry. */
export interface ClusterSource {
  readonly cluster: ClusterName;
  readonly discovery: AcceptedDiscovery;
  /** The discovery's section of the cluster's file, validated; absent if there is none. */
  readonly options?: unknown;
  /** What its file says of answers that may be wrong; the defaults without a file. */
  readonly guard: GuardSettings;
}

/** What is looked up: a source, or the reason why there is none. */
export type FoundSource =
  | { readonly ok: true; readonly source: ClusterSource }
  | { readonly ok: false; readonly reason: string };

/** The parts of the config that say where clusters stand. */
export type Sources = Pick<Accepted, "discovery" | "clusters" | "services">;

/**
 * Finds the registry that knows a cluster: the named one, or that of the cluster's file, of the service of that name, or
 * the only one that can be watched. Pure.
 */
export function findClusterSource(accepted: Sources, cluster: ClusterName, named?: string): FoundSource {
  if (named !== undefined) return sourceIn(accepted, cluster, { named, capability: "watch" });
  const consumed = clusterOf(accepted, cluster)?.cluster.discovery;
  const offered = [...accepted.services.values()].find(({ service }) => service.name === cluster)?.service.discovery;
  const watchable = [...accepted.discovery.values()].filter(({ traits }) => traits.capabilities.includes("watch"));
  const [only] = watchable.length === 1 ? watchable : [];
  const discovery = consumed ?? offered ?? only?.file.name;
  if (discovery !== undefined) return sourceIn(accepted, cluster, { named: discovery, capability: "watch" });
  const known = [...accepted.clusters.values()].map((each) => each.cluster.name).toSorted();
  const meant = suggest(cluster, known);
  const hint = meant === undefined ? "name its discovery with --source" : `did you mean ${meant}?`;
  return { ok: false, reason: `No file of clusters/ or services/ names the cluster ${cluster}: ${hint}` };
}

/** Finds a cluster in the named registry, which must have the capability. Pure. */
export function sourceIn(
  accepted: Sources,
  cluster: ClusterName,
  { named, capability }: { readonly named: string; readonly capability: DiscoveryCapability },
): FoundSource {
  const discovery = accepted.discovery.get(named);
  if (discovery === undefined) {
    const meant = suggest(named, [...accepted.discovery.keys()]);
    const hint = meant === undefined ? "" : `: did you mean ${meant}?`;
    return { ok: false, reason: `No usable discovery/${named}.yaml${hint}` };
  }
  if (!discovery.traits.capabilities.includes(capability)) {
    return { ok: false, reason: `discovery/${named}.yaml (${discovery.file.type}) cannot ${capability}` };
  }
  const file = clusterOf(accepted, cluster);
  const options = file?.cluster.discovery === named ? file.options : undefined;
  return {
    ok: true,
    source: {
      cluster,
      discovery,
      guard: file?.cluster.guard ?? GUARD_DEFAULTS,
      ...options !== undefined && { options },
    },
  };
}

function clusterOf({ clusters }: Sources, name: ClusterName) {
  return [...clusters.values()].find(({ cluster }) => cluster.name === name);
}
