import type { ClusterFacts, DiscoveryContext, DiscoverySession, Node, Registration, WatchOptions } from "../../mod.ts";
import { nodeName } from "../../src/model/node.ts";
import { eventually } from "./eventually.ts";

/** A node of loopback whose name tells its port. */
export function testNode(port: number, metadata: Node["metadata"] = {}): Node {
  const host = "web.test";
  return { host, ip: "127.0.0.1", port, peer: { name: host, ip: "127.0.0.1", port: 1024 }, metadata };
}

/** A node that is to be registered as one that is up. */
export function up(node: Node): Registration {
  return { node, state: "up" };
}

/** A context that keeps all that a session says. */
export class RecordingContext implements DiscoveryContext {
  /** `connected` and `disconnected`, in order. */
  readonly states: string[] = [];
  /** What was said of each state. */
  readonly details: string[] = [];
  /** Log lines with their level in front, and the reason behind if a record has one. */
  readonly lines: string[] = [];
  readonly #controller = new AbortController();

  /** Aborted by {@linkcode abort}. */
  readonly signal: AbortSignal = this.#controller.signal;

  /** Keeps what the session logs. */
  readonly log: DiscoveryContext["log"] = {
    debug: (message, properties) => this.lines.push(`debug ${message}${reasonOf(properties)}`),
    info: (message, properties) => this.lines.push(`info ${message}${reasonOf(properties)}`),
    warn: (message, properties) => this.lines.push(`warn ${message}${reasonOf(properties)}`),
  };

  /** Keeps the state. */
  connection(state: "connected" | "disconnected", detail = ""): void {
    this.states.push(state);
    this.details.push(detail);
  }

  /** Has the connection given up. */
  abort(): void {
    this.#controller.abort();
  }
}

/** Follows a cluster and keeps every snapshot; ends when disposed of. */
export class Follower implements AsyncDisposable {
  /** All snapshots so far. */
  readonly snapshots: ClusterFacts[] = [];
  /** Why the watch ended, if it threw. */
  error: Error | undefined;
  readonly #controller = new AbortController();
  readonly #running: Promise<void>;

  constructor(session: DiscoverySession, cluster: string, options?: WatchOptions) {
    this.#running = this.#follow(session, cluster, options);
  }

  /** The names in the last snapshot; `undefined` before the first. */
  get names(): readonly string[] | undefined {
    return this.snapshots.at(-1)?.nodes.map(nodeName);
  }

  /** The ports in the last snapshot; `undefined` before the first. */
  get ports(): readonly number[] | undefined {
    return this.snapshots.at(-1)?.nodes.map(({ port }) => port);
  }

  /** Waits until the last snapshot has just these ports. */
  async has(...ports: readonly number[]): Promise<void> {
    await eventually(`the ports are ${ports.join(", ") || "none"}`, () => {
      if (this.error !== undefined) throw this.error;
      const seen = this.ports?.join(",");
      if (seen !== ports.join(",")) throw new Error(`they are ${seen}`);
      return true;
    }, { everyMs: 2 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#running;
  }

  async #follow(session: DiscoverySession, cluster: string, options: WatchOptions | undefined): Promise<void> {
    const { signal } = this.#controller;
    try {
      for await (const facts of session.watch?.(cluster, signal, options) ?? []) this.snapshots.push(facts);
    } catch (error) {
      this.error = error as Error;
    }
  }
}

/** A signal for what should take no time; the deadline is there only so that a fault ends a test. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(15_000);
}

function reasonOf({ reason }: Readonly<Record<string, unknown>> = {}): string {
  return reason === undefined ? "" : `: ${reason}`;
}
