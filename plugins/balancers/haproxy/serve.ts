import type { Node, WantedCluster, WantedNode } from "../../../mod.ts";
import { isHostName, isIpv4, isIpv6, isPort } from "../../../src/model/endpoint.ts";
import { nodeName, quote } from "../../../src/model/node.ts";
import {
  assignServerIds,
  type BackendTraits,
  backendTraits,
  BALANCE_DEFAULT,
  HASH_CONSISTENT,
  isAtLeast,
} from "./backend.ts";
import { type HaproxyCluster, type HaproxyWanted, isSectionName } from "./config.ts";
import { isLeftOut, type Line, type Passing, passLines, type Tell } from "./lines.ts";
import { isUnspecified } from "../../../src/model/canonical_address.ts";
import { ownFrontends } from "./own_frontends.ts";
import { fallbackTwin } from "./fallback.ts";
import { panicTwin } from "./panic.ts";
import { comparePeers, otherPeers } from "./peers.ts";
import type { Member, ServedCluster } from "./served.ts";
import { runtimeOptions } from "./server_options.ts";
import { words } from "./words.ts";

/** HAProxy's largest weight. */
const WEIGHT_MAX = 256;

/** Decides which lines get into the file. */
export function passingOf({ config: { directives }, leftOut = [] }: HaproxyWanted, tell: Tell): Passing {
  return { directives, leftOut, tell };
}

/**
 * The lines of `defaults`. From 3.3 on HAProxy balances by `random` where no line sets it; the line keeps the
 * earlier default.
 */
export function defaultsLines({ config, version }: HaproxyWanted, passing: Passing): readonly Line[] {
  const lines = passLines(
    "defaults",
    { where: "defaults", texts: config.defaults, origin: { path: ["defaults"] } },
    passing,
  );
  const isImplied = isAtLeast(version, 3, 3) && !lines.some(({ text }) => words(text)[0] === "balance");
  return isImplied ? [...lines, { text: `balance ${BALANCE_DEFAULT}` }] : lines;
}

/** The results for desired states that are still in use: a plan follows the rendering of the same one. */
const worked = new WeakMap<HaproxyWanted, readonly ServedCluster[]>();

/** Derives clusters and members, as {@linkcode serve} does, without notices. */
export function served(wanted: HaproxyWanted): readonly ServedCluster[] {
  return worked.get(wanted) ?? serve(wanted, () => {});
}

/** Derives clusters and members, sorted by name; leaves out what could break the file. */
export function serve(wanted: HaproxyWanted, tell: Tell): readonly ServedCluster[] {
  const { config, host, version, clusters } = wanted;
  const passing = passingOf(wanted, tell);
  const defaults = defaultsLines(wanted, passing);
  const ownFrontend = ownFrontends(wanted);
  const served: ServedCluster[] = [];
  const names = new Set<string>();
  const taken = new Set(clusters.map(({ name }) => name));
  for (const wanted of clusters.toSorted((a, b) => compare(a.name, b.name))) {
    const { name } = wanted;
    if (!isSectionName(name)) {
      tell(`Cluster ${quote(name)} is skipped: HAProxy does not accept this name`, { cluster: name, path: [] });
      continue;
    }
    if (names.has(name)) {
      tell(`Cluster ${name} is configured twice; the second entry is skipped`, { cluster: name, path: [] });
      continue;
    }
    names.add(name);
    const frame = frameOf(wanted, { config, version, leftOut: passing.leftOut, defaults });
    for (const said of frame.said) tell(...said);
    const { traits } = frame;
    const members = membersOf(wanted, { ownServers: traits.ownServers, ownFrontend, tell });
    const ids = traits.placedById
      ? assignServerIds(members.map((member) => member.name), traits.ownServers.ids)
      : new Map<string, number>();
    const announced = wanted.nodes.flatMap((each) =>
      each.node.peer && readMember(each).fault === undefined ? [each.node.peer] : []
    );
    const peers = otherPeers(announced, { cluster: name, host, tell });
    const whole = { ...frame, wanted, members, ids, peers };
    const twins = [panicTwin(whole, { taken, tell }), fallbackTwin(whole, { taken, tell })];
    served.push(whole, ...twins.filter((twin) => twin !== undefined));
  }
  worked.set(wanted, served);
  return served;
}

/** What does not depend on a cluster's members, and the notices about it. */
interface Frame extends Omit<ServedCluster, "wanted" | "members" | "ids" | "peers" | "panicOf"> {
  readonly said: readonly Parameters<Tell>[];
}

/** What a frame depends on besides its cluster. */
interface Surroundings extends Pick<HaproxyWanted, "config" | "version"> {
  readonly leftOut: Passing["leftOut"];
  readonly defaults: readonly Line[];
}

/**
 * The frames that were last made, by the section of the cluster's file: members change, and it stays one
 * value.
 */
const frames = new WeakMap<HaproxyCluster, { readonly key: readonly unknown[]; readonly frame: Frame }>();

