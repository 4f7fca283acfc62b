/**
 * What `GET /status` answers: docs/operations.md explains it key by key. What is
 * not known, or not so, is `null`; ages are in seconds.
 *
 * @module
 */
import type { BalancerCounters } from "../plugin/contract.ts";

/** Something that happened once. */
export interface Event {
  readonly text: string;
  readonly agoSeconds: number;
}

/** How the config directory stands. */
export interface ConfigStatus {
  readonly dir: string;
  /** Since it was last read; every ten seconds it is, whatever happens. */
  readonly readSeconds: number | null;
  /** Since what it says was last taken as something new. */
  readonly takenSeconds: number | null;
  /** Why it cannot be read: its last valid version stays active. */
  readonly unreadable: string | null;
  readonly errors: number;
  readonly warnings: number;
  /** What is wrong with it, with file, line and column: the errors first. */
  readonly findings: readonly string[];
}

/** What this host is called. */
export interface HostStatus {
  /** Its name, as its nodes and its peer are called. */
  readonly name: string;
  readonly ip: string;
  /** Why nothing is announced under what was found out. */
  readonly refused: string | null;
}

/** How a connection to a registry stands. */
export interface DiscoveryStatus {
  /** `serving`, or why there is none. */
  readonly worker: string;
  readonly registry: "connected" | "disconnected" | "unknown";
  /** Since when it is so. */
  readonly forSeconds: number | null;
  /** What the worker said with it. */
  readonly detail: string | null;
}

/** What is known of one of several sources of a cluster. */
export interface ClusterSourceStatus extends Pick<ClusterStatus, "state" | "reason" | "forSeconds"> {
  /** The discovery: a source's name differs from it only where one discovery is named several times. */
  readonly discovery: string;
  /** How many nodes it contributes to what is combined. */
  readonly nodes: number;
}

/** What is known of a cluster's members. */
export interface ClusterStatus {
  /** Its discovery; of several, all of them: `zookeeper, etcd`. */
  readonly discovery: string;
  /** How several sources are combined; `null` for one. */
  readonly combine: "union" | "all" | "first" | null;
  /** The source that `first` follows. */
  readonly follows: string | null;
  /** Each of several sources, by its name; empty for one. */
  readonly sources: Readonly<Record<string, ClusterSourceStatus>>;
  /** What its sources contradict each other about. */
  readonly conflicts: readonly {
    readonly node: string;
    readonly kept: string;
    readonly ignored: string;
    readonly keys: readonly string[];
  }[];
  /**
   * `current`: as its registry says now. `stale`: its registry is unreachable.
   * `held`: a guard holds its answer. `last-known`: it has not answered yet, and
   * the members of an earlier run are served. `unknown`: nothing is known of it.
   */
  readonly state: "current" | "stale" | "held" | "last-known" | "unknown";
  /** Why it is not `current`. */
  readonly reason: string | null;
  /** How long it has been stale or held. */
  readonly forSeconds: number | null;
  /** Since its registry last confirmed its members: 0 while it is watched. */
  readonly ageSeconds: number | null;
  /** Whether that is longer ago than `max_age`. */
  readonly outdated: boolean;
  readonly nodes: number;
  /** How many nodes it had, if it has none now, and when the last one left, as in `2026-11-30T06:00:00.000Z`. */
  readonly emptied: { readonly had: number; readonly since: string | null } | null;
  /** The name of the set of members. */
  readonly members: string;
  /** The members by name, the first thousand: who reported each, and since when; `null` if that is not known. */
  readonly memberList: readonly MemberStatus[];
  /** Grows with each change of members on this host. */
  readonly generation: number | null;
}

/** Where a member came from. */
export interface MemberStatus {
  readonly name: string;
  /** The discovery that reported it. */
  readonly source: string | null;
  /** All sources that have it, if the cluster has several. */
  readonly sources: readonly string[];
  /** When it first did, as in `2026-11-30T06:00:00.000Z`. */
  readonly since: string | null;
}

/** How a balancer stands, as its writer sees it. */
export interface BalancerStatus {
  /** Whether the desired state was seen active. */
  readonly inForce: boolean;
  /** Since when it is so. */
  readonly forSeconds: number;
  /** Whether no process answered when last looked at. */
  readonly gone: boolean;
  /** Who has paused its management, why, and until when, as in `2026-11-30T06:00:00.000Z`. */
  readonly paused: { readonly author: string; readonly reason: string | null; readonly until: string | null } | null;
  /** Who keeps the balancer, if this writer is the spare. */
  readonly standby: string | null;
  /** Since the writer last came to an end with it; every five seconds it does, whatever it finds. */
  readonly lookedSeconds: number | null;
  /** Since it last answered. */
  readonly seenSeconds: number | null;
  /** The old workers that have connections still. */
  readonly olderPids: readonly number[];
  /** The steps under way. */
  readonly underWay: Event | null;
  /** The newest generation of members that was seen active. */
  readonly generation: number | null;
  /** The clusters that were seen active. */
  readonly clusters: Readonly<Record<string, ServedClusterStatus>>;
  readonly reloads: number;
  readonly starts: number;
  /** The last reload or start, with its reason. */
  readonly lastReload: Event | null;
  /** The last error of its writer, which may be over. */
  readonly lastError: Event | null;
  /** What was left out of its config, a node that is this balancer itself too, and what else is odd there; the first hundred. */
  readonly notices: readonly string[];
  /** The clusters with a section for it that it does not serve: their config was rejected, or an address is taken. */
  readonly unserved: readonly string[];
  /** How many parts of the config it does not accept and goes without. */
  readonly leftOut: number;
  /** Why its file cannot be made to say what runs, and since when. */
  readonly fileBehind: Event | null;
  /** What it counts itself, if it does: connections and requests since its start, open connections by state. */
  readonly counters: BalancerCounters | null;
  /** What is not done yet, why, and when it is due. */
  readonly waits: readonly { readonly why: string; readonly inSeconds: number }[];
}

