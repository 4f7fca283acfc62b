/**
 * When each node was a member of a cluster: what tells a new node from one that
 * is back, and how large the cluster was in the last hour. Pure.
 *
 * @module
 */

/** When one node was a member. Times in milliseconds of the wall clock. */
export interface Sighting {
  /** Since when. */
  readonly sinceMs: number;
  /** Since when it counts as new, for slow start; absent if it does not. */
  readonly newSinceMs?: number | undefined;
  /** When it left; absent while it is a member. */
  readonly leftMs?: number | undefined;
  /** Its zone, if it has one. */
  readonly zone?: string | undefined;
}

/** The members of a cluster, and those that it had in the last hour, by the node's name. */
export type Sightings = ReadonlyMap<string, Sighting>;

/** For how long a node is remembered that has left. */
export const MEMORY_MS = 3_600_000;

/** The most nodes that are remembered of those that have left: whoever fills a registry fills no memory. */
const LEFT_MAX = 20_000;

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
      present.set(name, { sinceMs, ...isNew, ...placed });
    } else {
      present.set(name, { sinceMs: nowMs, ...blindMs <= graceMs && { newSinceMs: nowMs }, ...placed });
    }
  }
  const left = [...before].flatMap(([name, sighting]): [string, Sighting][] => {
    if (present.has(name)) return [];
    const { leftMs = nowMs } = sighting;
    return leftMs > nowMs - MEMORY_MS ? [[name, { ...sighting, leftMs }]] : [];
  });
  const kept = left.length <= LEFT_MAX
    ? left
    : left.toSorted(([, a], [, b]) => (a.leftMs ?? 0) - (b.leftMs ?? 0)).slice(-LEFT_MAX);
  return new Map([...kept, ...present]);
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
  for (const { sinceMs, leftMs = Infinity } of sightings) {
    if (leftMs === Infinity) present++;
    if (leftMs <= windowMs) continue;
    changes.push([Math.min(sinceMs, leftMs, nowMs), 1]);
    if (leftMs < Infinity) changes.push([leftMs, -1]);
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
