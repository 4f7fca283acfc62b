/**
 * What the parts of the runtime are asked for, derived from the accepted config
 * and what is known: pure functions from whole values to whole values.
 *
 * @module
 */
import type { MonitoredPort } from "../health/monitor.ts";
import { type Node, PEER_PORT } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import type { HostFacts, Wanted } from "../plugin/contract.ts";
import type { Registration } from "../registry/registrar.ts";
import type { Accepted, AcceptedBalancer } from "./accepted.ts";

/** The ports to monitor. Pure. */
export function monitoredPorts({ services }: Pick<Accepted, "services">): readonly MonitoredPort[] {
  return [...services.values()].flatMap(({ service, probes }) =>
    service.ports.map((port): MonitoredPort => ({
      key: `${service.name}:${port}`,
      intervalMs: service.intervalMs,
      checks: probes.filter((probe) => probe.port === port).map(({ check, instance }) => ({
        id: instance.id,
        name: check.name,
        rise: check.rise,
        fall: check.fall,
        timeoutMs: check.timeoutMs,
        unknownGraceMs: service.unknownGraceMs,
        question: JSON.stringify([instance.module, instance.scope.target, instance.config]),
      })),
    }))
  );
}

/**
 * What is to be registered: ports that are up are present, ports that are down
 * absent, of the others nothing is said. A discovery that is not there yet is
 * named all the same: what is registered elsewhere stays until it comes. Pure.
 */
export function registrations(
  { services }: Pick<Accepted, "services">,
  host: HostFacts,
  statusOf: (key: string) => "unknown" | "up" | "down",
): readonly Registration[] {
  return [...services.values()].flatMap(({ service }) => {
    return service.ports.flatMap((port): Registration[] => {
      const status = statusOf(`${service.name}:${port}`);
      if (status === "unknown") return [];
      const peer = { name: host.fqdn, ip: host.ip, port: host.peerPort ?? PEER_PORT };
      const node: Node = { host: host.fqdn, ip: host.ip, port, peer, metadata: service.metadata };
      const wanted = status === "up" ? "present" : "absent";
      return [{ discovery: service.discovery, cluster: service.name, node, wanted }];
    });
  });
}

/** Whether no balancer reads the metadata of nodes, so that no worker need send it. Pure. */
export function needsNoMetadata({ balancers }: Pick<Accepted, "balancers">): boolean {
  return [...balancers.values()].every(({ plugin }) => plugin.ignoresMetadata === true);
}

/** What one balancer is asked to serve. Pure. */
export function wish(
  name: string,
  balancer: AcceptedBalancer,
  { clusters, unknownClusters }: Pick<Accepted, "clusters" | "unknownClusters">,
  members: ReadonlyMap<ClusterName, readonly Node[]>,
  host: HostFacts,
): Wanted {
  const wanted = [...clusters.values()].flatMap(({ cluster, sections }) => {
    if (!sections.has(name)) return [];
    const known = members.get(cluster.name) ?? [];
    const nodes = known.length > 0 ? known : cluster.defaultServers;
    return [{ name: cluster.name, metaCluster: cluster.metaCluster, config: sections.get(name), nodes }];
  });
  return {
    config: balancer.config,
    host,
    clusters: wanted.toSorted((a, b) => a.name < b.name ? -1 : 1),
    ...unknownClusters.length > 0 && { unknown: unknownClusters },
  };
}
