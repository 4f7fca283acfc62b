/**
 * What each node of a cluster is to get, and why: one pure function of the
 * policy, the nodes, what is known of them, and the time. The host owns time:
 * the answer says when it would be another one.
 *
 * @module
 */
import { isRecord, type Node, nodeName, WEIGHT_MAX } from "../model/node.ts";
import {
  type NodeField,
  type NodeHealth,
  type Override,
  type Overrides,
  type SlowStart,
  type SourceTraffic,
  type TrafficPolicy,
  WEIGHT_MOST,
  WEIGHT_POLICY_DEFAULT,
  type WeightPolicy,
} from "../model/traffic.ts";
import { peaks, type Sightings } from "./sightings.ts";

/** What {@linkcode shareTraffic} is given. Times in milliseconds of one clock. */
export interface TrafficInput {
  readonly nowMs: number;
  /** When the writer started. */
  readonly startedMs: number;
  /** The cluster's policy; without one its nodes get what they say of themselves. */
  readonly policy?: TrafficPolicy | undefined;
  /** Where this host runs. */
  readonly zone?: string | undefined;
  /** Whether each change of a weight moves keys to other servers. */
  readonly isHashed?: boolean | undefined;
  /** The members of the cluster. */
  readonly nodes: readonly Node[];
  /** The clusters that serve what it cannot, with their nodes. */
  readonly overflow?: readonly OverflowCluster[] | undefined;
  /** When its nodes were members. */
  readonly sightings?: Sightings | undefined;
  /** The nodes that the balancer finds down, by name. */
  readonly down?: ReadonlySet<string> | undefined;
  /** What this host's checks say of nodes, by name, where the policy has any. */
  readonly health?: ReadonlyMap<string, NodeHealth> | undefined;
  /** What an operator has said. It ends by the time of day. */
  readonly overrides?: Overrides | undefined;
  /** How far the time of day is ahead of the clock of all other times, as it may have been moved. */
  readonly wallAheadMs?: number | undefined;
  /** Names the source that reports a member, by the member's name. */
  readonly sourceOf?: ((name: string) => string | undefined) | undefined;
}

/** A cluster that serves what another cannot. */
export interface OverflowCluster {
  readonly name: string;
  readonly nodes: readonly Node[];
}

/** One number that a node's share is multiplied by. */
export interface Factor {
  readonly name:
    | "weight"
    | "source"
    | "override"
    | "health"
    | "slow_start"
    | "zone"
    | "primary"
    | "overflow"
    | "priority";
  readonly value: number;
  /** Where it comes from. */
  readonly detail?: string | undefined;
}

/** What one node is to get. */
export interface NodeShare {
  readonly node: Node;
  /** Beside those of the others, from 0 to 256; the balancer's default if absent. */
  readonly weight?: number | undefined;
  /** The same without what passes by itself: slow start, and what is ready. Absent if it is `weight`. */
  readonly settledWeight?: number | undefined;
  readonly state: "ready" | "drain" | "maint";
  /** `overflow`: it gets nothing while those that are preferred are enough. */
  readonly pool: "primary" | "overflow";
  /** Whether it serves as the last resort, if the balancer finds none of the preferred nodes up. */
  readonly isFallback: boolean;
  /** The other cluster that it is a member of; absent for a member of this one. */
  readonly from?: string | undefined;
  /** The part of all requests that it gets, from 0 to 1. */
  readonly share: number;
  /** Whether the balancer finds it down. */
  readonly isDown: boolean;
  /** The override that decides on its state. */
  readonly override?: Override | undefined;
  /** What `weight` is the product of, before it is scaled; none where nothing is said of weights. */
  readonly factors: readonly Factor[];
}

/** What {@linkcode shareTraffic} answers. */
export interface Shares {
  /** The members, in the order given, and then the nodes of other clusters. */
  readonly nodes: readonly NodeShare[];
  /** When the weight, the state or the pool of a node would be another one, or that is to be asked again; `Infinity` for never. */
  readonly changesAtMs: number;
}

