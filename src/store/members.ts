import { parseStoreAddress } from "./store_address.ts";
import type { Version } from "./version.ts";

/** Maximum number of peers, against a peer that floods the list. */
const MEMBERS_MAX = 100;

/** State of a peer. */
export interface Member {
  readonly address: string;
  /** The version it had at the last contact. */
  readonly version?: Version;
  readonly reachable: boolean;
  /** Last contact, in milliseconds since 1970. */
  readonly lastReachableMs?: number;
  /** When a version was last pushed to it, in milliseconds since 1970. */
  readonly lastPushMs?: number;
  /** Identifies the run of the instance at this address. */
  readonly id?: string;
}

/** The peers of an instance, by address. */
export class Members {
  readonly #members: Map<string, Member> = new Map();
  /** Aliases: addresses of peers that are known under another one. */
  readonly #aliases: Map<string, string> = new Map();
  /** Called with each new address. */
  onAdd: (address: string) => void = () => {};

  /** All peers, in the order of discovery. */
  get all(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Their addresses. */
  get addresses(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** Adds peers; returns the addresses that are invalid or exceed the limit. */
  add(addresses: readonly string[]): readonly string[] {
    return addresses.filter((address) => {
      if (this.#members.has(address) || this.#isAlias(address)) return false;
      if (this.#members.size >= MEMBERS_MAX || parseStoreAddress(address) === undefined) return true;
      this.#members.set(address, { address, reachable: false });
      this.onAdd(address);
      return false;
    });
  }

  /** Records what a peer reported. */
  learn(address: string, news: Partial<Omit<Member, "address">>): void {
    const member = this.#members.get(address);
    if (member !== undefined) this.#members.set(address, { ...member, ...news });
  }

  /** Returns one peer. */
  get(address: string): Member | undefined {
    return this.#members.get(address);
  }

  /** Forgets an address: an alias of a peer, or of this instance. */
  forget(address: string, known: string): void {
    this.#members.delete(address);
    if (this.#aliases.size < MEMBERS_MAX) this.#aliases.set(address, known);
  }

  /** A forgotten alias is used again when the preferred address is unreachable, unless it is our own. */
  #isAlias(address: string): boolean {
    const known = this.#aliases.get(address);
    if (known === undefined) return false;
    const member = this.#members.get(known);
    return member === undefined || member.reachable;
  }
}
