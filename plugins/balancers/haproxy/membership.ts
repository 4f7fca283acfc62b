import { canonicalAddress } from "../../../src/model/canonical_address.ts";
import type { CommandStep, RejectedCommand } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import { freeServerId, isAtLeast, type Version } from "./backend.ts";
import type { HaproxyCluster } from "./config.ts";
import type { RunningHaproxy, RunningServer } from "./observe.ts";
import type { Member, ServedCluster } from "./served.ts";
import { learntRejections, missingFiles, rejectedOption } from "./server_options.ts";

/** The weight of a server whose lines set none. */
const WEIGHT_DEFAULT = 1;

/** How many names a reason lists before it counts the rest. */
const NAMES_IN_REASON = 5;

/** How long the first checks of a new member may take. */
const FIRST_CHECKS_MS = 30_000;

/** HAProxy's answer to a command that succeeds silently. */
const SILENCE = "";
const ADDED = "New server registered\\.";
/** `nothing changed` is the answer of 3.0 and later for an address that is set already. */
const MOVED = "(?:IP changed from|port changed from|no need to change|nothing changed)[^]*";
/**
 * A server with connections, or one that other lines refer to, stays in maintenance: it gets no new requests,
 * and a later plan tries again.
 */
const DELETED = "Server deleted\\.|Server still has connections attached to it, cannot remove it\\.|" +
  "This server cannot be removed at runtime due to other configuration elements pointing to it\\.";

/**
 * How long a plan waits until leaving servers can be deleted, and how many of them: HAProxy 3.4 closes their
 * idle connections a moment after they went to maintenance, and each would need a second look. One that has
 * requests delays the following steps for no longer.
 */
const REMOVABLE_WAIT_MS = 20, REMOVABLE_WAITS_MAX = 5;

/** What to do about members. */
export interface MembershipPlan {
  /** What is done over the socket. */
  readonly steps: readonly CommandStep[];
  /** What cannot be done over the socket, one sentence for each cause. */
  readonly reloadReasons: readonly string[];
}

/**
 * The steps over the socket, in waves: no server gets fewer requests before all that get more do, none is disabled before
 * that, nor deleted before all others are disabled. In between, a backend would have no server, and requests would fail.
 */
export function planMembership(
  clusters: readonly ServedCluster[],
  running: RunningHaproxy,
  { marked, rejected, sentAgoMs }: {
    /** Whether the running process was started with the desired structure. */
    readonly marked: boolean;
    readonly rejected: readonly RejectedCommand[];
    readonly sentAgoMs: ReadonlyMap<string, number> | undefined;
  },
): MembershipPlan {
  const learnt = learntRejections(rejected);
  const lacking = missingFiles(rejected);
  const adds: CommandStep[] = [],
    gains: CommandStep[] = [],
    losses: CommandStep[] = [],
    removals: CommandStep[] = [],
    deletions: CommandStep[] = [];
  const reloadReasons: string[] = [];
  let waits = isAtLeast(running.version, 3, 0) ? REMOVABLE_WAITS_MAX : 0;
  for (const cluster of clusters) {
    const backend = cluster.wanted.name;
    if (cluster.traits.disabled) continue;
    const servers = running.backends.get(backend);
    if (servers === undefined) {
      // If the mark is correct, the file was replaced under a master, which passes our mark on.
      if (marked) reloadReasons.push(`the running HAProxy has no backend ${backend}`);
      continue;
    }
    const missing: Member[] = [];
    for (const member of cluster.members) {
      const server = servers.get(member.name);
      if (server === undefined && !awaitsItsCheck(cluster, member, running)) missing.push(member);
      else if (server !== undefined) {
        const key = `${backend}/${member.name}`;
        const { steps, isLoss, obstacle } = correct(key, member, { server, cluster, sentAgoMs });
        (isLoss ? losses : gains).push(...steps);
        if (obstacle !== undefined) reloadReasons.push(obstacle);
      }
    }
    if (missing.length > 0) {
      const obstacle = obstacleToAdding(cluster, running.version, { learnt, lacking });
      const used = new Set([...cluster.traits.ownServers.ids, ...[...servers.values()].map(({ id }) => id)]);
      if (obstacle === undefined) adds.push(...missing.flatMap((member) => add(cluster, member, used).steps));
      else reloadReasons.push(`${listNames(missing.map(({ name }) => `${backend}/${name}`))}: ${obstacle}`);
    }
    const staying = new Set(cluster.members.map(({ name }) => name));
    for (const server of servers.values()) {
      if (staying.has(server.name) || cluster.traits.ownServers.has(server.name)) continue;
      const { version } = running;
      const key = `${backend}/${server.name}`;
      const steps = remove(key, server, cluster.wanted.config, { sentAgoMs });
      removals.push(...steps);
      if (!isToBeDeleted(server, steps) || !isAtLeast(version, 2, 6)) continue;
      // A server that left earlier has lasting connections. The deletion reports the same, whatever the
      // answer here.
      if (!server.inMaintenance && waits-- > 0) {
        deletions.push(command(`wait ${REMOVABLE_WAIT_MS}ms srv-removable ${key}`, "[^]*"));
      }
      deletions.push(deletion(key));
    }
  }
  return { steps: [...adds, ...gains, ...losses, ...removals, ...deletions], reloadReasons };
}

