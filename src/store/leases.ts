import { assert } from "../kernel/assert.ts";
import { outerTexts, parsePath, type Path } from "./path.ts";
import { Branch, sameTree, type Tree, treeAt, withoutValue, withValue } from "./tree.ts";

/** A lease owns keys, which are removed with it. */
export interface Lease {
  readonly name: string;
  /** The token that made it: no other may renew or end it. Absent without tokens. */
  readonly holder?: string;
  /** Time to live without renewal. */
  readonly ttlMs: number;
  /** The paths of its keys, as {@linkcode formatPath} writes them. */
  readonly keys: readonly string[];
}

/** Every lease by its name. */
export type Leases = ReadonlyMap<string, Lease>;

/** A document and its leases. */
export interface Leased {
  readonly data: Tree;
  readonly leases: Leases;
}

/** The complete request for a lease: keys held before and missing here are removed. */
export interface LeaseRequest {
  readonly name: string;
  readonly holder?: string;
  readonly ttlMs: number;
  /** Values by the paths of their keys. */
  readonly keys: ReadonlyMap<string, Tree>;
  /** Keys that stay with another lease that has them. */
  readonly yields?: ReadonlySet<string>;
}

/** A document after a change of a lease. */
export interface LeaseChange extends Leased {
  /** Where the document differs; empty if only the lease does, or nothing. */
  readonly touched: readonly Path[];
}

/** Applies a request to a lease; returns a message if it conflicts. */
export function grant({ data, leases }: Leased, asked: LeaseRequest): LeaseChange | string {
  const owners = ownersOf(leases);
  const request = yielded(asked, owners);
  const touched: Path[] = [];
  const others = new Map(leases);
  const before = leases.get(request.name);
  let tree = data;
  for (const key of before?.keys ?? []) {
    if (request.keys.has(key)) continue;
    const path = pathOf(key);
    const without = withoutValue(tree, path);
    if (without === undefined) continue;
    tree = without;
    touched.push(path);
  }
  const clash = clashOf(request.keys, owners);
  if (clash !== undefined) return clash;
  for (const [key, value] of request.keys) {
    const path = pathOf(key);
    const owner = owners.get(key);
    if (owner !== undefined && owner !== request.name) {
      takeKey(others, owner, key);
    }
    if (!canHold(tree, path)) return `Cannot lease ${key}: the parent is not an object`;
    if (sameTree(treeAt(tree, path), value)) continue;
    const next = withValue(tree, path, value, true);
    assert(next !== undefined, "an object accepts any key");
    tree = next;
    touched.push(path);
  }
  const { name, holder, ttlMs } = request;
  others.set(name, { name, ...(holder === undefined ? {} : { holder }), ttlMs, keys: [...request.keys.keys()].sort() });
  return { data: tree, leases: others, touched };
}

/**
 * Ends a lease and removes its keys. The objects around them stay: an empty object is information, a
 * missing one is not.
 */
export function end({ data, leases }: Leased, name: string): LeaseChange {
  const others = new Map(leases);
  others.delete(name);
  let tree = data;
  const touched: Path[] = [];
  for (const key of leases.get(name)?.keys ?? []) {
    const path = pathOf(key);
    const without = withoutValue(tree, path);
    if (without === undefined) continue;
    tree = without;
    touched.push(path);
  }
  return { data: tree, leases: others, touched };
}

/** Whether a request changes nothing, so that the lease is only renewed. */
export function isGranted({ data, leases }: Leased, asked: LeaseRequest): boolean {
  const lease = leases.get(asked.name);
  const request = lease?.keys.length === asked.keys.size ? asked : yielded(asked, ownersOf(leases));
  return lease !== undefined && lease.ttlMs === request.ttlMs && lease.keys.length === request.keys.size &&
    lease.keys.every((key) => {
      const value = request.keys.get(key);
      return value !== undefined && sameTree(treeAt(data, pathOf(key)), value);
    });
}

/** The owner of each key. */
function ownersOf(leases: Leases): Map<string, string> {
  return new Map([...leases.values()].flatMap(({ name, keys }) => keys.map((key) => [key, name] as const)));
}

/** Leaves out the keys that stay with other leases. */
function yielded(request: LeaseRequest, owners: ReadonlyMap<string, string>): LeaseRequest {
  if (request.yields === undefined || request.yields.size === 0) return request;
  const isLeft = (key: string) => request.yields?.has(key) && (owners.get(key) ?? request.name) !== request.name;
  return { ...request, keys: new Map([...request.keys].filter(([key]) => !isLeft(key))) };
}

function pathOf(key: string): Path {
  return parsePath(key) ?? [];
}

/**
 * Rejects a key within another leased key, which would be removed with it; keys of this lease are not
 * checked again.
 */
function clashOf(keys: ReadonlyMap<string, Tree>, owners: ReadonlyMap<string, string>): string | undefined {
  const added = new Set([...keys.keys()].filter((key) => !owners.has(key)));
  let shortest = Infinity;
  for (const key of added) {
    shortest = Math.min(shortest, key.length);
    const outer = outerTexts(key).find((text) => owners.has(text));
    if (outer !== undefined) return `Cannot lease ${key}: its ancestor ${outer} is already leased`;
  }
  for (const other of owners.keys()) {
    // Most keys are siblings; this test is cheap and settles those.
    if (other.lastIndexOf("/") < shortest - 1) continue;
    const key = outerTexts(other).find((text) => added.has(text));
    if (key !== undefined) return `Cannot lease ${key}: its descendant ${other} is already leased`;
  }
  return undefined;
}

/** Whether only objects, or nothing yet, are on the way to a path; not arrays, as their indexes shift. */
function canHold(tree: Tree, path: Path): boolean {
  let at: Tree | undefined = tree;
  for (const segment of path) {
    if (at === undefined) return true;
    if (!(at instanceof Branch)) return false;
    at = treeAt(at, [segment]);
  }
  return true;
}

/** Moves a key away from the lease that has it: a re-registered node must not be removed with the old registration. */
function takeKey(leases: Map<string, Lease>, owner: string, key: string): void {
  const lease = leases.get(owner);
  if (lease !== undefined) leases.set(owner, { ...lease, keys: lease.keys.filter((other) => other !== key) });
}

/** Encodes leases for a file or a peer. */
export function leasesToJson(leases: Leases): readonly Lease[] {
  return [...leases.values()];
}

/** Decodes what {@linkcode leasesToJson} wrote; invalid leases are left out. */
export function leasesFromJson(json: unknown): Leases {
  const leases = new Map<string, Lease>();
  for (const item of Array.isArray(json) ? json : []) {
    const { name, holder, ttlMs, keys } = (item ?? {}) as { readonly [key in keyof Lease]?: unknown };
    if (typeof name !== "string" || typeof ttlMs !== "number" || !Array.isArray(keys)) continue;
    if (!(ttlMs > 0) || !keys.every((key) => typeof key === "string" && (parsePath(key)?.length ?? 0) > 0)) continue;
    leases.set(name, { name, ...(typeof holder === "string" ? { holder } : {}), ttlMs, keys });
  }
  return leases;
}
