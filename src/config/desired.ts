import type { Allowance } from "../model/allowance.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Logging } from "../logging/plan.ts";
import type { Service } from "../model/service.ts";
import type { PluginKind } from "../plugin/instance.ts";
import type { PublisherTarget } from "../publish/target.ts";
import type { Source } from "./source.ts";

/** A file whose content a plugin validates: one of `discovery/`, `balancers/` or `notifiers/`. */
export interface PluginFile {
  /** The file's name without its ending: the name that clusters and services use. */
  readonly name: string;
  /** The plugin that reads it: the `type:` key, or else the file's name. */
  readonly type: string;
  /** What is left for the plugin: the file's keys less `type`. */
  readonly config: { readonly [key: string]: unknown };
}

/** `lighthouse.yaml`: settings of this host that 1.0 does not know. */
export interface Settings {
  /** `worker`: one for each check of each port. `shared`: one for all checks of a plugin. */
  readonly isolation: "worker" | "shared";
  /** How changes of members are joined on their way to the balancers. */
  readonly updates: {
    /** So many changes of a cluster are passed on at once, one after the other. */
    readonly burst: number;
    /** So many a second from then on. */
    readonly rate: number;
    /** No change waits longer. */
    readonly maxMs: number;
  };
  /** How long the process stays after it has taken its nodes back, while others may still use them. */
  readonly deregisterGraceMs: number;
  /** How old the members of an earlier life may be before they are reported as outdated, and forgotten if nothing wants them. */
  readonly maxAgeMs: number;
  /** Where verified plugins are kept; `undefined` for the default place. */
  readonly pluginCache?: string | undefined;
  /** Where the last known members are kept; `undefined` for beside the balancer's file. */
  readonly topologyFile?: string | undefined;
  /** Where a reporter keeps which of this host's nodes are drained; `undefined` for the supervisor's state directory. */
  readonly drainedFile?: string | undefined;
  /** Where the writer keeps what operators have said; `undefined` for beside the topology file. */
  readonly overridesFile?: string | undefined;
  /** Where the history is kept; `undefined` for below the supervisor's state directory. */
  readonly historyDir?: string | undefined;
  /** Where metrics are pushed to, by name. */
  readonly publishers?: ReadonlyMap<string, PublisherTarget> | undefined;
}

/** One plugin of `plugins.yaml`. */
export interface PluginEntry {
  /** What it has to be. */
  readonly kind: PluginKind;
  /** The section that it stands in. */
  readonly section: "checks" | "discovery" | "balancers" | "notifiers";
  /** What it is called in the config. */
  readonly name: string;
  /** An `https:`, `http:` or `file:` URL, or a path, which is seen from the config directory. */
  readonly url: string;
  /** The hash that was approved; always there for `https:` and `http:`. */
  readonly sha256?: string | undefined;
  /** What it is granted beyond the defaults. */
  readonly allow?: Allowance | undefined;
}

/** `host.yaml`: what this host is announced as, where it is not to be found out. */
export interface HostSettings {
  /** Its name. */
  readonly name?: string | undefined;
  /** Its address, IPv4 or IPv6. */
  readonly ip?: string | undefined;
  /** The port of its balancer's peers listener. */
  readonly peerPort?: number | undefined;
  /** Where it runs, as in `eu-west-1a`. */
  readonly zone?: string | undefined;
}

/** A file that cannot be used, as far as its plugins can judge their parts of it: to tell all its faults at once. */
export interface Draft<T> {
  /** What it says; where it says nothing of use, what would do. Never active. */
  readonly value: T;
  /** Where it was read. */
  readonly source: Source;
}

/** All that the config directory asks for: a whole value at one time. */
export interface Desired {
  /** `lighthouse.yaml`. */
  readonly settings: Settings;
  /** `host.yaml`. */
  readonly host: HostSettings;
  /** `logging.yaml`. */
  readonly logging: Logging;
  /** `plugins.yaml`, by `kind/name`. */
  readonly plugins: ReadonlyMap<string, PluginEntry>;
  /** `balancers/`, by file name. */
  readonly balancers: ReadonlyMap<string, PluginFile>;
  /** `discovery/`, by file name. */
  readonly discovery: ReadonlyMap<string, PluginFile>;
  /** `notifiers/`, by file name. */
  readonly notifiers: ReadonlyMap<string, PluginFile>;
  /** `clusters/`, by file name. */
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** `services/`, by file name. */
  readonly services: ReadonlyMap<string, Service>;
  /** Where each object was read, by `folder/name` (`services/web`), for diagnostics of what a plugin rejects. */
  readonly sources: ReadonlyMap<string, Source>;
  /** The files of `clusters/`, usable or not, by name; `undefined` if the folder cannot be read, which is not an empty one. */
  readonly clusterFiles: readonly string[] | undefined;
  /** The files that cannot be used, by file name. */
  readonly drafts: {
    readonly clusters: ReadonlyMap<string, Draft<Cluster>>;
    readonly services: ReadonlyMap<string, Draft<Service>>;
  };
}
