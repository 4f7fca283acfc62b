import { words } from "./words.ts";

/** The version of an HAProxy. */
export type Version = readonly [number, number, number];

/** Whether a version is known and not before another. */
export function isAtLeast(version: Version | undefined, major: number, minor: number): boolean {
  return version !== undefined && (version[0] > major || (version[0] === major && version[1] >= minor));
}

/** What the lines of `defaults` and of a backend come to, as far as membership depends on it. */
export interface BackendTraits {
  /** The balance algorithm with its arguments, as it is written. */
  readonly balance: string;
  /** The name of the algorithm. */
  readonly algorithm: string;
  /** Whether it chooses by a hash of the request. */
  readonly isHashed: boolean;
  /** Whether HAProxy takes servers into such a backend while it runs. */
  readonly takesServers: boolean;
  /** Whether it is balanced by a hash without a line that says how hashes are spread. */
  readonly lacksHashType: boolean;
  /** Whether servers are placed on a ring by their id: then the id has to be ours. */
  readonly placedById: boolean;
  /** `keyword`: each server needs one of its own; `dynamic`: HAProxy works it out from the address. */
  readonly cookie: "none" | "keyword" | "dynamic";
  /** Whether 1.0 gives each server line a cookie keyword: the lines hold exactly `mode http`. */
  readonly cookiePrinted: boolean;
  /** What `default-server` lines give to each server of the file, and `add server` does not inherit. */
  readonly defaultOptions: readonly string[];
  /** The servers that the lines themselves define: never ours to touch. */
  readonly ownServers: OwnServers;
  /** Whether the backend is switched off: HAProxy neither lists its servers nor takes any. */
  readonly disabled: boolean;
}

/** The servers that lines of a config define, beside the members of the cluster. */
export interface OwnServers {
  /** Whether a name is one of theirs. */
  has(name: string): boolean;
  /** The ids that they have claimed. */
  readonly ids: ReadonlySet<number>;
}

/** Algorithms that HAProxy can change the servers of while it runs (`BE_LB_PROP_DYN`); `sticky` is one since 3.0. */
const DYNAMIC = new Set(["roundrobin", "leastconn", "first", "random", "sticky"]);

/** Algorithms by a hash: with `hash-type consistent` HAProxy can change their servers too. */
const HASHED = new Set(["source", "uri", "url_param", "hdr", "rdp-cookie", "hash"]);

/** What makes a hash take new servers while HAProxy runs. */
export const HASH_CONSISTENT = "hash-type consistent";

/** What HAProxy balances by if no line says otherwise; from 3.3 on the file says so. */
export const BALANCE_DEFAULT = "roundrobin";

/** Works out what a backend will be like by the lines that are passed on. */
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

/** HAProxy's ring multiplies an id by 4096 in 32 bits, so only its low 20 bits tell servers apart. */
export const SERVER_ID_MAX = 2 ** 20 - 1;

/**
 * Gives each name an id from 1 to {@linkcode SERVER_ID_MAX} that depends on the
 * name alone, but for collisions: there the name that comes first keeps it and
 * the next one takes the next free id. `taken` are ids that nobody may get.
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

/** Answers the first id from the name's own on that is not used. */
export function freeServerId(name: string, used: Pick<ReadonlySet<number>, "has">): number {
  let id = 1 + hash32(name) % SERVER_ID_MAX;
  while (used.has(id)) id = id % SERVER_ID_MAX + 1;
  return id;
}

/** FNV-1a with a final mix, so that names that differ in the last digit land far apart. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
