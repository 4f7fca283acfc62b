import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { ClusterName } from "../model/topology.ts";
import type { MembershipGuard } from "./membership_guard.ts";
import type { Fleet } from "../supervisor/fleet.ts";
import type { WorkerEvent } from "../supervisor/plugin_host.ts";
import { discoveryId, discoveryOf } from "../config/accept.ts";
import type { Accepted } from "../config/accepted.ts";
import { needsNoMetadata } from "./wanted.ts";

export interface WatchesOptions {
  /** Says to a discovery's worker what is to be watched. */
  readonly fleet: Pick<Fleet, "post">;
  /** Hears what is said of the clusters that are watched. */
  readonly membership: Pick<MembershipGuard, "apply" | "connected" | "lostSight" | "hear">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter;
  /** Aborted when nothing is to be watched again. */
  readonly signal: AbortSignal;
}

/** The waits before a watch that was lost is begun again. */
const WATCH_BACKOFF = { firstMs: 200, maxMs: 10_000 };

/**
 * Which clusters are watched, by which discovery's worker: what is said of
 * others is not heard, and a watch that was lost is begun again. Workers are
 * known by the keys of the fleet.
 */
export class Watches {
  readonly #options: WatchesOptions;
  /** The clusters watched, by discovery. */
  readonly #watched = new Map<string, ReadonlySet<ClusterName>>();
  /** What the clusters' files say to their discoveries, by cluster. */
  #watchOptions: ReadonlyMap<ClusterName, unknown> = new Map();
  /** Whether no balancer reads the metadata of nodes, so that no worker need send it. */
  #withoutMetadata = true;
  /** Tries in a row to watch a cluster that failed, and why the last did. */
  readonly #lost = new Map<ClusterName, { readonly attempts: number; readonly reason: string }>();

  /** Watches nothing before a config is applied. */
  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** Watches the clusters of a config whose discovery there is, and no others. */
  apply({ clusters, discovery, balancers }: Pick<Accepted, "clusters" | "discovery" | "balancers">): void {
    const { membership } = this.#options;
    const withoutMetadata = needsNoMetadata({ balancers, clusters });
    const isOther = withoutMetadata !== this.#withoutMetadata;
    this.#withoutMetadata = withoutMetadata;
    const before = this.#watchOptions;
    this.#watchOptions = new Map([...clusters.values()].map(({ cluster, options }) => [cluster.name, options]));
    const wanted = new Map<string, Set<ClusterName>>();
    for (const { cluster } of clusters.values()) {
      if (!discovery.has(cluster.discovery)) continue;
      wanted.set(cluster.discovery, (wanted.get(cluster.discovery) ?? new Set()).add(cluster.name));
    }
    const discoveries = new Map([...clusters.values()].map(({ cluster }) => [cluster.name, cluster.discovery]));
    for (const [name, watched] of this.#watched) {
      for (const cluster of watched) {
        if (wanted.get(name)?.has(cluster)) continue;
        this.#unwatch(discoveryId(name), cluster);
        const next = discoveries.get(cluster);
        const reason = next === undefined
          ? "No file of clusters/ names it"
          : discovery.has(next)
          ? `Moving to discovery/${next}.yaml: waiting for its first answer`
          : `No usable discovery/${next}.yaml`;
        membership.lostSight([cluster], reason, { until: "told" });
      }
    }
    for (const [name, watched] of wanted) {
      const last = this.#watched.get(name);
      for (const cluster of watched) {
        if (!last?.has(cluster)) this.#watch(discoveryId(name), cluster);
        else if (isOther || JSON.stringify(before.get(cluster)) !== JSON.stringify(this.#watchOptions.get(cluster))) {
          this.#watchAnew(name, cluster);
        }
      }
      this.#watched.set(name, watched);
    }
    for (const name of this.#watched.keys()) if (!wanted.has(name)) this.#watched.delete(name);
    membership.apply(new Map([...clusters.values()].map(({ cluster }) => [cluster.name, cluster.guard])));
  }

  /** Begins all watches of a discovery whose worker is new. */
  begin(key: string): void {
    for (const cluster of this.#clustersOf(key)) this.#watch(key, cluster);
  }

  /** Takes what a worker says of its registry and its clusters. */
  hear(key: string, event: Extract<WorkerEvent, { type: "connection" | "snapshot" | "lost" }>): void {
    const { fleet, membership } = this.#options;
    const clusters = this.#clustersOf(key);
    switch (event.type) {
      case "connection":
        if (event.state === "connected") membership.connected(clusters);
        else membership.lostSight(clusters, event.detail, { until: "connected" });
        return;
      case "snapshot": {
        const { cluster } = event.snapshot;
        fleet.post(key, { type: "taken", cluster });
        if (!clusters.has(cluster)) return;
        this.#lost.delete(cluster);
        return membership.hear(event.snapshot, discoveryOf(key) ?? key);
      }
      case "lost":
        if (!clusters.has(event.cluster)) return;
        membership.lostSight([event.cluster], event.error.message, { until: "told" });
        return void this.#watchAgain(key, event.cluster, event.error.message);
    }
  }

  /** Notes that a discovery has no worker at present. */
  lose(key: string, reason: string): void {
    this.#options.membership.lostSight(this.#clustersOf(key), reason, { until: "told" });
  }

  /** Has a cluster's registry tell its whole membership once more. */
  askAgain(cluster: ClusterName): void {
    for (const [name, clusters] of this.#watched) {
      if (clusters.has(cluster)) this.#watchAnew(name, cluster);
    }
  }

  async #watchAgain(key: string, cluster: ClusterName, reason: string): Promise<void> {
    const { clock, random, log, meter = UNMETERED, signal } = this.#options;
    meter.count("lighthouse_watch_failures_total", { cluster });
    const before = this.#lost.get(cluster);
    const attempt = before?.attempts ?? 0;
    this.#lost.set(cluster, { attempts: attempt + 1, reason });
    const waitMs = Math.round(backoffMs(attempt, WATCH_BACKOFF, random));
    // The same again is no news.
    const level = before?.reason === reason ? "debug" : "warn";
    log[level]("Watch failed; keeping members and watching again", {
      event: "cluster.watch_failed",
      cluster,
      reason,
      waitMs,
    });
    await delay(waitMs, { clock, signal }).catch(() => {});
    if (this.#clustersOf(key).has(cluster)) this.#watch(key, cluster);
  }

  #watchAnew(discovery: string, cluster: ClusterName): void {
    this.#unwatch(discoveryId(discovery), cluster);
    this.#watch(discoveryId(discovery), cluster);
  }

  #watch(key: string, cluster: ClusterName): void {
    const config = this.#watchOptions.get(cluster);
    const withoutMetadata = this.#withoutMetadata;
    this.#options.fleet.post(key, { type: "watch", cluster, withoutMetadata, ...config !== undefined && { config } });
  }

  #unwatch(key: string, cluster: ClusterName): void {
    this.#options.fleet.post(key, { type: "unwatch", cluster });
  }

  #clustersOf(key: string): ReadonlySet<ClusterName> {
    return this.#watched.get(discoveryOf(key) ?? "") ?? new Set();
  }
}
