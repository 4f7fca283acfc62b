import type { ClusterName, Node, Peer, WantedCluster, WantedNode } from "../../../mod.ts";
import type { BackendTraits } from "./backend.ts";
import type { HaproxyCluster } from "./config.ts";
import type { Line } from "./lines.ts";

/** A member as a line of the file and as a command to the socket need it. */
export interface Member {
  /** The name of its server, unique in the backend. */
  readonly name: string;
  /** Its address: IPv4 or IPv6 without brackets. */
  readonly ip: string;
  /** Its port. */
  readonly port: number;
  /** Its weight relative to the others; if absent, what its lines and HAProxy's default result in. */
  readonly weight?: number | undefined;
  /** The same in the file, which leaves out what passes by itself; `weight` if absent. */
  readonly settledWeight?: number | undefined;
  /** What its node's own keys say: it is stored in the file to be read back. */
  readonly own: Pick<Node, "weight" | "state">;
  /** Whether it gets requests, keeps only its sessions, or is out of service. */
  readonly state: WantedNode["state"];
  /** Whether it serves as the last resort. */
  readonly isFallback: boolean;
  /** The other cluster that it is a member of; absent if it is one of this. */
  readonly from?: ClusterName | undefined;
  /** Whether it is held in reserve until the others are too few: it gets nothing until then. */
  readonly isSpare: boolean;
}

/** A cluster with all that its backend depends on. */
export interface ServedCluster {
  /** The desired cluster. */
  readonly wanted: WantedCluster<HaproxyCluster>;
  /** The lines of `defaults`, which its backend inherits. */
  readonly inherited: readonly Line[];
  /** The lines of its backend. */
  readonly lines: readonly Line[];
  /** Whether a line is added so that its hash takes new members at run time. */
  readonly spreadsConsistently: boolean;
  /** The traits of its backend. */
  readonly traits: BackendTraits;
  /** Its members, sorted by name, without duplicates and without any that could do harm. */
  readonly members: readonly Member[];
  /** The ids of its servers, where ids place them. */
  readonly ids: ReadonlyMap<string, number>;
  /** The balancers of its members' hosts except this one, sorted. */
  readonly peers: readonly Peer[];
  /** The end of each of its server lines. */
  readonly serverOptions: string;
  /**
   * The options of each server that is added at run time, which inherits nothing from `default-server` lines.
   */
  readonly options: readonly string[];
  /** The cluster that it is the twin of, for when too few servers of that are up; absent if none. */
  readonly panicOf?: ClusterName | undefined;
  /** The cluster that it is the last resort of; absent if none. */
  readonly fallbackOf?: ClusterName | undefined;
}
