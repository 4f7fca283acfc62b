import type { ClusterFacts, Node, PluginLog } from "../../mod.ts";
import { resolveHost, UnresolvedError } from "../../src/dns/resolver.ts";
import type { NameService } from "../../src/dns/resolv_conf.ts";
import type { Clock } from "../../src/kernel/clock.ts";
import { deadline } from "../../src/kernel/deadline.ts";
import { abortable } from "../../src/kernel/within.ts";
import { nodeName } from "../../src/model/node.ts";
import { newsOfFaults, sameFacts } from "./children.ts";

export interface NamesOptions {
  readonly nameService: NameService;
  readonly clock: Clock;
  /** What names resolved to, shared by all clusters of a session: a restarted watch knows them. */
  readonly known: Map<string, KnownName>;
  /** Called after each lookup that changed something. */
  readonly onNews: () => void;
  /** Looks up the addresses of a name; a test replaces it. */
  readonly lookUp?: typeof resolveHost | undefined;
}

/** What a name resolved to when it was looked up last. */
export interface KnownName {
  /** `undefined` if it does not exist, or was never resolved. */
  readonly ip: string | undefined;
  /** Why no server answered, last time. */
  readonly failure?: UnresolvedError | undefined;
  /** How many lookups in a row failed so. */
  readonly failures: number;
  readonly untilMs: number;
}

/** How many names of a cluster are looked up at once. */
const LOOKUPS_MAX = 32;
/** How many of them may be names whose last lookup failed: the others find room at once. */
const AGAIN_MAX = LOOKUPS_MAX / 2;
/** The least time that an address is used, whatever its record says; and a nonexistent name just as long. */
const HOLD_MIN_MS = 5_000;
/** And the longest, so that a moved node is found; a failing name waits up to as long. */
const HOLD_MAX_MS = 60_000;
/** How long the lookup of one name may take, of both families and from all name servers. */
const LOOKUP_MS = 5_000;
/** How long a starting watch waits for the addresses of its names: its first answer should be complete. */
const FIRST_MS = 5_000;
/** Beyond this many, names that were not used for a while are forgotten. */
const KNOWN_MAX = 10_000;
const FORGOTTEN_MS = 600_000;

/**
 * Looks up names in the background, each with a deadline of its own: first those that have an address, and
 * last those whose last lookup failed, so that a name whose servers are silent delays none of the others.
 */
