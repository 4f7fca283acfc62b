/**
 * The messages between the host and its workers, version 2. All go over one
 * transferred MessagePort, those to the host as JSON; {@linkcode Init} alone
 * uses the global channel.
 *
 * @module
 */
import type { ParsedModule } from "../plugin/graph.ts";
import type {
  KeysFacts,
  NotifiedEvent,
  PermissionRequest,
  ProbeOutcome,
  Registration,
  SchemaIssue,
  Scope,
} from "../plugin/contract.ts";
import type { Node } from "../model/node.ts";
import type { ClusterName, ClusterSnapshot } from "../model/topology.ts";
import type { BalancerAnswer, Question, RegistryChange } from "./functions.ts";
import type { DiscoveryTraits, SectionOf } from "../plugin/instance.ts";
import type { WireError } from "./wire_error.ts";

/** Bumped on any change that an older peer would misread. */
export const PROTOCOL_VERSION = 2;

/** The first message, the only one on the worker's global channel; carries a MessagePort for all others. */
export interface Init {
  /** The protocol version of the host. */
  readonly v: typeof PROTOCOL_VERSION;
  /** The discriminant. */
  readonly type: "init";
  /** `builtin:kind/name`, or a `data:` URL of verified, self-contained source. */
  readonly module: string;
  /** How many connections and files a plugin that does not ship may have open at once. */
  readonly openMax: number;
  /** Carries all further messages. */
  readonly port: MessagePort;
}

/** What a plugin says of itself. */
export interface Introduction {
  /** What it says it is. */
  readonly kind: string;
  /** The contract version that it was written for. */
  readonly apiVersion: number;
  /** Its own name, which is not the one that a config gives it. */
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** Whether its author means it for use. */
  readonly stability: string;
  /** A config that it would take; absent if it shows none. */
  readonly example?: unknown;
}

/** A message that wants an answer with the same `seq`. */
export type Request =
  /** Say what the plugin is. */
  | { readonly type: "introduce" }
  /** Strip a module of its types and find its imports; only the parser does it. */
  | { readonly type: "parse"; readonly path: string; readonly text: string }
  /** Validate a config and say which permissions it needs. */
  | { readonly type: "describe"; readonly raw: unknown; readonly scope: Scope }
  /** Validate the section of a cluster's or a service's file. */
  | { readonly type: "section"; readonly of: SectionOf; readonly raw: unknown }
  /** Ask a balancer's plugin. */
  | { readonly type: "decide"; readonly question: Question }
  /** Make an instance ready: a check takes its config, a discovery method opens its session. */
  | { readonly type: "start"; readonly instance: string; readonly config: unknown; readonly scope: Scope }
  /** Run one probe; after `timeoutMs` the host sends `abort`. */
  | { readonly type: "probe"; readonly instance: string; readonly timeoutMs: number }
  /** Deliver some events. */
  | {
    readonly type: "notify";
    readonly instance: string;
    readonly events: readonly NotifiedEvent[];
    readonly timeoutMs: number;
  }
  /** Change what the registry says of one node. */
  | {
    readonly type: RegistryChange;
    readonly cluster: ClusterName;
    readonly registration: Registration;
    readonly timeoutMs: number;
  }
  /** Show that the worker's event loop turns. */
  | { readonly type: "ping" };

/** Host to worker. */
export type ToWorker =
  | (Request & { readonly seq: number })
  /** Begin to watch a cluster. */
  | {
    readonly type: "watch";
    readonly cluster: ClusterName;
    readonly withoutMetadata?: boolean;
    /** The section of the cluster's file that bears the discovery's name, validated; absent if there is none. */
    readonly config?: unknown;
  }
  /** End to watch a cluster. */
  | { readonly type: "unwatch"; readonly cluster: ClusterName }
  /** Begin to follow the keys below a prefix, under a number that no other stream of this worker had. */
  | { readonly type: "keys"; readonly stream: number; readonly prefix: string }
  /** End to follow them. */
  | { readonly type: "endKeys"; readonly stream: number }
  /** The last answer of a stream was read: the next may come. */
  | { readonly type: "takenKeys"; readonly stream: number }
  /** The host has taken a portion of a snapshot, of whatever cluster: one more may be on its way. */
  | { readonly type: "more" }
  /** The host has heard of the connection: its newest state may come. */
  | { readonly type: "heard" }
  /** The host has taken the last snapshot of a cluster: the next may come. */
  | { readonly type: "taken"; readonly cluster: ClusterName }
  /** Give up one request: abort its signal. */
  | { readonly type: "abort"; readonly seq: number }
  /** End all, then answer `stopped`. */
  | { readonly type: "stop" };

