import type { PlanAllowance, Rendered, Step } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import { freeServerId, isAtLeast, type Version, words } from "./backend.ts";
import type { HaproxyConfig } from "./config.ts";
import type { Observed, RunningHaproxy, RunningServer } from "./observe.ts";
import { structureMark } from "./render.ts";
import { type HaproxyWanted, type Member, serve, type ServedCluster } from "./serve.ts";
import { describeDifference, newListeners, skeleton } from "./structure.ts";

/** The mode of the file: it may hold the password of the statistics page. */
const FILE_MODE = 0o640;

/** How many names a reason lists before it counts the rest. */
const NAMES_IN_REASON = 5;

/** What HAProxy answers to a command that needs no words. */
const SILENCE = "";
const ADDED = "New server registered\\.";
const MOVED = "(?:IP changed from|port changed from|no need to change)[^]*";
/**
 * A server with connections, or one that other lines refer to, stays in
 * maintenance: it gets no new requests, and a later plan tries again.
 */
const DELETED = "Server deleted\\.|Server still has connections attached to it, cannot remove it\\.|" +
  "This server cannot be removed at runtime due to other configuration elements pointing to it\\.";

/**
 * Words of `server_options` that `add server` refuses (seen on 2.6), or that
 * mean something else there. `enabled` makes 2.6 register a server that never
 * gets a request.
 */
const REFUSED_OPTIONS = new Set([
  "enabled",
  "id",
  "init-addr",
  "log-bufsize",
  "log-proto",
  "namespace",
  "no-check",
  "no-agent-check",
  "non-stick",
  "redir",
  "resolve-net",
  "resolve-opts",
  "resolve-prefer",
  "resolvers",
  "socks4",
  "stick",
  "tcp-ut",
  "track",
]);

/**
 * Plans the shortest way from what runs to what is wanted: members over the
 * socket, anything else by a file that HAProxy has accepted and a reload that
 * says why. Pure, so that a dry run and the tests print the very steps.
 */
export function plan(
  wanted: HaproxyWanted,
  rendered: Rendered,
  { running, file, strays }: Observed,
  { reload, because }: PlanAllowance,
): readonly Step[] {
  const { config, host, version } = wanted;
  const differs = file !== rendered.text;
  const installNow = differs ? [install(wanted, rendered, "now")] : [];
  const start = startCommand(config, host.fqdn, version);
  if (running === undefined) {
    // A process that nobody can talk to would go on serving its old members beside the new one.
    const relieved = strays.length === 0 ? "" : `; relieving what does not answer there: ${strays.join(", ")}`;
    const run = strays.length === 0 ? start : [...start, "-sf", ...strays.map(String)];
    return [...installNow, { do: "start", reason: `nobody answers at ${config.socketFile}${relieved}`, run }];
  }
  const structural = structuralReason(rendered.text, running, file);
  const marked = structural === undefined && structureMark(rendered.text) !== undefined;
  const membership = planMembership(serve(wanted, () => {}), running, marked);
  const reason = because ?? structural ?? listReason(membership.reloadReasons);
  if (reason !== undefined && reload) {
    // What the running process listens on is known only if it runs what the file says.
    const known = file !== undefined && structureMark(file) !== undefined && structureMark(file) === running.structure;
    const listens = known ? newListeners(file, rendered.text) : [];
    return [...installNow, { do: "reload", reason, listens, how: howToReload(wanted, running, reason) }];
  }
  // A file that says more than what runs waits for the reload that makes it true.
  const installs = reason === undefined && differs ? [install(wanted, rendered, "soon")] : [];
  return [...membership.steps, ...installs];
}

function install({ config, host, version }: HaproxyWanted, { text }: Rendered, when: "now" | "soon"): Step {
  const check = [config.program, "-c", "-f", "%", ...localPeer(host.fqdn, version)];
  return { do: "install", path: config.configFile, contents: text, mode: FILE_MODE, check, when };
}

/** `-D`: HAProxy has to outlive the writer. */
function startCommand({ program, configFile, pidFile }: HaproxyConfig, fqdn: string, version: Version | undefined) {
  return [program, "-D", "-f", configFile, "-p", pidFile, ...localPeer(fqdn, version)];
}

