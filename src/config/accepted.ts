import type { HostSettings, PluginEntry, PluginFile, Settings } from "./desired.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Logging } from "../logging/plan.ts";
import type { Check, Service } from "../model/service.ts";
import type { NotificationRules } from "../notify/rules.ts";
import type { ClusterName } from "../model/topology.ts";
import type { NodeCheck } from "../model/traffic.ts";
import type { BalancerInputs } from "../plugin/contract.ts";
import type { Decider } from "../plugin/decider.ts";
import type { DiscoveryTraits, PluginInstance } from "../plugin/instance.ts";

/** One check of one port of a service that its plugin accepted. */
export interface AcceptedProbe {
  /** The port of the service, as it is registered. */
  readonly port: number;
  /** The check. */
  readonly check: Check;
  /** What runs it. */
  readonly instance: PluginInstance;
}

/** A service whose checks were all accepted by their plugins. */
export interface AcceptedService {
  readonly service: Service;
  /** What the discoveries' plugins made of their options, by the source's name; a source without any is absent. */
  readonly options?: ReadonlyMap<string, unknown> | undefined;
  readonly probes: readonly AcceptedProbe[];
}

/** A discovery whose config was accepted by its plugin. */
export interface AcceptedDiscovery {
  readonly file: PluginFile;
  readonly instance: PluginInstance;
  /** What its plugin can do, and the files that may have a section for it. */
  readonly traits: DiscoveryTraits;
}

/** A notifier whose config was accepted by its plugin. */
export interface AcceptedNotifier {
  readonly file: PluginFile;
  /** Which events it gets, and when. */
  readonly rules: NotificationRules;
  readonly instance: PluginInstance;
}

/** A balancer whose config was accepted by its plugin. */
export interface AcceptedBalancer {
  readonly file: PluginFile;
  readonly plugin: Decider;
  readonly config: unknown;
  /** What it renders besides the clusters with a section for it; absent: nothing. */
  readonly inputs?: BalancerInputs | undefined;
}

/** A check of nodes that its plugin accepted. */
export interface AcceptedNodeCheck {
  readonly check: NodeCheck;
  /** What runs it at {@linkcode ANY_NODE}, for which each node's own address stands later. */
  readonly instance: PluginInstance;
}

/** The address that stands for that of any node where a check of nodes is judged: no host has it. */
export const ANY_NODE = "192.0.2.1:1";

/** A cluster whose sections were accepted by the balancers that there are. */
export interface AcceptedCluster {
  readonly cluster: Cluster;
  /** What each balancer's plugin made of its section, by the balancer's name. */
  readonly sections: ReadonlyMap<string, unknown>;
  /** The balancers where each change of a weight moves requests of the same key to another node; none if absent. */
  readonly movesKeys?: ReadonlySet<string> | undefined;
  /** What the discoveries' plugins made of their options, by the source's name; a source without any is absent. */
  readonly options?: ReadonlyMap<string, unknown> | undefined;
  /** The checks of its nodes, as their plugins accepted them; absent if there are none. */
  readonly nodeChecks?: readonly AcceptedNodeCheck[] | undefined;
}

/** What the config directory asks for, as far as the plugins agree: a whole value at one time. */
export interface Accepted {
  readonly settings: Settings;
  readonly host: HostSettings;
  readonly logging: Logging;
  /** `plugins.yaml`, by `kind/name`. */
  readonly plugins: ReadonlyMap<string, PluginEntry>;
  readonly discovery: ReadonlyMap<string, AcceptedDiscovery>;
  readonly balancers: ReadonlyMap<string, AcceptedBalancer>;
  readonly notifiers: ReadonlyMap<string, AcceptedNotifier>;
  readonly clusters: ReadonlyMap<string, AcceptedCluster>;
  /**
   * The clusters of files that are there, and could never be used, or not by each balancer that they have a section
   * for; `all` if none can be looked at.
   */
  readonly unknownClusters: readonly ClusterName[] | "all";
  readonly services: ReadonlyMap<string, AcceptedService>;
}
