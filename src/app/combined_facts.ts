/**
 * What several registries have of one cluster, for a command that prints it.
 * Pure.
 *
 * @module
 */
import { combineAtOnce, type Contribution } from "../membership/combine.ts";
import type { Node } from "../model/node.ts";
import type { Combine } from "../model/registry_source.ts";
import type { ClusterSnapshot } from "../model/topology.ts";

/** What the sources of a cluster have of it together. */
export interface CombinedFacts {
  readonly nodes: readonly Node[];
  /** Whether any of them has the cluster. */
  readonly exists: boolean;
  /** The sources that have each node, by its name; absent for a single source. */
  readonly owners?: ReadonlyMap<string, readonly string[]> | undefined;
}

/** Combines what sources said as the writer would. Pure. */
export function combineFacts(
  sources: readonly { readonly name: string; readonly facts: ClusterSnapshot | undefined }[],
  policy: Combine,
): CombinedFacts {
  const exists = sources.some(({ facts }) => facts?.exists === true);
  const [only] = sources;
  if (sources.length === 1) return { nodes: only?.facts?.nodes ?? [], exists };
  const contributions = sources.map(({ name, facts }): Contribution => ({
    source: name,
    nodes: facts?.nodes,
    isOwn: facts !== undefined,
  }));
  const { nodes = [], sources: owners } = combineAtOnce(contributions, policy);
  return { nodes, exists, owners };
}
