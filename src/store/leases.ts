import { assert } from "../kernel/assert.ts";
import { outerTexts, parsePath, type Path } from "./path.ts";
import { Branch, sameTree, type Tree, treeAt, withoutValue, withValue } from "./tree.ts";

/** Who keeps which keys alive: the keys vanish with the lease. */
export interface Lease {
  readonly name: string;
  /** Whose token made it; nobody else may renew or end it. Not there where no tokens are asked for. */
  readonly holder?: string;
  /** How long it lives without being renewed. */
  readonly ttlMs: number;
  /** The paths of its keys, as {@linkcode formatPath} writes them. */
  readonly keys: readonly string[];
}

/** Every lease by its name. */
export type Leases = ReadonlyMap<string, Lease>;

/** A document and the leases on it. */
export interface Leased {
  readonly data: Tree;
  readonly leases: Leases;
}

/** What a lease is asked to hold, whole: a key that it held and that is not there any more vanishes. */
export interface LeaseRequest {
  readonly name: string;
  readonly holder?: string;
  readonly ttlMs: number;
  /** The values by the paths of their keys. */
  readonly keys: ReadonlyMap<string, Tree>;
  /** The keys that are left to another lease if one has them by now. */
  readonly yields?: ReadonlySet<string>;
}

/** A document after a change to a lease. */
export interface LeaseChange extends Leased {
  /** Where the document differs now; empty if only the lease does, or nothing. */
  readonly touched: readonly Path[];
}

/** Gives a lease what it asks for; a text says why it cannot be. */
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
    if (!canHold(tree, path)) return `Cannot lease ${key} as what should hold it is no object`;
    if (sameTree(treeAt(tree, path), value)) continue;
    const next = withValue(tree, path, value, true);
    assert(next !== undefined, "objects hold any key");
    tree = next;
    touched.push(path);
  }
  const { name, holder, ttlMs } = request;
  others.set(name, { name, ...(holder === undefined ? {} : { holder }), ttlMs, keys: [...request.keys.keys()].sort() });
  return { data: tree, leases: others, touched };
}

/** Ends a lease: its keys vanish. What holds them stays, since to hold nothing is news and not to be there is none. */
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

/** Whether a lease is what a request asks for, so that it is merely renewed. */
export function isGranted({ data, leases }: Leased, asked: LeaseRequest): boolean {
  const lease = leases.get(asked.name);
  const request = lease?.keys.length === asked.keys.size ? asked : yielded(asked, ownersOf(leases));
  return lease !== undefined && lease.ttlMs === request.ttlMs && lease.keys.length === request.keys.size &&
    lease.keys.every((key) => {
      const value = request.keys.get(key);
      return value !== undefined && sameTree(treeAt(data, pathOf(key)), value);
    });
}

/** Which lease has each key. */
function ownersOf(leases: Leases): Map<string, string> {
  return new Map([...leases.values()].flatMap(({ name, keys }) => keys.map((key) => [key, name] as const)));
}

/** Leaves out what is left to other leases. */
function yielded(request: LeaseRequest, owners: ReadonlyMap<string, string>): LeaseRequest {
  if (request.yields === undefined || request.yields.size === 0) return request;
  const isLeft = (key: string) => request.yields?.has(key) && (owners.get(key) ?? request.name) !== request.name;
  return { ...request, keys: new Map([...request.keys].filter(([key]) => !isLeft(key))) };
}

function pathOf(key: string): Path {
  return parsePath(key) ?? [];
}

/** A key within another leased key would go with it, unasked; those that are leased already are looked at no more. */
function clashOf(keys: ReadonlyMap<string, Tree>, owners: ReadonlyMap<string, string>): string | undefined {
  const added = new Set([...keys.keys()].filter((key) => !owners.has(key)));
  let shortest = Infinity;
  for (const key of added) {
    shortest = Math.min(shortest, key.length);
    const outer = outerTexts(key).find((text) => owners.has(text));
    if (outer !== undefined) return `Cannot lease ${key} as it is within ${outer}, which is leased`;
  }
  for (const other of owners.keys()) {
    // Most keys stand beside each other, and none within another: that much shows quickly.
    if (other.lastIndexOf("/") < shortest - 1) continue;
    const key = outerTexts(other).find((text) => added.has(text));
    if (key !== undefined) return `Cannot lease ${key} as ${other} in it is leased`;
  }
  return undefined;
}

/** Whether objects, or nothing yet, stand on the way to a path; an array is none, as its items have no names that last. */
function canHold(tree: Tree, path: Path): boolean {
  let at: Tree | undefined = tree;
  for (const segment of path) {
    if (at === undefined) return true;
    if (!(at instanceof Branch)) return false;
    at = treeAt(at, [segment]);
  }
  return true;
}

/** Takes a key from the lease that has it: what was registered anew must not vanish with the registration before it. */
function takeKey(leases: Map<string, Lease>, owner: string, key: string): void {
  const lease = leases.get(owner);
  if (lease !== undefined) leases.set(owner, { ...lease, keys: lease.keys.filter((other) => other !== key) });
}

/** Writes leases for a file or another instance. */
export function leasesToJson(leases: Leases): readonly Lease[] {
  return [...leases.values()];
}

/** Reads what {@linkcode leasesToJson} wrote; a lease that is none is request out. */
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