/**
 * Whether a member that is missing in a twin has only just joined: it must not get requests, nor count among
 * those that are down, before its first checks had their time.
 */
function awaitsItsCheck({ panicOf }: ServedCluster, { name }: Member, { backends }: RunningHaproxy): boolean {
  if (panicOf === undefined) return false;
  const server = backends.get(panicOf)?.get(name);
  return server === undefined || (server.down && server.sinceS * 1_000 < FIRST_CHECKS_MS);
}

/** Returns why a backend's new members need a reload, or `undefined` if they do not. */
export function obstacleToAdding(
  { wanted: { name }, traits, options }: ServedCluster,
  version: Version | undefined,
  { learnt, lacking }: { readonly learnt: ReadonlySet<string>; readonly lacking: ReadonlyMap<string, string> },
): string | undefined {
  if (!isAtLeast(version, 2, 6)) {
    return `HAProxy ${version?.join(".") ?? "(unknown version)"} cannot add servers at run time; 2.6 and later can`;
  }
  if (!traits.takesServers) {
    const remedy = /^static-rr/.test(traits.balance) ? 'use "balance roundrobin"' : 'use "hash-type consistent"';
    return `"balance ${traits.balance}" cannot add servers at run time; ${remedy}`;
  }
  if (traits.cookie === "keyword" && !isAtLeast(version, 3, 0)) {
    return "HAProxy before 3.0 cannot add a server with a cookie at run time, unless the cookie is dynamic";
  }
  const refused = rejectedOption(options, { version, learnt });
  if (refused !== undefined) return `server option ${refused} cannot be set at run time`;
  const words = lacking.get(name);
  return words === undefined ? undefined : `HAProxy loads files in server options only at start: ${words}`;
}

/** Adds a member; its id is unused so far, and added to `used`. */
export function add(
  { wanted: { name: backend }, traits, ids, options }: ServedCluster,
  member: Member,
  used: { has(id: number): boolean; add(id: number): unknown },
): { readonly id: number; readonly steps: readonly CommandStep[] } {
  const needsCookie = traits.cookie === "keyword" && traits.cookiePrinted;
  const { name, ip, port, state } = member;
  const key = `${backend}/${name}`;
  const planned = ids.get(name);
  const id = planned !== undefined && !used.has(planned) ? planned : freeServerId(name, used);
  used.add(id);
  const cookie = needsCookie ? ["cookie", name] : [];
  const address = formatEndpoint({ host: ip, port });
  const weight = member.isSpare ? 0 : member.weight;
  const given = [key, address, "id", id, ...cookie, ...options, ...weight === undefined ? [] : ["weight", weight]];
  const register = command(["add server", ...given].join(" "), ADDED, { found: `${key} is missing` });
  // It joins in maintenance.
  const steps = [register, ...state === "maint" ? [] : [setState(key, state)]];
  if (options.includes("check")) {
    // In this order the server is down until its first checks have passed; enabled last, it would get
    // requests before.
    if (state !== "maint") steps.push(command(`set server ${key} health down`, SILENCE));
    steps.push(command(`enable health ${key}`, SILENCE));
  }
  if (options.includes("agent-check")) steps.push(command(`enable agent ${key}`, SILENCE));
  return { id, steps };
}

