import type { Clock } from "../../../src/kernel/clock.ts";
import type { Random } from "../../../src/kernel/random.ts";

export interface OwnZnodesOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Looks whether a znode is as it was registered, leaves a watch on it, and makes it again if it is gone. */
  readonly mend: (path: string, data: Uint8Array) => Promise<void>;
}

/**
 * A znode that changed is looked at so much later, and up to half as much again:
 * two reporters that disagree over one node take turns by the second, and who
 * closes or takes a node over has the time to finish.
 */
const MEND_AFTER_MS = 1_000;

/**
 * The znodes that this session has registered, so that one that somebody
 * deletes is made again within two seconds, not with the next assertion.
 */
export class OwnZnodes {
  readonly #options: OwnZnodesOptions;
  /** The data of each, by path. */
  readonly #data = new Map<string, Uint8Array>();
  /** Ends the wait of each that is to be looked at. */
  readonly #waits = new Map<string, () => void>();

  constructor(options: OwnZnodesOptions) {
    this.#options = options;
  }

  /** Notes what is registered from here. */
  keep(path: string, data: Uint8Array): void {
    this.#data.set(path, data);
  }

  /** Notes that a znode is no more registered from here; what was to be mended of it is not. */
  forget(path: string): void {
    this.#data.delete(path);
    this.#waits.get(path)?.();
    this.#waits.delete(path);
  }

  /** Forgets all. */
  clear(): void {
    for (const path of [...this.#data.keys()]) this.forget(path);
  }

  /** Answers whether this very registration stands still. */
  isKept(path: string, data: Uint8Array): boolean {
    return this.#data.get(path) === data;
  }

  /** Takes note of a new connection: what befell while there was none was not heard of. */
  onConnection(): void {
    for (const path of this.#data.keys()) this.onChange(path);
  }

  /** Takes note that a znode has changed, registered from here or not. */
  onChange(path: string): void {
    if (!this.#data.has(path) || this.#waits.has(path)) return;
    const { clock, random, mend } = this.#options;
    const cancel = clock.after(MEND_AFTER_MS * (1 + random() / 2), () => {
      this.#waits.delete(path);
      const data = this.#data.get(path);
      if (data !== undefined) void mend(path, data);
    });
    this.#waits.set(path, cancel);
  }
}
