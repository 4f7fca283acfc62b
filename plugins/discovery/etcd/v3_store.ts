import type { PluginLog } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import type { Random } from "../../../src/kernel/random.ts";
import type { RawNode } from "../cluster_reader.ts";
import type { Endpoints } from "./endpoints.ts";
import { type Credential, Gateway } from "./gateway.ts";
import { decodeKey, type KeyValue } from "./messages.ts";
import { OwnLease } from "./own_lease.ts";
import type { Others, PutOptions, Store, StoreFacts } from "./store.ts";
import { Watches } from "./watches.ts";

/** What a store is made with. */
export interface StoreOptions {
  readonly endpoints: Endpoints;
  /** The session reads and writes below it. */
  readonly prefix: string;
  readonly credential?: Credential | undefined;
  /** How long etcd keeps the keys of a silent session. */
  readonly ttlMs: number;
  /** How long an endpoint has to renew that. */
  readonly renewalMs: number;
  readonly log: PluginLog;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted when the session is closed. */
  readonly signal: AbortSignal;
}

/** etcd by its API 3: one stream of watches, and one lease with all keys of the session. */
export class V3Store implements Store {
  readonly #gateway: Gateway;
  readonly #lease: OwnLease;
  readonly #watches: Watches;

  constructor({ endpoints, credential, ttlMs, renewalMs, log, clock, random, signal }: StoreOptions) {
    this.#gateway = new Gateway(endpoints, { credential, log });
    this.#lease = new OwnLease({ gateway: this.#gateway, ttlMs, renewalMs, log });
    this.#watches = new Watches({ gateway: this.#gateway, endpoints, log, clock, random, signal });
  }

  get isEmpty(): boolean {
    return this.#lease.isEmpty;
  }

  async *follow(path: string, signal: AbortSignal): AsyncGenerator<StoreFacts> {
    const entries = new Entries(path);
    for await (const { keyValues, wasSeen, epoch } of this.#watches.follow(path, signal)) {
      yield { entries: entries.of(keyValues), exists: wasSeen, epoch };
    }
  }

  async put(key: string, value: Uint8Array, { signal, mayMark }: PutOptions): Promise<Others | undefined> {
    const before = await this.#lease.put(key, value, signal);
    // After the node, so that nobody sees a cluster that exists and has none yet.
    if (mayMark) await this.#lease.mark(key.slice(0, key.lastIndexOf("/") + 1), signal);
    return othersOf(before);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#lease.delete(key, signal);
  }

  async release(key: string, signal: AbortSignal): Promise<Others | undefined> {
    return othersOf(await this.#lease.release(key, signal));
  }

  async renew(signal: AbortSignal): Promise<void> {
    await this.#lease.renew(signal);
  }

  async ping(signal: AbortSignal): Promise<void> {
    await this.#gateway.call("/v3/maintenance/status", {}, { signal, read: () => {} });
  }

  async audit(signal: AbortSignal): Promise<void> {
    await this.#watches.audit(signal);
  }

  async end(signal: AbortSignal): Promise<void> {
    await this.#lease.end(signal);
  }

  async ended(): Promise<void> {
    await this.#watches.ended();
  }
}

type Entry = readonly [name: string, node: RawNode];

/** The entries below a path; the key that marks the cluster as existing is none. */
class Entries {
  readonly #path: string;
  /** The entries of decoded keys: a change of one leaves the others the same values. */
  readonly #known = new WeakMap<KeyValue, Entry>();

  constructor(path: string) {
    this.#path = path;
  }

  *of(keyValues: ReadonlyMap<string, KeyValue>): Generator<Entry> {
    for (const keyValue of keyValues.values()) {
      let entry = this.#known.get(keyValue);
      if (entry === undefined) {
        entry = [decodeKey(keyValue.key).slice(this.#path.length), {
          data: keyValue.value,
          version: keyValue.modRevision,
        }];
        this.#known.set(keyValue, entry);
      }
      if (entry[0] !== "") yield entry;
    }
  }
}

function othersOf(found: KeyValue | undefined): Others | undefined {
  if (found === undefined) return undefined;
  const { value, lease } = found;
  return { value, owner: lease === "0" ? "nobody" : `lease ${BigInt(lease).toString(16)}` };
}
