import type { Scope } from "../../mod.ts";
import { resolveHost, type ResolveOptions, UnresolvedError } from "../../src/dns/resolver.ts";
import type { NameService } from "../../src/dns/resolv_conf.ts";
import type { Clock } from "../../src/kernel/clock.ts";
import { Gate } from "../../src/kernel/gate.ts";
import type { Child } from "./children.ts";

export interface NamesOptions {
  readonly nameService: NameService;
  readonly clock: Clock;
  /** Looks up the addresses of a name; a test says what there is. */
  readonly lookUp?: typeof resolveHost;
}

/** What a name stood for when it was looked up last. */
interface Known {
  /** `undefined` if it stands for nothing, or no server could say. */
  readonly ip: string | undefined;
  /** Why no server could say. */
  readonly failure?: Error | undefined;
  readonly untilMs: number;
}

/** So many names are looked up at once. */
const LOOKUPS_MAX = 32;
/** An address holds at least so long, whatever its record says; and a name that stands for nothing just as long. */
const HOLD_MIN_MS = 5_000;
/** And at most so long, so that a node that moved is found; a name that no server could look up waits as long. */
const HOLD_MAX_MS = 60_000;
/** How long a name may take: the others of its cluster wait for it. */
const LOOKUP_MS = 3_000;

/** The name service of a scope; `undefined` if it has no name server. */
export function nameServiceOf({ nameServers, searchDomains = [], ndots = 1 }: Scope): NameService | undefined {
  return nameServers === undefined || nameServers.length === 0 ? undefined : { nameServers, searchDomains, ndots };
}

/** Puts addresses in the place of the host names that a registry has. */
export class Names {
  readonly #options: NamesOptions;
  readonly #gate = new Gate(LOOKUPS_MAX);
  #known = new Map<string, Known>();

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /**
   * Resolves the names among entries; answers when the next of them is to be looked up again. A name that no server
   * could look up keeps its address, or is a fault of its entry if it never had one. Throws if no entry has an address
   * because of that: name servers that are down make no cluster empty.
   */
  async resolve(
    children: ReadonlyMap<string, Child>,
    signal: AbortSignal,
  ): Promise<{ readonly children: ReadonlyMap<string, Child>; readonly dueMs: number | undefined }> {
    const names = new Set([...children.values()].flatMap(({ unresolved }) => unresolved?.ip ?? []));
    const found = await Promise.all(
      [...names].map((name) => this.#gate.run(async () => [name, await this.#look(name, signal)] as const)),
    );
    this.#known = new Map(found);
    const failure = [...this.#known.values()].find((each) => each.failure !== undefined)?.failure;
    const isKnown = ({ node, unresolved }: Child) =>
      node !== undefined || this.#known.get(unresolved?.ip ?? "")?.ip !== undefined;
    if (failure !== undefined && ![...children.values()].some(isKnown)) throw failure;
    const now = this.#options.clock.now();
    const dueMs = Math.min(...[...this.#known.values()].map(({ untilMs }) => Math.max(0, untilMs - now)));
    return {
      children: names.size === 0
        ? children
        : new Map([...children].map(([name, child]) => [name, this.#addressed(child)])),
      dueMs: names.size === 0 ? undefined : dueMs,
    };
  }

  #addressed(child: Child): Child {
    const { unresolved } = child;
    if (unresolved === undefined) return child;
    const { ip, failure } = this.#known.get(unresolved.ip) ?? {};
    if (ip === undefined) {
      return { ...child, fault: failure?.message ?? `Cannot resolve ${unresolved.ip}: no such name` };
    }
    return { ...child, node: { ...unresolved, ip }, fault: undefined };
  }

  async #look(name: string, signal: AbortSignal): Promise<Known> {
    const { nameService, clock, lookUp = resolveHost } = this.#options;
    const before = this.#known.get(name);
    if (before !== undefined && before.untilMs > clock.now()) return before;
    const options: ResolveOptions = { ...nameService, clock, signal, timeoutMs: LOOKUP_MS };
    try {
      const v4 = await lookUp(name, "A", options);
      // A name that does not exist has no address of either family.
      const { records, ttlMs } = v4.records.length > 0 || !v4.exists ? v4 : await lookUp(name, "AAAA", options);
      const holdMs = Math.min(HOLD_MAX_MS, Math.max(HOLD_MIN_MS, ttlMs));
      // The same one for as long as it is there: servers turn the order of several.
      const ip = records.find((each) => each === before?.ip) ?? records.toSorted()[0];
      return { ip, untilMs: clock.now() + holdMs };
    } catch (error) {
      if (!(error instanceof UnresolvedError)) throw error;
      // One that has an address is asked for again soon; the others must not keep their cluster waiting.
      const holdMs = before?.ip === undefined ? HOLD_MAX_MS : HOLD_MIN_MS;
      return { ip: before?.ip, failure: error, untilMs: clock.now() + holdMs };
    }
  }
}
