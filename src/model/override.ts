import { isHostName, isIpv4, isIpv6, parseEndpoint } from "./endpoint.ts";
import { isRecord, type Node, nodeName } from "./node.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterName } from "./topology.ts";
import type { Override } from "./traffic.ts";

/** Who said something, why, and until when. Times are in milliseconds of the wall clock. */
export interface Said {
  readonly author: string;
  /** Empty if none was given. */
  readonly reason: string;
  readonly sinceMs: number;
  /** Absent: until it is revoked. */
  readonly untilMs?: number | undefined;
}

/** An operator's override for nodes of a cluster; it takes precedence over the registry. */
export interface NodesOverride extends Said, Override {
  readonly cluster: ClusterName;
  /** A node by its name or address with a port, or all nodes of a host by its name or address. */
  readonly target: string;
}

/** That the management of a balancer is paused: nothing is done about it. */
export interface Pause extends Said {
  /** The balancer, after its file; absent: all of them. */
  readonly balancer?: string | undefined;
}

/** That this host's own nodes are out of service, by the word of an operator. */
export interface LocalDrain extends Said {
  /** The service, after its file; absent: all of them. */
  readonly service?: string | undefined;
  /** `drain`: registered as draining. `deregister`: not registered. */
  readonly how: "drain" | "deregister";
}

/** All that operators have said, and that holds still. */
export interface Orders {
  readonly overrides: readonly NodesOverride[];
  readonly pauses: readonly Pause[];
  readonly local: readonly LocalDrain[];
}

/** Nobody has said anything. */
export const NO_ORDERS: Orders = { overrides: [], pauses: [], local: [] };

/** The largest percentage of a weight: ten times as much. */
export const PERCENT_MAX = 1_000;

/** The most characters of an author and of a reason. */
export const SAID_LENGTH_MAX = 200;

/** No more is kept of each kind. */
export const ORDERS_MAX = 10_000;

/** Whether a target names a node. */
export function isMeant(target: string, { host, ip, port }: Pick<Node, "host" | "ip" | "port">): boolean {
  return target === host || target === ip || isNodeMeant(target, { host, ip, port });
}

/**
 * What operators have said of each node of a cluster. The word for a host comes before that for the node itself, and an
 * older one before a newer one, as the last of a kind counts. Pure.
 */
export function overridesOf(
  overrides: readonly NodesOverride[],
  cluster: ClusterName,
  nodes: readonly Pick<Node, "host" | "ip" | "port">[],
): ReadonlyMap<string, readonly NodesOverride[]> {
  const said = overrides.filter((each) => each.cluster === cluster);
  if (said.length === 0) return NO_OVERRIDES;
  // Thousands of overrides are not compared with thousands of nodes one by one.
  const named = new Map<string, NodesOverride[]>();
  const positions = new Map(said.map((each, at) => [each, at]));
  for (const each of said) {
    for (const key of targetKeys(each.target)) named.set(key, [...named.get(key) ?? [], each]);
  }
  return new Map(nodes.flatMap((node) => {
    const name = nodeName(node);
    const found = nodeKeys(node).flatMap((key) => named.get(key) ?? []);
    if (found.length === 0) return [];
    const meant = [...new Set(found)].filter(({ target }) => isMeant(target, node)).toSorted((a, b) =>
      Number(isNodeMeant(a.target, node)) - Number(isNodeMeant(b.target, node)) ||
      (positions.get(a) ?? 0) - (positions.get(b) ?? 0)
    );
    return meant.length === 0 ? [] : [[name, meant] as const];
  }));
}

/** Finds the nodes that targets name, however many of both there are. Pure. */
export function nodesNamed<Named extends Pick<Node, "host" | "ip" | "port">>(
  nodes: readonly Named[],
): (target: string) => readonly Named[] {
  const byKey = new Map<string, Named[]>();
  for (const node of nodes) {
    for (const key of new Set(nodeKeys(node))) {
      const known = byKey.get(key);
      if (known === undefined) byKey.set(key, [node]);
      else known.push(node);
    }
  }
  return (target) => {
    const found = targetKeys(target).flatMap((key) => byKey.get(key) ?? []);
    return [...new Set(found)].filter((node) => isMeant(target, node));
  };
}

/** What a target may be called by. */
function targetKeys(target: string): readonly string[] {
  const address = parseEndpoint(target);
  return address === undefined ? [target] : [target, addressKey(address.host, address.port)];
}

/** What a node may be called by. */
function nodeKeys({ host, ip, port }: Pick<Node, "host" | "ip" | "port">): readonly string[] {
  return [host, ip, nodeName({ host, port }), addressKey(ip, port)];
}

function addressKey(ip: string, port: number): string {
  return `${ip} ${port}`;
}

/** The exclusions of a cluster's file: overrides without an end, before those of operators. Pure. */
export function exclusions({ name, exclude = [] }: Pick<Cluster, "name" | "exclude">): readonly NodesOverride[] {
  return exclude.map((target) => ({
    cluster: name,
    target,
    kind: "drain",
    author: EXCLUDED_BY,
    reason: "excluded by the cluster's file",
    sinceMs: 0,
  }));
}

/** The author of what a cluster's file says. */
export const EXCLUDED_BY = "exclude";

const NO_OVERRIDES: ReadonlyMap<string, readonly NodesOverride[]> = new Map();

function isNodeMeant(target: string, { host, ip, port }: Pick<Node, "host" | "ip" | "port">): boolean {
  if (target === nodeName({ host, port })) return true;
  const address = parseEndpoint(target);
  return address !== undefined && address.host === ip && address.port === port;
}

