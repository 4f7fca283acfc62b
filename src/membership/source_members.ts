import type { Node } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { Stale } from "./live_topology.ts";

/** Names a source of a cluster across edits and restarts: see `sourceKey()`. */
export type SourceKey = string;

/** A source of a cluster. */
export interface ClusterSourceKey {
  readonly cluster: ClusterName;
  readonly source: SourceKey;
}

/** What is known about one source of one cluster. */
export interface SourceState {
  /**
   * The last good members of its own: reported since the start, or in an earlier run; `undefined` if there
   * are none.
   */
  readonly nodes: readonly Node[] | undefined;
  /** Whether its registry has reported since the start. */
  readonly isHeard: boolean;
  /** Why they may be out of date; absent while it is watched. */
  readonly stale?: Stale | undefined;
}

const NOTHING: SourceState = { nodes: undefined, isHeard: false };

/**
 * The last good members of each source of each cluster: what an unreachable registry keeps contributing.
 * Pure: no clock, no I/O.
 */
export class SourceMembers {
  readonly #clusters = new Map<ClusterName, Map<SourceKey, SourceState>>();

  /** What is known about a source. */
  of({ cluster, source }: ClusterSourceKey): SourceState {
    return this.#clusters.get(cluster)?.get(source) ?? NOTHING;
  }

  /** The members that each source of a cluster has of its own. */
  members(cluster: ClusterName): ReadonlyMap<SourceKey, readonly Node[]> {
    const states = [...this.#clusters.get(cluster) ?? []];
    return new Map(states.flatMap(([key, { nodes }]) => nodes === undefined ? [] : [[key, nodes] as const]));
  }

  /** Takes the accepted report of a source. */
  accept(key: ClusterSourceKey, nodes: readonly Node[]): void {
    this.#set(key, { nodes, isHeard: true });
  }

  /** Notes that the registry of a source does not have the cluster, and is not known to have had it. */
  acceptMissing(key: ClusterSourceKey): void {
    this.#set(key, { nodes: undefined, isHeard: true });
  }

  /** Takes what a source had in an earlier run, unless it has reported. */
  adopt(key: ClusterSourceKey, nodes: readonly Node[]): void {
    const before = this.of(key);
    if (!before.isHeard) this.#set(key, { ...before, nodes });
  }

  /** Notes that a source is not watched at present: its members stay; the first such note sets the time. */
  markStale(key: ClusterSourceKey, stale: Stale): void {
    const before = this.of(key);
    const until = before.stale?.until === "told" ? "told" : stale.until;
    this.#set(key, { ...before, stale: { ...stale, sinceMs: before.stale?.sinceMs ?? stale.sinceMs, until } });
  }

  /** Notes that the connection to a source is back: a watch that was not lost continues. */
  markConnected(key: ClusterSourceKey): void {
    if (this.of(key).stale?.until === "connected") this.#set(key, { ...this.of(key), stale: undefined });
  }

  /** Forgets the sources of a cluster except these. */
  keep(cluster: ClusterName, sources: ReadonlySet<SourceKey>): void {
    const states = this.#clusters.get(cluster);
    for (const key of states?.keys() ?? []) if (!sources.has(key)) states?.delete(key);
  }

  /** Notes that a cluster is no longer watched: what its sources had counts as of an earlier run. */
  unwatch(cluster: ClusterName): void {
    for (const [source, state] of this.#clusters.get(cluster) ?? []) {
      this.#set({ cluster, source }, { ...state, isHeard: false });
    }
  }

  /** Forgets all clusters except these. */
  retain(clusters: ReadonlySet<ClusterName>): void {
    for (const cluster of this.#clusters.keys()) if (!clusters.has(cluster)) this.#clusters.delete(cluster);
  }

  #set({ cluster, source }: ClusterSourceKey, state: SourceState): void {
    const states = this.#clusters.get(cluster) ?? new Map<SourceKey, SourceState>();
    this.#clusters.set(cluster, states.set(source, state));
  }
}