/** Weights follow the time in steps no shorter than this, all at once, on every host at the same time. */
export const STEP_MS = 1_000;
/** How long the first checks of a new member may take: one that joins must not look like one that failed. */
const FIRST_CHECKS_MS = 10_000;
/** The most steps of a ramp. */
const STEPS_MAX = 64;
/**
 * How far ahead a change is looked for: so many nodes are judged at times that may bring one, and so many times at
 * least. Overrides that end at thousands of times and change nothing must not hold up the process.
 */
const NODES_JUDGED_MAX = 100_000, TIMES_JUDGED_MIN = 4;
/** The most steps where each moves keys. */
const HASHED_STEPS_MAX = 4;

/** Whether a policy asks for nodes that serve as the last resort. */
export function hasFallback(policy: TrafficPolicy | undefined, zone: string | undefined): boolean {
  return policy?.overflow !== undefined || (policy?.zones !== undefined && zone !== undefined);
}

/** Decides what each node gets. Pure. */
export function shareTraffic(input: TrafficInput): Shares {
  const { policy = NO_POLICY, overflow = [], sightings = NO_SIGHTINGS, zone, nowMs } = input;
  const own = new Set(input.nodes.map(nodeName));
  const field = zone === undefined ? undefined : policy.zones?.key;
  const traits = [
    ...input.nodes.map((node) => traitsOf(node, input, field === undefined || fieldOf(node, field) === zone ? 0 : 1)),
    // A node of both clusters is a member.
    ...overflow.flatMap(({ name, nodes }) =>
      nodes.filter((node) => !own.has(nodeName(node))).map((node) => {
        own.add(nodeName(node));
        return { ...traitsOf(node, input, 2), cluster: name };
      })
    ),
  ];
  const all = policy.overflow === undefined ? [] : peaks(sightings.values(), nowMs);
  const local = field === undefined ? [] : peaks(sightings.values().filter((each) => each.zone === zone), nowMs);
  const preferred = hasPriorities(input.nodes)
    ? input.nodes.reduce((least, node) => Math.min(least, priorityOf(node)), Infinity)
    : undefined;
  const scene: Scene = { input, preferred, policy, traits, all, local };
  const now = judge(scene, nowMs);
  return { nodes: now.nodes(), changesAtMs: nextChange(scene, now) };
}

const NO_POLICY: TrafficPolicy = { weight: WEIGHT_POLICY_DEFAULT, warmUpMs: 0 };
const NO_SIGHTINGS: Sightings = new Map();

/** Whether some members are preferred to others, by their priorities. */
export function hasPriorities(nodes: readonly Node[]): boolean {
  const [first] = nodes;
  return first !== undefined && nodes.some((node) => priorityOf(node) !== priorityOf(first));
}

/** Which of the members are preferred: the lower the number. */
function priorityOf({ priority = 0 }: Node): number {
  return priority;
}

/**
 * Which members wait, as others of a lower priority take requests. Where none takes any, those of the lowest priority of
 * all do not wait.
 */
function reservesOf({ traits, preferred }: Scene, takes: readonly boolean[]): readonly boolean[] {
  if (preferred === undefined) return traits.map(() => false);
  const taking = traits.flatMap(({ tier, node }, i) => tier !== 2 && takes[i] === true ? priorityOf(node) : []);
  const level = taking.length === 0 ? preferred : taking.reduce((a, b) => Math.min(a, b));
  return traits.map(({ tier, node }) => tier !== 2 && priorityOf(node) > level);
}

/** What of a node does not depend on the time. */
interface Traits {
  readonly node: Node;
  readonly name: string;
  /** 0: local, or all where zones do not matter; 1: another zone; 2: another cluster. */
  readonly tier: 0 | 1 | 2;
  /** By the cluster, and by the source. */
  readonly base: number;
  /** The part of it that the cluster says. */
  readonly weight: number;
  readonly from: string;
  /** What its source says of it. */
  readonly source?: SourceTraffic | undefined;
  /** What its weight is multiplied by, by its source. */
  readonly part: number;
  readonly overrides: readonly Override[];
  readonly newSinceMs?: number | undefined;
  /** Until when its first checks may take: it counts as ready meanwhile, though it gets nothing. */
  readonly startsUntilMs: number;
  readonly isDown: boolean;
  /** What this host's checks say; absent without checks, or before they have said anything. */
  readonly health?: NodeHealth | undefined;
  /** The other cluster that it is a member of. */
  readonly cluster?: string | undefined;
}

