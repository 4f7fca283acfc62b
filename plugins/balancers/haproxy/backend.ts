import { words } from "./words.ts";

/** A version of HAProxy. */
export type Version = readonly [number, number, number];

/** Whether a version is known and at least another one. */
export function isAtLeast(version: Version | undefined, major: number, minor: number): boolean {
  return version !== undefined && (version[0] > major || (version[0] === major && version[1] >= minor));
}

/** The effective settings of `defaults` and a backend, as far as membership depends on them. */
export interface BackendTraits {
  /** The balance algorithm with its arguments, as written. */
  readonly balance: string;
  /** The name of the algorithm. */
  readonly algorithm: string;
  /** Whether it chooses by a hash of the request. */
  readonly isHashed: boolean;
  /** Whether HAProxy can add servers to such a backend at run time. */
  readonly takesServers: boolean;
  /** Whether it is balanced by a hash without a line that sets the hash type. */
  readonly lacksHashType: boolean;
  /** Whether servers are placed on a ring by their id, which must be set here then. */
  readonly placedById: boolean;
  /** `keyword`: each server needs one of its own; `dynamic`: HAProxy derives it from the address. */
  readonly cookie: "none" | "keyword" | "dynamic";
  /** Whether 1.0 adds a cookie keyword to each server line: the lines hold exactly `mode http`. */
  readonly cookiePrinted: boolean;
  /** What `default-server` lines add to each server of the file, and `add server` does not inherit. */
  readonly defaultOptions: readonly string[];
  /** The servers that the lines themselves define, which are never changed. */
  readonly ownServers: OwnServers;
  /** Whether the backend is disabled: HAProxy neither lists its servers nor takes any. */
  readonly disabled: boolean;
}

/** The servers that lines of a config define, beside the members of the cluster. */
export interface OwnServers {
  /** Whether a name is one of theirs. */
  has(name: string): boolean;
  /** The ids that they use. */
  readonly ids: ReadonlySet<number>;
}

/** Algorithms whose servers HAProxy can change at run time (`BE_LB_PROP_DYN`); `sticky` is one since 3.0. */
const DYNAMIC = new Set(["roundrobin", "leastconn", "first", "random", "sticky"]);

/** Algorithms by a hash: with `hash-type consistent` HAProxy can change their servers too. */
const HASHED = new Set(["source", "uri", "url_param", "hdr", "rdp-cookie", "hash"]);

/** What lets a hash take new servers at run time. */
export const HASH_CONSISTENT = "hash-type consistent";

/** HAProxy's default balance algorithm; from 3.3 on the file states it. */
export const BALANCE_DEFAULT = "roundrobin";

/** Derives the traits of a backend from the lines that are passed on. */
export function backendTraits(defaults: readonly string[], backend: readonly string[]): BackendTraits {
  const inherited = defaults.map(words);
  const own = backend.map(words);
  const all = [...inherited, ...own];
  const last = (keyword: string) => all.findLast(([first]) => first === keyword)?.slice(1);
  const balance = last("balance") ?? [BALANCE_DEFAULT];
  const algorithm = (balance[0] ?? BALANCE_DEFAULT).replace(/\(.*/, "");
  const hashType = last("hash-type");
  const consistent = hashType?.[0] === "consistent";
  const hashed = HASHED.has(algorithm);
  const cookie = last("cookie");
  return {
    balance: balance.join(" "),
    algorithm,
    isHashed: hashed,
    takesServers: DYNAMIC.has(algorithm) || (hashed && consistent),
    lacksHashType: hashed && hashType === undefined,
    placedById: algorithm === "random" || (hashed && consistent),
    cookie: cookie === undefined ? "none" : cookie.includes("dynamic") ? "dynamic" : "keyword",
    cookiePrinted: backend.includes("mode http"),
    defaultOptions: all.filter(([first]) => first === "default-server").flatMap((line) => line.slice(1)),
    ownServers: ownServers(own),
    disabled: all.findLast(([first]) => first === "disabled" || first === "enabled")?.[0] === "disabled",
  };
}

function ownServers(lines: readonly (readonly string[])[]): OwnServers {
  const names = new Set<string>();
  const prefixes: string[] = [];
  const ids = new Set<number>();
  for (const [keyword, name, ...rest] of lines) {
    if (name === undefined) continue;
    if (keyword === "server") names.add(name);
    else if (keyword === "server-template") prefixes.push(name);
    else continue;
    const id = Number(rest[rest.indexOf("id") + 1]);
    if (rest.includes("id") && Number.isInteger(id)) ids.add(id);
  }
  const isOfTemplate = (name: string, prefix: string) =>
    name.startsWith(prefix) && /^[0-9]+$/.test(name.slice(prefix.length));
  return {
    has: (name) => names.has(name) || prefixes.some((prefix) => isOfTemplate(name, prefix)),
    ids,
  };
}

/** HAProxy's ring multiplies an id by 4096 in 32 bits, so only its low 20 bits distinguish servers. */
export const SERVER_ID_MAX = 2 ** 20 - 1;

/**
 * Gives each name an id from 1 to {@linkcode SERVER_ID_MAX} that depends on the name alone, except for
 * collisions: there the first name keeps it and the next one takes the next free id. `taken` are ids that
 * must not be used.
 */
export function assignServerIds(names: readonly string[], taken: ReadonlySet<number>): ReadonlyMap<string, number> {
  const used = new Set(taken);
  const ids = new Map<string, number>();
  for (const name of names.toSorted()) {
    const id = freeServerId(name, used);
    used.add(id);
    ids.set(name, id);
  }
  return ids;
}

/** Returns the first unused id, starting with the name's own. */
export function freeServerId(name: string, used: Pick<ReadonlySet<number>, "has">): number {
  let id = 1 + hash32(name) % SERVER_ID_MAX;
  while (used.has(id)) id = id % SERVER_ID_MAX + 1;
  return id;
}

/** FNV-1a with a final mix, so that names that differ in the last digit get distant ids. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
