import type { Collector } from "../metrics/meter.ts";

/** Gauges of a store. */
export interface Standing {
  readonly sequence: number;
  readonly isAvailable: boolean;
  readonly isLocked: boolean;
  readonly watchers: number;
  readonly leases: number;
  readonly leasedKeys: number;
  readonly peers: number;
  readonly peersReachable: number;
  readonly lost: number;
}

/** Exposes the state of a store as gauges. Pure. */
export function projectStore(to: Collector, now: Standing): void {
  to.add("lighthouse_store_version_sequence", {}, now.sequence);
  to.add("lighthouse_store_available", {}, Number(now.isAvailable));
  to.add("lighthouse_store_lock_held", {}, Number(now.isLocked));
  to.add("lighthouse_store_watchers", {}, now.watchers);
  to.add("lighthouse_store_leases", {}, now.leases);
  to.add("lighthouse_store_leased_keys", {}, now.leasedKeys);
  to.add("lighthouse_store_peers", {}, now.peers);
  to.add("lighthouse_store_peers_reachable", {}, now.peersReachable);
  to.add("lighthouse_store_lost_versions", {}, now.lost);
}
