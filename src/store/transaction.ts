import { overlap, type Path } from "./path.ts";
import { type Tree, withoutValue, withValue } from "./tree.ts";

/** One change of a transaction: a value set, or removed if `undefined`. */
interface Write {
  readonly path: Path;
  readonly value?: Tree;
  /** The earlier changes: a linked list that grows without copying. */
  readonly previous: Write | undefined;
}

/** Changes to a document that nobody else sees yet. */
export interface Transaction {
  /** The document with its changes. */
  readonly staged: Tree;
  /** The newest of its changes. */
  readonly last: Write | undefined;
}

/** Begins a transaction on a document. */
export function begin(base: Tree): Transaction {
  return { staged: base, last: undefined };
}

/** Adds a change that sets a value; `undefined` if its parent does not exist. */
export function put({ staged, last }: Transaction, path: Path, value: Tree): Transaction | undefined {
  const tree = withValue(staged, path, value);
  return tree === undefined ? undefined : { staged: tree, last: { path, value, previous: last } };
}

/** Adds a change that removes a value; `undefined` if there is none. */
export function remove({ staged, last }: Transaction, path: Path): Transaction | undefined {
  const tree = withoutValue(staged, path);
  return tree === undefined ? undefined : { staged: tree, last: { path, previous: last } };
}

/**
 * Rebases the changes; `undefined` if they may touch a place that differs from the old base.
 *
 * @param disturbed the paths at which the bases differ; empty if they are equal
 */
export function rebase(transaction: Transaction, base: Tree, disturbed: readonly Path[]): Transaction | undefined {
  if (disturbed.length === 0) return transaction;
  const writes: Write[] = [];
  for (let write = transaction.last; write !== undefined; write = write.previous) writes.push(write);
  if (writes.some(({ path }) => disturbed.some((other) => overlap(path, other)))) return undefined;
  let rebased: Transaction | undefined = begin(base);
  for (const { path, value } of writes.reverse()) {
    rebased = value === undefined ? remove(rebased, path) : put(rebased, path, value);
    if (rebased === undefined) return undefined;
  }
  return rebased;
}
