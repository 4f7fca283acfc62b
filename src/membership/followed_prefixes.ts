import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import type { KeysEntry, KeysFacts, KeysPlace } from "../plugin/contract.ts";
import type { Accepted } from "../config/accepted.ts";

export interface FollowedPrefixesOptions {
  /** Follows the keys under a prefix, in the worker of a discovery. Throws when it cannot continue. */
  readonly follow: (place: KeysPlace, signal: AbortSignal) => AsyncIterable<KeysFacts>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called when keys have changed. */
  readonly onChange: () => void;
}

/** The waits before a prefix that could not be followed is tried again. */
const BACKOFF = { firstMs: 200, maxMs: 10_000 };

/** How long a prefix keeps its keys after its registry reports none any more, until it is asked again. */
const CONFIRM_MS = 2_000;

/** A prefix that is followed. */
interface Followed {
  readonly controller: AbortController;
  readonly done: Promise<void>;
  /** The keys; `undefined` before the first answer. */
  entries: readonly KeysEntry[] | undefined;
}

/**
 * The keys that balancers read, as their registries last reported them. An unreachable registry changes
 * nothing; the loss of all keys must be confirmed.
 */
export class FollowedPrefixes implements AsyncDisposable {
  readonly #options: FollowedPrefixesOptions;
  readonly #followed = new Map<string, Followed>();

  /** Follows nothing until a config is applied. */
  constructor(options: FollowedPrefixesOptions) {
    this.#options = options;
  }

  /** Follows the prefixes that the balancers of a config read, and no others. */
  apply(accepted: Pick<Accepted, "balancers" | "discovery">): void {
    const wanted = new Map(placesOf(accepted).map((place) => [keyOf(place), place]));
    for (const [key, { controller }] of this.#followed) {
      if (wanted.has(key)) continue;
      controller.abort();
      this.#followed.delete(key);
    }
    for (const [key, place] of wanted) {
      if (this.#followed.has(key)) continue;
      const controller = new AbortController();
      const done = Promise.resolve().then(() => this.#follow(place, controller.signal));
      this.#followed.set(key, { controller, done, entries: undefined });
    }
  }

  /** The keys under a prefix; `undefined` while its registry has not answered. */
  find(place: KeysPlace): readonly KeysEntry[] | undefined {
    return this.#followed.get(keyOf(place))?.entries;
  }

  /** The prefixes whose registries have not answered. */
  get silent(): readonly string[] {
    return [...this.#followed].filter(([, { entries }]) => entries === undefined).map(([key]) => key);
  }

  /** Stops following. */
  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#followed.values()];
    this.#followed.clear();
    for (const { controller } of all) controller.abort();
    await Promise.all(all.map(({ done }) => done));
  }

  async #follow(place: KeysPlace, signal: AbortSignal): Promise<void> {
    const { follow, clock, random, log } = this.#options;
    const { discovery, prefix } = place;
    let [attempts, logged] = [0, ""];
    /** Whether the registry recently reported no keys any more. */
    let isDoubted = false;
    while (!signal.aborted) {
      const asking = new AbortController();
      const either = AbortSignal.any([signal, asking.signal]);
      let waitMs = 0;
      try {
        for await (const { entries } of follow(place, either)) {
          [attempts, logged] = [0, ""];
          const { entries: before = [] } = this.#followed.get(keyOf(place)) ?? {};
          const isGone = entries.length === 0 && before.length > 0;
          if (isGone && !isDoubted) {
            log.warn("Registry reports no keys; keeping known keys until confirmed", {
              event: "keys.held",
              discovery,
              prefix,
              keys: before.length,
            });
            [isDoubted, waitMs] = [true, CONFIRM_MS];
            break;
          }
          isDoubted = false;
          if (!signal.aborted) this.#take(place, entries);
        }
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        waitMs = Math.round(backoffMs(attempts++, BACKOFF, random));
        log[reason === logged ? "debug" : "warn"]("Key watch failed; keeping known keys and retrying", {
          event: "keys.failed",
          discovery,
          prefix,
          reason,
          waitMs,
        });
        logged = reason;
      } finally {
        asking.abort();
      }
      await delay(waitMs, { clock, signal }).catch(() => {});
    }
  }

  #take(place: KeysPlace, entries: readonly KeysEntry[]): void {
    const followed = this.#followed.get(keyOf(place));
    if (followed === undefined || isSame(followed.entries, entries)) return;
    followed.entries = entries;
    const { discovery, prefix } = place;
    this.#options.log.info("Keys changed", { event: "keys.changed", discovery, prefix, keys: entries.length });
    this.#options.onChange();
  }
}

/** The prefixes that the balancers of a config read, of discoveries that support keys. Pure. */
export function placesOf({ balancers, discovery }: Pick<Accepted, "balancers" | "discovery">): readonly KeysPlace[] {
  const all = [...balancers.values()].flatMap(({ inputs }) => inputs?.keys ?? []);
  const able = all.filter((place) => discovery.get(place.discovery)?.traits.capabilities.includes("keys"));
  return [...new Map(able.map((place) => [keyOf(place), place])).values()];
}

function keyOf({ discovery, prefix }: KeysPlace): string {
  return `${discovery}:${prefix}`;
}

function isSame(before: readonly KeysEntry[] | undefined, now: readonly KeysEntry[]): boolean {
  return before?.length === now.length &&
    before.every(({ key, value }, i) => key === now[i]?.key && value === now[i]?.value);
}