interface Scene {
  readonly input: TrafficInput;
  /** The lowest priority of the members, which is preferred; `undefined` where all have the same. */
  readonly preferred: number | undefined;
  readonly policy: TrafficPolicy;
  readonly traits: readonly Traits[];
  /** How many members there were in the last hour; none where that does not matter. */
  readonly all: ReturnType<typeof peaks>;
  /** The same of those of this host's zone. */
  readonly local: ReturnType<typeof peaks>;
}

function traitsOf(
  node: Node,
  { policy, sightings, down, health, overrides, sourceOf }: TrafficInput,
  tier: Traits["tier"],
): Traits {
  const name = nodeName(node);
  const [weight, from] = policy === undefined ? [node.weight ?? 1, "registry"] : baseOf(node, policy.weight);
  // What another cluster reports is weighed by this one's policy alone.
  const said = tier === 2 || policy?.sources === undefined ? undefined : sourceOf?.(name);
  const source = said === undefined ? undefined : policy?.sources?.find((each) => each.source === said);
  const part = source?.weight === undefined ? 1 : baseOf(node, source.weight)[0] / WEIGHT_POLICY_DEFAULT.default;
  const seen = sightings?.get(name);
  const isDown = down?.has(name) ?? false;
  return {
    node,
    name,
    tier,
    base: weight * part,
    weight,
    from,
    source,
    part,
    overrides: overrides?.get(name) ?? [],
    // What serves as overflow is not warmed up by waiting.
    newSinceMs: tier === 2 ? undefined : seen?.newSinceMs,
    startsUntilMs: isDown && tier !== 2 && seen !== undefined ? seen.sinceMs + FIRST_CHECKS_MS : -Infinity,
    isDown,
    health: policy?.health === undefined ? undefined : health?.get(name),
  };
}

/** The weight of a node before any factor, and where it comes from. */
function baseOf(node: Node, { fixed, from, default: standard }: WeightPolicy): readonly [number, string] {
  if (fixed !== undefined) return [fixed, "traffic.weight"];
  if (from === undefined) return node.weight === undefined ? [standard, "default"] : [node.weight, "registry"];
  const said = fieldOf(node, from);
  const value = typeof said === "string" && /^[0-9]{1,6}(?:\.[0-9]{1,6})?$/.test(said) ? Number(said) : said;
  const isWeight = typeof value === "number" && value >= 0 && value <= WEIGHT_MOST;
  return isWeight ? [value, formatField(from)] : [standard, "default"];
}

/** How a field is written. */
export function formatField(field: NodeField): string {
  return field.of === "zone" ? "zone" : [field.of, ...field.path].join(".");
}

