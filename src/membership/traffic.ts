import type { Accepted, AcceptedCluster } from "../config/accepted.ts";
import type { Clock } from "../kernel/clock.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { NodeHealth, TrafficPolicy } from "../model/traffic.ts";
import { fieldOf, hasPriorities, type Shares, shareTraffic } from "../traffic/shares.ts";
import { noteMembers, type Sightings } from "../traffic/sightings.ts";
import type { LiveTopology } from "./live_topology.ts";
import type { ShareRequest } from "./wanted.ts";

export interface TrafficOptions {
  readonly live: Pick<LiveTopology, "nodes" | "origins" | "takeOutage">;
  readonly clock: Clock;
  /**
   * The time of day in milliseconds: read at the start, as setting the clock must not move a ramp, and for
   * the expiry of overrides.
   */
  readonly wallNow: () => number;
  /** Whether it decides as one that has run for long: `warm_up` is over. */
  readonly isWarm?: boolean | undefined;
  /** Decides what nodes get; a simulation plants mistakes in it. */
  readonly decide?: typeof shareTraffic | undefined;
  /** Called when the share of some node differs from what was returned. */
  readonly onDue: () => void;
}

/** What was last decided for a cluster. */
export interface DecidedShares extends Pick<Shares, "nodes"> {
  /** `Infinity` if only an event changes it. */
  readonly changesInMs: number;
}

/** A node that was absent for no longer than this is not new, unless its cluster's file says otherwise. */
const GRACE_MS = 60_000;

/** No node is down. */
const NONE: ReadonlySet<string> = new Set();

/**
 * Holds the inputs of {@linkcode shareTraffic}: since when nodes are members, and which ones balancers find
 * down. Owns the time: one timer for all nodes of all clusters.
 */
export class Traffic implements Disposable {
  readonly #options: TrafficOptions;
  readonly #startedMs: number;
  readonly #clockAtStart: number;
  #clusters: ReadonlyMap<ClusterName, AcceptedCluster> = new Map();
  readonly #sightings = new Map<ClusterName, Sightings>();
  /** When the sightings of an earlier run were last true. */
  #knownAtMs = -Infinity;
  /** The clusters whose registries have reported in this run. */
  readonly #noted = new Set<ClusterName>();
  /** What was last decided, by balancer and cluster. */
  readonly #shares = new Map<string, Map<ClusterName, Shares>>();
  /** The nodes that each balancer finds down, by cluster. */
  readonly #down = new Map<string, ReadonlyMap<ClusterName, ReadonlySet<string>>>();
  /** The results of this host's checks of nodes, by cluster. */
  readonly #health = new Map<ClusterName, ReadonlyMap<string, NodeHealth>>();
  #dueMs = Infinity;
  #cancel = () => {};

