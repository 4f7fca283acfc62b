import type { NodeDetail, Seen } from "../../../mod.ts";
import { quote, WEIGHT_MAX } from "../../../src/model/node.ts";
import type { Version } from "./backend.ts";
import type { HaproxyConfig } from "./config.ts";
import { STRUCTURE_VARIABLE } from "./render.ts";

/** Whether a server has a check of a kind, and whether it runs. */
export type CheckState = "none" | "stopped" | "running";

/** One server, as a running HAProxy reports it. */
export interface RunningServer {
  /** Its name. */
  readonly name: string;
  /** Its id, unique in the backend. */
  readonly id: number;
  /** Its address: IPv4 or IPv6 without brackets; `-` if it has none yet. */
  readonly address: string;
  /** Its port. */
  readonly port: number;
  /** Whether an operator or the writer has put it into maintenance. */
  readonly inMaintenance: boolean;
  /** Whether it is draining. */
  readonly draining: boolean;
  /** Its weight. */
  readonly weight: number;
  /** The weight that it was added with. */
  readonly givenWeight: number;
  /** Whether it is down, by its checks or by an operator. */
  readonly down: boolean;
  /**
   * For how long: seconds since it went up or down, into or out of maintenance. Since 2.8 a drain does not
   * change it.
   */
  readonly sinceS: number;
  /** Its health check. */
  readonly check: CheckState;
  /** Its agent check, which may drain it or put it into maintenance by itself. */
  readonly agent: CheckState;
}

/**
 * Whether a frontend takes connections; if not, whether it can be enabled again: one that was shut down
 * cannot.
 */
export type FrontendState = "open" | "paused" | "shut";

/** A running HAProxy. */
export interface RunningHaproxy {
  /** The pid of the process that answers. */
  readonly pid: number;
  /** Its version. */
  readonly version?: Version | undefined;
  /** The structure that it was started with; absent if it was not started from a file of ours. */
  readonly structure?: string | undefined;
  /** Its proxies that can listen, by name; none for a draining process, which has closed them itself. */
  readonly frontends: ReadonlyMap<string, FrontendState>;
  /** Its proxies that can have servers, by name, and their servers, by name. */
  readonly backends: ReadonlyMap<string, ReadonlyMap<string, RunningServer>>;
  /** The master process that owns it, if there is one. */
  readonly masterPid?: number | undefined;
  /** Whether its pid is meaningless on this host. */
  readonly isContained: boolean;
}

/** What was observed of HAProxy and its file. */
export interface Observed {
  /** The process; absent if nobody answers at the socket. */
  readonly running?: RunningHaproxy | undefined;
  /** The text of the config file; absent if there is none. */
  readonly file?: string | undefined;
  /** Processes that were started from the file and do not answer: their socket was moved or removed. */
  readonly orphans: readonly number[];
  /**
   * The current state of servers that were changed and read back, by `backend/name`: `undefined` for one that
   * was deleted.
   */
  readonly since?: ReadonlyMap<string, RunningServer | undefined> | undefined;
}

/** The queries to the socket, in the order in which {@linkcode observe} reads the answers. */
export const QUERIES: readonly string[] = [
  "show info",
  `show env ${STRUCTURE_VARIABLE}`,
  "show backend",
  "show servers state",
  "show stat -1 1 -1",
];

/**
 * The queries to the socket for an operator, in the order in which {@linkcode nodeDetails} reads the answers.
 */
export const DETAILS: readonly string[] = ["show stat -1 4 -1"];

/** The size limit of a check's result, which comes from the checked server. */
const CHECK_LENGTH_MAX = 200;

/** What HAProxy accepts as the name of a proxy or a server. */
const NAME = /^[A-Za-z0-9_.:-]+$/;

/** Bits of `srv_admin_state` (HAProxy's `enum srv_admin`). */
const FORCED_MAINTENANCE = 0x01, FORCED_DRAIN = 0x08;

/** `srv_op_state` of a server that gets nothing, in maintenance or not (`SRV_ST_STOPPED`). */
const STOPPED = "0";

