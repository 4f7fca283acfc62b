import { formatDuration } from "../kernel/duration.ts";
import type { Status } from "./status_shape.ts";

/** What `GET /health` answers. */
export interface Health {
  readonly status: "ok" | "failing" | "stopping";
  /** What of its own work Lighthouse does not do. */
  readonly reasons?: readonly string[];
  /** What keeps it from doing more, though it does its work. */
  readonly degraded?: readonly string[];
}

/** How late is too late, in seconds. */
export interface HealthLimits {
  /** For the main loop. */
  readonly loop: number;
  /** For whatever is done again and again: to look at the config, at a balancer, to probe. */
  readonly work: number;
  /** For a worker to be in service again. */
  readonly worker: number;
  /** For steps under way: a `reload_command` may take ten minutes. */
  readonly steps: number;
  /** For what takes a moment as a rule, before it is reported. */
  readonly settle: number;
}

/** The limits, unless a test has others. */
export const HEALTH_LIMITS: HealthLimits = { loop: 5, work: 60, worker: 60, steps: 660, settle: 10 };

/** A check may miss so many of its probes. */
const PROBES_MISSED_MAX = 3;

/**
 * Judges whether Lighthouse does its work. Problems outside Lighthouse are no
 * failure: an unreachable registry, a rejected config, a balancer that does not
 * answer. Pure.
 */
export function judgeHealth(status: Status, limits: HealthLimits = HEALTH_LIMITS): Health {
  if (status.stopping) return { status: "stopping" };
  const reasons = [...failures(status, limits)];
  const degraded = [...hindrances(status, limits)];
  return {
    status: reasons.length > 0 ? "failing" : "ok",
    ...reasons.length > 0 && { reasons },
    ...degraded.length > 0 && { degraded },
  };
}

/** Writes an age as an operator reads it: whole seconds, and `300ms` of what is younger than one. */
function spoken(seconds: number): string {
  return seconds < 1 ? formatDuration(Math.round(1_000 * seconds)) : `${Math.round(seconds)}s`;
}

/** So many names are listed. */
const NAMES_MAX = 10;

function listed(names: readonly string[]): string {
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return names.slice(0, NAMES_MAX).join(", ") + more;
}

function* failures(status: Status, { loop, work, worker, steps }: HealthLimits): Generator<string> {
  const { config, upSeconds, stuckThreads } = status;
  if (status.loop.lateSeconds > loop) yield `Main loop is delayed by ${spoken(status.loop.lateSeconds)}`;
  const unreadFor = config.readSeconds ?? upSeconds;
  if (unreadFor > work) yield `Config directory has not been read for ${spoken(unreadFor)}`;
  for (const [name, { lookedSeconds, forSeconds, underWay }] of Object.entries(status.balancers)) {
    const isAtIt = underWay !== null && underWay.agoSeconds <= steps;
    // The very first look may hang like any other.
    const unendedFor = lookedSeconds ?? forSeconds;
    if (unendedFor <= work || isAtIt) continue;
    const at = underWay === null ? "" : `; step ${underWay.text} has been running for ${spoken(underWay.agoSeconds)}`;
    yield `Writer has not completed a reconcile of balancer ${name} for ${spoken(unendedFor)}${at}`;
  }
  for (const [name, { gone, paused }] of Object.entries(status.balancers)) {
    if (gone && paused !== null) {
      yield `Balancer ${name} is not running, and will not be started while its management is paused`;
    }
  }
  for (const [key, { checks }] of Object.entries(status.services)) {
    for (const { name, probedSeconds, intervalSeconds, timeoutSeconds } of checks) {
      const most = Math.max(work, PROBES_MISSED_MAX * (intervalSeconds + timeoutSeconds));
      if (probedSeconds > most) yield `Check ${name} has not probed ${key} for ${spoken(probedSeconds)}`;
    }
  }
  for (const [key, { serving, forSeconds, reason }] of Object.entries(status.workers)) {
    if (!serving && forSeconds > worker) {
      yield `Worker ${key} has not been in service for ${spoken(forSeconds)}: ${reason}`;
    }
  }
  if (stuckThreads > 0) {
    yield `${stuckThreads} ${stuckThreads === 1 ? "worker thread" : "worker threads"} cannot be stopped`;
  }
}

