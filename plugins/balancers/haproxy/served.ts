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
  /** Its weight beside those of the others; what its lines and HAProxy's default come to if absent. */
  readonly weight?: number | undefined;
  /** The same in the file, where what passes by itself does not stand; `weight` if absent. */
  readonly settledWeight?: number | undefined;
  /** What its node says of itself: it stands in the file to be read back. */
  readonly own: Pick<Node, "weight" | "state">;
  /** Whether it gets requests, keeps only what it has, or is out of service. */
  readonly state: WantedNode["state"];
  /** Whether it serves as the last resort. */
  readonly isFallback: boolean;
  /** The other cluster that it is a member of; absent if it is one of this. */
  readonly from?: ClusterName | undefined;
  /** Whether it waits for the others not to be enough: it gets nothing until then. */
  readonly isSpare: boolean;
}

/** A cluster with all that its backend depends on worked out. */
export interface ServedCluster {
  /** The cluster as it is wanted. */
  readonly wanted: WantedCluster<HaproxyCluster>;
  /** The lines of `defaults`, which its backend inherits. */
  readonly inherited: readonly Line[];
  /** The lines of its backend. */
  readonly lines: readonly Line[];
  /** Whether a line is added so that its hash takes new members while HAProxy runs. */
  readonly spreadsConsistently: boolean;
  /** What its backend is like. */
  readonly traits: BackendTraits;
  /** Its members, sorted by name, without doubles and without any that could do harm. */
  readonly members: readonly Member[];
  /** The ids of its servers, where ids place them. */
  readonly ids: ReadonlyMap<string, number>;
  /** The balancers of its members' hosts but for this one, sorted. */
  readonly peers: readonly Peer[];
  /** What stands at the end of each of its server lines. */
  readonly serverOptions: string;
  /** What each of its servers is given while HAProxy runs, which then inherits nothing from `default-server` lines. */
  readonly options: readonly string[];
  /** The cluster that it is the twin of, for when too few servers of that are up; absent if it is none. */
  readonly panicOf?: ClusterName | undefined;
  /** The cluster that it is the last resort of; absent if it is none. */
  readonly fallbackOf?: ClusterName | undefined;
}
