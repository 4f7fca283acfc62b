/**
 * The plugin contract, version 1: what a check, a discovery method, a
 * balancer or a notifier must export to be loaded by Lighthouse.
 *
 * A plugin module is inert and self-contained: one default export, a plain
 * value. Importing it does nothing; what it may touch is what its pure
 * `permissions` asked for and the operator granted.
 *
 * @module
 */
import type { Endpoint } from "../model/endpoint.ts";
import type { Node } from "../model/node.ts";
import type { ClusterFacts, ClusterName } from "../model/topology.ts";

/** The contract version this host speaks. */
export const PLUGIN_API_VERSION = 1;

/** A validator in the shape of https://standardschema.dev, version 1. */
export interface Schema<Output> {
  /** The Standard Schema properties. */
  readonly "~standard": {
    /** Always 1. */
    readonly version: 1;
    /** The library that made the validator, or the plugin's own name. */
    readonly vendor: string;
    /** Validates an untrusted value: all issues at once, never a throw. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
  };
}

/** What {@linkcode Schema} answers. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing wrong with a config value, with the path to it. */
export interface SchemaIssue {
  /** What is wrong: `Cannot use KEY as it must be …: current value is …`. */
  readonly message: string;
  /** Keys from the root of the value to the fault. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  /** Present on an unknown key: the host warns, drops the key and validates again. */
  readonly unknownKey?: { readonly known: readonly string[] } | undefined;
}

/**
 * The permissions one instance of a plugin needs, each as narrow as it can be
 * said. There is no way to write "all": a request that is not an explicit list is
 * not expressible.
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

/** What the host tells a plugin about the place it runs in. */
export interface Scope {
  /** The config name of the instance, for messages: `web:8000/http`, `zookeeper`. */
  readonly instance: string;
  /** The service port under check, for checks only. */
  readonly target?: Endpoint;
  /** The name servers of this host, in the order in which they are asked; for discovery only. */
  readonly nameServers?: readonly Endpoint[];
  /** The domains that are tried behind a short name; for discovery only. */
  readonly searchDomains?: readonly string[];
  /** A name with so many dots is tried as it stands first; for discovery only. */
  readonly ndots?: number;
}

/** A logger whose records carry the instance's name. */
export interface PluginLog {
  /** Detail for someone debugging this plugin. */
  debug(message: string, properties?: Record<string, unknown>): void;
  /** A change of state an operator wants to know. */
  info(message: string, properties?: Record<string, unknown>): void;
  /** Something an operator should look at. */
  warn(message: string, properties?: Record<string, unknown>): void;
}

/** What every plugin says of itself. */
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
   * A config that `config` takes, plain data: what `lighthouse plugin add`
   * shows an operator, and asks `permissions` about.
   */
  readonly example?: unknown;
  /**
   * States what an instance with this config may touch. Pure and synchronous:
   * of a plugin that does not ship, the host calls it in a worker that has no
   * permission at all.
   */
  permissions(config: Config, scope: Scope): PermissionRequest;
}

/**
 * The outcome of one probe. `unknown` says that the probe could not be made,
 * for a reason that is this host's and not the service's: no open file, no
 * local port, no process was left. It counts neither as a pass nor as a
 * failure.
 */
export type ProbeOutcome =
  | { readonly status: "pass"; readonly detail?: string }
  | { readonly status: "fail"; readonly reason: string }
  | { readonly status: "unknown"; readonly reason: string };

/** What a probe gets besides its config. */
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
   * Probes once; never called again before the last call has settled or its
   * signal was aborted. A throw counts as a failure with the error's message
   * as its reason, or as `unknown` if the error says that this host lacks what
   * a probe needs (`EMFILE`, `EADDRNOTAVAIL`, `ENOMEM` and their like).
   */
  probe(config: Config, context: ProbeContext): Promise<ProbeOutcome>;
}

