import { Gate } from "../../../src/kernel/gate.ts";
import { Serial } from "../../../src/kernel/serial.ts";
import { RefusedError } from "./endpoints.ts";
import type { Others, PutOptions, Store, StoreFacts } from "./store.ts";
import { V2Client, type V2Request } from "./v2_client.ts";
import { type Leaf, readChange, readLeaves, V2_CODE } from "./v2_messages.ts";
import { V2Watches } from "./v2_watches.ts";
import type { StoreOptions } from "./v3_store.ts";

/** How many keys are renewed at once. */
const RENEWALS_MAX = 8;

/** A key of this session. */
interface Held {
  readonly value: string;
  /** The index of this session's last change of it: whoever has changed it since owns it. */
  readonly index: number;
  /** Whether this session may have made a later change whose answer was lost. */
  readonly isUnsure?: boolean;
}

/** etcd by its API 2: each key has a time to live of its own, and belongs to its last writer. */
export class V2Store implements Store {
  readonly #options: StoreOptions;
  readonly #client: V2Client;
  readonly #watches: V2Watches;
  readonly #serial = new Serial();
  readonly #held = new Map<string, Held>();

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#client = new V2Client(options.endpoints, options.credential);
    this.#watches = new V2Watches({ ...options, client: this.#client });
  }

  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  follow(path: string, signal: AbortSignal): AsyncIterable<StoreFacts> {
    return this.#watches.follow(path, signal);
  }

  async put(key: string, value: Uint8Array, { signal }: PutOptions): Promise<Others | undefined> {
    return await this.#serial.run(async () => {
      signal.throwIfAborted();
      const text = new TextDecoder().decode(value);
      const held = this.#held.get(key);
      const found = await this.#look(key, signal);
      if (held?.value === text && found?.modifiedIndex === held.index && found.value === text) return undefined;
      await this.#write(key, text, {}, signal);
      return held !== undefined && found?.modifiedIndex === held.index ? undefined : othersOf(found);
    });
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      signal.throwIfAborted();
      this.#held.delete(key);
      await ignoring([V2_CODE.notFound], this.#client.call({ method: "DELETE", key, signal }, () => {}));
    });
  }

  async release(key: string, signal: AbortSignal): Promise<Others | undefined> {
    return await this.#serial.run(() => this.#release(key, signal));
  }

  async renew(signal: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      const gate = new Gate(RENEWALS_MAX);
      const renewals = [...this.#held.keys()].map((key) => gate.run(() => this.#renew(key, signal)));
      // All of them, whatever one results in: a late answer would be taken as one about the next put.
      for (const renewal of await Promise.allSettled(renewals)) {
        if (renewal.status === "rejected") throw renewal.reason;
      }
    });
  }

  async ping(signal: AbortSignal): Promise<void> {
    // As agreed by all members: one that has lost the others cannot answer.
    const asked = this.#client.call(
      { method: "GET", key: this.#options.prefix, query: { quorum: "true" }, signal },
      () => {},
    );
    await ignoring([V2_CODE.notFound], asked);
  }

  /** Everything that is followed is read again periodically anyway. */
  async audit(): Promise<void> {}

  async end(signal: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      const gate = new Gate(RENEWALS_MAX);
      await Promise.all([...this.#held.keys()].map((key) => gate.run(() => this.#release(key, signal))));
    });
  }

  async ended(): Promise<void> {
    await this.#watches.ended();
  }

  async #release(key: string, signal: AbortSignal): Promise<Others | undefined> {
    signal.throwIfAborted();
    const held = this.#held.get(key);
    this.#held.delete(key);
    if (held === undefined) return undefined;
    const query = { prevIndex: String(held.index) };
    try {
      await this.#client.call({ method: "DELETE", key, query, signal }, () => {});
      return undefined;
    } catch (error) {
      if (!isOneOf(error, [V2_CODE.notFound, V2_CODE.compareFailed])) throw error;
      return othersOf(await this.#look(key, signal));
    }
  }

  async #renew(key: string, signal: AbortSignal): Promise<void> {
    const { log, renewalMs } = this.#options;
    const held = this.#held.get(key);
    if (held === undefined) return;
    const form = { ttl: this.#ttl, refresh: "true" };
    const query = { prevExist: "true", prevIndex: String(held.index) };
    try {
      const request = { method: "PUT", key, query, form, answerMs: renewalMs, signal } as const;
      await this.#change(key, held.value, request);
    } catch (error) {
      if (isOneOf(error, [V2_CODE.compareFailed])) {
        const found = held.isUnsure ? await this.#look(key, signal) : undefined;
        if (found?.value === held.value) {
          this.#held.set(key, { value: held.value, index: found.modifiedIndex });
          return;
        }
        this.#held.delete(key);
        log.info("Node taken over by another session", { event: "discovery.node_taken", node: key });
      } else if (isOneOf(error, [V2_CODE.notFound])) {
        await ignoring([V2_CODE.exists], this.#write(key, held.value, { prevExist: "false" }, signal));
        log.warn("Node deleted externally; registered again", { event: "discovery.node_deleted", path: key });
      } else throw error;
    }
  }

  async #write(
    key: string,
    value: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#change(key, value, { method: "PUT", key, query, form: { value, ttl: this.#ttl }, signal });
  }

  /** Changes a key, which belongs to this session then; if the answer is lost, it may. */
  async #change(key: string, value: string, request: V2Request): Promise<void> {
    try {
      const { index } = await this.#client.call(request, readChange);
      this.#held.set(key, { value, index });
    } catch (error) {
      const held = this.#held.get(key);
      if (!(error instanceof RefusedError) && held !== undefined) this.#held.set(key, { ...held, isUnsure: true });
      throw error;
    }
  }

  async #look(key: string, signal: AbortSignal): Promise<Leaf | undefined> {
    const asked = this.#client.call({ method: "GET", key, query: { quorum: "true" }, signal }, readLeaves);
    return (await ignoring([V2_CODE.notFound], asked))?.[0];
  }

  get #ttl(): string {
    return String(Math.ceil(this.#options.ttlMs / 1_000));
  }
}

function isOneOf(error: unknown, codes: readonly number[]): boolean {
  return error instanceof RefusedError && codes.includes(error.code);
}

async function ignoring<T>(codes: readonly number[], asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (!isOneOf(error, codes)) throw error;
    return undefined;
  }
}

function othersOf(found: Leaf | undefined): Others | undefined {
  return found === undefined
    ? undefined
    : { value: new TextEncoder().encode(found.value), owner: `index ${found.modifiedIndex}` };
}
