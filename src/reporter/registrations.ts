/**
 * What the reporter monitors and registers, derived from the accepted config
 * and the verdicts: pure functions from whole values to whole values.
 *
 * @module
 */
import type { Accepted, AcceptedService } from "../config/accepted.ts";
import { type Node, PEER_PORT } from "../model/node.ts";
import type { LocalDrain } from "../model/override.ts";
import type { HostFacts } from "../plugin/contract.ts";
import type { MonitoredPort } from "./monitor.ts";
import type { Registration } from "./registrar.ts";

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

/** {@linkcode registrations} that answers the very same objects as long as a service, the host and a status stay. */
export function keptRegistrations(): typeof registrations {
  let before: { readonly host: HostFacts; readonly kept: ReadonlyMap<AcceptedService, Kept> } | undefined;
  return ({ services }, host, statusOf, drainOf = () => undefined) => {
    const last = before?.host === host ? before.kept : undefined;
    const kept = new Map<AcceptedService, Kept>();
    const all: Registration[] = [];
    for (const [file, accepted] of services) {
      const { name, ports } = accepted.service;
      const statuses = [...ports.map((port) => statusOf(`${name}:${port}`)), drainOf(name)].join();
      const known = last?.get(accepted);
      const now = known?.statuses === statuses ? known : {
        statuses,
        registrations: registrations({ services: new Map([[file, accepted]]) }, host, statusOf, drainOf),
      };
      kept.set(accepted, now);
      all.push(...now.registrations);
    }
    before = { host, kept };
    return all;
  };
}

/** What a service comes to with the statuses of its ports. */
interface Kept {
  readonly statuses: string;
  readonly registrations: readonly Registration[];
}

/**
 * What is to be registered: ports that are up are present, ports that are down
 * absent, of the others nothing is said. A discovery that is not there yet is
 * named all the same: what is registered elsewhere stays until it comes. What an
 * operator drains is present as draining, or absent. Pure.
 */
export function registrations(
  { services }: Pick<Accepted, "services">,
  host: HostFacts,
  statusOf: (key: string) => "unknown" | "up" | "down",
  drainOf: (service: string) => LocalDrain["how"] | undefined = () => undefined,
): readonly Registration[] {
  return [...services.values()].flatMap(({ service, options }) =>
    service.ports.flatMap((port): Registration[] => {
      const status = statusOf(`${service.name}:${port}`);
      if (status === "unknown") return [];
      const zone = host.zone === undefined ? {} : { zone: host.zone };
      const peer = { name: host.fqdn, ip: host.ip, port: host.peerPort ?? PEER_PORT };
      const { metadata, weight, labels, priority } = service;
      const node: Node = {
        host: host.fqdn,
        ip: host.ip,
        port,
        peer,
        metadata,
        ...weight !== undefined && { weight },
        ...priority !== undefined && { priority },
        ...labels !== undefined && { labels },
        ...zone,
      };
      const drain = drainOf(service.name);
      const wanted = status === "up" && drain !== "deregister" ? "present" : "absent";
      const draining = drain === "drain" && { isDraining: true };
      return service.sources.map(({ name, discovery }): Registration => {
        const own = options?.get(name);
        return {
          discovery,
          cluster: service.name,
          node,
          wanted,
          ...own !== undefined && { options: own },
          ...draining,
        };
      });
    })
  );
}
