/**
 * Which registries are asked about a cluster: what a command line names is
 * looked up in the accepted config. Pure.
 *
 * @module
 */
import type { Accepted, AcceptedDiscovery } from "../config/accepted.ts";
import { suggest } from "../kernel/suggest.ts";
import type { GuardSettings } from "../model/cluster.ts";
import { GUARD_DEFAULTS } from "../model/cluster.ts";
import { type Combine, type RegistrySource, UNION } from "../model/registry_source.ts";
import type { ClusterName } from "../model/topology.ts";
import type { DiscoveryCapability } from "../plugin/contract.ts";

/** A cluster of one registry. */
export interface ClusterSource {
  readonly cluster: ClusterName;
  /** What the cluster's file calls the source; the discovery's name without a file. */
  readonly name: string;
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

/** Several sources of one cluster, or the reason why there are none. */
export type FoundSources =
  | { readonly ok: true; readonly sources: readonly ClusterSource[]; readonly combine: Combine }
  | { readonly ok: false; readonly reason: string };

/**
 * Finds the registries that know a cluster: the named one, or those of the cluster's file, of the service of that name,
 * or the only one that can be watched. Pure.
 */
export function findClusterSources(accepted: Sources, cluster: ClusterName, named?: string): FoundSources {
  const file = clusterOf(accepted, cluster)?.cluster;
  const offered = [...accepted.services.values()].find(({ service }) => service.name === cluster)?.service;
  const watchable = [...accepted.discovery.values()].filter(({ traits }) => traits.capabilities.includes("watch"));
  const [only] = watchable.length === 1 ? watchable : [];
  const names = named !== undefined ? [named] : (file ?? offered)?.sources.map(({ name }) => name) ??
    (only === undefined ? [] : [only.file.name]);
  if (names.length > 0) {
    const found = names.map((each) => sourceIn(accepted, cluster, { named: each, capability: "watch" }));
    const lacking = found.find((each) => !each.ok);
    if (lacking !== undefined && !lacking.ok) return lacking;
    const sources = found.flatMap((each) => each.ok ? [each.source] : []);
    return { ok: true, sources, combine: file?.combine ?? UNION };
  }
  const known = [...accepted.clusters.values()].map((each) => each.cluster.name).toSorted();
  const meant = suggest(cluster, known);
  const hint = meant === undefined ? "pass --source to set its discovery" : `did you mean ${meant}?`;
  return { ok: false, reason: `No file in clusters/ or services/ defines cluster ${cluster}; ${hint}` };
}

/** Finds a cluster in the named registry, or source of its file, which must have the capability. Pure. */
export function sourceIn(
  accepted: Sources,
  cluster: ClusterName,
  { named, capability }: { readonly named: string; readonly capability: DiscoveryCapability },
): FoundSource {
  const file = clusterOf(accepted, cluster);
  const offered = [...accepted.services.values()].find(({ service }) => service.name === cluster)?.service.sources ??
    [];
  const sources = file?.cluster.sources ?? [];
  const isNamed = ({ name }: RegistrySource) => name === named;
  const own = sources.find(isNamed);
  const discovery = accepted.discovery.get((own ?? offered.find(isNamed))?.discovery ?? named);
  if (discovery === undefined) {
    const meant = suggest(named, [...accepted.discovery.keys()]);
    const hint = meant === undefined ? "" : `: did you mean ${meant}?`;
    return { ok: false, reason: `No valid discovery/${named}.yaml${hint}` };
  }
  if (!discovery.traits.capabilities.includes(capability)) {
    const { name, type } = discovery.file;
    return { ok: false, reason: `discovery/${name}.yaml (${type}) cannot ${capability}` };
  }
  const options = own && file?.options?.get(own.name);
  return {
    ok: true,
    source: {
      cluster,
      name: named,
      discovery,
      guard: file?.cluster.guard ?? GUARD_DEFAULTS,
      ...options !== undefined && { options },
    },
  };
}

function clusterOf({ clusters }: Sources, name: ClusterName) {
  return [...clusters.values()].find(({ cluster }) => cluster.name === name);
}
