import type { Path } from "./path.ts";

/**
 * An immutable value of a document: a change copies the objects along its path and shares all others.
 * Keys are plain data, so none (`__proto__`, `constructor`) has a special meaning.
 */
export type Tree = null | boolean | number | string | Branch | List;

/** Encodings up to this length are cached; longer ones are built again. */
const KEPT_TEXT_MAX = 256 * 1024;

/** An object: its keys in order, and their values at the same indexes. */
export class Branch {
  readonly keys: readonly string[];
  readonly values: readonly Tree[];
  /** Levels of nesting; an empty object has 1. */
  readonly depth: number;
  #text: string | undefined;

  /** Expects unique keys in ascending order. */
  constructor(keys: readonly string[], values: readonly Tree[]) {
    this.keys = keys;
    this.values = values;
    this.depth = 1 + deepest(values);
  }

  /** Its JSON without spaces. */
  get text(): string {
    if (this.#text !== undefined) return this.#text;
    let text = "{";
    for (let i = 0; i < this.keys.length; i++) {
      text += `${i === 0 ? "" : ","}${JSON.stringify(this.keys[i])}:${compactText(this.values[i] as Tree)}`;
    }
    text += "}";
    if (text.length <= KEPT_TEXT_MAX) this.#text = text;
    return text;
  }
}

/** An array. */
export class List {
  readonly items: readonly Tree[];
  /** Levels of nesting; an empty array has 1. */
  readonly depth: number;
  #text: string | undefined;

  constructor(items: readonly Tree[]) {
    this.items = items;
    this.depth = 1 + deepest(items);
  }

