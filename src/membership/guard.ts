/**
 * Decides which facts of a registry are acted on: an answer that would remove all nodes, too many at once, or
 * any while the registry's history is unknown is held until it is confirmed. A cluster that the registry does
 * not have never removes a node. The only place that doubts a registry. Pure: no clock, no I/O.
 *
 * @module
 */
import type { GuardSettings } from "../model/cluster.ts";
import { type Node, nodeName, SORTED_NODES } from "../model/node.ts";

/** An answer is requested again after this time: a reporter whose session has expired is back by then. */
const SECOND_READ_MS = 2_000;
/** The same for a cluster about which nothing is known: its first reporter may be about to register. */
const FIRST_READ_MS = 1_000;

/** Why an answer is held. */
export type HoldCause =
  /** It has no nodes. */
  | "empty"
  /** It has fewer nodes than `minNodes`. */
  | "few"
  /** It has more nodes than `maxNodes`. */
  | "many"
  /** It loses more nodes at once than `maxShrinkPercent` allows. */
  | "shrunk"
  /** Its registry does not have the cluster at all. */
  | "missing"
  /**
   * It lacks nodes, and the history of its registry is unknown: their reporters may be about to register
   * again.
   */
  | "behind";

/** An answer that is held. */
export interface Hold {
  readonly cause: HoldCause;
  /** When such an answer first arrived. */
  readonly since: number;
  /** How many such answers have arrived in a row. */
  readonly reads: number;
  /** How many nodes the newest has. */
  readonly said: number;
  /**
   * When the registry is to be asked again; `Infinity` if the answer is not accepted however often it is
   * repeated.
   */
  readonly askAt: number;
}

/** How many nodes a cluster had before it shrank. */
export interface Peak {
  readonly nodes: number;
  /** When it last had that many. */
  readonly untilMs: number;
}

/** What is remembered about a cluster between two answers. */
export interface GuardMemory {
  readonly hold?: Hold | undefined;
  /**
   * The sizes that the cluster has shrunk from within `shrinkGraceMs`, each smaller than the previous one:
   * never more of them than it had nodes.
   */
  readonly peaks: readonly Peak[];
}

/** Nothing to remember. */
export const NO_MEMORY: GuardMemory = { peaks: [] };

/** How consecutive answers of one registry about a cluster are related. */
export interface Past {
  readonly epoch: string;
  /** Whether the registry had the cluster. */
  readonly exists: boolean;
  /** When an answer last did not follow the previous one: `-Infinity` if none did. */
  readonly brokenAt: number;
}

/**
 * Notes an answer: it does not follow the previous one if the epoch has changed, or if the cluster was
 * missing meanwhile. Where no node is known, that loses nothing. Pure.
 */
export function followPast(
  before: Past | undefined,
  { epoch, exists }: Pick<Past, "epoch" | "exists">,
  { known = [], now }: Pick<GuardInput, "known" | "now">,
): Past {
  const isBroken = before !== undefined && (before.epoch !== epoch || (!before.exists && exists));
  return { epoch, exists, brokenAt: isBroken && known.length > 0 ? now : before?.brokenAt ?? -Infinity };
}

/** The input of {@linkcode applyGuard}. */
export interface GuardInput {
  /** What is served now; `undefined` if nothing is known. */
  readonly known: readonly Node[] | undefined;
  /** What the registry reports. */
  readonly said: readonly Node[];
  readonly settings: GuardSettings;
  readonly memory: GuardMemory;
  readonly now: number;
  /** When its registry last became reachable; `-Infinity` if it was never unreachable. */
  readonly connectedAt: number;
  /** How its answers are related, this one included; they follow one another if absent. */
  readonly past?: Past | undefined;
  /** How long a live member may take to register again once the registry's history is unknown. */
  readonly leaseMs?: number | undefined;
}

/** The result of {@linkcode applyGuard}. */
export interface GuardResult {
  /**
   * What to serve: what the registry reports, and while that is held, also what was known before; only what
   * was known if it reports too many nodes.
   */
  readonly nodes: readonly Node[];
  readonly memory: GuardMemory;
}