function localPeer(fqdn: string, version: Version | undefined): readonly string[] {
  return isAtLeast(version, 1, 5) ? ["-L", fqdn] : [];
}

function howToReload(
  { config, host, version }: HaproxyWanted,
  running: RunningHaproxy,
  reason: string,
): (Step & { do: "reload" })["how"] {
  if (running.outOfReach) {
    throw new Error(
      `Cannot reload HAProxy as its process ${running.pid} is not one of this host, or not HAProxy: ` +
        `is it in another container? It is wanted as ${reason}`,
    );
  }
  if (running.masterPid !== undefined) return { signal: "SIGUSR2", pid: running.masterPid };
  // A process that bears our mark was started with `expose-fd listeners`; any other would refuse to hand its sockets over.
  const handover = running.structure === undefined ? [] : ["-x", config.socketFile];
  return { run: [...startCommand(config, host.fqdn, version), ...handover, "-sf", String(running.pid)] };
}

/** Says what takes a reload besides members, or `undefined` if nothing does. */
function structuralReason(text: string, running: RunningHaproxy, file: string | undefined): string | undefined {
  const mark = structureMark(text);
  if (mark === undefined) {
    // HAProxy before 1.8 cannot tell; the file that we installed is taken for what runs.
    return file !== undefined && skeleton(file) === skeleton(text)
      ? undefined
      : describeDifference(file ?? "", text) ?? "the config file is not the one that was installed";
  }
  if (running.structure === mark) return undefined;
  if (running.structure === undefined) return "the running HAProxy was not started from a file of ours";
  const told = file !== undefined && structureMark(file) === running.structure
    ? describeDifference(file, text)
    : undefined;
  return told ?? "the running HAProxy was started from another file than the one that is wanted";
}

interface MembershipPlan {
  readonly steps: readonly Step[];
  /** What cannot be done over the socket, one sentence for each cause. */
  readonly reloadReasons: readonly string[];
}

/** What is to be done over the socket, in three waves: nobody leaves before all have come. */
function planMembership(clusters: readonly ServedCluster[], running: RunningHaproxy, marked: boolean): MembershipPlan {
  const adds: Step[] = [], changes: Step[] = [], removals: Step[] = [];
  const reloadReasons: string[] = [];
  for (const cluster of clusters) {
    const backend = cluster.wanted.name;
    if (cluster.traits.disabled) continue;
    const servers = running.backends.get(backend);
    if (servers === undefined) {
      // Where the mark is as it should be the file was exchanged under a master, which passes our mark on.
      if (marked) reloadReasons.push(`the running HAProxy has no backend ${backend}`);
      continue;
    }
    const missing: Member[] = [];
    for (const member of cluster.members) {
      const server = servers.get(member.name);
      if (server === undefined) missing.push(member);
      else changes.push(...correct(`${backend}/${member.name}`, member, server));
    }
    if (missing.length > 0) {
      const obstacle = obstacleToAdding(cluster, running.version);
      if (obstacle === undefined) adds.push(...add(cluster, missing, servers));
      else reloadReasons.push(`${listNames(missing.map(({ name }) => `${backend}/${name}`))}: ${obstacle}`);
    }
    const staying = new Set(cluster.members.map(({ name }) => name));
    for (const server of servers.values()) {
      if (staying.has(server.name) || cluster.traits.ownServers.has(server.name)) continue;
      removals.push(...remove(`${backend}/${server.name}`, server, running.version));
    }
  }
  return { steps: [...adds, ...changes, ...removals], reloadReasons };
}

