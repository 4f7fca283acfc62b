import { formatPath, type Path } from "./path.ts";
import { Branch, compactText, sameTree, type Tree, treeAt, withoutValue } from "./tree.ts";

/** One place where a value is another than before. */
export interface TreeChange {
  readonly path: Path;
  /** What was there; `undefined` if nothing was. */
  readonly before: Tree | undefined;
  /** What is to be there; `undefined` if nothing is. */
  readonly after: Tree | undefined;
}

/**
 * Answers what leads from one value to another, as few and as deep as objects
 * go; an array is one value. None is within another.
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

/** Writes a change for a reader, with what goes and what comes on a line each. */
export function formatTreeChange({ path, before, after }: TreeChange): string {
  const lines = ([["-", before], ["+", after]] as const).filter(([, value]) => value !== undefined);
  return lines.map(([sign, value]) => `${sign} ${formatPath(path)}: ${compactText(value ?? null)}`).join("\n");
}

/** A value without what is at some paths in it. */
export function withoutPaths(tree: Tree, paths: readonly Path[]): Tree {
  return paths.reduce((rest, path) => withoutValue(rest, path) ?? rest, tree);
}
