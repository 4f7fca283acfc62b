import { carriedAlong } from "../kernel/sorted_lists.ts";
import { type Node, nodeName, SORTED_NODES } from "../model/node.ts";
import type { ClusterName, ClusterSnapshot, Topology } from "../model/topology.ts";

/** Where a member came from, and since when it is one. */
export interface MemberOrigin {
  /** The discovery that reported it: the name of a file of `discovery/`. */
  readonly source: string;
  /** When that discovery first reported it, in milliseconds of the wall clock. */
  readonly sinceMs: number;
}

/** The origins of a cluster's members, by the node's name; an unknown origin is absent. */
export interface Origins extends Iterable<readonly [name: string, origin: MemberOrigin]> {
  get(name: string): MemberOrigin | undefined;
}

/** The source of all members, or the source of one by its name; `undefined` if none has it now. */
export type SourceOf = string | ((name: string) => string | undefined);

/** Which source reports members, and when. */
export interface Seen {
  readonly sourceOf: SourceOf;
  readonly sinceMs: number;
}

/** The members of a cluster, and where they came from. */
export interface ClusterMembers {
  readonly nodes: readonly Node[];
  readonly origins: Origins;
}

/** What is known about one cluster. */
interface Known extends ClusterMembers {
  readonly origins: MemberOrigins;
  /** The generation in which these members were set. */
  readonly generation: number;
  /** `adopted`: read back from the balancer's file. `registry`: reported by the registry. */
  readonly from: "adopted" | "registry";
  /** When its registry last confirmed adopted members, in milliseconds of the caller's clock, if known. */
  readonly confirmedMs?: number | undefined;
  /** Absent while it is watched. */
  readonly stale?: Stale | undefined;
  /** Present once it has lost all of its members. */
  readonly emptied?: Emptied | undefined;
}

/** A cluster that had members and has none. */
export interface Emptied {
  /** How many it had. */
  readonly had: number;
  /** Since when, in milliseconds of the wall clock; `undefined` if unknown. */
  readonly sinceMs: number | undefined;
}

/** Why members may be out of date. */
export interface Stale {
  readonly reason: string;
  /** Since when, in milliseconds of the caller's clock. */
  readonly sinceMs: number;
  /**
   * `connected`: until the connection is back, whose watch continues. `told`: until the registry has reported
   * the members again.
   */
  readonly until: "connected" | "told";
}

/**
 * The last good members of every cluster. A snapshot replaces what was known; an unreachable registry only
 * marks it as stale: unreachable is not empty. A cluster that leaves the config may return while its registry
 * is unreachable, so nothing is forgotten until {@linkcode forget} is called. Pure: no clock, no I/O.
 */
export class LiveTopology {
  readonly #known = new Map<ClusterName, Known>();
  #generation = 0;
  /** What each cluster had before its members changed, until it is taken. */
  readonly #previous = new Map<ClusterName, ClusterMembers>();
  /**
   * Since when each cluster was not watched before its members changed, in milliseconds of the caller's
   * clock.
   */
  readonly #outages = new Map<ClusterName, number>();

