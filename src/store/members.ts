import { parseBindAddress } from "./bind_address.ts";

/** More instances than this are not remembered: nobody runs so many, but anyone might say so. */
const MEMBERS_MAX = 100;

/** The other instances of a cluster, by address. */
export class Members {
  readonly #addresses: Set<string> = new Set();

  /** Their addresses, in the order in which they became known. */
  get addresses(): readonly string[] {
    return [...this.#addresses];
  }

  /** Adds instances; answers the addresses that are none, or too many. */
  add(addresses: readonly string[]): readonly string[] {
    return addresses.filter((address) => {
      if (this.#addresses.has(address)) return false;
      if (this.#addresses.size >= MEMBERS_MAX || parseBindAddress(address) === undefined) return true;
      this.#addresses.add(address);
      return false;
    });
  }
}
