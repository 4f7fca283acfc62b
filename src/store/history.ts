import type { Copy } from "./snapshot.ts";
import type { Version } from "./version.ts";

/** At most this many versions are remembered; they share their unchanged parts. */
const REMEMBERED_MAX = 64;

/** The latest versions, to decide whether anything changed for a watcher that knows one of them. */
export class History {
  readonly #copies: Map<number, Copy> = new Map();

  /** Adds the newest version; the oldest may be dropped. */
  add(copy: Copy): void {
    const { sequence } = copy.version;
    this.#copies.delete(sequence);
    this.#copies.set(sequence, copy);
    const [oldest] = this.#copies.keys();
    if (this.#copies.size > REMEMBERED_MAX && oldest !== undefined) this.#copies.delete(oldest);
  }

  /** Returns a version; without a checksum, any with the sequence. */
  find({ sequence, checksum }: Partial<Version> & { readonly sequence: number }): Copy | undefined {
    const copy = this.#copies.get(sequence);
    return copy !== undefined && (checksum === undefined || copy.version.checksum === checksum) ? copy : undefined;
  }
}