/** Says why a backend's new members have to come by a reload, or `undefined` if they need not. */
function obstacleToAdding(
  { traits, wanted: { config } }: ServedCluster,
  version: Version | undefined,
): string | undefined {
  if (!isAtLeast(version, 2, 6)) {
    return `HAProxy ${version?.join(".") ?? "of an unknown version"} takes no new server while it runs: 2.6 does`;
  }
  if (!traits.takesServers) {
    const remedy = /^static-rr/.test(traits.balance) ? "roundrobin does" : "it does with hash-type consistent";
    return `balance ${traits.balance} takes no new server while HAProxy runs: ${remedy}`;
  }
  if (traits.cookie === "keyword" && !isAtLeast(version, 3, 0)) {
    return "a server cannot get a cookie while HAProxy runs: 3.0 can, and so can a dynamic cookie";
  }
  const options = [...traits.defaultOptions, ...words(config.serverOptions)];
  const refused = options.find((word) =>
    REFUSED_OPTIONS.has(word) || /["'\\#$;]/.test(word) || (word === "cookie" && !isAtLeast(version, 3, 0))
  );
  return refused === undefined ? undefined : `the server option ${refused} cannot be given while HAProxy runs`;
}

function add(
  { wanted: { name: backend, config }, traits, ids }: ServedCluster,
  missing: readonly Member[],
  servers: ReadonlyMap<string, RunningServer>,
): readonly Step[] {
  const options = [...traits.defaultOptions, ...words(config.serverOptions)];
  const needsCookie = traits.cookie === "keyword" && traits.cookiePrinted;
  const used = new Set([...traits.ownServers.ids, ...[...servers.values()].map(({ id }) => id)]);
  return missing.flatMap(({ name, ip, port }) => {
    const key = `${backend}/${name}`;
    const planned = ids.get(name);
    const id = planned !== undefined && !used.has(planned) ? planned : freeServerId(name, used);
    used.add(id);
    const cookie = needsCookie ? ["cookie", name] : [];
    const address = formatEndpoint({ host: ip, port });
    const register = command(["add server", key, address, "id", id, ...cookie, ...options].join(" "), ADDED);
    const steps = [register, command(`enable server ${key}`, SILENCE)];
    if (options.includes("check")) {
      // In this order the server is down until its first checks have passed; enabled last, it would get requests before.
      steps.push(command(`set server ${key} health down`, SILENCE), command(`enable health ${key}`, SILENCE));
    }
    if (options.includes("agent-check")) steps.push(command(`enable agent ${key}`, SILENCE));
    return steps;
  });
}

/** Brings a server that is wanted and there to where it is wanted. */
function correct(key: string, { ip, port }: Member, server: RunningServer): readonly Step[] {
  const steps: Step[] = [];
  if (canonicalAddress(server.address) !== canonicalAddress(ip) || server.port !== port) {
    steps.push(command(`set server ${key} addr ${ip} port ${port}`, MOVED));
  }
  // An agent that runs decides on these itself.
  const hasAgent = server.agent === "running";
  if (server.weightChanged && !hasAgent) steps.push(command(`set server ${key} weight 100%`, SILENCE));
  if ((server.inMaintenance || server.draining) && !hasAgent) {
    steps.push(command(`set server ${key} state ready`, SILENCE));
  }
  if (server.checkStopped) steps.push(command(`enable health ${key}`, SILENCE));
  if (server.agent === "stopped") steps.push(command(`enable agent ${key}`, SILENCE));
  return steps;
}

/** Takes a server that is not wanted out of use at once, and away when HAProxy lets it go. */
function remove(key: string, { inMaintenance, agent }: RunningServer, version: Version | undefined): readonly Step[] {
  const steps: Step[] = [];
  // Its agent could bring it back, and would hide that it has to be brought back when it is wanted again.
  if (agent === "running") steps.push(command(`disable agent ${key}`, SILENCE));
  if (!inMaintenance) steps.push(command(`set server ${key} state maint`, SILENCE));
  if (isAtLeast(version, 2, 6)) steps.push(command(`del server ${key}`, DELETED));
  return steps;
}

function command(text: string, expected: string): Step {
  return { do: "command", command: text, expect: [expected] };
}

/** One text for each address, so that HAProxy's spelling and a registry's compare. */
export function canonicalAddress(address: string): string {
  if (!address.includes(":")) return address;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex = (high: string | undefined, low: string | undefined) => (Number(high) * 256 + Number(low)).toString(16);
  const plain = dotted === null ? address : `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`;
  const [head = "", tail] = plain.split("::");
  const groups = (half: string) => half === "" ? [] : half.split(":");
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(zeros).fill("0"), ...after].map((group) => parseInt(group, 16).toString(16)).join(
    ":",
  );
}

function listReason(reasons: readonly string[]): string | undefined {
  return reasons.length === 0 ? undefined : reasons.join("; ");
}

function listNames(names: readonly string[]): string {
  const more = names.length - NAMES_IN_REASON;
  return names.slice(0, NAMES_IN_REASON).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
