import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import { type Cluster, GUARD_DEFAULTS, type GuardSettings } from "../model/cluster.ts";
import type { Node } from "../model/node.ts";
import { type Combine, sourceKey, UNION } from "../model/registry_source.ts";
import type { ClusterName, ClusterSnapshot } from "../model/topology.ts";
import { type Choice, combine, type Conflict, type Contribution } from "./combine.ts";
import { applyGuard, followPast, type GuardInput, type GuardMemory, type Hold, NO_MEMORY, type Past } from "./guard.ts";
import type { LiveTopology, SourceOf, Stale } from "./live_topology.ts";
import type { Propagation } from "./propagation.ts";
import { type ClusterSourceKey, type SourceKey, SourceMembers } from "./source_members.ts";

export interface MembershipGuardOptions {
  /** The accepted members of each cluster. */
  readonly live: LiveTopology;
  /** The accepted members of each of its sources. */
  readonly members?: SourceMembers | undefined;
  readonly clock: Clock;
  /**
   * The time of day in milliseconds, for the time since which a member is known. The system's unless given.
   */
  readonly wallNow?: (() => number) | undefined;
  readonly log: Logger;
  readonly meter?: Meter;
  /** Receives each change of members, and when its snapshot arrived. */
  readonly propagation?: Pick<Propagation, "arrived">;
  /** Combines the members of a cluster from its sources; a simulation plants mistakes in it. */
  readonly combine?: typeof combine | undefined;
  /**
   * Asks the registry of a source for its whole membership once more; without a source, the registries of
   * all.
   */
  readonly askAgain: (cluster: ClusterName, source?: SourceKey) => void;
  /** Called when the members of a cluster have changed, or a registry has reported it for the first time. */
  readonly onChange: (cluster: ClusterName) => void;
}

/** Where a cluster's members come from, and how they are accepted. */
export interface MembershipPolicy {
  readonly guard: GuardSettings;
  /** The sources, in the order of the cluster's file. */
  readonly sources: readonly { readonly name: string; readonly key: SourceKey }[];
  readonly combine: Combine;
}

/**
 * How an answer is related to the earlier ones. Members of an earlier run have no history: their registry may
 * just have been wiped, and not be filled again. Pure.
 */
function pastOf(
  before: Past | undefined,
  answer: Pick<Past, "epoch" | "exists">,
  { known = [], isHeard, now }: Pick<GuardInput, "known" | "now"> & { readonly isHeard: boolean },
): Past {
  const isFirst = before === undefined && !isHeard && known.length > 0;
  return isFirst ? { ...answer, brokenAt: now } : followPast(before, answer, { known, now });
}

/** The policy of a cluster's file. Pure. */
export function membershipPolicy(
  { guard, sources, combine }: Pick<Cluster, "guard" | "sources" | "combine">,
): MembershipPolicy {
  return { guard, sources: sources.map((source) => ({ name: source.name, key: sourceKey(source) })), combine };
}

/** How a source's registry answers about a cluster. */
interface SourceMemory {
  /** The memory of the source's own guard; used where there are several sources. */
  readonly guard: GuardMemory;
  /** How the answers are related; `undefined` before the first. */
  readonly past: Past | undefined;
  /** When the registry last became reachable. */
  readonly connectedAt: number;
}

const NO_SOURCE_MEMORY: SourceMemory = { guard: NO_MEMORY, past: undefined, connectedAt: -Infinity };

/** What is remembered about a cluster with its sources. */
interface ClusterMemory {
  guard: GuardMemory;
  readonly sources: Map<SourceKey, SourceMemory>;
  /** The stand-ins for sources that have not reported yet. */
  standIns: readonly Node[] | undefined;
  choice: Choice | undefined;
  conflicts: readonly Conflict[];
  /** When each conflict last existed: those of the last hour are not logged again. */
  readonly logged: Map<string, number>;
  /** Conflicts that wait for their turn in the log, and how many more there were before them. */
  unlogged: Conflict[];
  unloggedBefore: number;
  /** When the next conflicts may be logged. */
  conflictsFromMs: number;
  /** The sources that have each member. */
  owners: ReadonlyMap<string, readonly string[]>;
}