/** The pause of a balancer, if there is one. Pure. */
export function pauseOf(pauses: readonly Pause[], balancer: string): Pause | undefined {
  return pauses.find((each) => each.balancer === balancer) ?? pauses.find((each) => each.balancer === undefined);
}

/** How this host's nodes of a service are out of service; `undefined` if they are not. Pure. */
export function localDrainOf(local: readonly LocalDrain[], service: string): LocalDrain | undefined {
  return local.find((each) => each.service === service) ?? local.find((each) => each.service === undefined);
}

/** The orders that are active at a time. Pure. */
export function ordersAt({ overrides, pauses, local }: Orders, nowMs: number): Orders {
  const holds = ({ untilMs = Infinity }: Said) => untilMs > nowMs;
  return { overrides: overrides.filter(holds), pauses: pauses.filter(holds), local: local.filter(holds) };
}

/** When the next of them ends; `Infinity` if none does by itself. Pure. */
export function nextEndMs({ overrides, pauses, local }: Orders): number {
  return Math.min(Infinity, ...[...overrides, ...pauses, ...local].map(({ untilMs = Infinity }) => untilMs));
}

/** What an override does, as an operator writes it: `drain`, `weight 50%`. Pure. */
export function formatKind({ kind, factor = 1 }: Pick<Override, "kind" | "factor">): string {
  return kind === "weight" ? `weight ${Math.round(factor * 100)}%` : kind;
}

/** Whether an override sets the state of nodes; if not, it sets their weight. Pure. */
export function isOfState({ kind }: Pick<Override, "kind">): boolean {
  return kind !== "weight";
}

/** The subject of an override, a pause or a local drain: each replaces the previous one of its subject. Pure. */
export function keyOfOrder(order: NodesOverride | Pause | LocalDrain): string {
  if ("cluster" in order) {
    return JSON.stringify([order.cluster, order.target, isOfState(order)]);
  }
  return "how" in order ? JSON.stringify(order.service ?? null) : JSON.stringify(order.balancer ?? null);
}

/** What {@linkcode isTarget} takes, for messages. */
export const TARGET_WANTED = "a node (web01.example.org:8080, 10.0.0.1:8080) or a host (web01.example.org, 10.0.0.1)";

/** Whether a text can name a node or a host: `web01`, `web01:8080`, `10.0.0.1`, `[::1]:8080`. */
export function isTarget(text: unknown): text is string {
  if (typeof text !== "string") return false;
  if (isHostName(text) || isIpv4(text) || isIpv6(text)) return true;
  const [, host = ""] = /^(.+):[0-9]{1,5}$/.exec(text) ?? [];
  return parseEndpoint(text) !== undefined || isHostName(host) || isIpv6(host);
}

/** Validates orders read from a file; `undefined` if incomplete. Pure. */
export function parseOrders(value: unknown): Orders | undefined {
  if (!isRecord(value)) return undefined;
  const [overrides, pauses, local] = [
    parseAll(value.overrides, parseOverride),
    parseAll(value.pauses, parsePause),
    parseAll(value.local, parseLocalDrain),
  ];
  return overrides && pauses && local && { overrides, pauses, local };
}

function parseAll<T>(value: unknown, parse: (value: Record<string, unknown>) => T | undefined) {
  if (!Array.isArray(value) || value.length > ORDERS_MAX) return undefined;
  const all = value.flatMap((each) => {
    const parsed = isRecord(each) ? parse(each) : undefined;
    return parsed === undefined ? [] : [parsed];
  });
  return all.length === value.length ? all : undefined;
}

function parseSaid({ author, reason, sinceMs, untilMs }: Record<string, unknown>): Said | undefined {
  if (!isSaying(author) || !Number.isFinite(sinceMs)) return undefined;
  if (reason !== "" && !isSaying(reason)) return undefined;
  if (untilMs !== undefined && !Number.isFinite(untilMs)) return undefined;
  return {
    author,
    reason,
    sinceMs: Number(sinceMs),
    ...untilMs !== undefined && { untilMs: Number(untilMs) },
  };
}

/** Whether a text can be an author or a reason: one line that is printed as it stands. */
export function isSaying(text: unknown): text is string {
  return typeof text === "string" && text.length <= SAID_LENGTH_MAX && /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u.test(text);
}

/** Whether a number is a percentage that a weight can be set to. */
export function isPercent(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= PERCENT_MAX;
}

function parseOverride(value: Record<string, unknown>): NodesOverride | undefined {
  const said = parseSaid(value);
  const { cluster, target, kind, factor } = value;
  if (said === undefined || typeof cluster !== "string" || !isTarget(target)) return undefined;
  if (kind === "drain" || kind === "maint") return { ...said, cluster, target, kind };
  return kind === "weight" && isFactor(factor) ? { ...said, cluster, target, kind, factor } : undefined;
}

function isFactor(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= PERCENT_MAX / 100;
}

function parsePause(value: Record<string, unknown>): Pause | undefined {
  const said = parseSaid(value);
  const { balancer } = value;
  if (said === undefined || (balancer !== undefined && typeof balancer !== "string")) return undefined;
  return { ...said, ...balancer !== undefined && { balancer } };
}

function parseLocalDrain(value: Record<string, unknown>): LocalDrain | undefined {
  const said = parseSaid(value);
  const { service, how } = value;
  if (said === undefined || (service !== undefined && typeof service !== "string")) return undefined;
  if (how !== "drain" && how !== "deregister") return undefined;
  return { ...said, how, ...service !== undefined && { service } };
}