/**
 * Brings an existing server to its desired state; `isLoss` if it gets fewer requests then, `obstacle` is what needs a
 * reload.
 */
export function correct(
  key: string,
  member: Member,
  { server, cluster, sentAgoMs }: {
    readonly server: RunningServer;
    readonly cluster: ServedCluster;
    readonly sentAgoMs: ReadonlyMap<string, number> | undefined;
  },
): { readonly steps: readonly CommandStep[]; readonly isLoss: boolean; readonly obstacle?: string | undefined } {
  const steps: CommandStep[] = [];
  const { ip, port, state } = member;
  const { inMaintenance, down, check, agent } = server;
  const isTracking = cluster.options.includes("track");
  const [is, wanted] = [{ host: server.address, port: server.port }, { host: ip, port }];
  if (canonicalAddress(is.host) !== canonicalAddress(ip) || is.port !== port) {
    const found = `${key} is at ${formatEndpoint(is)} instead of ${formatEndpoint(wanted)}`;
    steps.push(command(`set server ${key} addr ${ip} port ${port}`, MOVED, { found }));
  }
  const { steps: weighing, isLess = false, obstacle } = correctWeight(key, member, { server, cluster });
  const moving = correctState(key, member, { server, sentAgoMs });
  // A server that is to get requests gets its weight first, and one that is not gets none meanwhile.
  steps.push(...state === "ready" ? [...weighing, ...moving] : [...moving, ...weighing]);
  if (check === "stopped") {
    steps.push(command(`enable health ${key}`, SILENCE, { found: `health check of ${key} is disabled` }));
  }
  if (agent === "stopped") {
    steps.push(command(`enable agent ${key}`, SILENCE, { found: `agent check of ${key} is disabled` }));
  }
  // Without a check, only an operator takes a server down, and nothing brings it back.
  if (down && check === "none" && agent === "none" && !inMaintenance && !isTracking) {
    steps.push(command(`set server ${key} health up`, SILENCE, { found: `${key} is down without a health check` }));
  }
  return { steps, isLoss: isLess || state !== "ready", obstacle };
}

/**
 * Gives a server the member's weight, or the one that its lines result in: it may have been added by a line
 * that kept requests from it. A running agent decides on the weight itself.
 */
function correctWeight(
  key: string,
  { weight: own, state, isSpare }: Member,
  { server: { weight, givenWeight, agent }, cluster: { options, traits } }: {
    readonly server: RunningServer;
    readonly cluster: ServedCluster;
  },
): { readonly steps: readonly CommandStep[]; readonly isLess?: boolean; readonly obstacle?: string } {
  const wanted = isSpare ? 0 : own ?? weightOf(options) ?? givenWeight;
  if (agent === "running" || weight === wanted || Number.isNaN(weight)) return { steps: [] };
  if (wanted !== 0 && wanted !== givenWeight && !traits.takesServers) {
    // A server that gets nothing can wait for its weight.
    if (state !== "ready") return { steps: [] };
    return { steps: [], obstacle: `${key}: "balance ${traits.balance}" cannot change weights at run time` };
  }
  const to = wanted === givenWeight ? "100%" : String(wanted);
  const found = `${key} has weight ${weight} instead of ${wanted}`;
  return { steps: [command(`set server ${key} weight ${to}`, SILENCE, { found })], isLess: wanted < weight };
}

