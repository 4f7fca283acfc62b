/**
 * When each node was a member of a cluster: what distinguishes a new node from one
 * that is back, and how large the cluster was in the last hour. Pure.
 *
 * @module
 */

/** A time during which a node was a member. */
export interface Stay {
  readonly sinceMs: number;
  readonly leftMs: number;
}

/** When one node was a member. Times in milliseconds of the wall clock. */
export interface Sighting {
  /** Since when. */
  readonly sinceMs: number;
  /** Since when it counts as new, for slow start; absent if it does not. */
  readonly newSinceMs?: number | undefined;
  /** When it left; absent while it is a member. */
  readonly leftMs?: number | undefined;
  /** When it was a member before that, in the last hour, oldest first; absent if it was not. */
  readonly earlier?: readonly Stay[] | undefined;
  /** Its zone, if it has one. */
  readonly zone?: string | undefined;
}

/** The members of a cluster, and those that it had in the last hour, by the node's name. */
export type Sightings = ReadonlyMap<string, Sighting>;

/** For how long a node is remembered that has left. */
export const MEMORY_MS = 3_600_000;

/** The most nodes that are remembered of those that have left: whoever fills a registry fills no memory. */
const LEFT_MAX = 20_000;

/** The most earlier stays that are remembered of a node: one that comes and goes fills no memory. */
const STAYS_MAX = 16;

/** A member of a cluster, as it is noted. */
export interface Member {
  readonly name: string;
  readonly zone?: string | undefined;
  /** If it was away for no longer, it is not new. */
  readonly graceMs: number;
}

/** What is known when the members of a cluster are noted. */
export interface NoteOptions {
  readonly nowMs: number;
  /**
   * For how long nothing was known of the members: before the start of the writer, and in an outage of the registry.
   * Nodes that come after longer than their grace may have been there all the time.
   */
  readonly blindMs: number;
}

/** Notes the members of a cluster, whole. */
export function noteMembers(
  before: Sightings,
  members: Iterable<Member>,
  { nowMs, blindMs }: NoteOptions,
): Sightings {
  const present = new Map<string, Sighting>();
  for (const { name, zone, graceMs } of members) {
    const known = before.get(name);
    const placed = zone === undefined ? {} : { zone };
    const isBack = known !== undefined && (known.leftMs === undefined || nowMs - known.leftMs <= graceMs);
    if (isBack) {
      // A clock that was moved back must not keep a node new for as long.
      const sinceMs = Math.min(known.sinceMs, nowMs);
      const isNew = known.newSinceMs === undefined ? {} : { newSinceMs: Math.min(known.newSinceMs, nowMs) };
      present.set(name, { sinceMs, ...isNew, ...placed, ...remembered(known.earlier ?? [], nowMs) });
    } else {
      const earlier = known === undefined ? [] : [...known.earlier ?? [], stayOf(known, nowMs)];
      const isNew = blindMs <= graceMs && { newSinceMs: nowMs };
      present.set(name, { sinceMs: nowMs, ...isNew, ...placed, ...remembered(earlier, nowMs) });
    }
  }
  const left = [...before].flatMap(([name, sighting]): [string, Sighting][] => {
    if (present.has(name)) return [];
    const { leftMs = nowMs } = sighting;
    if (leftMs <= nowMs - MEMORY_MS) return [];
    const { earlier = [], ...rest } = sighting;
    return [[name, { ...rest, leftMs, ...remembered(earlier, nowMs) }]];
  });
  const kept = left.length <= LEFT_MAX
    ? left
    : left.toSorted(([, a], [, b]) => (a.leftMs ?? 0) - (b.leftMs ?? 0)).slice(-LEFT_MAX);
  return new Map([...kept, ...present]);
}

/** The stay that has ended of a node that is back. */
function stayOf({ sinceMs, leftMs = sinceMs }: Sighting, nowMs: number): Stay {
  // A clock that was moved back must not have it leave in the future.
  return { sinceMs: Math.min(sinceMs, nowMs), leftMs: Math.min(leftMs, nowMs) };
}

/** What is remembered of stays: those of the last hour. Of too many, the two with the shortest absence are one. */
function remembered(stays: readonly Stay[], nowMs: number): Pick<Sighting, "earlier"> {
  let kept = stays.filter(({ leftMs }) => leftMs > nowMs - MEMORY_MS);
  while (kept.length > STAYS_MAX) {
    const absences = kept.slice(1).map(({ sinceMs }, i) => sinceMs - (kept[i]?.leftMs ?? 0));
    const at = absences.indexOf(Math.min(...absences));
    const [first, second] = [kept[at], kept[at + 1]];
    if (first === undefined || second === undefined) break;
    kept = kept.toSpliced(at, 2, { sinceMs: first.sinceMs, leftMs: second.leftMs });
  }
  return kept.length > 0 ? { earlier: kept } : {};
}

/** How many nodes were members at one time, at most, from a time on. */
export interface PeakStep {
  readonly fromMs: number;
  readonly nodes: number;
}

/**
 * The most nodes that were members at one time within the last hour, and how that becomes less while nobody comes:
 * the first step holds at `nowMs`.
 */
export function peaks(sightings: Iterable<Sighting>, nowMs: number): readonly PeakStep[] {
  const windowMs = nowMs - MEMORY_MS;
  const changes: [number, number][] = [];
  let present = 0;
  for (const sighting of sightings) {
    if (sighting.leftMs === undefined) present++;
    for (const { sinceMs, leftMs = Infinity } of [...sighting.earlier ?? [], sighting]) {
      if (leftMs <= windowMs) continue;
      changes.push([Math.min(sinceMs, leftMs, nowMs), 1]);
      if (leftMs < Infinity) changes.push([leftMs, -1]);
    }
  }
  // Whoever leaves as another comes was not there beside it.
  changes.sort(([a, up], [b, other]) => a - b || up - other);
  /** How many there were until each time at which some left. */
  const untils: { readonly untilMs: number; readonly nodes: number }[] = [];
  let nodes = 0;
  for (const [atMs, by] of changes) {
    if (by < 0) untils.push({ untilMs: atMs, nodes });
    nodes += by;
  }
  // From now backwards: a size counts until an hour after it was left, unless the cluster was as large later.
  const steps: PeakStep[] = [];
  let most = present;
  for (const { untilMs, nodes } of untils.reverse()) {
    if (nodes <= most) continue;
    steps.unshift({ fromMs: untilMs + MEMORY_MS, nodes: most });
    most = nodes;
  }
  return [{ fromMs: nowMs, nodes: most }, ...steps];
}
