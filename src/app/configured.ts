/**
 * Whether what an event is about is in the config. Pure.
 *
 * @module
 */
import type { Accepted } from "../config/accepted.ts";
import type { EventRecord } from "../model/event_record.ts";

/** The parts of a config that events are about. */
export type Subjects = Pick<Accepted, "balancers" | "clusters" | "services">;

/**
 * Whether a config has what an event is about: its worker, balancer, service with its port and check, and cluster. A
 * registration is ended by the registrar, which deregisters what has left the config, and an override by itself.
 */
export function isConfigured(
  { event, fields: { worker, balancer, service, check, cluster } }: EventRecord,
  { balancers, clusters, services }: Subjects,
  workers: { has(worker: string): boolean },
): boolean {
  if (event.startsWith("registration.") || event.startsWith("override.")) return true;
  if (typeof worker === "string" && !workers.has(worker)) return false;
  if (typeof balancer === "string" && !balancers.has(balancer)) return false;
  if (typeof cluster === "string" && !clusters.has(cluster)) return false;
  if (typeof service !== "string") return true;
  const [name, port] = /^(.*):([0-9]+)$/.exec(service)?.slice(1) ?? [service];
  return [...services.values()].some((each) =>
    each.service.name === name &&
    (port === undefined || each.service.ports.includes(Number(port))) &&
    (typeof check !== "string" || each.probes.some((probe) => probe.check.name === check))
  );
}
