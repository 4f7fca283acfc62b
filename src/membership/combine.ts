/**
 * Combines what several registries report about one cluster into its members. Pure: no clock, no I/O, no
 * judgement of its own: the contribution of a source was judged by its guard, and the result is judged by the
 * cluster's.
 *
 * @module
 */
import { plainAddress } from "../model/canonical_address.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { Combine } from "../model/registry_source.ts";

/** What one source has of a cluster. */
export interface Contribution {
  /** The source's name in the cluster's file. */
  readonly source: string;
  /** Its members; `undefined` if nothing is known about it. */
  readonly nodes: readonly Node[] | undefined;
  /**
   * Whether the members are its own; otherwise they stand in for a source that has not reported yet, so that
   * no node leaves before it does.
   */
  readonly isOwn: boolean;
}

/** Which source the policy `first` follows, and what it has seen. */
export interface Choice {
  /** The source that is followed; `undefined` before the first. */
  readonly source: string | undefined;
  /** Since when that one has no ready nodes. */
  readonly lackingSince: number | undefined;
  /** Since when each source has ready nodes. */
  readonly readySince: ReadonlyMap<string, number>;
}

/** Two sources that contradict each other about one node. */
export interface Conflict {
  /** The name of the node that is used. */
  readonly node: string;
  /** The source that prevails: the earlier one in the list. */
  readonly kept: string;
  /** The source that is ignored. */
  readonly ignored: string;
  /** What differs: keys of the node, `address` for another address under the same name. */
  readonly keys: readonly string[];
}

/** The result of {@linkcode combine}. */
export interface Combined {
  /** The members, sorted by name; `undefined`: the previous members stay. */
  readonly nodes: readonly Node[] | undefined;
  /** The sources that have each member, the prevailing one first, by the member's name. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
  readonly conflicts: readonly Conflict[];
  /** What to pass in the next time; only the policy `first` has a memory. */
  readonly choice: Choice | undefined;
  /** When the result may change although no source has changed; `Infinity` if never. */
  readonly nextAt: number;
}

/** What is remembered from one call to the next, and the time. */
export interface CombineContext {
  readonly now: number;
  readonly choice?: Choice | undefined;
}

/** Combines the sources of a cluster, in the order of its file. Pure. */
export function combine(sources: readonly Contribution[], policy: Combine, context: CombineContext): Combined {
  switch (policy.policy) {
    case "union":
      return union(sources);
    case "all":
      return all(sources, policy.match);
    case "first":
      return first(sources, policy, context);
  }
}

/** Combines what is known at one time, without memory: every waiting time counts as passed. Pure. */
export function combineAtOnce(sources: readonly Contribution[], policy: Combine): Combined {
  const unhurried = policy.policy === "first" ? { ...policy, waitMs: 0, returnAfterMs: 0 } : policy;
  return combine(sources, unhurried, { now: 0 });
}

const TIMELESS = { choice: undefined, nextAt: Infinity } as const;

/** A node of any source is a member: of those with one address, or one name, that of the earlier source. */
function union(sources: readonly Contribution[]): Combined {
  const members = new Members();
  // A stand-in contradicts nobody, and owns nothing that a source has.
  for (const each of sources.filter(({ isOwn }) => isOwn)) members.add(each);
  for (const each of sources.filter(({ isOwn }) => !isOwn)) members.add(each);
  const isKnown = sources.some(({ nodes }) => nodes !== undefined);
  return {
    ...TIMELESS,
    nodes: isKnown ? members.nodes : undefined,
    sources: members.sources,
    conflicts: members.conflicts,
  };
}

/** The members of a union, source by source. */
class Members {
  readonly #byName = new Map<string, Node>();
  readonly #byAddress = new Map<string, Node>();
  readonly #sources = new Map<string, string[]>();
  readonly conflicts: Conflict[] = [];

