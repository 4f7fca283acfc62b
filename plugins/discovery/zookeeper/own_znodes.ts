import type { Clock } from "../../../src/kernel/clock.ts";
import type { Random } from "../../../src/kernel/random.ts";
import type { Place } from "./place.ts";

export interface OwnZnodesOptions {
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Checks whether a znode is as it was registered, leaves a watch on it, and makes it again if it is gone.
   */
  readonly mend: (place: Place, data: Uint8Array) => Promise<void>;
}

/** A registration. */
interface Kept {
  readonly place: Place;
  readonly data: Uint8Array;
  /** Where its znode was last seen; `undefined` before it is made. */
  readonly path: string | undefined;
}

/**
 * How much later a changed znode is looked at, and up to half as much again: two reporters that disagree over
 * one node alternate by the second, and a session that closes or takes a node over has the time to finish.
 */
const MEND_AFTER_MS = 1_000;

/**
 * The znodes that this session has registered, so that a deleted one is made again within two seconds, not
 * with the next assertion.
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

  /** Where the znode of a registration was last seen. */
  pathOf({ key }: Place): string | undefined {
    return this.#kept.get(key)?.path;
  }

  /** Notes that a znode is no longer registered from here; pending repairs of it are dropped. */
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

  /** Whether this very registration is still kept. */
  isKept({ key }: Place, data: Uint8Array): boolean {
    return this.#kept.get(key)?.data === data;
  }

  /** Takes a new connection: changes without one were not reported. */
  onConnection(): void {
    for (const { place } of this.#kept.values()) this.look(place);
  }

  /** Takes a changed znode, registered from here or not. */
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