/** The weight that a server's options result in; `undefined` if unknown. */
export function weightOf(options: readonly string[]): number | undefined {
  const at = options.lastIndexOf("weight");
  if (at === -1) return WEIGHT_DEFAULT;
  return /^[0-9]{1,3}$/.test(options[at + 1] ?? "") ? Number(options[at + 1]) : undefined;
}

/**
 * Brings a server into its desired state. A running agent may keep a ready one from requests: only what this
 * writer did is undone then.
 */
function correctState(
  key: string,
  { state }: Member,
  { server: { inMaintenance, draining, agent }, sentAgoMs }: {
    readonly server: RunningServer;
    readonly sentAgoMs: ReadonlyMap<string, number> | undefined;
  },
): readonly CommandStep[] {
  const is = inMaintenance ? "maint" : draining ? "drain" : "ready";
  if (is === state) return [];
  const sentMs = (to: Member["state"]) => sentAgoMs?.get(setState(key, to).command) ?? Infinity;
  const isOurs = Math.min(sentMs("drain"), sentMs("maint")) < sentMs("ready");
  if (state === "ready" && agent === "running" && !isOurs) return [];
  const found = `${key} is ${{ maint: "in maintenance", drain: "draining", ready: "in service" }[is]}`;
  // The time at which the command was sent shows since when it drains, and that this writer decided that.
  const isTimed = state !== "ready" || agent === "running";
  return [setState(key, state, { found, ...isTimed && { isTimed } })];
}

function setState(
  key: string,
  state: Member["state"],
  marks: Pick<CommandStep, "found" | "isTimed"> = state === "drain" ? { isTimed: true } : {},
): CommandStep {
  return command(`set server ${key} state ${state}`, SILENCE, marks);
}

/**
 * Takes a leaving server out of use: drained first where its cluster says so, for that long; then in
 * maintenance. The drain is counted from when this writer sent it: since 2.8 HAProxy's own times do not show
 * it, and a new writer sends it again, which changes nothing else.
 */
export function remove(
  key: string,
  { inMaintenance, draining, agent }: RunningServer,
  { drainTimeoutMs, closeAfterDrain }: HaproxyCluster,
  { sentAgoMs }: { readonly sentAgoMs: ReadonlyMap<string, number> | undefined },
): readonly CommandStep[] {
  const steps: CommandStep[] = [];
  // A server that is already leaving is no news.
  const found = inMaintenance || draining ? {} : { found: `${key} is not a member` };
  // Its agent could bring it back, and would hide that it has to be enabled again when it rejoins.
  if (agent === "running") steps.push(command(`disable agent ${key}`, SILENCE, found));
  if (drainTimeoutMs > 0 && !inMaintenance) {
    const drain = `set server ${key} state drain`;
    const drainedMs = sentAgoMs === undefined ? 0 : sentAgoMs.get(drain);
    if (!draining || drainedMs === undefined) return [...steps, command(drain, SILENCE, { ...found, isTimed: true })];
    if (drainedMs < drainTimeoutMs) return steps;
  }
  if (!inMaintenance) steps.push(command(`set server ${key} state maint`, SILENCE, found));
  if (closeAfterDrain) steps.push(command(`shutdown sessions server ${key}`, SILENCE));
  return steps;
}

/** Whether a server is out of use, or will be once `steps` are carried out. */
export function isToBeDeleted({ inMaintenance }: RunningServer, steps: readonly CommandStep[]): boolean {
  return inMaintenance || steps.some(({ command }) => command.endsWith(" state maint"));
}

/** Deletes a server that is out of use. */
export function deletion(key: string): CommandStep {
  return command(`del server ${key}`, DELETED);
}

function command(
  text: string,
  expected: string,
  marks: Pick<CommandStep, "found" | "isTimed"> = {},
): CommandStep {
  return { do: "command", command: text, expect: [expected], ...marks };
}

function listNames(names: readonly string[]): string {
  const more = names.length - NAMES_IN_REASON;
  return names.slice(0, NAMES_IN_REASON).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
