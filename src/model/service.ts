import type { Json } from "./node.ts";
import type { RegistrySource } from "./registry_source.ts";

/** What this host offers: one file of `services/`. */
export interface Service {
  /** Its name in the registry: the cluster that it is a member of. */
  readonly name: string;
  /** The registries to register in, each on its own, in the order of `discovery:`; never empty. */
  readonly sources: readonly RegistrySource[];
  /** Where the checks connect to; never announced. */
  readonly host: string;
  /** The ports, each checked and registered by itself; sorted, no doubles. */
  readonly ports: readonly number[];
  /** Announced with each node. */
  readonly metadata: { readonly [key: string]: Json };
  /** The time from one round of checks to the next. */
  readonly intervalMs: number;
  /** How long the last verdict of a check stands while no probe can be made. */
  readonly unknownGraceMs: number;
  /** All must pass; none at all counts as passing. */
  readonly checks: readonly Check[];
}

/** One kind of probe of a service, for each of its ports. */
export interface Check {
  /** Its key in the service file. */
  readonly name: string;
  /** The check plugin that probes. */
  readonly type: string;
  /** Passes in a row before it counts as up. */
  readonly rise: number;
  /** Failures in a row before it counts as down. */
  readonly fall: number;
  /** A probe that takes longer has failed. */
  readonly timeoutMs: number;
  /** The host to probe instead of the service's own. */
  readonly host?: string | undefined;
  /** The port to probe instead of the service's own. */
  readonly port?: number | undefined;
  /** What is left for the plugin to read: the keys that are not the host's. */
  readonly config: { readonly [key: string]: unknown };
}
