/**
 * The messages between the host and its workers, version 2. All use one
 * transferred MessagePort, those to the host as JSON; only {@linkcode Init}
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

/** Increased with any change that an older peer would misread. */
export const PROTOCOL_VERSION = 2;

/** The first message, the only one on the worker's global channel; carries a MessagePort for all others. */
export interface Init {
  /** The protocol version of the host. */
  readonly v: typeof PROTOCOL_VERSION;
  /** The discriminant. */
  readonly type: "init";
  /** `builtin:kind/name`, or a `data:` URL of verified, self-contained source. */
  readonly module: string;
  /** How many connections and files a third-party plugin may have open at once. */
  readonly openMax: number;
  /** Carries all further messages. */
  readonly port: MessagePort;
}

/** A plugin's identity. */
export interface Introduction {
  readonly kind: string;
  /** The contract version it was written for. */
  readonly apiVersion: number;
  /** Its own name, which may differ from the one in the config. */
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** The author's statement on its maturity. */
  readonly stability: string;
  /** A valid config; absent if the plugin has no example. */
  readonly example?: unknown;
}

/** A request, answered with the same `seq`. */
export type Request =
  /** Identify the plugin. */
  | { readonly type: "introduce" }
  /** Strip a module's types and find its imports; only for the parser. */
  | { readonly type: "parse"; readonly path: string; readonly text: string }
  /** Validate a config and name the permissions it needs. */
  | { readonly type: "describe"; readonly raw: unknown; readonly scope: Scope }
  /** Validate the section of a cluster's or a service's file. */
  | { readonly type: "section"; readonly of: SectionOf; readonly raw: unknown }
  /** Call a balancer's plugin. */
  | { readonly type: "decide"; readonly question: Question }
  /** Start an instance: a check gets its config, a discovery opens its session. */
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
  /** Change one node in the registry. */
  | {
    readonly type: RegistryChange;
    readonly cluster: ClusterName;
    readonly registration: Registration;
    readonly timeoutMs: number;
  }
  /** Show that the worker's event loop is alive. */
  | { readonly type: "ping" };

/** Host to worker. */
export type ToWorker =
  | (Request & { readonly seq: number })
  /** Start to watch a cluster. */
  | {
    readonly type: "watch";
    /** What all messages about this watch call the cluster: its name, or another that only this watch has. */
    readonly cluster: ClusterName;
    /** The cluster's name, where that is not what the watch is called by. */
    readonly of?: ClusterName;
    readonly withoutMetadata?: boolean;
    /** The section of the cluster's file with the discovery's name, validated; absent if there is none. */
    readonly config?: unknown;
  }
  /** Stop watching a cluster. */
  | { readonly type: "unwatch"; readonly cluster: ClusterName }
  /** Start to watch the keys under a prefix, under a stream number unique in this worker. */
  | { readonly type: "keys"; readonly stream: number; readonly prefix: string }
  /** Stop watching them. */
  | { readonly type: "endKeys"; readonly stream: number }
  /** The last answer of a stream was read: the next may be sent. */
  | { readonly type: "takenKeys"; readonly stream: number }
  /** The host has processed a portion of a snapshot, of any cluster: one more may be sent. */
  | { readonly type: "more" }
  /** The host has processed the state of the connection: the newest may be sent. */
  | { readonly type: "heard" }
  /** The host has processed the last snapshot of a cluster: the next may be sent. */
  | { readonly type: "taken"; readonly cluster: ClusterName }
  /** Abort one request. */
  | { readonly type: "abort"; readonly seq: number }
  /** Stop everything, then answer `stopped`. */
  | { readonly type: "stop" };

/** A worker's answer to a {@linkcode Request}. */
export type Answer =
  | { readonly type: "introduced"; readonly introduction: Introduction }
  | { readonly type: "parsed"; readonly parsed: ParsedModule }
  /** `traits`: only of a discovery. */
  | {
    readonly type: "described";
    readonly config: unknown;
    readonly permissions: PermissionRequest;
    readonly traits?: DiscoveryTraits | undefined;
  }
  | { readonly type: "valid"; readonly config: unknown }
  | { readonly type: "decided"; readonly decision: BalancerAnswer }
  | { readonly type: "invalid"; readonly issues: readonly SchemaIssue[] }
  /** `takenFrom`: the other address under which another session had registered the node. */
  | { readonly type: "ack"; readonly takenFrom?: string | undefined }
  | { readonly type: "nack"; readonly error: WireError }
  | { readonly type: "outcome"; readonly outcome: ProbeOutcome; readonly tookMs: number }
  /** `open`: how many connections and files a third-party plugin has open; absent if not counted. */
  | { readonly type: "pong"; readonly open?: number | undefined };

/** Worker to host. */
export type ToHost =
  | (Answer & { readonly seq: number })
  /** The plugin's module is loaded; its identity. */
  | { readonly type: "loaded"; readonly kind: string; readonly apiVersion: number; readonly name: string }
  /** The plugin's module could not be loaded, or an uncaught error occurred. */
  | { readonly type: "broken"; readonly error: WireError }
  /** Some nodes of the snapshot that follows: a long one is sent in portions. Each waits for `more`. */
  | { readonly type: "nodes"; readonly cluster: ClusterName; readonly nodes: readonly Node[] }
  /** The complete membership of a cluster, together with its earlier portions. The next waits for `taken`. */
  | { readonly type: "snapshot"; readonly snapshot: ClusterSnapshot; readonly number?: number | undefined }
  /** The changes of a cluster since its snapshot `base`, together with earlier portions of `added`. Waits likewise. */
  | (Omit<ClusterSnapshot, "nodes"> & {
    readonly type: "change";
    readonly number: number;
    readonly base: number;
    /** New or changed nodes, sorted by name. */
    readonly added: readonly Node[];
    /** Names of nodes. */
    readonly removed: readonly string[];
    /** Whether the rejected nodes are those of `base`; else they are among the added ones. */
    readonly isSameRefused: boolean;
  })
  /** A watch ended: the host keeps its members and watches again. */
  | { readonly type: "lost"; readonly cluster: ClusterName; readonly error: WireError }
  /** All keys of a stream in one message, which waits for `more`. The next of the stream waits for `takenKeys`. */
  | (KeysFacts & { readonly type: "keys"; readonly stream: number })
  /** A stream of keys ended. */
  | { readonly type: "keysLost"; readonly stream: number; readonly error: WireError }
  /** The discovery session is over, and its registrations are gone. */
  | { readonly type: "ended"; readonly reason: string }
  /** Whether the registry is reachable. The next waits for `heard`. */
  | { readonly type: "connection"; readonly state: "connected" | "disconnected"; readonly detail: string }
  /** A log record of the plugin. */
  | {
    readonly type: "log";
    readonly instance: string;
    readonly level: "debug" | "info" | "warn";
    readonly message: string;
    readonly properties: Record<string, unknown>;
  }
  /** This many log records exceeded the limit per second and were dropped. */
  | { readonly type: "dropped"; readonly records: number }
  | { readonly type: "stopped" };
