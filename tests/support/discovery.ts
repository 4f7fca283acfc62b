import type { ClusterFacts, DiscoveryContext, DiscoverySession, Node, Registration, WatchOptions } from "../../mod.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { LiveTopology } from "../../src/membership/live_topology.ts";
import { MembershipGuard, singlePolicy } from "../../src/membership/membership_guard.ts";
import { GUARD_DEFAULTS } from "../../src/model/cluster.ts";
import { nodeName } from "../../src/model/node.ts";
import { eventually } from "./eventually.ts";

/** A node on loopback, named after its port. */
export function testNode(port: number, metadata: Node["metadata"] = {}): Node {
  const host = "web.test";
  return { host, ip: "127.0.0.1", port, peer: { name: host, ip: "127.0.0.1", port: 1024 }, metadata };
}

/** A node to register as up. */
export function up(node: Node): Registration {
  return { node, state: "up" };
}

/** A context that records everything that a session reports. */
export class RecordingContext implements DiscoveryContext {
  /** `connected` and `disconnected`, in order. */
  readonly states: string[] = [];
  /** The details of each state. */
  readonly details: string[] = [];
  /** Log lines: level, message, fields, and the reason last if a record has one. */
  readonly lines: string[] = [];
  readonly #controller = new AbortController();

  /** A scope without a name server. */
  readonly scope: DiscoveryContext["scope"] = { instance: "test" };

  /** Aborted by {@linkcode abort}. */
  readonly signal: AbortSignal = this.#controller.signal;

  /** Records the session's log. */
  readonly log: DiscoveryContext["log"] = {
    debug: (message, properties) => this.lines.push(`debug ${message}${fieldsOf(properties)}`),
    info: (message, properties) => this.lines.push(`info ${message}${fieldsOf(properties)}`),
    warn: (message, properties) => this.lines.push(`warn ${message}${fieldsOf(properties)}`),
  };

  /** Records the state. */
  connection(state: "connected" | "disconnected", detail = ""): void {
    this.states.push(state);
    this.details.push(detail);
  }

  /** Aborts the connection. */
  abort(): void {
    this.#controller.abort();
  }
}

/** What both followers have: the nodes of each answer, from the first to the last. */
abstract class Follows implements AsyncDisposable {
  /** Every membership so far. */
  abstract readonly snapshots: readonly { readonly nodes: readonly Node[] }[];
  /** Why the watch ended, if it threw. */
  error: Error | undefined;
  protected readonly controller = new AbortController();
  protected running: Promise<void> = Promise.resolve();

  /** The names in the last snapshot; `undefined` before the first. */
  get names(): readonly string[] | undefined {
    return this.snapshots.at(-1)?.nodes.map(nodeName);
  }

  /** The ports in the last snapshot; `undefined` before the first. */
  get ports(): readonly number[] | undefined {
    return this.snapshots.at(-1)?.nodes.map(({ port }) => port);
  }

  /** The number of nodes in each membership, from the first that had any. */
  get counts(): readonly number[] {
    const all = this.snapshots.map(({ nodes }) => nodes.length);
    return all.slice(all.findIndex((count) => count > 0));
  }

  /** Waits until the last snapshot has exactly these ports. */
  async has(...ports: readonly number[]): Promise<void> {
    await eventually(`the ports are ${ports.join(", ") || "none"}`, () => {
      if (this.error !== undefined) throw this.error;
      const seen = this.ports?.join(",");
      if (seen !== ports.join(",")) throw new Error(`they are ${seen}`);
      return true;
    }, { everyMs: 2 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.abort();
    await this.running;
  }
}

/** Follows a cluster and records everything that the session reports; ends when disposed of. */
export class Follower extends Follows {
  /** All answers so far. */
  readonly snapshots: ClusterFacts[] = [];

  constructor(session: DiscoverySession, cluster: string, options?: WatchOptions) {
    super();
    this.running = this.#follow(session, cluster, options);
  }

  async #follow(session: DiscoverySession, cluster: string, options: WatchOptions | undefined): Promise<void> {
    const { signal } = this.controller;
    try {
      for await (const facts of session.watch?.(cluster, signal, options) ?? []) this.snapshots.push(facts);
    } catch (error) {
      this.error = error as Error;
    }
  }
}

/** How long the guard of a test waits for a registry that has become reachable: short, so that the test is. */
const EMPTY_GRACE_MS = 500;

/**
 * Follows a cluster as the host does, through its guard, and records every membership that would be served; ends when
 * disposed of.
 */
export class GuardedFollower extends Follows {
  /** Everything that the session has reported so far. */
  readonly facts: ClusterFacts[] = [];
  /** Every membership served so far. */
  readonly snapshots: { readonly nodes: readonly Node[] }[] = [];
  readonly #live = new LiveTopology();
  readonly #guard: MembershipGuard;
  #round = new AbortController();

  constructor(session: DiscoverySession, cluster: string, options?: WatchOptions) {
    super();
    this.#guard = new MembershipGuard({
      live: this.#live,
      clock: systemClock,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      askAgain: () => this.#round.abort(),
      onChange: () => void this.snapshots.push({ nodes: this.#live.nodes(cluster) ?? [] }),
    });
    this.#guard.apply(
      new Map([[
        cluster,
        singlePolicy("test", { ...GUARD_DEFAULTS, emptyGraceMs: EMPTY_GRACE_MS, maxNodes: 100_000 }),
      ]]),
    );
    this.running = this.#follow(session, cluster, options);
  }

  /** Waits until the registry itself reports no node. */
  async isEmpty(): Promise<void> {
    await eventually("the registry has no node", () => this.facts.at(-1)?.nodes.length === 0, { everyMs: 2 });
  }

  async #follow(session: DiscoverySession, cluster: string, options?: WatchOptions): Promise<void> {
    const { signal } = this.controller;
    try {
      while (!signal.aborted) {
        this.#round = new AbortController();
        const either = AbortSignal.any([signal, this.#round.signal]);
        for await (const facts of session.watch?.(cluster, either, options) ?? []) {
          if (either.aborted) break;
          this.facts.push(facts);
          this.#guard.hear({ cluster, ...facts }, "test");
        }
        if (!either.aborted) throw new Error("The watch ended");
      }
    } catch (error) {
      if (!signal.aborted) this.error = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.#guard[Symbol.dispose]();
    }
  }
}

/** A signal for what should take no time; the deadline only ends a test that hangs. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

function fieldsOf({ event: _, reason, ...fields }: Readonly<Record<string, unknown>> = {}): string {
  const others = Object.entries(fields).map(([key, value]) => ` ${key}=${value}`).join("");
  return reason === undefined ? others : `${others}: ${reason}`;
}
