import { formatDuration, parseDuration } from "../kernel/duration.ts";
import { quote } from "../kernel/quote.ts";
import { JsonError, parseJson } from "./json_text.ts";
import type { LeaseRequest } from "./leases.ts";
import { formatPath, outerTexts, parsePath } from "./path.ts";
import { Refusal } from "./refusal.ts";
import { Branch, depthOf, List, type Tree } from "./tree.ts";

/** Range of a lease's time to live. */
const TTL_MS = { min: 1_000, max: 86_400_000 } as const;
/** Maximum number of keys of a lease. */
const KEYS_MAX = 10_000;
const NAME_LENGTH_MAX = 256;

/**
 * Reads the body of a lease request: `{"ttl": DURATION, "keys": {PATH: VALUE}}` with paths as behind
 * `/data`; `"yields": [PATH]` lists the keys that stay with another lease that has them.
 */
export function readLeaseRequest(body: string, { name, holder, depthMax }: {
  readonly name: string;
  readonly holder: string | undefined;
  readonly depthMax: number;
}): LeaseRequest | Refusal {
  const refusal = (why: string) => new Refusal("Bad Request", `Cannot grant the lease ${quote(name)}: ${why}`);
  if (name === "" || name.length > NAME_LENGTH_MAX) {
    return refusal(`the name must have 1 to ${NAME_LENGTH_MAX} characters`);
  }
  let asked: Tree;
  try {
    // The keys are two levels deep in the body.
    asked = parseJson(body, { depthMax: depthMax + 2 });
  } catch (error) {
    if (error instanceof JsonError) return refusal(error.message);
    throw error;
  }
  const { ttl, keys = new Branch([], []), yields, ...unknown } = asked instanceof Branch ? entriesOf(asked) : {};
  const ttlMs = typeof ttl === "number" ? ttl * 1_000 : typeof ttl === "string" ? parseDuration(ttl) ?? NaN : NaN;
  if (!(ttlMs >= TTL_MS.min && ttlMs <= TTL_MS.max)) {
    const range = `from ${formatDuration(TTL_MS.min)} to ${formatDuration(TTL_MS.max)}`;
    const wanted = `must be a duration ${range}, such as 2s or 500ms, or a number of seconds`;
    const received = ttl instanceof Branch ? "an object" : ttl instanceof List ? "a list" : quote(ttl);
    return refusal(ttl === undefined ? `missing key ttl: ${wanted}` : `ttl ${wanted}; received ${received}`);
  }
  const [odd] = Object.keys(unknown);
  if (odd !== undefined) return refusal(`unknown key ${quote(odd)}; known keys: ttl, keys, yields`);
  if (!(keys instanceof Branch)) return refusal("keys must be an object that maps paths to values");
  if (keys.keys.length > KEYS_MAX) return refusal(`keys must have at most ${KEYS_MAX} entries`);
  const wanted = new Map<string, Tree>();
  for (const [i, key] of keys.keys.entries()) {
    const path = parsePath(key);
    const value = keys.values[i] as Tree;
    if (path === undefined || path.length === 0) return refusal(`${quote(key)} must be a path below /data`);
    if (path.length + depthOf(value) > depthMax) {
      return refusal(`${quote(key)} is nested deeper than ${depthMax} levels`);
    }
    wanted.set(formatPath(path), value);
  }
  const isNested = [...wanted.keys()].some((key) => outerTexts(key).some((outer) => wanted.has(outer)));
  if (isNested || wanted.size < keys.keys.length) {
    return refusal("keys must be distinct, and no key may contain another");
  }
  const left = new Set<string>();
  for (const key of yields === undefined ? [] : yields instanceof List ? yields.items : [undefined]) {
    const path = typeof key === "string" ? parsePath(key) : undefined;
    if (path === undefined) return refusal("yields must be a list of paths below /data");
    left.add(formatPath(path));
  }
  return { name, ...(holder === undefined ? {} : { holder }), ttlMs, keys: wanted, yields: left };
}

function entriesOf({ keys, values }: Branch): Readonly<Record<string, Tree>> {
  return Object.fromEntries(keys.map((key, i) => [key, values[i] as Tree]));
}
