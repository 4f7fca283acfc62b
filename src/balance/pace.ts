import { backoffMs } from "../kernel/backoff.ts";
import type { Random } from "../kernel/random.ts";
import type { Step } from "../plugin/contract.ts";

/** Waits after what may heal by itself: a port that is taken, a socket that is silent, a full disk. */
const RETRY = { firstMs: 1_000, maxMs: 60_000 };

/** Waits between reloads for no other reason than that commands keep failing. */
const FORCE = { firstMs: 10_000, maxMs: 60_000 };

/** When a file that was refused is checked again although nothing changed: what it refers to may have come. */
const REFUSED_RETRY_MS = 60_000;

/** When steps that went well and are planned again are tried again. */
const LEFTOVER_RETRY_MS = 1_000;

/** A child that lived so long is started at once when it has ended. */
const CHILD_PROVEN_MS = 60_000;

/** No more command lines of children are remembered. */
const CHILDREN_MAX = 100;

/**
 * When what was done may be done again: reloads keep their rate, and what does
 * not help, or goes wrong, is done more and more rarely. Decides on readings of
 * a clock, in milliseconds, that others take; effects are theirs.
 */
export class Pace {
  readonly #random: Random;
  #reloadAllowedAt = -Infinity;
  /** When a reload that is wanted may be made, its jitter included; unknown while none is. */
  #reloadDueAt: number | undefined;
  /** The reason of the last reload, and how often it was the same with nothing in force in between. */
  #vain: { readonly reason: string; readonly times: number } | undefined;
  #startAllowedAt = -Infinity;
  #forceAllowedAt = -Infinity;
  #forced = 0;
  #troubles = 0;
  /** When each child was last started, and how often within a while, by its step. */
  readonly #children = new Map<string, { readonly atMs: number; readonly times: number }>();
  /** Steps that went well and were planned again, and how often. */
  #leftover: { readonly planned: string; readonly times: number } | undefined;

  /** Draws jitter and backoff from `random`. */
  constructor(random: Random) {
    this.#random = random;
  }

  /** Notes that all is in force: what goes wrong from now on begins with short waits. */
  settle(): void {
    [this.#troubles, this.#vain] = [0, undefined];
  }

  /** When to look again after something went wrong that no config is to blame for; later with each time. */
  retryAt(now: number): number {
    return now + backoffMs(this.#troubles++, RETRY, this.#random);
  }

  /** When to try a file again that the balancer's program has refused. */
  refusedFileRetryAt(now: number): number {
    return now + REFUSED_RETRY_MS;
  }

  /** When to try a config again of which no process could be made so many times: a port that is taken may be free then. */
  failedConfigRetryAt(now: number, times: number): number {
    return now + backoffMs(times + 1, RETRY, this.#random);
  }

  /** When a reload that is wanted may be made. The jitter is drawn once for as long as one is wanted. */
  reloadAt(now: number, jitterMs: number): number {
    return this.#reloadDueAt ??= Math.max(now, this.#reloadAllowedAt) + jitterMs * this.#random();
  }

  /** Notes that no reload is wanted. */
  forgetReload(): void {
    this.#reloadDueAt = undefined;
  }

  /**
   * Notes a start, a reload or a notice, whether it went well or not: the next reload
   * comes after the interval at the earliest, and later as long as a reload
   * does not bring about what it was made for.
   */
  noteReload(step: Step, now: number, intervalMs: number): void {
    const reason = step.do === "reload" || step.do === "notify" ? step.reason : undefined;
    const times = reason !== undefined && this.#vain?.reason === reason ? this.#vain.times + 1 : 0;
    this.#vain = reason === undefined ? undefined : { reason, times };
    const backoff = times === 0 ? 0 : Math.min(RETRY.maxMs, RETRY.firstMs * 2 ** Math.min(times, 10));
    this.#reloadDueAt = undefined;
    this.#reloadAllowedAt = now + Math.max(intervalMs, backoff);
  }

  /** Notes that a child was started, or ended, by a step. */
  noteChild(step: Step, now: number): void {
    const key = JSON.stringify(step);
    const before = this.#children.get(key);
    const times = before !== undefined && now < before.atMs + CHILD_PROVEN_MS ? before.times + 1 : 0;
    if (before === undefined && this.#children.size >= CHILDREN_MAX) this.#children.clear();
    this.#children.set(key, { atMs: now, times });
  }

  /** When a child may be started by a step: at once if it has not just been. */
  childAt(step: Step): number {
    const { atMs, times } = this.#children.get(JSON.stringify(step)) ?? { atMs: -Infinity, times: 0 };
    return times === 0 ? atMs : atMs + Math.min(RETRY.maxMs, RETRY.firstMs * 2 ** Math.min(times - 1, 10));
  }

  /** The earliest time of a start, after one that failed. */
  get startAllowedAt(): number {
    return this.#startAllowedAt;
  }

  /** Holds starts back after one that failed. */
  holdStarts(until: number): void {
    this.#startAllowedAt = until;
  }

  /** Whether commands that keep failing may be answered by a reload now; if so it is taken as made. */
  takeForced(now: number): boolean {
    if (now < this.#forceAllowedAt) return false;
    // What needs none for so long is over.
    if (now >= this.#forceAllowedAt + FORCE.maxMs) this.#forced = 0;
    this.#forceAllowedAt = now + backoffMs(this.#forced++, FORCE, this.#random);
    return true;
  }

  /**
   * When steps are to be tried again that went well and are planned again, as
   * for a server that cannot go while it has connections; `Infinity` for none,
   * which ends the series.
   */
  leftoverAt(now: number, steps: readonly Step[]): number {
    if (steps.length === 0) {
      this.#leftover = undefined;
      return Infinity;
    }
    const planned = JSON.stringify(steps);
    const times = this.#leftover?.planned === planned ? this.#leftover.times + 1 : 0;
    this.#leftover = { planned, times };
    return now + LEFTOVER_RETRY_MS * 2 ** Math.min(times, 10);
  }

  /** Whether these are the steps that are tried again. */
  isLeftover(steps: readonly Step[]): boolean {
    return this.#leftover !== undefined && JSON.stringify(steps) === this.#leftover.planned;
  }
}