export class Names implements Disposable {
  readonly #options: NamesOptions;
  #wanted: ReadonlySet<string> = new Set();
  readonly #waiting = { refresh: new Set<string>(), first: new Set<string>(), again: new Set<string>() };
  readonly #running = new Map<string, AbortController>();
  /** The names that are looked up later, by the second in which they are due, so that a lookup does not scan the others. */
  readonly #resting = new Map<number, Set<string>>();
  /** The addresses that were returned: another cluster's lookup may change what is known about a name. */
  readonly #given = new Map<string, string | undefined>();
  #dueMs = Infinity;
  #cancelDue: () => void = () => {};
  /** When names are forgotten next: each time, all of them are scanned. */
  #forgetMs = -Infinity;

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** Keeps these names looked up, and no others. */
  want(names: ReadonlySet<string>): void {
    const before = this.#wanted;
    this.#wanted = names;
    for (const [name, lookup] of this.#running) if (!names.has(name)) lookup.abort();
    for (const name of this.#given.keys()) if (!names.has(name)) this.#given.delete(name);
    for (const queue of [...Object.values(this.#waiting), ...this.#resting.values()]) {
      for (const name of queue) if (!names.has(name)) queue.delete(name);
    }
    // A name whose lookup is in flight is queued again when that ends.
    for (const name of names) if (!before.has(name) && !this.#running.has(name)) this.#order(name);
    this.#look();
  }

  /** What a name resolves to; `undefined` before its first lookup. */
  get(name: string): KnownName | undefined {
    const known = this.#options.known.get(name);
    if (this.#wanted.has(name)) this.#given.set(name, known?.ip);
    return known;
  }

  /** Whether a name has never been looked up. */
  get hasUnknown(): boolean {
    const isUnknown = (name: string) => !this.#options.known.has(name);
    return this.#running.keys().some(isUnknown) || this.#waiting.first.values().some(isUnknown);
  }

  /** Whether a lookup is in flight, or is about to start. */
  get isBusy(): boolean {
    return this.#running.size + Object.values(this.#waiting).reduce((sum, { size }) => sum + size, 0) > 0;
  }

  [Symbol.dispose](): void {
    this.want(new Set());
    this.#resting.clear();
    this.#cancelDue();
  }

  /** Puts a name into its queue, by what is known about it. */
  #order(name: string): void {
    const { clock, known } = this.#options;
    const { ip, failure, untilMs } = known.get(name) ?? { untilMs: -Infinity };
    if (untilMs > clock.now()) {
      const second = Math.ceil(untilMs / 1_000);
      const resting = this.#resting.get(second) ?? new Set();
      this.#resting.set(second, resting.add(name));
    } else if (ip !== undefined) this.#waiting.refresh.add(name);
    else if (failure === undefined) this.#waiting.first.add(name);
    else this.#waiting.again.add(name);
  }

  /** Starts as many lookups as there is room for, and waits for the next that is due. */
  #look(): void {
    for (const waiting of Object.values(this.#waiting)) {
      const most = waiting === this.#waiting.again ? AGAIN_MAX : LOOKUPS_MAX;
      for (const name of waiting) {
        if (this.#running.size >= most) break;
        waiting.delete(name);
        void this.#lookUp(name);
      }
    }
    const { clock } = this.#options;
    const dueMs = Math.min(...this.#resting.keys()) * 1_000;
    if (dueMs === this.#dueMs) return;
    this.#cancelDue();
    this.#dueMs = dueMs;
    this.#cancelDue = dueMs === Infinity ? () => {} : clock.after(dueMs - clock.now(), () => this.#wake());
  }

  /** Has the names looked up that are due; reports addresses that other clusters found meanwhile. */
  #wake(): void {
    const { clock, known, onNews } = this.#options;
    this.#dueMs = Infinity;
    let isNews = false;
    for (const [second, names] of this.#resting) {
      if (second * 1_000 > clock.now()) continue;
      this.#resting.delete(second);
      for (const name of names) {
        isNews ||= this.#given.has(name) && this.#given.get(name) !== known.get(name)?.ip;
        this.#order(name);
      }
    }
    this.#look();
    if (isNews) onNews();
  }

  async #lookUp(name: string): Promise<void> {
    const { known, onNews } = this.#options;
    const lookup = new AbortController();
    this.#running.set(name, lookup);
    const before = known.get(name);
    const found = await this.#ask(name, before, lookup.signal);
    this.#running.delete(name);
    if (found !== undefined && !lookup.signal.aborted) {
      // A failure replaces nothing that another cluster's lookup found meanwhile.
      const other = known.get(name);
      const now = found.failure !== undefined && other !== undefined && other !== before ? other : found;
      known.set(name, now);
      this.#forget();
      if (before?.ip !== now.ip || before?.failure?.message !== now.failure?.message || before === undefined) {
        onNews();
      }
    }
    if (this.#wanted.has(name)) this.#order(name);
    this.#look();
  }

  /** Returns what a name resolves to now; `undefined` if that is not needed any more. */
  async #ask(name: string, before: KnownName | undefined, signal: AbortSignal): Promise<KnownName | undefined> {
    const { nameService, clock, lookUp = resolveHost } = this.#options;
    using late = deadline(LOOKUP_MS, { clock, signal });
    const options = { ...nameService, clock, signal: late.signal };
    try {
      const v4 = await abortable(lookUp(name, "A", options), late.signal);
      // A nonexistent name has no address of either family.
      const { records, ttlMs } = v4.records.length > 0 || !v4.exists
        ? v4
        : await abortable(lookUp(name, "AAAA", options), late.signal);
      const holdMs = Math.min(HOLD_MAX_MS, Math.max(HOLD_MIN_MS, ttlMs));
      // The same address while it exists: servers rotate the order of several.
      const ip = records.find((each) => each === before?.ip) ?? records.toSorted()[0];
      return { ip, failures: 0, untilMs: clock.now() + holdMs };
    } catch (error) {
      if (signal.aborted) return undefined;
      const failure = error instanceof UnresolvedError
        ? error
        : new UnresolvedError(`Cannot resolve ${name}: ${late.signal.aborted ? "timed out" : String(error)}`);
      const { ip, failures } = before ?? { ip: undefined, failures: 0 };
      const holdMs = Math.min(HOLD_MAX_MS, HOLD_MIN_MS * 2 ** failures);
      return { ip, failure, failures: failures + 1, untilMs: clock.now() + holdMs };
    }
  }

  #forget(): void {
    const { known, clock } = this.#options;
    const now = clock.now();
    if (known.size <= KNOWN_MAX || now < this.#forgetMs) return;
    this.#forgetMs = now + FORGOTTEN_MS / 10;
    for (const [name, { untilMs }] of known) {
      if (!this.#wanted.has(name) && untilMs < now - FORGOTTEN_MS) known.delete(name);
    }
  }
}

/** How one cluster's names are resolved. */
export interface AddressedOptions extends Omit<NamesOptions, "onNews"> {
  readonly cluster: string;
  readonly log: PluginLog;
}

/**
 * Replaces the names that nodes have as their addresses. A name without an address is left out and reported;
 * one that is not looked up yet joins when it is, and delays only a starting watch, for a while. Throws if no
 * node has an address because no name server answers: that does not empty a cluster.
 */
export async function* addressed(
  follow: (signal: AbortSignal) => AsyncIterable<ClusterFacts>,
  { cluster, log, ...options }: AddressedOptions,
  signal: AbortSignal,
): AsyncGenerator<ClusterFacts> {
  const { clock } = options;
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const source = follow(either)[Symbol.asyncIterator]();
  let news = Promise.withResolvers<void>();
  using pace = new NewsPace(clock, () => news.resolve());
  using names = new Names({ ...options, onNews: () => pace.hear() });
  const nodes = new Addresses(names);
  let [latest, last]: (ClusterFacts | undefined)[] = [];
  let faults: ReadonlyMap<string, string> = new Map();
  let next = source.next();
  let firstUntilMs: number | undefined;
  try {
    for (;;) {
      next.catch(() => {});
      const got = await Promise.race([next, news.promise]);
      news = Promise.withResolvers();
      if (got !== undefined) {
        if (got.done) return;
        latest = got.value;
        names.want(new Set(latest.nodes.filter(isNamed).map(({ ip }) => ip)));
        next = source.next();
      }
      if (latest === undefined) continue;
      firstUntilMs ??= clock.now() + FIRST_MS;
      if (names.hasUnknown && clock.now() < firstUntilMs) {
        if (either.aborted) return;
        // The timer has it look again although no lookup ends.
        using _first = deadline(firstUntilMs - clock.now(), { clock, signal: either });
        _first.signal.addEventListener("abort", () => news.resolve(), { once: true });
        await news.promise;
        news.resolve();
        if (either.aborted) return;
        continue;
      }
      pace.take(latest.nodes.length);
      const found = nodes.of(latest.nodes);
      if (found.nodes.length === 0 && latest.nodes.length > 0) {
        if (names.isBusy) continue;
        if (found.failure !== undefined) throw found.failure;
      }
      for (const line of newsOfFaults(faults, found.faults)) {
        log.warn("Entry skipped", {
          event: "discovery.entry_skipped",
          path: cluster,
          reason: line,
        });
      }
      faults = found.faults;
      const facts = { ...latest, nodes: found.nodes };
      if (sameFacts(last, facts)) continue;
      last = facts;
      yield facts;
    }
  } finally {
    over.abort();
    await source.return?.();
  }
}

/** How many nodes are scanned in a millisecond at most, on average: each lookup that changes something costs a scan. */
const NODES_PER_MS = 100;

/** Passes news on at once, or later, so that not each of them scans all nodes. */
class NewsPace implements Disposable {
  readonly #clock: Clock;
  readonly #pass: () => void;
  #nextMs = -Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, pass: () => void) {
    [this.#clock, this.#pass] = [clock, pass];
  }

  hear(): void {
    if (this.#cancel !== undefined) return;
    const waitMs = this.#nextMs - this.#clock.now();
    if (waitMs <= 0) return this.#pass();
    this.#cancel = this.#clock.after(waitMs, () => {
      this.#cancel = undefined;
      this.#pass();
    });
  }

  /** Notes that so many nodes are scanned now. */
  take(nodes: number): void {
    this.#nextMs = this.#clock.now() + Math.floor(nodes / NODES_PER_MS);
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }
}

/** Whether a node has a name as its address. */
export function isNamed({ ip }: Node): boolean {
  return !ip.includes(":") && /[a-z]/i.test(ip);
}

/**
 * Nodes with addresses: a node whose name resolves to the same address stays the same value. A node that gets
 * a name keeps its last address until a server answers, so that no balancer drops a member while its new name
 * is looked up.
 */
class Addresses {
  readonly #names: Names;
  readonly #made = new WeakMap<Node, Node>();
  /** The addresses of the last returned nodes, by the nodes' names. */
  #last: ReadonlyMap<string, string> = new Map();

  constructor(names: Names) {
    this.#names = names;
  }

  of(nodes: readonly Node[]): {
    readonly nodes: readonly Node[];
    readonly faults: ReadonlyMap<string, string>;
    readonly failure: UnresolvedError | undefined;
  } {
    const faults = new Map<string, string>();
    const addresses = new Map<string, string>();
    let lastFailure: UnresolvedError | undefined;
    const all = nodes.flatMap((node) => {
      const name = nodeName(node);
      if (!isNamed(node)) {
        addresses.set(name, node.ip);
        return node;
      }
      const known = this.#names.get(node.ip);
      const isAnswered = known !== undefined && known.failure === undefined;
      const ip = known?.ip ?? (isAnswered ? undefined : this.#last.get(name));
      if (ip !== undefined) {
        addresses.set(name, ip);
        return this.#addressed(node, ip);
      }
      if (known !== undefined) {
        faults.set(name, known.failure?.message ?? `Cannot resolve ${node.ip}: no such name`);
      }
      lastFailure ??= known?.failure;
      return [];
    });
    this.#last = addresses;
    return { nodes: all, faults, failure: lastFailure };
  }

  #addressed(node: Node, ip: string): Node {
    const made = this.#made.get(node);
    if (made?.ip === ip) return made;
    const next = Object.freeze({ ...node, ip });
    this.#made.set(node, next);
    return next;
  }
}