/**
 * Stands between the registries and the live topology. The report of a single registry about a cluster is
 * judged by the cluster's guard. Of several, each is judged by itself for what only its own history can show
 * (a missing path, a wiped store, an empty answer), and the combination is judged by the cluster's guard.
 * What is held is requested again when it is due.
 */
export class MembershipGuard implements Disposable {
  readonly #options: MembershipGuardOptions;
  readonly #members: SourceMembers;
  #policies: ReadonlyMap<ClusterName, MembershipPolicy> = new Map();
  readonly #memory = new Map<ClusterName, ClusterMemory>();
  /** Cancels the waits of each cluster, by what is awaited. */
  readonly #cancels = new Map<ClusterName, Map<string, () => void>>();

  constructor(options: MembershipGuardOptions) {
    this.#options = options;
    this.#members = options.members ?? new SourceMembers();
  }

  /** Takes the policies of all clusters; what is held is judged again by them. */
  apply(policies: ReadonlyMap<ClusterName, MembershipPolicy>): void {
    const before = this.#policies;
    this.#policies = policies;
    for (const cluster of before.keys()) {
      if (policies.has(cluster)) continue;
      // Reports from before a cluster left the config confirm nothing when it returns.
      this.#memory.delete(cluster);
      this.#members.unwatch(cluster);
      for (const cancel of this.#cancels.get(cluster)?.values() ?? []) cancel();
      this.#cancels.delete(cluster);
    }
    for (const [cluster, policy] of policies) {
      const last = before.get(cluster);
      if (last === undefined || sourcesOf(last) !== sourcesOf(policy)) this.#applySources(cluster, policy, last);
      const isGuardOther = JSON.stringify(policy.guard) !== JSON.stringify(last?.guard);
      if (isGuardOther && this.#isHolding(cluster)) this.#options.askAgain(cluster);
    }
  }

  /**
   * Notes that the registry of some sources is reachable again: its first answer may not be up to date yet.
   */
  connected(sources: Iterable<ClusterSourceKey>): void {
    const { live, clock } = this.#options;
    for (const key of sources) {
      this.#remember(key, { connectedAt: clock.now() });
      this.#members.markConnected(key);
      if (this.#isSingle(key.cluster)) live.markConnected(key.cluster);
      else this.#markStale(key.cluster);
    }
  }

  /**
   * Notes that some sources are not watched at present: until the connection is back, or, if the watch itself
   * is lost, until they report again.
   */
  lostSight(sources: Iterable<ClusterSourceKey>, reason: string, { until }: Pick<Stale, "until">): void {
    const { live, clock } = this.#options;
    for (const key of sources) {
      const stale = { reason, sinceMs: clock.now(), until };
      this.#members.markStale(key, stale);
      if (this.#isSingle(key.cluster)) live.markStale(key.cluster, stale);
      else this.#markStale(key.cluster);
    }
  }

  /** What is held of a cluster's last answer; `undefined` if nothing is. */
  hold(cluster: ClusterName): Hold | undefined {
    const memory = this.#memory.get(cluster);
    const hold = memory?.guard.hold;
    if (hold !== undefined) {
      return hold.cause === "empty" && this.#options.live.nodes(cluster) === undefined ? undefined : hold;
    }
    return this.#policies.get(cluster)?.sources.map(({ key }) => this.sourceHold({ cluster, source: key }))
      .find((each) => each !== undefined);
  }

  /** What is held of the last answer of one of several sources; `undefined` if nothing is. */
  sourceHold({ cluster, source }: ClusterSourceKey): Hold | undefined {
    const hold = this.#memory.get(cluster)?.sources.get(source)?.guard.hold;
    const isFirst = hold?.cause === "empty" && this.#members.of({ cluster, source }).nodes === undefined;
    return isFirst ? undefined : hold;
  }

  /** Whether a source has reported since the start. */
  heard(key: ClusterSourceKey): boolean {
    return this.#isSingle(key.cluster) ? this.#options.live.heard(key.cluster) : this.#members.of(key).isHeard;
  }

  /**
   * The sources that have each member of a cluster, by the member's name; nothing for a cluster with a single
   * source.
   */
  owners(cluster: ClusterName): ReadonlyMap<string, readonly string[]> {
    return this.#memory.get(cluster)?.owners ?? new Map();
  }

  /** The contradictions between the sources of a cluster. */
  conflicts(cluster: ClusterName): readonly Conflict[] {
    return this.#memory.get(cluster)?.conflicts ?? [];
  }

  /** The source that a cluster with the policy `first` follows; `undefined` if there is none yet. */
  chosen(cluster: ClusterName): string | undefined {
    return this.#memory.get(cluster)?.choice?.source;
  }

  /** Takes the report of a source's registry. */
  hear(snapshot: ClusterSnapshot, source: SourceKey): void {
    if (this.#isSingle(snapshot.cluster)) this.#hearOnly(snapshot, source);
    else this.#hearOneOf(snapshot, source);
  }

  /** Stops asking. */
  [Symbol.dispose](): void {
    for (const cancels of this.#cancels.values()) for (const cancel of cancels.values()) cancel();
    this.#cancels.clear();
  }

  /** Takes the report of a cluster's only registry. */
  #hearOnly({ cluster, nodes: said, exists, epoch, leaseMs }: ClusterSnapshot, source: SourceKey): void {
    const { live, clock } = this.#options;
    const arrivedMs = clock.now();
    const known = live.nodes(cluster);
    const { connectedAt, past: before } = this.#sourceMemory({ cluster, source });
    const isHeard = live.heard(cluster);
    const past = pastOf(before, { epoch, exists }, { known, isHeard, now: arrivedMs });
    this.#remember({ cluster, source }, { past });
    const name = this.#policies.get(cluster)?.sources.find(({ key }) => key === source)?.name ?? source;
    this.#accept(cluster, { said, connectedAt, past, leaseMs, sourceOf: name });
    const accepted = live.nodes(cluster);
    if (exists && accepted !== undefined && live.heard(cluster)) this.#members.accept({ cluster, source }, accepted);
  }

  /**
   * Takes the report of one of several registries of a cluster: judged first by itself, then together with
   * the others.
   */
  #hearOneOf({ cluster, nodes: said, exists, epoch, leaseMs }: ClusterSnapshot, source: SourceKey): void {
    const { clock } = this.#options;
    const policy = this.#policies.get(cluster);
    if (policy === undefined) return;
    const now = clock.now();
    const key = { cluster, source };
    const { nodes: known = [], isHeard } = this.#members.of(key);
    const isUnknown = this.#members.of(key).nodes === undefined;
    const before = this.#sourceMemory(key);
    const past = pastOf(before.past, { epoch, exists }, { known, isHeard, now });
    const { emptyGraceMs, maxNodes } = policy.guard;
    const { nodes, memory } = applyGuard({
      known: isUnknown ? undefined : known,
      said,
      settings: { ...GUARD_DEFAULTS, emptyGraceMs, maxNodes },
      memory: before.guard,
      now,
      connectedAt: before.connectedAt,
      past,
      leaseMs,
    });
    this.#remember(key, { guard: memory, past });
    this.#schedule(cluster, source, memory.hold, () => this.#options.askAgain(cluster, source));
    const name = policy.sources.find((each) => each.key === source)?.name ?? source;
    this.#tell(
      { cluster, source: name },
      { before: before.guard.hold, hold: memory.hold, known: known.length, said: said.length },
    );
    // Nothing is known and nothing is accepted: as if it had not reported yet.
    if (isUnknown && memory.hold !== undefined) return;
    if (isUnknown && !exists) this.#members.acceptMissing(key);
    else this.#members.accept(key, nodes);
    if (!isHeard) this.#options.live.markFirst(cluster);
    this.#combine(cluster);
  }

  /** Takes a changed list of sources of a cluster. */
  #applySources(cluster: ClusterName, policy: MembershipPolicy, last: MembershipPolicy | undefined): void {
    const { live, askAgain } = this.#options;
    const keys = new Set(policy.sources.map(({ key }) => key));
    this.#members.keep(cluster, keys);
    const memory = this.#memoryOf(cluster);
    for (const key of memory.sources.keys()) if (!keys.has(key)) memory.sources.delete(key);
    for (const [what, cancel] of this.#cancels.get(cluster) ?? []) {
      if (keys.has(what) || what === COMBINED || what === CONFLICTS) continue;
      cancel();
      this.#cancels.get(cluster)?.delete(what);
    }
    if (policy.combine.policy !== last?.combine.policy) memory.choice = undefined;
    memory.standIns = standIns(live.nodes(cluster), policy, this.#members.members(cluster));
    // What was held of the only source is now judged by a guard of its own, which has no memory of it.
    if (last?.sources.length === 1 && policy.sources.length > 1 && this.#isHolding(cluster)) askAgain(cluster);
    if (policy.sources.length > 1) return this.#combine(cluster);
    [memory.conflicts, memory.owners, memory.choice] = [[], new Map(), undefined];
    const [only] = keys;
    if (last !== undefined && only !== undefined && this.#members.of({ cluster, source: only }).isHeard) {
      askAgain(cluster);
    }
  }

  /** Combines the members of a cluster from its sources, if any of them has reported. */
  #combine(cluster: ClusterName): void {
    const { clock } = this.#options;
    const policy = this.#policies.get(cluster);
    if (policy === undefined || policy.sources.length < 2) return;
    const memory = this.#memoryOf(cluster);
    const states = policy.sources.map(({ name, key }) => ({ name, ...this.#members.of({ cluster, source: key }) }));
    if (!states.some(({ isHeard }) => isHeard)) return this.#markStale(cluster);
    const contributions = states.map(({ name, nodes, isHeard }): Contribution => {
      if (nodes !== undefined) return { source: name, nodes, isOwn: true };
      // Its registry never had the cluster. That adds no node, and must not remove any either.
      const isMissing = isHeard && (policy.combine.policy !== "all" || memory.standIns === undefined);
      return isMissing
        ? { source: name, nodes: [], isOwn: true }
        : { source: name, nodes: memory.standIns, isOwn: false };
    });
    const { combine: decide = combine } = this.#options;
    const combined = decide(contributions, policy.combine, { now: clock.now(), choice: memory.choice });
    [memory.choice, memory.owners] = [combined.choice, combined.nodes === undefined ? memory.owners : combined.sources];
    this.#tellConflicts(cluster, memory, combined.conflicts);
    this.#after(cluster, COMBINED, combined.nextAt, () => this.#combine(cluster));
    if (combined.nodes !== undefined) {
      this.#accept(cluster, {
        said: combined.nodes,
        connectedAt: -Infinity,
        sourceOf: (name) => combined.sources.get(name)?.[0],
      });
    }
    this.#markStale(cluster);
  }

  /** Has the cluster's guard judge the reports of its registries, and takes what it accepts. */
  #accept(
    cluster: ClusterName,
    { said, sourceOf, ...how }: Pick<GuardInput, "said" | "connectedAt" | "past" | "leaseMs"> & {
      readonly sourceOf: SourceOf;
    },
  ): void {
    const { live, clock, wallNow = Date.now, meter = UNMETERED, propagation, onChange, askAgain } = this.#options;
    const arrivedMs = clock.now();
    const known = live.nodes(cluster);
    const remembered = this.#memoryOf(cluster);
    const before = remembered.guard;
    const settings = this.#policies.get(cluster)?.guard ?? GUARD_DEFAULTS;
    const { nodes, memory } = applyGuard({ known, said, settings, memory: before, now: arrivedMs, ...how });
    remembered.guard = memory;
    this.#schedule(cluster, HELD_WHOLE, memory.hold, () => askAgain(cluster));
    this.#tell({ cluster }, { before: before.hold, hold: memory.hold, known: known?.length ?? 0, said: said.length });
    const exists = how.past?.exists !== false;
    // Nothing is known and nothing is accepted: as if the registry had not reported yet.
    const isUnheard = known === undefined && memory.hold !== undefined;
    const isFirst = exists && !isUnheard && !live.heard(cluster);
    // A missing cluster confirms no members; it only shows that the registry is watched.
    if (!exists) live.markWatched(cluster);
    if (isUnheard && memory.hold?.cause === "empty") return;
    const originsBefore = live.origins(cluster);
    const isChanged = exists && !isUnheard && live.replace({ cluster, nodes }, { sourceOf, sinceMs: wallNow() });
    // Another source may set different shares for its nodes.
    const isElsewhere = !isChanged && !this.#isSingle(cluster) &&
      Iterator.from(live.origins(cluster)).some(([name, { source }]) => originsBefore.get(name)?.source !== source);
    const result = memory.hold !== undefined ? "held" : isChanged ? "changed" : "unchanged";
    meter.count("lighthouse_snapshots_total", { cluster, result });
    if (isChanged) propagation?.arrived(cluster, live.generation(cluster) ?? 0, arrivedMs);
    if (isChanged || isFirst || isElsewhere) onChange(cluster);
  }

  /** A cluster with several sources is stale while one of them is. */
  #markStale(cluster: ClusterName): void {
    const { live } = this.#options;
    const stale = (this.#policies.get(cluster)?.sources ?? []).flatMap(({ name, key }) => {
      const each = this.#members.of({ cluster, source: key }).stale;
      return each === undefined ? [] : [{ ...each, reason: `${name}: ${each.reason}` }];
    });
    live.markWatched(cluster);
    const [first] = stale.toSorted((a, b) => a.sinceMs - b.sinceMs);
    if (first === undefined) return;
    live.markStale(cluster, { ...first, reason: stale.map(({ reason }) => reason).join("; "), until: "told" });
  }

  /** Whether a cluster has one source; a cluster that no config names counts as having one. */
  #isSingle(cluster: ClusterName): boolean {
    return (this.#policies.get(cluster)?.sources.length ?? 1) < 2;
  }

  #isHolding(cluster: ClusterName): boolean {
    const memory = this.#memory.get(cluster);
    return memory?.guard.hold !== undefined ||
      memory?.sources.values().some(({ guard }) => guard.hold !== undefined) === true;
  }

