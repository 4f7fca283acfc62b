import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { PeerClient } from "./peer_client.ts";
import { Refusal } from "./refusal.ts";
import type { Store } from "./store.ts";
import { compareVersions, formatVersion } from "./version.ts";

/** Interval at which each peer is polled, and the random delay added to it. */
const ROUND_MS = 500;
const JITTER_MS = 10;

export interface ClusterOptions {
  /** The address that peers use for this instance; `undefined` if it has none that they could use. */
  readonly me: string | undefined;
  /** Identifies this run of the instance, to recognise it under an unknown address. */
  readonly id: string;
  readonly client: PeerClient;
  readonly clock: Clock;
  readonly random: Random;
  /** Returns the time in milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly log: Logger;
}

/**
 * Keeps a store in sync with its peers: shares addresses, pulls newer versions, pushes its own at once
 * after a change.
 */
export class Cluster implements AsyncDisposable {
  readonly #store: Store;
  readonly #options: ClusterOptions;
  readonly #stop: AbortController = new AbortController();
  readonly #loops: Map<string, Promise<void>> = new Map();
  readonly #wakes: Map<string, () => void> = new Map();
  readonly #unwatch: () => void;

  constructor(store: Store, options: ClusterOptions) {
    this.#store = store;
    this.#options = options;
    const { members } = store;
    if (options.me !== undefined) members.forget(options.me, options.me);
    members.onAdd = (address) => this.#follow(address);
    for (const address of members.addresses) this.#follow(address);
    this.#unwatch = store.watch(() => {
      for (const wake of this.#wakes.values()) wake();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unwatch();
    this.#store.members.onAdd = () => {};
    this.#stop.abort();
    await Promise.all(this.#loops.values());
  }

  #follow(address: string): void {
    if (address === this.#options.me || this.#loops.has(address)) return;
    this.#loops.set(address, this.#run(address));
  }

  async #run(address: string): Promise<void> {
    const { clock, random, wallNow, log } = this.#options;
    const { members } = this.#store;
    const { signal } = this.#stop;
    let heardOf = 0;
    while (!signal.aborted && members.get(address) !== undefined) {
      // Set before the exchange, so that a change during it starts another round.
      let isWoken = false;
      const nap = new AbortController();
      this.#wakes.set(address, () => {
        isWoken = true;
        nap.abort();
      });
      try {
        heardOf = await this.#exchange(address, heardOf, signal);
        if (members.get(address)?.reachable === false) {
          log.info("Peer reachable", { event: "store.peer_reachable", address });
        }
        members.learn(address, { reachable: true, lastReachableMs: wallNow() });
      } catch (error) {
        isWoken = false;
        if (members.get(address)?.reachable && !signal.aborted) {
          log.warn("Peer unreachable", {
            event: "store.peer_unreachable",
            address,
            reason: String(error),
          });
        }
        members.learn(address, { reachable: false });
      }
      if (isWoken) continue;
      await delay(ROUND_MS + random() * JITTER_MS, { clock, signal: AbortSignal.any([signal, nap.signal]) }).catch(
        () => {},
      );
    }
    this.#wakes.delete(address);
    this.#loops.delete(address);
  }

  /** One round with a peer; returns the position up to which lease renewals were received. */
  async #exchange(address: string, heardOf: number, signal: AbortSignal): Promise<number> {
    const { client, me, wallNow, log } = this.#options;
    const { members } = this.#store;
    const renewals = this.#store.renewalsSince(heardOf);
    const others = members.addresses.filter((each) => each !== address);
    const own = me === undefined ? [] : [{ address: me, renewed: renewals.ages }];
    await client.putState(address, [...own, ...others.map((each) => ({ address: each }))], signal);
    const { version, cluster, id, me: known } = await client.getState(address, signal);
    members.add(cluster.filter((each) => each !== me));
    if (this.#isOtherName(address, { id, known })) return heardOf;
    const order = compareVersions(version, this.#store.copy.version);
    if (order > 0) {
      const outcome = await this.#store.accept(await client.getCopy(address, signal));
      if (outcome instanceof Refusal) {
        log.warn("Document version from peer rejected", {
          event: "store.copy_rejected",
          address,
          reason: outcome.message,
        });
      }
    } else if (order < 0) {
      const { copy } = this.#store;
      await client.putCopy(address, copy, signal);
      members.learn(address, { lastPushMs: wallNow() });
      log.debug("Document version pushed to peer", {
        event: "store.copy_sent",
        address,
        version: formatVersion(copy.version),
      });
    }
    members.learn(address, {
      ...(id === undefined ? {} : { id }),
      version: order < 0 ? this.#store.copy.version : version,
    });
    return renewals.next;
  }

  /**
   * Whether an address is an alias of this instance, or of a peer known under its own address; if so,
   * the address is forgotten.
   */
  #isOtherName(
    address: string,
    { id, known }: { readonly id: string | undefined; readonly known: string | undefined },
  ): boolean {
    const { me, id: own, log } = this.#options;
    const { members } = this.#store;
    if (id === undefined) return false;
    const others = members.all.filter((each) => each.address !== address && each.id === id && each.reachable);
    if (id === own) members.forget(address, me ?? address);
    // Of two addresses that answer, the one that the peer advertises is kept.
    else if (others.length > 0 && known !== address) members.forget(address, others[0]?.address ?? address);
    else return false;
    log.info("Peer already known under another address", { event: "store.peer_renamed", address, known });
    return true;
  }
}
