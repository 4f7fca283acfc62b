import { createHash } from "node:crypto";
import type { Occurrence, Standing } from "../balance/standing.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { redact } from "../config/redact.ts";
import type { PortReport } from "../reporter/monitor.ts";
import type { Cluster } from "../model/cluster.ts";
import { type RegistrySource, sourceKey } from "../model/registry_source.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import { type Orders, pauseOf } from "../model/override.ts";
import type { HostFacts, Wanted } from "../plugin/contract.ts";
import type { Hold } from "../membership/guard.ts";
import type { Registration, RegistrationReport } from "../reporter/registrar.ts";
import type { Emptied, LiveTopology } from "../membership/live_topology.ts";
import type { MembershipGuard } from "../membership/membership_guard.ts";
import type { DecidedShares, Traffic } from "../membership/traffic.ts";
import type { SourceMembers } from "../membership/source_members.ts";
import type { WorkerReport } from "../supervisor/fleet.ts";
import { discoveryId } from "../config/accept.ts";
import type { Accepted } from "../config/accepted.ts";
import type { Reading } from "../config/reading.ts";
import type { Reachable } from "../membership/connectivity.ts";
import type {
  BalancerStatus,
  CheckStatus,
  ClusterSourceStatus,
  ClusterStatus,
  ConfigStatus,
  DiscoveryStatus,
  Event,
  ServedClusterStatus,
  ServiceStatus,
  Status,
} from "./status_shape.ts";

/** The parts of a running {@linkcode App}, to be read and never to be changed. */
export interface Parts {
  /** The config directory, as it was named. */
  readonly dir: string;
  readonly role: Status["role"];
  readonly reading: Reading;
  /** The active config; `undefined` before the first one. */
  readonly accepted: Accepted | undefined;
  readonly live: Pick<LiveTopology, "nodes" | "origins" | "heard" | "stale" | "emptied" | "generation" | "confirmedMs">;
  readonly membership: Pick<MembershipGuard, "hold" | "sourceHold" | "owners" | "conflicts" | "chosen">;
  readonly members: Pick<SourceMembers, "of">;
  readonly connectivity: { of(worker: string): Reachable | undefined };
  readonly announcement: { readonly facts: HostFacts | undefined; readonly refusal: string | undefined };
  readonly fleet: {
    readonly workers: ReadonlyMap<string, WorkerReport>;
    readonly stuckThreads: number;
    /** The file descriptors of the process, as last counted; `undefined` where they cannot be. */
    readonly openFiles: { readonly open: number; readonly limit: number } | undefined;
  };
  readonly monitor: { readonly ports: ReadonlyMap<string, PortReport> };
  readonly registrar: { readonly report: readonly RegistrationReport[] };
  readonly balancers: ReadonlyMap<string, { readonly writer: { readonly standing: Standing } }>;
  /** What operators have said, and that holds. */
  readonly orders: { readonly now: Orders };
  readonly traffic: Pick<Traffic, "decided">;
  /** Whether it was asked to end. */
  readonly isStopping: boolean;
}

/** What the process knows of itself. Times are in milliseconds of the app's clock. */
export interface ProcessFacts {
  readonly version: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly nowMs: number;
  /** How late the main loop is. */
  readonly lateMs: number;
}

/** No more findings of the config are shown. */
const FINDINGS_MAX = 20;

/** No more members of a cluster are listed. */
const MEMBERS_SHOWN_MAX = 1_000;

/** No more contradictions of a cluster's sources are shown. */
const CONFLICTS_MAX = 100;

/** No more notices of a balancer are shown. */
const NOTICES_MAX = 100;

/** Why the members of a cluster are held, by the guard's cause. */
const HELD: { readonly [cause in Hold["cause"]]: string } = {
  empty: "registry reports no nodes",
  few: "registry reports fewer nodes than min_nodes",
  many: "registry reports more nodes than max_nodes",
  shrunk: "registry removes more nodes at once than max_shrink_percent allows",
  missing: "registry has no such cluster",
  behind: "registry lacks nodes after a new session, failover or reset",
};

