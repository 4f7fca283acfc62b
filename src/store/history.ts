import type { Copy } from "./snapshot.ts";
import type { Version } from "./version.ts";

/** So many versions are remembered; they share what is the same in them. */
const REMEMBERED_MAX = 64;

/** The latest versions, so that a watcher that knows one of them can be told whether anything changed for it. */
export class History {
  readonly #copies: Map<number, Copy> = new Map();

  /** Adds the newest version; the oldest may be forgotten for it. */
  add(copy: Copy): void {
    const { sequence } = copy.version;
    this.#copies.delete(sequence);
    this.#copies.set(sequence, copy);
    const [oldest] = this.#copies.keys();
    if (this.#copies.size > REMEMBERED_MAX && oldest !== undefined) this.#copies.delete(oldest);
  }

  /** Answers a version, whatever its checksum if none is given. */
  find({ sequence, checksum }: Partial<Version> & { readonly sequence: number }): Copy | undefined {
    const copy = this.#copies.get(sequence);
    return copy !== undefined && (checksum === undefined || copy.version.checksum === checksum) ? copy : undefined;
  }
}
