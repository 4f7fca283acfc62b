import type { PluginLog } from "../../../mod.ts";
import { Serial } from "../../../src/kernel/serial.ts";
import type { HttpAnswer } from "../../../src/http/client.ts";
import { describeRefusal, type Instances } from "./instances.ts";

export interface OwnLeaseOptions {
  readonly name: string;
  readonly ttlMs: number;
  readonly instances: Instances;
  readonly log: PluginLog;
  /** Aborted when the session is closed. */
  readonly signal: AbortSignal;
}

/** A change to what the lease holds: a value for its key, or none. */
interface Change {
  readonly key: string;
  readonly value: unknown;
  readonly isOff: () => boolean;
  readonly done: PromiseWithResolvers<void>;
}

/** Raised when the store understood the request and rejected it. */
export class RefusedError extends Error {
  override name = "RefusedError";
}

/**
 * The one lease of a session, with all the keys that it keeps alive. Each change sends the whole; changes
 * that are made together are sent together.
 */
export class OwnLease {
  readonly #options: OwnLeaseOptions;
  readonly #serial = new Serial();
  /** What it holds: values by the paths of their keys. */
  #held: ReadonlyMap<string, unknown> = new Map();
  /** Keys that another session has taken over, and that were not set since. */
  readonly #taken = new Set<string>();
  #waiting: Change[] = [];

  constructor(options: OwnLeaseOptions) {
    this.#options = options;
  }

  /** Whether it holds anything. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Whether another session has taken a key over, as far as is known. */
  wasTaken(key: string): boolean {
    return this.#taken.has(key);
  }

  /** Whether it holds a key, as far as is known. */
  has(key: string): boolean {
    return this.#held.has(key);
  }

  /**
   * Sets a key, whoever had it, or removes it if there is no value. Throws if the store is unreachable, or
   * rejects it.
   */
  async set(key: string, value: unknown, signal: AbortSignal): Promise<void> {
    // A signal that is already aborted fires no event.
    signal.throwIfAborted();
    const done = Promise.withResolvers<void>();
    done.promise.catch(() => {});
    const abort = () => done.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.#waiting.push({ key, value, isOff: () => signal.aborted, done });
    void this.#serial.run(() => this.#flush());
    try {
      await done.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Sends what it holds once more: it is renewed, and lost keys exist again. Throws as {@linkcode set}. */
  async renew(): Promise<void> {
    await this.#serial.run(async () => {
      if (this.#held.size > 0) await this.#send([]);
    });
  }

  /** Ends it: what it still holds vanishes. */
  async end(signal: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      if (this.#held.size === 0) return;
      this.#held = new Map();
      await this.#options.instances.ask({ method: "DELETE", path: this.#path, signal });
    });
  }

  get #path(): string {
    return `/lease/${encodeURIComponent(this.#options.name)}`;
  }

  async #flush(): Promise<void> {
    const changes = this.#waiting.filter(({ isOff }) => !isOff());
    this.#waiting = [];
    if (changes.length === 0) return;
    try {
      await this.#send(changes);
      for (const { done } of changes) done.resolve();
    } catch (error) {
      if (!(error instanceof RefusedError) || changes.length === 1) {
        for (const { done } of changes) done.reject(error);
        return;
      }
      // One of them is rejected: the others must not suffer.
      for (const change of changes) await this.#send([change]).then(change.done.resolve, change.done.reject);
    }
  }

  async #send(changes: readonly Change[]): Promise<void> {
    const { instances, ttlMs, signal, log } = this.#options;
    const next = new Map(this.#held);
    for (const { key, value } of changes) {
      if (value === undefined) next.delete(key);
      else next.set(key, value);
    }
    if (next.size === 0) {
      const answer = await instances.ask({ method: "DELETE", path: this.#path, signal });
      if (answer.status !== 204 && answer.status !== 404) throw refused("delete the lease", instances, answer);
      this.#held = next;
      return;
    }
    const taken = new Set(changes.map(({ key }) => key));
    const body = JSON.stringify({
      ttl: ttlMs / 1_000,
      keys: Object.fromEntries(next),
      yields: [...next.keys()].filter((key) => !taken.has(key)),
    });
    const answer = await instances.ask({ method: "PUT", path: this.#path, body, signal });
    if (answer.status !== 200 && answer.status !== 201) throw refused("register", instances, answer);
    const has = keysOf(answer);
    for (const key of taken) this.#taken.delete(key);
    for (const key of next.keys()) {
      if (has.has(key)) continue;
      next.delete(key);
      this.#taken.add(key);
      const node = decodeURIComponent(key);
      log.info("Node taken over by another session", { event: "discovery.node_taken", node });
    }
    this.#held = next;
  }
}

function keysOf({ text }: HttpAnswer): ReadonlySet<unknown> {
  const { keys } = JSON.parse(text) ?? {};
  return new Set(Array.isArray(keys) ? keys : []);
}

function refused(what: string, { current }: Instances, answer: HttpAnswer): RefusedError {
  return new RefusedError(`Cannot ${what} at ${current}: HTTP ${answer.status} ${describeRefusal(answer)}`);
}