/** Says how all stands, from what the parts say. Pure. */
export function statusOf(parts: Parts, { version, pid, startedMs, nowMs, lateMs }: ProcessFacts): Status {
  const { accepted, role } = parts;
  const age: Age = (atMs) => seconds(nowMs - atMs);
  const clusters = role === "reporter" ? [] : [...accepted?.clusters.values() ?? []];
  return {
    version,
    role,
    pid,
    upSeconds: age(startedMs),
    stopping: parts.isStopping,
    loop: { lateSeconds: seconds(lateMs) },
    host: hostOf(parts),
    config: configOf(parts, age),
    discovery: byName([...accepted?.discovery.keys() ?? []].map((name) => [name, discoveryOf(name, parts, age)])),
    clusters: byName(clusters.map(({ cluster }) => [cluster.name, clusterOf(cluster, parts, age, nowMs)])),
    balancers: byName(
      [...parts.balancers].map(([name, { writer }]) => [name, balancerOf(name, writer.standing, parts, age)]),
    ),
    services: byName(servicesOf(parts, age)),
    workers: byName(
      [...parts.fleet.workers].map(([key, { down, sinceMs, outdated }]) => [key, {
        serving: down === undefined,
        forSeconds: age(sinceMs),
        reason: shown(down),
        outdated: outdated === undefined
          ? null
          : { reason: shown(outdated.reason) ?? "", forSeconds: age(outdated.sinceMs) },
      }]),
    ),
    stuckThreads: parts.fleet.stuckThreads,
    hungPlugins: parts.reading.hung.map((each) => ({ ...each, reason: shown(each.reason) ?? "" })),
  };
}

/**
 * Names a set of members: the first 16 digits of the SHA-256 of the lines
 * `name ip`, sorted. Two hosts that serve the same members show the same. Pure.
 */
export function nameMembers(nodes: readonly Pick<Node, "host" | "port" | "ip">[]): string {
  const lines = nodes.map((node) => `${nodeName(node)} ${node.ip}\n`).toSorted();
  return createHash("sha256").update(lines.join("")).digest("hex").slice(0, 16);
}

/** How long ago something was, in seconds. */
type Age = (atMs: number) => number;

function seconds(ms: number): number {
  return Math.round(ms) / 1_000;
}

/** A text as it may be shown. */
function shown(text: string | undefined): string | null {
  return text === undefined ? null : redact(text);
}

function eventOf(entry: Occurrence | undefined, age: Age): Event | null {
  return entry === undefined ? null : { text: redact(entry.text), agoSeconds: age(entry.atMs) };
}

function byName<T>(entries: readonly (readonly [string, T])[]): Readonly<Record<string, T>> {
  // Names come from files and registries: "__proto__" is one like any other.
  return Object.fromEntries(entries.toSorted(([a], [b]) => a < b ? -1 : 1));
}

function hostOf({ announcement: { facts, refusal }, role }: Parts): Status["host"] {
  if (facts === undefined) return null;
  return { name: facts.fqdn, ip: facts.ip, refused: role === "writer" ? null : refusal ?? null };
}

function configOf({ dir, reading }: Parts, age: Age): ConfigStatus {
  const { readMs, takenMs, unread, diagnostics } = reading;
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const warnings = diagnostics.filter(({ severity }) => severity === "warning");
  return {
    dir,
    readSeconds: readMs === undefined ? null : age(readMs),
    takenSeconds: takenMs === undefined ? null : age(takenMs),
    unreadable: shown(unread),
    errors: errors.length,
    warnings: warnings.length,
    findings: [...errors, ...warnings].slice(0, FINDINGS_MAX)
      .map((diagnostic) => redact(formatDiagnostic({ ...diagnostic, excerpt: undefined }))),
  };
}

function discoveryOf(name: string, { fleet, connectivity }: Parts, age: Age): DiscoveryStatus {
  const id = discoveryId(name);
  const worker = fleet.workers.get(id);
  const registry = connectivity.of(id);
  return {
    worker: worker === undefined ? "not started yet" : shown(worker.down) ?? "serving",
    registry: registry?.state ?? "unknown",
    forSeconds: registry === undefined ? null : age(registry.sinceMs),
    detail: shown(registry?.detail),
  };
}

function clusterOf(cluster: Cluster, parts: Parts, age: Age, nowMs: number): ClusterStatus {
  const { name, sources, combine } = cluster;
  const { live, accepted, membership } = parts;
  const isCombined = sources.length > 1;
  const owners = membership.owners(name);
  const confirmedMs = live.confirmedMs(name, nowMs);
  const ageSeconds = confirmedMs === undefined ? null : age(confirmedMs);
  const nodes = live.nodes(name) ?? [];
  return {
    discovery: namesOf(sources),
    combine: isCombined ? combine.policy : null,
    follows: membership.chosen(name) ?? null,
    sources: byName(isCombined ? sources.map((each) => [each.name, sourceOf(name, each, parts, age)]) : []),
    conflicts: membership.conflicts(name).slice(0, CONFLICTS_MAX),
    ...trustOf(cluster, parts, age),
    ageSeconds,
    outdated: ageSeconds !== null && ageSeconds * 1_000 > (accepted?.settings.maxAgeMs ?? Infinity),
    nodes: nodes.length,
    emptied: emptiedOf(live.emptied(name)),
    members: nameMembers(nodes),
    memberList: nodes.slice(0, MEMBERS_SHOWN_MAX).map((node) => {
      const origin = live.origins(name).get(nodeName(node));
      const since = origin && new Date(origin.sinceMs).toJSON();
      const all = isCombined ? owners.get(nodeName(node)) ?? [] : [];
      return { name: nodeName(node), source: origin?.source ?? null, sources: all, since: since ?? null };
    }),
    generation: live.generation(name) ?? null,
  };
}

