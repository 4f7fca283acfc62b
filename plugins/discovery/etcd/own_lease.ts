import type { PluginLog } from "../../../mod.ts";
import { Serial } from "../../../src/kernel/serial.ts";
import { equalBytes } from "../node_json.ts";
import { RefusedError } from "./endpoints.ts";
import { CODE, type Gateway } from "./gateway.ts";
import { encodeKey, type KeyValue, readGrant, readKeepalive, readTransaction } from "./messages.ts";

export interface OwnLeaseOptions {
  readonly gateway: Gateway;
  readonly ttlMs: number;
  /** How long one endpoint has to renew it. */
  readonly renewalMs: number;
  readonly log: PluginLog;
}

/** The most keys that a transaction compares and reads. */
const KEYS_PER_TRANSACTION = 64;

/**
 * The one lease of a session, with all the keys that expire with it. Keys that somebody deleted, or that were
 * lost with the lease, are put again by each renewal; keys that another session owns by now are left to it.
 */
export class OwnLease {
  readonly #options: OwnLeaseOptions;
  readonly #serial = new Serial();
  readonly #held = new Map<string, Uint8Array>();
  /** Keys without a lease that mark a directory as existing. */
  readonly #marked = new Set<string>();
  #id: string | undefined;

  constructor(options: OwnLeaseOptions) {
    this.#options = options;
  }

  /** Whether it holds nothing. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Sets a key, whoever had it; returns what another session had there. */
  async put(key: string, value: Uint8Array, signal: AbortSignal): Promise<KeyValue | undefined> {
    return await this.#serial.run(async () => {
      signal.throwIfAborted();
      let before: KeyValue | undefined;
      let id = await this.#granted(signal);
      try {
        before = await this.#put(key, value, id, signal);
      } catch (error) {
        if (!isGone(error)) throw error;
        this.#forget();
        id = await this.#granted(signal);
        before = await this.#put(key, value, id, signal);
      }
      this.#held.set(key, value);
      return before === undefined || before.lease === id ? undefined : before;
    });
  }

  /** Creates a key without a value and without a lease, unless it exists. */
  async mark(key: string, signal: AbortSignal): Promise<void> {
    if (this.#marked.has(key)) return;
    const [name, value] = [encodeKey(key), ""];
    await this.#transact({
      compare: [{ key: name, target: "VERSION", result: "EQUAL", version: "0" }],
      success: [{ request_put: { key: name, value } }],
    }, signal);
    this.#marked.add(key);
  }

  /** Deletes a key, whoever has it. */
  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      signal.throwIfAborted();
      this.#held.delete(key);
      await this.#options.gateway.call("/v3/kv/deleterange", { key: encodeKey(key) }, { signal, read: () => {} });
    });
  }

  /** Deletes a key if this lease has it; returns the other owner, if there is one. */
  async release(key: string, signal: AbortSignal): Promise<KeyValue | undefined> {
    return await this.#serial.run(async () => {
      signal.throwIfAborted();
      this.#held.delete(key);
      if (this.#id === undefined) return undefined;
      const name = encodeKey(key);
      const { ranges: [range] } = await this.#transact({
        compare: [{ key: name, target: "LEASE", result: "EQUAL", lease: this.#id }],
        success: [{ request_delete_range: { key: name } }],
        failure: [{ request_range: { key: name } }],
      }, signal);
      return range?.keyValues[0];
    });
  }

  /** Renews the lease, and puts missing keys again. */
  async renew(signal: AbortSignal): Promise<void> {
    const { gateway, renewalMs: answerMs, log } = this.#options;
    const id = this.#id;
    // The renewal does not wait for its turn.
    const isAlive = id !== undefined &&
      await gateway.call("/v3/lease/keepalive", { ID: id }, { signal, answerMs, read: readKeepalive });
    await this.#serial.run(async () => {
      if (!isAlive && this.#id === id && id !== undefined) {
        log.warn("Lease lost; registering nodes again", {
          event: "discovery.lease_lost",
          lease: id,
        });
        this.#forget();
      }
      const keys = [...this.#held.keys()];
      for (let at = 0; at < keys.length; at += KEYS_PER_TRANSACTION) {
        await this.#restore(keys.slice(at, at + KEYS_PER_TRANSACTION), signal);
      }
    });
  }

  /** Revokes it, with all that it holds. */
  async end(signal: AbortSignal): Promise<void> {
    await this.#serial.run(async () => {
      this.#held.clear();
      const id = this.#id;
      this.#id = undefined;
      if (id === undefined) return;
      await this.#options.gateway.call("/v3/lease/revoke", { ID: id }, { signal, read: () => {} });
    });
  }

  /** Notes that the lease is gone. A store that lost a lease may have lost more. */
  #forget(): void {
    this.#id = undefined;
    this.#marked.clear();
  }

  async #granted(signal: AbortSignal): Promise<string> {
    const { gateway, ttlMs } = this.#options;
    const ttl = String(Math.ceil(ttlMs / 1_000));
    return this.#id ??= (await gateway.call("/v3/lease/grant", { TTL: ttl }, { signal, read: readGrant })).id;
  }

  /** Puts a key, by one request; returns what was there if it was different. */
  async #put(key: string, value: Uint8Array, id: string, signal: AbortSignal): Promise<KeyValue | undefined> {
    const [name, bytes] = [encodeKey(key), value.toBase64()];
    const { ranges: [range] } = await this.#transact({
      compare: [
        { key: name, target: "LEASE", result: "EQUAL", lease: id },
        { key: name, target: "VALUE", result: "EQUAL", value: bytes },
      ],
      failure: [{ request_range: { key: name } }, { request_put: { key: name, value: bytes, lease: id } }],
    }, signal);
    return range?.keyValues[0];
  }

  /** Checks whether keys belong to this lease; missing ones are put again, those of others forgotten. */
  async #restore(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const id = await this.#granted(signal);
    const { succeeded, ranges } = await this.#transact({
      compare: keys.map((key) => ({ key: encodeKey(key), target: "LEASE", result: "EQUAL", lease: id })),
      failure: keys.map((key) => ({ request_range: { key: encodeKey(key) } })),
    }, signal);
    if (succeeded) return;
    for (const [at, key] of keys.entries()) {
      const found = ranges[at]?.keyValues[0];
      const value = this.#held.get(key);
      if (value === undefined || found?.lease === id && equalBytes(found.value, value)) continue;
      if (found !== undefined && found.lease !== id) {
        this.#held.delete(key);
        log.info("Node taken over by another session", { event: "discovery.node_taken", node: key });
        continue;
      }
      const name = encodeKey(key);
      const { succeeded: isBack } = await this.#transact({
        compare: [{ key: name, target: "VERSION", result: "EQUAL", version: "0" }],
        success: [{ request_put: { key: name, value: value.toBase64(), lease: id } }],
      }, signal);
      if (isBack) {
        log.warn("Node deleted externally; registered again", { event: "discovery.node_deleted", path: key });
      }
    }
  }

  async #transact(transaction: unknown, signal: AbortSignal): Promise<ReturnType<typeof readTransaction>> {
    return await this.#options.gateway.call("/v3/kv/txn", transaction, { signal, read: readTransaction });
  }
}

function isGone(error: unknown): boolean {
  return error instanceof RefusedError && error.code === CODE.notFound;
}
