import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
import type { Cluster } from "../model/cluster.ts";
import { sourceKey } from "../model/registry_source.ts";
import type { ClusterName } from "../model/topology.ts";
import { type MembershipGuard, membershipPolicy } from "./membership_guard.ts";
import type { ClusterSourceKey, SourceKey } from "./source_members.ts";
import type { Fleet } from "../supervisor/fleet.ts";
import type { WorkerEvent } from "../supervisor/plugin_host.ts";
import { discoveryId, discoveryOf } from "../config/accept.ts";
import type { Accepted, AcceptedCluster } from "../config/accepted.ts";
import { needsNoMetadata } from "./wanted.ts";

export interface WatchesOptions {
  /** Instructs a discovery's worker what to watch. */
  readonly fleet: Pick<Fleet, "post">;
  /** Receives the reports about watched clusters. */
  readonly membership: Pick<MembershipGuard, "apply" | "connected" | "lostSight" | "hear">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter;
  /** Aborted when no watch is to be restarted any more. */
  readonly signal: AbortSignal;
}

/** The waits before a lost watch is restarted. */
const WATCH_BACKOFF = { firstMs: 200, maxMs: 10_000 };

/** One watch of one source of a cluster, in its discovery's worker. */
interface Watch extends ClusterSourceKey {
  /** Its name in the worker: the cluster, and `web#2` for a second source of one discovery. */
  readonly id: string;
  readonly discovery: string;
  /** The section of the cluster's file for the discovery, as its plugin validated it. */
  readonly config: unknown;
}

/**
 * Which sources of which clusters are watched, by which discovery's worker: reports about others are ignored,
 * and a lost watch is restarted. Workers are known by the keys of the fleet.
 */
export class Watches {
  readonly #options: WatchesOptions;
  /** The watches by discovery, by their names in the worker. */
  #watched: ReadonlyMap<string, ReadonlyMap<string, Watch>> = new Map();
  /** Whether no balancer reads the metadata of nodes, so that workers need not send it. */
  #withoutMetadata = true;
  /** The sources whose registries last reported that there is no such cluster. */
  readonly #missing = new Set<string>();
  /** Consecutive failures to watch a source, and the reason of the last. */
  readonly #lost = new Map<string, { readonly attempts: number; readonly reason: string }>();

  /** Watches nothing until a config is applied. */
  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** Watches the sources of a config whose discovery exists, and no others. */
  apply({ clusters, discovery, balancers }: Pick<Accepted, "clusters" | "discovery" | "balancers">): void {
    const { membership } = this.#options;
    const withoutMetadata = needsNoMetadata({ balancers, clusters });
    const isOther = withoutMetadata !== this.#withoutMetadata;
    this.#withoutMetadata = withoutMetadata;
    const before = this.#watched;
    const wanted = watchesOf([...clusters.values()], { discovery, before: [...allOf(before)] });
    const names = new Map([...clusters.values()].map(({ cluster }) => [cluster.name, cluster]));
    this.#watched = wanted;
    for (const watch of allOf(before)) {
      if (wanted.get(watch.discovery)?.get(watch.id)?.source === watch.source) continue;
      this.#lost.delete(lostKey(watch));
      this.#unwatch(watch);
      const end = endOf(watch, names.get(watch.cluster), discovery);
      if (end === undefined) continue;
      membership.lostSight([{ cluster: watch.cluster, source: end.source }], end.reason, { until: "told" });
    }
    for (const watch of allOf(wanted)) {
      const last = before.get(watch.discovery)?.get(watch.id);
      if (last?.source !== watch.source) this.#watch(watch);
      else if (isOther || JSON.stringify(last.config) !== JSON.stringify(watch.config)) this.#watchAnew(watch);
    }
    membership.apply(new Map([...names].map(([name, cluster]) => [name, membershipPolicy(cluster)])));
  }

