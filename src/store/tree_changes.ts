import { formatPath, type Path } from "./path.ts";
import { Branch, compactText, sameTree, type Tree, treeAt, withoutValue } from "./tree.ts";

/** A place where a value differs. */
export interface TreeChange {
  readonly path: Path;
  /** The old value; `undefined` if there was none. */
  readonly before: Tree | undefined;
  /** The new value; `undefined` if there is none. */
  readonly after: Tree | undefined;
}

/**
 * Returns the differences between two values, as few and as deep as objects go; an array is one value.
 * None is within another.
 */
export function changesBetween(
  before: Tree | undefined,
  after: Tree | undefined,
  path: Path = [],
): readonly TreeChange[] {
  if (sameTree(before, after)) return [];
  if (!(before instanceof Branch && after instanceof Branch)) return [{ path, before, after }];
  const keys = [...new Set([...before.keys, ...after.keys])].sort();
  return keys.flatMap((key) => changesBetween(treeAt(before, [key]), treeAt(after, [key]), [...path, key]));
}

/** Formats a change for people, the old and the new value on a line each. */
export function formatTreeChange({ path, before, after }: TreeChange): string {
  const lines = ([["-", before], ["+", after]] as const).filter(([, value]) => value !== undefined);
  return lines.map(([sign, value]) => `${sign} ${formatPath(path)}: ${compactText(value ?? null)}`).join("\n");
}

/** Returns a value without what is at some paths in it. */
export function withoutPaths(tree: Tree, paths: readonly Path[]): Tree {
  return paths.reduce((rest, path) => withoutValue(rest, path) ?? rest, tree);
}
