import type { Clock } from "../../../src/kernel/clock.ts";
import type { Random } from "../../../src/kernel/random.ts";
import type { Place } from "./place.ts";

export interface OwnZnodesOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Looks whether a znode is as it was registered, leaves a watch on it, and makes it again if it is gone. */
  readonly mend: (place: Place, data: Uint8Array) => Promise<void>;
}

/** A registration. */
interface Kept {
  readonly place: Place;
  readonly data: Uint8Array;
  /** Where its znode was seen last; `undefined` before it is made. */
  readonly path: string | undefined;
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
  /** By the key of its place. */
  readonly #kept = new Map<string, Kept>();
  /** The key of each, by its path. */
  readonly #keys = new Map<string, string>();
  /** Ends the wait of each that is to be looked at. */
  readonly #waits = new Map<string, () => void>();

  constructor(options: OwnZnodesOptions) {
    this.#options = options;
  }

  /** Notes what is registered from here. */
  keep(place: Place, data: Uint8Array): void {
    const path = place.sequence === undefined ? place.key : this.pathOf(place);
    this.#kept.set(place.key, { place, data, path });
    if (path !== undefined) this.#keys.set(path, place.key);
  }

  /** Notes where the znode of a registration is. */
  found({ key }: Place, path: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined || kept.path === path) return;
    if (kept.path !== undefined) this.#keys.delete(kept.path);
    this.#kept.set(key, { ...kept, path });
    this.#keys.set(path, key);
  }

  /** Where the znode of a registration was seen last. */
  pathOf({ key }: Place): string | undefined {
    return this.#kept.get(key)?.path;
  }

  /** Notes that a znode is no more registered from here; what was to be mended of it is not. */
  forget({ key }: Place): void {
    const path = this.#kept.get(key)?.path;
    if (path !== undefined) this.#keys.delete(path);
    this.#kept.delete(key);
    this.#waits.get(key)?.();
    this.#waits.delete(key);
  }

  /** Forgets all. */
  clear(): void {
    for (const { place } of [...this.#kept.values()]) this.forget(place);
  }

  /** Answers whether this very registration stands still. */
  isKept({ key }: Place, data: Uint8Array): boolean {
    return this.#kept.get(key)?.data === data;
  }

  /** Takes note of a new connection: what befell while there was none was not heard of. */
  onConnection(): void {
    for (const { place } of this.#kept.values()) this.look(place);
  }

  /** Takes note that a znode has changed, registered from here or not. */
  onChange(path: string): void {
    const kept = this.#kept.get(this.#keys.get(path) ?? "");
    if (kept !== undefined) this.look(kept.place);
  }

  /** Has a registration looked at soon. */
  look({ key }: Place): void {
    if (!this.#kept.has(key) || this.#waits.has(key)) return;
    const { clock, random, mend } = this.#options;
    const cancel = clock.after(MEND_AFTER_MS * (1 + random() / 2), () => {
      this.#waits.delete(key);
      const kept = this.#kept.get(key);
      if (kept !== undefined) void mend(kept.place, kept.data);
    });
    this.#waits.set(key, cancel);
  }
}
