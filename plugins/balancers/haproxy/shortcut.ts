import { isIpv4 } from "../../../src/model/endpoint.ts";
import { nodeName } from "../../../src/model/node.ts";
import type {
  ClusterChange,
  CommandStep,
  MemberChange,
  MembersChange,
  PlanAllowance,
  Shortcut,
  WantedNode,
} from "../../../mod.ts";
import { freeServerId, isAtLeast } from "./backend.ts";
import type { HaproxyCluster, HaproxyConfig } from "./config.ts";
import { add, correct, deletion, isToBeDeleted, obstacleToAdding, remove, weightOf } from "./membership.ts";
import type { Observed, RunningHaproxy, RunningServer } from "./observe.ts";
import { ownFrontends } from "./own_frontends.ts";
import { defaultsLines, faultOf, frameOf, memberOf, passingOf } from "./serve.ts";
import type { Member, ServedCluster } from "./served.ts";
import { learntRejections, missingFiles } from "./server_options.ts";

/** The ids that the servers of a backend had when HAProxy was looked at: collected once for a look. */
const idsAtLook = new WeakMap<ReadonlyMap<string, RunningServer>, ReadonlySet<number>>();

/**
 * Recognizes this HAProxy's own frontends among nodes, made once for a look: until the next one, only members
 * change.
 */
const ownFrontendsAtLook = new WeakMap<RunningHaproxy, ReturnType<typeof ownFrontends>>();

/**
 * Columns of `show stat`, by number: the manual numbers them, and new ones are appended (Management Guide,
 * 9.1).
 */
const NAME_COLUMN = 1, STATUS_COLUMN = 17, ADDRESS_COLUMN = 73, WEIGHT_COLUMN = 99;

/**
 * Servers that are read back one by one, at most, unless that is a small part of all: a look at all servers costs
 * HAProxy and the writer less than single reads of so many.
 */
const READS_MAX = 64, READS_SHARE_MAX = 1 / 4;

/** The commands for members, in the waves of `planMembership`, and then the reads. */
type Waves = { readonly [wave in "adds" | "gains" | "losses" | "removals" | "deletions" | "reads"]: CommandStep[] };

/** What a change is planned from and into. */
interface Scene {
  readonly change: MembersChange<HaproxyConfig, HaproxyCluster>;
  readonly running: RunningHaproxy;
  readonly since: Map<string, RunningServer | undefined>;
  readonly allowed: Pick<PlanAllowance, "rejected" | "sentAgoMs">;
  readonly waves: Waves;
  /** The leaving servers, by `backend/name`, and the index of the read that shows the state of each. */
  readonly going: Map<string, { readonly server: RunningServer; readonly readAt: number }>;
  /** The ids in use, by backend, collected for its first new server. */
  readonly ids: Map<string, Ids>;
}

/**
 * Plans a change of members from what was observed, and reads back each server that it touches, and which
 * process answers: one that was replaced meanwhile says that it is stopping. `undefined` where the way is not
 * plain.
 */
export function shortcut(
  change: MembersChange<HaproxyConfig, HaproxyCluster>,
  observed: Observed,
  allowed: Pick<PlanAllowance, "rejected" | "sentAgoMs">,
): Shortcut<Observed> | undefined {
  const { running } = observed;
  if (running === undefined || !isAtLeast(running.version, 2, 6)) return undefined;
  const count = change.clusters.reduce((sum, { members }) => sum + members.length, 0);
  if (count > READS_MAX && count > READS_SHARE_MAX * serversOf(running)) return undefined;
  const waves: Waves = { adds: [], gains: [], losses: [], removals: [], deletions: [], reads: [] };
  const since = new Map(observed.since);
  const scene: Scene = { change, running, since, allowed, waves, going: new Map(), ids: new Map() };
  for (const cluster of change.clusters) if (!planCluster(cluster, scene)) return undefined;
  const { adds, gains, losses, removals, deletions, reads } = waves;
  const steps = [...adds, ...gains, ...losses, ...removals, ...deletions, ...reads];
  if (steps.length === 0) return { steps, observed: () => observed };
  const isServing = `[^]*\\nPid: ${running.pid}\\n(?:[^]*\\n)?Stopping: 0(?:\\n[^]*)?`;
  return {
    steps: [...steps, read("show info", [isServing])],
    observed: (answers) => ({ ...observed, since: sinceThen(scene, answers) }),
  };
}