  /** Starts all watches of a discovery whose worker is new. */
  begin(key: string): void {
    for (const watch of this.#watchesOf(key).values()) this.#watch(watch);
  }

  /** Takes a worker's report about its registry and its clusters. */
  hear(key: string, event: Extract<WorkerEvent, { type: "connection" | "snapshot" | "lost" }>): void {
    const { fleet, membership } = this.#options;
    const watches = this.#watchesOf(key);
    switch (event.type) {
      case "connection":
        if (event.state === "connected") membership.connected(watches.values());
        else membership.lostSight(watches.values(), event.detail, { until: "connected" });
        return;
      case "snapshot": {
        const { cluster: id } = event.snapshot;
        fleet.post(key, { type: "taken", cluster: id });
        const watch = watches.get(id);
        if (watch === undefined) return;
        this.#lost.delete(lostKey(watch));
        if (event.snapshot.exists) this.#missing.delete(missingKey(watch));
        else this.#missing.add(missingKey(watch));
        return membership.hear({ ...event.snapshot, cluster: watch.cluster }, watch.source);
      }
      case "lost": {
        const watch = watches.get(event.cluster);
        if (watch === undefined) return;
        membership.lostSight([watch], event.error.message, { until: "told" });
        return void this.#watchAgain(key, watch, event.error.message);
      }
    }
  }

  /** Whether a source's registry has reported that there is no such cluster. */
  isMissing(source: ClusterSourceKey): boolean {
    return this.#missing.has(missingKey(source));
  }

  /** Notes that a discovery has no worker at present. */
  lose(key: string, reason: string): void {
    this.#options.membership.lostSight(this.#watchesOf(key).values(), reason, { until: "told" });
  }

  /**
   * Has the registry of a source of a cluster report its whole membership once more; without a source, the
   * registries of all.
   */
  askAgain(cluster: ClusterName, source?: SourceKey): void {
    for (const watch of allOf(this.#watched)) {
      if (watch.cluster === cluster && (source === undefined || watch.source === source)) this.#watchAnew(watch);
    }
  }

  async #watchAgain(key: string, watch: Watch, reason: string): Promise<void> {
    const { clock, random, log, meter = UNMETERED, signal } = this.#options;
    const { cluster, discovery, id } = watch;
    meter.count("lighthouse_watch_failures_total", { cluster });
    const before = this.#lost.get(lostKey(watch));
    const attempt = before?.attempts ?? 0;
    this.#lost.set(lostKey(watch), { attempts: attempt + 1, reason });
    const waitMs = Math.round(backoffMs(attempt, WATCH_BACKOFF, random));
    // A repetition is no news.
    const level = before?.reason === reason ? "debug" : "warn";
    log[level]("Watch failed; keeping members and retrying", {
      event: "cluster.watch_failed",
      cluster,
      discovery,
      reason,
      waitMs,
    });
    await delay(waitMs, { clock, signal }).catch(() => {});
    const now = this.#watchesOf(key).get(id);
    if (now?.source === watch.source) this.#watch(now);
  }

  #watchAnew(watch: Watch): void {
    this.#unwatch(watch);
    this.#watch(watch);
  }

  #watch({ discovery, cluster, id, config }: Watch): void {
    this.#options.fleet.post(discoveryId(discovery), {
      type: "watch",
      cluster: id,
      ...id !== cluster && { of: cluster },
      withoutMetadata: this.#withoutMetadata,
      ...config !== undefined && { config },
    });
  }

  #unwatch({ discovery, id }: Watch): void {
    this.#options.fleet.post(discoveryId(discovery), { type: "unwatch", cluster: id });
  }

  #watchesOf(key: string): ReadonlyMap<string, Watch> {
    return this.#watched.get(discoveryOf(key) ?? "") ?? new Map();
  }
}

/** The watches that clusters need, by discovery and by their names in its worker. Pure. */
export function watchesOf(
  clusters: readonly AcceptedCluster[],
  { discovery, before = [] }: { readonly discovery: ReadonlyMap<string, unknown>; readonly before?: readonly Watch[] },
): ReadonlyMap<string, ReadonlyMap<string, Watch>> {
  const wanted = new Map<string, Map<string, Watch>>();
  for (const { cluster: { name: cluster, sources }, options } of clusters) {
    // A source that stays one of several keeps its name, so that a report in flight is not taken for
    // another's.
    const kept = new Map(
      before.filter((watch) => watch.cluster === cluster).map((
        { discovery, source, id },
      ) => [`${discovery} ${source}`, id]),
    );
    for (const source of sources) {
      if (!discovery.has(source.discovery)) continue;
      const watches = wanted.get(source.discovery) ?? new Map<string, Watch>();
      wanted.set(source.discovery, watches);
      const key = sourceKey(source);
      const own = kept.get(`${source.discovery} ${key}`);
      const taken = new Set([...kept].filter(([of]) => of.startsWith(`${source.discovery} `)).map(([, id]) => id));
      const isFree = (id: string) => !watches.has(id) && !taken.has(id);
      const id = sources.length === 1 ? cluster : own ?? idsOf(cluster).find(isFree) ?? cluster;
      watches.set(id, { id, cluster, discovery: source.discovery, source: key, config: options?.get(source.name) });
    }
  }
  return wanted;
}

/** The names of the watches of one cluster in one worker. */
function* idsOf(cluster: ClusterName): Generator<string> {
  yield cluster;
  for (let n = 2;; n++) yield `${cluster}#${n}`;
}

function* allOf(watched: ReadonlyMap<string, ReadonlyMap<string, Watch>>): Generator<Watch> {
  for (const watches of watched.values()) yield* watches.values();
}

function missingKey({ cluster, source }: ClusterSourceKey): string {
  return `${cluster} ${source}`;
}

function lostKey({ discovery, id }: Watch): string {
  return `${discovery} ${id}`;
}

/** Returns what is stale now that a watch has ended, and why. */
function endOf(
  { source, discovery: before }: Watch,
  cluster: Cluster | undefined,
  discovery: ReadonlyMap<string, unknown>,
): { readonly source: SourceKey; readonly reason: string } | undefined {
  if (cluster === undefined) return { source, reason: "No file in clusters/ defines the cluster" };
  const [only, ...others] = cluster.sources;
  const own = cluster.sources.find((each) => sourceKey(each) === source);
  const next = own ?? (others.length === 0 ? only : undefined);
  // A source that has left a list leaves the others as they are.
  if (next === undefined) return undefined;
  if (!discovery.has(next.discovery)) {
    return { source: sourceKey(next), reason: `No valid discovery/${next.discovery}.yaml` };
  }
  if (next.discovery === before) return undefined;
  return {
    source: sourceKey(next),
    reason: `Switching to discovery/${next.discovery}.yaml: waiting for the first response`,
  };
}
