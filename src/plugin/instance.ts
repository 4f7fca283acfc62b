import type { DiscoveryCapability, PermissionRequest, SchemaIssue, SchemaResult, Scope } from "./contract.ts";

/** A kind of plugin. */
export type PluginKind = "check" | "discovery" | "balancer" | "notifier";

/** One instance of a plugin: one check of one port, or one discovery connection, or one notifier. */
export interface InstanceSpec {
  /** Unique: `check web:8000/http`, `discovery zookeeper`. */
  readonly id: string;
  /** What the plugin's validator made of its config. */
  readonly config: unknown;
  /** What the plugin is told of its place. */
  readonly scope: Scope;
  /** What was granted. */
  readonly granted: PermissionRequest;
}

/** What an instance needs to run. */
export interface PluginInstance extends InstanceSpec {
  /** The plugin's kind. */
  readonly kind: "check" | "discovery" | "notifier";
  /** `builtin:kind/name` or a `data:` URL. */
  readonly module: string;
  /** Of a plugin that does not ship its `kind/name`, which stays when its module changes. */
  readonly plugin?: string | undefined;
}

/** What a discovery's plugin says of itself, whatever its config. */
export interface DiscoveryTraits {
  /** What its sessions can do. */
  readonly capabilities: readonly DiscoveryCapability[];
  /** The files that may have a section for it. */
  readonly sections: readonly SectionOf[];
}

/** The files that may have a section for a discovery. */
export type SectionOf = "cluster" | "service";

/** What a plugin says of one config. */
export type Described =
  | {
    readonly ok: true;
    readonly config: unknown;
    readonly permissions: PermissionRequest;
    /** Of a discovery. */
    readonly traits?: DiscoveryTraits | undefined;
  }
  | { readonly ok: false; readonly issues: readonly SchemaIssue[] };

/** Asks a plugin what it makes of a config, and which permissions it needs. */
export type Describe = (module: string, raw: unknown, scope: Scope) => Promise<Described>;

/** Asks a discovery's plugin what it makes of its section of a cluster's or a service's file. */
export type DescribeSection = (
  module: string,
  of: SectionOf,
  raw: unknown,
) => Promise<SchemaResult<unknown>>;
