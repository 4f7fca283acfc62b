/**
 * Decides what is believed of a registry's answer: an answer that would take
 * out all nodes, too many at once or more than may be missing is held back
 * until it is confirmed. Pure: no clock, no I/O.
 *
 * @module
 */
import type { GuardSettings } from "../model/cluster.ts";
import { type Node, nodeName } from "../model/node.ts";

/** An answer is asked for once more after this time: a reporter whose session has expired is back by then. */
const SECOND_READ_MS = 2_000;

/** Why an answer is held back. */
export type HoldCause =
  /** It has no nodes. */
  | "empty"
  /** It has fewer nodes than `minNodes`. */
  | "few"
  /** It has more nodes than `maxNodes`. */
  | "many"
  /** It lacks more nodes than `maxShrinkPercent` allows to go at once. */
  | "shrunk";

/** An answer that is held back. */
export interface Hold {
  readonly cause: HoldCause;
  /** When such an answer came first. */
  readonly since: number;
  /** How many such answers have come in a row. */
  readonly reads: number;
  /** How many nodes the newest has. */
  readonly said: number;
  /** When the registry is to be asked again; `Infinity` if it will not be believed however often it says so. */
  readonly askAt: number;
}

/** How many nodes a cluster had until some of them were let go. */
export interface Peak {
  readonly nodes: number;
  /** When it last had so many. */
  readonly untilMs: number;
}

/** What is remembered of a cluster between two answers. */
export interface GuardMemory {
  readonly hold?: Hold | undefined;
  /**
   * The sizes that the cluster has shrunk from within `shrinkGraceMs`, each smaller
   * than the one before it: there are never more than it had nodes.
   */
  readonly peaks: readonly Peak[];
}

/** Nothing to remember. */
export const NO_MEMORY: GuardMemory = { peaks: [] };

/** What {@linkcode applyGuard} is given. */
export interface GuardInput {
  /** What is served now. */
  readonly known: readonly Node[];
  /** What the registry says. */
  readonly said: readonly Node[];
  readonly settings: GuardSettings;
  readonly memory: GuardMemory;
  readonly now: number;
  /** When its registry last came into reach; `-Infinity` if it was never away. */
  readonly connectedAt: number;
}

/** What {@linkcode applyGuard} answers. */
export interface GuardResult {
  /** What to serve: what the registry says, and while that is held back, what was known besides; if it says too much, that alone. */
  readonly nodes: readonly Node[];
  readonly memory: GuardMemory;
}

/** Decides what to believe. Pure. */
export function applyGuard({ known, said, settings, memory, now, connectedAt }: GuardInput): GuardResult {
  const peaks = memory.peaks.filter(({ untilMs }) => untilMs > now - settings.shrinkGraceMs);
  if (said.length > settings.maxNodes) {
    const reads = (memory.hold?.reads ?? 0) + 1;
    const hold: Hold = { cause: "many", since: memory.hold?.since ?? now, reads, said: said.length, askAt: Infinity };
    return { nodes: known, memory: { hold, peaks } };
  }
  const names = new Set(said.map(nodeName));
  const missing = known.filter((node) => !names.has(nodeName(node)));
  const { since, reads } = confirmed(memory.hold, { isEmpty: said.length === 0, connectedAt, now });
  const doubts = missing.length === 0 ? [] : [
    ...said.length < settings.minNodes ? [{ cause: "few", until: Infinity } as const] : [],
    ...said.length === 0 ? [{ cause: "empty", until: emptyUntil(settings, { since, connectedAt }) } as const] : [],
    ...isSudden({ known, missing, said, peaks, settings })
      ? [{ cause: "shrunk", until: since + settings.shrinkGraceMs } as const]
      : [],
  ];
  const [worst] = doubts.toSorted((a, b) => a.until === b.until ? 0 : b.until - a.until);
  if (worst === undefined) {
    return { nodes: said, memory: { peaks: peaksAfter(peaks, { known, said, settings, now }) } };
  }
  if (now >= worst.until && reads > 1) return { nodes: said, memory: NO_MEMORY };
  const askAt = worst.until === Infinity ? Infinity : Math.max(worst.until, now + SECOND_READ_MS);
  return {
    nodes: [...said, ...missing].toSorted(byName),
    memory: { hold: { cause: worst.cause, since, reads, said: said.length, askAt }, peaks },
  };
}

/**
 * Since when the answer at hand has been held back, and how often it has come:
 * what was said before the registry was last away confirms nothing, and neither
 * does a loss of some confirm that now there is nothing left.
 */
function confirmed(
  hold: Hold | undefined,
  { isEmpty, connectedAt, now }: { readonly isEmpty: boolean; readonly connectedAt: number; readonly now: number },
): Pick<Hold, "since" | "reads"> {
  const isNews = hold === undefined || hold.since < connectedAt || (isEmpty && hold.said > 0);
  return isNews ? { since: now, reads: 1 } : { since: hold.since, reads: hold.reads + 1 };
}

/** Until when an empty answer is not believed. */
function emptyUntil(
  { onEmpty, emptyGraceMs }: GuardSettings,
  { since, connectedAt }: { readonly since: number; readonly connectedAt: number },
): number {
  return onEmpty === "keep" ? Infinity : Math.max(since, connectedAt + emptyGraceMs);
}

/**
 * Whether the cluster loses more than it may: nodes that it has now, in one answer, or size, since its largest within
 * `shrinkGraceMs`. Nodes that are back, or that others have replaced, are no loss: a rolling restart loses
 * no more than what is away at one time.
 */
function isSudden(
  { known, missing, said, peaks, settings: { maxShrinkPercent } }: {
    readonly known: readonly Node[];
    readonly missing: readonly Node[];
    readonly said: readonly Node[];
    readonly peaks: readonly Peak[];
    readonly settings: GuardSettings;
  },
): boolean {
  const isTooMuch = (lost: number, of: number) => lost > of * maxShrinkPercent / 100;
  const largest = Math.max(known.length, peaks[0]?.nodes ?? 0);
  return isTooMuch(missing.length, known.length) || isTooMuch(largest - said.length, largest);
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