/** A worker's answer to a {@linkcode Request}. */
export type Answer =
  | { readonly type: "introduced"; readonly introduction: Introduction }
  | { readonly type: "parsed"; readonly parsed: ParsedModule }
  /** `traits`: of a discovery. */
  | {
    readonly type: "described";
    readonly config: unknown;
    readonly permissions: PermissionRequest;
    readonly traits?: DiscoveryTraits | undefined;
  }
  | { readonly type: "valid"; readonly config: unknown }
  | { readonly type: "decided"; readonly decision: BalancerAnswer }
  | { readonly type: "invalid"; readonly issues: readonly SchemaIssue[] }
  /** `takenFrom`: the other address under which the node stood there, as another session's. */
  | { readonly type: "ack"; readonly takenFrom?: string | undefined }
  | { readonly type: "nack"; readonly error: WireError }
  | { readonly type: "outcome"; readonly outcome: ProbeOutcome; readonly tookMs: number }
  /** `open`: how many connections and files a plugin that does not ship has open; absent if that is not counted. */
  | { readonly type: "pong"; readonly open?: number | undefined };

/** Worker to host. */
export type ToHost =
  | (Answer & { readonly seq: number })
  /** The plugin's module is loaded; what it says of itself. */
  | { readonly type: "loaded"; readonly kind: string; readonly apiVersion: number; readonly name: string }
  /** The plugin's module could not be loaded, or it threw where nobody could catch it. */
  | { readonly type: "broken"; readonly error: WireError }
  /** Some nodes of the snapshot that follows: one that is long comes in portions. Each waits for `more`. */
  | { readonly type: "nodes"; readonly cluster: ClusterName; readonly nodes: readonly Node[] }
  /** One cluster's whole membership, with what came before of it. The next waits for `taken`. */
  | { readonly type: "snapshot"; readonly snapshot: ClusterSnapshot; readonly number?: number | undefined }
  /** What has changed of a cluster since its snapshot of the number `base`, with what came before of `added`. Likewise. */
  | (Omit<ClusterSnapshot, "nodes"> & {
    readonly type: "change";
    readonly number: number;
    readonly base: number;
    /** Nodes that are new or other, sorted by name. */
    readonly added: readonly Node[];
    /** Names of nodes. */
    readonly removed: readonly string[];
    /** Whether the nodes that were refused are those of `base`; else they are among what was added. */
    readonly isSameRefused: boolean;
  })
  /** A watch ended: the host keeps what it has and watches again. */
  | { readonly type: "lost"; readonly cluster: ClusterName; readonly error: WireError }
  /** All keys of a stream: a portion by itself, which waits for `more`. The next of the stream waits for `takenKeys`. */
  | (KeysFacts & { readonly type: "keys"; readonly stream: number })
  /** A stream of keys ended. */
  | { readonly type: "keysLost"; readonly stream: number; readonly error: WireError }
  /** The discovery session is over, and what it registered is gone. */
  | { readonly type: "ended"; readonly reason: string }
  /** Whether the registry is in reach. The next waits for `heard`. */
  | { readonly type: "connection"; readonly state: "connected" | "disconnected"; readonly detail: string }
  /** A log record of the plugin. */
  | {
    readonly type: "log";
    readonly instance: string;
    readonly level: "debug" | "info" | "warn";
    readonly message: string;
    readonly properties: Record<string, unknown>;
  }
  /** So many log records in one second were too many, and were dropped. */
  | { readonly type: "dropped"; readonly records: number }
  | { readonly type: "stopped" };
