import type { Collector } from "../metrics/meter.ts";
import type { Health } from "./health.ts";
import type { Parts } from "./status.ts";
import type { ClusterStatus, Status } from "./status_shape.ts";

const CLUSTER_STATES: readonly ClusterStatus["state"][] = ["current", "stale", "held", "last-known", "unknown"];

/** Exposes how all stands as gauges: another format of the same value as /status and /health. Pure. */
export function projectStatus(
  to: Collector,
  { status, health, parts }: { readonly status: Status; readonly health: Health; readonly parts: Pick<Parts, "live"> },
): void {
  to.add("lighthouse_health_findings", { severity: "failing" }, health.reasons?.length ?? 0);
  to.add("lighthouse_health_findings", { severity: "degraded" }, health.degraded?.length ?? 0);
  projectConfig(to, status.config);
  for (const [service, port] of Object.entries(status.services)) projectService(to, service, port);
  for (const [discovery, { registry }] of Object.entries(status.discovery)) {
    to.add("lighthouse_registry_connected", { discovery }, Number(registry === "connected"));
  }
  for (const [cluster, known] of Object.entries(status.clusters)) projectCluster(to, cluster, known, parts);
  for (const [balancer, known] of Object.entries(status.balancers)) projectBalancer(to, balancer, known);
  projectWorkers(to, status);
}

function projectConfig(to: Collector, { errors, warnings, unreadable, readSeconds }: Status["config"]): void {
  to.add("lighthouse_config_findings", { severity: "error" }, errors);
  to.add("lighthouse_config_findings", { severity: "warning" }, warnings);
  to.add("lighthouse_config_readable", {}, Number(unreadable === null));
  if (readSeconds !== null) to.add("lighthouse_config_read_age_seconds", {}, readSeconds);
}

function projectService(
  to: Collector,
  service: string,
  { status, checks, registration }: Status["services"][string],
): void {
  if (status !== "unknown") to.add("lighthouse_service_up", { service }, Number(status === "up"));
  for (const { name: check, passes } of checks) {
    if (passes !== null) to.add("lighthouse_check_passing", { service, check }, Number(passes));
  }
  if (registration === null) return;
  to.add("lighthouse_registration_pending", { service }, Number(!registration.done));
  to.add("lighthouse_registration_contested", { service }, Number(registration.contestedBy !== null));
}

function projectCluster(to: Collector, cluster: string, known: ClusterStatus, { live }: Pick<Parts, "live">): void {
  const nodes = live.nodes(cluster) ?? [];
  const draining = nodes.filter(({ state }) => state === "drain").length;
  to.add("lighthouse_cluster_members", { cluster, state: "ready" }, nodes.length - draining);
  to.add("lighthouse_cluster_members", { cluster, state: "drain" }, draining);
  for (const state of CLUSTER_STATES) {
    to.add("lighthouse_cluster_state", { cluster, state }, Number(state === known.state));
  }
  if (known.ageSeconds !== null) to.add("lighthouse_cluster_age_seconds", { cluster }, known.ageSeconds);
}

function projectBalancer(to: Collector, balancer: string, known: Status["balancers"][string]): void {
  to.add("lighthouse_balancer_in_sync", { balancer }, Number(known.inForce));
  to.add("lighthouse_balancer_out_of_sync_seconds", { balancer }, known.inForce ? 0 : known.forSeconds);
  to.add("lighthouse_balancer_old_workers", { balancer }, known.olderPids.length);
  to.add("lighthouse_balancer_file_behind", { balancer }, Number(known.fileBehind !== null));
  to.add("lighthouse_balancer_notices", { balancer }, known.notices.length);
  if (known.counters !== null) {
    const { accepted, handled, requests, open } = known.counters;
    to.add("lighthouse_balancer_connections_accepted_total", { balancer }, accepted);
    to.add("lighthouse_balancer_connections_handled_total", { balancer }, handled);
    to.add("lighthouse_balancer_requests_total", { balancer }, requests);
    for (const [state, count] of Object.entries<number>(open)) {
      to.add("lighthouse_balancer_connections", { balancer, state }, count);
    }
  }
  for (const [cluster, { nodes }] of Object.entries(known.clusters)) {
    to.add("lighthouse_balancer_members", { balancer, cluster }, nodes);
  }
}

function projectWorkers(to: Collector, { workers, stuckThreads, hungPlugins }: Status): void {
  const kindOf = (key: string) => /^(?:discovery|notifier) /.exec(key)?.[0].trim() ?? "check";
  for (const kind of ["check", "discovery", "notifier"]) {
    const own = Object.entries(workers).filter(([key]) => kindOf(key) === kind);
    const serving = own.filter(([, { serving }]) => serving).length;
    to.add("lighthouse_workers", { kind, state: "serving" }, serving);
    to.add("lighthouse_workers", { kind, state: "down" }, own.length - serving);
  }
  to.add("lighthouse_stuck_threads", {}, stuckThreads);
  to.add("lighthouse_hung_plugins", {}, hungPlugins.length);
}