function emptiedOf(emptied: Emptied | undefined): ClusterStatus["emptied"] {
  if (emptied === undefined) return null;
  const { had, sinceMs } = emptied;
  return { had, since: sinceMs === undefined ? null : new Date(sinceMs).toJSON() };
}

/** The discoveries of a file, as one line. */
function namesOf(sources: readonly RegistrySource[]): string {
  return sources.map(({ name }) => name).join(", ");
}

/** Why sources are not watched at all; `undefined` if they are. */
function whyUnwatched(sources: readonly RegistrySource[], { accepted }: Parts): string | undefined {
  const missing = sources.find(({ discovery }) => accepted?.discovery.has(discovery) !== true);
  return missing && `No valid discovery/${missing.discovery}.yaml`;
}

function sourceOf(cluster: ClusterName, source: RegistrySource, parts: Parts, age: Age): ClusterSourceStatus {
  const key = { cluster, source: sourceKey(source) };
  const { nodes, isHeard, stale } = parts.members.of(key);
  const hold = parts.membership.sourceHold(key);
  const reason = shown(whyUnwatched([source], parts) ?? stale?.reason);
  const forSeconds = stale === undefined ? null : age(stale.sinceMs);
  const state = nodes === undefined && !isHeard
    ? "unknown"
    : !isHeard
    ? "last-known"
    : reason !== null
    ? "stale"
    : "current";
  const rest = { discovery: source.discovery, nodes: nodes?.length ?? 0 };
  return state === "current" && hold !== undefined
    ? { ...rest, state: "held", reason: HELD[hold.cause], forSeconds: age(hold.since) }
    : { ...rest, state, reason, forSeconds };
}

function trustOf(
  { name, sources }: Cluster,
  parts: Parts,
  age: Age,
): Pick<ClusterStatus, "state" | "reason" | "forSeconds"> {
  const { live, membership } = parts;
  const hold = membership.hold(name);
  const stale = live.stale(name);
  const unwatched = whyUnwatched(sources, parts);
  const why = {
    reason: shown(unwatched ?? stale?.reason),
    forSeconds: stale === undefined ? null : age(stale.sinceMs),
  };
  if (live.nodes(name) === undefined) {
    if (why.reason !== null || hold === undefined) return { state: "unknown", ...why };
    // A limit of the config keeps even the first members out until somebody acts; other holds end by themselves.
    const state = hold.cause === "many" || hold.cause === "few" ? "held" : "unknown";
    return { state, reason: HELD[hold.cause], forSeconds: age(hold.since) };
  }
  if (!live.heard(name)) return { state: "last-known", ...why };
  if (why.reason !== null) return { state: "stale", ...why };
  if (hold !== undefined) return { state: "held", reason: HELD[hold.cause], forSeconds: age(hold.since) };
  return { state: "current", reason: null, forSeconds: null };
}

function balancerOf(
  balancer: string,
  standing: Standing,
  { traffic, orders, accepted }: Parts,
  age: Age,
): BalancerStatus {
  const { inForce, sinceMs, served, isGone, turnedMs, seenMs, underWay, lastReload, reloads, starts } = standing;
  const pause = pauseOf(orders.now.pauses, balancer);
  return {
    inForce,
    forSeconds: age(sinceMs),
    gone: isGone,
    paused: pause === undefined ? null : {
      author: redact(pause.author),
      reason: pause.reason === "" ? null : redact(pause.reason),
      until: pause.untilMs === undefined ? null : new Date(pause.untilMs).toJSON(),
    },
    standby: standing.standby ?? null,
    lookedSeconds: turnedMs === undefined ? null : age(turnedMs),
    seenSeconds: seenMs === undefined ? null : age(seenMs),
    olderPids: standing.oldWorkers,
    underWay: eventOf(underWay, age),
    generation: served?.generation ?? null,
    clusters: byName(
      (served?.wanted.clusters ?? []).map((
        { name, nodes },
      ) => [name, {
        nodes: nodes.length,
        members: nameMembers(nodes.map(({ node }) => node)),
        ...sharesOf(traffic.decided(balancer, name)),
      }]),
    ),
    reloads,
    starts,
    lastReload: eventOf(lastReload, age),
    lastError: eventOf(standing.lastError, age),
    notices: standing.notices.slice(0, NOTICES_MAX).map(({ text }) => redact(text)),
    unserved: unservedOf(balancer, served?.wanted, accepted),
    leftOut: served?.wanted.leftOut?.length ?? 0,
    fileBehind: eventOf(standing.fileBehind, age),
    counters: standing.counters ?? null,
    waits: standing.waits.map(({ why, untilMs }) => ({ why, inSeconds: -age(untilMs) })),
  };
}

