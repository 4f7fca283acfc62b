/**
 * The plugin contract, version 1: what a check, a discovery method, a
 * balancer or a notifier must export to be loaded by Lighthouse.
 *
 * A plugin module is inert and self-contained: one default export, a plain
 * value. Importing it does nothing. It may touch only what its pure
 * `permissions` requested and the operator granted.
 *
 * @module
 */
import type { Endpoint } from "../model/endpoint.ts";
import type { Node } from "../model/node.ts";
import type { ClusterFacts, ClusterName } from "../model/topology.ts";

/** The contract version of this host. */
export const PLUGIN_API_VERSION = 1;

/** A validator in the shape of https://standardschema.dev, version 1. */
export interface Schema<Output> {
  /** The Standard Schema properties. */
  readonly "~standard": {
    /** Always 1. */
    readonly version: 1;
    /** The library that made the validator, or the plugin's name. */
    readonly vendor: string;
    /** Validates an untrusted value: returns all issues at once, never throws. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
  };
}

/** The result of {@linkcode Schema}. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** A fault in a config value, with the path to it. */
export interface SchemaIssue {
  /** The fault: `Cannot use KEY: must be …; current value is …`. */
  readonly message: string;
  /** Keys from the root of the value to the fault. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  /** Present for an unknown key: the host warns, drops the key and validates again. */
  readonly unknownKey?: { readonly known: readonly string[] } | undefined;
}

/**
 * The permissions that one instance of a plugin needs, each as narrow as possible. There
 * is no way to request everything: only explicit lists can be expressed.
 */
export interface PermissionRequest {
  /** Addresses as `host:port`, `[v6]:port` or `unix:/absolute/path`. */
  readonly net?: readonly Endpoint[];
  /** Absolute paths. */
  readonly read?: readonly string[];
  /** Absolute paths. */
  readonly write?: readonly string[];
  /** Names of variables. */
  readonly env?: readonly string[];
  /** Absolute paths of programs. */
  readonly run?: readonly string[];
}

/** The context in which a plugin runs. */
export interface Scope {
  /** The config name of the instance, for messages: `web:8000/http`, `zookeeper`. */
  readonly instance: string;
  /** The service port under check, for checks only. */
  readonly target?: Endpoint;
  /** The name servers of this host, in the order in which they are queried; for discovery only. */
  readonly nameServers?: readonly Endpoint[];
  /** The search domains for short names; for discovery only. */
  readonly searchDomains?: readonly string[];
  /** Names with at least this many dots are tried unchanged first; for discovery only. */
  readonly ndots?: number;
}

/** A logger whose records carry the instance's name. */
export interface PluginLog {
  /** Details for debugging this plugin. */
  debug(message: string, properties?: Record<string, unknown>): void;
  /** A change of state that an operator wants to know. */
  info(message: string, properties?: Record<string, unknown>): void;
  /** A problem that an operator should look at. */
  warn(message: string, properties?: Record<string, unknown>): void;
}

/** The properties that all plugins have. */
export interface PluginBase<Kind extends string, Config> {
  /** The discriminant of {@linkcode Plugin}. */
  readonly kind: Kind;
  /** Always {@linkcode PLUGIN_API_VERSION}. */
  readonly apiVersion: typeof PLUGIN_API_VERSION;
  /** Lower snake case, unique within the kind. */
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** Whether an operator must opt in. */
  readonly stability: "experimental" | "stable" | "deprecated";
  /** Validates this plugin's part of a config file. */
  readonly config: Schema<Config>;
  /**
   * A valid config, plain data: `lighthouse plugin add` shows it to the operator,
   * and requests its permissions.
   */
  readonly example?: unknown;
  /**
   * Returns the permissions for an instance with this config. Pure and synchronous:
   * for a third-party plugin, the host calls it in a worker without any
   * permission.
   */
  permissions(config: Config, scope: Scope): PermissionRequest;
}

/**
 * The outcome of one probe. `unknown`: the probe could not run, for a reason on
 * this host and not at the service: no open files, no local port, no process
 * left. It counts neither as a pass nor as a failure.
 */
export type ProbeOutcome =
  | { readonly status: "pass"; readonly detail?: string }
  | { readonly status: "fail"; readonly reason: string }
  | { readonly status: "unknown"; readonly reason: string };

/** The context of a probe, besides its config. */
export interface ProbeContext {
  /** The address to probe. */
  readonly target: Endpoint;
  /** Aborted at the deadline and on shutdown. */
  readonly signal: AbortSignal;
  /** The instance's logger. */
  readonly log: PluginLog;
}

/** A health check. The host owns the interval, the deadline, rise and fall. */
export interface CheckPlugin<Config = unknown> extends PluginBase<"check", Config> {
  /**
   * Probes once; not called again before the last call has settled or its
   * signal was aborted. A thrown error counts as a failure with its message
   * as the reason, or as `unknown` if it shows that this host lacks a resource
   * for the probe (`EMFILE`, `EADDRNOTAVAIL`, `ENOMEM` and the like).
   */
  probe(config: Config, context: ProbeContext): Promise<ProbeOutcome>;
}

/** The context of a discovery session, besides its config. */
export interface DiscoveryContext {
  /**
   * The scope that `permissions` received. It has name servers if they were requested; when they change, the scope
   * changes, and with it the session.
   */
  readonly scope: Scope;
  /** Aborted when the connection is to be closed. */
  readonly signal: AbortSignal;
  /** The instance's logger. */
  readonly log: PluginLog;
  /**
   * Reports whether the registry is reachable. The newest state is always
   * delivered. It adds and removes no member, but the host acts on it: while
   * `disconnected`, it keeps the last members and marks them stale; after
   * `connected`, it does not accept an empty or missing cluster for a
   * while. `detail` is the reason: a string, or the error with its causes.
   */
  connection(state: "connected" | "disconnected", detail?: string | Error): void;
}

/** Options of a watched cluster. */
export interface WatchOptions {
  /**
   * Whether nobody on this host reads the metadata of nodes: a plugin may
   * then omit it; the host drops it anyway.
   */
  readonly withoutMetadata?: boolean | undefined;
  /**
   * The section of the cluster's file with this discovery's name, as {@linkcode
   * DiscoveryPlugin.cluster} validated it.
   */
  readonly config?: unknown;
}

/** A node to register. */
export interface Registration {
  /** The node. */
  readonly node: Node;
  /** `up`: its checks pass. `draining`: no new connections; it will be deregistered soon. */
  readonly state: "up" | "draining";
  /**
   * The section of the service's file with this discovery's name, as {@linkcode
   * DiscoveryPlugin.service} validated it.
   */
  readonly config?: unknown;
}

/** A node taken over from another session, which had registered it with another address. */
export interface Takeover {
  /** The other address. */
  readonly takenFrom: string;
}

/** What a registry reports about the keys under a prefix: facts only, always the complete set. */
export interface KeysFacts {
  /** Every key with its value, sorted by key; an empty list when there is none. */
  readonly entries: readonly KeysEntry[];
  /** Whether the registry has the prefix at all. */
  readonly exists: boolean;
  /** See {@linkcode ClusterFacts}. */
  readonly epoch: string;
}

/** A key and its value. */
export interface KeysEntry {
  /** The key, without the prefix. */
  readonly key: string;
  /** Its value as text. */
  readonly value: string;
}

/** What a session can do, one function each: see {@linkcode DiscoverySession}. */
export type DiscoveryCapability = "watch" | "register" | "keys";

/**
 * An open connection to a registry. It reports facts: the registry's current
 * state, read completely. The host decides whether to act on them:
 * it confirms an empty, missing or smaller cluster before a node is removed.
 */
export interface DiscoverySession {
  /**
   * Yields the complete membership first, then again after each change. A cluster
   * that the registry does not have is `exists: false`, without nodes. Each new
   * watch starts with a fresh read, as the host watches again to confirm what
   * it holds. Throws when it cannot continue: the host keeps the last members
   * and watches again with backoff. Never yields a partial answer: unreachable
   * is not empty. A frozen node (`Object.freeze`) must stay as it is: it is
   * validated once, and not again with the next answer that has it.
   */
  watch?(cluster: ClusterName, signal: AbortSignal, options?: WatchOptions): AsyncIterable<ClusterFacts>;
  /**
   * Registers a node. Idempotent and level-triggered: the host calls it
   * again from time to time and after each reconnect, so it must be cheap when
   * nothing has to be done. The node is removed with the session. A registry
   * without a state of its own stores `draining` as the node's state `drain`. Returns the previous registration if another session had
   * registered the node with another address: two hosts with one name share each node, and the host warns of it.
   */
  register?(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void>;
  /**
   * Deregisters a node, whoever registered it: its checks report it as down.
   * A missing node is no error.
   */
  deregister?(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void>;
  /**
   * Deregisters a node if this session registered it: this host does not offer it
   * any more, which says nothing about its health. A node of another session
   * (another reporter, another connection to the same registry) stays;
   * so does one that belongs to no session. A missing node is no error.
   */
  deregisterOwn?(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void>;
  /** Yields all keys under a prefix first, then again after each change; otherwise like {@linkcode watch}. */
  keys?(prefix: string, signal: AbortSignal): AsyncIterable<KeysFacts>;
  /**
   * Resolves, with the reason, when the session is over and its registrations
   * are gone (an expired ZooKeeper session): the host opens another one,
   * and watches and registers again. Never resolves for a short
   * disconnect, and never rejects.
   */
  readonly ended: Promise<string>;
  /** Closes the connection and deregisters its nodes. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A discovery method. */
export interface DiscoveryPlugin<Config = unknown, ClusterConfig = unknown, ServiceConfig = unknown>
  extends PluginBase<"discovery", Config> {
  /**
   * What its sessions can do: `watch`; `register`, which includes `deregister` and `deregisterOwn`; `keys`. A
   * cluster of a discovery without `watch`, and a service of one without `register`, is a config error.
   */
  readonly capabilities: readonly DiscoveryCapability[];
  /** Validates the section of a cluster's file with the discovery's name; absent: there is no such section. */
  readonly cluster?: Schema<ClusterConfig> | undefined;
  /** Validates the section of a service's file with the discovery's name; absent: there is no such section. */
  readonly service?: Schema<ServiceConfig> | undefined;
  /**
   * Opens a session. Returns at once with a session that connects in the
   * background, or throws if it never can (then the host retries with backoff).
   */
  open(config: Config, context: DiscoveryContext): Promise<DiscoverySession>;
}

/** An event, as a notifier receives it. */
export interface NotifiedEvent {
  /** Its id, for example `registry.unreachable`. */
  readonly event: string;
  /** Its severity. */
  readonly level: "info" | "warn" | "error";
  /** The headline. */
  readonly message: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly atMs: number;
  /** The fields of its record. */
  readonly fields: { readonly [key: string]: string | number | boolean };
}

/** Delivers events to people or to another system. Configured by a file of `notifiers/`. */
export interface NotifierPlugin<Config = unknown> extends PluginBase<"notifier", Config> {
  /**
   * Delivers events, oldest first. Throws when it cannot: the host retries the same events with
   * backoff. The signal is aborted at the deadline and on shutdown.
   */
  notify(events: readonly NotifiedEvent[], config: Config, signal: AbortSignal): Promise<void>;
}

/** The machine that the host runs on. */
export interface HostFacts {
  /** Its fully qualified name, as announced; also the name of the local peer. */
  readonly fqdn: string;
  /** The announced address. */
  readonly ip: string;
  /** All addresses of the host's interfaces, if known. */
  readonly addresses?: readonly string[] | undefined;
  /** The port of the local balancer's peers listener, as announced to the other hosts; default 1024. */
  readonly peerPort?: number | undefined;
  /** Its zone, for example `eu-west-1a`; announced with its nodes. */
  readonly zone?: string | undefined;
}

/** A place in the config. */
export interface Origin {
  /** The cluster whose section for this balancer it is in; if absent, the balancer's own file. */
  readonly cluster?: ClusterName | undefined;
  /** Keys and indexes from the root of that section or file; `[]` for all of it. */
  readonly path: readonly (string | number)[];
  /** Present if `path` starts from the root of the cluster's file instead: its `meta_cluster`. */
  readonly from?: "file" | undefined;
}

/** One cluster, as a balancer should serve it. */
export interface WantedCluster<ClusterConfig = unknown> {
  /** Its name. */
  readonly name: ClusterName;
  /** The meta cluster it is part of. */
  readonly metaCluster?: string | undefined;
  /** The balancer's section of the cluster's file, validated. */
  readonly config: ClusterConfig;
  /** Its members, sorted by name, followed by overflow nodes of other clusters. */
  readonly nodes: readonly WantedNode[];
  /** Whether some of its nodes may be preferred to others; independent of its current nodes. */
  readonly hasFallback?: boolean | undefined;
}

/** A member and how to serve it: a complete value, made by the host from the node and local rules. */
export interface WantedNode {
  /** The member. */
  readonly node: Node;
  /** Its share of the traffic, from 0 to 256, relative to the other members; if absent, the balancer's default. */
  readonly weight?: number | undefined;
  /**
   * The same without temporary factors such as slow start, for files: the weight after a
   * restart of the balancer. Default: `weight`.
   */
  readonly settledWeight?: number | undefined;
  /** `ready`: gets requests. `drain`: keeps its connections, gets no new ones. `maint`: out of service. */
  readonly state: "ready" | "drain" | "maint";
  /** `overflow`: gets nothing while the members of `primary` suffice, which the host decides. */
  readonly pool: "primary" | "overflow";
  /** Whether it serves as the last resort: where the balancer finds no other node up, without asking the host. */
  readonly isFallback?: boolean | undefined;
  /** The other cluster that it is a member of; absent for a member of this one. */
  readonly from?: ClusterName | undefined;
}

/** A prefix of a registry whose keys a balancer reads. */
export interface KeysPlace {
  /** The name of the discovery's file. */
  readonly discovery: string;
  /** The prefix. */
  readonly prefix: string;
}

/** The keys under a prefix. */
export interface WantedKeys extends KeysPlace {
  /** All of them, sorted by key. */
  readonly entries: readonly KeysEntry[];
}

/** What a balancer renders, besides its config and the clusters with a section for it. */
export interface BalancerInputs {
  /** The clusters that it renders without a section in their files: all, or those with these names. */
  readonly clusters?: "all" | readonly ClusterName[] | undefined;
  /** The keys that it reads, of discoveries with the capability `keys`. */
  readonly keys?: readonly KeysPlace[] | undefined;
}

/** The desired state of a balancer: a complete value, never a change. */
export interface Wanted<Config = unknown, ClusterConfig = unknown> {
  /** The balancer's own file, validated. */
  readonly config: Config;
  /** The machine. */
  readonly host: HostFacts;
  /** The version of the balancer's program as `[major, minor, patch]`, if known. */
  readonly version?: readonly [number, number, number] | undefined;
  /** The clusters, sorted by name. */
  readonly clusters: readonly WantedCluster<ClusterConfig>[];
  /**
   * Clusters whose registries have reported nothing since the start, and of which no last members are known: without
   * `nodes`, which does not mean that they have none. Only for a balancer with `inputs`.
   */
  readonly unheard?: readonly ClusterName[] | undefined;
  /** The keys that `inputs` asks for, as far as their registries have answered. */
  readonly keys?: readonly WantedKeys[] | undefined;
  /** Parts to omit from the config, as the balancer's program rejects them: these places and all below. */
  readonly leftOut?: readonly Origin[] | undefined;
  /**
   * Clusters whose files are invalid and have been since the start, so that nothing
   * is known of them. `all` if no file can be read. The host leaves those
   * that are served as they run; nothing is to be rendered for
   * them.
   */
  readonly unknown?: readonly ClusterName[] | "all" | undefined;
}

/** The differing members of two otherwise equal desired states. */
export interface MembersChange<Config = unknown, ClusterConfig = unknown> {
  /** The new desired state. */
  readonly wanted: Wanted<Config, ClusterConfig>;
  /** The clusters whose members differ. */
  readonly clusters: readonly ClusterChange<ClusterConfig>[];
}

/** How the members of one cluster differ. */
export interface ClusterChange<ClusterConfig = unknown> {
  /** The cluster in its new desired state. */
  readonly cluster: WantedCluster<ClusterConfig>;
  /** The changes; the names of nodes are unique, also among unchanged members. */
  readonly members: readonly MemberChange[];
}

/** One member that differs. */
export interface MemberChange {
  /** The old state; absent for a new member. */
  readonly before?: WantedNode | undefined;
  /** The new state; absent for a removed member. */
  readonly now?: WantedNode | undefined;
}

/** How members are changed without observing the whole balancer. */
export interface Shortcut<Observed = unknown> {
  /**
   * The commands, with others that read back their effect and the identity of the process: all applied only if
   * each answer is as expected.
   */
  readonly steps: readonly CommandStep[];
  /** The observed state afterwards, by the answers to the steps that are `isRead`, in order. */
  observed(reads: readonly string[]): Observed;
}

/** How the host observes a balancer. */
export type BalancerSources = ProcessSources | FileSources;

/** The config files of a balancer, and how often its readers may be disturbed. */
export interface SourcesBase {
  /** The config file; of several, the one that the program is started with. */
  readonly file: string;
  /** The other files that `render` returns. All of them are read at each observation. */
  readonly moreFiles?: readonly string[] | undefined;
  /** The least time between two reloads, or notices; at least a second for a third-party plugin. */
  readonly reloadIntervalMs: number;
  /** A pending reload is delayed by a random part of this time, so that a fleet does not reload at once. */
  readonly reloadJitterMs?: number | undefined;
  /** The child processes that `supervise` steps may start. */
  readonly children?: readonly ChildSource[] | undefined;
  /** A directory whose files with this suffix belong to the balancer: they are read at each observation. */
  readonly directory?: { readonly path: string; readonly suffix: string } | undefined;
}

/** A child process that the host may start, and how it is found again. */
export interface ChildSource {
  /** Its name in the step. */
  readonly name: string;
  /** The file by which the host finds it, also after a restart of the writer: only the host writes it. It ends in `.pid`. */
  readonly pidFile: string;
  /** Whether it ends with the writer although an earlier one has started it. */
  readonly endsWithWriter?: boolean | undefined;
  /** The signal that asks it to end then; SIGTERM if absent. */
  readonly signal?: EndSignal | undefined;
}

/** Files only: the programs that read them are notified, and nobody is queried. */
export interface FileSources extends SourcesBase {
  /** The discriminant of {@linkcode BalancerSources}. */
  readonly kind: "files";
}

/** A process of this host that is started with a file, and can be queried for its running config. */
export interface ProcessSources extends SourcesBase {
  /** The discriminant of {@linkcode BalancerSources}. */
  readonly kind: "process";
  /** The program: its version is queried with `-v`, and its processes are recognised by its name. */
  readonly program: string;
  /** Other files that the program writes, such as a pid file: no start follows a link there that another user made. */
  readonly alsoWrites?: readonly string[] | undefined;
  /** How the process is queried. */
  readonly contact: Contact;
  /** The signal for a graceful stop; if absent, old processes are left alone. */
  readonly leavesOn?: Signal | undefined;
  /** Arguments of runs that do not serve, such as config checks: such processes do not count. */
  readonly otherRuns?: readonly string[] | undefined;
  /** Prefixes of lines of the program's output that say nothing by themselves. */
  readonly chatter?: readonly string[] | undefined;
}

/** How a process is queried for its state. */
export type Contact =
  /**
   * By commands on a Unix socket: `queries` are those whose answers `observe` reads, in order. `details` are those
   * for `nodeDetails`, sent only when an operator asks.
   */
  | {
    readonly by: "commands";
    readonly socket: string;
    readonly queries: readonly string[];
    readonly details?: readonly string[] | undefined;
    readonly dialect: Dialect;
  }
  /**
   * By HTTP on a Unix socket: a query is the path of a GET, its answer the body. It accepts no commands.
   * `answeredBy: "workers"`: `pid` finds one of several workers that share the socket. The process is their master
   * then, in `Seen.pid`, and workers whose master is gone are orphans.
   */
  | {
    readonly by: "http";
    readonly socket: string;
    readonly queries: readonly string[];
    readonly answeredBy?: "workers" | undefined;
  }
  /**
   * By the pid in its pid file only: it answers nothing, so `observe` gets `[]` as answers while it
   * runs. `proof` is what shows that a reload was applied: another process, or other children of the same one.
   */
  | { readonly by: "pid"; readonly pidFile: string; readonly proof: "process" | "children" };

/** What a balancer has of one node. */
export interface NodeDetail {
  /** The node, as `host:port`. */
  readonly node: string;
  /** Whether its checks find it down. */
  readonly isDown: boolean;
  /** Whether it takes new connections, as the balancer has it now; absent if it does not say. */
  readonly state?: WantedNode["state"] | undefined;
  /** Its weight as the balancer has it now. */
  readonly weight?: number | undefined;
  /** The last result of its check, in the words of the balancer; absent if it is not checked. */
  readonly check?: string | undefined;
  /** How many sessions it has now. */
  readonly sessions?: number | undefined;
}

/** What a balancer counts itself. */
export interface BalancerCounters {
  /** Connections accepted since its start. */
  readonly accepted: number;
  /** Those of them that it served, and did not drop for a limit. */
  readonly handled: number;
  /** Requests since its start. */
  readonly requests: number;
  /** Connections that are open now, by state: `active` for all, `waiting` for idle ones. */
  readonly open: { readonly [state: string]: number };
}

/** Syntax of commands on a socket: one line each; each answer ends in the same characters. */
export interface Dialect {
  /** The first command, answered like any other; none if absent. */
  readonly opening?: string | undefined;
  /** End of each answer; it occurs nowhere within one. */
  readonly ending: string;
  /** At most this many bytes of commands are sent before answers are read, as the other side accepts no more. */
  readonly batchBytesMax: number;
}

/** A signal that may be sent to a process of the balancer. */
export type Signal = "SIGHUP" | "SIGQUIT" | "SIGTERM" | "SIGUSR1" | "SIGUSR2" | "SIGWINCH";

/** An address that a balancer would listen on. */
export interface Listening {
  /** The address: empty or `*` for all. */
  readonly host: string;
  /** The port. */
  readonly port: number;
  /** The keys that configure it, in the balancer's own file or in the cluster's section. */
  readonly path: readonly (string | number)[];
}

/** The mode and the owner of a file. */
export interface FileAttributes {
  /** The permission bits. */
  readonly mode: number;
  /** The owner's names and numbers: any of them names it. */
  readonly user: readonly string[];
  /** The same for the group. */
  readonly group: readonly string[];
}

/** What the host saw of a balancer. */
export interface Seen {
  /** The answers to the queries, in order; `undefined` if the process does not run, and for files only. */
  readonly answers?: readonly string[] | undefined;
  /** The contents of the existing config files, by path. */
  readonly files?: ReadonlyMap<string, string> | undefined;
  /** Mode and owner of the existing config files, by path; for files only. */
  readonly attributes?: ReadonlyMap<string, FileAttributes> | undefined;
  /** The pid of the process, if it is queried by pid. */
  readonly pid?: number | undefined;
  /** The sorted pids of its children, if these prove a reload. */
  readonly children?: readonly number[] | undefined;
  /** The running child processes that `supervise` steps have started, by this writer or an earlier one. */
  readonly supervised?: readonly Supervised[] | undefined;
  /** The pid of the master process of the one that answers, if there is a master. */
  readonly masterPid?: number | undefined;
  /**
   * Whether the process that answers is not in this PID namespace, so that its pid
   * means another process here or none: it runs in a container.
   */
  readonly isContained?: boolean | undefined;
  /** The pids of the program's processes that were started with the file; searched only if nobody answers. */
  readonly orphans?: readonly number[] | undefined;
  /**
   * The pids of old workers: processes of the program that were started with the file
   * before the one that answers, and still serve connections;
   * counted when a process is seen for the first time.
   */
  readonly oldWorkers?: readonly number[] | undefined;
}

/** A child process that the host supervises. */
export interface Supervised {
  /** Its name in the step. */
  readonly name: string;
  /** The command line that it was started with. */
  readonly run: readonly string[];
  /** Its pid. */
  readonly pid: number;
}

/** A runtime command, as data. */
export interface CommandStep {
  /** The discriminant of {@linkcode Step}. */
  readonly do: "command";
  /** One command, without line breaks. */
  readonly command: string;
  /** Its trimmed answer must match one of these anchored regular expressions. */
  readonly expect: readonly string[];
  /** The drift that it reverts: logged if the desired state has not changed. */
  readonly found?: string | undefined;
  /** Whether later plans should know how long ago it was last executed: see `PlanAllowance.sentAgoMs`. */
  readonly isTimed?: true | undefined;
  /** Whether it changes nothing, but reads back what others have changed: it is not logged. */
  readonly isRead?: true | undefined;
}

/** A command with an unexpected answer. */
export interface RejectedCommand {
  /** The command. */
  readonly command: string;
  /** The answer. */
  readonly answer: string;
  /** Whether the current process gave it, and not a previous one. */
  readonly isCurrent: boolean;
}

/** Number of files that a process must be allowed to open to serve a config. */
export interface OpenFiles {
  /** The minimum. */
  readonly needed: number;
  /** The fault if there are fewer, in the words of the program's own check; `{limit}` stands for the current limit. */
  readonly refusal: string;
  /** The pid of the process whose limit applies; if absent, that of the installer. */
  readonly of?: number | undefined;
}

/** How a balancer is made to reload its config. */
export type ReloadWay =
  /** By running a program that takes at most `deadlineMs`. */
  | { readonly run: readonly string[]; readonly deadlineMs?: number | undefined }
  /** By a signal to its process, or to its master. */
  | { readonly signal: Signal; readonly pid: number }
  /** By a command to its master. */
  | AskedReload;

/**
 * A reload by a command to a master's socket, where each connection takes one command and ends with its answer.
 * All patterns are regular expressions.
 */
export interface AskedReload {
  /** The socket. */
  readonly ask: string;
  /** The command. */
  readonly command: string;
  /** The answer begins with this if the reload succeeded; the rest is the master's output. */
  readonly took: string;
  /** The answer begins with this if the reload failed; the rest is the reason. */
  readonly failed: string;
  /** For a master that answers neither: it is polled. */
  readonly watch?: {
    /** The command to poll with. */
    readonly query: string;
    /** The reload succeeded once a new match appears in the answer. */
    readonly took: string;
    /** The same for a failed reload. */
    readonly failed: string;
  } | undefined;
  /** What to do if nobody listens, for messages. */
  readonly hint?: string | undefined;
}

/** An action of the writer, as data: logged, counted, and only printed by `plan`. */
export type Step =
  /** Sends one runtime command. */
  | CommandStep
  /**
   * Writes a file beside `path`, runs `check` on this candidate (`%` stands for its
   * path), then renames it into place: at once, or within a second together
   * with other files.
   */
  | {
    readonly do: "install";
    readonly path: string;
    readonly contents: string;
    readonly mode: number;
    /** The owner: `USER` or `USER:GROUP`, names or numbers; if absent, the user of the writer. */
    readonly owner?: string | undefined;
    readonly check: readonly string[];
    readonly when: "now" | "soon";
    /** Whether an existing file gets the mode too; default: it keeps its own. */
    readonly setsMode?: true | undefined;
    /** How long `check` may take, if not the default for programs. */
    readonly checkDeadlineMs?: number | undefined;
    /** See {@linkcode StepOutput}. */
    readonly output?: StepOutput | undefined;
    /** Present if the config may need more open files than a process gets: then it is rejected. */
    readonly openFiles?: OpenFiles | undefined;
  }
  /** Removes a file of the `directory` of the sources. */
  | { readonly do: "remove"; readonly path: string; readonly output?: StepOutput | undefined }
  /** Starts the balancer, which is not running. */
  | {
    readonly do: "start";
    readonly reason: string;
    readonly run: readonly string[];
    /** Timeout, if not the default for programs. */
    readonly deadlineMs?: number | undefined;
    /**
     * A master that may live on though its balancer does not answer: it is asked first, and `run` is
     * used only if nobody listens.
     */
    readonly master?: AskedReload | undefined;
    /** The addresses that it listens on: it is not started while another process holds one of them. */
    readonly listens?: readonly Endpoint[] | undefined;
    /** Part of an answer that proves that the file is served; if absent, another process is the proof. */
    readonly serves?: string | undefined;
    /** Orphans that are asked to leave before, by `leavesOn`: for a program that cannot take their sockets over. */
    readonly relieves?: readonly number[] | undefined;
  }
  /**
   * Makes the balancer reload its config. The reason is never empty.
   * `listens` are addresses that are new to it: if one is in use,
   * the reload is not started, as a balancer may stop serving while it retries to
   * bind. `then` is sent to the new process at once, before it can know.
   * `cause` is the reason in one word, for metrics: the config has changed, members
   * changed in a way that no command can apply, or the host requests it. `serves` is part of
   * an answer that proves that the reload took; if absent, another process is the proof.
   */
  | {
    readonly do: "reload";
    readonly reason: string;
    readonly cause?: "structure" | "members" | "forced" | undefined;
    readonly listens: readonly Endpoint[];
    readonly how: ReloadWay;
    readonly then?: readonly CommandStep[] | undefined;
    readonly serves?: string | undefined;
  }
  /** Runs a program that makes the readers of the files reload them; it must exit with 0 within `deadlineMs`. */
  | {
    readonly do: "notify";
    readonly reason: string;
    readonly run: readonly string[];
    readonly deadlineMs?: number | undefined;
    /** Files that are installed if the program fails; then it is run once more, to make their readers load these. */
    readonly rollback?: readonly RestoredFile[] | undefined;
    /** See {@linkcode StepOutput}. */
    readonly output?: StepOutput | undefined;
  }
  /**
   * Runs one of `BalancerSources.children` with a command line; an empty one stops it. A child of that name
   * with another command line is ended first. Plan it whenever `Seen.supervised` differs: a child that exits
   * is noticed at once, and restarted with backoff. It outlives the writer unless
   * `endsWithWriter`.
   */
  | {
    readonly do: "supervise";
    readonly name: string;
    readonly reason: string;
    readonly run: readonly string[];
    readonly endsWithWriter?: boolean | undefined;
    /** The signal that asks the child to end; SIGTERM if absent. */
    readonly signal?: EndSignal | undefined;
    /** How long it may take to end before it is killed; 10 s if absent. */
    readonly graceMs?: number | undefined;
    /**
     * `log`: what it writes is logged line by line; only for one that ends with the writer. Default: it is discarded.
     */
    readonly writesTo?: "log" | undefined;
    /** The least time between two starts of it. */
    readonly intervalMs?: number | undefined;
  };

/**
 * Steps with the same name here belong together, as the installation of a file and the reload of its reader: after one
 * that fails, the rest of them is not begun, and they are tried again with a backoff of their own; other steps go on.
 */
export type StepOutput = string;

/** A file with earlier contents. */
export interface RestoredFile {
  /** Its path. */
  readonly path: string;
  /** The contents. */
  readonly contents: string;
  /** The mode, if it has to be made. */
  readonly mode: number;
  /** See `install`. */
  readonly owner?: string | undefined;
}

/** A signal that asks a child process to end. */
export type EndSignal = "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGHUP" | "SIGUSR1" | "SIGUSR2";

/** A finding of `render` for the operator: an omitted line, a cluster without nodes. */
export interface Notice {
  /** One sentence. */
  readonly text: string;
  /** The place in the config that it is about, if any. */
  readonly origin?: Origin | undefined;
}

/** The result of a balancer's `render`. */
export interface Rendered {
  /** The config files, by path: the same desired state gives the same bytes. */
  readonly files: ReadonlyMap<string, RenderedFile>;
  /** Findings for the operator. */
  readonly notices: readonly Notice[];
  /**
   * Files that cannot be rendered, and why: those files are absent from `files`, and the existing ones stay. They are
   * logged as errors.
   */
  readonly faults?: readonly RenderFault[] | undefined;
}

/** Why a file cannot be rendered. */
export interface RenderFault extends Notice {
  /** Whether the data is at fault, such as a missing key: the config need not be wrong. */
  readonly isOfData?: boolean | undefined;
  /** Whether registries have not reported yet what the file is made of: logged as a warning. */
  readonly isPending?: boolean | undefined;
}

/** One config file. */
export interface RenderedFile {
  /** Its contents. */
  readonly text: string;
  /** Its mode; 0640 if absent. */
  readonly mode?: number | undefined;
  /** The owner: `USER` or `USER:GROUP`, names or numbers; if absent, the user of the writer. */
  readonly owner?: string | undefined;
  /** The place in the config of each line, by line number from 1; lines of the balancer's own are absent. */
  readonly origins?: ReadonlyMap<number, Origin> | undefined;
}

/**
 * A load balancer: pure functions around effects that the host performs.
 *
 * The functions of a third-party plugin run in a worker without any
 * permission. Arguments and results are cloned,
 * checked for shape and size (a file of 16 Mi characters, 100,000 steps, 100
 * notices), and checked against what `permissions` requested and the operator
 * granted: `sources` and each step may name only files of `write`, sockets of
 * `net` (`unix:/path`) and programs of `run`. A plan with one step beyond that is rejected as a whole. If a function throws,
 * returns a wrong shape or takes more than five seconds, the balancer stays unchanged
 * and the host retries later, in a new worker if necessary. So a function must
 * need nothing but its arguments: what `observe` returns stays in the worker,
 * and is made again for each `plan`.
 */
export interface BalancerPlugin<Config = unknown, ClusterConfig = unknown, Observed = unknown>
  extends PluginBase<"balancer", Config> {
  /** Validates the section of a cluster's file with this balancer's name. */
  readonly cluster: Schema<ClusterConfig>;
  /** Whether the metadata of nodes is never read, so that the host need not carry it. Default: it is read. */
  readonly ignoresMetadata?: boolean;
  /**
   * Returns the addresses that the balancer would listen on for a cluster's section, or, without
   * one, for its own file: conflicting addresses are reported.
   */
  listens?(config: Config, cluster?: ClusterConfig): readonly Listening[];
  /** Returns whether weights control the distribution of requests. Default: they do. */
  weighing?(config: Config, cluster: ClusterConfig): Weighing;
  /**
   * Whether `render` of a built-in plugin runs in a worker without any permission, as it evaluates what others wrote.
   * Every function of a third-party plugin does.
   */
  readonly rendersInWorker?: boolean;
  /** Returns what it renders besides the clusters with a section for it. Default: nothing. */
  inputs?(config: Config): BalancerInputs;
  /** Returns the clusters that existing files were made of, if `adopt` cannot read their members. */
  servedBy?(files: ReadonlyMap<string, string>, config: Config): readonly ClusterName[];
  /** Returns where to look. */
  sources(config: Config): BalancerSources;
  /**
   * Finds the pid of the process that gave the answers: the host finds its master by it, and notices a takeover. Never
   * called if nobody answers.
   */
  pid(answers: readonly string[]): number | undefined;
  /**
   * Parses what the host saw. Throws an `Error` if the answers
   * are not those of this kind of balancer: then nothing is planned.
   */
  observe(seen: Seen, config: Config): Observed;
  /**
   * Reads the members back from config files that this plugin rendered, for a start while the registry
   * is unreachable.
   */
  adopt(files: ReadonlyMap<string, string>, config: Config): ReadonlyMap<ClusterName, readonly Node[]>;
  /** Reads the members back from the running balancer, for the same purpose; members out of service do not count. */
  adoptRunning?(observed: Observed): ReadonlyMap<ClusterName, readonly Node[]>;
  /** The nodes that the balancer's own checks find down, by cluster, as `host:port`; nodes out of service do not count. */
  nodesDown?(observed: Observed): ReadonlyMap<ClusterName, readonly string[]>;
  /** Parses the answers to `details` of the contact: what the balancer has of its nodes, by cluster, for `lighthouse explain`. */
  nodeDetails?(answers: readonly string[]): ReadonlyMap<ClusterName, readonly NodeDetail[]>;
  /** Parses the answers to the queries: what the balancer counts, for metrics. Absent counters are not exposed. */
  counters?(answers: readonly string[]): BalancerCounters | undefined;
  /** Renders the config files. */
  render(wanted: Wanted<Config, ClusterConfig>): Rendered;
  /**
   * Plans the shortest way from the observed to the desired state; `[]` when
   * they agree. A step that is planned again although it succeeded (a
   * server that cannot be removed while it has connections) is retried in the background.
   * Throws an `Error` with the reason if a reload is needed and allowed, but
   * impossible.
   */
  plan(
    wanted: Wanted<Config, ClusterConfig>,
    rendered: Rendered,
    observed: Observed,
    allowed: PlanAllowance,
  ): readonly Step[];
  /**
   * Plans a change of members from what was observed when the previous desired
   * state was applied, at a cost proportional to the change. `undefined` if a full
   * observation is needed; one follows in any case. Never called for a
   * third-party plugin.
   */
  shortcut?(
    change: MembersChange<Config, ClusterConfig>,
    observed: Observed,
    allowed: Pick<PlanAllowance, "rejected" | "sentAgoMs">,
  ): Shortcut<Observed> | undefined;
  /**
   * Interprets the output of the balancer's program when it rejected a file or
   * did not start with it, so that one bad cluster does not block the others.
   */
  explain?(rendered: Rendered, output: string): Explanation;
}

/** Whether weights decide which node of a cluster gets how much. */
export type Weighing =
  /** They do. `movesKeys`: each change of one moves requests of the same key to another node. */
  | { readonly by: "weight"; readonly movesKeys: boolean }
  /** They do not: why, and the key of the section that says so. */
  | { readonly by: "other"; readonly reason: string; readonly path: readonly (string | number)[] };

/** Why a file was rejected. */
export interface Explanation {
  /** The cluster at fault, if it is a single one. */
  readonly cluster?: ClusterName | undefined;
  /** The faults; none if the config is not to blame, for example when a fork failed: it is tried again later. */
  readonly faults: readonly FileFault[];
}

/** One fault of a file. */
export interface FileFault {
  /** A short description, with the faulty line. */
  readonly message: string;
  /** The place in the config of that line. */
  readonly origin?: Origin | undefined;
  /** What of the config could be omitted so that the rest can be served; empty if nothing. */
  readonly remedy: readonly Origin[];
  /** The name that could not be resolved, if that is the only fault. */
  readonly unresolved?: string | undefined;
}

/** What a plan may use. */
export interface PlanAllowance {
  /** `false`: only steps without a reload are planned, as reloads are rate-limited. */
  readonly reload: boolean;
  /** Present when the way without a reload has failed: then a reload is planned, for this reason. */
  readonly because?: string | undefined;
  /**
   * The commands that this version of the program has rejected, the
   * latest 1,000, so that a plan need not retry them.
   */
  readonly rejected?: readonly RejectedCommand[] | undefined;
  /**
   * How long ago each command that a plan marked `isTimed` was last executed
   * by this writer; absent if unknown, as for `plan` on the command
   * line.
   */
  readonly sentAgoMs?: ReadonlyMap<string, number> | undefined;
  /**
   * Whether nobody is known to have read the current files: then a `notify` is planned even if they are up to
   * date. So after a start of the writer, and after a failed notify.
   */
  readonly owesNotify?: boolean | undefined;
}

/** Any plugin, distinguished by `kind`. */
export type Plugin = CheckPlugin | DiscoveryPlugin | BalancerPlugin | NotifierPlugin;