/** What a discovery session gets besides its config. */
export interface DiscoveryContext {
  /**
   * What `permissions` was given. Name servers are there if one of them was asked for: one that has changed is another
   * scope, and so another session.
   */
  readonly scope: Scope;
  /** Aborted when the connection is to be given up. */
  readonly signal: AbortSignal;
  /** The instance's logger. */
  readonly log: PluginLog;
  /**
   * Reports whether the registry is reachable. Always delivered, in its newest
   * state. It adds and removes no member, but the host acts on it: while
   * `disconnected` it keeps the last members and marks them stale, and a
   * `connected` starts the time for which an empty or missing cluster is not
   * accepted yet. `detail` says why: a string, or the error with its causes.
   */
  connection(state: "connected" | "disconnected", detail?: string | Error): void;
}

/** What the host needs of a watched cluster. */
export interface WatchOptions {
  /**
   * Whether nobody on this host reads the metadata of nodes: a plugin may
   * then leave it out, as the host does with what comes.
   */
  readonly withoutMetadata?: boolean | undefined;
  /** The section of the cluster's file that bears this discovery's name, as {@linkcode DiscoveryPlugin.cluster} made it. */
  readonly config?: unknown;
}

/** A node to register. */
export interface Registration {
  /** The node. */
  readonly node: Node;
  /** `up`: its checks pass. `draining`: it is to get no new connections, and leaves soon. */
  readonly state: "up" | "draining";
  /** The section of the service's file that bears this discovery's name, as {@linkcode DiscoveryPlugin.service} made it. */
  readonly config?: unknown;
}

/** That a node was taken over from another session that had registered it with another address. */
export interface Takeover {
  /** That address. */
  readonly takenFrom: string;
}

/** What a registry says of the keys below a prefix at one time: facts alone, always the whole set. */
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

/** What a session can do, each by a function of its own: see {@linkcode DiscoverySession}. */
export type DiscoveryCapability = "watch" | "register" | "keys";

/**
 * An open connection to a registry. It reports facts: what the registry says
 * right now, once read in full. Whether to act on them is for the host to
 * decide: it confirms an empty, missing or smaller cluster before a node goes.
 */
