import type { AskedReload, CommandStep, Endpoint, OpenFiles, ReloadWay, Step } from "../../../mod.ts";
import { isAtLeast, type Version } from "./backend.ts";
import type { HaproxyConfig, HaproxyWanted } from "./config.ts";
import type { RunningHaproxy } from "./observe.ts";
import type { HaproxyFile } from "./render.ts";
import type { ServedCluster } from "./served.ts";
import { words } from "./words.ts";

/** Files that any HAProxy opens beside those of connections: it reserves ten, and three for each thread. */
const OPEN_FILES_RESERVED = 13;

/** The answer of a newly started process that does not know a server of the previous one. */
const TOLD = "|No such (?:server|backend)\\.";

/**
 * A step that starts HAProxy, which nobody saw running. `listens`: where it would listen. Where a service
 * manager starts it, that decides who may.
 */
export function startStep(
  wanted: HaproxyWanted,
  { orphans, listens }: { readonly orphans: readonly number[]; readonly listens: readonly Endpoint[] },
): Step {
  const { config } = wanted;
  const why = `no process responds on ${config.socketFile}`;
  const { reloadCommand, reloadTimeoutMs } = config;
  if (reloadCommand !== undefined) return { do: "start", reason: why, run: reloadCommand, deadlineMs: reloadTimeoutMs };
  const run = startCommand(wanted);
  if (orphans.length === 0) return { do: "start", reason: why, run, listens };
  // A process that nobody can reach would keep serving its old members beside the new one.
  const relieving = [...run, "-sf", ...orphans.map(String)];
  const listed = orphans.join(", ");
  const { masterSocket } = config;
  if (masterSocket === undefined) {
    return { do: "start", reason: `${why}; replacing orphan processes: ${listed}`, run: relieving, listens };
  }
  // From 3.1 on two failed reloads in a row leave a worker that serves without a socket: its master starts
  // another one, which takes over without losing a connection.
  return {
    do: "start",
    reason: `${why}; reloading or replacing orphan processes: ${listed}`,
    run: relieving,
    master: askedOf(masterSocket),
    listens,
  };
}

/** `-D`: HAProxy has to outlive the writer. */
function startCommand({ config, host, version }: HaproxyWanted): readonly string[] {
  const { program, configFile, pidFile, masterSocket } = config;
  const owned = masterSocket === undefined ? [] : ["-W", "-S", `${masterSocket},mode,600,level,admin`];
  return [program, "-D", ...owned, "-f", configFile, "-p", pidFile, ...localPeer(host.fqdn, version)];
}

/** The name that HAProxy is given for the local peer. */
export function localPeer(fqdn: string, version: Version | undefined): readonly string[] {
  return isAtLeast(version, 1, 5) ? ["-L", fqdn] : [];
}

/**
 * Decides how the running HAProxy is reloaded: by the command of the config, by its master, or by a process
 * that replaces it. Throws if it cannot be.
 */
export function reloadWay(wanted: HaproxyWanted, running: RunningHaproxy, reason: string): ReloadWay {
  const { config: { reloadCommand, reloadTimeoutMs, masterSocket, socketFile } } = wanted;
  if (reloadCommand !== undefined) return { run: reloadCommand, deadlineMs: reloadTimeoutMs };
  if (running.isContained) {
    throw new Error(
      `Cannot reload HAProxy (${reason}): pid ${running.pid} is not a HAProxy process on this host; ` +
        "check whether HAProxy runs in another container",
    );
  }
  if (running.masterPid !== undefined) {
    return masterSocket === undefined ? { signal: "SIGUSR2", pid: running.masterPid } : askedOf(masterSocket);
  }
  // A process that has our mark was started with `expose-fd listeners`; any other would not hand its sockets
  // over.
  const handover = running.structure === undefined ? [] : ["-x", socketFile];
  return { run: [...startCommand(wanted), ...handover, "-sf", String(running.pid)] };
}

/**
 * How a master is asked for a reload. From 2.7 on it answers when it is done, with its output; 2.6 answers
 * nothing, and `show proc` then lists another worker, or counts another failure.
 */
export function askedOf(masterSocket: string): AskedReload {
  return {
    ask: masterSocket,
    command: "reload",
    took: "Success=1\\s*(?:--)?",
    failed: "Success=0\\s*(?:--)?",
    watch: { query: "show proc", took: "^[0-9]+(?=\\s+worker\\s)", failed: "\\[failed: [1-9][0-9]*\\]" },
    hint: `start HAProxy with -W -S ${masterSocket}`,
  };
}

/**
 * What a new process must learn at once: which servers are down. It assumes that each is up until its own
 * first checks have failed.
 */
export function carryOver(clusters: readonly ServedCluster[], running: RunningHaproxy): readonly CommandStep[] {
  return clusters.flatMap(({ wanted: { name: backend }, options, members }) => {
    // Without a check in the new process it would stay down for ever.
    if (!options.includes("check")) return [];
    return members.flatMap(({ name }): CommandStep[] => {
      const server = running.backends.get(backend)?.get(name);
      const isKnownDown = server?.down === true && server.check === "running" && !server.inMaintenance;
      return isKnownDown
        ? [{ do: "command", command: `set server ${backend}/${name} health down`, expect: [TOLD] }]
        : [];
    });
  });
}

/**
 * Derives the number of open files that HAProxy needs from `maxconn` of `global`: two for each connection.
 * HAProxy 2.3 and newer does not start with fewer, although `haproxy -c` passes; what it needs beyond that is
 * little. `undefined` where nothing is set, or HAProxy copes.
 */
export function openFiles(
  { config, version }: HaproxyWanted,
  { text }: HaproxyFile,
  running: RunningHaproxy | undefined,
): OpenFiles | undefined {
  const lines = text.split("\n");
  const from = lines.indexOf("global") + 1;
  const length = lines.slice(from).findIndex((line) => !line.startsWith("\t"));
  const global = lines.slice(from, from + length).map(words);
  const at = global.findLastIndex(([keyword]) => keyword === "maxconn");
  const maxconn = Number(global[at]?.[1]);
  const makesDo = global.some(([first, second]) => first === "no" && second === "strict-limits");
  if (!Number.isInteger(maxconn) || makesDo || !isAtLeast(version, 2, 3) || running?.isContained === true) {
    return undefined;
  }
  const of = processOfLimits(config, running);
  if (of === "unknown") return undefined;
  const needed = 2 * maxconn + OPEN_FILES_RESERVED;
  const refusal = `[ALERT] (0) : config : parsing [${config.configFile}:${from + at + 1}] : ` +
    `at least ${needed} open files required (two per connection), but the limit is {limit}; ` +
    "raise the limit (LimitNOFILE, ulimit -n) or lower maxconn";
  return { needed, refusal, ...of === "ours" ? {} : { of } };
}

/**
 * Whose limits a new process will have: its master's, those of a process that a service manager started, or
 * this one's.
 */
function processOfLimits(
  { reloadCommand }: HaproxyConfig,
  running: RunningHaproxy | undefined,
): number | "ours" | "unknown" {
  if (running?.masterPid !== undefined) return running.masterPid;
  if (reloadCommand !== undefined) return running?.pid ?? "unknown";
  return "ours";
}