/** Bits of `srv_check_state` and of `srv_agent_state` (HAProxy's `CHK_ST_*`). */
const CHECK_CONFIGURED = 0x02, CHECK_ENABLED = 0x04;

/** Whether a check exists, and whether it runs. */
function checkState(state: number): CheckState {
  if ((state & CHECK_CONFIGURED) === 0) return "none";
  return (state & CHECK_ENABLED) === 0 ? "stopped" : "running";
}

/** Raised when the process at the socket does not answer as HAProxy does. */
export class UnreadableAnswerError extends Error {
  override name = "UnreadableAnswerError";
}

/** Finds the pid among the answers. */
export function pidOf(answers: readonly string[]): number | undefined {
  const pid = Number(/^Pid: ([0-9]{1,10})$/m.exec(answers[0] ?? "")?.[1]);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

/** Reads a version out of `2.6.12-1+deb12u4`, or out of a line that contains one. */
export function parseVersion(text: string): Version | undefined {
  const match = /([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/** Interprets what the host saw. Unknown lines are skipped. */
export function observe(
  { answers, files, masterPid, isContained = false, orphans = [] }: Seen,
  { socketFile, configFile }: Pick<HaproxyConfig, "socketFile" | "configFile">,
): Observed {
  const file = files?.get(configFile);
  if (answers === undefined) return { file, orphans };
  const [info = "", environment = "", backends = "", servers = "", stat = ""] = answers;
  const pid = pidOf(answers);
  if (pid === undefined) {
    throw new UnreadableAnswerError(
      `Invalid response from ${socketFile}: "show info" must return a Pid; received ${quote(info)}`,
    );
  }
  return {
    file,
    orphans,
    running: {
      pid,
      version: parseVersion(/^Version: (.*)$/m.exec(info)?.[1] ?? ""),
      structure: new RegExp(`^${STRUCTURE_VARIABLE}=([0-9a-f]+)$`, "m").exec(environment)?.[1],
      // A process that another one has just replaced may answer once more.
      frontends: /^Stopping: 1$/m.test(info) ? new Map() : parseFrontends(stat),
      backends: parseServers(servers, parseBackends(backends)),
      masterPid,
      isContained,
    },
  };
}

/** The servers that their checks have marked down, by backend; a server in maintenance is ignored. */
export function nodesDown(running: RunningHaproxy | undefined): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...running?.backends ?? []].map(([name, servers]) => [
      name,
      [...servers.values()].filter(({ down, inMaintenance }) => down && !inMaintenance).map(({ name }) => name),
    ]),
  );
}

/** Reads `show stat` of servers: what HAProxy reports of each, by backend. */
export function nodeDetails([stat = ""]: readonly string[]): ReadonlyMap<string, readonly NodeDetail[]> {
  const [header = "", ...rows] = stat.split("\n");
  const columns = header.replace(/^#\s*/, "").split(",");
  const details = new Map<string, NodeDetail[]>();
  for (const row of rows) {
    const fields = fieldsOf(row);
    const at = (column: string) => fields[columns.indexOf(column)] ?? "";
    const [backend, node, sessions] = [at("pxname"), at("svname"), Number(at("scur"))];
    const [status, weight] = [at("status"), Number(at("weight"))];
    if (!NAME.test(backend) || !NAME.test(node)) continue;
    const check = checkResult(at);
    const of = details.get(backend) ?? [];
    details.set(backend, of);
    of.push({
      node,
      isDown: /^DOWN\b/.test(status),
      ...status !== "" && { state: /^MAINT\b/.test(status) ? "maint" : /^DRAIN\b/.test(status) ? "drain" : "ready" },
      ...Number.isSafeInteger(weight) && at("weight") !== "" && { weight: Math.min(weight, WEIGHT_MAX) },
      ...check !== "" && { check },
      ...Number.isSafeInteger(sessions) && at("scur") !== "" && { sessions },
    });
  }
  return details;
}

/**
 * The result of a check as HAProxy shows it: `L7STS 503 in 2ms: Service Unavailable`; empty without a check.
 */
function checkResult(at: (column: string) => string): string {
  // While a check runs, the previous result is marked.
  const status = at("check_status").replace(/^\* /, "");
  if (status === "") return "";
  const [code, tookMs, last] = [at("check_code"), at("check_duration"), at("last_chk")];
  const words = [status, ...code === "" ? [] : [code], ...tookMs === "" ? [] : [`in ${tookMs}ms`]].join(" ");
  return `${words}${last === "" ? "" : `: ${last}`}`.replace(/[^ -~]/g, "?").slice(0, CHECK_LENGTH_MAX);
}

/** The fields of a line of CSV. */
function fieldsOf(row: string): readonly string[] {
  return [...row.matchAll(/("(?:[^"]|"")*"|[^",]*)(?:,|$)/g)].map(([, field = ""]) =>
    field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field
  );
}