  /** Everything known, as one value. */
  get topology(): Topology {
    const names = [...this.#known.keys()].toSorted();
    return {
      generation: this.#generation,
      clusters: new Map(names.map((name) => [name, this.#known.get(name)?.nodes ?? []])),
    };
  }

  /** The members of one cluster; `undefined` if nothing was ever reported about it. */
  nodes(cluster: ClusterName): readonly Node[] | undefined {
    return this.#known.get(cluster)?.nodes;
  }

  /**
   * Takes a registry's report; returns whether it changes anything. `seen`: which source reports, and when; a
   * member that it has reported before keeps its time.
   */
  replace({ cluster, nodes }: Pick<ClusterSnapshot, "cluster" | "nodes">, seen?: Seen): boolean {
    const before = this.#known.get(cluster);
    const isSame = before !== undefined && sameNodes(before.nodes, nodes);
    if (!isSame) {
      this.#generation++;
      if (!this.#previous.has(cluster)) this.#previous.set(cluster, before ?? NO_MEMBERS);
    }
    // What is equal stays one value.
    const members = isSame ? before.nodes : nodes;
    const origins = (before?.origins ?? NO_ORIGINS).next(members, seen);
    const generation = isSame ? before.generation : this.#generation;
    const emptied = nodes.length > 0
      ? undefined
      : before === undefined || before.nodes.length === 0
      ? before?.emptied
      : { had: before.nodes.length, sinceMs: seen?.sinceMs };
    this.#known.set(cluster, { nodes: members, origins, from: "registry", generation, emptied });
    // No node joined meanwhile.
    if (isSame) this.#outages.delete(cluster);
    return !isSame;
  }

  /** What a cluster has, and what it had when this was last called; `undefined` if that is the same. */
  takeChange(
    cluster: ClusterName,
  ): { readonly before: ClusterMembers; readonly now: ClusterMembers } | undefined {
    const before = this.#previous.get(cluster);
    this.#previous.delete(cluster);
    return before && { before, now: this.#known.get(cluster) ?? NO_MEMBERS };
  }

  /** Adopts members of an earlier run, for a cluster that no registry has reported yet. */
  adopt(cluster: ClusterName, nodes: readonly Node[], confirmedMs?: number, known: Origins = NO_ORIGINS): void {
    if (this.#known.has(cluster)) return;
    const origins = MemberOrigins.of(nodes, known);
    this.#known.set(cluster, { nodes, origins, from: "adopted", generation: ++this.#generation, confirmedMs });
  }

  /**
   * When a cluster's registry last confirmed its members: now, while it is watched; `undefined` if nothing,
   * or no time, is known.
   */
  confirmedMs(cluster: ClusterName, nowMs: number): number | undefined {
    const known = this.#known.get(cluster);
    return known?.from === "registry" ? known.stale?.sinceMs ?? nowMs : known?.confirmedMs;
  }

  /** Forgets clusters that were last confirmed before a time, except the desired ones. */
  forget(wanted: ReadonlySet<ClusterName>, { beforeMs, nowMs }: { beforeMs: number; nowMs: number }): void {
    for (const cluster of this.#known.keys()) {
      if (wanted.has(cluster)) continue;
      if ((this.confirmedMs(cluster, nowMs) ?? Infinity) < beforeMs) this.#known.delete(cluster);
    }
  }

  /** Notes that a cluster is not watched at present. Its members stay; the first such note sets the time. */
  markStale(cluster: ClusterName, { reason, sinceMs, until }: Stale): void {
    const before = this.#known.get(cluster);
    if (before === undefined) return;
    const stale: Stale = {
      reason,
      sinceMs: before.stale?.sinceMs ?? sinceMs,
      until: before.stale?.until === "told" ? "told" : until,
    };
    this.#known.set(cluster, { ...before, stale });
    this.#outages.set(cluster, Math.min(sinceMs, this.#outages.get(cluster) ?? Infinity));
  }

  /**
   * Notes that one of several sources of a cluster reports for the first time: its members may have existed
   * earlier.
   */
  markFirst(cluster: ClusterName): void {
    this.#outages.set(cluster, -Infinity);
  }

  /**
   * Since when a cluster had not been watched when its members last changed; `undefined` if it was watched.
   * Answers once: later changes arrive while it is watched.
   */
  takeOutage(cluster: ClusterName): number | undefined {
    const sinceMs = this.#outages.get(cluster);
    this.#outages.delete(cluster);
    return sinceMs;
  }

  /** Notes that the connection to a cluster's registry is back: a watch that was not lost continues. */
  markConnected(cluster: ClusterName): void {
    const before = this.#known.get(cluster);
    if (before?.stale?.until === "connected") this.#known.set(cluster, { ...before, stale: undefined });
  }

  /** The origins of a cluster's members. */
  origins(cluster: ClusterName): Origins {
    return this.#known.get(cluster)?.origins ?? NO_ORIGINS;
  }

  /** Notes that a cluster is watched, although its registry reports no members. */
  markWatched(cluster: ClusterName): void {
    const before = this.#known.get(cluster);
    if (before?.stale !== undefined) this.#known.set(cluster, { ...before, stale: undefined });
  }

  /** Whether a registry has reported a cluster since the start. */
  heard(cluster: ClusterName): boolean {
    return this.#known.get(cluster)?.from === "registry";
  }

  /**
   * Why a cluster's members may be out of date; `undefined` while they are not, or nothing is known about it.
   */
  stale(cluster: ClusterName): Stale | undefined {
    return this.#known.get(cluster)?.stale;
  }

  /** How many members an empty cluster had; `undefined` while it has any, and if it never had. */
  emptied(cluster: ClusterName): Emptied | undefined {
    return this.#known.get(cluster)?.emptied;
  }

  /** The generation in which a cluster's members were set; `undefined` if nothing is known about it. */
  generation(cluster: ClusterName): number | undefined {
    return this.#known.get(cluster)?.generation;
  }
}

/** The origins of members, each at the index of its node, so that both are updated together. */
class MemberOrigins implements Origins {
  readonly #nodes: readonly Node[];
  readonly #list: readonly (MemberOrigin | undefined)[];
  /** The source of all of them; `undefined` if there are several or none. */
  readonly #only: string | undefined;
  /** Built on request, as the nodes are not sorted. */
  #byName: ReadonlyMap<string, MemberOrigin> | undefined;

  constructor(nodes: readonly Node[], list: readonly (MemberOrigin | undefined)[], only?: string) {
    [this.#nodes, this.#list, this.#only] = [nodes, list, only];
  }

  static of(nodes: readonly Node[], known: Origins): MemberOrigins {
    return new MemberOrigins(nodes, nodes.map((node) => known.get(nodeName(node))));
  }

  /** The origins of the next members. */
  next(nodes: readonly Node[], seen: Seen | undefined): MemberOrigins {
    if (typeof seen?.sourceOf === "string" && seen.sourceOf === this.#only) {
      const origin = { source: seen.sourceOf, sinceMs: seen.sinceMs };
      const differences = SORTED_NODES.differences(this.#nodes, nodes);
      // A member that has changed keeps the time at which it joined.
      const list = differences && carriedAlong(this.#list, differences, (_, known) => known ?? origin);
      if (list !== undefined) return new MemberOrigins(nodes, list, this.#only);
    }
    return this.#nextOfAny(nodes, seen);
  }

  #nextOfAny(nodes: readonly Node[], seen: Seen | undefined): MemberOrigins {
    const before = new Map(this);
    /** One object for all members of one source. */
    const news = new Map<string, MemberOrigin>();
    const sources = new Set<string | undefined>();
    const list = nodes.map((node) => {
      const name = nodeName(node);
      const known = before.get(name);
      const source = typeof seen?.sourceOf === "function" ? seen.sourceOf(name) : seen?.sourceOf;
      const isKnown = seen === undefined || source === undefined || known?.source === source;
      const origin = isKnown ? known : news.get(source) ?? { source, sinceMs: seen.sinceMs };
      if (!isKnown && origin !== undefined) news.set(source, origin);
      sources.add(origin?.source);
      return origin;
    });
    const [only] = sources.size === 1 ? sources : [];
    return new MemberOrigins(nodes, list, only);
  }

  get(name: string): MemberOrigin | undefined {
    const at = this.#byName === undefined ? SORTED_NODES.indexOf(this.#nodes, name) : undefined;
    if (at !== undefined) return this.#list[at];
    // Members of an earlier run may be in any order.
    return (this.#byName ??= new Map(this)).get(name);
  }

  *[Symbol.iterator](): Generator<readonly [name: string, origin: MemberOrigin], void, undefined> {
    for (const [at, node] of this.#nodes.entries()) {
      const origin = this.#list[at];
      if (origin !== undefined) yield [nodeName(node), origin];
    }
  }
}

const NO_ORIGINS = new MemberOrigins([], []);
const NO_MEMBERS: ClusterMembers = { nodes: [], origins: NO_ORIGINS };

function sameNodes(a: readonly Node[], b: readonly Node[]): boolean {
  return a.length === b.length && a.every((node, i) => {
    const other = b[i];
    if (node === other) return true;
    return other !== undefined && nodeName(node) === nodeName(other) && JSON.stringify(node) === JSON.stringify(other);
  });
}