/** What a node says in a field. */
export function fieldOf(node: Node, field: NodeField): unknown {
  if (field.of === "zone") return node.zone;
  let value: unknown = field.of === "labels" ? node.labels : node.metadata;
  for (const key of field.path) {
    if (!isRecord(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** The answer at one time. */
interface Judged {
  /** What distinguishes it from others: weights, states and pools. */
  readonly signature: string;
  /** Whether nodes of other zones get requests, and whether those of other clusters do. */
  readonly isSpilling: boolean;
  readonly isOverflowing: boolean;
  /** The same in full. */
  readonly nodes: () => readonly NodeShare[];
}

/** Decides for a time, which is not before that of the input. */
function judge(scene: Scene, nowMs: number): Judged {
  const { input, preferred, policy, traits, all, local } = scene;
  const said = traits.map((each) => stateOf(each, nowMs + (input.wallAheadMs ?? 0)));
  // Who is drained by a weight of 0 gives no weights to the others, which some balances take by a reload alone.
  const isWeighed = said.some(({ weighs }) => weighs !== undefined && weighs.factor !== 0);
  if (input.policy === undefined && !isWeighed) return unweighted(scene, said);
  // A weight of 0 drains, whoever says it.
  const states = said.map((each, i): StateOf =>
    each.state === "ready" && (traits[i]?.base ?? 0) * each.factor === 0 ? { ...each, state: "drain" } : each
  );
  const isWarm = nowMs >= input.startedMs + policy.warmUpMs;
  const ready = states.map(({ state }) => state === "ready");
  const panics = isPanicking(traits, ready, policy);
  const fails = traits.map(({ health }) => !panics && health?.state === "failing");
  // Where none is up, what the balancer finds says nothing.
  const nobodyIsUp = !ready.some((is, i) => is && traits[i]?.isDown === false);
  const takes = ready.map((is, i) => is && fails[i] === false && (nobodyIsUp || traits[i]?.isDown === false));
  const reserves = reservesOf(scene, takes);
  const active = takes.map((does, i) => does && reserves[i] === false);
  const slow = slowStarts(traits, active, { policy: isWarm ? policy : NO_POLICY, isHashed: input.isHashed, nowMs });
  const settled = traits.map(({ base }, i) => base * (states[i]?.factor ?? 1));
  const tiers = [0, 1, 2].map((tier) => {
    const of = traits.flatMap((each, i) => each.tier === tier && active[i] === true ? [i] : []);
    const mass = sum(of.map((i) => (settled[i] ?? 0) * (slow[i] ?? 1)));
    const counted = traits.flatMap((each, i) =>
      each.tier === tier && ready[i] === true && (takes[i] === true || nowMs < each.startsUntilMs) ? [i] : []
    );
    return { nodes: counted.length, ready: sum(counted.map((i) => slow[i] ?? 1)), mass };
  }) as [Tier, Tier, Tier];
  const parts = partsOf(tiers, { policy, isWarm, all: peakAt(all, nowMs), local: peakAt(local, nowMs) });
  const rates = parts.map((part, tier) => part > 0 ? part / (tiers[tier]?.mass ?? 1) : 0);
  const highest = Math.max(...rates);
  const isIdleTier = [false, tiers[0].mass > 0 && parts[1] === 0, parts[2] === 0];
  const isIdle = traits.map(({ tier }, i) => reserves[i] === true || isIdleTier[tier] === true);
  // A preferred node that is down gets requests again at once when it is up.
  const factors = rates.map((rate) => rate === 0 || highest === 0 ? 1 : rate / highest);
  const passes = fails.map((is) => is ? 0 : 1);
  const scores = traits.map(({ tier }, i) =>
    (settled[i] ?? 0) * (passes[i] ?? 1) * (slow[i] ?? 1) * (factors[tier] ?? 1)
  );
  const shown = scores.filter((_, i) => ready[i] === true && isIdle[i] === false);
  const settledWeights = quantise(settled, settled);
  const weights = quantise(scores, shown.some((score) => score > 0) ? shown : scores)
    .map((weight, i) => (isIdle[i] === true && fails[i] === false ? settledWeights[i] : weight) ?? 0);
  const gets = weights.map((weight, i) => takes[i] === true && isIdle[i] === false ? weight : 0);
  const total = sum(gets);
  const isRamped = policy.slowStart !== undefined || policy.sources?.some((each) => each.slowStart !== undefined);
  return {
    signature: traits.map((_, i) => [weights[i], settledWeights[i], states[i]?.state, isIdle[i]].join(",")).join(";"),
    isSpilling: parts[1] > 0,
    isOverflowing: parts[2] > 0,
    nodes: () =>
      traits.map(({ node, weight, from, part, source, tier, isDown, health, cluster }, i) => {
        const { state, factor, weighs, decides } = states[i] as StateOf;
        const pool = isIdleTier[tier] === true ? 0 : factors[tier] ?? 1;
        const ranked: Factor[] = preferred === undefined || tier === 2
          ? []
          : [{ name: "priority", value: reserves[i] === true ? 0 : 1, detail: String(priorityOf(node)) }];
        const zoned: Factor[] = policy.zones !== undefined && local.length > 0 ? [{ name: "zone", value: pool }] : [];
        const primary: Factor[] = policy.overflow === undefined ? [] : [{ name: "primary", value: pool }];
        return {
          node,
          weight: weights[i] ?? 0,
          settledWeight: settledWeights[i] ?? 0,
          state,
          pool: isIdle[i] === true ? "overflow" : "primary",
          isFallback: tier > 0 || isReserve(node, preferred),
          ...cluster !== undefined && { from: cluster },
          share: total === 0 ? 0 : (gets[i] ?? 0) / total,
          isDown,
          ...decides !== undefined && { override: decides },
          factors: [
            { name: "weight", value: weight, detail: from },
            ...source?.weight === undefined ? [] : [{ name: "source", value: part, detail: source.source } as const],
            ...weighs === undefined ? [] : [{ name: "override", value: factor, detail: weighs.author } as const],
            ...policy.health === undefined ? [] : [healthFactor(passes[i] ?? 1, health)],
            ...tier === 2 || !isRamped ? [] : [
              {
                name: "slow_start",
                value: slow[i] ?? 1,
                ...source?.slowStart !== undefined && { detail: source.source },
              } as const,
            ],
            ...ranked,
            ...tier === 2 ? [{ name: "overflow", value: pool } as const] : zoned.length > 0 ? zoned : primary,
          ],
        };
      }),
  };
}

/** Whether a member may have to wait for others. */
function isReserve(node: Node, preferred: number | undefined): boolean {
  return preferred !== undefined && priorityOf(node) > preferred;
}

/**
 * Whether what this host's checks say is ignored: no node of all would get requests by it, or fewer of the cluster's own
 * than the threshold, and no other cluster has one that does.
 */
function isPanicking(traits: readonly Traits[], ready: readonly boolean[], { health: policy }: TrafficPolicy): boolean {
  if (policy === undefined) return false;
  const of = traits.filter((_, i) => ready[i] === true);
  const isPassing = ({ health }: Traits) => health?.state !== "failing";
  const isUp = (each: Traits) => isPassing(each) && !each.isDown;
  if (!of.some(isUp)) return of.some((each) => !isPassing(each));
  const own = of.filter(({ tier }) => tier !== 2);
  const isLow = own.filter(isPassing).length < policy.panicBelow * own.length;
  return isLow && !of.some((each) => each.tier === 2 && isUp(each));
}

function healthFactor(value: number, health: NodeHealth | undefined): Factor {
  const { state = "passing", reason = "no reason given" } = health ?? {};
  if (state === "passing") return { name: "health", value };
  if (state === "unknown") return { name: "health", value, detail: `unknown: ${reason}` };
  return { name: "health", value, detail: value === 0 ? reason : `ignored because too few nodes pass: ${reason}` };
}

/** Nodes of which nothing is said but by themselves: the balancer shares. */
function unweighted(scene: Scene, states: readonly StateOf[]): Judged {
  const { traits, preferred } = scene;
  // Who has a weight of 0 takes no requests: others do not wait for it.
  const ready = states.map(({ state }, i) => state === "ready" && (traits[i]?.base ?? 0) > 0);
  const nobodyIsUp = !ready.some((is, i) => is && traits[i]?.isDown === false);
  const waits = reservesOf(scene, ready.map((is, i) => is && (nobodyIsUp || traits[i]?.isDown === false)));
  return {
    signature: states.map(({ state }, i) => `${state},${waits[i]}`).join(";"),
    isSpilling: false,
    isOverflowing: false,
    nodes: () => {
      const takes = traits.map(({ isDown }, i) => ready[i] === true && !isDown && waits[i] === false);
      const weights = traits.map(({ base }, i) => takes[i] === true ? base : 0);
      const total = sum(weights);
      return traits.map(({ node, isDown }, i) => {
        const { state, decides } = states[i] as StateOf;
        return {
          node,
          ...node.weight !== undefined && { weight: node.weight },
          state,
          pool: waits[i] === true ? "overflow" : "primary",
          isFallback: isReserve(node, preferred),
          share: total === 0 ? 0 : (weights[i] ?? 0) / total,
          isDown,
          ...decides !== undefined && { override: decides },
          factors: preferred === undefined
            ? []
            : [{ name: "priority", value: waits[i] === true ? 0 : 1, detail: String(priorityOf(node)) }],
        };
      });
    },
  };
}

/** What is said of a node at one time of day. */
interface StateOf {
  readonly state: NodeShare["state"];
  /** What its weight is multiplied by. */
  readonly factor: number;
  /** The override that says so. */
  readonly weighs?: Override | undefined;
  /** The override that decides on its state. */
  readonly decides?: Override | undefined;
}

function stateOf({ node, overrides }: Traits, wallMs: number): StateOf {
  if (overrides.length === 0) return { state: node.state ?? "ready", factor: 1 };
  const active = overrides.filter(({ untilMs = Infinity }) => untilMs > wallMs);
  const last = (kind: Override["kind"]) => active.findLast((each) => each.kind === kind);
  const [maint, drain, weighs] = [last("maint"), last("drain"), last("weight")];
  const { factor = 1 } = weighs ?? {};
  const decides = maint ?? drain ?? (factor === 0 ? weighs : undefined);
  const state = maint !== undefined ? "maint" : decides !== undefined ? "drain" : node.state ?? "ready";
  return { state, factor, weighs, decides };
}

/** What of a tier takes requests. */
interface Tier {
  /** How many nodes, with those whose first checks have not ended. */
  readonly nodes: number;
  /** As many nodes as their slow starts come to. */
  readonly ready: number;
  readonly mass: number;
}

/** Which part of all requests goes to local nodes, to other zones and to other clusters. */
function partsOf(
  [here, there, other]: readonly [Tier, Tier, Tier],
  { policy: { zones, overflow }, isWarm, all, local }: {
    readonly policy: TrafficPolicy;
    readonly isWarm: boolean;
    readonly all: number;
    readonly local: number;
  },
): readonly [number, number, number] {
  const holds = zones === undefined ? 1 : Math.min(1, here.nodes / local / zones.spillBelow);
  const stays = there.mass === 0 ? 1 : here.mass === 0 ? 0 : holds;
  const { below = 1, capacity = 0 } = overflow ?? {};
  const part = (here.ready + there.ready) / Math.max(capacity, all);
  const lacks = isWarm && overflow !== undefined ? Math.max(0, below - part) / below : 0;
  const leaves = other.mass === 0 ? 0 : here.mass + there.mass === 0 ? 1 : lacks;
  const primary = 1 - leaves;
  return [here.mass === 0 ? 0 : primary * stays, primary * (there.mass === 0 ? 0 : 1 - stays), leaves];
}

/** What slow start leaves of each node's share, relative to the one that has most of it: if all are new, all are equal. */
function slowStarts(
  traits: readonly Traits[],
  takes: readonly boolean[],
  { policy, isHashed = false, nowMs }: {
    readonly policy: TrafficPolicy;
    readonly isHashed: boolean | undefined;
    readonly nowMs: number;
  },
): readonly number[] {
  const own = traits.map((each) => {
    const ramps = rampsOf(each, policy);
    const { newSinceMs = -Infinity } = each;
    const steps = { most: stepsMost(ramps, isHashed), nowMs };
    return ramps.reduce((all, ramp) => all * slowStart(newSinceMs, ramp, steps), 1);
  });
  const most = Math.max(0, ...own.filter((_, i) => takes[i] === true && traits[i]?.tier !== 2));
  return own.map((each) => most === 0 ? 1 : Math.min(1, each / most));
}

/** The slow starts of a node that is new: that of its cluster, and that of its source. */
function rampsOf({ newSinceMs, source }: Traits, policy: TrafficPolicy): readonly SlowStart[] {
  // After the start of the writer neither has an effect, and a policy without sources says so.
  const all = [policy.slowStart, policy.sources === undefined ? undefined : source?.slowStart];
  return newSinceMs === undefined ? [] : all.filter((each) => each !== undefined);
}

/** The most steps of each of a node's slow starts: they move the same keys. */
function stepsMost(ramps: readonly SlowStart[], isHashed: boolean): number {
  return isHashed ? HASHED_STEPS_MAX / Math.max(1, ramps.length) : STEPS_MAX;
}

/** What a slow start leaves of a node's share. */
function slowStart(
  newSinceMs: number,
  policy: SlowStart,
  { most, nowMs }: { readonly most: number; readonly nowMs: number },
): number {
  const { delayMs, rampMs, from, curve } = policy;
  const elapsedMs = Math.floor(nowMs / STEP_MS) * STEP_MS - newSinceMs - delayMs;
  if (elapsedMs < 0 && delayMs > 0) return 0;
  if (elapsedMs >= rampMs) return 1;
  const steps = stepsOf(policy, most);
  const progress = Math.max(0, Math.floor(elapsedMs * steps / rampMs)) / steps;
  return from + (1 - from) * (curve === "linear" ? progress : progress ** 2);
}

function stepsOf({ rampMs }: SlowStart, most: number): number {
  return Math.max(1, Math.min(most, Math.ceil(rampMs / STEP_MS)));
}

/** When a slow start of a node takes its steps. */
function stepTimes(newSinceMs: number, policy: SlowStart, most: number): readonly number[] {
  const steps = stepsOf(policy, most);
  return Array.from({ length: steps + 1 }, (_, step) => {
    const atMs = newSinceMs + policy.delayMs + Math.ceil(policy.rampMs * step / steps);
    return Math.ceil(atMs / STEP_MS) * STEP_MS;
  });
}

/** Finds the first time at which the answer is another one, if nothing happens until then. */
function nextChange(scene: Scene, now: Judged): number {
  const { input: { nowMs, startedMs, isHashed = false, wallAheadMs = 0 }, policy, traits, all, local } = scene;
  const times = new Set<number>([startedMs + policy.warmUpMs]);
  for (const each of traits) {
    const { overrides, newSinceMs = -Infinity, startsUntilMs } = each;
    times.add(startsUntilMs);
    for (const { untilMs = Infinity } of overrides) times.add(untilMs - wallAheadMs);
    const ramps = rampsOf(each, policy);
    for (const ramp of ramps) {
      if (newSinceMs + ramp.delayMs + ramp.rampMs + STEP_MS <= nowMs) continue;
      for (const atMs of stepTimes(newSinceMs, ramp, stepsMost(ramps, isHashed))) times.add(atMs);
    }
  }
  // A cluster that was smaller is the more complete: what is complete stays so.
  for (const { fromMs } of [...now.isSpilling ? local : [], ...now.isOverflowing ? all : []]) times.add(fromMs);
  const sorted = [...times].filter((each) => each > nowMs && each < Infinity).toSorted((a, b) => a - b);
  const foreseen = Math.max(TIMES_JUDGED_MIN, Math.ceil(NODES_JUDGED_MAX / Math.max(1, traits.length)));
  const changed = sorted.slice(0, foreseen).find((each) => judge(scene, each).signature !== now.signature);
  return changed ?? sorted[foreseen] ?? Infinity;
}

function peakAt(steps: ReturnType<typeof peaks>, nowMs: number): number {
  return steps.findLast(({ fromMs }) => fromMs <= nowMs)?.nodes ?? 0;
}

/** Scales shares so that the largest of some is the largest weight; a share above 0 is a weight of at least 1. */
function quantise(shares: readonly number[], of: readonly number[]): readonly number[] {
  const most = of.reduce((a, b) => Math.max(a, b), 0);
  return shares.map((share) =>
    share <= 0 ? 0 : Math.min(WEIGHT_MAX, Math.max(1, Math.round(share / most * WEIGHT_MAX)))
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((all, each) => all + each, 0);
}
