import type { DiscoveryCapability, PermissionRequest, SchemaIssue, SchemaResult, Scope } from "./contract.ts";

/** A kind of plugin. */
export type PluginKind = "check" | "discovery" | "balancer" | "notifier";

/** One instance of a plugin: one check of one port, or one discovery connection, or one notifier. */
export interface InstanceSpec {
  /** Unique: `check web:8000/http`, `discovery zookeeper`. */
  readonly id: string;
  /** Its validated config. */
  readonly config: unknown;
  /** Its context. */
  readonly scope: Scope;
  /** Its granted permissions. */
  readonly granted: PermissionRequest;
}

/** An instance that can run. */
export interface PluginInstance extends InstanceSpec {
  /** The plugin's kind. */
  readonly kind: "check" | "discovery" | "notifier";
  /** `builtin:kind/name` or a `data:` URL. */
  readonly module: string;
  /** For a third-party plugin its `kind/name`, which stays when its module changes. */
  readonly plugin?: string | undefined;
}

/** Properties of a discovery's plugin, for any config. */
export interface DiscoveryTraits {
  /** What its sessions can do. */
  readonly capabilities: readonly DiscoveryCapability[];
  /** The files that may have a section for it. */
  readonly sections: readonly SectionOf[];
}

/** The files that may have a section for a discovery. */
export type SectionOf = "cluster" | "service";

/** A plugin's result for one config. */
export type Described =
  | {
    readonly ok: true;
    readonly config: unknown;
    readonly permissions: PermissionRequest;
    /** Only for a discovery. */
    readonly traits?: DiscoveryTraits | undefined;
  }
  | { readonly ok: false; readonly issues: readonly SchemaIssue[] };

/** Asks a plugin to validate a config, and which permissions it needs. */
export type Describe = (module: string, raw: unknown, scope: Scope) => Promise<Described>;

/** Asks a discovery's plugin to validate its section of a cluster's or a service's file. */
export type DescribeSection = (
  module: string,
  of: SectionOf,
  raw: unknown,
) => Promise<SchemaResult<unknown>>;
