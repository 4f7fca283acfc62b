/**
 * What a conformance suite is made of: rules, each with a name and a way to
 * find out whether a plugin keeps it.
 *
 * @module
 */
import { formatDuration } from "../kernel/duration.ts";

/** One thing that a plugin must do. */
export interface Rule {
  /** What it does if it keeps the rule: `reports an unknown key with its path`. */
  readonly title: string;
  /** Why nobody can tell as things stand; then {@linkcode run} is not called. */
  readonly skipped?: string | undefined;
  /** Finds out: throws an error that says why it does not, or answers a detail worth a word. */
  readonly run: () => Promise<string | void>;
}

/** Raised for a rule that is not kept; its message says what was seen, and what is wanted. */
export class BrokenRule extends Error {
  override name = "BrokenRule";
}

/** Throws a {@linkcode BrokenRule} unless `kept` holds. */
export function must(kept: unknown, why: string): asserts kept {
  if (!kept) throw new BrokenRule(why);
}

/** How often what takes too long is looked at again: a busy machine is no fault of a plugin. */
const TRIES = 3;

/** Throws unless what is measured takes at most so long, at one of three tries. */
export async function mustTakeAtMost(
  limitMs: number,
  what: string,
  measure: () => Promise<number>,
): Promise<void> {
  let bestMs = Infinity;
  for (let i = 0; i < TRIES && bestMs > limitMs; i++) bestMs = Math.min(bestMs, await measure());
  must(
    bestMs <= limitMs,
    `${what} took ${formatDuration(Math.round(bestMs))}: expected at most ${formatDuration(limitMs)}`,
  );
}
