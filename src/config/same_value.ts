/**
 * Compares two values of files, the order of keys and entries too: a balancer may write in the order it reads.
 * Objects of a class are compared by identity. Pure.
 */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Map || b instanceof Map) return a instanceof Map && b instanceof Map && sameValue([...a], [...b]);
  if (Array.isArray(a) !== Array.isArray(b) || isInstance(a) || isInstance(b)) return false;
  const [ofA, ofB] = [Object.entries(a), Object.entries(b)];
  return ofA.length === ofB.length &&
    ofA.every(([key, value], i) => key === ofB[i]?.[0] && sameValue(value, ofB[i]?.[1]));
}

/** Whether a value is an object of a class, such as a source. */
function isInstance(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype !== Object.prototype && prototype !== null && !Array.isArray(value);
}