/** What a balancer serves of a cluster. */
export interface ServedClusterStatus extends Pick<ClusterStatus, "nodes" | "members"> {
  /** How its requests are shared, the first thousand nodes; `null` without `traffic` in its file. */
  readonly shares: readonly ShareStatus[] | null;
  /** When that changes by itself; `null` if it changes only with what happens. */
  readonly sharesChangeInSeconds: number | null;
}

/** What a node gets, and why. */
export interface ShareStatus {
  readonly name: string;
  /** The other cluster that it is a member of. */
  readonly from: string | null;
  /** The part of all requests, from 0 to 1. */
  readonly share: number;
  /** Its weight in the balancer, beside those of the others; 0 while it waits. */
  readonly weight: number | null;
  readonly state: "ready" | "drain" | "maint";
  /** `overflow`: it waits until those that are preferred are not enough. */
  readonly pool: "primary" | "overflow";
  /** Whether the balancer finds it down. */
  readonly down: boolean;
  /** What `weight` is the product of, before the largest is scaled to 256. */
  readonly factors: readonly { readonly name: string; readonly value: number; readonly detail: string | null }[];
}

/** What is known of a check of a port. */
export interface CheckStatus {
  readonly name: string;
  /** What `rise` and `fall` make of its probes. */
  readonly passes: boolean | null;
  /** Since a probe last came to its end. */
  readonly probedSeconds: number;
  /** Why the last probe failed. */
  readonly failure: string | null;
  /** Why no probe can be made, and since when: the last verdict stands for `unknown_grace`. */
  readonly unknown: Event | null;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
}

/** How a port of a service stands. */
export interface ServiceStatus {
  /** `unknown`: its checks have proven neither yet, or one cannot be made at present. */
  readonly status: "up" | "down" | "unknown";
  /** Why it is `unknown`, and what it counts as meanwhile. */
  readonly reason: string | null;
  /** Since when it is so. */
  readonly forSeconds: number;
  readonly checks: readonly CheckStatus[];
  /** Its discovery; of several, all of them: `zookeeper, etcd`. */
  readonly discovery: string;
  /** How it is registered in all of them; absent while nothing was asked of a registry. */
  readonly registration: RegistrationStatus | null;
  /** How it is registered in each of several, by the source's name; empty for one. */
  readonly registrations: Readonly<Record<string, RegistrationStatus | null>>;
}

/** How a port is registered. */
export interface RegistrationStatus {
  readonly wanted: "present" | "absent";
  /** Whether the registry has received it in this session. */
  readonly done: boolean;
  /** Why the last try failed. */
  readonly failure: string | null;
  /** The address of another host that registers the same node again and again. */
  readonly contestedBy: string | null;
}

/** How a worker stands. */
export interface WorkerStatus {
  readonly serving: boolean;
  /** Since when it is so. */
  readonly forSeconds: number;
  /** Why it is not serving. */
  readonly reason: string | null;
  /** Why it still runs with the previous config, and for how long; `null` if it does not. */
  readonly outdated: { readonly reason: string; readonly forSeconds: number } | null;
}

/** How all stands. */
export interface Status {
  readonly version: string;
  readonly role: "writer" | "reporter" | "run";
  readonly pid: number;
  readonly upSeconds: number;
  /** Whether it was asked to end, and does. */
  readonly stopping: boolean;
  /** How late the main loop is. */
  readonly loop: { readonly lateSeconds: number };
  /** What this host is called; absent until it was found out. */
  readonly host: HostStatus | null;
  readonly config: ConfigStatus;
  readonly discovery: Readonly<Record<string, DiscoveryStatus>>;
  readonly clusters: Readonly<Record<string, ClusterStatus>>;
  readonly balancers: Readonly<Record<string, BalancerStatus>>;
  /** By name and port: `web:8000`. */
  readonly services: Readonly<Record<string, ServiceStatus>>;
  readonly workers: Readonly<Record<string, WorkerStatus>>;
  /** Threads of workers that nothing can stop. */
  readonly stuckThreads: number;
  /** Plugins that are kept out, across restarts, as they hung. */
  readonly hungPlugins: readonly HungPluginStatus[];
}

/** A plugin that is kept out as its thread could not be stopped. */
export interface HungPluginStatus {
  /** What `plugins.yaml` calls it: `check/replication`. */
  readonly plugin: string;
  readonly sha256: string;
  readonly reason: string;
  /** Once it is removed, the plugin runs again. */
  readonly file: string;
}
