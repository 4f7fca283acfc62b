import type { Clock } from "../kernel/clock.ts";
import type { Meter } from "../metrics/meter.ts";
import type { ClusterName } from "../model/topology.ts";

/** A change of members that a balancer has not been seen serving yet. */
interface Arrival {
  /** The generation of the topology that it made. */
  readonly generation: number;
  readonly atMs: number;
}

/** How many changes of a cluster are awaited; while a balancer is down, the first ones are enough. */
const PENDING_MAX = 100;

/**
 * Measures how long changes of members take, from the arrival of their snapshot to each balancer seen serving
 * them. Each change counts, also those that are combined with others. A change that a guard holds arrives
 * with the snapshot that confirms it.
 */
export class Propagation {
  readonly #clock: Clock;
  readonly #meter: Meter;
  /** By balancer and cluster, the oldest first. */
  readonly #pending = new Map<string, Map<ClusterName, Arrival[]>>();

  constructor({ clock, meter }: { readonly clock: Clock; readonly meter: Meter }) {
    [this.#clock, this.#meter] = [clock, meter];
  }

  /** Waits for a balancer from now on. */
  begin(balancer: string): void {
    this.#pending.set(balancer, new Map());
  }

  /** Stops waiting for a balancer. */
  end(balancer: string): void {
    this.#pending.delete(balancer);
  }

  /** Notes a change of a cluster: the generation that it made, and when its snapshot arrived. */
  arrived(cluster: ClusterName, generation: number, atMs: number): void {
    for (const pending of this.#pending.values()) {
      const arrivals = pending.get(cluster);
      if (arrivals === undefined) pending.set(cluster, [{ generation, atMs }]);
      else if (arrivals.length < PENDING_MAX) arrivals.push({ generation, atMs });
    }
  }

  /** Notes that a balancer was seen serving some clusters as of a generation. */
  served(balancer: string, generation: number | undefined, clusters: readonly { readonly name: ClusterName }[]): void {
    const pending = this.#pending.get(balancer);
    if (pending === undefined || pending.size === 0 || generation === undefined) return;
    const nowMs = this.#clock.now();
    const names = new Set(clusters.map(({ name }) => name));
    for (const [cluster, arrivals] of pending) {
      const later = arrivals.filter((arrival) => arrival.generation > generation);
      // A change of a cluster that this balancer does not serve is not awaited.
      const done = names.has(cluster) ? arrivals.slice(0, arrivals.length - later.length) : [];
      for (const { atMs } of done) {
        this.#meter.observe("lighthouse_propagation_seconds", { balancer, cluster }, (nowMs - atMs) / 1_000);
      }
      if (later.length === 0) pending.delete(cluster);
      else pending.set(cluster, later);
    }
  }
}
