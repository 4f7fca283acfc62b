import type { ClusterName } from "../model/topology.ts";
import type { Wanted, WantedCluster } from "../plugin/contract.ts";

/** What to bring about, after what was refused has been put aside. */
export interface Target<Config, ClusterConfig> {
  /** The wish, or as much of it as the balancer takes. */
  readonly wanted: Wanted<Config, ClusterConfig>;
  /**
   * Whether its structure has to wait: something that serves now was changed to
   * what the balancer refuses, and what it was before is not known.
   */
  readonly held: boolean;
}

/** A config that the balancer did not take. */
interface Refusal {
  /** The config in question; another one is tried at once. */
  readonly fingerprint: string;
  /** When the same one is tried again, in case that what it lacked has come. */
  readonly retryAt: number;
  /** How often the same one was refused. */
  readonly times: number;
}

/**
 * Remembers what the balancer took and what it refused, and makes of a wish
 * something that it will take: what was refused keeps the last form that was
 * accepted, with its members of today; a cluster that never was accepted is
 * left out. Pure but for its memory.
 */
export class Acceptance<Config, ClusterConfig> {
  #accepted: Wanted<Config, ClusterConfig> | undefined;
  #whole: Refusal | undefined;
  readonly #clusters = new Map<ClusterName, Refusal>();

  /** Whether anything was ever seen in force. */
  get some(): boolean {
    return this.#accepted !== undefined;
  }

  /** The earliest time at which something that was refused is to be tried again. */
  retryAt(now: number): number {
    const times = [this.#whole, ...this.#clusters.values()].map((refusal) => refusal?.retryAt ?? Infinity);
    return Math.min(...times.filter((at) => at > now), Infinity);
  }

  /** Notes that the balancer was seen to serve a target. */
  accept(wanted: Wanted<Config, ClusterConfig>): void {
    this.#accepted = wanted;
    for (const cluster of wanted.clusters) {
      if (this.#clusters.get(cluster.name)?.fingerprint === printCluster(cluster)) this.#clusters.delete(cluster.name);
    }
    if (this.#whole?.fingerprint === printWhole(wanted)) this.#whole = undefined;
  }

  /** What was last in force, with the members that are wanted now; `undefined` if nothing was. */
  inForce(wanted: Wanted<Config, ClusterConfig>): Wanted<Config, ClusterConfig> | undefined {
    const accepted = this.#accepted;
    if (accepted === undefined) return undefined;
    const today = new Map(wanted.clusters.map((cluster) => [cluster.name, cluster.nodes]));
    return {
      ...wanted,
      config: accepted.config,
      clusters: accepted.clusters.map((cluster) => ({ ...cluster, nodes: today.get(cluster.name) ?? cluster.nodes })),
    };
  }

  /** Makes a target of a wish. `served` names the clusters that the balancer serves, whatever their form. */
  compose(
    wanted: Wanted<Config, ClusterConfig>,
    { now, served }: { readonly now: number; readonly served: () => ReadonlySet<ClusterName> },
  ): Target<Config, ClusterConfig> {
    if (this.#whole === undefined && this.#clusters.size === 0) return { wanted, held: false };
    if (this.#whole !== undefined && applies(this.#whole, printWhole(wanted), now)) {
      const fallback = this.inForce(wanted);
      return { wanted: fallback ?? wanted, held: fallback === undefined };
    }
    const before = new Map(this.#accepted?.clusters.map((cluster) => [cluster.name, cluster]));
    let held = false;
    const clusters = wanted.clusters.flatMap((cluster) => {
      const refusal = this.#clusters.get(cluster.name);
      if (refusal === undefined || !applies(refusal, printCluster(cluster), now)) return [cluster];
      const known = before.get(cluster.name);
      if (known !== undefined) return [{ ...known, nodes: cluster.nodes }];
      held ||= served().has(cluster.name);
      return [];
    });
    return { wanted: held ? wanted : { ...wanted, clusters }, held };
  }

  /**
   * Notes that the balancer refused a target made of `wanted`, because of
   * `cluster` if that is known. Answers whether there is something else to try.
   */
  refuse(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    { cluster: name, retryAt }: {
      readonly cluster: ClusterName | undefined;
      /** When to try again what was refused so many times. */
      readonly retryAt: (times: number) => number;
    },
  ): boolean {
    const asked = wanted.clusters.find((cluster) => cluster.name === name);
    const tried = target.clusters.find((cluster) => cluster.name === name);
    if (asked !== undefined && tried !== undefined && printCluster(asked) === printCluster(tried)) {
      this.#clusters.set(asked.name, again(this.#clusters.get(asked.name), printCluster(asked), retryAt));
      return true;
    }
    const fingerprint = printWhole(wanted);
    const wasFallback = this.#whole !== undefined && this.#whole.fingerprint === fingerprint &&
      printWhole(target) !== fingerprint;
    this.#whole = again(this.#whole, fingerprint, retryAt);
    const accepted = this.#accepted;
    return !wasFallback && accepted !== undefined && printWhole(accepted) !== printWhole(target);
  }
}

function applies(refusal: Refusal, fingerprint: string, now: number): boolean {
  return refusal.fingerprint === fingerprint && now < refusal.retryAt;
}

function again(before: Refusal | undefined, fingerprint: string, retryAt: (times: number) => number): Refusal {
  const times = before?.fingerprint === fingerprint ? before.times + 1 : 1;
  return { fingerprint, retryAt: retryAt(times), times };
}

/** All of a cluster but its members. */
function printCluster<K>({ name, metaCluster, config }: WantedCluster<K>): string {
  return JSON.stringify([name, metaCluster, config]);
}

/** All of a wish but its members. */
function printWhole<C, K>({ config, clusters }: Wanted<C, K>): string {
  return JSON.stringify([config, clusters.map(printCluster)]);
}