/** The clusters that a balancer was last seen to serve, compared with those of the config. */
function unservedOf(balancer: string, served: Wanted | undefined, accepted: Accepted | undefined): readonly string[] {
  if (served === undefined) return [];
  const names = new Set(served.clusters.map(({ name }) => name));
  return [...accepted?.clusters.values() ?? []]
    .filter(({ cluster, sections }) => sections.has(balancer) && !names.has(cluster.name))
    .map(({ cluster }) => cluster.name).toSorted();
}

function sharesOf(
  decided: DecidedShares | undefined,
): Pick<ServedClusterStatus, "shares" | "sharesChangeInSeconds"> {
  if (decided === undefined) return { shares: null, sharesChangeInSeconds: null };
  const { nodes, changesInMs } = decided;
  return {
    shares: nodes.slice(0, MEMBERS_SHOWN_MAX).map(({ node, from, share, weight, state, pool, isDown, factors }) => ({
      name: nodeName(node),
      from: from ?? null,
      share: Math.round(share * 10_000) / 10_000,
      weight: pool === "overflow" ? 0 : weight ?? null,
      state,
      pool,
      down: isDown,
      factors: factors.map(({ name, value, detail }) => ({
        name,
        value: Math.round(value * 10_000) / 10_000,
        detail: shown(detail),
      })),
    })),
    sharesChangeInSeconds: changesInMs === Infinity ? null : seconds(Math.max(0, changesInMs)),
  };
}

function servicesOf(
  { accepted, monitor, registrar }: Parts,
  age: Age,
): readonly (readonly [string, ServiceStatus])[] {
  const { ports } = monitor;
  const { report } = registrar;
  return [...accepted?.services.values() ?? []].flatMap(({ service, options }) =>
    service.ports.flatMap((port) => {
      const key = `${service.name}:${port}`;
      const known = ports.get(key);
      if (known === undefined) return [];
      const registrations = report.filter(({ registration: { cluster, node } }) =>
        cluster === service.name && node.port === port
      );
      const inSource = ({ discovery, name }: RegistrySource) => {
        const own = JSON.stringify(options?.get(name));
        return registrations.filter(({ registration }) =>
          registration.discovery === discovery && JSON.stringify(registration.options) === own
        );
      };
      const isMeant = (registration: Registration) =>
        service.sources.some(({ discovery }) => discovery === registration.discovery);
      const isListed = service.sources.length > 1;
      return [[key, {
        ...statusOfPort(known, age),
        checks: known.checks.map((check) => checkOf(check, age)),
        discovery: namesOf(service.sources),
        registration: registrationOf(registrations.filter(({ registration }) => isMeant(registration))),
        registrations: byName(
          isListed ? service.sources.map((source) => [source.name, registrationOf(inSource(source))]) : [],
        ),
      }]] as const;
    })
  );
}

/** How a port stands: up or down as its checks have proven, and unknown while one that passed cannot be made. */
function statusOfPort(
  { status, sinceMs, checks }: PortReport,
  age: Age,
): Pick<ServiceStatus, "status" | "reason" | "forSeconds"> {
  const blind = checks.find(({ unknown }) => unknown !== undefined);
  if (blind?.unknown === undefined || status === "down") return { status, reason: null, forSeconds: age(sinceMs) };
  const { sinceMs: blindMs, reason } = blind.unknown;
  const meanwhile = status === "up" ? "counts as up" : "the service has not been up yet";
  return {
    status: "unknown",
    reason: redact(`Check ${blind.name} cannot run: ${reason}; ${meanwhile}`),
    forSeconds: age(blindMs),
  };
}

function checkOf(
  { name, verdict, probedMs, failure, unknown, intervalMs, timeoutMs }: PortReport["checks"][number],
  age: Age,
): CheckStatus {
  return {
    name,
    passes: verdict.up ?? null,
    probedSeconds: age(probedMs),
    failure: shown(failure),
    unknown: eventOf(unknown && { text: unknown.reason, atMs: unknown.sinceMs }, age),
    intervalSeconds: seconds(intervalMs),
    timeoutSeconds: seconds(timeoutMs),
  };
}

/** How a port is registered; one that changes its name has two registrations for a while. */
function registrationOf(reports: readonly RegistrationReport[]): ServiceStatus["registration"] {
  const last = reports.at(-1);
  if (last === undefined) return null;
  return {
    wanted: reports.some(({ registration }) => registration.wanted === "present") ? "present" : "absent",
    done: reports.every(({ isDone }) => isDone),
    failure: shown(reports.find(({ failure }) => failure !== undefined)?.failure),
    contestedBy: shown(reports.find(({ contestedBy }) => contestedBy !== undefined)?.contestedBy),
  };
}
