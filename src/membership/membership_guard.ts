import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import { GUARD_DEFAULTS, type GuardSettings } from "../model/cluster.ts";
import type { ClusterName, ClusterSnapshot } from "../model/topology.ts";
import { applyGuard, followPast, type GuardMemory, type Hold, NO_MEMORY, type Past } from "./guard.ts";
import type { LiveTopology, Stale } from "./live_topology.ts";
import type { Propagation } from "./propagation.ts";

export interface MembershipGuardOptions {
  /** What is believed. */
  readonly live: LiveTopology;
  readonly clock: Clock;
  /** The time of day in milliseconds: since when a member is known. The system's unless told. */
  readonly wallNow?: (() => number) | undefined;
  readonly log: Logger;
  readonly meter?: Meter;
  /** Hears of each change of members, and when its snapshot arrived. */
  readonly propagation?: Pick<Propagation, "arrived">;
  /** Asks a cluster's registry for its whole membership once more. */
  readonly askAgain: (cluster: ClusterName) => void;
  /** Hears that the members of a cluster are others, or that a registry has spoken of it for the first time. */
  readonly onChange: (cluster: ClusterName) => void;
}

/**
 * Stands between the registries and the live topology: what they say is judged by each
 * cluster's guard, and what is held back is asked for again when it is due.
 */
export class MembershipGuard implements Disposable {
  readonly #options: MembershipGuardOptions;
  #guards: ReadonlyMap<ClusterName, GuardSettings> = new Map();
  readonly #memory = new Map<ClusterName, GuardMemory>();
  /** How the answers of each cluster's registry follow one another. */
  readonly #pasts = new Map<ClusterName, { readonly source: string; readonly past: Past }>();
  readonly #connectedAt = new Map<ClusterName, number>();
  readonly #cancels = new Map<ClusterName, () => void>();

  constructor(options: MembershipGuardOptions) {
    this.#options = options;
  }

  /** Takes the guards of all clusters, whole; what is held back is judged anew by them. */
  apply(guards: ReadonlyMap<ClusterName, GuardSettings>): void {
    const before = this.#guards;
    this.#guards = guards;
    for (const [cluster, { hold }] of this.#memory) {
      const guard = guards.get(cluster);
      if (guard === undefined) {
        // What was said before it went confirms nothing when it comes back.
        this.#memory.delete(cluster);
        this.#pasts.delete(cluster);
        this.#cancels.get(cluster)?.();
        this.#cancels.delete(cluster);
        continue;
      }
      const isChanged = JSON.stringify(guard) !== JSON.stringify(before.get(cluster));
      if (hold !== undefined && isChanged) this.#options.askAgain(cluster);
    }
  }

  /** Notes that the registry of some clusters has come into reach: what it says at first may be what it has not read yet. */
  connected(clusters: Iterable<ClusterName>): void {
    const { live, clock } = this.#options;
    for (const cluster of clusters) {
      this.#connectedAt.set(cluster, clock.now());
      live.markConnected(cluster);
    }
  }

  /**
   * Notes that some clusters are not watched at present: until the connection is
   * there again, or, if the watch itself is lost, until their members are told anew.
   */
  lostSight(clusters: Iterable<ClusterName>, reason: string, { until }: Pick<Stale, "until">): void {
    const { live, clock } = this.#options;
    for (const cluster of clusters) live.markStale(cluster, { reason, sinceMs: clock.now(), until });
  }

  /** What is held back of a cluster's last answer; `undefined` if nothing is. */
  hold(cluster: ClusterName): Hold | undefined {
    const hold = this.#memory.get(cluster)?.hold;
    return hold?.cause === "empty" && this.#options.live.nodes(cluster) === undefined ? undefined : hold;
  }

  /** Takes what a registry says. */
  hear({ cluster, nodes: said, exists, epoch, leaseMs }: ClusterSnapshot, source: string): void {
    const { live, clock, wallNow = Date.now, meter = UNMETERED, propagation, onChange } = this.#options;
    const arrivedMs = clock.now();
    const before = this.#memory.get(cluster) ?? NO_MEMORY;
    const known = live.nodes(cluster);
    // The answers of another registry follow nothing.
    const earlier = this.#pasts.get(cluster);
    const past = followPast(earlier?.source === source ? earlier.past : undefined, { epoch, exists }, {
      known,
      now: arrivedMs,
    });
    this.#pasts.set(cluster, { source, past });
    const { nodes, memory } = applyGuard({
      known,
      said,
      settings: this.#guards.get(cluster) ?? GUARD_DEFAULTS,
      memory: before,
      now: arrivedMs,
      connectedAt: this.#connectedAt.get(cluster) ?? -Infinity,
      past,
      leaseMs,
    });
    this.#memory.set(cluster, memory);
    this.#cancels.get(cluster)?.();
    if (memory.hold === undefined) this.#cancels.delete(cluster);
    else this.#schedule(cluster, memory.hold);
    this.#tell(cluster, { before: before.hold, hold: memory.hold, known: known?.length ?? 0, said: said.length });
    // Nothing is known and nothing is accepted: as if the registry had not spoken yet.
    const isUnheard = known === undefined && memory.hold !== undefined;
    const isFirst = exists && !isUnheard && !live.heard(cluster);
    // That there is no such cluster confirms no members; it only says that the registry is watched.
    if (!exists) live.markWatched(cluster);
    if (isUnheard && memory.hold?.cause === "empty") return;
    const isChanged = exists && !isUnheard && live.replace({ cluster, nodes }, { source, sinceMs: wallNow() });
    const result = memory.hold !== undefined ? "held" : isChanged ? "changed" : "unchanged";
    meter.count("lighthouse_snapshots_total", { cluster, result });
    if (isChanged) propagation?.arrived(cluster, live.generation(cluster) ?? 0, arrivedMs);
    if (isChanged || isFirst) onChange(cluster);
  }

  /** Asks no more. */
  [Symbol.dispose](): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  #schedule(cluster: ClusterName, { askAt }: Hold): void {
    if (askAt === Infinity) return void this.#cancels.delete(cluster);
    const { clock, askAgain } = this.#options;
    this.#cancels.set(cluster, clock.after(Math.max(0, askAt - clock.now()), () => askAgain(cluster)));
  }

  /** Says what is held back and why, once for each time that it begins or gets another reason, and how it ended. */
  #tell(
    cluster: ClusterName,
    { before, hold, known, said }: {
      readonly before: Hold | undefined;
      readonly hold: Hold | undefined;
      readonly known: number;
      readonly said: number;
    },
  ): void {
    if (known === 0 && (hold ?? before)?.cause === "empty") return;
    const { log, clock, meter = UNMETERED } = this.#options;
    const at = { cluster, known, said };
    if (hold === undefined) {
      if (before === undefined) return;
      const isConfirmed = before.cause !== "many" && said < known;
      const text = isConfirmed ? "Held membership change confirmed, applying" : "Hold released; members are back";
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

/** What a registry reports that is not accepted at once, by the guard's cause. */
const HELD: { readonly [cause in Hold["cause"]]: string } = {
  empty: "Registry reports 0 nodes",
  many: "Registry reports more nodes than max_nodes",
  few: "Registry reports fewer nodes than min_nodes",
  shrunk: "Registry reports a loss above max_shrink_percent",
  missing: "Registry has no such cluster",
  behind: "Registry with an unknown past lacks nodes",
};