  #memoryOf(cluster: ClusterName): ClusterMemory {
    const memory = this.#memory.get(cluster) ?? {
      guard: NO_MEMORY,
      sources: new Map(),
      standIns: undefined,
      choice: undefined,
      conflicts: [],
      logged: new Map(),
      unlogged: [],
      unloggedBefore: 0,
      conflictsFromMs: -Infinity,
      owners: new Map(),
    };
    this.#memory.set(cluster, memory);
    return memory;
  }

  #sourceMemory({ cluster, source }: ClusterSourceKey): SourceMemory {
    return this.#memory.get(cluster)?.sources.get(source) ?? NO_SOURCE_MEMORY;
  }

  #remember(key: ClusterSourceKey, news: Partial<SourceMemory>): void {
    this.#memoryOf(key.cluster).sources.set(key.source, { ...this.#sourceMemory(key), ...news });
  }

  #schedule(cluster: ClusterName, what: string, hold: Hold | undefined, ask: () => void): void {
    this.#after(cluster, what, hold?.askAt ?? Infinity, ask);
  }

  /** Schedules something, in place of what was scheduled under the same key. */
  #after(cluster: ClusterName, what: string, atMs: number, act: () => void): void {
    const { clock } = this.#options;
    const cancels = this.#cancels.get(cluster) ?? new Map<string, () => void>();
    this.#cancels.set(cluster, cancels);
    cancels.get(what)?.();
    cancels.delete(what);
    if (atMs !== Infinity) cancels.set(what, clock.after(Math.max(0, atMs - clock.now()), act));
  }

  /** Logs contradictions that did not exist an hour ago, a few a minute. */
  #tellConflicts(cluster: ClusterName, memory: ClusterMemory, conflicts: readonly Conflict[]): void {
    memory.conflicts = conflicts;
    const nowMs = this.#options.clock.now();
    const { logged } = memory;
    const current = new Map(conflicts.map((each) => [JSON.stringify(each), each]));
    for (const [text, atMs] of logged) {
      if (!current.has(text) && (atMs <= nowMs - CONFLICT_AGAIN_MS || logged.size > CONFLICTS_KNOWN_MAX)) {
        logged.delete(text);
      }
    }
    const news = [...current].flatMap(([text, each]) => logged.has(text) ? [] : [each]);
    for (const text of current.keys()) logged.set(text, nowMs);
    memory.unlogged.push(...news);
    this.#logConflicts(cluster, memory);
  }

  #logConflicts(cluster: ClusterName, memory: ClusterMemory): void {
    const { clock, log } = this.#options;
    const { unlogged } = memory;
    const nowMs = clock.now();
    if (unlogged.length === 0) return;
    if (nowMs < memory.conflictsFromMs) {
      this.#after(cluster, CONFLICTS, memory.conflictsFromMs, () => this.#logConflicts(cluster, memory));
      // The number of contradictions is logged, and the last of them.
      memory.unloggedBefore += Math.max(0, unlogged.length - CONFLICTS_TOLD_MAX);
      unlogged.splice(0, unlogged.length - CONFLICTS_TOLD_MAX);
      return;
    }
    const nodes = unlogged.length + memory.unloggedBefore;
    for (const { node, kept, ignored, keys } of unlogged.slice(0, CONFLICTS_TOLD_MAX)) {
      log.warn("Sources disagree about a node; using the source listed first", {
        event: "cluster.conflict",
        cluster,
        node,
        kept,
        ignored,
        keys: keys.join(", "),
        ...nodes > CONFLICTS_TOLD_MAX && { nodes },
      });
    }
    [memory.unlogged, memory.unloggedBefore, memory.conflictsFromMs] = [[], 0, nowMs + CONFLICTS_EVERY_MS];
  }

  /**
   * Logs what is held and why, once for each time that a hold starts or changes its reason, and how it ended.
   */
  #tell(
    { cluster, source }: { readonly cluster: ClusterName; readonly source?: string },
    { before, hold, known, said }: {
      readonly before: Hold | undefined;
      readonly hold: Hold | undefined;
      readonly known: number;
      readonly said: number;
    },
  ): void {
    if (known === 0 && (hold ?? before)?.cause === "empty") return;
    const { log, clock, meter = UNMETERED } = this.#options;
    const at = { cluster, ...source !== undefined && { source }, known, said };
    if (hold === undefined) {
      if (before === undefined) return;
      const text = before.cause === "many"
        ? "Hold released; node count is within max_nodes"
        : said < known
        ? "Held membership change confirmed, applying"
        : "Hold released; members have returned";
      return log.info(text, { event: "cluster.released", ...at });
    }
    if (hold.cause === before?.cause) return;
    const { cause, askAt } = hold;
    const recheck = askAt === Infinity ? "never" : `${Math.ceil((askAt - clock.now()) / 1_000)}s`;
    meter.count("lighthouse_cluster_holds_total", { cluster, cause });
    log.warn(`${HELD[cause]}; keeping ${known}${askAt === Infinity ? "" : " until confirmed"}`, {
      event: "cluster.held",
      cause,
      recheck,
      ...at,
    });
  }
}

