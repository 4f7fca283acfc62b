import type {
  ClusterFacts,
  ClusterName,
  DiscoveryContext,
  DiscoverySession,
  Node,
  Registration,
  Takeover,
  WatchOptions,
} from "../../../mod.ts";
import { type Clock, systemClock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { Gate } from "../../../src/kernel/gate.ts";
import { type Random, systemRandom } from "../../../src/kernel/random.ts";
import { nodeName, parseNode } from "../../../src/model/node.ts";
import { announcedNode, readChild, takeover } from "../children.ts";
import { nodeOptions } from "../node_json.ts";
import { NamedClusters } from "../resolving.ts";
import { ServerClock } from "../server_clock.ts";
import { BranchWatch } from "./branch_watch.ts";
import type { LighthouseConfig } from "./config.ts";
import { describeRefusal, Instances } from "./instances.ts";
import { OwnLease } from "./own_lease.ts";

/** Where the registry is. */
export interface SessionOptions extends LighthouseConfig {
  readonly clock?: Clock;
  readonly random?: Random;
}

/** How often a lease is renewed within its time, so that two renewals may fail. */
const RENEWALS_PER_TTL = 3;
/** How soon a failed renewal is followed by another, within a lease of any length. */
const RETRIES_PER_TTL = 10;
const RETRY_MAX_MS = 1_000;
/** How long an instance may be silent. */
const ANSWER_MS = { min: 1_000, max: 5_000 } as const;
/**
 * How many clusters are read at the same time; each has a connection, and an instance has others to answer.
 */
const READS_AT_ONCE = 64;
/** How long closing may take: what is not deregistered expires with its lease. */
const CLOSE_MS = 2_000;

/**
 * A registry in a Lighthouse store: nodes are keys, `<path>/<cluster>/<host>:<port>`, held by one lease for
 * each session.
 */
export class LighthouseSession implements DiscoverySession {
  /** Never resolves: an expired lease is requested again, with all that it held. */
  readonly ended: Promise<string> = new Promise(() => {});
  readonly #options: SessionOptions;
  readonly #context: DiscoveryContext;
  readonly #clock: Clock;
  readonly #instances: Instances;
  readonly #named: NamedClusters;
  readonly #lease: OwnLease;
  readonly #reads: Gate = new Gate(READS_AT_ONCE);
  readonly #watches = new Map<ClusterName, BranchWatch>();
  readonly #closing = new AbortController();
  readonly #pulsing: Promise<void>;
  /** What was reported last; `undefined` before the first time. */
  #told: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: SessionOptions, context: DiscoveryContext, { ca }: { readonly ca?: string | undefined } = {}) {
    [this.#options, this.#context] = [options, context];
    this.#clock = options.clock ?? systemClock;
    const { hosts, token, ttlMs, resolveNames } = options;
    this.#named = new NamedClusters({ resolveNames, context, clock: this.#clock });
    const serverClock = new ServerClock({ log: context.log });
    this.#instances = new Instances({
      hosts,
      token,
      ca,
      answerMs: Math.min(ANSWER_MS.max, Math.max(ANSWER_MS.min, ttlMs / RENEWALS_PER_TTL)),
      clock: this.#clock,
      onDate: (date) => serverClock.note(date),
      onReach: (fault) => this.#tell(fault),
      onMove: (instance, reason) =>
        context.log.info("Using another instance", { event: "discovery.instance_changed", instance, reason }),
    });
    this.#lease = new OwnLease({
      name: `lighthouse-${crypto.randomUUID()}`,
      ttlMs,
      instances: this.#instances,
      log: context.log,
      signal: this.#closing.signal,
    });
    const giveUp = () => void this[Symbol.asyncDispose]();
    context.signal.addEventListener("abort", giveUp, { once: true });
    this.#pulsing = this.#pulse();
    if (context.signal.aborted) giveUp();
  }

  /** Opens a session, which keeps connecting by itself. Throws if the authority's file cannot be read. */
  static async open(options: SessionOptions, context: DiscoveryContext): Promise<LighthouseSession> {
    const { ca } = options;
    const pem = ca === undefined ? undefined : await Deno.readTextFile(ca);
    if (pem !== undefined && !pem.includes("-----BEGIN CERTIFICATE-----")) {
      throw new Error(`Cannot use CA file ${ca}: must contain a PEM certificate`);
    }
    return new LighthouseSession(options, context, { ca: pem });
  }

  /** Follows one cluster: see {@linkcode BranchWatch}. */
  async *watch(cluster: ClusterName, signal: AbortSignal, options?: WatchOptions): AsyncGenerator<ClusterFacts> {
    yield* this.#named.follow(cluster, (signal) => this.#follow(cluster, signal, options), signal);
  }

  async *#follow(
    cluster: ClusterName,
    signal: AbortSignal,
    { withoutMetadata }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    const { ttlMs, resolveNames } = this.#options;
    // A watch that starts before the previous one has ended, as when the host asks again, has the same
    // history.
    const watch = this.#watches.get(cluster) ?? new BranchWatch({
      cluster,
      path: this.#pathOf(cluster),
      instances: this.#instances,
      gate: this.#reads,
      ttlMs,
      withNames: resolveNames,
      clock: this.#clock,
      log: this.#context.log,
    });
    this.#watches.set(cluster, watch);
    yield* watch.snapshots(AbortSignal.any([signal, this.#closing.signal]), { withoutMetadata });
  }

  /** Registers a node, or updates it; the store writes nothing if it is unchanged. */
  async register(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void> {
    this.#check(signal);
    const node = announcedNode(registration);
    const { host, ip, port, peer, metadata } = node;
    const key = this.#keyOf(cluster, node);
    // Only a lost node is looked at: thousands of nodes that are registered at once cost no request each.
    const before = this.#lease.wasTaken(key) ? await this.#look(key, signal) : undefined;
    await this.#lease.set(key, { host, ip, port, peer, metadata, ...nodeOptions(node) }, signal);
    return takeover(before, node);
  }

  /** The node in a key at present; `undefined` if there is none. */
  async #look(key: string, signal: AbortSignal): Promise<Node | undefined> {
    const answer = await this.#instances.ask({ method: "GET", path: `/data${key}`, signal });
    return answer.status === 200 ? readChild(new TextEncoder().encode(answer.text)).node : undefined;
  }

  /** Removes a node, whoever registered it. */
  async deregister(cluster: ClusterName, { node }: Registration, signal: AbortSignal): Promise<void> {
    this.#check(signal);
    const key = this.#keyOf(cluster, node);
    const answer = await this.#instances.ask({ method: "GET", path: `/data${key}`, signal });
    if (answer.status !== 200 && answer.status !== 404) {
      throw new Error(
        `Cannot deregister at ${this.#instances.current}: HTTP ${answer.status} ${describeRefusal(answer)}`,
      );
    }
    // A key is another's until this lease takes it over; then it can be removed, without the lock.
    if (answer.status === 200) await this.#lease.set(key, JSON.parse(answer.text), signal);
    await this.#lease.set(key, undefined, signal);
  }

  /** Removes a node if it is this session's. */
  async deregisterOwn(cluster: ClusterName, { node }: Registration, signal: AbortSignal): Promise<void> {
    this.#check(signal);
    const key = this.#keyOf(cluster, node);
    if (this.#lease.has(key)) await this.#lease.set(key, undefined, signal);
  }

  /** Deregisters all that this session registered. Safe to call twice. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error("The session is closed"));
    await this.#pulsing;
    const overdue = new AbortController();
    const cancel = this.#clock.after(CLOSE_MS, () => overdue.abort());
    // What cannot be deregistered expires with the lease.
    await this.#lease.end(overdue.signal).catch(() => {});
    cancel();
    this.#instances[Symbol.dispose]();
  }

  /** Renews the lease, and detects a silent instance, for the watches too. */
  async #pulse(): Promise<void> {
    const { ttlMs, random = systemRandom } = this.#options;
    const { signal } = this.#closing;
    const path = `/data${this.#root}`;
    while (!signal.aborted) {
      let pauseMs = ttlMs / RENEWALS_PER_TTL;
      try {
        if (this.#lease.isEmpty) await this.#instances.ask({ method: "HEAD", path, signal });
        else await this.#lease.renew();
        await this.#instances.prefer(path, signal);
      } catch (error) {
        pauseMs = Math.min(RETRY_MAX_MS, ttlMs / RETRIES_PER_TTL) * (0.5 + random());
        const reason = error instanceof Error ? error.message : String(error);
        if (!signal.aborted) {
          this.#context.log.debug("Cannot renew the lease; retrying", {
            event: "discovery.renewal_failed",
            reason,
          });
        }
      }
      await delay(pauseMs, { clock: this.#clock, signal }).catch(() => {});
    }
  }

  /** Reports when the store becomes unreachable, and when it is reachable again. */
  #tell(fault: string | undefined): void {
    const told = fault ?? "";
    if (this.#told === told || this.#closing.signal.aborted) return;
    this.#told = told;
    if (fault === undefined) this.#context.connection("connected", this.#instances.current);
    else this.#context.connection("disconnected", fault);
  }

  #check(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closing.signal.aborted) throw new Error("Cannot write to the registry: the session is closed");
  }

  get #root(): string {
    return this.#options.path.map(escape).join("");
  }

  #pathOf(cluster: ClusterName): string {
    if (cluster === "") throw new TypeError(`Cannot use cluster: must be a non-empty name; current value is ""`);
    return `${this.#root}${escape(cluster)}`;
  }

  #keyOf(cluster: ClusterName, node: Node): string {
    const parsed = parseNode(node);
    if (!parsed.ok) throw new TypeError(parsed.reason);
    return `${this.#pathOf(cluster)}${escape(nodeName(node))}`;
  }
}

/** Encodes a name as a step of a path. */
function escape(name: string): string {
  return `/${encodeURIComponent(name.toWellFormed())}`;
}