export interface DiscoverySession {
  /**
   * Yields the whole membership first, then again after each change. A cluster
   * that the registry does not have is `exists: false`, without nodes. Each new
   * watch starts with a fresh read, as the host watches again to confirm what
   * it holds. Throws when it cannot go on: the host keeps the last members
   * and watches again with backoff. Never yields a partial answer: unreachable
   * is not empty.
   */
  watch?(cluster: ClusterName, signal: AbortSignal, options?: WatchOptions): AsyncIterable<ClusterFacts>;
  /**
   * Makes a node known. Idempotent and level-triggered: the host calls it
   * again now and then and after each reconnect, so it must be cheap when
   * nothing is to be done. The node vanishes with the session. A registry
   * without a state of its own keeps `draining` as the node's state `drain`. Answers whose it was if another session had
   * registered it with another address: two hosts of one name share each node, and the host warns of it.
   */
  register?(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void>;
  /**
   * Removes a node, whoever made it known: its checks say that it is down.
   * A node that is not there is fine.
   */
  deregister?(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void>;
  /**
   * Removes a node if this session made it known: this host does not offer it
   * any more, which says nothing of its health. One that another session has by now
   * (another reporter, another connection to the same registry) is left alone;
   * so is one that nobody's session has. A node that is not there is fine.
   */
  deregisterOwn?(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void>;
  /** Yields all keys below a prefix first, then again after each change; otherwise as {@linkcode watch}. */
  keys?(prefix: string, signal: AbortSignal): AsyncIterable<KeysFacts>;
  /**
   * Resolves, with the reason, when the session is over and what it had
   * registered is gone (a ZooKeeper session that expired): the host opens
   * another, watches and registers again. Never resolves for a short
   * disconnect, and never rejects.
   */
  readonly ended: Promise<string>;
  /** Closes the connection and deregisters what it had registered; safe to call twice. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A discovery method. */
export interface DiscoveryPlugin<Config = unknown, ClusterConfig = unknown, ServiceConfig = unknown>
  extends PluginBase<"discovery", Config> {
  /**
   * What its sessions can do: `watch`; `register`, which stands for `deregister` and `deregisterOwn` too; `keys`. A
   * cluster of a discovery without `watch`, and a service of one without `register`, is an error in the config.
   */
  readonly capabilities: readonly DiscoveryCapability[];
  /** Validates the section of a cluster's file that bears the discovery's name; absent: there is none. */
  readonly cluster?: Schema<ClusterConfig> | undefined;
  /** Validates the section of a service's file that bears the discovery's name; absent: there is none. */
  readonly service?: Schema<ServiceConfig> | undefined;
  /**
   * Opens a session. Returns at once with a session that goes on connecting
   * by itself, or throws when it never can (then the host retries with backoff).
   */
  open(config: Config, context: DiscoveryContext): Promise<DiscoverySession>;
}

/** Something that happened, as a notifier gets it. */
export interface NotifiedEvent {
  /** Its id: `registry.unreachable`. */
  readonly event: string;
  /** How much it matters. */
  readonly level: "info" | "warn" | "error";
  /** The headline. */
  readonly message: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly atMs: number;
  /** The fields of its record. */
  readonly fields: { readonly [key: string]: string | number | boolean };
}

/** Carries events to people or to another system. Configured by a file of `notifiers/`. */
export interface NotifierPlugin<Config = unknown> extends PluginBase<"notifier", Config> {
  /**
   * Delivers some events, the oldest first. Throws when it could not: the host tries again with the same events, with
   * backoff. The signal is aborted at the deadline and on shutdown.
   */
  notify(events: readonly NotifiedEvent[], config: Config, signal: AbortSignal): Promise<void>;
}

/** What the host knows of the machine that it runs on. */
export interface HostFacts {
  /** Its fully qualified name, as it is announced; also the local peer's name. */
  readonly fqdn: string;
  /** The address that is announced. */
  readonly ip: string;
  /** All addresses of the host's interfaces, if they could be found out. */
  readonly addresses?: readonly string[] | undefined;
  /** The port of the local balancer's peers listener, as it is announced to the other hosts; 1024 if absent. */
  readonly peerPort?: number | undefined;
  /** Where it runs, as in `eu-west-1a`; announced with its nodes. */
  readonly zone?: string | undefined;
}

/** Where in the config something was written. */
export interface Origin {
  /** The cluster whose section of this balancer it is in; the balancer's own file if absent. */
  readonly cluster?: ClusterName | undefined;
  /** Keys and indexes from the root of that section or file; `[]` for the whole. */
  readonly path: readonly (string | number)[];
  /** Present if `path` starts from the root of the cluster's file instead: at its `meta_cluster`. */
  readonly from?: "file" | undefined;
}

/** One cluster, as a balancer is asked to serve it. */
export interface WantedCluster<ClusterConfig = unknown> {
  /** Its name. */
  readonly name: ClusterName;
  /** The meta cluster it is part of. */
  readonly metaCluster?: string | undefined;
  /** The balancer's section of the cluster's file, validated. */
  readonly config: ClusterConfig;
  /** Its members, sorted by name. */
  readonly nodes: readonly WantedNode[];
}

/** A member, and what it is to get: a whole value, made by the host from the node and from what holds on this host. */
export interface WantedNode {
  /** The member. */
  readonly node: Node;
  /** Its share of the traffic, from 0 to 256, as a weight beside those of the others; the balancer's default if absent. */
  readonly weight?: number | undefined;
  /** `ready`: it gets requests. `drain`: it keeps what it has, and gets nothing new. `maint`: it is out of service. */
  readonly state: "ready" | "drain" | "maint";
  /** `overflow`: it gets nothing while those of `primary` are enough. The host decides when they are. */
  readonly pool: "primary" | "overflow";
}

/** All that a balancer is asked to serve: a whole value, never a change to one. */
export interface Wanted<Config = unknown, ClusterConfig = unknown> {
  /** The balancer's own file, validated. */
  readonly config: Config;
  /** The machine. */
  readonly host: HostFacts;
  /** The version of the balancer's program as `[major, minor, patch]`, if it could be had. */
  readonly version?: readonly [number, number, number] | undefined;
  /** The clusters, sorted by name. */
  readonly clusters: readonly WantedCluster<ClusterConfig>[];
  /** What is to be left out of the config, as the balancer's program refuses it: what stands there, and all below. */
  readonly leftOut?: readonly Origin[] | undefined;
  /**
   * Clusters that there are, and of which nothing is known: their files cannot
   * be used, and never could since the start. `all` if no file can be looked
   * at. The host sees to it that those that are served are left as they run;
   * nothing is to be rendered for them.
   */
  readonly unknown?: readonly ClusterName[] | "all" | undefined;
}

/** Where the host has to look to observe a balancer, and how. */
export type BalancerSources = ProcessSources | FileSources;

/** The config files of a balancer, and how often what reads them is bothered. */
export interface SourcesBase {
  /** The config file; of several the one that a program is started from. */
  readonly file: string;
  /** The other files that `render` answers. All of them are read at each look. */
  readonly moreFiles?: readonly string[] | undefined;
  /** The least time between two reloads, or notices; never less than a second for a plugin that does not ship. */
  readonly reloadIntervalMs: number;
  /** A reload that may be made is made after a random part of this time, so that a fleet does not do it at once. */
  readonly reloadJitterMs?: number | undefined;
  /**
   * The child processes that `supervise` steps may have run, and the file by which the host finds each again, a writer
   * that starts too: the host alone writes it. It ends in `.pid`.
   */
  readonly children?: readonly { readonly name: string; readonly pidFile: string }[] | undefined;
}

/** Files alone: programs that read them are notified, and nobody is asked how it stands. */
export interface FileSources extends SourcesBase {
  /** The discriminant of {@linkcode BalancerSources}. */
  readonly kind: "files";
}

/** A process of this host that is started from a file, and can be asked which config it runs. */
export interface ProcessSources extends SourcesBase {
  /** The discriminant of {@linkcode BalancerSources}. */
  readonly kind: "process";
  /** The program: its version is asked with `-v`, and a process is told from others by its name. */
  readonly program: string;
  /** What the program itself writes besides, a pid file for one: no start follows a link that another user put there. */
  readonly alsoWrites?: readonly string[] | undefined;
  /** How the process is asked. */
  readonly contact: Contact;
  /** The signal by which a process is asked to leave once it has served what it has; others are left alone if absent. */
  readonly leavesOn?: Signal | undefined;
  /** Arguments of runs that do not serve, as those that only check a file: such processes are none of the balancer's. */
  readonly otherRuns?: readonly string[] | undefined;
  /** What lines of the program's output begin with that say nothing by themselves. */
  readonly chatter?: readonly string[] | undefined;
}

/** How a process is asked how it stands. */
export type Contact =
  /** By commands at a Unix socket: `queries` are those whose answers `observe` reads, in order. */
  | { readonly by: "commands"; readonly socket: string; readonly queries: readonly string[]; readonly dialect: Dialect }
  /** By HTTP at a Unix socket: a query is the path of a GET, its answer the body. It takes no commands. */
  | { readonly by: "http"; readonly socket: string; readonly queries: readonly string[] }
  /**
   * By its pid alone, as its pid file has it: it answers nothing, so `observe` is given no answers but `[]` while it
   * runs. `proof` says by what a reload is seen to have taken: another process, or other children of the same one.
   */
  | { readonly by: "pid"; readonly pidFile: string; readonly proof: "process" | "children" };

/** How commands are said at a socket: a line each, and each answer ends in the same characters. */
export interface Dialect {
  /** What is said first, to be answered like a command; nothing if absent. */
  readonly opening?: string | undefined;
  /** What each answer ends in, which no answer has within. */
  readonly ending: string;
  /** No more bytes of commands are sent before answers are read, as the other side takes no more. */
  readonly batchBytesMax: number;
}

/** A signal that a process of the balancer may be sent. */
export type Signal = "SIGHUP" | "SIGQUIT" | "SIGTERM" | "SIGUSR1" | "SIGUSR2" | "SIGWINCH";

/** An address that a balancer would listen at. */
export interface Listening {
  /** The address: empty or `*` for all. */
  readonly host: string;
  /** The port. */
  readonly port: number;
  /** The keys that say so, in the balancer's own file or in the cluster's section. */
  readonly path: readonly (string | number)[];
}

/** What the host saw of a balancer. */
export interface Seen {
  /** The answers to the queries, in order; `undefined` if the process does not run, and where only files are. */
  readonly answers?: readonly string[] | undefined;
  /** The contents of the config files that there are, by path. */
  readonly files?: ReadonlyMap<string, string> | undefined;
  /** The pid of the process, where it is known by that alone. */
  readonly pid?: number | undefined;
  /** The pids of its children then, if a reload is seen by them; sorted. */
  readonly children?: readonly number[] | undefined;
  /** The child processes that `supervise` steps have started, by this writer or an earlier one, and that run. */
  readonly supervised?: readonly Supervised[] | undefined;
  /** The pid of the master process that owns the one that answers, if there is such a master. */
  readonly masterPid?: number | undefined;
  /**
   * Whether the process that answers is none of this host, so that its pid
   * means another process here or none: it runs in a container of its own.
   */
  readonly isContained?: boolean | undefined;
  /** The pids of processes of the program that were started from the file, looked for only if nobody answers. */
  readonly orphans?: readonly number[] | undefined;
  /**
   * The pids of processes of the program that were started from the file
   * before the one that answers, and serve what connections they still have;
   * counted when a process is seen for the first time.
   */
  readonly oldWorkers?: readonly number[] | undefined;
}

/** A child process that the host looks after. */
export interface Supervised {
  /** What the step called it. */
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
  /** One command, without a line break. */
  readonly command: string;
  /** Its answer, trimmed, must match one of these: regular expressions, anchored. */
  readonly expect: readonly string[];
  /** What of the balancer is otherwise than it is wanted: told if nobody had asked for a change. */
  readonly found?: string | undefined;
  /** Whether later plans are to know how long ago it was last carried out: see `PlanAllowance.sentAgoMs`. */
  readonly isTimed?: true | undefined;
}

/** A command that the balancer answered otherwise than was expected. */
export interface RejectedCommand {
  /** The command. */
  readonly command: string;
  /** What was answered. */
  readonly answer: string;
  /** Whether the process that answers now said so, and not one before it. */
  readonly isCurrent: boolean;
}

/** How many files a process must be allowed to have open to serve a config. */
export interface OpenFiles {
  /** So many, at least. */
  readonly needed: number;
  /** What is wrong where they are fewer, in the words of the program's own check; `{limit}` stands for how many there are. */
  readonly refusal: string;
  /** The process whose limit holds, by pid; that of whoever installs if absent. */
  readonly of?: number | undefined;
}

/** How a balancer is made to read its config anew. */
export type ReloadWay =
  /** By a program that does not take longer than `deadlineMs`. */
  | { readonly run: readonly string[]; readonly deadlineMs?: number | undefined }
  /** By a signal to its process, or to the master of that. */
  | { readonly signal: Signal; readonly pid: number }
  /** By asking its master. */
  | AskedReload;

/**
 * A reload that a master is asked for at a socket, where each connection takes one command and ends with its answer.
 * All patterns are regular expressions.
 */
export interface AskedReload {
  /** The socket. */
  readonly ask: string;
  /** The command. */
  readonly command: string;
  /** The answer begins with this if the reload took; what follows is what the master has to say. */
  readonly took: string;
  /** The answer begins with this if it did not; what follows is why. */
  readonly failed: string;
  /** How it is known of a master that answers neither: it is asked again and again. */
  readonly watch?: {
    /** The command by which it is asked. */
    readonly query: string;
    /** Once something in the answer matches that was not there before the reload, it took. */
    readonly took: string;
    /** The same for one that did not. */
    readonly failed: string;
  } | undefined;
  /** What to do where nobody listens, for messages. */
  readonly hint?: string | undefined;
}

/** A thing the writer does, as data: logged, counted, and only printed by `plan`. */
export type Step =
  /** Sends one runtime command. */
  | CommandStep
  /**
   * Writes beside `path`, runs `check` on the candidate (`%` stands for its
   * path), then renames it into place: at once, or within a second, joined
   * with its neighbours.
   */
  | {
    readonly do: "install";
    readonly path: string;
    readonly contents: string;
    readonly mode: number;
    /** Who is to own it: `USER` or `USER:GROUP`, names or numbers; whoever writes it if absent. */
    readonly owner?: string | undefined;
    readonly check: readonly string[];
    readonly when: "now" | "soon";
    /** Present if the config may take more open files than a process gets: then it is refused. */
    readonly openFiles?: OpenFiles | undefined;
  }
  /** Starts the balancer, which nobody saw running. */
  | {
    readonly do: "start";
    readonly reason: string;
    readonly run: readonly string[];
    /** How long that may take, if not as long as any program. */
    readonly deadlineMs?: number | undefined;
    /** A master that may live on though its balancer does not answer: it is asked, and `run` only if nobody listens. */
    readonly master?: AskedReload | undefined;
    /** The addresses that it listens on: it is not started while somebody else holds one of them. */
    readonly listens?: readonly Endpoint[] | undefined;
  }
  /**
   * Makes the balancer read its config anew. The reason is never empty.
   * `listens` are the addresses that are new to it: if one of them is taken,
   * the reload is not begun, for a balancer may stop serving while it tries in
   * vain. `then` is said to the new process at once, before it can know.
   * `cause` is the reason in one word, to count by: the config has changed, members
   * changed in a way that no command brings about, or the host wants one.
   */
  | {
    readonly do: "reload";
    readonly reason: string;
    readonly cause?: "structure" | "members" | "forced" | undefined;
    readonly listens: readonly Endpoint[];
    readonly how: ReloadWay;
    readonly then?: readonly CommandStep[] | undefined;
  }
  /** Runs a program that is to read the files anew, and to end with 0 within `deadlineMs`. */
  | {
    readonly do: "notify";
    readonly reason: string;
    readonly run: readonly string[];
    readonly deadlineMs?: number | undefined;
  }
  /**
   * Has one of `BalancerSources.children` run with a command line; with an empty one it does not run. One of that name
   * with another command line is ended first. To be planned whenever `Seen.supervised` has it otherwise: one that ends
   * by itself is looked for at once, and started again after a wait that grows. It outlives the writer unless
   * `endsWithWriter`.
   */
  | {
    readonly do: "supervise";
    readonly name: string;
    readonly reason: string;
    readonly run: readonly string[];
    readonly endsWithWriter?: boolean | undefined;
  };

/** Something that an operator should know of what was rendered: a line left out, a cluster without nodes. */
export interface Notice {
  /** One sentence. */
  readonly text: string;
  /** What in the config it is about, if it is about something there. */
  readonly origin?: Origin | undefined;
}

/** What a balancer's `render` answers. */
export interface Rendered {
  /** The config files, by path: the same wanted state gives the same bytes. */
  readonly files: ReadonlyMap<string, RenderedFile>;
  /** What an operator should know of them. */
  readonly notices: readonly Notice[];
}

/** One config file. */
export interface RenderedFile {
  /** Its contents. */
  readonly text: string;
  /** Its mode; 0640 if absent. */
  readonly mode?: number | undefined;
  /** Who is to own it: `USER` or `USER:GROUP`, names or numbers; whoever writes it if absent. */
  readonly owner?: string | undefined;
  /** What in the config gave a line of the text, by its number, from 1; lines that are the balancer's own are absent. */
  readonly origins?: ReadonlyMap<number, Origin> | undefined;
}

/**
 * A load balancer: pure functions around effects that the host performs.
 *
 * The functions of one that does not ship run in a worker without any
 * permission. What they are given and what they answer is cloned on its way,
 * checked for shape and size (a file of 16 Mi characters, 100,000 steps, 100
 * notices), and held against what `permissions` asked for and the operator
 * granted: `sources` and each step may name only files of `write`, sockets of
 * `net` (`unix:/path`) and programs of `run`. A plan with one step that goes beyond is refused whole. What is thrown,
 * answered in a wrong shape or not within five seconds leaves what runs as it
 * is; the host asks again later, in a new worker if need be. So a function must
 * need nothing but its arguments: what `observe` answers stays in the worker,
 * and is made anew for each `plan`.
 */
export interface BalancerPlugin<Config = unknown, ClusterConfig = unknown, Observed = unknown>
  extends PluginBase<"balancer", Config> {
  /** Validates the section of a cluster's file that bears this balancer's name. */
  readonly cluster: Schema<ClusterConfig>;
  /** Whether the metadata of nodes is never read, so that the host need not carry it. Read unless told. */
  readonly ignoresMetadata?: boolean;
  /**
   * Says where the balancer would listen for a cluster's section, or, without
   * one, for its own file: two that would share an address are told.
   */
  listens?(config: Config, cluster?: ClusterConfig): readonly Listening[];
  /** Says where to look. */
  sources(config: Config): BalancerSources;
  /**
   * Finds the pid of the process that gave the answers: the host looks for its master, and sees a takeover by it. Never
   * called where there is nobody to answer.
   */
  pid(answers: readonly string[]): number | undefined;
  /**
   * Reads what the host saw. Throws an `Error` that says so if the answers are
   * not those of this kind of balancer: then nothing is planned.
   */
  observe(seen: Seen, config: Config): Observed;
  /** Reads the members back from config files that this plugin rendered, for a start while the registry is away. */
  adopt(files: ReadonlyMap<string, string>, config: Config): ReadonlyMap<ClusterName, readonly Node[]>;
  /** Reads the members back from the balancer that runs, for the same; what it keeps out of service is none. */
  adoptRunning?(observed: Observed): ReadonlyMap<ClusterName, readonly Node[]>;
  /** Renders the config files. */
  render(wanted: Wanted<Config, ClusterConfig>): Rendered;
  /**
   * Plans the shortest way from what is observed to what is wanted; `[]` when
   * there. A step that is planned again and again although it went well (a
   * server that cannot go while it has connections) is tried again at leisure.
   * Throws an `Error` that says why if a reload is needed and allowed, but
   * cannot be made.
   */
  plan(
    wanted: Wanted<Config, ClusterConfig>,
    rendered: Rendered,
    observed: Observed,
    allowed: PlanAllowance,
  ): readonly Step[];
  /**
   * Makes sense of what the balancer's program wrote when it refused a file or
   * did not start with it, so that one bad cluster does not hold up the others.
   */
  explain?(rendered: Rendered, output: string): Explanation;
}

/** Why a file was refused. */
export interface Explanation {
  /** The cluster at fault, if it is one cluster's. */
  readonly cluster?: ClusterName | undefined;
  /** What is wrong; none if no config is to blame, as for a process that could not be forked: it is tried again later. */
  readonly faults: readonly FileFault[];
}

/** One thing that is wrong with a file. */
export interface FileFault {
  /** The fault in a few words, with the line that has it. */
  readonly message: string;
  /** What in the config gave that line. */
  readonly origin?: Origin | undefined;
  /** What of the config could be left out, so that the rest can be served; nothing if empty. */
  readonly remedy: readonly Origin[];
  /** The name that could not be resolved, if that is all that is wrong. */
  readonly unresolved?: string | undefined;
}

/** What a plan may use. */
export interface PlanAllowance {
  /** `false`: only what needs no reload is planned, for the writer holds reloads back to keep their rate. */
  readonly reload: boolean;
  /** Present when the way without a reload has failed: then a reload is planned, for this reason. */
  readonly because?: string | undefined;
  /**
   * The commands that were rejected since the program is of its version, the
   * latest 1,000: so a plan need not try them again.
   */
  readonly rejected?: readonly RejectedCommand[] | undefined;
  /**
   * How long ago each command that a plan has marked `isTimed` was last carried
   * out by this writer; absent if it is not known, as for `plan` on the command
   * line.
   */
  readonly sentAgoMs?: ReadonlyMap<string, number> | undefined;
  /**
   * Whether nobody is known to have read the files as they are: a `notify` is to be planned though they are as they
   * should be. So it is as a writer starts, and after one that failed.
   */
  readonly owesNotify?: boolean | undefined;
}

/** Any plugin, told apart by `kind`. */
export type Plugin = CheckPlugin | DiscoveryPlugin | BalancerPlugin | NotifierPlugin;
