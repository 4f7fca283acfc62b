import { type Node, nodeName } from "../model/node.ts";
import type { ClusterName, ClusterSnapshot, Topology } from "../model/topology.ts";

/** What is known of one cluster. */
interface Known {
  readonly nodes: readonly Node[];
  /** `adopted`: read back from the balancer's file. `registry`: the registry said so. */
  readonly from: "adopted" | "registry";
  /** Why it may be out of date; `undefined` while it is watched. */
  readonly stale?: string | undefined;
}

/**
 * The last good membership of every cluster. A snapshot replaces what was
 * known; losing sight of a registry only marks it as stale: unreachable is not
 * empty. Nothing is forgotten: a cluster that leaves the config may come back
 * while its registry is away. Pure: no clock, no I/O.
 */
export class Store {
  readonly #known = new Map<ClusterName, Known>();
  #generation = 0;

  /** Everything known, as one value. */
  get topology(): Topology {
    const names = [...this.#known.keys()].toSorted();
    return {
      generation: this.#generation,
      clusters: new Map(names.map((name) => [name, this.#known.get(name)?.nodes ?? []])),
    };
  }

  /** The members of one cluster; `undefined` if nothing was ever heard of it. */
  nodes(cluster: ClusterName): readonly Node[] | undefined {
    return this.#known.get(cluster)?.nodes;
  }

  /** Takes what a registry says; answers whether it changes anything. */
  replace({ cluster, nodes }: ClusterSnapshot): boolean {
    const before = this.#known.get(cluster);
    this.#known.set(cluster, { nodes, from: "registry" });
    if (before !== undefined && sameNodes(before.nodes, nodes)) return false;
    this.#generation++;
    return true;
  }

  /** Takes members from an earlier life, for a cluster of which no registry has spoken yet. */
  adopt(cluster: ClusterName, nodes: readonly Node[]): void {
    if (this.#known.has(cluster)) return;
    this.#known.set(cluster, { nodes, from: "adopted" });
    this.#generation++;
  }

  /** Notes that a cluster is not watched at present. Its members stay. */
  markStale(cluster: ClusterName, reason: string): void {
    const before = this.#known.get(cluster);
    if (before !== undefined) this.#known.set(cluster, { ...before, stale: reason });
  }

  /** Whether a registry has spoken of a cluster since the start. */
  heard(cluster: ClusterName): boolean {
    return this.#known.get(cluster)?.from === "registry";
  }

  /** Why a cluster's members may be out of date; `undefined` while they are not, or nothing is known of it. */
  stale(cluster: ClusterName): string | undefined {
    return this.#known.get(cluster)?.stale;
  }
}

function sameNodes(a: readonly Node[], b: readonly Node[]): boolean {
  return a.length === b.length && a.every((node, i) => {
    const other = b[i];
    return other !== undefined && nodeName(node) === nodeName(other) && JSON.stringify(node) === JSON.stringify(other);
  });
}
