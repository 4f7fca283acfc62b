import type { Phase } from "./connection.ts";

/** The part of a connection that counts here. */
export interface Waiting {
  readonly phase: Phase;
  readonly sinceMs: number;
}

/** Fraction of the connections that is closed at once, so that a flood rarely costs a scan of all. */
const SHARE = 1 / 16;

/**
 * Selects the connections to close to make room: those that have waited for their clients the longest.
 * A connection whose client waits for an answer is never selected. Pure.
 */
export function toShed<C extends Waiting>(connections: Iterable<C>): readonly C[] {
  const all = [...connections];
  return all
    .filter(({ phase }) => phase !== "answering")
    .toSorted((a, b) => a.sinceMs - b.sinceMs)
    .slice(0, Math.max(1, Math.ceil(SHARE * all.length)));
}
