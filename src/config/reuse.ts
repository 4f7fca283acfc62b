/**
 * Keeps what did not change the very same object from one load to the next, so
 * that whoever looks at it need not compare. Pure.
 *
 * @module
 */
import type { Desired } from "./desired.ts";

/** The map of the last time if it holds the very same values in the same order, else the new one. */
export function reuseMap<T>(
  last: ReadonlyMap<string, T> | undefined,
  now: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  if (last === undefined || last.size !== now.size) return now;
  const before = last.entries();
  return now.entries().every(([key, value]) => {
      const [lastKey, lastValue] = before.next().value ?? [];
      return key === lastKey && value === lastValue;
    })
    ? last
    : now;
}

/** What was desired the last time if every part of it is the very same, else what is desired now. */
export function reuseDesired(last: Desired | undefined, now: Desired): Desired {
  const parts = Object.keys(now) as (keyof Desired)[];
  return last !== undefined && parts.every((part) => last[part] === now[part]) ? last : Object.freeze(now);
}

/** Compares two values of files, the order of keys and entries too: a balancer may write in the order it reads. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Map || b instanceof Map) return a instanceof Map && b instanceof Map && sameValue([...a], [...b]);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [ofA, ofB] = [Object.entries(a), Object.entries(b)];
  return ofA.length === ofB.length &&
    ofA.every(([key, value], i) => key === ofB[i]?.[0] && sameValue(value, ofB[i]?.[1]));
}
