/** Thrown by {@linkcode assert}: a broken invariant is a bug, never an operator's mistake. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Throws when an invariant is broken. Expected errors are values or named classes instead. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`Broken invariant: ${invariant}`);
}