function* hindrances(status: Status, { worker, settle }: HealthLimits): Generator<string> {
  const { unreadable, errors } = status.config;
  const refused = status.host?.refused ?? null;
  if (refused !== null && Object.keys(status.services).length > 0) yield refused;
  if (unreadable !== null) yield `Cannot read the config directory: ${unreadable}`;
  if (errors > 0) {
    yield `The config has ${errors} ${errors === 1 ? "error" : "errors"}; the last valid version stays active`;
  }
  for (const [name, { registry, forSeconds, detail }] of Object.entries(status.discovery)) {
    if (registry === "disconnected") {
      const since = forSeconds === null ? "" : ` for ${spoken(forSeconds)}`;
      yield `Registry ${name} has been unreachable${since}: ${detail}`;
    }
  }
  for (const [name, { outdated, ageSeconds }] of Object.entries(status.clusters)) {
    if (outdated) yield `Members of cluster ${name} were last confirmed ${ageSeconds}s ago, longer than max_age`;
  }
  for (const [name, { emptied }] of Object.entries(status.clusters)) {
    if (emptied === null) continue;
    const since = emptied.since === null ? "" : ` since ${emptied.since}`;
    yield `Cluster ${name} has had no nodes${since}; previously ${emptied.had}`;
  }
  for (const [name, { state, reason, forSeconds }] of Object.entries(status.clusters)) {
    const since = forSeconds === null ? "" : ` for ${spoken(forSeconds)}`;
    const why = reason === null ? "" : `: ${reason}`;
    if (state === "stale") yield `Cluster ${name} has been stale${since}${why}`;
    if (state === "held") yield `A membership change of cluster ${name} has been held${since}${why}`;
    if (state === "last-known") yield `Cluster ${name} is served from last known good members${why}`;
  }
  for (const [name, { unserved, leftOut, lastError, inForce }] of Object.entries(status.balancers)) {
    // What is not there yet is said below.
    if (!inForce) continue;
    const why = lastError === null ? "" : `: ${lastError.text}`;
    if (unserved.length > 0) yield `Balancer ${name} does not serve ${listed(unserved)}${why}`;
    else if (leftOut > 0) {
      yield `Balancer ${name} skips ${leftOut} ${leftOut === 1 ? "part" : "parts"} of its config${why}`;
    }
  }
  for (const [name, balancer] of Object.entries(status.balancers)) {
    const { inForce, forSeconds, lastError, fileBehind, paused, standby } = balancer;
    if (paused !== null) {
      const until = paused.until === null ? "" : ` until ${paused.until}`;
      yield `Management of balancer ${name} is paused by ${paused.author}${until}: ${
        paused.reason ?? "no reason given"
      }`;
      continue;
    }
    if (standby !== null) yield `This writer is on standby for balancer ${name}: ${standby}`;
    if (fileBehind !== null && fileBehind.agoSeconds > settle) {
      yield `The file of balancer ${name} has been older than the running config for ${
        spoken(fileBehind.agoSeconds)
      }: ${fileBehind.text}`;
    }
    if (inForce || forSeconds <= settle) continue;
    const why = lastError === null ? "" : `: ${lastError.text}`;
    yield `Balancer ${name} has been out of sync for ${spoken(forSeconds)}${why}`;
  }
  for (const [key, { status: state, forSeconds, checks }] of Object.entries(status.services)) {
    if (state !== "down") continue;
    const failing = checks.filter(({ passes }) => passes === false)
      .map(({ name, failure }) => `${name}: ${failure ?? "no reason given"}`);
    yield [`Service ${key} has been down for ${spoken(forSeconds)}`, ...failing].join("; ");
  }
  for (const [key, { checks }] of Object.entries(status.services)) {
    for (const { name, passes, unknown } of checks) {
      if (unknown === null) continue;
      const meanwhile = { true: "counts as up", false: "counts as down", null: "no result yet" }[`${passes}`];
      yield `Check ${name} of ${key} has been unable to run for ${
        spoken(unknown.agoSeconds)
      } (${meanwhile}): ${unknown.text}`;
    }
  }
  for (const [key, { registration }] of Object.entries(status.services)) {
    if (registration !== null && registration.contestedBy !== null) {
      const name = status.host === null ? "" : `, ${status.host.name}`;
      yield `${key} is contested: the host at ${registration.contestedBy} registers the same node name${name}`;
    }
    if (registration === null || registration.failure === null) continue;
    yield `${key} should be ${registration.wanted} in its registry, but is not: ${registration.failure}`;
  }
  for (const [key, { serving, forSeconds, reason, outdated }] of Object.entries(status.workers)) {
    if (outdated !== null && outdated.forSeconds > settle) {
      yield `Worker ${key} has been running with the previous config for ${
        spoken(outdated.forSeconds)
      }: ${outdated.reason}`;
    }
    const isToBeTold = forSeconds > settle && forSeconds <= worker;
    if (!serving && isToBeTold) yield `Worker ${key} has not been in service for ${spoken(forSeconds)}: ${reason}`;
  }
}