  get nodes(): readonly Node[] {
    return [...this.#byName.values()].toSorted(byName);
  }

  get sources(): ReadonlyMap<string, readonly string[]> {
    return this.#sources;
  }

  add({ source, nodes = [], isOwn }: Contribution): void {
    // Within one source, its registry decides which nodes it has.
    const earlier = { byName: new Map(this.#byName), byAddress: new Map(this.#byAddress) };
    for (const node of nodes) {
      const name = nodeName(node);
      const same = earlier.byAddress.get(addressOf(node));
      const named = earlier.byName.get(name);
      const kept = same ?? named;
      if (kept === undefined) {
        if (this.#byName.has(name)) continue;
        this.#byName.set(name, node);
        this.#byAddress.set(addressOf(node), node);
        this.#sources.set(name, isOwn ? [source] : []);
        continue;
      }
      if (!isOwn) continue;
      const owners = this.#sources.get(nodeName(kept)) ?? [];
      if (same !== undefined) owners.push(source);
      const keys = same === undefined ? ["address"] : differences(same, node);
      if (keys.length > 0) {
        this.conflicts.push({ node: nodeName(kept), kept: owners[0] ?? "", ignored: source, keys });
      }
    }
  }
}

/**
 * A node of every source is a member, as the first of them describes it; a source about which nothing is
 * known removes no node.
 */
function all(sources: readonly Contribution[], match: "host" | "address"): Combined {
  const [main, ...others] = sources.filter(({ nodes }) => nodes !== undefined);
  if (main?.nodes === undefined) return { ...TIMELESS, nodes: undefined, sources: new Map(), conflicts: [] };
  const indexes = others.map(({ source, nodes = [], isOwn }) => ({ source, isOwn, find: finderOf(nodes, match) }));
  const owners = new Map<string, readonly string[]>();
  const conflicts: Conflict[] = [];
  const members = main.nodes.flatMap((node): Node[] => {
    const found = indexes.map(({ find }) => find(node));
    if (found.some(({ speakers }) => speakers.length === 0)) return [];
    const name = nodeName(node);
    const having = indexes.filter(({ isOwn }) => isOwn).map(({ source }) => source);
    owners.set(name, main.isOwn ? [main.source, ...having] : having);
    for (const [index, { source, isOwn }] of indexes.entries()) {
      const same = found[index]?.same;
      // Liveness and membership describe a node differently by nature: only a weight can be a contradiction.
      const keys = same === undefined || !isOwn || !main.isOwn
        ? []
        : differences(node, same).filter((key) => key === "weight" || key === "host");
      if (keys.length > 0) conflicts.push({ node: name, kept: main.source, ignored: source, keys });
    }
    const drains = found.some(({ speakers }) => speakers.every(({ state }) => state === "drain"));
    return [drains && node.state !== "drain" ? { ...node, state: "drain" } : node];
  });
  return { ...TIMELESS, nodes: members.toSorted(byName), sources: owners, conflicts };
}

/** What a source has of a node. */
interface Found {
  /** The nodes that vouch for it: those at its address, and, if that is enough, those on its host. */
  readonly speakers: readonly Node[];
  /** The first one at its address. */
  readonly same: Node | undefined;
}

/** Finds what a source has of a node. A host may have many nodes: none of this scans all of them for each. */
function finderOf(nodes: readonly Node[], match: "host" | "address"): (node: Node) => Found {
  const byKey = new Map<string, Node[]>();
  for (const node of nodes) {
    const keys = match === "address" ? [addressOf(node)] : new Set([addressOf(node), plainAddress(node.ip), node.host]);
    for (const key of keys) {
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, [node]);
      else known.push(node);
    }
  }
  return (node) => {
    const address = addressOf(node);
    const exact = byKey.get(address);
    if (exact !== undefined || match === "address") {
      return { speakers: exact ?? [], same: exact?.find((other) => addressOf(other) === address) };
    }
    return { speakers: byKey.get(plainAddress(node.ip)) ?? byKey.get(node.host) ?? [], same: undefined };
  };
}

/** The nodes of the first source that has ready ones; another one takes over only after a time. */
function first(
  sources: readonly Contribution[],
  { waitMs, returnAfterMs }: Extract<Combine, { policy: "first" }>,
  { now, choice }: CombineContext,
): Combined {
  const ready = sources.filter(isReady).map(({ source }) => source);
  const readySince = new Map(ready.map((source) => [source, choice?.readySince.get(source) ?? now]));
  const chosen = sources.find(({ source }) => source === choice?.source);
  if (chosen !== undefined && isReady(chosen)) {
    const earlier = sources.slice(0, sources.indexOf(chosen)).filter(isReady);
    const due = (source: string) => (readySince.get(source) ?? now) + returnAfterMs;
    const back = earlier.find(({ source }) => now >= due(source));
    return followed(back ?? chosen, {
      choice: { source: (back ?? chosen).source, lackingSince: undefined, readySince },
      nextAt: back === undefined ? Math.min(...earlier.map(({ source }) => due(source))) : Infinity,
    });
  }
  const lackingSince = choice === undefined ? now : choice.lackingSince ?? now;
  const waiting = { source: chosen?.source, lackingSince, readySince };
  const next = sources.find(isReady);
  if (next === undefined) {
    // No source can take over: the followed source stays, and before there is one, any source that is known.
    const known = chosen ??
      (sources.every(({ nodes, isOwn }) => isOwn && nodes !== undefined) ? sources[0] : undefined);
    if (known !== undefined) return followed(known, { choice: waiting, nextAt: Infinity });
    return { nodes: undefined, sources: new Map(), conflicts: [], choice: waiting, nextAt: Infinity };
  }
  // The first of the list has nothing to wait for.
  if (now >= lackingSince + waitMs || (chosen === undefined && next === sources[0])) {
    return followed(next, {
      choice: { source: next.source, lackingSince: undefined, readySince },
      nextAt: Infinity,
    });
  }
  return { nodes: undefined, sources: new Map(), conflicts: [], choice: waiting, nextAt: lackingSince + waitMs };
}

function followed({ source, nodes = [] }: Contribution, rest: Pick<Combined, "choice" | "nextAt">): Combined {
  const owners = new Map(nodes.map((node) => [nodeName(node), [source]]));
  return { nodes: nodes.toSorted(byName), sources: owners, conflicts: [], ...rest };
}

/** Whether a source has a node that takes new connections. */
function isReady({ nodes = [], isOwn }: Contribution): boolean {
  return isOwn && nodes.some(({ state, weight }) => state !== "drain" && weight !== 0);
}

/**
 * The keys in which two nodes at one address contradict each other: a key that only one of them has is no
 * contradiction.
 */
function differences(kept: Node, other: Node): readonly string[] {
  const keys = ["weight", "state", "zone", "priority"] as const;
  const differing: string[] = keys.filter((key) => {
    // A node without a state is ready.
    const [a, b] = key === "state" ? [kept.state ?? "ready", other.state ?? "ready"] : [kept[key], other[key]];
    return a !== undefined && b !== undefined && a !== b;
  });
  const isNamed = ({ host, ip }: Node) => host !== ip;
  return isNamed(kept) && isNamed(other) && kept.host !== other.host ? ["host", ...differing] : differing;
}

/** The address of a node, in one form for one address. */
function addressOf({ ip, port }: Node): string {
  return `${plainAddress(ip)} ${port}`;
}

function byName(a: Node, b: Node): number {
  const [left, right] = [nodeName(a), nodeName(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