/**
 * Reads `show stat` of frontends: a header that names the columns, a frontend per line. Names contain no
 * commas.
 */
function parseFrontends(answer: string): ReadonlyMap<string, FrontendState> {
  const [header = "", ...rows] = answer.split("\n");
  const columns = header.replace(/^#\s*/, "").split(",");
  const [nameAt, kindAt, statusAt] = [columns.indexOf("pxname"), columns.indexOf("svname"), columns.indexOf("status")];
  const frontends = new Map<string, FrontendState>();
  for (const row of rows) {
    const fields = row.split(",");
    const [name, status] = [fields[nameAt], fields[statusAt]];
    if (name === undefined || name === "" || fields[kindAt] !== "FRONTEND") continue;
    // What is not known to be closed counts as open: nothing is done about it.
    frontends.set(name, status === "PAUSED" ? "paused" : status === "STOP" ? "shut" : "open");
  }
  return frontends;
}

/** Reads `show backend`: a name per line, below a header. */
function parseBackends(answer: string): Map<string, Map<string, RunningServer>> {
  const names = answer.split("\n").map((line) => line.trim()).filter((line) => NAME.test(line));
  return new Map(names.map((name) => [name, new Map()]));
}

/** Reads `show servers state`: a format version, a header that names the columns, a server per line. */
function parseServers(
  answer: string,
  backends: Map<string, Map<string, RunningServer>>,
): ReadonlyMap<string, ReadonlyMap<string, RunningServer>> {
  const [, header = "", ...rows] = answer.split("\n");
  const columns = new Map(header.replace(/^#\s*/, "").split(" ").map((name, index) => [name, index]));
  const at = (name: string) => columns.get(name) ?? -1;
  const [backendAt, nameAt, idAt, addressAt] = [at("be_name"), at("srv_name"), at("srv_id"), at("srv_addr")];
  const [portAt, adminAt] = [at("srv_port"), at("srv_admin_state")];
  const [checkAt, agentAt] = [at("srv_check_state"), at("srv_agent_state")];
  const [weightAt, givenWeightAt] = [at("srv_uweight"), at("srv_iweight")];
  const [stateAt, sinceAt] = [at("srv_op_state"), at("srv_time_since_last_change")];
  for (const row of rows) {
    const fields = row.split(" ");
    const [backend, name, address] = [fields[backendAt], fields[nameAt], fields[addressAt]];
    const [id, port] = [Number(fields[idAt]), Number(fields[portAt])];
    if (backend === undefined || name === undefined || address === undefined || !Number.isInteger(id)) continue;
    // HAProxy has no other names, and others would not make a command.
    if (!NAME.test(backend) || !NAME.test(name)) continue;
    const admin = Number(fields[adminAt] ?? 0);
    let servers = backends.get(backend);
    if (servers === undefined) backends.set(backend, servers = new Map());
    servers.set(name, {
      name,
      id,
      address,
      port,
      inMaintenance: (admin & FORCED_MAINTENANCE) !== 0,
      draining: (admin & FORCED_DRAIN) !== 0,
      weight: Number(fields[weightAt]),
      givenWeight: Number(fields[givenWeightAt]),
      down: fields[stateAt] === STOPPED,
      sinceS: Number(fields[sinceAt] ?? 0),
      check: checkState(Number(fields[checkAt] ?? 0)),
      agent: checkState(Number(fields[agentAt] ?? 0)),
    });
  }
  return backends;
}