/** Derives what does not depend on a cluster's members; once for as long as none of it changes. */
export function frameOf(
  { name, config: section }: WantedCluster<HaproxyCluster>,
  { config, version, leftOut, defaults }: Surroundings,
): Frame {
  const key = [name, config, version?.join("."), ...leftOut];
  const known = frames.get(section);
  if (known !== undefined && known.key.length === key.length && known.key.every((part, at) => part === key[at])) {
    return known.frame;
  }
  const said: Parameters<Tell>[] = [];
  const passing = { directives: config.directives, leftOut, tell: (...told: Parameters<Tell>) => void said.push(told) };
  const where = { where: `backend ${name}`, texts: section.backend, origin: { cluster: name, path: ["backend"] } };
  const lines = passLines("backend", where, passing);
  const texts = (of: readonly Line[]) => of.map(({ text }) => text);
  const asWritten = backendTraits(texts(defaults), texts(lines));
  const spreadsConsistently = asWritten.lacksHashType && config.directives !== "predecessor" &&
    isAtLeast(version, 2, 6);
  const traits = spreadsConsistently ? backendTraits(texts(defaults), [...texts(lines), HASH_CONSISTENT]) : asWritten;
  const isBare = isLeftOut({ cluster: name, path: ["server_options"] }, leftOut);
  const serverOptions = isBare ? "" : section.serverOptions;
  const options = runtimeOptions([...traits.defaultOptions, ...words(serverOptions)]);
  const frame = { inherited: defaults, lines, spreadsConsistently, traits, serverOptions, options, said };
  frames.set(section, { key, frame });
  return frame;
}

function membersOf(
  { name: cluster, nodes }: WantedCluster<HaproxyCluster>,
  { ownServers, ownFrontend, tell }: {
    readonly ownServers: BackendTraits["ownServers"];
    readonly ownFrontend: ReturnType<typeof ownFrontends>;
    readonly tell: Tell;
  },
): readonly Member[] {
  const found = new Map<string, Member>();
  for (const wanted of nodes.toSorted((a, b) => compareNodes(a.node, b.node))) {
    const { node } = wanted;
    const { member, fault } = readMember(wanted);
    if (fault !== undefined) {
      tell(`Cluster ${cluster}: node skipped: ${fault}`);
      continue;
    }
    const { name } = member;
    const frontend = ownFrontend(node);
    if (frontend !== undefined) {
      tell(
        `Cluster ${cluster}: node ${name} at ${node.ip} is skipped: it is this HAProxy itself, which listens on ${frontend}`,
      );
      continue;
    }
    const known = found.get(name);
    if (ownServers.has(name)) {
      tell(`Cluster ${cluster}: node ${name} is skipped: a line of its backend defines a server with that name`);
    } else if (known === undefined) {
      found.set(name, member);
    } else if (known.ip !== node.ip) {
      tell(`Cluster ${cluster}: node ${name} is reported twice; ${known.ip} is used, ${node.ip} is skipped`);
    }
  }
  return [...found.values()];
}

/** A member, or why it must not be one. */
interface ReadMember {
  readonly member: Member;
  readonly fault: string | undefined;
}

/** What members were read as: most of them stay the same from one call to the next. */
const readMembers = new WeakMap<WantedNode, ReadMember>();

function readMember(wanted: WantedNode): ReadMember {
  const known = readMembers.get(wanted);
  if (known !== undefined) return known;
  const read = { member: memberOf(wanted), fault: faultOf(wanted.node) };
  readMembers.set(wanted, read);
  return read;
}

/** A member as lines and commands need it. */
export function memberOf(wanted: WantedNode): Member {
  const { node } = wanted;
  return { name: nodeName(node), ip: node.ip, port: node.port, ...shareOf(wanted) };
}

/** What a member is to get. A weight that HAProxy would not accept counts as none. */
function shareOf(
  { node, weight, settledWeight, state, pool, isFallback = false, from }: WantedNode,
): Omit<Member, "name" | "ip" | "port"> {
  return {
    ...isWeight(weight) && { weight },
    ...isWeight(settledWeight) && { settledWeight },
    own: { weight: node.weight, state: node.state },
    state,
    isSpare: pool === "overflow",
    isFallback,
    ...from !== undefined && { from },
  };
}

function isWeight(weight: number | undefined): weight is number {
  return weight !== undefined && Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX;
}

/**
 * Returns why a node must not get into a line or a command: the registry's data is checked once more at this
 * border.
 */
export function faultOf({ host, ip, port }: Node): string | undefined {
  if (!isHostName(host) && !isIpv6(host)) return `invalid host: ${quote(host)}`;
  if (!isIpv4(ip) && !isIpv6(ip)) return `invalid address: ${quote(ip)}`;
  // HAProxy takes the unspecified address as "where the client wanted to go", which may be this very host.
  if (isUnspecified(ip)) return `unspecified address: ${quote(ip)}`;
  if (!isPort(port)) return `invalid port: ${quote(port)}`;
  if (!isSectionName(nodeName({ host, port }))) return `name too long: ${quote(host)}`;
  return undefined;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareNodes(a: Node, b: Node): number {
  return compare(a.host, b.host) || a.port - b.port || compare(a.ip, b.ip) ||
    (a.peer === undefined || b.peer === undefined ? Number(!!a.peer) - Number(!!b.peer) : comparePeers(a.peer, b.peer));
}