/** Decides what to accept. Pure. */
export function applyGuard(
  { known: served, said, settings, memory, now, connectedAt, past, leaseMs = 0 }: GuardInput,
): GuardResult {
  const known = served ?? [];
  const peaks = memory.peaks.filter(({ untilMs }) => untilMs > now - settings.shrinkGraceMs);
  if (past?.exists === false) return { nodes: known, memory: { ...missing(known, memory, now), peaks } };
  const brokenAt = past?.brokenAt ?? -Infinity;
  const graceMs = Math.max(settings.emptyGraceMs, leaseMs);
  if (said.length > settings.maxNodes) {
    const reads = (memory.hold?.reads ?? 0) + 1;
    const hold: Hold = { cause: "many", since: memory.hold?.since ?? now, reads, said: said.length, askAt: Infinity };
    return { nodes: known, memory: { hold, peaks } };
  }
  const lost = lostOf(known, said);
  const unknownBefore = Math.max(connectedAt, brokenAt);
  const { since, reads } = confirmed(memory.hold, { isEmpty: said.length === 0, unknownBefore, now });
  const isFirst = served === undefined && said.length === 0;
  const doubts = isFirst ? [{ cause: "empty", until: since + FIRST_READ_MS } as const] : lost.length === 0 ? [] : [
    ...said.length < settings.minNodes ? [{ cause: "few", until: Infinity } as const] : [],
    ...said.length === 0
      ? [{ cause: "empty", until: emptyUntil(settings, since, unknownBefore + graceMs) } as const]
      : [],
    // Confirmed by the first answer after that time.
    ...now < brokenAt + graceMs ? [{ cause: "behind", until: brokenAt + graceMs } as const] : [],
    ...isSudden({ known, lost, said, peaks, settings })
      ? [{ cause: "shrunk", until: since + settings.shrinkGraceMs } as const]
      : [],
  ];
  const [worst] = doubts.toSorted((a, b) => a.until === b.until ? 0 : b.until - a.until);
  if (worst === undefined) {
    return { nodes: said, memory: { peaks: peaksAfter(peaks, { known, said, settings, now }) } };
  }
  if (now >= worst.until && reads > 1) return { nodes: said, memory: NO_MEMORY };
  const askAt = worst.until === Infinity
    ? Infinity
    : Math.max(worst.until, now + (isFirst ? FIRST_READ_MS : SECOND_READ_MS));
  return {
    nodes: [...said, ...lost].toSorted(byName),
    memory: { hold: { cause: worst.cause, since, reads, said: said.length, askAt }, peaks },
  };
}

/** The known nodes that a registry does not report. */
function lostOf(known: readonly Node[], said: readonly Node[]): readonly Node[] {
  const differences = SORTED_NODES.differences(known, said);
  if (differences !== undefined) {
    return differences.flatMap(({ before, now }) => before !== undefined && now === undefined ? [before] : []);
  }
  const names = new Set(said.map(nodeName));
  return known.filter((node) => !names.has(nodeName(node)));
}

/**
 * Since when the present answer has been held, and how often it has arrived: answers from before the registry
 * was last unreachable confirm nothing, and neither does the loss of some nodes confirm the loss of all. An
 * answer with too many nodes lacked none, and one without the cluster said nothing about them.
 */
function confirmed(
  hold: Hold | undefined,
  { isEmpty, unknownBefore, now }: { readonly isEmpty: boolean; readonly unknownBefore: number; readonly now: number },
): Pick<Hold, "since" | "reads"> {
  const isNews = hold === undefined || hold.cause === "missing" || hold.cause === "many" ||
    hold.since < unknownBefore || (isEmpty && hold.said > 0);
  return isNews ? { since: now, reads: 1 } : { since: hold.since, reads: hold.reads + 1 };
}

/** Until when an empty answer is not accepted. */
function emptyUntil({ onEmpty }: GuardSettings, since: number, knownFrom: number): number {
  return onEmpty === "keep" ? Infinity : Math.max(since, knownFrom);
}

/**
 * Holds the answer that there is no such cluster, however often it arrives; without members there is nothing
 * to hold.
 */
function missing(known: readonly Node[], { hold }: GuardMemory, now: number): Pick<GuardMemory, "hold"> {
  if (known.length === 0) return {};
  const [since, reads] = hold?.cause === "missing" ? [hold.since, hold.reads + 1] : [now, 1];
  return { hold: { cause: "missing", since, reads, said: 0, askAt: Infinity } };
}

/**
 * Whether the cluster loses more than it may: nodes that it has now, in one answer, or size, since its
 * largest within `shrinkGraceMs`. Nodes that are back, or that others have replaced, are no loss: a rolling
 * restart loses only what is absent at the same time.
 */
function isSudden(
  { known, lost, said, peaks, settings: { maxShrinkPercent } }: {
    readonly known: readonly Node[];
    readonly lost: readonly Node[];
    readonly said: readonly Node[];
    readonly peaks: readonly Peak[];
    readonly settings: GuardSettings;
  },
): boolean {
  const isTooMuch = (gone: number, of: number) => gone > of * maxShrinkPercent / 100;
  const largest = Math.max(known.length, peaks[0]?.nodes ?? 0);
  return isTooMuch(lost.length, known.length) || isTooMuch(largest - said.length, largest);
}

/** Notes the size that a cluster shrinks from. A guard that allows any loss remembers nothing. */
function peaksAfter(
  peaks: readonly Peak[],
  { known, said, settings, now }: {
    readonly known: readonly Node[];
    readonly said: readonly Node[];
    readonly settings: GuardSettings;
    readonly now: number;
  },
): readonly Peak[] {
  if (settings.maxShrinkPercent >= 100) return [];
  if (said.length >= known.length) return peaks;
  return [...peaks.filter(({ nodes }) => nodes > known.length), { nodes: known.length, untilMs: now }];
}

function byName(a: Node, b: Node): number {
  const [left, right] = [nodeName(a), nodeName(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