/** The key of waits other than the holds of sources; no config can name a source so. */
const HELD_WHOLE = "/held";
const COMBINED = "/combined";
const CONFLICTS = "/conflicts";

/** How many contradictions of a cluster are logged at once, and how often. */
const CONFLICTS_TOLD_MAX = 5, CONFLICTS_EVERY_MS = 60_000;
/** A contradiction that is back within this time is not logged again. */
const CONFLICT_AGAIN_MS = 3_600_000;
/** How many are remembered beside the current ones. */
const CONFLICTS_KNOWN_MAX = 20_000;

/** The policy of one source, whatever the config says. */
export function singlePolicy(source: string, guard: GuardSettings): MembershipPolicy {
  return { guard, sources: [{ name: source, key: source }], combine: UNION };
}

function sourcesOf({ sources, combine }: MembershipPolicy): string {
  return JSON.stringify([sources, combine]);
}

/**
 * The stand-ins for the sources of a cluster that have not reported yet. A union keeps nodes that no other
 * source accounts for; where a node must be in all sources, the served ones stay, and no others are added.
 * Pure.
 */
function standIns(
  served: readonly Node[] | undefined,
  { combine }: MembershipPolicy,
  own: ReadonlyMap<SourceKey, readonly Node[]>,
): readonly Node[] | undefined {
  if (combine.policy === "all") return served;
  if (combine.policy === "first") return undefined;
  const known = new Set([...own.values()].flat().map(({ ip, port }) => `${ip} ${port}`));
  return served?.filter(({ ip, port }) => !known.has(`${ip} ${port}`));
}

/** What a registry reports that is not accepted at once, by the guard's cause. */
const HELD: { readonly [cause in Hold["cause"]]: string } = {
  empty: "Registry reports 0 nodes",
  many: "Registry reports more nodes than max_nodes",
  few: "Registry reports fewer nodes than min_nodes",
  shrunk: "Registry reports more lost nodes than max_shrink_percent allows",
  missing: "Registry has no such cluster",
  behind: "Registry lacks nodes after a new session, failover or reset",
};
