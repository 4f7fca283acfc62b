import { parseStoreAddress } from "./store_address.ts";
import type { Version } from "./version.ts";

/** More instances than this are not remembered: nobody runs so many, but anyone might say so. */
const MEMBERS_MAX = 100;

/** What is known of another instance. */
export interface Member {
  readonly address: string;
  /** Which version it had when it was last heard of. */
  readonly version?: Version;
  readonly reachable: boolean;
  /** When it was last heard of, in milliseconds since 1970. */
  readonly lastReachableMs?: number;
  /** When it was last given a version, in milliseconds since 1970. */
  readonly lastPushMs?: number;
  /** Names the run of the instance that answers there. */
  readonly id?: string;
}

/** The other instances of a cluster, by address. */
export class Members {
  readonly #members: Map<string, Member> = new Map();
  /** Addresses of instances that are known by another one. */
  readonly #aliases: Map<string, string> = new Map();
  /** Is told of each new one. */
  onAdd: (address: string) => void = () => {};

  /** All of them, in the order in which they became known. */
  get all(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Their addresses. */
  get addresses(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** Adds instances; answers the addresses that are none, or too many. */
  add(addresses: readonly string[]): readonly string[] {
    return addresses.filter((address) => {
      if (this.#members.has(address) || this.#isAlias(address)) return false;
      if (this.#members.size >= MEMBERS_MAX || parseStoreAddress(address) === undefined) return true;
      this.#members.set(address, { address, reachable: false });
      this.onAdd(address);
      return false;
    });
  }

  /** Notes what was learnt of one. */
  learn(address: string, news: Partial<Omit<Member, "address">>): void {
    const member = this.#members.get(address);
    if (member !== undefined) this.#members.set(address, { ...member, ...news });
  }

  /** Answers one. */
  get(address: string): Member | undefined {
    return this.#members.get(address);
  }

  /** Forgets an address: it is that of an instance which is known by another one, or of this very instance. */
  forget(address: string, known: string): void {
    this.#members.delete(address);
    if (this.#aliases.size < MEMBERS_MAX) this.#aliases.set(address, known);
  }

  /** An address that was forgotten is of use again when the better one is not, unless it is our own. */
  #isAlias(address: string): boolean {
    const known = this.#aliases.get(address);
    if (known === undefined) return false;
    const member = this.#members.get(known);
    return member === undefined || member.reachable;
  }
}
