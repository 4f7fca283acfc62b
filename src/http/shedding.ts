import type { Phase } from "./connection.ts";

/** A connection, as far as it counts here. */
export interface Waiting {
  readonly phase: Phase;
  readonly sinceMs: number;
}

/** So many of all connections are closed at once, so that a flood costs a look at all of them now and then only. */
const SHARE = 1 / 16;

/**
 * Chooses which connections are closed to make room: those that have waited for
 * their clients the longest. One whose client waits for an answer is never among
 * them. Pure.
 */
export function toShed<C extends Waiting>(connections: Iterable<C>): readonly C[] {
  const all = [...connections];
  return all
    .filter(({ phase }) => phase !== "answering")
    .toSorted((a, b) => a.sinceMs - b.sinceMs)
    .slice(0, Math.max(1, Math.ceil(SHARE * all.length)));
}