/** The number of servers of all backends. */
function serversOf({ backends }: RunningHaproxy): number {
  return [...backends.values()].reduce((sum, { size }) => sum + size, 0);
}

/** The state of the servers that were changed. */
function sinceThen({ since, going }: Scene, answers: readonly string[]): NonNullable<Observed["since"]> {
  const now = new Map(since);
  for (const [key, { server, readAt }] of going) {
    const begin = `${key.replace("/", ",")},`;
    const shown = answers[readAt]?.split("\n").find((line) => line.startsWith(begin));
    const inMaintenance = shown?.split(",")[STATUS_COLUMN]?.startsWith("MAINT") === true;
    now.set(key, shown === undefined ? undefined : { ...server, inMaintenance, draining: !inMaintenance });
  }
  return now;
}

/** Plans the changes of one cluster's members; returns whether that is possible without a look. */
function planCluster({ cluster, members }: ClusterChange<HaproxyCluster>, scene: Scene): boolean {
  const { change: { wanted }, running } = scene;
  const { name, config: section } = cluster;
  const servers = running.backends.get(name);
  // The twin of a cluster has its members too, and takes one when its first checks had their time.
  if (servers === undefined || section.panicThreshold > 0 || cluster.hasFallback === true) return false;
  const { config, version } = wanted;
  const passing = passingOf(wanted, () => {});
  const defaults = defaultsLines(wanted, passing);
  const frame = frameOf(cluster, { config, version, leftOut: passing.leftOut, defaults });
  if (frame.traits.disabled) return true;
  const served: ServedCluster = { ...frame, wanted: cluster, members: [], ids: new Map(), peers: [] };
  return members.every((member) => planMember(member, { ...scene, served, servers }));
}

function planMember(
  { before, now }: MemberChange,
  { served, servers, change, running, since, allowed, waves, going, ids }: Scene & {
    readonly served: ServedCluster;
    readonly servers: ReadonlyMap<string, RunningServer>;
  },
): boolean {
  const { wanted: { name: backend, config: section }, traits } = served;
  const { rejected = [], sentAgoMs } = allowed;
  const node = (now ?? before)?.node;
  if (node === undefined) return true;
  const name = nodeName(node);
  const key = `${backend}/${name}`;
  const server = since.has(key) ? since.get(key) : servers.get(name);
  const member = now === undefined || !isMember(now, { served, change, running }) ? undefined : memberOf(now);
  if (member === undefined) {
    if (server === undefined || traits.ownServers.has(name)) return true;
    const steps = remove(key, server, section, { sentAgoMs });
    waves.removals.push(...steps);
    if (isToBeDeleted(server, steps)) waves.deletions.push(deletion(key));
    // It is deleted, or kept out of service while it has connections.
    going.set(key, { server, readAt: waves.reads.length });
    waves.reads.push(readGone(backend, server));
    return true;
  }
  if (server !== undefined) {
    const { steps, isLoss, obstacle } = correct(key, member, { server, cluster: served, sentAgoMs });
    if (obstacle !== undefined) return false;
    if (steps.length === 0) return true;
    const corrected = { ...server, ...asDesired(member, { served, givenWeight: server.givenWeight }) };
    waves[isLoss ? "losses" : "gains"].push(...steps);
    waves.reads.push(readMember(backend, member, corrected));
    since.set(key, corrected);
    return true;
  }
  const known = { learnt: learntRejections(rejected), lacking: missingFiles(rejected) };
  if (obstacleToAdding(served, running.version, known) !== undefined) return false;
  const used = ids.get(backend) ?? new Ids(backend, { servers, since, own: traits.ownServers.ids });
  ids.set(backend, used);
  // Where its id places a server, all existing names decide which of two gets the id that both would have.
  if (traits.placedById && used.has(freeServerId(name, new Set()))) return false;
  const { id, steps } = add(served, member, used);
  const weight = member.isSpare ? 0 : member.weight ?? weightOf(served.options) ?? NaN;
  const added = { name, id, down: false, sinceS: 0, ...asDesired(member, { served, givenWeight: weight }) };
  waves.adds.push(...steps);
  waves.reads.push(readMember(backend, member, added));
  since.set(key, added);
  return true;
}

/** The ids that are taken in a backend: as looked at, and by servers that were added since. */
class Ids {
  readonly #atLook: ReadonlySet<number>;
  readonly #since: Set<number>;

