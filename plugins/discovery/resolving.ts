/**
 * `resolve_names`, for every discovery whose nodes may have a name as their address. The lookup code is
 * loaded only by sessions that resolve names.
 *
 * @module
 */
import type { ClusterFacts, ClusterName, DiscoveryContext, PermissionRequest, Scope } from "../../mod.ts";
import type { Clock } from "../../src/kernel/clock.ts";
import type { KnownName } from "./names.ts";

/** What a discovery needs, and to resolve names besides: its host's name servers, and the hosts file. */
export function withNames(
  { net = [], read = [] }: Pick<PermissionRequest, "net" | "read">,
  resolveNames: boolean | undefined,
  { nameServers = [] }: Scope,
): PermissionRequest {
  const all = resolveNames ? { net: [...net, ...nameServers], read: [...read, "/etc/hosts"] } : { net, read };
  return { ...all.net.length > 0 && { net: all.net }, ...all.read.length > 0 && { read: all.read } };
}

export interface NamedClustersOptions {
  /** Whether names are resolved; otherwise a node with a name is left out by the reader of the registry. */
  readonly resolveNames: boolean | undefined;
  readonly context: Pick<DiscoveryContext, "scope" | "log">;
  readonly clock: Clock;
}

/** The clusters of one session, with addresses in place of names. */
export class NamedClusters {
  readonly #options: NamedClustersOptions;
  readonly #known = new Map<string, KnownName>();

  constructor(options: NamedClustersOptions) {
    this.#options = options;
  }

  /** Follows a cluster whose nodes may have names. */
  async *follow(
    cluster: ClusterName,
    watch: (signal: AbortSignal) => AsyncIterable<ClusterFacts>,
    signal: AbortSignal,
  ): AsyncGenerator<ClusterFacts> {
    const { resolveNames, context: { scope, log }, clock } = this.#options;
    if (!resolveNames) return yield* watch(signal);
    const { nameServers = [], searchDomains = [], ndots = 1 } = scope;
    const { addressed } = await import("./names.ts");
    const nameService = { nameServers, searchDomains, ndots };
    yield* addressed(watch, { cluster, log, clock, nameService, known: this.#known }, signal);
  }
}
