import type {
  ClusterFacts,
  ClusterName,
  DiscoveryContext,
  DiscoverySession,
  KeysFacts,
  Node,
  Registration,
  Takeover,
  WatchOptions,
} from "../../../mod.ts";
import { type Clock, systemClock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { type Random, systemRandom } from "../../../src/kernel/random.ts";
import { parseNode, quote } from "../../../src/model/node.ts";
import { ClusterReader } from "../cluster_reader.ts";
import { sameNodes, takeover } from "../children.ts";
import { formatIn, type FormatSection } from "../formats/table.ts";
import type { EtcdConfig } from "./config.ts";
import { Endpoints } from "./endpoints.ts";
import { NamedClusters } from "../resolving.ts";
import { ServerClock } from "../server_clock.ts";
import type { Store } from "./store.ts";
import { readTls } from "../tls_files.ts";
import { V2Store } from "./v2_store.ts";
import { V3Store } from "./v3_store.ts";

/** Where the registry is. */
export interface SessionOptions extends EtcdConfig {
  readonly clock?: Clock;
  readonly random?: Random;
  /** How often watched ranges are compared with the store. */
  readonly auditMs?: number;
}

/** How often a lease is renewed within its time to live, so that two renewals may fail. */
const RENEWALS_PER_TTL = 3;
/** How soon a failed renewal is followed by another, within a lease of any length. */
const RETRIES_PER_TTL = 10;
const RETRY_MAX_MS = 1_000;
/** How long an endpoint has to answer: an election takes no longer. */
const ANSWER_MS = 5_000;
/** How long one has to renew a lease: within a short lease there must be time for another endpoint. */
const RENEWAL_MS = { min: 1_000, max: ANSWER_MS } as const;
const AUDIT_MS = 30_000;
/** How long closing may take: what is not removed expires with its lease. */
const CLOSE_MS = 2_000;

/**
 * A registry in etcd: nodes are keys, `<prefix>/<cluster>/<host>:<port>`, held by one lease for each session.
 */
export class EtcdSession implements DiscoverySession {
  /** Never resolves: a lost lease is granted again, with all that it held. */
  readonly ended: Promise<string> = new Promise(() => {});
  readonly #options: SessionOptions;
  readonly #context: DiscoveryContext;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #endpoints: Endpoints;
  readonly #named: NamedClusters;
  readonly #store: Store;
  readonly #closing = new AbortController();
  readonly #beating: Promise<unknown>;
  /** What was reported last; `undefined` before the first time. */
  #reported: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: SessionOptions, context: DiscoveryContext) {
    [this.#options, this.#context] = [options, context];
    const { clock = systemClock, random = systemRandom, endpoints, tls, credential, sessionTimeoutMs } = options;
    [this.#clock, this.#random] = [clock, random];
    const { log } = context;
    this.#named = new NamedClusters({ resolveNames: options.resolveNames, context, clock });
    const serverClock = new ServerClock({ log });
    this.#endpoints = new Endpoints({
      endpoints,
      tls: tls === undefined ? undefined : () => readTls(tls),
      answerMs: ANSWER_MS,
      clock,
      onDate: (date) => serverClock.note(date),
      onReach: (fault) => this.#report(fault),
      onMove: (instance, reason) =>
        log.info("Using another endpoint", { event: "discovery.instance_changed", instance, reason }),
    });
    const renewalMs = Math.min(RENEWAL_MS.max, Math.max(RENEWAL_MS.min, sessionTimeoutMs / RENEWALS_PER_TTL));
    const { signal } = this.#closing;
    const StoreOfApi = options.api === "v2" ? V2Store : V3Store;
    this.#store = new StoreOfApi({
      endpoints: this.#endpoints,
      prefix: options.prefix,
      credential,
      ttlMs: sessionTimeoutMs,
      renewalMs,
      log,
      clock,
      random,
      signal,
    });
    const giveUp = () => void this[Symbol.asyncDispose]();
    context.signal.addEventListener("abort", giveUp, { once: true });
    this.#beating = Promise.all([this.#pulse(), this.#audit()]);
    if (context.signal.aborted) giveUp();
  }

  /** Opens a session, which keeps connecting by itself. Throws if a TLS file cannot be read. */
  static async open(options: SessionOptions, context: DiscoveryContext): Promise<EtcdSession> {
    if (options.tls !== undefined) await readTls(options.tls);
    return new EtcdSession(options, context);
  }

  /** Follows one cluster, over the connection that all clusters share. */
  async *watch(cluster: ClusterName, signal: AbortSignal, options?: WatchOptions): AsyncGenerator<ClusterFacts> {
    yield* this.#named.follow(cluster, (signal) => this.#follow(cluster, signal, options), signal);
  }

  async *#follow(
    cluster: ClusterName,
    signal: AbortSignal,
    { withoutMetadata, config }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    const path = `${this.#pathOf(cluster, config)}/`;
    const reader = new ClusterReader({
      path,
      format: formatIn(config, cluster),
      withoutMetadata,
      withNames: this.#options.resolveNames,
      log: this.#context.log,
    });
    let last: ClusterFacts | undefined;
    for await (const { entries, exists, epoch } of this.#store.follow(path, signal)) {
      const facts = { nodes: reader.read(entries), exists, epoch, leaseMs: this.#options.sessionTimeoutMs };
      if (last?.exists === exists && last.epoch === epoch && sameNodes(last.nodes, facts.nodes)) continue;
      last = facts;
      yield facts;
    }
  }

  /** Follows all keys under a path, over the same connection. */
  async *keys(prefix: string, signal: AbortSignal): AsyncGenerator<KeysFacts> {
    const path = `/${prefix.split("/").filter((name) => name !== "").map((name) => `${name}/`).join("")}`;
    let last = "";
    for await (const { entries, exists, epoch } of this.#store.follow(path, signal)) {
      const values = [...entries].map(([key, { data }]) => ({ key, value: new TextDecoder().decode(data) }));
      const facts = { entries: values.toSorted((a, b) => a.key < b.key ? -1 : 1), exists, epoch };
      const said = JSON.stringify(facts);
      if (said === last) continue;
      last = said;
      yield facts;
    }
  }

  /** Registers a node, or updates it, by one request; etcd writes nothing if it is unchanged. */
  async register(
    cluster: ClusterName,
    registration: Registration,
    signal: AbortSignal,
  ): Promise<Takeover | void> {
    this.#check(signal);
    const { node: given, state, config } = registration;
    const node: Node = state === "draining" ? { ...given, state: "drain" } : given;
    const key = this.#keyOf(cluster, registration);
    const format = formatIn(config, cluster);
    const entry = format.write(node);
    // A state that the format cannot express is expressed by the node's absence.
    if (entry === undefined) return void await this.deregisterOwn(cluster, registration, signal);
    const before = await this.#store.put(key, entry.data, { signal, mayMark: !format.isForeign });
    if (before === undefined) return;
    const { value, owner: session } = before;
    this.#context.log.info("Taking over node from another session", {
      event: "discovery.taking_over",
      path: key,
      session,
    });
    return takeover(format.read(entry.name, value).node, node);
  }

  /** Removes a node, whoever registered it. */
  async deregister(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void> {
    this.#check(signal);
    await this.#store.delete(this.#keyOf(cluster, registration), signal);
  }

  /** Removes a node if this session's lease holds it. */
  async deregisterOwn(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void> {
    this.#check(signal);
    const key = this.#keyOf(cluster, registration);
    const other = await this.#store.release(key, signal);
    if (other === undefined) return;
    const { owner: session } = other;
    this.#context.log.info("Leaving node to another session", { event: "discovery.node_left", path: key, session });
  }

  /** Revokes the lease with all that it holds. Safe to call twice. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error("The session is closed"));
    await Promise.all([this.#beating, this.#store.ended()]);
    const overdue = new AbortController();
    const cancel = this.#clock.after(CLOSE_MS, () => overdue.abort());
    // What cannot be removed expires with the lease.
    await this.#store.end(overdue.signal).catch(() => {});
    cancel();
    this.#endpoints[Symbol.dispose]();
  }

  /** Renews the lease, and detects a silent endpoint, for the watches too. */
  async #pulse(): Promise<void> {
    const { sessionTimeoutMs } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const early = new AbortController();
      const wait = (ms: number, until = signal) => delay(ms, { clock: this.#clock, signal: until }).catch(() => {});
      const due = wait(sessionTimeoutMs / RENEWALS_PER_TTL, AbortSignal.any([signal, early.signal]));
      // A renewal that registers many nodes again, or waits for others, does not delay the next one.
      const mayOverlap = !this.#store.isEmpty;
      const beat = this.#beat(signal);
      if (await Promise.race([beat, ...mayOverlap ? [due.then(() => true)] : []])) {
        await due;
        continue;
      }
      early.abort();
      await wait(Math.min(RETRY_MAX_MS, sessionTimeoutMs / RETRIES_PER_TTL) * (0.5 + this.#random()));
    }
  }

  /** Renews the lease, or makes a small request if there is none; returns whether that succeeded. */
  async #beat(signal: AbortSignal): Promise<boolean> {
    try {
      if (this.#store.isEmpty) await this.#store.ping(signal);
      else await this.#store.renew(signal);
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#context.log.debug("Cannot renew the lease; retrying", {
        event: "discovery.renewal_failed",
        reason,
      });
      return false;
    }
  }

  async #audit(): Promise<void> {
    const { auditMs = AUDIT_MS } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(auditMs * (0.75 + this.#random() / 2), { clock: this.#clock, signal }).catch(() => {});
      // A failed request is repeated the next time; the pulse reports the fault.
      if (!signal.aborted) await this.#store.audit(signal).catch(() => {});
    }
  }

  /** Reports when etcd becomes unreachable, and when it answers again. */
  #report(fault: string | undefined): void {
    const reported = fault ?? "";
    if (this.#reported === reported || this.#closing.signal.aborted) return;
    this.#reported = reported;
    if (fault === undefined) this.#context.connection("connected", this.#endpoints.current);
    else this.#context.connection("disconnected", fault);
  }

  #check(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#closing.signal.aborted) throw new Error("Cannot write to the registry: the session is closed");
  }

  #pathOf(cluster: ClusterName, config: unknown): string {
    const { path } = (config ?? {}) as Partial<FormatSection>;
    if (path !== undefined) return path;
    // A slash would lead to another path.
    if (cluster === "" || cluster.includes("/")) {
      throw new TypeError(
        `Cannot use cluster: must be a name without a slash; current value is ${quote(cluster)}`,
      );
    }
    return `${this.#options.prefix}/${cluster.toWellFormed()}`;
  }

  #keyOf(cluster: ClusterName, { node, config }: Registration): string {
    const parsed = parseNode(node);
    if (!parsed.ok) throw new TypeError(parsed.reason);
    return `${this.#pathOf(cluster, config)}/${formatIn(config, cluster).nameOf(node)}`;
  }
}