  constructor(backend: string, { servers, since, own }: {
    readonly servers: ReadonlyMap<string, RunningServer>;
    readonly since: Scene["since"];
    readonly own: ReadonlySet<number>;
  }) {
    const atLook = idsAtLook.get(servers) ?? new Set([...servers.values()].map(({ id }) => id));
    idsAtLook.set(servers, atLook);
    this.#atLook = atLook;
    this.#since = new Set(own);
    for (const [key, server] of since) if (server !== undefined && key.startsWith(`${backend}/`)) this.add(server.id);
  }

  has(id: number): boolean {
    return this.#atLook.has(id) || this.#since.has(id);
  }

  add(id: number): this {
    this.#since.add(id);
    return this;
  }
}

/** Whether a node is a member of its cluster. */
function isMember(
  { node }: WantedNode,
  { served: { traits }, change, running }: Pick<Scene, "change" | "running"> & { readonly served: ServedCluster },
): boolean {
  const ownFrontend = ownFrontendsAtLook.get(running) ?? ownFrontends(change.wanted);
  ownFrontendsAtLook.set(running, ownFrontend);
  return faultOf(node) === undefined && ownFrontend(node) === undefined && !traits.ownServers.has(nodeName(node));
}

/** The state of a server once its member's commands are carried out. */
function asDesired(
  { ip, port, state, weight, isSpare }: Member,
  { served: { options }, givenWeight }: { readonly served: ServedCluster; readonly givenWeight: number },
): Pick<
  RunningServer,
  "address" | "port" | "inMaintenance" | "draining" | "weight" | "givenWeight" | "check" | "agent"
> {
  return {
    address: ip,
    port,
    inMaintenance: state === "maint",
    draining: state === "drain",
    weight: isSpare ? 0 : weight ?? weightOf(options) ?? givenWeight,
    givenWeight,
    check: options.includes("check") ? "running" : "none",
    agent: options.includes("agent-check") ? "running" : "none",
  };
}

/** Reads a member back: it is at its address, and has its state and its weight. */
function readMember(backend: string, { ip, port, state }: Member, server: RunningServer): CommandStep {
  const { weight, agent } = server;
  // An agent controls both. The result of checks does not matter here; a server without weight is shown as
  // drained.
  const isFree = agent === "running";
  const ready = weight === 0 || isFree ? "(?!MAINT)" : "(?!MAINT|DRAIN)";
  const status = { ready, drain: isFree ? "(?!MAINT)" : "(?:DRAIN|DOWN)", maint: "MAINT" }[state];
  const address = `${isIpv4(ip) ? RegExp.escape(ip) : "\\[[0-9a-fA-F:.]+\\]"}:${port}`;
  const weighed = isFree || Number.isNaN(weight) ? "[0-9]*" : `${weight}`;
  const columns = `${row(backend, server, status)},${address},${
    columnsBetween(ADDRESS_COLUMN, WEIGHT_COLUMN)
  }${weighed}`;
  return readServer(server, [`${columns}(?:[,\\n][^]*)?`]);
}

/** Reads a leaving server back: it is deleted, or gets no requests. */
function readGone(backend: string, server: RunningServer): CommandStep {
  return readServer(server, [
    `(?![^]*\\n${RegExp.escape(`${backend},${server.name}`)},)#[^]*`,
    `${row(backend, server, "(?!UP|no check)")}(?:\\n[^]*)?`,
  ]);
}

/**
 * Reads the servers with one id, of all proxies: a frontend may have the name of the backend, and hide it.
 */
function readServer({ id }: RunningServer, expect: readonly string[]): CommandStep {
  return read(`show stat -1 4 ${id}`, expect);
}

/** The answer that shows a server whose status starts so. */
function row(backend: string, { name }: RunningServer, status: string): string {
  const server = `${RegExp.escape(backend)},${RegExp.escape(name)}`;
  return `#[^]*?\\n${server},${columnsBetween(NAME_COLUMN, STATUS_COLUMN)}${status}[^,\\n]*,[^\\n]*`;
}

/** The columns between two, whatever they contain. */
function columnsBetween(one: number, other: number): string {
  return `(?:[^,\\n]*,){${other - one - 1}}`;
}

/** A command that changes nothing. */
function read(command: string, expect: readonly string[]): CommandStep {
  return { do: "command", command, expect, isRead: true };
}
