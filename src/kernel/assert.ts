/** Raised by {@linkcode assert}: a broken invariant, ours to fix, never an operator's mistake. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Ends what is going on when an invariant is broken. Expected errors are values or named classes instead. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`Broken invariant: ${invariant}`);
}