  /** Has no policy until a config is applied. */
  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#startedMs = Math.round(options.wallNow());
    this.#clockAtStart = options.clock.now();
  }

  /** When nodes were members, for those that join and leave under a policy. */
  get sightings(): ReadonlyMap<ClusterName, Sightings> {
    return this.#sightings;
  }

  /** Takes what an earlier run knew until a time. */
  restore(sightings: ReadonlyMap<ClusterName, Sightings>, knownAtMs: number): void {
    this.#knownAtMs = knownAtMs;
    for (const [cluster, of] of sightings) if (!this.#sightings.has(cluster)) this.#sightings.set(cluster, of);
  }

  /** Takes the policies of a config. */
  apply({ clusters }: Pick<Accepted, "clusters">): void {
    const zonesBefore = new Map([...this.#clusters.keys()].map((name) => [name, this.#zonesKey(name)]));
    this.#clusters = new Map([...clusters.values()].map((each) => [each.cluster.name, each]));
    for (const name of this.#sightings.keys()) if (this.#policy(name) === undefined) this.#sightings.delete(name);
    for (const name of this.#clusters.keys()) {
      const nodes = this.#options.live.nodes(name);
      const isElsewhere = zonesBefore.has(name) && zonesBefore.get(name) !== this.#zonesKey(name);
      // A node that is present when a policy starts is not new because of it, nor because of another zone
      // that the policy gives it.
      if (nodes !== undefined && (isElsewhere || !this.#sightings.has(name))) this.#note(name, nodes, Infinity);
    }
  }

  /** Notes that the members of a cluster have changed. */
  note(cluster: ClusterName): void {
    const { live, clock } = this.#options;
    const outageMs = live.takeOutage(cluster);
    const isFirst = !this.#noted.has(cluster);
    this.#noted.add(cluster);
    const blindMs = isFirst || outageMs === -Infinity
      ? this.#now() - this.#knownAtMs
      : outageMs === undefined
      ? 0
      : clock.now() - outageMs;
    this.#note(cluster, live.nodes(cluster) ?? [], blindMs);
  }

  /** Notes which nodes a balancer finds down, and calls back if that is news to a policy. */
  noteDown(balancer: string, down: ReadonlyMap<ClusterName, readonly string[]>): void {
    const before = this.#down.get(balancer);
    const now = new Map(
      [...down].filter(([name]) => this.#prefers(name)).map(([name, nodes]) => [
        name,
        new Set(nodes),
      ]),
    );
    this.#down.set(balancer, now);
    // A balancer that does not answer says nothing about a cluster of which something was down.
    const names = new Set([...now.keys(), ...before?.keys() ?? []]);
    const isSame = names.values().every((name) => {
      const [nodes, last] = [now.get(name) ?? NONE, before?.get(name) ?? NONE];
      return last.size === nodes.size && nodes.isSubsetOf(last);
    });
    if (!isSame) this.#options.onDue();
  }

  /** Takes the results of this host's checks for the nodes of a cluster. */
  noteHealth(cluster: ClusterName, health: ReadonlyMap<string, NodeHealth>): void {
    if (health.size === 0 && !this.#health.has(cluster)) return;
    if (health.size === 0) this.#health.delete(cluster);
    else this.#health.set(cluster, health);
    this.#options.onDue();
  }

  /** Whether the nodes that a balancer finds down matter to any policy, or to nodes that wait for others. */
  get asksForDown(): boolean {
    return this.#clusters.keys().some((name) => this.#prefers(name));
  }

  /** Decides what the nodes of a cluster get from a balancer, and schedules the next change. */
  share(
    { balancer, cluster: { cluster, movesKeys }, host: { zone }, nodes, overflow, overrides }: ShareRequest,
  ): Shares {
    const nowMs = this.#now();
    const { decide = shareTraffic } = this.#options;
    const shares = decide({
      nowMs,
      startedMs: this.#options.isWarm === true ? -Infinity : this.#startedMs,
      policy: cluster.traffic,
      zone,
      isHashed: movesKeys?.has(balancer),
      nodes,
      overflow,
      sightings: this.#sightings.get(cluster.name),
      down: this.#down.get(balancer)?.get(cluster.name),
      health: this.#health.get(cluster.name),
      overrides,
      wallAheadMs: this.#options.wallNow() - nowMs,
      sourceOf: this.#sourceOf(cluster.name),
    });
    this.#schedule(shares.changesAtMs, nowMs);
    const of = this.#shares.get(balancer) ?? new Map<ClusterName, Shares>();
    this.#shares.set(balancer, of.set(cluster.name, shares));
    return shares;
  }

  /** Forgets what was decided for a balancer, whose clusters are about to be decided again. */
  begin(balancer: string): void {
    this.#shares.delete(balancer);
  }

  /**
   * What was last decided for a cluster, and in how long it changes by itself; `undefined` if nothing was.
   */
  decided(balancer: string, cluster: ClusterName): DecidedShares | undefined {
    const shares = this.#shares.get(balancer)?.get(cluster);
    return shares && { nodes: shares.nodes, changesInMs: shares.changesAtMs - this.#now() };
  }

  /** Stops deciding. */
  [Symbol.dispose](): void {
    this.#cancel();
  }

  /** The time of day, by the time that has passed since the start. */
  #now(): number {
    return this.#startedMs + Math.floor(this.#options.clock.now() - this.#clockAtStart);
  }

  #sourceOf(cluster: ClusterName): (name: string) => string | undefined {
    const origins = this.#options.live.origins(cluster);
    return (name) => origins.get(name)?.source;
  }

  /** Whether some nodes of a cluster may get more than others. */
  #prefers(cluster: ClusterName): boolean {
    return this.#policy(cluster) !== undefined || hasPriorities(this.#options.live.nodes(cluster) ?? []);
  }

  #policy(cluster: ClusterName): TrafficPolicy | undefined {
    return this.#clusters.get(cluster)?.cluster.traffic;
  }

  /** The zones of nodes, as text to compare: each config is a value of its own. */
  #zonesKey(cluster: ClusterName): string | undefined {
    const key = this.#policy(cluster)?.zones?.key;
    return key && JSON.stringify(key);
  }

  /** Notes members about which nothing was known for so long. */
  #note(cluster: ClusterName, nodes: readonly Node[], blindMs: number): void {
    const policy = this.#policy(cluster);
    if (policy === undefined) return;
    const { slowStart, zones, sources = [] } = policy;
    const sourceOf = this.#sourceOf(cluster);
    const graceOf = (name: string) => {
      const source = sources.length === 0 ? undefined : sourceOf(name);
      const own = sources.find((each) => each.source === source)?.slowStart;
      return (own ?? slowStart)?.graceMs ?? GRACE_MS;
    };
    const zoneOf = (node: Node): string | undefined => {
      const zone = zones === undefined ? undefined : fieldOf(node, zones.key);
      return typeof zone === "string" ? zone : undefined;
    };
    const members = nodes.map((node) => {
      const name = nodeName(node);
      return { name, zone: zoneOf(node), graceMs: graceOf(name) };
    });
    const options = { nowMs: this.#now(), blindMs };
    this.#sightings.set(cluster, noteMembers(this.#sightings.get(cluster) ?? new Map(), members, options));
  }

  #schedule(atMs: number, nowMs: number): void {
    if (atMs === Infinity || (atMs >= this.#dueMs && this.#dueMs > nowMs)) return;
    this.#cancel();
    this.#dueMs = atMs;
    this.#cancel = this.#options.clock.after(Math.max(1, atMs - nowMs), () => {
      this.#dueMs = Infinity;
      this.#options.onDue();
    });
  }
}