  /** Its JSON without spaces. */
  get text(): string {
    if (this.#text !== undefined) return this.#text;
    let text = "[";
    for (let i = 0; i < this.items.length; i++) text += (i === 0 ? "" : ",") + compactText(this.items[i] as Tree);
    text += "]";
    if (text.length <= KEPT_TEXT_MAX) this.#text = text;
    return text;
  }
}

/** An object without keys: the initial document. */
export const EMPTY_BRANCH: Branch = new Branch([], []);

/** Levels of nesting of a value: 0 for a scalar. */
export function depthOf(tree: Tree): number {
  return tree instanceof Branch || tree instanceof List ? tree.depth : 0;
}

function deepest(trees: readonly Tree[]): number {
  let depth = 0;
  for (const tree of trees) depth = Math.max(depth, depthOf(tree));
  return depth;
}

/** Makes a tree of a result of `JSON.parse`. Throws `RangeError` beyond `depthMax` levels. */
export function treeOf(json: unknown, depthMax: number): Tree {
  if (typeof json !== "object" || json === null) return json as Tree;
  if (depthMax === 0) throw new RangeError("too deep");
  if (Array.isArray(json)) return new List(json.map((item) => treeOf(item, depthMax - 1)));
  const object = json as Readonly<Record<string, unknown>>;
  const keys = Object.keys(object);
  let sorted = true;
  for (let i = 1; i < keys.length && sorted; i++) sorted = (keys[i - 1] as string) < (keys[i] as string);
  if (!sorted) keys.sort();
  const values = new Array<Tree>(keys.length);
  for (let i = 0; i < keys.length; i++) values[i] = treeOf(object[keys[i] as string], depthMax - 1);
  return new Branch(keys, values);
}

/** Writes canonical JSON: keys in order, no spaces. Equal values have equal encodings. */
export function compactText(tree: Tree): string {
  return tree instanceof Branch || tree instanceof List ? tree.text : JSON.stringify(tree);
}

/** Writes JSON for people: keys in order, indented by 2. */
export function prettyText(tree: Tree, indent = "\n"): string {
  const inner = `${indent}  `;
  if (tree instanceof Branch) {
    if (tree.keys.length === 0) return "{}";
    let text = "{";
    for (let i = 0; i < tree.keys.length; i++) {
      const value = prettyText(tree.values[i] as Tree, inner);
      text += `${i === 0 ? "" : ","}${inner}${JSON.stringify(tree.keys[i])}: ${value}`;
    }
    return `${text}${indent}}`;
  }
  if (tree instanceof List) {
    if (tree.items.length === 0) return "[]";
    let text = "[";
    for (let i = 0; i < tree.items.length; i++) {
      text += `${i === 0 ? "" : ","}${inner}${prettyText(tree.items[i] as Tree, inner)}`;
    }
    return `${text}${indent}]`;
  }
  return JSON.stringify(tree);
}

/** Whether two values are equal; shared parts are not compared. */
export function sameTree(a: Tree | undefined, b: Tree | undefined): boolean {
  if (a === b) return true;
  if (a instanceof Branch && b instanceof Branch) {
    return a.keys.length === b.keys.length && a.keys.every((key, i) => key === b.keys[i]) &&
      sameAll(a.values, b.values);
  }
  return a instanceof List && b instanceof List && a.items.length === b.items.length && sameAll(a.items, b.items);
}

function sameAll(a: readonly Tree[], b: readonly Tree[]): boolean {
  return a.every((value, i) => sameTree(value, b[i]));
}

/** Returns the index of a key, or the complement of the index at which it belongs. */
function search(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = keys[middle] as string;
    if (at === key) return middle;
    if (at < key) low = middle + 1;
    else high = middle;
  }
  return ~low;
}

/** Parses a segment as an index: plain digits, as `JSON` writes them. */
function indexOf(segment: string): number | undefined {
  return /^(?:0|[1-9][0-9]{0,8})$/.test(segment) ? Number(segment) : undefined;
}

function childOf(tree: Tree, segment: string): Tree | undefined {
  if (tree instanceof Branch) {
    const at = search(tree.keys, segment);
    return at < 0 ? undefined : tree.values[at];
  }
  if (!(tree instanceof List)) return undefined;
  const index = indexOf(segment);
  return index === undefined ? undefined : tree.items[index];
}

/** Returns the value at a path; `undefined` if there is none. */
export function treeAt(tree: Tree, path: Path): Tree | undefined {
  let at: Tree | undefined = tree;
  for (const segment of path) {
    if (at === undefined) return undefined;
    at = childOf(at, segment);
  }
  return at;
}

/**
 * Returns the tree with a value at a path: a key is set or added, an array item replaced or
 * appended. `undefined` if the parent does not exist or is a scalar.
 *
 * @param makesParents whether missing objects on the way are created
 */
export function withValue(tree: Tree, path: Path, value: Tree, makesParents = false): Tree | undefined {
  const [segment, ...rest] = path;
  if (segment === undefined) return value;
  const before = childOf(tree, segment);
  if (before === undefined && rest.length > 0 && !(makesParents && tree instanceof Branch)) return undefined;
  const child = rest.length === 0
    ? value
    : withValue(before === undefined ? EMPTY_BRANCH : before, rest, value, makesParents);
  if (child === undefined) return undefined;
  if (tree instanceof Branch) {
    const at = search(tree.keys, segment);
    if (at >= 0) return new Branch(tree.keys, tree.values.with(at, child));
    return new Branch(tree.keys.toSpliced(~at, 0, segment), tree.values.toSpliced(~at, 0, child));
  }
  const index = tree instanceof List ? indexOf(segment) : undefined;
  if (!(tree instanceof List) || index === undefined || index > tree.items.length) return undefined;
  return new List(tree.items.toSpliced(index, 1, child));
}

/** Returns the tree without the value at a path, an empty object for the path `[]`; `undefined` if there is none. */
export function withoutValue(tree: Tree, path: Path): Tree | undefined {
  const [segment, ...rest] = path;
  if (segment === undefined) return EMPTY_BRANCH;
  const before = childOf(tree, segment);
  if (before === undefined) return undefined;
  if (rest.length > 0) {
    const child = withoutValue(before, rest);
    return child === undefined ? undefined : withValue(tree, [segment], child);
  }
  if (tree instanceof Branch) {
    const at = search(tree.keys, segment);
    return new Branch(tree.keys.toSpliced(at, 1), tree.values.toSpliced(at, 1));
  }
  return tree instanceof List ? new List(tree.items.toSpliced(Number(segment), 1)) : undefined;
}
