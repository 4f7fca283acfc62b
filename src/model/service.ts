import type { Json, Node } from "./node.ts";
import type { RegistrySource } from "./registry_source.ts";

/** A service that this host offers: one file of `services/`. */
export interface Service {
  /** Its name in the registry: the cluster that it is a member of. */
  readonly name: string;
  /** The registries to register in, each on its own, in the order of `discovery:`; never empty. */
  readonly sources: readonly RegistrySource[];
  /** The address that the checks connect to; never announced. */
  readonly host: string;
  /** The ports, each checked and registered by itself; sorted, without duplicates. */
  readonly ports: readonly number[];
  /** Announced with each node. */
  readonly metadata: { readonly [key: string]: Json };
  /** Announced with each node: its share of the traffic, from 0 to 256. */
  readonly weight?: number | undefined;
  /** Announced with each node: it waits while nodes with a lower number are ready. */
  readonly priority?: number | undefined;
  /** Announced with each node, for those who select by them; sorted by name. */
  readonly labels?: Node["labels"];
  /** The interval of the checks. */
  readonly intervalMs: number;
  /** How long the last verdict of a check holds while no probe can run. */
  readonly unknownGraceMs: number;
  /** All must pass; without checks the service counts as passing. */
  readonly checks: readonly Check[];
}

/** One kind of probe of a service, for each of its ports. */
export interface Check {
  /** Its key in the service file. */
  readonly name: string;
  /** The check plugin that probes. */
  readonly type: string;
  /** Consecutive passes before the check is up. */
  readonly rise: number;
  /** Consecutive failures before the check is down. */
  readonly fall: number;
  /** The timeout of a probe. */
  readonly timeoutMs: number;
  /** The host to probe instead of the service's own. */
  readonly host?: string | undefined;
  /** The port to probe instead of the service's own. */
  readonly port?: number | undefined;
  /** The plugin's own keys. */
  readonly config: { readonly [key: string]: unknown };
}
